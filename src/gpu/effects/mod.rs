//! The effects of a group: passes from the surface with all its items to the sheet that is laid in.
//!
//! ```text
//!  surface ──► grade ──► sheet ──► blur: halve, halve, along rows, along columns, enlarge ──► finished
//!                        (pool)                    (pool, smaller each)                       (kept with the surface)
//! ```
//!
//! A chain is run when its surface or its values changed, on the whole surface. Each pass makes all of one texture from
//! one or two others. What lies between is borrowed from a pool: in the steady state nothing is made. A new effect is a
//! shader in `shaders/` that is put behind `effects.wgsl`, a module here with its slot and its [`Program`], an entry of
//! [`PROGRAMS`], and an arm of [`Effects::plan_step`].

mod blur;
mod grade;
mod key;
mod lut;
mod shadow;
mod sheet;

use std::{collections::HashMap, sync::Arc};

use bytemuck::Pod;

pub(crate) use self::{
    lut::{Table, table, table_layout},
    sheet::{Sheet, Sheets},
};
use super::{
    Error,
    device::Gpu,
    items::{self, Items, Placed},
    pipeline::{self, Render, Source},
    textures::Texture,
    upload,
    user::{self, User},
};
use crate::scene::{BlendSpace, draw::Effect, geometry::Rect};

/// The sources of all effects, for the tests.
pub(crate) const SOURCES: [Source; 6] = [
    Source { name: "effects.wgsl", uses_common: false, text: include_str!("../../../shaders/effects.wgsl") },
    blur::PROGRAM.source,
    shadow::PROGRAM.source,
    grade::PROGRAM.source,
    key::PROGRAM.source,
    lut::PROGRAM.source,
];

const PROGRAMS: [&Program; 5] = [&blur::PROGRAM, &shadow::PROGRAM, &grade::PROGRAM, &key::PROGRAM, &lut::PROGRAM];

pub(crate) fn layouts() -> Vec<pipeline::Layout> {
    [blur::layouts(), shadow::layouts(), grade::layouts(), key::layouts(), lut::layouts()].concat()
}

/// What is known of a shader before there is a GPU.
#[derive(Debug)]
pub(crate) struct Program {
    label: &'static str,
    source: Source,
    second: Second,
    slots: fn(&wgpu::Device, &str) -> wgpu::BindGroupLayout,
    bind: fn(&Items, &wgpu::Device, &str, &wgpu::BindGroupLayout) -> wgpu::BindGroup,
}

/// What a pass reads beside its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Second {
    Nothing,
    Picture,
    Table,
}

impl Program {
    /// `T` is what a pass of it finds in its slot.
    const fn new<T: Pod>(label: &'static str, source: Source, second: Second) -> Self {
        Self { label, source, second, slots: items::layout::<T>, bind: Items::bind::<T> }
    }
}

/// A program on the GPU.
#[derive(Debug)]
struct Loaded {
    module: wgpu::ShaderModule,
    slots: wgpu::BindGroupLayout,
    slot: wgpu::BindGroup,
    /// By entry point.
    pipelines: HashMap<&'static str, wgpu::RenderPipeline>,
}

/// One draw call: all of one texture.
#[derive(Debug)]
pub(crate) struct Pass {
    run: Run,
    source: Arc<Texture>,
    target: wgpu::TextureView,
}

/// What a pass is drawn with.
#[derive(Debug)]
enum Run {
    Own {
        program: &'static str,
        entry: &'static str,
        offset: u32,
        second: Option<wgpu::BindGroup>,
    },
    /// A user's shader, with its group 0.
    User {
        draw: user::Draw,
        frame: wgpu::BindGroup,
    },
}

/// Runs chains of effects. See the module's description.
#[derive(Debug)]
pub(crate) struct Effects {
    space: BlendSpace,
    picture: wgpu::BindGroupLayout,
    table: wgpu::BindGroupLayout,
    programs: HashMap<&'static str, Loaded>,
    sheets: Sheets,
}

/// What the effects of a chain need, in their order.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    /// One for each look-up.
    pub(crate) tables: Vec<Arc<Texture>>,
    /// One for each user's shader.
    pub(crate) programs: Vec<Arc<user::Made>>,
}

/// What a chain is planned with.
pub(crate) struct Tools<'a> {
    pub(crate) gpu: &'a Gpu,
    pub(crate) items: &'a mut Items,
    pub(crate) maker: &'a super::surface::Maker,
    /// What the chain needs.
    pub(crate) needs: &'a Needs,
    /// Group 0 for what draws on surfaces of its size.
    pub(crate) frame: &'a wgpu::BindGroup,
}

impl Effects {
    /// `picture` and `table` are the layouts of a texture and of a table of colours.
    pub(crate) fn new(space: BlendSpace, picture: wgpu::BindGroupLayout, table: wgpu::BindGroupLayout) -> Self {
        Self { space, picture, table, programs: HashMap::new(), sheets: Sheets::default() }
    }

    /// Bytes of the textures between passes.
    pub(crate) fn bytes(&self) -> u64 {
        self.sheets.bytes()
    }

    /// Drops textures that no chain has used for long.
    pub(crate) fn trim(&mut self, frame: u64) {
        self.sheets.trim(frame);
    }

    /// Follows the items' buffer when it has grown.
    pub(crate) fn rebind(&mut self, device: &wgpu::Device, items: &Items) {
        for program in PROGRAMS {
            if let Some(loaded) = self.programs.get_mut(program.source.name) {
                loaded.slot = (program.bind)(items, device, program.label, &loaded.slots);
            }
        }
    }

    /// The passes that make `finished` of `surface`, both of one size.
    ///
    /// # Errors
    /// [`Error::Create`] when a pipeline or a texture cannot be made.
    pub(crate) fn plan(
        &mut self,
        tools: &mut Tools<'_>,
        chain: &[Effect],
        surface: &Arc<Texture>,
        finished: &Arc<Sheet>,
    ) -> Result<Vec<Pass>, Error> {
        let mut passes = Vec::new();
        let mut tables = tools.needs.tables.iter().cloned();
        let mut programs = tools.needs.programs.iter().cloned();
        let mut from: Option<Arc<Sheet>> = None;
        for (i, effect) in chain.iter().enumerate() {
            let is_last = i + 1 == chain.len();
            let to = if is_last { finished.clone() } else { self.sheets.take(tools, surface.size)? };
            let source = from.as_ref().map_or(surface, |sheet| &sheet.picture).clone();
            self.plan_step(tools, effect, &source, &to, (&mut tables, &mut programs), &mut passes)?;
            // Passes run in order, so what was read may be written by the next ones.
            from.replace(to).into_iter().for_each(|sheet| self.sheets.give(sheet));
        }
        Ok(passes)
    }

    fn plan_step(
        &mut self,
        tools: &mut Tools<'_>,
        effect: &Effect,
        source: &Arc<Texture>,
        to: &Arc<Sheet>,
        (tables, programs): (&mut impl Iterator<Item = Arc<Texture>>, &mut impl Iterator<Item = Arc<user::Made>>),
        passes: &mut Vec<Pass>,
    ) -> Result<(), Error> {
        let pass = match effect {
            Effect::Blur { sigma } => return self.plan_blur(tools, source, to, *sigma, passes),
            &Effect::Shadow { offset, sigma, colour, strength } => {
                let blurred = self.plan_blurred(tools, source, sigma, passes)?;
                let picture = blurred.sheet.as_ref().map_or(source, |sheet| &sheet.picture);
                let second = Some(picture.group.clone());
                let slot = shadow::slot(colour, offset, blurred.rate, strength, self.space);
                let pass = self.pass(tools, (&shadow::PROGRAM, "shade"), &slot, source, second, to)?;
                blurred.sheet.into_iter().for_each(|sheet| self.sheets.give(sheet));
                pass
            }
            Effect::Grade(grade) => {
                self.pass(tools, (&grade::PROGRAM, "grade"), &grade::slot(grade), source, None, to)?
            }
            Effect::Key(key) => {
                let (entry, slot) = key::slot(*key);
                self.pass(tools, (&key::PROGRAM, entry), &slot, source, None, to)?
            }
            Effect::Lut { amount, .. } => {
                let found = tables.next().and_then(|texture| texture.table.map(|table| (texture, table)));
                let (texture, table) = found.unwrap_or_else(|| unreachable!("each look-up has its table"));
                let slot = lut::slot(table, *amount);
                self.pass(tools, (&lut::PROGRAM, "look_up"), &slot, source, Some(texture.group.clone()), to)?
            }
            Effect::Shader { shader, place } => {
                let made = programs.next().unwrap_or_else(|| unreachable!("each shader has its program"));
                let whole = Rect::at_origin(source.size.map(|side| side as f32));
                let Some(placed) = Placed::over(*place, whole) else { return Ok(()) };
                let draw = made.push(tools.items, placed, 1.0, shader);
                let run = Run::User { draw, frame: tools.frame.clone() };
                Pass { run, source: source.clone(), target: to.view.clone() }
            }
        };
        passes.push(pass);
        Ok(())
    }

    /// Writes the slot of a pass whose pipeline is made if it must be.
    fn pass<T: Pod>(
        &mut self,
        tools: &mut Tools<'_>,
        (program, entry): (&'static Program, &'static str),
        slot: &T,
        source: &Arc<Texture>,
        second: Option<wgpu::BindGroup>,
        to: &Sheet,
    ) -> Result<Pass, Error> {
        self.load(tools, program, entry)?;
        let (offset, target) = (tools.items.push(slot), to.view.clone());
        let run = Run::Own { program: program.source.name, entry, offset, second };
        Ok(Pass { run, source: source.clone(), target })
    }

    fn load(&mut self, tools: &Tools<'_>, program: &'static Program, entry: &'static str) -> Result<(), Error> {
        let name = program.source.name;
        let is_there = self.programs.get(name).is_some_and(|loaded| loaded.pipelines.contains_key(entry));
        if is_there {
            return Ok(());
        }
        let device = &tools.gpu.device;
        tools.gpu.scoped("the pipeline of an effect", || {
            let loaded = self.programs.entry(name).or_insert_with(|| {
                let slots = (program.slots)(device, program.label);
                let slot = (program.bind)(tools.items, device, program.label, &slots);
                let module = pipeline::module(device, program.source);
                Loaded { module, slots, slot, pipelines: HashMap::new() }
            });
            let second = match program.second {
                Second::Nothing => None,
                Second::Picture => Some(&self.picture),
                Second::Table => Some(&self.table),
            };
            let layouts = [Some(&loaded.slots), Some(&self.picture), second];
            let made = Render {
                label: program.label,
                module: &loaded.module,
                layouts: &layouts[..2 + usize::from(second.is_some())],
                fragment: entry,
                constants: &[("is_linear", f64::from(u8::from(self.space == BlendSpace::Linear)))],
                blend: None,
                space: self.space,
            }
            .build(device);
            loaded.pipelines.insert(entry, made);
        })
    }

    /// Records passes, in order.
    pub(crate) fn record(&self, encoder: &mut wgpu::CommandEncoder, user: &User, passes: &[Pass]) {
        for pass in passes {
            let clear = wgpu::LoadOp::Clear(wgpu::Color::TRANSPARENT);
            let mut render = upload::begin(encoder, "gpu.effects", &pass.target, clear);
            match &pass.run {
                Run::Own { program, entry, offset, second } => {
                    self.draw(&mut render, (program, entry), *offset, &pass.source, second.as_ref());
                }
                Run::User { draw, frame } => {
                    render.set_bind_group(0, frame, &[]);
                    user.draw(&mut render, draw, &[&pass.source.group]);
                }
            }
        }
    }

    fn draw(
        &self,
        render: &mut wgpu::RenderPass<'_>,
        (program, entry): (&str, &str),
        offset: u32,
        source: &Texture,
        second: Option<&wgpu::BindGroup>,
    ) {
        let Some(loaded) = self.programs.get(program) else { return };
        let Some(pipeline) = loaded.pipelines.get(entry) else { return };
        render.set_pipeline(pipeline);
        render.set_bind_group(0, &loaded.slot, &[offset]);
        render.set_bind_group(1, &source.group, &[]);
        if let Some(second) = second {
            render.set_bind_group(2, second, &[]);
        }
        render.draw(0..4, 0..1);
    }
}
