//! `shader`: what a WGSL function of the user's makes of both scenes, pixel by pixel.
//!
//! It reads them by `sample_from(uv)` and `sample_to(uv)`, and how far it is as `in.progress`; see
//! [`crate::scene::shader`]. Where its colour is not opaque, the scene that goes is seen below it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Document;
use crate::base::schema::written_as;
use crate::scene::{
    check::{self, Check, Problems},
    content::shader::{Param, check_params, compile, values},
    draw,
    geometry::Rect,
    shader::{PERIOD_MAX, Program, Role, seconds},
};

/// A shader that leads from one scene to the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Fields", into = "Fields")]
pub struct Shader {
    fields: Fields,
    program: Result<Arc<Program>, String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fields {
    /// WGSL with a `fn shade(in: ShadeInput) -> vec4f`.
    source: String,
    /// What the source reads as `params.NAME`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    params: BTreeMap<String, Param>,
}

written_as!(Shader as "ShaderTransitionFields" = Fields);

impl From<Fields> for Shader {
    fn from(fields: Fields) -> Self {
        let program = compile(Role::Transition, &fields.source, &fields.params);
        Self { fields, program }
    }
}

impl From<Shader> for Fields {
    fn from(shader: Shader) -> Self {
        shader.fields
    }
}

impl Document for Shader {
    const TYPE: &'static str = "shader";

    fn read(value: Value) -> Result<Self, Problems> {
        check::read(value)
    }

    fn check(&self, _: u32, check: &mut Check) {
        check_params(check, &self.fields.params);
        check.that("/source", self.program.is_ok(), || self.program.as_ref().err().cloned().unwrap_or_default());
    }
}

impl Shader {
    /// What it is given at `progress`, 0 to 1; `None` when it does not compile.
    pub(super) fn given(&self, progress: f32, elapsed: Duration, area: Rect) -> Option<draw::Shader> {
        let program = self.program.as_ref().ok()?.clone();
        let time = if program.uses_time() { seconds(elapsed, PERIOD_MAX) } else { 0.0 };
        Some(draw::Shader { program, area, time, progress, values: values(&self.fields.params) })
    }
}
