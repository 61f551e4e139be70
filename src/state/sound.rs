//! The sound of a stream beside its document: sources opened for a change, and what the meters show.
//!
//! A change holds from the first sample that is mixed after it, some 90 ms ahead of what is on; that sample is
//! answered, and fades begin with it.

use std::sync::Arc;

use super::{Entry, Error, Streams};
use crate::{
    audio::{Mix, Opened, Reading},
    base::id::Id,
    pipeline::Stream,
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
