//! The ops of a transaction: one for each way to change a stream's document, as REST has them.
//!
//! ```json
//! { "op": "patchLayer", "scene": "break", "id": "bug", "patch": { "opacity": 0.5 } }
//! ```
//!
//! `document` is what would be sent by POST or PUT, `patch` what would be sent by PATCH; layers without a `scene` are those of
//! the scene on air, as it is when it is the op's turn. Each type is a line in `ops!`. Written back, ops have secrets in
//! them: they are for stores alone, people see their summaries.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{PartialSchema, ToSchema};

use crate::{
    base::{id::Id, schema::Written},
    scene::check::{self, Problem, Problems},
};

macro_rules! ops {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $body:literal { $($field:ident: $type:ty),* $(,)? })+) => {
        /// One change of a stream's document.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Op { $($(#[$doc])* $name($name)),+ }

        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
            #[serde(rename_all = "camelCase", deny_unknown_fields)]
            #[expect(missing_docs, reason = "the fields mean the same in each op; the module says what")]
            pub struct $name { $(pub $field: $type),* }

            impl From<$name> for Op {
                fn from(op: $name) -> Self {
                    Self::$name(op)
                }
            }
        )+

        impl Op {
            /// The names of all ops, as they are written.
            pub const NAMES: &[&str] = &[$($text),+];

            /// Their fields beside `op`, each with the name of its op.
            pub fn schemas() -> Vec<(&'static str, Written)> {
                vec![$(($text, <$name as PartialSchema>::schema())),+]
            }

            /// How it is written.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => $text),+ }
            }

            /// Where in it the document, the patch or the arguments stand.
            pub(super) fn body(&self) -> &'static str {
                match self { $(Self::$name(_) => $body),+ }
            }

            fn read_as(name: &str, fields: Value) -> Result<Self, Problems> {
                match name {
                    $($text => check::read(fields).map(Self::$name),)+
                    _ => Err(wrong(format!("unknown op `{name}`, expected one of {}", Self::NAMES.join(", ")))),
                }
            }

            fn fields(&self) -> Result<Value, serde_json::Error> {
                match self { $(Self::$name(op) => serde_json::to_value(op)),+ }
            }
        }
    };
}

ops! {
    /// Merges a patch into what is not a part's own in the stream's document.
    PatchStream = "patchStream", "/patch" { patch: Value }
    /// Adds a layer.
    CreateLayer = "createLayer", "/document" { scene: Option<Id>, document: Value }
    /// Replaces a layer's document.
    ReplaceLayer = "replaceLayer", "/document" { scene: Option<Id>, id: String, document: Value }
    /// Merges a patch into a layer's document.
    PatchLayer = "patchLayer", "/patch" { scene: Option<Id>, id: String, patch: Value }
    /// Lets a layer act.
    ActOnLayer = "actOnLayer", "/arguments" { scene: Option<Id>, id: String, action: String, arguments: Option<Value> }
    /// Takes a layer away.
    DeleteLayer = "deleteLayer", "" { scene: Option<Id>, id: String }
    /// Adds a scene.
    CreateScene = "createScene", "/document" { document: Value }
    /// Replaces a scene's document.
    ReplaceScene = "replaceScene", "/document" { id: String, document: Value }
    /// Merges a patch into a scene's document.
    PatchScene = "patchScene", "/patch" { id: String, patch: Value }
    /// Takes a scene away that nobody sees.
    DeleteScene = "deleteScene", "" { id: String }
    /// Puts a scene in preview, or none.
    SetPreview = "setPreview", "" { scene: Option<Id> }
    /// Takes a scene on air: the one given, or the one in preview.
    Take = "take", "" { scene: Option<Id>, transition: Option<Value>, swap: Option<bool> }
    /// Merges a patch into what is not a source's in the sound's document.
    PatchAudio = "patchAudio", "/patch" { patch: Value }
    /// Adds a source of sound.
    CreateSource = "createSource", "/document" { document: Value }
    /// Replaces a source's document.
    ReplaceSource = "replaceSource", "/document" { id: String, document: Value }
    /// Merges a patch into a source's document.
    PatchSource = "patchSource", "/patch" { id: String, patch: Value }
    /// Takes a source away.
    DeleteSource = "deleteSource", "" { id: String }
    /// Adds an output.
    CreateOutput = "createOutput", "/document" { document: Value }
    /// Merges a patch into an output's document; it is published to anew.
    PatchOutput = "patchOutput", "/patch" { id: String, patch: Value }
    /// Takes an output away.
    DeleteOutput = "deleteOutput", "" { id: String }
}

impl Op {
    /// Reads an op as it is written.
    pub fn read(mut value: Value) -> Result<Self, Problems> {
        let fields = value.as_object_mut().ok_or_else(|| {
            Problems::from(Problem { pointer: String::new(), message: "expected an object with `op`".into() })
        })?;
        match fields.remove("op") {
            Some(Value::String(name)) => Self::read_as(&name, value),
            Some(_) => Err(wrong("expected a text".into())),
            None => Err(wrong(format!("missing; expected one of {}", Self::NAMES.join(", ")))),
        }
    }

    /// As it is read, secrets of outputs included.
    pub fn written(&self) -> Result<Value, serde_json::Error> {
        let mut value = self.fields()?;
        value["op"] = self.name().into();
        Ok(value)
    }

    /// What it does to what, for people: nothing of what outputs keep secret.
    pub fn summary(&self) -> String {
        let fields = self.fields().unwrap_or_default();
        let place = ["/id", "/document/id", "/scene"].iter().find_map(|place| fields.pointer(place)?.as_str());
        match place {
            // What is no id may be anything, of any length.
            Some(id) if Id::new(id).is_ok() => format!("{} {id}", self.name()),
            _ => self.name().into(),
        }
    }
}

fn wrong(message: String) -> Problems {
    Problem { pointer: "/op".into(), message }.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ops_are_written_as_they_are_read() {
        for (op, summary) in [
            (json!({ "op": "patchLayer", "scene": "a", "id": "b", "patch": { "opacity": 0.5 } }), "patchLayer b"),
            (json!({ "op": "createLayer", "scene": "a", "document": { "id": "c" } }), "createLayer c"),
            (json!({ "op": "setPreview", "scene": null }), "setPreview"),
            (json!({ "op": "take", "scene": "a", "transition": { "type": "fade" }, "swap": true }), "take a"),
            (json!({ "op": "deleteOutput", "id": "not an id" }), "deleteOutput"),
        ] {
            let read = Op::read(op.clone()).unwrap();
            assert_eq!(read.written().unwrap(), op);
            assert_eq!(read.summary(), summary);
        }
        let minimal = Op::read(json!({ "op": "actOnLayer", "id": "b", "action": "play" })).unwrap();
        assert_eq!(Op::read(minimal.written().unwrap()).unwrap(), minimal);
    }

    #[test]
    fn what_is_wrong_has_its_place_and_what_is_allowed() {
        for (op, pointer, words) in [
            (json!("patchLayer"), "", "object"),
            (json!({ "id": "a" }), "/op", "createLayer"),
            (json!({ "op": 1 }), "/op", "text"),
            (json!({ "op": "fly" }), "/op", "expected one of patchStream"),
            (json!({ "op": "deleteLayer", "id": "a", "force": true }), "/force", "unknown field"),
            (json!({ "op": "deleteLayer" }), "", "missing field `id`"),
            (json!({ "op": "createLayer", "scene": "no id!", "document": {} }), "/scene", "id"),
        ] {
            let problem = Op::read(op.clone()).unwrap_err().0.remove(0);
            assert_eq!(problem.pointer, pointer, "{op}: {problem}");
            assert!(problem.message.contains(words), "{op}: {problem}");
        }
    }
}
