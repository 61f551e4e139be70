//! What the pipelines have in common: shader sources, bind group layouts, how a render pipeline is put together.
//!
//! Bind groups are ordered by how often they change:
//!
//! ```text
//!  group 0  frame    canvas size and samplers       set once a pass
//!  group 1  item     one slot of the items' buffer  set for each item, by dynamic offset
//!  group 2  texture  a picture, a text or a surface  set for each raster
//!  group 3  below    a copy of what is drawn on     set for each item with a blend mode
//! ```
//!
//! WGSL has no `include`: `common.wgsl` is put before the sources that use it.

use std::num::NonZeroU64;

use super::light;
use crate::scene::BlendSpace;

const COMMON: &str = include_str!("../../shaders/common.wgsl");

/// A shader: its name, and its source with what it includes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    pub(crate) name: &'static str,
    pub(crate) uses_common: bool,
    pub(crate) text: &'static str,
}

impl Source {
    fn full(self) -> String {
        if self.uses_common { format!("{COMMON}\n{}", self.text) } else { self.text.into() }
    }
}

/// The sources of all shaders as the driver gets them, by file name; for the tests.
#[doc(hidden)]
pub fn shaders() -> Vec<(&'static str, String)> {
    let sources = [
        super::solid::SOURCE,
        super::shape::SOURCE,
        super::raster::SOURCE,
        super::blend::SOURCE,
        super::upload::SOURCE,
        super::nv12::SOURCE,
        super::scale::SOURCE,
        super::matte::SOURCE,
        super::pin::SOURCE,
    ];
    let own = sources.iter().chain(&super::effects::SOURCES).map(|source| (source.name, source.full()));
    own.chain(super::user::sources()).chain([("common.wgsl", COMMON.into())]).collect()
}

/// A member of a struct that Rust and WGSL share.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Its name, the same on both sides.
    pub name: &'static str,
    /// Bytes from the start of the struct.
    pub offset: usize,
}

/// A struct that Rust and WGSL share, as Rust lays it out; for the tests.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// File name of the shader.
    pub shader: &'static str,
    /// Its name, the same on both sides.
    pub name: &'static str,
    /// Bytes of the whole.
    pub size: usize,
    /// In order.
    pub members: Vec<Member>,
}

/// All structs that Rust and WGSL share; for the tests.
#[doc(hidden)]
pub fn layouts() -> Vec<Layout> {
    [
        super::items::layouts(),
        super::solid::layouts(),
        super::shape::layouts(),
        super::raster::layouts(),
        super::nv12::layouts(),
        super::scale::layouts(),
        super::user::layouts(),
        super::pin::layouts(),
        super::effects::layouts(),
    ]
    .concat()
}

/// Describes a `#[repr(C)]` struct member by member.
macro_rules! layout {
    ($shader:expr, $type:ty as $name:literal { $($member:ident),+ $(,)? }) => {
        $crate::gpu::pipeline::Layout {
            shader: $shader,
            name: $name,
            size: size_of::<$type>(),
            members: vec![$($crate::gpu::pipeline::Member {
                name: stringify!($member),
                offset: std::mem::offset_of!($type, $member),
            }),+],
        }
    };
}
pub(crate) use layout;

pub(crate) fn module(device: &wgpu::Device, source: Source) -> wgpu::ShaderModule {
    device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(source.name),
        source: wgpu::ShaderSource::Wgsl(source.full().into()),
    })
}

/// An entry for a uniform buffer that holds a `T`.
pub(crate) fn uniform<T>(
    binding: u32,
    visibility: wgpu::ShaderStages,
    has_dynamic_offset: bool,
) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility,
        ty: wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Uniform,
            has_dynamic_offset,
            min_binding_size: NonZeroU64::new(size_of::<T>() as u64),
        },
        count: None,
    }
}

/// An entry for a texture that is sampled, or read pixel by pixel.
pub(crate) fn texture(binding: u32, visibility: wgpu::ShaderStages) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility,
        ty: wgpu::BindingType::Texture {
            sample_type: wgpu::TextureSampleType::Float { filterable: true },
            view_dimension: wgpu::TextureViewDimension::D2,
            multisampled: false,
        },
        count: None,
    }
}

/// An entry for a filtering sampler.
pub(crate) fn sampler(binding: u32) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::FRAGMENT,
        ty: wgpu::BindingType::Sampler(wgpu::SamplerBindingType::Filtering),
        count: None,
    }
}

/// What differs between render pipelines.
#[derive(Debug)]
pub(crate) struct Render<'a> {
    pub(crate) label: &'a str,
    pub(crate) module: &'a wgpu::ShaderModule,
    pub(crate) layouts: &'a [Option<&'a wgpu::BindGroupLayout>],
    pub(crate) fragment: &'a str,
    pub(crate) constants: &'a [(&'a str, f64)],
    pub(crate) blend: Option<wgpu::BlendState>,
    pub(crate) space: BlendSpace,
}

impl Render<'_> {
    /// A pipeline that draws strips of four corners into a picture seen in `space`.
    pub(crate) fn build(&self, device: &wgpu::Device) -> wgpu::RenderPipeline {
        let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(self.label),
            bind_group_layouts: self.layouts,
            immediate_size: 0,
        });
        let compilation_options = wgpu::PipelineCompilationOptions { constants: self.constants, ..Default::default() };
        device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some(self.label),
            layout: Some(&layout),
            vertex: wgpu::VertexState {
                module: self.module,
                entry_point: Some("corner"),
                compilation_options: compilation_options.clone(),
                buffers: &[],
            },
            primitive: wgpu::PrimitiveState { topology: wgpu::PrimitiveTopology::TriangleStrip, ..Default::default() },
            depth_stencil: None,
            multisample: wgpu::MultisampleState::default(),
            fragment: Some(wgpu::FragmentState {
                module: self.module,
                entry_point: Some(self.fragment),
                compilation_options,
                targets: &[Some(wgpu::ColorTargetState {
                    format: light::seen_in(self.space),
                    blend: self.blend,
                    write_mask: wgpu::ColorWrites::ALL,
                })],
            }),
            multiview_mask: None,
            cache: None,
        })
    }
}
