//! The thread that makes programs and measures them, one after the other.
//!
//! A tile of 8 x 8 pixels is drawn first, which also makes the driver compile what it put off; then one of 64, then one of
//! 256, as long as they are quick. They show the whole layer, smaller. What a pixel takes is the difference of the largest
//! to the smallest, so that the cost of a submission does not count; of some tries the quickest does, for other work of the
//! machine only adds. The counter of a program bounds the first tile, and each tile the next one.

use std::{
    sync::{
        Arc, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

use super::{LABEL, Made, gpu_data, written};
use crate::{
    base::{
        clock::{Clock, SystemClock},
        id::Id,
    },
    gpu::{
        Error, Gpu,
        items::Placed,
        pipeline::Render,
        surface::{Maker, Surface},
        upload,
    },
    scene::{
        BlendSpace,
        draw::{DrawItem, Paint, Shader},
        geometry::{Affine, Rect},
        shader::{Program, Role},
    },
};

/// Programs that wait to be made; more are ordered again on the next frame.
const ORDERS: usize = 16;
/// How long a tile may take, the driver's compiling included.
const WAIT: Duration = Duration::from_secs(10);
/// Sides of the tiles in pixels.
const SIDES: [u32; 3] = [8, 64, 256];
/// A tile that took longer than this is large enough to know.
const TELLING: Duration = Duration::from_millis(10);
const TRIES: usize = 3;

type Result<T> = std::result::Result<T, Arc<str>>;

/// What came of an order.
type Outcome = (Arc<Program>, Result<Made>);

/// Where programs are made.
#[derive(Debug)]
pub(super) struct Workshop {
    bench: Arc<Bench>,
    /// Once something was ordered.
    thread: Option<(SyncSender<Shader>, Receiver<Outcome>)>,
    in_work: usize,
}

impl Workshop {
    /// `layouts` are those of groups 1 and 2.
    pub(super) fn new(gpu: Arc<Gpu>, maker: Maker, layouts: [wgpu::BindGroupLayout; 2], space: BlendSpace) -> Self {
        Self { bench: Arc::new(Bench { gpu, maker, layouts, space }), thread: None, in_work: 0 }
    }

    /// Orders the program of `shader`, to be measured with its values. False when too many are waiting.
    pub(super) fn order(&mut self, shader: &Shader) -> Result<bool> {
        let (orders, _) = match &mut self.thread {
            Some(thread) => thread,
            none => none.insert(open(self.bench.clone())?),
        };
        match orders.try_send(shader.clone()) {
            Ok(()) => {
                self.in_work += 1;
                Ok(true)
            }
            Err(TrySendError::Full(_)) => Ok(false),
            Err(TrySendError::Disconnected(_)) => Err("the thread that makes shaders has ended".into()),
        }
    }

    /// What is made by now, or within `wait`.
    pub(super) fn take(&mut self, wait: Duration) -> Option<Outcome> {
        let (_, made) = self.thread.as_ref().filter(|_| self.in_work > 0)?;
        let outcome = made.recv_timeout(wait).ok()?;
        self.in_work -= 1;
        Some(outcome)
    }
}

/// The thread ends when its orders do; nobody waits for it, for a driver may take long over the last one.
fn open(bench: Arc<Bench>) -> Result<(SyncSender<Shader>, Receiver<Outcome>)> {
    let (orders, waiting) = sync_channel::<Shader>(ORDERS);
    // As many as can be ordered and one in work, so that the thread never waits here.
    let (finished, outcomes) = sync_channel(ORDERS + 1);
    let work = move || {
        for shader in waiting {
            let made = bench.make(&shader).map_err(|error| error.to_string().into());
            if finished.send((shader.program, made)).is_err() {
                return;
            }
        }
    };
    let spawned = thread::Builder::new().name("gpu-shaders".into()).spawn(work);
    spawned.map(|_| (orders, outcomes)).map_err(|error| format!("the thread that makes shaders: {error}").into())
}

/// What programs are made and measured with.
#[derive(Debug)]
struct Bench {
    gpu: Arc<Gpu>,
    maker: Maker,
    layouts: [wgpu::BindGroupLayout; 2],
    space: BlendSpace,
}

/// A program's pipeline, and what its tiles are drawn with.
struct Tile<'a> {
    gpu: &'a Gpu,
    pipeline: wgpu::RenderPipeline,
    surface: Surface,
    /// Stands for the pictures that it reads.
    picture: Surface,
    uniform: wgpu::Buffer,
    slot: wgpu::BindGroup,
    clock: SystemClock,
}

impl Bench {
    fn make(&self, shader: &Shader) -> std::result::Result<Made, Error> {
        self.gpu.check()?;
        let _alone = self.gpu.stopwatch.lock().unwrap_or_else(PoisonError::into_inner);
        let tile = self.gpu.scoped("the pipeline of a shader", || self.tile(shader))?;
        let measured = self.gpu.scoped("a tile of a shader", || tile.measure(shader)).flatten()?;
        Ok(Made { pipeline: tile.pipeline, pixel_ns: measured })
    }

    fn tile(&self, shader: &Shader) -> Tile<'_> {
        let device = &self.gpu.device;
        let uniform = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(LABEL),
            size: size_of::<gpu_data::User>() as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let slot = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(LABEL),
            layout: &self.layouts[0],
            entries: &[wgpu::BindGroupEntry { binding: 0, resource: uniform.as_entire_binding() }],
        });
        let side = SIDES[SIDES.len() - 1];
        Tile {
            gpu: &self.gpu,
            pipeline: self.pipeline(&shader.program),
            surface: self.maker.surface(LABEL, [side; 2]),
            picture: self.maker.surface(LABEL, [side; 2]),
            uniform,
            slot,
            clock: SystemClock::new(),
        }
    }

    fn pipeline(&self, program: &Program) -> wgpu::RenderPipeline {
        let module = self.gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(LABEL),
            source: wgpu::ShaderSource::Naga(std::borrow::Cow::Owned(program.module().clone())),
        });
        let [item, texture] = &self.layouts;
        let layouts = [Some(&self.maker.frame), Some(item), Some(texture), Some(texture)];
        let pictures = pictures_of(program.code().role);
        Render {
            label: LABEL,
            module: &module,
            layouts: &layouts[..2 + pictures],
            fragment: "paint",
            constants: &[("is_linear", f64::from(u8::from(self.space == BlendSpace::Linear)))],
            blend: Some(wgpu::BlendState::PREMULTIPLIED_ALPHA_BLENDING),
            space: self.space,
        }
        .build(&self.gpu.device)
    }
}

/// How many pictures a program reads.
fn pictures_of(role: Role) -> usize {
    match role {
        Role::Content => 0,
        Role::Effect => 1,
        Role::Transition => 2,
    }
}

impl Tile<'_> {
    /// Nanoseconds that a pixel takes.
    fn measure(&self, shader: &Shader) -> std::result::Result<f64, Error> {
        let [small, ..] = SIDES;
        // The first one makes the driver compile.
        self.draw(shader, small)?;
        let base = self.quickest(shader, small)?;
        let (mut side, mut took) = (small, base);
        for larger in &SIDES[1..] {
            if took > TELLING {
                break;
            }
            (side, took) = (*larger, self.quickest(shader, *larger)?);
        }
        let pixels = |side: u32| f64::from(side * side);
        let ns = |span: Duration| span.as_nanos() as f64;
        Ok(if side == small {
            ns(took) / pixels(side)
        } else {
            ns(took.saturating_sub(base)) / (pixels(side) - pixels(small))
        })
    }

    fn quickest(&self, shader: &Shader, side: u32) -> std::result::Result<Duration, Error> {
        let mut quickest = self.draw(shader, side)?;
        for _ in 1..TRIES {
            quickest = quickest.min(self.draw(shader, side)?);
        }
        Ok(quickest)
    }

    /// Draws all of the layer into a square of this side and waits for it.
    fn draw(&self, shader: &Shader, side: u32) -> std::result::Result<Duration, Error> {
        let placed = placed(shader, side, self.surface.canvas())
            .ok_or(Error::Create { what: "a tile of a shader".into(), reason: "its layer has no size".into() })?;
        let start = self.clock.now();
        self.gpu.queue.write_buffer(&self.uniform, 0, bytemuck::bytes_of(&written(placed, 1.0, shader)));
        let mut encoder =
            self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some(LABEL) });
        let clear = wgpu::LoadOp::Clear(wgpu::Color::TRANSPARENT);
        let mut pass = upload::begin(&mut encoder, LABEL, &self.surface.view, clear);
        pass.set_bind_group(0, &self.surface.frame, &[]);
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(1, &self.slot, &[0]);
        for group in 0..pictures_of(shader.program.code().role) as u32 {
            pass.set_bind_group(2 + group, &self.picture.picture.group, &[]);
        }
        pass.draw(0..4, 0..1);
        drop(pass);
        let submission = self.gpu.queue.submit([encoder.finish()]);
        match self.gpu.wait(&submission, WAIT)? {
            true => Ok(self.clock.now().saturating_sub(start)),
            false => Err(Error::Timeout { after_ms: WAIT.as_millis() as u64 }),
        }
    }
}

/// The layer's box, as a square of this side.
fn placed(shader: &Shader, side: u32, canvas: Rect) -> Option<Placed> {
    let area = shader.area;
    let (a, d) = (side as f32 / area.w, side as f32 / area.h);
    let place = Affine { a, b: 0.0, c: 0.0, d, e: -area.x * a, f: -area.y * d };
    let layer = Id::new("tile").ok()?;
    let item = DrawItem { layer, place, clip: area, opacity: 1.0, paint: Paint::Shader(Arc::new(shader.clone())) };
    Placed::of(&item, area, canvas)
}
