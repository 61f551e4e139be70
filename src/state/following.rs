//! Those who follow a stream while it runs: its picture, and what happens on it.

use super::{Error, Streams};
use crate::{
    base::id::Id,
    output::State,
    pipeline::{BitrateChange, Full, Look, Watch},
    scene::animation::Event,
};

/// What happens on a running stream, as one sees it who looks from time to time.
#[derive(Debug, Clone)]
pub struct Happenings {
    /// What animations told since one looked last, as far as it is kept.
    pub animations: Vec<Event>,
    /// How much they have told by now.
    pub animations_count: u64,
    /// Where each output stands.
    pub outputs: Vec<(Id, State)>,
    /// How the bitrate of each rendition changed.
    pub bitrates: Vec<Bitrates>,
}

/// How the bitrate of a rendition changed since the stream started.
#[derive(Debug, Clone)]
pub struct Bitrates {
    /// Of which rendition.
    pub rendition: Id,
    /// The last changes, as far as they are kept, oldest first.
    pub changes: Vec<BitrateChange>,
    /// How many there have been by now.
    pub count: u64,
}

impl Streams {
    /// Somebody who watches a stream in this look, until that stops.
    pub fn watch(&self, id: &str, look: Look) -> Result<Watch, Error> {
        let entry = self.entry(id)?;
        let current = entry.lock();
        let Some(stream) = &current.stream else {
            let fix = "start it first";
            return Err(Error::State { id: current.document.id.clone(), state: current.state(), fix });
        };
        stream.watch(look).map_err(|Full { what, limit }| Error::TooMany { what, limit })
    }

    /// What has happened on a stream since its animations had told `seen` events; none while it does not run or is not
    /// there.
    pub fn happenings(&self, id: &Id, seen: u64) -> Option<Happenings> {
        let entry = self.entry(id.as_str()).ok()?;
        let current = entry.lock();
        let stream = current.stream.as_ref()?;
        let (animations, animations_count) = stream.animation_events_since(seen);
        let (mut outputs, mut bitrates) = (Vec::new(), Vec::new());
        for report in stream.renditions() {
            outputs.extend(report.outputs.into_iter().map(|output| (output.id, output.state)));
            let (changes, count) = (report.bitrate_changes, report.bitrate_changes_count);
            bitrates.push(Bitrates { rendition: report.id, changes, count });
        }
        Some(Happenings { animations, animations_count, outputs, bitrates })
    }
}
