//! Draws lists of items onto surfaces: the target, and before it the surfaces of the groups on it.
//!
//! ```text
//!  prepare(surface, items)      for each group: prepare(its surface, its items)     deepest first
//!    find      textures of all rasters; what is missing is noted
//!    damage    scene::damage between what is shown and the items; where something was missing or has new pixels;
//!              what changed on the groups' surfaces
//!    floor     what of the lowest items is kept, of those that did not change
//!    plan      the items that the damage touches, each with its bounds and what it hides        ──► a job
//!  record(encoder)              all jobs, in order: for each damaged rectangle a scissor, the ground, and the items from
//!                               the topmost one that hides the rest
//! ```
//!
//! Everything that belongs to one blend space is here: the pipelines, the textures, what surfaces are made with.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    Error,
    blend::{self, Blend},
    device::Gpu,
    effects::{Effects, Needs, Pass, Sheet, Tools},
    floor,
    items::{Items, Placed},
    light,
    matte::{self, Matte},
    pin::{self, Pin},
    raster::{self, Raster},
    shape::{self, Shape},
    solid::{self, Solid},
    surface::{self, Backdrop, Child, Finished, Key, Maker, Shown, Surface},
    textures::{CacheStats, Found, Texture, Textures},
    upload,
    user::{self, Unready, User},
};
use crate::{
    base::{colour::Rgba, id::Id},
    media::Library,
    scene::{
        BlendMode, BlendSpace, LayerError,
        damage::{self, Damage, PixelRect},
        draw::{DrawItem, Effect, Fill, Group, Lay, Outline, Paint, Shader, Shape as ShapeDocument},
        geometry::{Affine, Rect},
    },
};

/// What the surfaces of all groups may occupy, in bytes.
const SURFACE_BYTES_MAX: u64 = 512 << 20;

/// One draw call, where it draws, and where it leaves nothing of what is below.
#[derive(Debug)]
struct Drawn {
    /// Its item's place in the list.
    index: usize,
    draw: Draw,
    bounds: PixelRect,
    cover: Option<PixelRect>,
}

/// The pipeline of a draw call and its slot.
#[derive(Debug)]
enum Draw {
    Solid(solid::Draw),
    Shape(shape::Draw),
    Raster(raster::Draw),
    Blend(blend::Draw),
    User(user::Draw),
    /// With the picture that comes; the one that goes is the backdrop.
    Mixed(user::Draw, Arc<Texture>),
    Matte(matte::Draw),
    Pin(pin::Draw),
}

impl Draw {
    /// Whether it reads what it is drawn on.
    fn reads_backdrop(&self) -> bool {
        matches!(self, Self::Blend(_) | Self::Mixed(..))
    }
}

/// What becomes of an item.
enum Planned {
    /// With the pixels that it covers wholly.
    Draw(Draw, Option<PixelRect>),
    /// Off the surface, clipped away or transparent.
    Unseen,
    /// Its pixels are not there yet.
    Pending,
    Failed(Arc<str>),
    /// This is drawn in its place.
    Instead(Draw, Arc<str>),
}

/// Something to be recorded.
#[derive(Debug)]
enum Work {
    Draw(Box<Job>),
    Effects(Vec<Pass>),
}

/// What is to be drawn on one surface.
#[derive(Debug)]
struct Job {
    texture: wgpu::Texture,
    view: wgpu::TextureView,
    frame: wgpu::BindGroup,
    backdrop: Option<Backdrop>,
    damage: Damage,
    ground: Ground,
    floor: Option<floor::Plan>,
    draws: Vec<Drawn>,
}

/// What is done in a damaged rectangle.
enum Step<'a> {
    /// The ground is drawn.
    Ground(&'a solid::Draw),
    Draw(&'a Drawn),
    /// What is there is kept as the floor.
    Keep(&'a wgpu::Texture),
}

/// What the damaged rectangles start from.
#[derive(Debug)]
enum Ground {
    /// All of the surface is drawn anew.
    Cleared(wgpu::Color),
    /// The rest stays; this is drawn into each rectangle.
    Drawn(solid::Draw),
}

/// Draws onto surfaces. See the module's description.
pub(crate) struct Painter {
    gpu: Arc<Gpu>,
    space: BlendSpace,
    /// Stands for a layer where there is none.
    ground: Id,
    maker: Maker,
    items: Items,
    solid: Solid,
    shape: Shape,
    raster: Raster,
    blend: Blend,
    user: User,
    matte: Matte,
    pin: Pin,
    effects: Effects,
    textures: Textures,
    work: Vec<Work>,
    surface_bytes: u64,
    report: Report,
    frame: u64,
}

/// What came of the last frame.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Layers that could not be drawn, and why.
    pub(crate) problems: Vec<LayerError>,
    /// Whether something was missing because its pixels are still being made.
    pub(crate) is_pending: bool,
    /// Items drawn.
    pub(crate) items: usize,
    /// Items that were not drawn: not seen, or outside the damage.
    pub(crate) culled: usize,
}

impl Painter {
    pub(crate) fn new(gpu: &Arc<Gpu>, library: &Arc<Library>, space: BlendSpace) -> Self {
        let device = &gpu.device;
        let items = Items::new(device);
        let textures = Textures::new(gpu.clone(), library.clone(), space);
        let maker = Maker::new(device, &gpu.queue, space, textures.layout().clone());
        let raster = Raster::new(device, &maker.frame, textures.layout(), &items, space);
        Self {
            gpu: gpu.clone(),
            space,
            ground: Id::new("ground").unwrap_or_else(|_| unreachable!("letters make an id")),
            solid: Solid::new(device, &maker.frame, &items, space),
            shape: Shape::new(device, &maker.frame, &items, space),
            user: User::new(gpu, &maker, textures.layout(), &items, space),
            blend: Blend::new(device, [&maker.frame, raster.layout(), textures.layout()], space),
            matte: Matte::new(device, [&maker.frame, raster.layout(), textures.layout()], space),
            pin: Pin::new(device, [&maker.frame, textures.layout()], &items, space),
            effects: Effects::new(space, textures.layout().clone(), textures.table_layout().clone()),
            raster,
            maker,
            items,
            textures,
            work: Vec::new(),
            surface_bytes: 0,
            report: Report::default(),
            frame: 0,
        }
    }

    /// In which space it mixes colours.
    pub(crate) fn space(&self) -> BlendSpace {
        self.space
    }

    /// A surface to draw on that is nobody's child.
    pub(crate) fn target(&self, size: [u32; 2]) -> Surface {
        self.maker.surface("gpu.target", size)
    }

    /// What came of the last frame.
    pub(crate) fn report(&self) -> &Report {
        &self.report
    }

    /// How full the textures are, and what the surfaces of groups occupy.
    pub(crate) fn cache(&self) -> CacheStats {
        CacheStats { surface_bytes: self.surface_bytes + self.effects.bytes(), ..self.textures.stats() }
    }

    /// A frame begins: what is used from now on is in it.
    pub(crate) fn begin_frame(&mut self) {
        self.frame += 1;
        self.items.clear();
        self.work.clear();
        self.report = Report::default();
        self.textures.begin_frame();
        self.user.begin_frame();
    }

    /// A frame is over, whether anything was drawn or not. Drops what is old or too much.
    pub(crate) fn end_frame(&mut self, target: &mut Surface) {
        self.textures.end_frame();
        target.trim(self.frame);
        self.effects.trim(self.frame);
        self.surface_bytes = target.bytes() - surface::bytes_of(target.size);
    }

    /// Plans what must be drawn for `surface` to show `items` on `background`, or on clear ground. Where that is.
    pub(crate) fn prepare(&mut self, surface: &mut Surface, items: &[DrawItem], background: Option<Rgba>) -> Damage {
        let (mut damage, mut still) = surface.damage(items, background);
        let found = self.find(surface, items, &mut damage, &mut still);
        damage.spread(items, surface.size);
        // Groups are kept as they are; a floor for each of them would take more than it gives.
        let is_target = background.is_some();
        let device = &self.gpu.device;
        let floor = is_target.then(|| surface.floor.plan(device, surface.size, still, &mut damage)).flatten();
        let hidden = floor.as_ref().filter(|floor| floor.kept.is_empty()).map_or(0, |floor| floor.run);
        let (draws, missing) = self.plan(surface, items, found, &damage, hidden);
        if !damage.is_empty() {
            self.add_job(surface, background, &damage, floor, draws);
        }
        surface.shown = Some(Shown { items: items.to_vec(), background, missing });
        damage
    }

    /// What each item is painted with, made if it must be; what has new pixels adds to the damage and is not `still`.
    fn find(
        &mut self,
        surface: &mut Surface,
        items: &[DrawItem],
        damage: &mut Damage,
        still: &mut usize,
    ) -> Vec<Option<Found>> {
        let size = surface.size;
        let mut found = Vec::with_capacity(items.len());
        // How many groups each layer had so far: in takes within takes a scene is there twice.
        let mut groups = HashMap::new();
        for (index, item) in items.iter().enumerate() {
            let mut changed = Damage::none();
            found.push(match &item.paint {
                Paint::Solid(_) | Paint::Shape(_) | Paint::Cut(_) | Paint::Shader(_) => None,
                Paint::Raster { raster, .. } => {
                    let (texture, is_new) = self.textures.find(raster);
                    let bounds = damage::bounds(item, size).filter(|_| is_new);
                    bounds.into_iter().for_each(|rect| changed.add(rect));
                    Some(texture)
                }
                Paint::Group(group) => {
                    let number = groups.entry(&item.layer).and_modify(|number| *number += 1).or_insert(0);
                    Some(self.find_group(surface, (item.layer.clone(), *number), item, group, &mut changed))
                }
            });
            let is_there = !matches!(found[index], Some(Found::Pending | Found::Failed(_)));
            if !is_there || !changed.is_empty() {
                *still = (*still).min(index);
            }
            changed.rects().iter().for_each(|&rect| damage.add(rect));
        }
        found
    }

    /// The surface of a group, with what must be drawn on it planned; where that shows adds to the damage.
    fn find_group(
        &mut self,
        surface: &mut Surface,
        key: Key,
        item: &DrawItem,
        group: &Group,
        damage: &mut Damage,
    ) -> Found {
        let size = surface.size;
        let child = match self.child(surface, key, group.size) {
            Ok(child) => child,
            Err(error) => return Found::Failed(error.to_string().into()),
        };
        let changed = self.prepare(&mut child.surface, &group.items, None);
        let shown = changed.rects().iter().filter_map(|&rect| damage::laid_in(item, rect, size));
        shown.for_each(|rect| damage.add(rect));
        if group.effects.is_empty() {
            child.surface.finished = None;
            return Found::Ready(child.surface.picture.clone());
        }
        let (found, is_new) = self.finish(&mut child.surface, &group.effects, !changed.is_empty());
        if is_new {
            damage::bounds(item, size).into_iter().for_each(|rect| damage.add(rect));
        }
        found
    }

    /// What effects make of a surface, made if it must be, and whether that was for another reason than a change of the
    /// surface.
    fn finish(&mut self, surface: &mut Surface, chain: &[Effect], is_changed: bool) -> (Found, bool) {
        let finished = surface.finished.take();
        let (needs, is_new) = match self.find_needs(chain, surface.size) {
            Ok(tables) => tables,
            Err(found) => return (found, false),
        };
        let is_done = finished.as_ref().is_some_and(|finished| finished.done == chain) && !is_new;
        let sheet = match finished.map_or_else(|| self.group_sheet(surface.size), |finished| Ok(finished.sheet)) {
            Ok(sheet) => sheet,
            Err(error) => return (Found::Failed(error.to_string().into()), false),
        };
        if is_changed || !is_done {
            let (gpu, maker) = (&*self.gpu, &self.maker);
            let frame = &surface.frame;
            let mut tools = Tools { gpu, items: &mut self.items, maker, needs: &needs, frame };
            match self.effects.plan(&mut tools, chain, &surface.picture, &sheet) {
                Ok(passes) => self.work.push(Work::Effects(passes)),
                Err(error) => return (Found::Failed(error.to_string().into()), false),
            }
        }
        let picture = sheet.picture.clone();
        surface.finished = Some(Finished { sheet, done: chain.to_vec() });
        (Found::Ready(picture), !is_done)
    }

    /// The tables and programs of a chain, and whether a table is new; or what is wrong with one.
    fn find_needs(&mut self, chain: &[Effect], size: [u32; 2]) -> Result<(Needs, bool), Found> {
        let mut needs = Needs::default();
        let mut is_new = false;
        for effect in chain {
            match effect {
                Effect::Lut { lut, .. } => match self.textures.find(lut) {
                    (Found::Ready(texture), is_made) => {
                        is_new |= is_made;
                        needs.tables.push(texture);
                    }
                    (missing, _) => return Err(missing),
                },
                Effect::Shader { shader, .. } => {
                    let pixels = f64::from(size[0]) * f64::from(size[1]);
                    let missing = |unready| match unready {
                        Unready::Pending => Found::Pending,
                        Unready::Failed(message) => Found::Failed(message),
                    };
                    needs.programs.push(self.user.ready(shader, pixels).map_err(missing)?);
                }
                Effect::Blur { .. } | Effect::Shadow { .. } | Effect::Grade(_) | Effect::Key(_) => {}
            }
        }
        Ok((needs, is_new))
    }

    fn child<'a>(&mut self, surface: &'a mut Surface, key: Key, size: [u32; 2]) -> Result<&'a mut Child, Error> {
        let old = surface.children.remove(&key).filter(|child| child.surface.size == size);
        let child = match old {
            Some(child) => Child { used: self.frame, ..child },
            None => Child { surface: self.group_surface(size)?, used: self.frame },
        };
        Ok(surface.children.entry(key).insert_entry(child).into_mut())
    }

    fn group_surface(&mut self, size: [u32; 2]) -> Result<Surface, Error> {
        self.budget(size)?;
        self.gpu.scoped("the surface of a group", || self.maker.surface("gpu.group", size))
    }

    fn group_sheet(&mut self, size: [u32; 2]) -> Result<Arc<Sheet>, Error> {
        self.budget(size)?;
        self.gpu.scoped("the surface of a group", || Arc::new(self.maker.sheet("gpu.group.finished", size)))
    }

    /// Room for one more surface of a group.
    fn budget(&mut self, size: [u32; 2]) -> Result<(), Error> {
        let bytes = self.surface_bytes + surface::bytes_of(size);
        if bytes > SURFACE_BYTES_MAX {
            let reason = format!("all groups together would take {} of {} MiB", bytes >> 20, SURFACE_BYTES_MAX >> 20);
            return Err(Error::Create { what: "the surface of a group".into(), reason });
        }
        self.surface_bytes = bytes;
        Ok(())
    }

    /// Turns the items that the damage touches, but for the lowest `hidden` ones, into slots of the items' buffer and a list
    /// of draws; says where something is missing.
    fn plan(
        &mut self,
        surface: &Surface,
        items: &[DrawItem],
        found: Vec<Option<Found>>,
        damage: &Damage,
        hidden: usize,
    ) -> (Vec<Drawn>, Vec<PixelRect>) {
        let mut draws = Vec::with_capacity(items.len());
        let mut missing = Vec::new();
        for (index, (item, found)) in items.iter().zip(found).enumerate().skip(hidden) {
            let Some(bounds) = damage::bounds(item, surface.size) else { continue };
            let is_missing = matches!(found, Some(Found::Pending | Found::Failed(_)));
            if !is_missing && !damage.rects().iter().any(|rect| rect.touches(bounds)) {
                continue;
            }
            match self.plan_item(surface, item, found) {
                Planned::Draw(draw, cover) => draws.push(Drawn { index, draw, bounds, cover }),
                Planned::Unseen => {}
                Planned::Pending => {
                    self.report.is_pending = true;
                    missing.push(bounds);
                }
                Planned::Failed(message) => {
                    self.report.problems.push(LayerError { layer: item.layer.clone(), message });
                    missing.push(bounds);
                }
                Planned::Instead(draw, message) => {
                    self.report.problems.push(LayerError { layer: item.layer.clone(), message });
                    missing.push(bounds);
                    draws.push(Drawn { index, draw, bounds, cover: None });
                }
            }
        }
        self.report.items += draws.len();
        self.report.culled += items.len() - draws.len();
        (draws, missing)
    }

    fn plan_item(&mut self, surface: &Surface, item: &DrawItem, found: Option<Found>) -> Planned {
        let texture = match found {
            Some(Found::Failed(message)) => return Planned::Failed(message),
            Some(Found::Pending) => return Planned::Pending,
            Some(Found::Ready(texture)) => Some(texture),
            None => None,
        };
        match (&item.paint, texture) {
            (Paint::Solid(colour), _) => self.plan_solid(surface, item, item.clip, *colour),
            (Paint::Shape(shape), _) => self.plan_shape(surface, item, shape),
            (Paint::Shader(shader), _) => self.plan_shader(surface, item, shader),
            (Paint::Cut(outline), _) => self.plan_cut(surface, item, outline),
            (Paint::Raster { dest, .. }, Some(texture)) => self.plan_raster(surface, item, texture, *dest),
            (Paint::Group(group), Some(texture)) => self.plan_group(surface, item, texture, group),
            (Paint::Raster { .. } | Paint::Group(_), None) => Planned::Pending,
        }
    }

    fn plan_solid(&mut self, surface: &Surface, item: &DrawItem, clip: Rect, colour: Rgba) -> Planned {
        let placed = Placed::of(item, clip, surface.canvas()).filter(|_| colour.a > 0);
        let Some(placed) = placed else { return Planned::Unseen };
        let cover = cover(surface, item, clip, placed, colour.a == 255);
        Planned::Draw(Draw::Solid(Solid::push(&mut self.items, placed, colour, item.opacity, self.space)), cover)
    }

    fn plan_shape(&mut self, surface: &Surface, item: &DrawItem, shape: &ShapeDocument) -> Planned {
        let sharp_box = shape::sharp_box(shape);
        let clip = sharp_box.map_or(item.clip, |rect| item.clip.intersect(rect));
        if let (Some(_), Some(Fill::Solid(colour))) = (sharp_box, &shape.fill) {
            return self.plan_solid(surface, item, clip, *colour);
        }
        let Some(placed) = Placed::of(item, clip, surface.canvas()) else { return Planned::Unseen };
        match self.shape.push(&self.gpu, &mut self.items, placed, shape, item.opacity) {
            Ok(draw) => Planned::Draw(Draw::Shape(draw), None),
            Err(error) => Planned::Failed(error.to_string().into()),
        }
    }

    fn plan_raster(&mut self, surface: &Surface, item: &DrawItem, texture: Arc<Texture>, dest: Rect) -> Planned {
        let clip = item.clip.intersect(dest);
        let Some(placed) = Placed::of(item, clip, surface.canvas()) else { return Planned::Unseen };
        let cover = cover(surface, item, clip, placed, texture.is_opaque);
        Planned::Draw(Draw::Raster(Raster::push(&mut self.items, placed, item, dest, texture)), cover)
    }

    fn plan_cut(&mut self, surface: &Surface, item: &DrawItem, outline: &Outline) -> Planned {
        let Some(placed) = Placed::of(item, item.clip, surface.canvas()) else { return Planned::Unseen };
        match self.shape.push_cut(&self.gpu, &mut self.items, placed, outline) {
            Ok(draw) => Planned::Draw(Draw::Shape(draw), None),
            Err(error) => Planned::Failed(error.to_string().into()),
        }
    }

    fn plan_group(&mut self, surface: &Surface, item: &DrawItem, texture: Arc<Texture>, group: &Group) -> Planned {
        if group.lay == Lay::Over(BlendMode::Normal) {
            return self.plan_raster(surface, item, texture, group.dest);
        }
        if let Lay::Mixed(shader) = &group.lay {
            return self.plan_mixed(surface, item, texture, group, shader);
        }
        let is_pinned = matches!(group.lay, Lay::Pinned(_));
        let clip = if is_pinned { item.clip } else { item.clip.intersect(group.dest) };
        let Some(placed) = Placed::of(item, clip, surface.canvas()) else { return Planned::Unseen };
        let (gpu, items) = (&self.gpu, &mut self.items);
        let planned = match &group.lay {
            Lay::Pinned(pin) => self.pin.push(gpu, items, placed, (item, group, pin), texture).map(Draw::Pin),
            Lay::Over(mode) => {
                let raster = Raster::push(items, placed, item, group.dest, texture);
                self.blend.of(gpu, raster, *mode).map(Draw::Blend)
            }
            Lay::Matte(matte) => {
                let raster = Raster::push(items, placed, item, group.dest, texture);
                self.matte.of(gpu, raster, *matte).map(Draw::Matte)
            }
            Lay::Mixed(_) => return Planned::Unseen,
        };
        match planned {
            Ok(draw) => Planned::Draw(draw, None),
            Err(error) => Planned::Failed(error.to_string().into()),
        }
    }

    fn plan_shader(&mut self, surface: &Surface, item: &DrawItem, shader: &Shader) -> Planned {
        let clip = item.clip.intersect(shader.area);
        let Some(placed) = Placed::of(item, clip, surface.canvas()) else { return Planned::Unseen };
        let pixels = seen_pixels(surface, item, clip);
        match self.user.push(&mut self.items, placed, item.opacity, shader, pixels) {
            Ok(draw) => Planned::Draw(Draw::User(draw), None),
            Err(Unready::Pending) => Planned::Pending,
            Err(Unready::Failed(message)) => Planned::Failed(message),
        }
    }

    /// Until its program is made what lies below is seen; when that failed, it fades in instead.
    fn plan_mixed(
        &mut self,
        surface: &Surface,
        item: &DrawItem,
        texture: Arc<Texture>,
        group: &Group,
        shader: &Shader,
    ) -> Planned {
        let clip = item.clip.intersect(group.dest);
        let Some(placed) = Placed::of(item, clip, surface.canvas()) else { return Planned::Unseen };
        let pixels = seen_pixels(surface, item, clip);
        match self.user.push(&mut self.items, placed, item.opacity, shader, pixels) {
            Ok(draw) => Planned::Draw(Draw::Mixed(draw, texture), None),
            Err(Unready::Pending) => Planned::Pending,
            Err(Unready::Failed(message)) => {
                let faded = DrawItem { opacity: item.opacity * shader.progress, ..item.clone() };
                let raster = Raster::push(&mut self.items, placed, &faded, group.dest, texture);
                Planned::Instead(Draw::Raster(raster), message)
            }
        }
    }

    /// Waits, at most so long for each, until the shaders among `items` are made or have failed. Blocks.
    pub(crate) fn wait(&mut self, items: &[DrawItem], wait: Duration) {
        for item in items {
            match &item.paint {
                Paint::Shader(shader) => self.user.wait(shader, wait),
                Paint::Group(group) => {
                    self.wait(&group.items, wait);
                    group.shaders().for_each(|shader| self.user.wait(shader, wait));
                }
                Paint::Solid(_) | Paint::Shape(_) | Paint::Cut(_) | Paint::Raster { .. } => {}
            }
        }
    }

    /// All of a surface in one colour, in place of what is there.
    fn plan_ground(&mut self, surface: &Surface, background: Option<Rgba>) -> solid::Draw {
        let clip = surface.canvas();
        let colour = background.map_or(Rgba::CLEAR, |colour| Rgba { a: 255, ..colour });
        let (place, opacity) = (Affine::IDENTITY, 1.0);
        let item = DrawItem { layer: self.ground.clone(), place, clip, opacity, paint: Paint::Solid(colour) };
        let placed = Placed::of(&item, clip, clip).unwrap_or_else(|| unreachable!("all of a surface is seen on it"));
        Solid::push_in_place(&mut self.items, placed, colour, self.space)
    }

    fn add_job(
        &mut self,
        surface: &mut Surface,
        background: Option<Rgba>,
        damage: &Damage,
        floor: Option<floor::Plan>,
        draws: Vec<Drawn>,
    ) {
        let is_whole = damage.rects() == [PixelRect::whole(surface.size)];
        let ground = if is_whole && floor.is_none() {
            Ground::Cleared(light::clear(background, self.space))
        } else {
            Ground::Drawn(self.plan_ground(surface, background))
        };
        if surface.backdrop.is_none() && draws.iter().any(|drawn| drawn.draw.reads_backdrop()) {
            surface.backdrop = Some(self.maker.backdrop(surface.size));
        }
        self.work.push(Work::Draw(Box::new(Job {
            texture: surface.texture.clone(),
            view: surface.view.clone(),
            frame: surface.frame.clone(),
            backdrop: surface.backdrop.clone(),
            damage: *damage,
            ground,
            floor,
            draws,
        })));
    }

    /// Records everything that was planned.
    pub(crate) fn record(&mut self, encoder: &mut wgpu::CommandEncoder) {
        let device = &self.gpu.device;
        if self.items.write(device, &self.gpu.queue) {
            self.solid.rebind(device, &self.items);
            self.shape.rebind(device, &self.items);
            self.raster.rebind(device, &self.items);
            self.user.rebind(device, &self.items);
            self.pin.rebind(device, &self.items);
            self.effects.rebind(device, &self.items);
        }
        for work in std::mem::take(&mut self.work) {
            match work {
                Work::Draw(job) => self.record_job(encoder, &job),
                Work::Effects(passes) => self.effects.record(encoder, &self.user, &passes),
            }
        }
    }

    fn record_job(&self, encoder: &mut wgpu::CommandEncoder, job: &Job) {
        let load = match &job.ground {
            Ground::Cleared(colour) => wgpu::LoadOp::Clear(*colour),
            Ground::Drawn(_) => wgpu::LoadOp::Load,
        };
        if let Some(floor) = &job.floor {
            floor.restored.iter().for_each(|&rect| copy(encoder, &floor.texture, &job.texture, rect));
        }
        let mut pass = begin(encoder, job, load);
        for &rect in job.damage.rects() {
            scissor(&mut pass, rect);
            for step in job.steps(rect) {
                let drawn = match step {
                    Step::Draw(drawn) => drawn,
                    Step::Ground(ground) => {
                        self.solid.draw(&mut pass, ground);
                        continue;
                    }
                    Step::Keep(floor) => {
                        drop(pass);
                        copy(encoder, &job.texture, floor, rect);
                        pass = begin(encoder, job, wgpu::LoadOp::Load);
                        scissor(&mut pass, rect);
                        continue;
                    }
                };
                if let Some(backdrop) = job.backdrop.as_ref().filter(|_| drawn.draw.reads_backdrop()) {
                    drop(pass);
                    copy(encoder, &job.texture, &backdrop.texture, rect);
                    pass = begin(encoder, job, wgpu::LoadOp::Load);
                    scissor(&mut pass, rect);
                }
                match (&drawn.draw, &job.backdrop) {
                    (Draw::Solid(draw), _) => self.solid.draw(&mut pass, draw),
                    (Draw::Shape(draw), _) => self.shape.draw(&mut pass, draw),
                    (Draw::Raster(draw), _) => self.raster.draw(&mut pass, draw),
                    (Draw::User(draw), _) => self.user.draw(&mut pass, draw, &[]),
                    (Draw::Matte(draw), _) => self.matte.draw(&mut pass, self.raster.slots(), draw),
                    (Draw::Pin(draw), _) => self.pin.draw(&mut pass, draw),
                    (Draw::Blend(draw), Some(backdrop)) => {
                        self.blend.draw(&mut pass, self.raster.slots(), &backdrop.group, draw);
                    }
                    (Draw::Mixed(draw, next), Some(backdrop)) => {
                        self.user.draw(&mut pass, draw, &[&backdrop.group, &next.group]);
                    }
                    (Draw::Blend(_) | Draw::Mixed(..), None) => {}
                }
            }
        }
    }
}

impl Job {
    /// What is done in a damaged rectangle, in order.
    fn steps(&self, rect: PixelRect) -> Vec<Step<'_>> {
        let mut steps = Vec::with_capacity(self.draws.len() + 2);
        let Some(floor) = &self.floor else {
            self.add_steps(&mut steps, rect, &self.draws, true);
            return steps;
        };
        let (below, above) = self.draws.split_at(self.draws.partition_point(|drawn| drawn.index < floor.run));
        if floor.kept.contains(&rect) {
            self.add_steps(&mut steps, rect, below, true);
            steps.push(Step::Keep(&floor.texture));
        }
        self.add_steps(&mut steps, rect, above, false);
        steps
    }

    /// Draws on the ground, or on what is there: from the topmost one that hides everything below it.
    fn add_steps<'a>(&'a self, steps: &mut Vec<Step<'a>>, rect: PixelRect, draws: &'a [Drawn], is_on_ground: bool) {
        let hides = |drawn: &Drawn| drawn.cover.is_some_and(|cover| cover.contains(rect));
        let hider = draws.iter().rposition(hides);
        if let (true, None, Ground::Drawn(ground)) = (is_on_ground, hider, &self.ground) {
            steps.push(Step::Ground(ground));
        }
        let seen = draws[hider.unwrap_or(0)..].iter().filter(|drawn| drawn.bounds.touches(rect));
        steps.extend(seen.map(Step::Draw));
    }
}

fn begin<'a>(
    encoder: &'a mut wgpu::CommandEncoder,
    job: &Job,
    load: wgpu::LoadOp<wgpu::Color>,
) -> wgpu::RenderPass<'a> {
    let mut pass = upload::begin(encoder, "gpu.items", &job.view, load);
    pass.set_bind_group(0, &job.frame, &[]);
    pass
}

fn scissor(pass: &mut wgpu::RenderPass<'_>, rect: PixelRect) {
    pass.set_scissor_rect(rect.left, rect.top, rect.right - rect.left, rect.bottom - rect.top);
}

/// Copies the pixels of `rect` to the same place of a texture of the same size.
fn copy(encoder: &mut wgpu::CommandEncoder, from: &wgpu::Texture, to: &wgpu::Texture, rect: PixelRect) {
    let origin = wgpu::Origin3d { x: rect.left, y: rect.top, z: 0 };
    let (mut from, mut to) = (from.as_image_copy(), to.as_image_copy());
    (from.origin, to.origin) = (origin, origin);
    let (width, height) = (rect.right - rect.left, rect.bottom - rect.top);
    encoder.copy_texture_to_texture(from, to, wgpu::Extent3d { width, height, depth_or_array_layers: 1 });
}

/// About how many pixels of a surface an item colours.
fn seen_pixels(surface: &Surface, item: &DrawItem, clip: Rect) -> f64 {
    let seen = item.place.bounds_of(clip).intersect(surface.canvas());
    (f64::from(seen.w) * f64::from(seen.h)).ceil()
}

/// The pixels of which an item leaves nothing below it.
fn cover(surface: &Surface, item: &DrawItem, clip: Rect, placed: Placed, is_opaque: bool) -> Option<PixelRect> {
    let is_cover = is_opaque && placed.is_aligned && item.opacity >= 1.0;
    let bounds = is_cover.then(|| item.place.bounds_of(clip))?;
    // Aligned edges lie on pixel borders but for rounding, which `around` must not take for another pixel.
    let [left, top, right, bottom] = [bounds.x, bounds.y, bounds.right(), bounds.bottom()].map(f32::round);
    PixelRect::around(Rect::new(left, top, right - left, bottom - top), surface.size)
}
