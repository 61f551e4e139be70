//! Effects: what is done to a layer's picture before it is laid in, one after the other.
//!
//! ```text
//!  content ──► border, round corners ──► corner pin ──► effects[0] ──► effects[1] ... ──► mask ──► opacity, blend mode
//! ```
//!
//! Lengths are pixels of the layer: an effect turns and grows with it, as CSS `filter` does. `blur` and `shadow` are CSS
//! `blur()` and `drop-shadow()`: a radius is a standard deviation. What concerns colours works on straight sRGB-encoded
//! values in either blend space: brightness, contrast, saturation and hue are CSS's filter functions, levels and keys are
//! those of CasparCG and OBS (OBS's whole numbers divided by 1000), the CDL is that of the ASC.

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{PartialSchema, ToSchema};

use super::{
    check::{self, Check, Problems},
    content::shader::{Param, check_params, compile, values},
    draw,
    geometry::{Affine, Rect},
    shader::{Program, Role},
};
use crate::base::{
    colour::Rgba,
    schema::{self, written_as},
};

/// Most effects of a layer.
pub const EFFECTS_MAX: usize = 16;
/// Largest standard deviation, in pixels of the layer.
const RADIUS: RangeInclusive<f64> = 0.0..=250.0;
/// How far a shadow falls, in pixels of the layer.
const OFFSET: RangeInclusive<f64> = -1000.0..=1000.0;
/// Standard deviations beyond which a blur is nothing.
const SIGMAS: f64 = 3.0;
const SHARE: RangeInclusive<f64> = 0.0..=1.0;
const FACTOR: RangeInclusive<f64> = 0.0..=10.0;
const GAMMA: RangeInclusive<f64> = 0.1..=10.0;
/// Longest asset name, in bytes.
const NAME_LEN_MAX: usize = 256;

/// The surface on which a layer's effects are done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ground {
    /// Its pixels for each one of the layer.
    pub(super) scale: f32,
    /// From layer pixels to its pixels.
    pub(super) place: Affine,
    /// The layer's box, in layer pixels.
    pub(super) area: Rect,
    /// What shaders find as `in.time`.
    pub(super) time: f32,
}

/// A type of effect.
trait Kind {
    /// Its name in documents.
    const TYPE: &'static str;
    /// Notes every value that is out of range; pointers start at the effect.
    fn check(&self, check: &mut Check);
    /// How far beyond the picture it colours pixels of the layer.
    fn reach(&self) -> f64 {
        0.0
    }
    /// What is to be done on a surface; nothing for what [`Kind::check`] refuses.
    fn plan(&self, ground: &Ground) -> Option<draw::Effect>;
}

macro_rules! registry {
    ($($name:ident),+ $(,)?) => {
        /// One effect of a layer.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(tag = "type", rename_all = "camelCase")]
        #[expect(missing_docs, reason = "each is documented where it is defined")]
        pub enum Effect { $($name($name)),+ }

        impl Effect {
            /// The names of all types, as documents write them.
            pub const TYPES: &[&str] = &[$($name::TYPE),+];

            /// Notes every value that is out of range.
            pub fn check(&self, check: &mut Check) {
                match self { $(Self::$name(effect) => effect.check(check)),+ }
            }

            /// How far beyond the picture it colours pixels of the layer.
            pub fn reach(&self) -> f64 {
                match self { $(Self::$name(effect) => effect.reach()),+ }
            }

            /// What is to be done on a surface; nothing for what [`Effect::check`] refuses.
            pub(super) fn plan(&self, ground: &Ground) -> Option<draw::Effect> {
                match self { $(Self::$name(effect) => effect.plan(ground)),+ }
            }

            fn push_schemas(schemas: &mut schema::Named) {
                $({
                    let object = schema::tagged($name::TYPE, $name::schema());
                    schema::push_type::<$name>(schemas, schema::type_schema_name($name::TYPE, "Effect"), object);
                })+
            }

            fn read_as(type_name: &str, value: Value) -> Result<Self, Problems> {
                match type_name {
                    $($name::TYPE => check::read(value).map(Self::$name),)+
                    _ => Err(check::unknown_type(type_name, Self::TYPES)),
                }
            }
        }
    };
}

registry!(Blur, Shadow, Glow, Grade, Lut, ChromaKey, ColorKey, LumaKey, Shader);

impl Effect {
    /// Whether it changes the picture on every frame.
    pub fn moves(&self) -> bool {
        matches!(self, Self::Shader(Shader { program: Ok(program), .. }) if program.uses_time())
    }

    /// Reads an effect's document: an object whose `type` names the type and whose other fields are that type's.
    pub fn read(value: Value) -> Result<Self, Problems> {
        let (type_name, fields) = check::tagged(value, Self::TYPES)?;
        Self::read_as(&type_name, fields)
    }
}

impl PartialSchema for Effect {
    fn schema() -> schema::Written {
        let types = Self::TYPES.iter().map(|type_name| (schema::type_schema_name(type_name, "Effect"), *type_name));
        schema::one_of("What is done to a layer's picture.", &types.collect::<Vec<_>>())
    }
}

impl ToSchema for Effect {
    fn schemas(schemas: &mut schema::Named) {
        Self::push_schemas(schemas);
    }
}

/// CSS `blur()`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Blur {
    /// Standard deviation in pixels.
    #[schema(minimum = 0, maximum = 250)]
    pub radius: f64,
}

impl Kind for Blur {
    const TYPE: &'static str = "blur";

    fn check(&self, check: &mut Check) {
        check.range("/radius", self.radius, RADIUS);
    }

    fn reach(&self) -> f64 {
        self.radius * SIGMAS
    }

    fn plan(&self, ground: &Ground) -> Option<draw::Effect> {
        Some(draw::Effect::Blur { sigma: self.radius as f32 * ground.scale })
    }
}

/// CSS `drop-shadow()`: the picture's outline in one colour, moved and blurred, under the picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Shadow {
    /// Pixels to the right.
    #[schema(minimum = -1000, maximum = 1000)]
    pub offset_x: f64,
    /// Pixels down.
    #[schema(minimum = -1000, maximum = 1000)]
    pub offset_y: f64,
    /// Standard deviation in pixels.
    #[schema(minimum = 0, maximum = 250)]
    pub blur: f64,
    /// Its colour.
    pub color: Rgba,
}

impl Default for Shadow {
    fn default() -> Self {
        Self { offset_x: 0.0, offset_y: 4.0, blur: 4.0, color: Rgba::new(0, 0, 0, 160) }
    }
}

impl Kind for Shadow {
    const TYPE: &'static str = "shadow";

    fn check(&self, check: &mut Check) {
        check.range("/offsetX", self.offset_x, OFFSET);
        check.range("/offsetY", self.offset_y, OFFSET);
        check.range("/blur", self.blur, RADIUS);
    }

    fn reach(&self) -> f64 {
        self.offset_x.abs().max(self.offset_y.abs()) + self.blur * SIGMAS
    }

    fn plan(&self, ground: &Ground) -> Option<draw::Effect> {
        Some(draw::Effect::Shadow {
            offset: [self.offset_x as f32 * ground.scale, self.offset_y as f32 * ground.scale],
            sigma: self.blur as f32 * ground.scale,
            colour: self.color,
            strength: 1.0,
        })
    }
}

/// Light around the picture: its blurred outline in one colour, made stronger, under the picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Glow {
    /// Standard deviation in pixels.
    #[schema(minimum = 0, maximum = 250)]
    pub radius: f64,
    /// Its colour.
    pub color: Rgba,
    /// By what the blurred outline is multiplied: more makes it wider and denser.
    #[schema(minimum = 0, maximum = 10)]
    pub strength: f64,
}

impl Default for Glow {
    fn default() -> Self {
        Self { radius: 8.0, color: Rgba::WHITE, strength: 2.0 }
    }
}

impl Kind for Glow {
    const TYPE: &'static str = "glow";

    fn check(&self, check: &mut Check) {
        check.range("/radius", self.radius, RADIUS);
        check.range("/strength", self.strength, FACTOR);
    }

    fn reach(&self) -> f64 {
        self.radius * SIGMAS
    }

    fn plan(&self, ground: &Ground) -> Option<draw::Effect> {
        let (sigma, strength) = (self.radius as f32 * ground.scale, self.strength as f32);
        Some(draw::Effect::Shadow { offset: [0.0; 2], sigma, colour: self.color, strength })
    }
}

/// Colours point by point, in the order of the fields; each step's result is cut off at black and white.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Grade {
    /// CSS `brightness()`: a factor.
    #[schema(minimum = 0, maximum = 10)]
    pub brightness: f64,
    /// CSS `contrast()`: a factor about the middle.
    #[schema(minimum = 0, maximum = 10)]
    pub contrast: f64,
    /// CSS `saturate()`: 0 is grey.
    #[schema(minimum = 0, maximum = 10)]
    pub saturation: f64,
    /// CSS `hue-rotate()`: degrees.
    #[schema(minimum = -1000000, maximum = 1000000)]
    pub hue: f64,
    /// More than 1 lightens the middle.
    #[schema(minimum = 0.1, maximum = 10)]
    pub gamma: f64,
    /// CasparCG `LEVELS`.
    pub levels: Levels,
    /// ASC CDL.
    pub cdl: Cdl,
}

impl Default for Grade {
    fn default() -> Self {
        Self {
            brightness: 1.0,
            contrast: 1.0,
            saturation: 1.0,
            hue: 0.0,
            gamma: 1.0,
            levels: Levels::default(),
            cdl: Cdl::default(),
        }
    }
}

/// Which input becomes which output; between, a curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Levels {
    /// Becomes `outBlack`.
    #[schema(minimum = 0, maximum = 1)]
    pub in_black: f64,
    /// Becomes `outWhite`; above `inBlack`.
    #[schema(minimum = 0, maximum = 1)]
    pub in_white: f64,
    /// More than 1 lightens the middle.
    #[schema(minimum = 0.1, maximum = 10)]
    pub gamma: f64,
    /// 0 black to 1 white.
    #[schema(minimum = 0, maximum = 1)]
    pub out_black: f64,
    /// 0 black to 1 white.
    #[schema(minimum = 0, maximum = 1)]
    pub out_white: f64,
}

impl Default for Levels {
    fn default() -> Self {
        Self { in_black: 0.0, in_white: 1.0, gamma: 1.0, out_black: 0.0, out_white: 1.0 }
    }
}

/// The ASC's colour decision list: `(in * slope + offset) ^ power` for red, green and blue, then the saturation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Cdl {
    /// Factors.
    pub slope: [f64; 3],
    /// Added after the factors.
    pub offset: [f64; 3],
    /// Exponents.
    pub power: [f64; 3],
    /// 0 is grey.
    pub saturation: f64,
}

impl Default for Cdl {
    fn default() -> Self {
        Self { slope: [1.0; 3], offset: [0.0; 3], power: [1.0; 3], saturation: 1.0 }
    }
}

impl Kind for Grade {
    const TYPE: &'static str = "grade";

    fn check(&self, check: &mut Check) {
        check.range("/brightness", self.brightness, FACTOR);
        check.range("/contrast", self.contrast, FACTOR);
        check.range("/saturation", self.saturation, FACTOR);
        check.range("/hue", self.hue, -1e6..=1e6);
        check.range("/gamma", self.gamma, GAMMA);
        check.part("/levels", |check| self.levels.check(check));
        check.part("/cdl", |check| self.cdl.check(check));
    }

    fn plan(&self, _: &Ground) -> Option<draw::Effect> {
        Some(draw::Effect::Grade(Box::new(self.clone())))
    }
}

impl Levels {
    fn check(&self, check: &mut Check) {
        check.range("/inBlack", self.in_black, SHARE);
        check.range("/inWhite", self.in_white, SHARE);
        check.that("/inWhite", self.in_white > self.in_black, || "must be above `inBlack`".into());
        check.range("/gamma", self.gamma, GAMMA);
        check.range("/outBlack", self.out_black, SHARE);
        check.range("/outWhite", self.out_white, SHARE);
    }
}

impl Cdl {
    fn check(&self, check: &mut Check) {
        for (name, values, allowed) in
            [("slope", self.slope, FACTOR), ("offset", self.offset, -10.0..=10.0), ("power", self.power, GAMMA)]
        {
            for (i, value) in values.into_iter().enumerate() {
                check.range(&format!("/{name}/{i}"), value, allowed.clone());
            }
        }
        check.range("/saturation", self.saturation, FACTOR);
    }
}

/// Colours by a three-dimensional table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lut {
    /// The name of a `.cube` file below the assets directory.
    pub asset: String,
    /// 0 leaves the picture as it is, 1 is the table's.
    #[serde(default = "all")]
    #[schema(minimum = 0, maximum = 1)]
    pub amount: f64,
}

fn all() -> f64 {
    1.0
}

impl Lut {
    pub(super) fn raster(&self) -> draw::Raster {
        draw::Raster::Lut(self.asset.as_str().into())
    }
}

impl Kind for Lut {
    const TYPE: &'static str = "lut";

    fn check(&self, check: &mut Check) {
        check.count("/asset", "bytes", self.asset.len(), 1..=NAME_LEN_MAX);
        check.range("/amount", self.amount, SHARE);
    }

    fn plan(&self, _: &Ground) -> Option<draw::Effect> {
        Some(draw::Effect::Lut { lut: self.raster(), amount: self.amount as f32 })
    }
}

/// OBS's chroma key: what is like the colour, however bright it is, becomes clear, and its shine is taken from the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ChromaKey {
    /// What becomes clear.
    pub color: Rgba,
    /// Up to which distance in chroma it is clear.
    #[schema(minimum = 0, maximum = 1)]
    pub similarity: f64,
    /// From there, over which distance it becomes opaque.
    #[schema(minimum = 0, maximum = 1)]
    pub smoothness: f64,
    /// Over which distance colours come back; nearer ones are grey.
    #[schema(minimum = 0, maximum = 1)]
    pub spill: f64,
}

impl Default for ChromaKey {
    fn default() -> Self {
        Self { color: Rgba::new(0, 255, 0, 255), similarity: 0.4, smoothness: 0.08, spill: 0.1 }
    }
}

impl Kind for ChromaKey {
    const TYPE: &'static str = "chromaKey";

    fn check(&self, check: &mut Check) {
        check.range("/similarity", self.similarity, SHARE);
        check.range("/smoothness", self.smoothness, SHARE);
        check.range("/spill", self.spill, SHARE);
    }

    fn plan(&self, _: &Ground) -> Option<draw::Effect> {
        let Self { color, similarity, smoothness, spill } = *self;
        let [similarity, smoothness, spill] = [similarity, smoothness, spill].map(|v| v as f32);
        Some(draw::Effect::Key(draw::Key::Chroma { colour: color, similarity, smoothness, spill }))
    }
}

/// OBS's colour key: what is like the colour becomes clear.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ColorKey {
    /// What becomes clear.
    pub color: Rgba,
    /// Up to which distance in red, green and blue it is clear.
    #[schema(minimum = 0, maximum = 1)]
    pub similarity: f64,
    /// From there, over which distance it becomes opaque.
    #[schema(minimum = 0, maximum = 1)]
    pub smoothness: f64,
}

impl Default for ColorKey {
    fn default() -> Self {
        Self { color: Rgba::new(0, 255, 0, 255), similarity: 0.08, smoothness: 0.05 }
    }
}

impl Kind for ColorKey {
    const TYPE: &'static str = "colorKey";

    fn check(&self, check: &mut Check) {
        check.range("/similarity", self.similarity, SHARE);
        check.range("/smoothness", self.smoothness, SHARE);
    }

    fn plan(&self, _: &Ground) -> Option<draw::Effect> {
        let [similarity, smoothness] = [self.similarity, self.smoothness].map(|v| v as f32);
        Some(draw::Effect::Key(draw::Key::Colour { colour: self.color, similarity, smoothness }))
    }
}

/// OBS's luma key: what is darker or brighter than the range becomes clear.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LumaKey {
    /// Below it is clear; 0 black to 1 white.
    #[schema(minimum = 0, maximum = 1)]
    pub min: f64,
    /// Above it is clear; 0 black to 1 white.
    #[schema(minimum = 0, maximum = 1)]
    pub max: f64,
    /// Within the range, over which distance from its ends it becomes opaque.
    #[schema(minimum = 0, maximum = 1)]
    pub smoothness: f64,
    /// Whether the range becomes clear instead, and the rest stays.
    pub inverted: bool,
}

impl Default for LumaKey {
    fn default() -> Self {
        Self { min: 0.0, max: 1.0, smoothness: 0.0, inverted: false }
    }
}

impl Kind for LumaKey {
    const TYPE: &'static str = "lumaKey";

    fn check(&self, check: &mut Check) {
        check.range("/min", self.min, SHARE);
        check.range("/max", self.max, SHARE);
        check.that("/max", self.max >= self.min, || "must not be below `min`".into());
        check.range("/smoothness", self.smoothness, SHARE);
    }

    fn plan(&self, _: &Ground) -> Option<draw::Effect> {
        let [min, max, smoothness] = [self.min, self.max, self.smoothness].map(|v| v as f32);
        Some(draw::Effect::Key(draw::Key::Luma { min, max, smoothness, is_inverted: self.inverted }))
    }
}

/// What a WGSL function of the user's makes of the picture, which it reads by `sample(uv)`; see [`super::shader`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "ShaderFields", into = "ShaderFields")]
pub struct Shader {
    fields: ShaderFields,
    program: Result<Arc<Program>, String>,
}

/// The document of a shader effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ShaderFields {
    /// WGSL with a `fn shade(in: ShadeInput) -> vec4f`.
    source: String,
    /// What the source reads as `params.NAME`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    params: BTreeMap<String, Param>,
}

written_as!(Shader as "ShaderEffectFields" = ShaderFields);

impl From<ShaderFields> for Shader {
    fn from(fields: ShaderFields) -> Self {
        let program = compile(Role::Effect, &fields.source, &fields.params);
        Self { fields, program }
    }
}

impl From<Shader> for ShaderFields {
    fn from(shader: Shader) -> Self {
        shader.fields
    }
}

impl Kind for Shader {
    const TYPE: &'static str = "shader";

    fn check(&self, check: &mut Check) {
        check_params(check, &self.fields.params);
        check.that("/source", self.program.is_ok(), || self.program.as_ref().err().cloned().unwrap_or_default());
    }

    fn plan(&self, ground: &Ground) -> Option<draw::Effect> {
        let program = self.program.as_ref().ok()?.clone();
        let time = if program.uses_time() { ground.time } else { 0.0 };
        let shader =
            draw::Shader { program, area: ground.area, time, progress: 0.0, values: values(&self.fields.params) };
        Some(draw::Effect::Shader { shader: Arc::new(shader), place: ground.place })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TINT: &str =
        "fn shade(in: ShadeInput) -> vec4f { return mix(sample(in.uv), params.tint, params.gain * fract(in.time)); }";

    fn problem(value: Value) -> (String, String) {
        let checked = |effect: Effect| {
            let mut check = Check::default();
            effect.check(&mut check);
            check.finish()
        };
        let problem = Effect::read(value).and_then(checked).unwrap_err().0.remove(0);
        (problem.pointer, problem.message)
    }

    #[test]
    fn what_is_written_back_reads_as_the_same() {
        for name in Effect::TYPES {
            let mut document = json!({ "type": name });
            match *name {
                "blur" => document["radius"] = json!(3.5),
                "lut" => document["asset"] = json!("warm.cube"),
                "shader" => {
                    document["source"] = json!(TINT);
                    document["params"] = json!({ "tint": "#ff000080", "gain": 0.5 });
                }
                _ => {}
            }
            let effect = Effect::read(document).unwrap();
            let written = serde_json::to_value(&effect).unwrap();
            assert_eq!(written["type"], *name);
            assert_eq!(Effect::read(written).unwrap(), effect);
        }
    }

    #[test]
    fn wrong_ones_are_refused_with_their_place() {
        assert!(problem(json!({ "type": "sparkle" })).1.contains("expected one of blur, shadow, glow, grade, lut"));
        assert_eq!(problem(json!({ "radius": 1 })).0, "/type");
        assert_eq!(
            problem(json!({ "type": "blur", "radius": 251 })),
            ("/radius".into(), "251 is out of range: 0 to 250".into())
        );
        assert_eq!(problem(json!({ "type": "grade", "cdl": { "power": [1, 0, 1] } })).0, "/cdl/power/1");
        assert_eq!(problem(json!({ "type": "grade", "levels": { "white": 1 } })).0, "/levels/white");
        assert_eq!(
            problem(json!({ "type": "grade", "levels": { "inBlack": 0.5, "inWhite": 0.5 } })),
            ("/levels/inWhite".into(), "must be above `inBlack`".into())
        );
        assert_eq!(problem(json!({ "type": "lumaKey", "min": 0.5, "max": 0.4 })).0, "/max");
    }

    #[test]
    fn a_shader_is_given_the_box_and_the_time_if_it_reads_it() {
        let ground = Ground { scale: 2.0, place: Affine::scaling(2.0), area: Rect::new(0.0, 1.0, 2.0, 3.0), time: 4.5 };
        let given = |source: &str| {
            let document = json!({ "type": "shader", "source": source, "params": { "tint": "#ff0000", "gain": 0.5 } });
            let effect = Effect::read(document).unwrap();
            let Some(draw::Effect::Shader { shader, place }) = effect.plan(&ground) else { panic!("a shader") };
            assert_eq!((effect.moves(), effect.reach(), place), (shader.time > 0.0, 0.0, ground.place));
            (shader.area, shader.time, shader.values.clone())
        };
        let values = vec![[0.5, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 1.0]];
        assert_eq!(given(TINT), (ground.area, 4.5, values.clone()));
        let still = "fn shade(in: ShadeInput) -> vec4f { return sample(in.uv) * params.tint; }";
        assert_eq!(given(still), (ground.area, 0.0, values));
    }

    #[test]
    fn a_shader_reads_the_picture_alone() {
        let at = |source: &str| problem(json!({ "type": "shader", "source": source }));
        let (pointer, message) = at("fn shade(in: ShadeInput) -> vec4f { return sample_to(in.uv); }");
        assert_eq!(pointer, "/source");
        assert!(message.starts_with("line 1, column 44: "), "{message}");
        assert_eq!(
            problem(json!({ "type": "shader", "source": TINT, "params": { "gain": 1e7, "tint": "#ffffff" } })).0,
            "/params/gain"
        );
    }

    #[test]
    fn lengths_grow_with_the_layer() {
        let shadow = Effect::read(json!({ "type": "shadow", "offsetX": -6, "offsetY": 2, "blur": 3 })).unwrap();
        assert_eq!(shadow.reach(), 15.0, "six aside and three standard deviations");
        let ground = Ground { scale: 2.0, place: Affine::scaling(2.0), area: Rect::at_origin([9.0; 2]), time: 0.0 };
        let Some(draw::Effect::Shadow { offset, sigma, .. }) = shadow.plan(&ground) else { panic!("a shadow") };
        assert_eq!((offset, sigma), ([-12.0, 4.0], 6.0));
    }
}
