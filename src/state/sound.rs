//! The mix of a stream: its sources made, changed and taken away, and what is done to the whole.
//!
//! A change holds from the first sample that is mixed after it, some 40 ms ahead of what is being encoded; that sample is
//! answered, and fades begin with it. The picture is not touched.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{By, Document, Edit, Entry, Error, Receipt, Streams, fixed, not_found};
use crate::{
    audio::{Mix, Opened, Reading, SOURCES_MAX, Strip},
    base::id::Id,
    pipeline::{Heard, Stream},
    scene::check::Problems,
};

/// What a change of the sound answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixed<T> {
    /// What was changed, as it is now.
    pub item: T,
    /// The first sample for which it holds; none while the stream does not run.
    pub sample: Option<u64>,
}

impl Streams {
    /// Changes a stream's mix: `edit` changes it and names the source it made or changed, which is answered with the time
    /// at which its fade begins.
    async fn edit_mix(
        &self,
        by: &By,
        id: &str,
        edit: impl FnOnce(&Document, &mut Mix) -> Result<Option<Id>, Error>,
    ) -> Result<Receipt<Mixed<Option<Strip>>>, Error> {
        let (entry, _writing) = self.write(by, id).await?;
        let mut document = (*entry.lock().document()).clone();
        let mut mix = (*document.audio.mix).clone();
        let edited = edit(&document, &mut mix)?;
        mix.check().map_err(|problems| seen_from(&mix, edited.as_ref(), problems))?;
        document.audio.mix = mix.into();
        let opened = self.open_sources(&entry, &document.audio.mix).await?;
        let mut current = entry.lock();
        let heard = current.put_mix(&mut document, opened);
        let strip = edited.and_then(|id| document.audio.mix.source(id.as_str()).cloned());
        let item = Mixed { item: strip, sample: heard.map(|Heard { sample, .. }| sample) };
        Ok(current.commit_with(by, heard, |_| (document, item)))
    }

    /// Opens the sources that a mix needs beside those that are heard, away from the network's threads and with nothing
    /// locked but the stream's writer; a stream that does not run needs none.
    pub(super) async fn open_sources(&self, entry: &Entry, mix: &Arc<Mix>) -> Result<Vec<Opened>, Error> {
        let before = {
            let current = entry.lock();
            current.stream.is_some().then(|| current.document.audio.mix.clone())
        };
        let Some(before) = before else { return Ok(Vec::new()) };
        let mix = mix.clone();
        let opener = self.services.devices.opener();
        let work = move || mix.opened_since(&before, &opener);
        tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(error.to_string()))
    }

    /// Adds a source.
    pub async fn create_source(&self, by: &By, id: &str, value: Value) -> Result<Receipt<Mixed<Strip>>, Error> {
        let strip = Strip::read(value)?;
        self.edit_mix(by, id, move |document, mix| {
            if mix.source(strip.id.as_str()).is_some() {
                return Err(Error::Exists { what: "source", id: strip.id });
            }
            if mix.sources.len() == SOURCES_MAX {
                return Err(Error::TooMany { what: "source", limit: SOURCES_MAX });
            }
            expect_layer(document, &strip)?;
            mix.sources.push(strip.clone());
            Ok(Some(strip.id))
        })
        .await
        .and_then(edited)
    }

    /// Replaces a source's document, or merges a patch into it. A fade that is given is a new one.
    pub async fn change_source(
        &self,
        by: &By,
        id: &str,
        source_id: &str,
        change: Edit,
    ) -> Result<Receipt<Mixed<Strip>>, Error> {
        let source_id = source_id.to_owned();
        self.edit_mix(by, id, move |document, mix| {
            let strip = find_source(mix, &source_id)?;
            let is_refaded = matches!(&change, Edit::Merge(patch) if patch.get("fade").is_some());
            let base = Strip { fade: strip.fade.clone().filter(|_| !is_refaded), ..strip.clone() };
            let changed = Strip::read(change.apply(&base, &base.id)?)?;
            if changed.id != base.id {
                return Err(fixed("/id", "the id of a source does not change"));
            }
            // One that it followed already may have been taken away since.
            if changed.follow_layer != base.follow_layer {
                expect_layer(document, &changed)?;
            }
            *strip = changed;
            Ok(Some(base.id))
        })
        .await
        .and_then(edited)
    }

    /// Takes a source away that no other one makes room for.
    pub async fn delete_source(&self, by: &By, id: &str, source_id: &str) -> Result<Receipt<Mixed<()>>, Error> {
        let source_id = source_id.to_owned();
        let receipt = self.edit_mix(by, id, move |_, mix| {
            let id = find_source(mix, &source_id)?.id.clone();
            mix.sources.retain(|strip| strip.id != id);
            match mix.sources.iter().find(|strip| strip.duck.as_ref().is_some_and(|duck| duck.under == id)) {
                Some(other) => {
                    let by = format!("source `{}` ducks under it", other.id);
                    Err(Error::InUse { what: "source", id, by })
                }
                None => Ok(None),
            }
        });
        Ok(receipt.await?.map(|Mixed { sample, .. }| Mixed { item: (), sample }))
    }

    /// Merges a patch into what is not a source's in the sound's document.
    pub async fn patch_audio(&self, by: &By, id: &str, patch: Value) -> Result<Receipt<super::Snapshot>, Error> {
        let within = |error| match error {
            Error::Invalid(problems) => Error::Invalid(problems.within("/audio")),
            other => other,
        };
        if !patch.is_object() {
            return Err(fixed("", "expected an object"));
        }
        self.patch(by, id, &json!({ "audio": patch })).await.map_err(within)
    }

    /// Integrated loudness, its range and the highest true peak start anew.
    pub fn reset_loudness(&self, id: &str) -> Result<(), Error> {
        let entry = self.entry(id)?;
        let current = entry.lock();
        let Some(stream) = &current.stream else {
            return Err(Error::State {
                id: current.document.id.clone(),
                state: current.state(),
                fix: "start it first",
            });
        };
        stream.reset_loudness();
        Ok(())
    }

    /// What the meters of a stream showed since they had counted `seen` blocks, and how many they have counted now; none
    /// while it does not run or is not there.
    pub fn meters(&self, id: &Id, seen: u64) -> Option<(Reading, u64)> {
        let entry = self.entry(id.as_str()).ok()?;
        let current = entry.lock();
        current.stream.as_ref().map(|stream: &Stream| stream.sound_levels_since(seen))
    }

    /// The ids of all streams.
    pub fn ids(&self) -> Vec<Id> {
        self.entries().keys().cloned().collect()
    }
}

fn find_source<'a>(mix: &'a mut Mix, id: &str) -> Result<&'a mut Strip, Error> {
    mix.sources.iter_mut().find(|strip| strip.id.as_str() == id).ok_or_else(|| not_found("source", id))
}

/// The layer that a source follows must be there.
fn expect_layer(document: &Document, strip: &Strip) -> Result<(), Error> {
    match &strip.follow_layer {
        Some(layer) if !document.show.has_layer(layer.as_str()) => {
            Err(fixed("/followLayer", &format!("there is no layer `{layer}` in any scene")))
        }
        _ => Ok(()),
    }
}

/// Problems of a mix, seen from the source that was sent.
fn seen_from(mix: &Mix, edited: Option<&Id>, problems: Problems) -> Error {
    let index = mix.sources.iter().position(|strip| Some(&strip.id) == edited);
    Error::Invalid(
        index.map_or_else(|| problems.clone(), |index| problems.clone().within(&format!("/sources/{index}"))),
    )
}

/// The receipt of a change that was about a source.
fn edited(receipt: Receipt<Mixed<Option<Strip>>>) -> Result<Receipt<Mixed<Strip>>, Error> {
    let Some(strip) = receipt.item.item.clone() else {
        return Err(Error::Internal("the source that was changed is not there".into()));
    };
    Ok(receipt.map(|Mixed { sample, .. }| Mixed { item: strip, sample }))
}
