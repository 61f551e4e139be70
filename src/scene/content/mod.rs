//! What a layer shows: one module for each type, one line for each in [`Content`]'s registry.
//!
//! A new type is a struct with serde's `deny_unknown_fields` that implements [`Kind`] and stands in `registry!` below.

mod action;
mod character;
mod chart;
mod chat;
mod clock;
mod color;
mod fill;
mod film;
mod format;
mod group;
mod image;
mod label;
mod lower_third;
mod progress;
mod qr;
mod scene;
mod scoreboard;
mod sequence;
pub(in crate::scene) mod shader;
mod shape;
mod slides;
mod slideshow;
mod sprite;
mod svg;
mod table;
#[cfg(test)]
pub(super) mod testing;
mod text;
mod text_animation;
mod ticker;
mod timer;
mod visual_feed;

use serde::{Serialize, de::DeserializeOwned, ser::SerializeMap};
use serde_json::Value;
use utoipa::{PartialSchema, ToSchema};

pub use self::{
    action::{Action, Refused},
    character::{Blink, Breathing, Character, Figure, PreviousState},
    chart::{Chart, ChartKind, Series},
    chat::{BanMode, Chat, ChatBadge, ChatLayout, ChatMessage},
    clock::{Clock, Zone},
    color::Color,
    fill::{Fill, Gradient, GradientKind, Stop},
    group::Group,
    image::{Fit, Image},
    lower_third::{LowerThird, LowerThirdDesign, LowerThirdStep, LowerThirdTexts},
    progress::{Progress, ProgressDirection},
    qr::{ErrorCorrection, Qr},
    scene::Scene,
    scoreboard::{Scoreboard, Team},
    sequence::Sequence,
    shader::{Param, Shader},
    shape::{Outline, Shape, Stroke},
    slides::{KenBurns, SlideDirection, SlideTransition, SlideTransitionKind},
    slideshow::{Slideshow, SlideshowItem},
    sprite::{Sprite, SpriteAnimation},
    svg::Svg,
    table::{Column, Table, TableLine},
    text::{Overflow, Shadow, Style, TEXT_LEN_MAX, Text, TextFit, TextRun, VerticalAlign},
    text_animation::{Away, TextAnimation, TextMotion, TextOrder},
    ticker::{Ticker, TickerDirection, TickerItem},
    timer::{OnZero, Timer, TimerMode, UtcTime},
    visual_feed::{FeedEntry, FeedStrip, StripPosition, VisualFeed},
};
use super::{
    Layer,
    check::{self, Check, Problems},
    evaluate::Planner,
};
use crate::base::{id::Id, schema};

/// How a content's document, without `type`, is read. Whatever serde can read is read by it.
pub trait Read: Sized {
    /// Reads it; pointers start at the content.
    fn read(value: Value) -> Result<Self, Problems>;
}

impl<T: DeserializeOwned> Read for T {
    fn read(value: Value) -> Result<Self, Problems> {
        check::read(value)
    }
}

/// A type of content.
pub trait Kind: Read + ToSchema {
    /// Its name in documents.
    const TYPE: &'static str;
    /// Notes every value that is out of range; pointers start at the content.
    fn check(&self, check: &mut Check);
    /// The font families it names; most types have no text.
    fn fonts(&self) -> Vec<&str> {
        Vec::new()
    }
    /// The layers within it; most types have none.
    fn children(&self) -> &[Layer] {
        &[]
    }
    /// The scene it shows; most types show none.
    fn scene(&self) -> Option<&Id> {
        None
    }
    /// Draws it at the planner's time.
    fn plan(&self, planner: &mut Planner<'_>);
    /// What it becomes by an action; most types have none.
    fn act(&self, _action: &Action) -> Result<Self, Refused> {
        Err(Refused::Unknown(&[]))
    }
}

macro_rules! registry {
    ($($name:ident),+ $(,)?) => {
        /// What a layer shows.
        #[derive(Debug, Clone, PartialEq)]
        #[expect(missing_docs, reason = "each is documented where it is defined")]
        pub enum Content { $($name($name)),+ }

        impl Content {
            /// The names of all types, as documents write them.
            pub const TYPES: &[&str] = &[$($name::TYPE),+];

            /// The name of this content's type.
            pub fn type_name(&self) -> &'static str {
                match self { $(Self::$name(_) => $name::TYPE),+ }
            }

            /// Notes every value that is out of range.
            pub fn check(&self, check: &mut Check) {
                match self { $(Self::$name(content) => content.check(check)),+ }
            }

            /// The font families it names.
            pub fn fonts(&self) -> Vec<&str> {
                match self { $(Self::$name(content) => content.fonts()),+ }
            }

            /// The layers within it.
            pub fn children(&self) -> &[Layer] {
                match self { $(Self::$name(content) => content.children()),+ }
            }

            /// The scene it shows, if that is its type.
            pub fn scene(&self) -> Option<&Id> {
                match self { $(Self::$name(content) => content.scene()),+ }
            }

            /// Draws it.
            pub fn plan(&self, planner: &mut Planner<'_>) {
                match self { $(Self::$name(content) => content.plan(planner)),+ }
            }

            /// What it becomes by an action; a good document, if it was one.
            pub fn act(&self, action: &Action) -> Result<Self, Refused> {
                let content = match self { $(Self::$name(content) => content.act(action).map(Self::$name)?),+ };
                let mut check = Check::default();
                content.check(&mut check);
                check.finish()?;
                Ok(content)
            }

            /// The schemas of all types.
            fn push_schemas(schemas: &mut schema::Named) {
                $({
                    let object = schema::tagged($name::TYPE, $name::schema());
                    schema::push_type::<$name>(schemas, schema::type_schema_name($name::TYPE, "Content"), object);
                })+
            }

            fn read_as(type_name: &str, value: Value) -> Result<Self, Problems> {
                match type_name {
                    $($name::TYPE => $name::read(value).map(Self::$name),)+
                    _ => Err(check::unknown_type(type_name, Self::TYPES)),
                }
            }

            fn fields(&self) -> Result<Value, serde_json::Error> {
                match self { $(Self::$name(content) => serde_json::to_value(content)),+ }
            }
        }
    };
}

registry!(
    Character, Chart, Chat, Clock, Color, Group, Image, LowerThird, Progress, Qr, Scene, Scoreboard, Sequence, Shader,
    Shape, Slideshow, Sprite, Svg, Table, Text, Ticker, Timer, VisualFeed
);

impl Content {
    /// Reads a content document: an object whose `type` names the type and whose other fields are that type's.
    pub fn read(value: Value) -> Result<Self, Problems> {
        let (type_name, fields) = check::tagged(value, Self::TYPES)?;
        Self::read_as(&type_name, fields)
    }
}

impl PartialSchema for Content {
    fn schema() -> schema::Written {
        let types = Self::TYPES.iter().map(|type_name| (schema::type_schema_name(type_name, "Content"), *type_name));
        schema::one_of("What a layer shows.", &types.collect::<Vec<_>>())
    }
}

impl ToSchema for Content {
    fn schemas(schemas: &mut schema::Named) {
        Self::push_schemas(schemas);
    }
}

impl Serialize for Content {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.fields().map_err(serde::ser::Error::custom)?;
        let fields = fields.as_object().into_iter().flatten();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", self.type_name())?;
        for (key, value) in fields {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}
