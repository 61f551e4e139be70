//! `user.wgsl`: shaders that users wrote.
//!
//! ```text
//!  item ──► find: known? ── yes ──► ready, too slow, or failed
//!                │ no: pending
//!                ▼ ORDERS
//!           gpu-shaders (a thread): pipeline; a few tiles drawn and timed ──► made, taken in by the next frame
//! ```
//!
//! A program ends by itself (see `scene::shader`); how long it takes on this GPU is measured before it is used, and what
//! would take longer than [`BUDGET`] a picture is refused by its layer. Making and measuring may take seconds, so they
//! have a thread; until then the layer is pending. What goes wrong there is that layer's error.

mod workshop;

use std::{sync::Arc, time::Duration};

use self::workshop::Workshop;
use super::{
    Gpu,
    items::{self, Items, Place, Placed},
    pipeline,
    surface::Maker,
};
use crate::{
    media::cache::Cache,
    scene::{
        BlendSpace,
        draw::Shader,
        shader::{PARAMS_MAX, Program, Role, example},
    },
};

pub(crate) const NAME: &str = "user.wgsl";
const LABEL: &str = "gpu.items.user";
/// Longest time that drawing all of an item may take.
const BUDGET: Duration = Duration::from_millis(250);
/// Most programs that are kept.
const PROGRAMS_MAX: u64 = 64;

mod gpu_data {
    use bytemuck::{Pod, Zeroable};

    use super::{PARAMS_MAX, Place};

    /// `User` of `user.wgsl`.
    #[repr(C)]
    #[derive(Debug, Clone, Copy, Pod, Zeroable)]
    pub(crate) struct User {
        pub(crate) place: Place,
        /// Left, top, width, height of the box over which `uv` goes from 0 to 1, in layer pixels.
        pub(crate) area: [f32; 4],
        pub(crate) opacity: f32,
        pub(crate) time: f32,
        pub(crate) progress: f32,
        pub(crate) fuel: u32,
        pub(crate) values: [[f32; 4]; PARAMS_MAX],
    }
}

pub(crate) fn layouts() -> Vec<pipeline::Layout> {
    vec![
        pipeline::layout!("user.wgsl", gpu_data::User as "User" { place, area, opacity, time, progress, fuel, values }),
    ]
}

/// The shader with a text of each role before it, for the tests.
pub(crate) fn sources() -> impl Iterator<Item = (&'static str, String)> {
    Role::ALL.into_iter().map(|role| (NAME, example(role)))
}

/// An item that was written.
#[derive(Debug, Clone)]
pub(crate) struct Draw {
    offset: u32,
    made: Arc<Made>,
}

/// A program on the GPU.
#[derive(Debug)]
pub(crate) struct Made {
    pipeline: wgpu::RenderPipeline,
    /// What a pixel takes, in nanoseconds.
    pixel_ns: f64,
}

impl Made {
    /// Writes an item.
    pub(crate) fn push(self: Arc<Self>, items: &mut Items, placed: Placed, opacity: f32, shader: &Shader) -> Draw {
        Draw { offset: items.push(&written(placed, opacity, shader)), made: self }
    }
}

/// What there is of a program.
#[derive(Debug, Clone)]
enum Slot {
    Pending,
    Ready(Arc<Made>),
    Failed(Arc<str>),
}

/// Why an item is not drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unready {
    /// Its program is being made.
    Pending,
    Failed(Arc<str>),
}

/// Draws what users' shaders say.
#[derive(Debug)]
pub(crate) struct User {
    layout: wgpu::BindGroupLayout,
    slot: wgpu::BindGroup,
    workshop: Workshop,
    programs: Cache<Arc<Program>, Slot>,
}

impl User {
    /// `texture` is the layout of groups 2 and 3.
    pub(crate) fn new(
        gpu: &Arc<Gpu>,
        maker: &Maker,
        texture: &wgpu::BindGroupLayout,
        items: &Items,
        space: BlendSpace,
    ) -> Self {
        let layout = items::layout::<gpu_data::User>(&gpu.device, LABEL);
        let slot = items.bind::<gpu_data::User>(&gpu.device, LABEL, &layout);
        let workshop = Workshop::new(gpu.clone(), maker.clone(), [layout.clone(), texture.clone()], space);
        Self { layout, slot, workshop, programs: Cache::new(PROGRAMS_MAX) }
    }

    /// Follows the items' buffer when it has grown.
    pub(crate) fn rebind(&mut self, device: &wgpu::Device, items: &Items) {
        self.slot = items.bind::<gpu_data::User>(device, LABEL, &self.layout);
    }

    /// Takes in what was made meanwhile.
    pub(crate) fn begin_frame(&mut self) {
        while let Some((program, made)) = self.workshop.take(Duration::ZERO) {
            self.keep(program, made);
        }
        self.programs.trim(u64::MAX);
    }

    /// Waits, at most so long, until the program of `shader` is made or has failed. Blocks: for stills and for rendering
    /// without a clock.
    pub(crate) fn wait(&mut self, shader: &Shader, wait: Duration) {
        while matches!(self.find(shader), Slot::Pending) {
            let Some((program, made)) = self.workshop.take(wait) else { return };
            self.keep(program, made);
        }
    }

    fn keep(&mut self, program: Arc<Program>, made: Result<Made, Arc<str>>) {
        let slot = made.map_or_else(Slot::Failed, |made| Slot::Ready(Arc::new(made)));
        self.programs.insert(program, slot, 1);
    }

    fn find(&mut self, shader: &Shader) -> Slot {
        if let Some(slot) = self.programs.get(&shader.program) {
            return slot.clone();
        }
        match self.workshop.order(shader) {
            Ok(true) => self.programs.insert(shader.program.clone(), Slot::Pending, 1),
            // No room: it is asked for again.
            Ok(false) => {}
            Err(message) => return Slot::Failed(message),
        }
        Slot::Pending
    }

    /// Writes an item of which about so many pixels are seen.
    ///
    /// # Errors
    /// [`Unready`] when there is nothing to draw it with.
    pub(crate) fn push(
        &mut self,
        items: &mut Items,
        placed: Placed,
        opacity: f32,
        shader: &Shader,
        pixels: f64,
    ) -> Result<Draw, Unready> {
        let made = self.ready(shader, pixels)?;
        Ok(made.push(items, placed, opacity, shader))
    }

    /// A program that can be used for about so many pixels.
    ///
    /// # Errors
    /// [`Unready`] when there is none.
    pub(crate) fn ready(&mut self, shader: &Shader, pixels: f64) -> Result<Arc<Made>, Unready> {
        let made = match self.find(shader) {
            Slot::Ready(made) => made,
            Slot::Pending => return Err(Unready::Pending),
            Slot::Failed(message) => return Err(Unready::Failed(message)),
        };
        let takes = Duration::from_nanos((made.pixel_ns * pixels) as u64);
        if takes > BUDGET {
            let message = format!(
                "its shader takes {} ms for {pixels} pixels on this GPU: {} ms are allowed; simplify it, or make the layer \
                 smaller",
                takes.as_millis(),
                BUDGET.as_millis(),
            );
            return Err(Unready::Failed(message.into()));
        }
        Ok(made)
    }

    /// `pictures` are what its program reads: groups 2 and 3, as far as it has them.
    pub(crate) fn draw(&self, pass: &mut wgpu::RenderPass<'_>, draw: &Draw, pictures: &[&wgpu::BindGroup]) {
        pass.set_pipeline(&draw.made.pipeline);
        pass.set_bind_group(1, &self.slot, &[draw.offset]);
        for (&picture, group) in pictures.iter().zip(2..) {
            pass.set_bind_group(group, picture, &[]);
        }
        pass.draw(0..4, 0..1);
    }
}

fn written(Placed { place, .. }: Placed, opacity: f32, shader: &Shader) -> gpu_data::User {
    let mut values = [[0.0; 4]; PARAMS_MAX];
    values.iter_mut().zip(&shader.values).for_each(|(to, from)| *to = *from);
    gpu_data::User {
        place,
        area: [shader.area.x, shader.area.y, shader.area.w, shader.area.h],
        opacity,
        time: shader.time,
        progress: shader.progress,
        fuel: shader.program.fuel(),
        values,
    }
}

#[cfg(test)]
mod tests;
