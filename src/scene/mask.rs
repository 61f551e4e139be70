//! Masks: what of a layer is seen, by another layer or by a picture.
//!
//! A mask is the last thing done to a layer before opacity and blend mode, as in CSS: effects are masked, too. A layer that
//! is a mask lies where its own transform says, whether it is enabled or not; a picture is stretched over the box of the
//! layer and moves with it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{check::Check, draw::Channel};
use crate::base::id::Id;

/// Longest asset name, in bytes.
const NAME_LEN_MAX: usize = 256;

/// The document of a layer's mask: `layer` or `asset`, not both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mask {
    /// The id of a layer in the same scene or group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<Id>,
    /// The name of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset: Option<String>,
    /// What of it counts: how opaque it is, or how bright.
    #[serde(default)]
    pub channel: Channel,
    /// Whether the layer is seen where the mask is not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inverted: bool,
    /// Standard deviation, in pixels of the layer's parent, by which the mask's edges are softened.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schema(minimum = 0, maximum = 250)]
    pub feather: f64,
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

impl Mask {
    /// `own` is the id of the layer that is masked.
    pub(super) fn check(&self, own: &Id, check: &mut Check) {
        let is_one = self.layer.is_some() != self.asset.is_some();
        check.that("", is_one, || "expected either `layer` or `asset`".into());
        check.that("/layer", self.layer.as_ref() != Some(own), || "a layer cannot be its own mask".into());
        if let Some(asset) = &self.asset {
            check.count("/asset", "bytes", asset.len(), 1..=NAME_LEN_MAX);
        }
        check.range("/feather", self.feather, 0.0..=250.0);
    }
}
