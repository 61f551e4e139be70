//! What is known of an uploaded file: its document, what may be changed of it, and which ones a question is about.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::IntoParams;

use crate::{
    base::digest::Digest,
    media::{Format, Kind},
    scene::check::{self, Check, Problems},
};

/// Longest name, in bytes.
const NAME_LEN_MAX: usize = 256;
/// Most tags, and longest one in bytes.
const TAGS_MAX: usize = 32;
const TAG_LEN_MAX: usize = 64;

/// An uploaded file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asset {
    /// The digest of its bytes: what documents call it.
    pub id: Digest,
    /// What it is used as.
    pub kind: Kind,
    /// Its format, by its content.
    pub format: Format,
    /// Its length.
    pub bytes: u64,
    /// When it came, in milliseconds since 1970 UTC.
    pub created_utc_ms: i64,
    /// What people say of it.
    #[serde(flatten)]
    pub label: Label,
    /// What its content says.
    #[serde(flatten)]
    pub facts: Facts,
}

/// What people say of an asset; it may be changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Label {
    /// For people; often the file's name.
    pub name: String,
    /// For finding it again.
    pub tags: BTreeSet<String>,
}

/// What the content of an asset says; fields that its kind does not have are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Facts {
    /// Pixels in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Frames of a picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames: Option<u32>,
    /// Families of a font.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub families: Vec<String>,
    /// Entries along an axis of a table of colours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entries: Option<u32>,
    /// Sampling rate of a sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_rate_hz: Option<u32>,
    /// Channels of a sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LabelPatch {
    name: Option<String>,
    tags: Option<Vec<String>>,
}

impl Asset {
    /// One that was kept, whose label is in bounds.
    pub(in crate::state) fn read(value: Value) -> Result<Self, Problems> {
        let asset: Self = check::read(value)?;
        let label = Label::new(&asset.label.name, asset.label.tags)?;
        Ok(Self { label, ..asset })
    }
}

impl Label {
    /// Checks it.
    pub fn new(name: &str, tags: impl IntoIterator<Item = String>) -> Result<Self, Problems> {
        let label = Self { name: name.into(), tags: tags.into_iter().collect() };
        let mut check = Check::default();
        check.count("/name", "bytes", label.name.len(), 0..=NAME_LEN_MAX);
        check.that("/name", !label.name.chars().any(char::is_control), || "control characters are not allowed".into());
        check.count("/tags", "tags", label.tags.len(), 0..=TAGS_MAX);
        for tag in &label.tags {
            let is_good = (1..=TAG_LEN_MAX).contains(&tag.len()) && !tag.chars().any(|c| c.is_control() || c == ',');
            check.that("/tags", is_good, || {
                format!("a tag has 1 to {TAG_LEN_MAX} bytes without commas and control characters")
            });
        }
        check.finish().map(|()| label)
    }

    /// With this merge patch applied.
    pub fn patched(&self, patch: Value) -> Result<Self, Problems> {
        let LabelPatch { name, tags } = check::read(patch)?;
        Self::new(
            &name.unwrap_or_else(|| self.name.clone()),
            tags.map_or_else(|| self.tags.clone(), BTreeSet::from_iter),
        )
    }
}

/// Which assets are wanted; what is not said does not matter.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Filter {
    /// Of this kind.
    pub kind: Option<Kind>,
    /// With this tag.
    pub tag: Option<String>,
    /// With this in their names; case does not matter.
    pub q: Option<String>,
}

impl Filter {
    /// Whether it is one of them.
    pub fn is_met_by(&self, asset: &Asset) -> bool {
        let has = |text: &String| asset.label.name.to_lowercase().contains(&text.to_lowercase());
        self.kind.is_none_or(|kind| kind == asset.kind)
            && self.tag.as_ref().is_none_or(|tag| asset.label.tags.contains(tag))
            && self.q.as_ref().is_none_or(has)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub(in crate::state::assets) fn asset(content: &[u8], name: &str) -> Asset {
        Asset {
            id: Digest::of(content),
            kind: Kind::Picture,
            format: Format::Png,
            bytes: content.len() as u64,
            created_utc_ms: 1000,
            label: Label::new(name, ["news".to_owned()]).unwrap(),
            facts: Facts { width: Some(4), height: Some(2), frames: Some(1), ..Facts::default() },
        }
    }

    #[test]
    fn what_is_written_is_read_as_itself() {
        let asset = asset(b"a", "Bug.png");
        let written = serde_json::to_value(&asset).unwrap();
        let id = Digest::of(b"a").to_string();
        assert_eq!(
            written,
            json!({ "id": id, "kind": "picture", "format": "png", "bytes": 1, "createdUtcMs": 1000, "name": "Bug.png",
                "tags": ["news"], "width": 4, "height": 2, "frames": 1 })
        );
        assert_eq!(Asset::read(written.clone()).unwrap(), asset);
        for (field, value) in [("id", json!("sha256:0")), ("name", json!("a\nb")), ("bytes", json!(-1))] {
            let mut damaged = written.clone();
            damaged[field] = value;
            assert!(Asset::read(damaged).is_err(), "{field}");
        }
    }

    #[test]
    fn labels_are_bounded_and_patched() {
        let label = Label::new("a", ["x".into(), "y".into()]).unwrap();
        let patched = label.patched(json!({ "tags": ["z"] })).unwrap();
        assert_eq!(patched, Label::new("a", ["z".into()]).unwrap());
        let refused = |patch| label.patched(patch).unwrap_err().0.remove(0).pointer;
        assert_eq!(refused(json!({ "name": "x".repeat(257) })), "/name");
        assert_eq!(refused(json!({ "name": "a\nb" })), "/name");
        assert_eq!(refused(json!({ "tags": ["a,b"] })), "/tags");
        assert_eq!(refused(json!({ "tags": (0..33).map(|i| i.to_string()).collect::<Vec<_>>() })), "/tags");
        assert_eq!(refused(json!({ "bytes": 3 })), "/bytes");
    }

    #[test]
    fn filters() {
        let asset = asset(b"a", "Station Bug.png");
        let met = |filter: Value| serde_json::from_value::<Filter>(filter).unwrap().is_met_by(&asset);
        assert!(met(json!({})) && met(json!({ "kind": "picture", "tag": "news", "q": "bug" })));
        assert!(!met(json!({ "kind": "audio" })) && !met(json!({ "tag": "sport" })) && !met(json!({ "q": "logo" })));
    }
}
