//! The mix of a draft: its sources made, changed and taken away, and what is done to the whole. Fades begin with the first
//! sample that is heard of it, which is known when the draft goes on air.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Draft, Item};
use crate::{
    audio::{Mix, SOURCES_MAX, Strip},
    base::id::Id,
    scene::check::Problems,
    state::{
        Error, fixed, merged, not_found,
        op::{CreateSource, DeleteSource, PatchAudio, PatchSource, ReplaceSource},
        replaced,
    },
};

impl Draft {
    pub(super) fn create_source(&mut self, CreateSource { document }: &CreateSource) -> Result<Item, Error> {
        let strip = Strip::read(document.clone())?;
        let mix = &self.document.audio.mix;
        if mix.source(strip.id.as_str()).is_some() {
            return Err(Error::Exists { what: "source", id: strip.id });
        }
        if mix.sources.len() == SOURCES_MAX {
            return Err(Error::TooMany { what: "source", limit: SOURCES_MAX });
        }
        self.expect_layer(&strip)?;
        self.mix().sources.push(strip.clone());
        self.checked(strip)
    }

    pub(super) fn replace_source(&mut self, op: &ReplaceSource) -> Result<Item, Error> {
        let strip = find(self.mix(), &op.id)?.clone();
        self.change_source(&strip, replaced(&strip.id, &op.document))
    }

    /// A fade that is given is a new one: nothing of one under way goes into it.
    pub(super) fn patch_source(&mut self, op: &PatchSource) -> Result<Item, Error> {
        let strip = find(self.mix(), &op.id)?.clone();
        let fade = strip.fade.clone().filter(|_| op.patch.get("fade").is_none());
        let base = Strip { fade, ..strip };
        let value = merged(&base, &op.patch)?;
        self.change_source(&base, value)
    }

    fn change_source(&mut self, was: &Strip, value: Value) -> Result<Item, Error> {
        let changed = Strip::read(value)?;
        if changed.id != was.id {
            return Err(fixed("/id", "the id of a source does not change"));
        }
        // One that it followed already may have been taken away since.
        if changed.follow_layer != was.follow_layer {
            self.expect_layer(&changed)?;
        }
        *find(self.mix(), was.id.as_str())? = changed.clone();
        self.checked(changed)
    }

    /// Takes a source away that no other one makes room for.
    pub(super) fn delete_source(&mut self, DeleteSource { id }: &DeleteSource) -> Result<Item, Error> {
        let mix = self.mix();
        let id = find(mix, id)?.id.clone();
        mix.sources.retain(|strip| strip.id != id);
        match mix.sources.iter().find(|strip| strip.duck.as_ref().is_some_and(|duck| duck.under == id)) {
            Some(other) => {
                let by = format!("source `{}` ducks under it", other.id);
                Err(Error::InUse { what: "source", id, by })
            }
            None => Ok(Item::Gone),
        }
    }

    pub(super) fn patch_audio(&mut self, PatchAudio { patch }: &PatchAudio) -> Result<Item, Error> {
        if !patch.is_object() {
            return Err(fixed("", "expected an object"));
        }
        self.patch_stream(&json!({ "audio": patch })).map_err(|error| match error {
            Error::Invalid(problems) => Error::Invalid(problems.within("/audio")),
            other => other,
        })
    }

    fn mix(&mut self) -> &mut Mix {
        Arc::make_mut(&mut self.document.audio.mix)
    }

    fn checked(&self, strip: Strip) -> Result<Item, Error> {
        let mix = &self.document.audio.mix;
        mix.check().map_err(|problems| seen_from(mix, &strip.id, problems))?;
        Ok(Item::Source(strip))
    }

    /// The layer that a source follows must be there.
    fn expect_layer(&self, strip: &Strip) -> Result<(), Error> {
        match &strip.follow_layer {
            Some(layer) if !self.document.show.has_layer(layer.as_str()) => {
                Err(fixed("/followLayer", &format!("there is no layer `{layer}` in any scene")))
            }
            _ => Ok(()),
        }
    }
}

fn find<'a>(mix: &'a mut Mix, id: &str) -> Result<&'a mut Strip, Error> {
    mix.sources.iter_mut().find(|strip| strip.id.as_str() == id).ok_or_else(|| not_found("source", id))
}

/// Problems of a mix, seen from the source that was sent.
fn seen_from(mix: &Mix, edited: &Id, problems: Problems) -> Error {
    let index = mix.sources.iter().position(|strip| strip.id == *edited);
    Error::Invalid(match index {
        Some(index) => problems.within(&format!("/sources/{index}")),
        None => problems,
    })
}
