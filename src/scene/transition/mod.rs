//! Transitions: how one scene follows another on air.
//!
//! ```text
//!  startMs                                   startMs + durationMs
//!     |------- easing: 0 ... 1 ------------------|
//!   `from` alone                               `to` alone
//! ```
//!
//! A [`Take`] is data: what was on air, what follows, how, and when it began on the stream's time elapsed. What a frame
//! shows of it follows from the time alone, so any frame can be asked for in any order, and nobody has to end it: when its
//! time is over it is `to`. `from` may be a take that is under way, which goes on below the one that interrupts it; so an
//! interruption does not jump.
//!
//! Not here: what is heard (`audibility`).

mod plan;
mod shader;
mod wipe;

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;
use utoipa::{PartialSchema, ToSchema};

pub(super) use self::plan::Studio;
pub use self::{
    shader::Shader,
    wipe::{LumaWipe, Wipe, WipeShape},
};
use super::{
    Content, Easing, Layer,
    check::{self, Check, Problem, Problems},
};
use crate::base::{
    colour::Rgba,
    id::Id,
    schema::{self, written_as},
};

/// How many takes may be under way within each other. Of one more, the innermost, of which least is seen, is over at once.
pub const TAKES_MAX: usize = 4;
/// How long a transition takes, in milliseconds.
const DURATIONS_MS: RangeInclusive<f64> = 1.0..=60_000.0;
/// Unless the document says so; a stinger's must.
const DURATION_DEFAULT_MS: u32 = 500;
/// Some 31 years: the latest start, in milliseconds.
const START_MAX_MS: f64 = 1e12;

/// What is on air.
#[derive(Debug, Clone, PartialEq)]
pub enum OnAir {
    /// A scene.
    Scene(Id),
    /// A scene that follows on what was on air.
    Take(Box<Take>),
}

/// A transition under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Take {
    /// What was on air when it began.
    pub from: OnAir,
    /// The scene that follows.
    pub to: Id,
    /// How.
    pub transition: Arc<Transition>,
    /// The stream's time elapsed at which it began, in milliseconds.
    pub start_ms: u64,
}

impl Take {
    /// When it is over, on the stream's time elapsed.
    pub fn end(&self) -> Duration {
        Duration::from_millis(self.start_ms.saturating_add(self.transition.duration_ms.into()))
    }

    fn start(&self) -> Duration {
        Duration::from_millis(self.start_ms)
    }

    /// How far it is at `elapsed`, 0 to 1 as eased; `None` when it is over.
    pub(super) fn progress(&self, elapsed: Duration) -> Option<f64> {
        if elapsed >= self.end() {
            return None;
        }
        let passed = elapsed.saturating_sub(self.start()).as_secs_f64();
        let share = passed / self.end().saturating_sub(self.start()).as_secs_f64();
        Some(self.transition.easing.at(share).clamp(0.0, 1.0))
    }
}

impl OnAir {
    /// The scene that stays when all takes are over.
    pub fn target(&self) -> &Id {
        match self {
            Self::Scene(id) => id,
            Self::Take(take) => &take.to,
        }
    }

    /// The scenes of which something is or will be seen, the target first.
    pub fn scenes(&self) -> Vec<&Id> {
        let mut scenes = vec![self.target()];
        let mut on_air = self;
        while let Self::Take(take) = on_air {
            on_air = &take.from;
            scenes.push(on_air.target());
        }
        scenes
    }

    /// The same at `elapsed`, without the takes that are over by then.
    #[must_use]
    pub fn settled(&self, elapsed: Duration) -> Self {
        match self {
            Self::Take(take) if elapsed < take.end() => {
                Self::Take(Box::new(Take { from: take.from.settled(elapsed), ..(**take).clone() }))
            }
            on_air => Self::Scene(on_air.target().clone()),
        }
    }

    /// What is on air when, at `start`, a take to the scene `to` interrupts it.
    #[must_use]
    pub fn taking(&self, to: Id, transition: Arc<Transition>, start: Duration) -> Self {
        if transition.duration_ms == 0 {
            return Self::Scene(to);
        }
        let mut from = self.settled(start);
        from.limit(TAKES_MAX - 1);
        // Down to whole milliseconds, so that no frame before `start` is within it.
        let start_ms = u64::try_from(start.as_millis()).unwrap_or(u64::MAX);
        Self::Take(Box::new(Take { from, to, transition, start_ms }))
    }

    /// Ends all takes but the outermost `count`.
    fn limit(&mut self, count: usize) {
        match (self, count) {
            (on_air @ Self::Take(_), 0) => *on_air = Self::Scene(on_air.target().clone()),
            (Self::Take(take), count) => take.from.limit(count - 1),
            (Self::Scene(_), _) => {}
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TakeDocument {
    /// What was on air when it began.
    #[schema(value_type = OnAir, no_recursion)]
    from: Value,
    /// The scene that follows.
    to: Id,
    /// How.
    #[schema(value_type = Transition)]
    transition: Value,
    /// The stream's time elapsed at which it began, in milliseconds.
    start_ms: u64,
}

impl PartialSchema for OnAir {
    fn schema() -> schema::Written {
        schema::of(serde_json::json!({
            "description": "What is on air: the id of a scene, or a take that is under way.",
            "oneOf": [{ "$ref": "#/components/schemas/Id" }, { "$ref": "#/components/schemas/Take" }]
        }))
    }
}

impl ToSchema for OnAir {
    fn schemas(schemas: &mut schema::Named) {
        schemas.push(("Take".into(), TakeDocument::schema()));
        TakeDocument::schemas(schemas);
    }
}

impl OnAir {
    /// Reads what is on air: the id of a scene, or a take.
    pub(super) fn read(value: Value) -> Result<Self, Problems> {
        Self::read_within(value, TAKES_MAX)
    }

    fn read_within(value: Value, takes: usize) -> Result<Self, Problems> {
        if !value.is_object() {
            return check::read(value).map(Self::Scene);
        }
        if takes == 0 {
            let message = format!("takes within takes are too deep: {TAKES_MAX} at most");
            return Err(Problem { pointer: String::new(), message }.into());
        }
        let TakeDocument { from, to, transition, start_ms } = check::read(value)?;
        let from = Self::read_within(from, takes - 1).map_err(|problems| problems.under("/from"))?;
        let transition = Transition::read(transition).map_err(|problems| problems.under("/transition"))?;
        let mut check = Check::default();
        check.range("/startMs", start_ms as f64, 0.0..=START_MAX_MS);
        check.finish().map(|()| Self::Take(Box::new(Take { from, to, transition: Arc::new(transition), start_ms })))
    }
}

impl Serialize for OnAir {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Fields<'a> {
            from: &'a OnAir,
            to: &'a Id,
            transition: &'a Transition,
            start_ms: u64,
        }
        match self {
            Self::Scene(id) => id.serialize(serializer),
            Self::Take(take) => {
                let Take { from, to, transition, start_ms } = &**take;
                Fields { from, to, transition, start_ms: *start_ms }.serialize(serializer)
            }
        }
    }
}

/// How one scene follows another.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// How long it takes; 0 for a cut alone.
    pub duration_ms: u32,
    /// How it goes from 0 to 1; what goes beyond is cut off.
    pub easing: Easing,
    /// What is seen meanwhile.
    pub kind: Kind,
}

impl Default for Transition {
    /// A cut.
    fn default() -> Self {
        Self { duration_ms: 0, easing: Easing::default(), kind: Kind::Cut(Cut {}) }
    }
}

/// How the kinds of transitions are read and written. What serde can read is read by it.
trait Document: Sized + ToSchema {
    const TYPE: &'static str;
    fn read(value: Value) -> Result<Self, Problems>;
    /// Notes every value that is out of range; pointers start at the transition.
    fn check(&self, _duration_ms: u32, _check: &mut Check) {}
}

macro_rules! registry {
    ($($name:ident),+ $(,)?) => {
        /// What is seen during a transition.
        #[derive(Debug, Clone, PartialEq)]
        #[expect(missing_docs, reason = "each is documented where it is defined")]
        pub enum Kind { $($name($name)),+ }

        impl Kind {
            /// The names of all types, as documents write them.
            pub const TYPES: &[&str] = &[$($name::TYPE),+];

            fn type_name(&self) -> &'static str {
                match self { $(Self::$name(_) => $name::TYPE),+ }
            }

            fn push_schemas(schemas: &mut schema::Named) {
                $({
                    let object = schema::with_common(schema::tagged($name::TYPE, $name::schema()), Head::schema());
                    schema::push_type::<$name>(schemas, schema::type_schema_name($name::TYPE, "Transition"), object);
                })+
            }

            fn read_as(type_name: &str, value: Value) -> Result<Self, Problems> {
                match type_name {
                    $($name::TYPE => $name::read(value).map(Self::$name),)+
                    _ => Err(check::unknown_type(type_name, Self::TYPES)),
                }
            }

            fn check(&self, duration_ms: u32, check: &mut Check) {
                match self { $(Self::$name(kind) => kind.check(duration_ms, check)),+ }
            }

            fn fields(&self) -> Result<Value, serde_json::Error> {
                match self { $(Self::$name(kind) => serde_json::to_value(kind)),+ }
            }
        }
    };
}

registry!(Cut, Fade, FadeColor, Slide, Swipe, Push, Wipe, LumaWipe, Shader, Stinger);

macro_rules! documents {
    ($($name:ident = $text:literal),+ $(,)?) => {
        $(impl Document for $name {
            const TYPE: &'static str = $text;
            fn read(value: Value) -> Result<Self, Problems> {
                check::read(value)
            }
        })+
    };
}

documents!(Cut = "cut", Fade = "fade", Slide = "slide", Swipe = "swipe", Push = "push");

/// The next scene at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cut {}

/// One scene becomes the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Fade {}

/// To a colour and from it to the next scene, half of the way each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FadeColor {
    /// The colour; black unless it is given.
    pub color: Rgba,
}

impl Default for FadeColor {
    fn default() -> Self {
        Self { color: Rgba::BLACK }
    }
}

impl Document for FadeColor {
    const TYPE: &'static str = "fadeColor";

    fn read(value: Value) -> Result<Self, Problems> {
        check::read(value)
    }

    fn check(&self, _: u32, check: &mut Check) {
        check.that("/color", self.color.a == 255, || format!("{} is not opaque: the cut would be seen", self.color));
    }
}

/// The next scene moves in over the last one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Slide {
    /// Which way it moves.
    pub direction: Direction,
}

/// The last scene moves away and uncovers the next one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Swipe {
    /// Which way it moves.
    pub direction: Direction,
}

/// The next scene moves in and takes the place of the last one, which moves with it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Push {
    /// Which way both move.
    pub direction: Direction,
}

/// Which way a scene moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names say it")]
#[schema(as = TransitionDirection)]
pub enum Direction {
    #[default]
    Left,
    Right,
    Up,
    Down,
}

impl Direction {
    /// The way, in canvases.
    fn vector(self) -> [f32; 2] {
        match self {
            Self::Left => [-1.0, 0.0],
            Self::Right => [1.0, 0.0],
            Self::Up => [0.0, -1.0],
            Self::Down => [0.0, 1.0],
        }
    }
}

/// A content that plays over both scenes, from its own beginning, and hides the cut between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Stinger {
    /// What plays, as large as the canvas; a layer that has no other properties.
    layer: Box<Layer>,
    /// When the next scene takes the place of the last one, in milliseconds from the beginning.
    pub trigger_ms: u32,
    /// What plays beside it, unseen: where it is bright, the next scene shows before that, where it is dark, the last one
    /// does. A track matte.
    matte: Option<Box<Layer>>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StingerDocument {
    /// What plays, as large as the canvas.
    #[schema(value_type = Content, no_recursion)]
    content: Value,
    /// When the next scene takes the place of the last one, in milliseconds from the beginning.
    trigger_ms: u32,
    /// What plays beside it, unseen: a track matte.
    #[serde(default)]
    #[schema(value_type = Option<Content>, no_recursion)]
    matte: Option<Value>,
}

written_as!(Stinger as "Stinger" = StingerDocument);

impl Stinger {
    /// What plays.
    pub fn content(&self) -> &Content {
        &self.layer.content
    }
}

impl Document for Stinger {
    const TYPE: &'static str = "stinger";

    fn read(value: Value) -> Result<Self, Problems> {
        let StingerDocument { content, trigger_ms, matte } = check::read(value)?;
        let layer = |id: &str, content| Layer::read(serde_json::json!({ "id": id, "content": content })).map(Box::new);
        let matte = matte.map(|content| layer("matte", content)).transpose();
        // What the layer calls its content is the matte here.
        let matte = matte.map_err(|mut problems| {
            for problem in &mut problems.0 {
                problem.pointer = problem.pointer.replacen("/content", "/matte", 1);
            }
            problems
        })?;
        Ok(Self { layer: layer("stinger", content)?, trigger_ms, matte })
    }

    fn check(&self, duration_ms: u32, check: &mut Check) {
        check.range("/triggerMs", self.trigger_ms.into(), 0.0..=duration_ms.into());
    }
}

impl Serialize for Stinger {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("content", self.content())?;
        map.serialize_entry("triggerMs", &self.trigger_ms)?;
        if let Some(matte) = &self.matte {
            map.serialize_entry("matte", &matte.content)?;
        }
        map.end()
    }
}

/// What all kinds have.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Head {
    #[serde(rename = "type")]
    #[schema(ignore)]
    kind: Option<String>,
    /// How long it takes; a cut takes no time, a stinger must say.
    #[schema(minimum = 1, maximum = 60000)]
    duration_ms: Option<u32>,
    /// How it goes; a cut has none.
    #[serde(default)]
    easing: Easing,
}

impl Transition {
    /// Reads and checks a transition's document: an object with `type`, `durationMs`, `easing`, and that type's fields.
    pub fn read(mut value: Value) -> Result<Self, Problems> {
        let at = |pointer: &str, message: String| Problems::from(Problem { pointer: pointer.into(), message });
        let Head { kind, duration_ms, easing } = check::read(value.clone())?;
        if let Some(fields) = value.as_object_mut() {
            fields.retain(|name, _| !["type", "durationMs", "easing"].contains(&name.as_str()));
        }
        let missing = || at("/type", format!("missing; expected one of {}", Kind::TYPES.join(", ")));
        let kind = Kind::read_as(&kind.ok_or_else(missing)?, value)?;
        let duration_ms = match (&kind, duration_ms) {
            (Kind::Cut(_), None | Some(0)) => 0,
            (Kind::Cut(_), Some(_)) => return Err(at("/durationMs", "a cut takes no time".into())),
            (Kind::Stinger(_), None) => return Err(at("/durationMs", "missing: how long the stinger plays".into())),
            (_, duration_ms) => duration_ms.unwrap_or(DURATION_DEFAULT_MS),
        };
        let transition = Self { duration_ms, easing, kind };
        let mut check = Check::default();
        if !matches!(transition.kind, Kind::Cut(_)) {
            check.range("/durationMs", duration_ms.into(), DURATIONS_MS);
        }
        transition.kind.check(duration_ms, &mut check);
        check.finish().map(|()| transition)
    }
}

impl Transition {
    /// What it draws beside the two scenes, each on the whole canvas.
    pub fn overlays(&self) -> Vec<Layer> {
        match &self.kind {
            Kind::Stinger(stinger) => [Some(&stinger.layer), stinger.matte.as_ref()]
                .into_iter()
                .flatten()
                .map(|layer| (**layer).clone())
                .collect(),
            Kind::LumaWipe(wipe) => vec![wipe.mask()],
            _ => Vec::new(),
        }
    }
}

impl PartialSchema for Transition {
    fn schema() -> schema::Written {
        let types = Kind::TYPES.iter().map(|type_name| (schema::type_schema_name(type_name, "Transition"), *type_name));
        schema::one_of("How one scene follows another.", &types.collect::<Vec<_>>())
    }
}

impl ToSchema for Transition {
    fn schemas(schemas: &mut schema::Named) {
        Kind::push_schemas(schemas);
        Head::schemas(schemas);
    }
}

impl Serialize for Transition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.kind.fields().map_err(serde::ser::Error::custom)?;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", self.kind.type_name())?;
        if !matches!(self.kind, Kind::Cut(_)) {
            map.serialize_entry("durationMs", &self.duration_ms)?;
            map.serialize_entry("easing", &self.easing)?;
        }
        for (key, value) in fields.as_object().into_iter().flatten() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests;
