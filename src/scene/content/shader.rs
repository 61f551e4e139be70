//! `shader`: the layer's box as a WGSL function of the user's says, pixel by pixel; without a size, the whole canvas.
//!
//! What such a function is given and may do is described in [`crate::scene::shader`]. It is compiled when the document
//! is read. One that does not read `in.time` costs nothing on unchanged frames; `fps` bounds how often others are drawn.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Kind, Planner};
use crate::base::schema::{written, written_as};
use crate::{
    base::colour::Rgba,
    scene::{
        check::{Check, escape},
        draw::{self, Paint},
        geometry::Rect,
        shader::{self, Code, PARAMS_MAX, PERIOD_MAX, ParamType, Program, Role},
    },
};

/// Parameters that are numbers reach this far from 0.
const NUMBER_MAX: f64 = 1_000_000.0;

/// A shader layer: its document, and the program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Document", into = "Document")]
pub struct Shader {
    document: Document,
    program: Result<Arc<Program>, String>,
}

/// The document of a shader layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    /// WGSL with a `fn shade(in: ShadeInput) -> vec4f`.
    source: String,
    /// What the source reads as `params.NAME`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    params: BTreeMap<String, Param>,
    /// How often it is drawn anew at most, each second; none: on every frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.01, maximum = 60)]
    fps: Option<f64>,
    /// Seconds after which `in.time` starts again at 0.
    #[serde(default = "default_period")]
    #[schema(minimum = 0.1, maximum = 3600)]
    period: f64,
}

fn default_period() -> f64 {
    PERIOD_MAX
}

/// A parameter of a shader.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum Param {
    /// An `f32`.
    Number(f64),
    /// A `vec4f`: straight sRGB.
    Color(Rgba),
}

written!(Param as "ShaderParam" = {
    "description": "A number, or a colour.",
    "oneOf": [{ "type": "number", "minimum": (-NUMBER_MAX), "maximum": NUMBER_MAX }, { "$ref": "#/components/schemas/Color" }]
});
written_as!(Shader as "ShaderLayer" = Document);

impl TryFrom<Value> for Param {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let refused = || "expected a number or a colour such as \"#ff8800\"".to_owned();
        match &value {
            Value::Number(number) => number.as_f64().map(Self::Number).ok_or_else(refused),
            Value::String(text) => text.parse().map(Self::Color).map_err(|_| refused()),
            _ => Err(refused()),
        }
    }
}

impl From<Param> for Value {
    fn from(param: Param) -> Self {
        match param {
            Param::Number(number) => number.into(),
            Param::Color(colour) => colour.to_string().into(),
        }
    }
}

impl Param {
    fn param_type(self) -> ParamType {
        match self {
            Self::Number(_) => ParamType::Number,
            Self::Color(_) => ParamType::Colour,
        }
    }

    /// As a program gets it.
    fn value(self) -> [f32; 4] {
        match self {
            Self::Number(number) => [number as f32, 0.0, 0.0, 0.0],
            Self::Color(colour) => colour.to_f32(),
        }
    }
}

/// Makes the program of a document's text and parameters; bad names are reported by [`check_params`].
pub(in crate::scene) fn compile(
    role: Role,
    source: &str,
    params: &BTreeMap<String, Param>,
) -> Result<Arc<Program>, String> {
    let is_good = params.len() <= PARAMS_MAX && params.keys().all(|name| shader::check_name(name).is_ok());
    if !is_good {
        return Err("not compiled, for its parameters are wrong".into());
    }
    let params = params.iter().map(|(name, param)| (name.clone(), param.param_type())).collect();
    shader::compile(Code { role, source: source.to_owned(), params })
}

/// Notes every parameter that is none or out of range.
pub(in crate::scene) fn check_params(check: &mut Check, params: &BTreeMap<String, Param>) {
    check.count("/params", "parameters", params.len(), 0..=PARAMS_MAX);
    for (name, param) in params {
        let pointer = format!("/params/{}", escape(name));
        let verdict = shader::check_name(name);
        check.that(&pointer, verdict.is_ok(), || verdict.clone().err().unwrap_or_default());
        if let Param::Number(number) = param {
            check.range(&pointer, *number, -NUMBER_MAX..=NUMBER_MAX);
        }
    }
}

/// Parameters as a program gets them.
pub(in crate::scene) fn values(params: &BTreeMap<String, Param>) -> Vec<[f32; 4]> {
    params.values().map(|param| param.value()).collect()
}

impl From<Document> for Shader {
    fn from(document: Document) -> Self {
        let program = compile(Role::Content, &document.source, &document.params);
        Self { document, program }
    }
}

impl From<Shader> for Document {
    fn from(shader: Shader) -> Self {
        shader.document
    }
}

impl Kind for Shader {
    const TYPE: &'static str = "shader";

    fn check(&self, check: &mut Check) {
        check_params(check, &self.document.params);
        check.that("/source", self.program.is_ok(), || self.program.as_ref().err().cloned().unwrap_or_default());
        check.range("/fps", self.document.fps.unwrap_or(1.0), 0.01..=60.0);
        check.range("/period", self.document.period, 0.1..=PERIOD_MAX);
    }

    fn plan(&self, planner: &mut Planner<'_>) {
        let Ok(program) = &self.program else { return };
        let size = planner.size_or_canvas();
        let time = if program.uses_time() { self.time(planner) } else { 0.0 };
        let shader = draw::Shader {
            program: program.clone(),
            area: Rect::at_origin(size),
            time,
            progress: 0.0,
            values: values(&self.document.params),
        };
        planner.draw(size, Paint::Shader(Arc::new(shader)));
    }
}

impl Shader {
    /// Seconds since the stream's start, within the period; says when it changes.
    fn time(&self, planner: &mut Planner<'_>) -> f32 {
        let elapsed = planner.moment().elapsed;
        let Some(fps) = self.document.fps else {
            planner.changes_in(Duration::ZERO);
            return shader::seconds(elapsed, self.document.period);
        };
        // A frame that is due on a step must not miss it by a rounding.
        let step = (elapsed.as_secs_f64() * fps + 1e-6).floor();
        planner.changes_at(Duration::try_from_secs_f64((step + 1.0) / fps).unwrap_or(Duration::MAX));
        (step / fps % self.document.period) as f32
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scene::content::testing::{plan, problem, shelf};

    const MOVING: &str = "fn shade(in: ShadeInput) -> vec4f { return vec4f(fract(in.time)); }";
    const STILL: &str = "fn shade(in: ShadeInput) -> vec4f { return vec4f(in.uv, params.gain, 1.0) * params.tint; }";

    fn content(source: &str, fields: Value) -> Value {
        let mut document = json!({ "type": "shader", "source": source });
        json_patch::merge(&mut document, &fields);
        document
    }

    fn still(fields: Value) -> Value {
        let mut document = content(STILL, json!({ "params": { "tint": "#ff0000", "gain": 0.5 } }));
        json_patch::merge(&mut document, &fields);
        document
    }

    fn shown(content: Value, elapsed_ms: u64) -> (f32, Option<Duration>) {
        let (_, evaluation) = shelf(content, json!({}), elapsed_ms, 0);
        let Paint::Shader(shader) = &evaluation.draw_list.items[0].paint else { panic!("a shader") };
        (shader.time, evaluation.changes_at)
    }

    #[test]
    fn it_fills_its_box_with_what_it_is_given() {
        let items = plan(still(json!({})), json!({ "width": 200, "height": 100 }));
        let Paint::Shader(shader) = &items[0].paint else { panic!("a shader") };
        assert_eq!((items.len(), items[0].clip, shader.area), (1, Rect::at_origin([200.0, 100.0]), shader.area));
        assert_eq!(shader.area, Rect::at_origin([200.0, 100.0]));
        assert_eq!(shader.values, [[0.5, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 1.0]], "in the order of their names");
        assert_eq!(plan(still(json!({})), json!({}))[0].clip, Rect::at_origin([640.0, 360.0]));
    }

    #[test]
    fn only_what_reads_the_time_changes() {
        assert_eq!(shown(still(json!({})), 1234), (0.0, None));
        assert_eq!(shown(content(MOVING, json!({})), 1250), (1.25, Some(Duration::from_millis(1250))));
    }

    #[test]
    fn the_rate_bounds_how_often_it_is_drawn() {
        let slow = content(MOVING, json!({ "fps": 4 }));
        for (ms, time, next) in [(0, 0.0, 250), (249, 0.0, 250), (250, 0.25, 500), (1_000_100, 1000.0, 1_000_250)] {
            assert_eq!(shown(slow.clone(), ms), (time, Some(Duration::from_millis(next))), "{ms}");
        }
    }

    #[test]
    fn time_starts_again_and_stays_exact() {
        assert_eq!(shown(content(MOVING, json!({ "period": 2.5 })), 6000).0, 1.0);
        // After a year less than a frame's time is off.
        let year = 365 * 24 * 3600 * 1000;
        assert_eq!(shown(content(MOVING, json!({})), year + 33).0, 0.033);
        assert_eq!(shown(content(MOVING, json!({})), year + 3_599_967).0, 3599.967);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let (pointer, message) = problem(content("fn shade(in: ShadeInput) -> vec4f {\n  return x;\n}", json!({})));
        assert_eq!(
            (&*pointer, &*message),
            ("/content/source", "line 2, column 10: no definition in scope for identifier: `x`")
        );
        for (fields, pointer) in [
            (json!({ "params": { "tint": "red" } }), "/content/params/tint"),
            (json!({ "params": { "gain": 1e7 } }), "/content/params/gain"),
            (json!({ "params": { "loop": 1 } }), "/content/params/loop"),
            (json!({ "params": { "a/b": 1 } }), "/content/params/a~1b"),
            (json!({ "params": { "gain": [1] } }), "/content/params/gain"),
            (json!({ "fps": 0 }), "/content/fps"),
            (json!({ "fps": 61 }), "/content/fps"),
            (json!({ "period": 0 }), "/content/period"),
            (json!({ "period": 3601 }), "/content/period"),
            (json!({ "code": "" }), "/content/code"),
        ] {
            assert_eq!(problem(still(fields)).0, pointer);
        }
        let many: BTreeMap<String, i32> = (0..17).map(|i| (format!("p{i}"), i)).collect();
        assert_eq!(problem(still(json!({ "params": many }))).0, "/content/params");
    }

    #[test]
    fn written_back_it_reads_as_itself() {
        let document = json!({ "source": STILL, "params": { "tint": "#ff000080", "gain": 0.5 }, "fps": 12.5 });
        let shader: Shader = serde_json::from_value(document).unwrap();
        assert_eq!(serde_json::from_value::<Shader>(serde_json::to_value(&shader).unwrap()).unwrap(), shader);
    }
}
