//! A picture that is drawn into and kept: a stream's target, or what a group's items are drawn on.
//!
//! Each keeps what it shows and the surfaces of the groups on it, so that a change deep within draws no more than it must
//! anywhere. Children are found by layer and number among the groups of that layer.

use std::{collections::HashMap, sync::Arc};

use super::{
    effects::Sheet,
    floor::Floor,
    items::Frame,
    light, pipeline,
    textures::{self, Texture},
    upload,
};
use crate::{
    base::{colour::Rgba, id::Id},
    scene::{
        BlendSpace,
        damage::{Damage, PixelRect},
        draw::{DrawItem, Effect},
        geometry::Rect,
    },
};

/// Drawn frames after which the surface of a group that is not shown is dropped.
const UNUSED_FRAMES: u64 = 300;

/// The layer of a group, and its number among the groups of that layer on the same surface.
pub(crate) type Key = (Id, usize);

/// A texture that is drawn into, what it shows, and the surfaces of the groups on it.
#[derive(Debug)]
pub(crate) struct Surface {
    pub(crate) size: [u32; 2],
    pub(crate) texture: wgpu::Texture,
    /// As colours are mixed.
    pub(crate) view: wgpu::TextureView,
    /// Group 0 of what is drawn into it.
    pub(crate) frame: wgpu::BindGroup,
    /// As something that is drawn.
    pub(crate) picture: Arc<Texture>,
    /// A copy of what lies below an item that reads it; made when the first one does.
    pub(crate) backdrop: Option<Backdrop>,
    pub(crate) shown: Option<Shown>,
    /// What of it stands still.
    pub(crate) floor: Floor,
    /// What effects made of it, if there are any.
    pub(crate) finished: Option<Finished>,
    pub(crate) children: HashMap<Key, Child>,
}

/// What a surface shows.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) items: Vec<DrawItem>,
    /// What lies under them; none: clear ground.
    pub(crate) background: Option<Rgba>,
    /// Where something could not be drawn.
    pub(crate) missing: Vec<PixelRect>,
}

/// A surface after its effects.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) sheet: Arc<Sheet>,
    /// What was done; nothing: it is not what the surface shows.
    pub(crate) done: Vec<Effect>,
}

/// The surface of a group.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) surface: Surface,
    /// Number of the drawn frame that showed it last.
    pub(crate) used: u64,
}

/// A copy of a surface.
#[derive(Debug, Clone)]
pub(crate) struct Backdrop {
    pub(crate) texture: wgpu::Texture,
    /// A group with its texture, laid out as group 2.
    pub(crate) group: wgpu::BindGroup,
}

/// What surfaces are made with.
#[derive(Debug, Clone)]
pub(crate) struct Maker {
    device: wgpu::Device,
    queue: wgpu::Queue,
    space: BlendSpace,
    /// The layout of group 0.
    pub(crate) frame: wgpu::BindGroupLayout,
    /// The layout of group 2.
    texture: wgpu::BindGroupLayout,
    samplers: [wgpu::Sampler; 2],
}

impl Maker {
    pub(crate) fn new(
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        space: BlendSpace,
        texture: wgpu::BindGroupLayout,
    ) -> Self {
        let frame = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("gpu.frame"),
            entries: &[
                pipeline::uniform::<Frame>(0, wgpu::ShaderStages::VERTEX_FRAGMENT, false),
                pipeline::sampler(1),
                pipeline::sampler(2),
            ],
        });
        let sampler = |mipmap_filter| {
            device.create_sampler(&wgpu::SamplerDescriptor {
                label: Some("gpu.frame"),
                mag_filter: wgpu::FilterMode::Linear,
                min_filter: wgpu::FilterMode::Linear,
                mipmap_filter,
                ..Default::default()
            })
        };
        let samplers = [sampler(wgpu::MipmapFilterMode::Nearest), sampler(wgpu::MipmapFilterMode::Linear)];
        Self { device: device.clone(), queue: queue.clone(), space, frame, texture, samplers }
    }

    /// A surface that shows nothing yet.
    pub(crate) fn surface(&self, label: &str, size: [u32; 2]) -> Surface {
        let texture = upload::texture(&self.device, label, size, 1);
        let Sheet { view, picture } = self.sheet_of(label, &texture);
        let (frame, children) = (self.frame(size), HashMap::new());
        Surface {
            size,
            texture,
            view,
            frame,
            picture,
            backdrop: None,
            shown: None,
            floor: Floor::default(),
            finished: None,
            children,
        }
    }

    /// Something that passes write and read.
    pub(crate) fn sheet(&self, label: &str, size: [u32; 2]) -> Sheet {
        self.sheet_of(label, &upload::texture(&self.device, label, size, 1))
    }

    fn sheet_of(&self, label: &str, texture: &wgpu::Texture) -> Sheet {
        let view = light::view(texture, label, self.space);
        let group = textures::bind(&self.device, &self.texture, &view);
        let size = [texture.width(), texture.height()];
        let picture = Arc::new(Texture { group, size, levels: 1, fade: 1.0, is_opaque: false, table: None });
        Sheet { view, picture }
    }

    /// Group 0: the size of what is drawn into, and the samplers.
    fn frame(&self, size: [u32; 2]) -> wgpu::BindGroup {
        let label = Some("gpu.frame");
        let canvas = self.device.create_buffer(&wgpu::BufferDescriptor {
            label,
            size: size_of::<Frame>() as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.queue.write_buffer(&canvas, 0, bytemuck::bytes_of(&Frame::of(size)));
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label,
            layout: &self.frame,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: canvas.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: wgpu::BindingResource::Sampler(&self.samplers[0]) },
                wgpu::BindGroupEntry { binding: 2, resource: wgpu::BindingResource::Sampler(&self.samplers[1]) },
            ],
        })
    }

    /// Somewhere to copy a surface of this size to.
    pub(crate) fn backdrop(&self, size: [u32; 2]) -> Backdrop {
        let label = "gpu.backdrop";
        let texture = upload::texture(&self.device, label, size, 1);
        let group = textures::bind(&self.device, &self.texture, &light::view(&texture, label, self.space));
        Backdrop { texture, group }
    }
}

impl Surface {
    /// All of it, in its pixels.
    pub(crate) fn canvas(&self) -> Rect {
        Rect::at_origin(self.size.map(|side| side as f32))
    }

    /// Where it differs from `items` on `background`, as far as lists can say, and how many of the lowest items are as they
    /// were. What it shows is not known from here on until it is set again.
    pub(crate) fn damage(&mut self, items: &[DrawItem], background: Option<Rgba>) -> (Damage, usize) {
        let Some(shown) = self.shown.take().filter(|shown| shown.background == background) else {
            return (Damage::whole(self.size), 0);
        };
        let still = shown.items.iter().zip(items).take_while(|(a, b)| a == b).count();
        let still = if shown.missing.is_empty() { still } else { 0 };
        let mut damage = Damage::of_items(&shown.items, items, self.size);
        shown.missing.into_iter().for_each(|rect| damage.add(rect));
        (damage, still)
    }

    /// Draws all of it anew next time, and of all children.
    pub(crate) fn forget(&mut self) {
        self.shown = None;
        self.children.values_mut().for_each(|child| child.surface.forget());
    }

    /// Drops the surfaces of groups that have not been shown for long, as of drawn frame `now`.
    pub(crate) fn trim(&mut self, now: u64) {
        self.children.retain(|_, child| now - child.used < UNUSED_FRAMES);
        self.children.values_mut().for_each(|child| child.surface.trim(now));
    }

    /// Bytes of its textures and those of all children.
    pub(crate) fn bytes(&self) -> u64 {
        let copies = 1 + u64::from(self.backdrop.is_some()) + u64::from(self.finished.is_some());
        let children: u64 = self.children.values().map(|child| child.surface.bytes()).sum();
        bytes_of(self.size) * copies + self.floor.bytes() + children
    }
}

/// Bytes of a texture of this size.
pub(crate) fn bytes_of([width, height]: [u32; 2]) -> u64 {
    u64::from(width) * u64::from(height) * 4
}
