//! Recording: an output that writes files instead of sending to a server.
//!
//! ```text
//! mux thread                     thread record-ID
//! ──────────                     ────────────────
//! push ────────► Queue (bounded) ───► Recorder ─► Container (flv, mp4) ─► Part ─► file
//! set_headers ─►                         │  waits, splits, tries again        │
//! anyone: stats ◄── counters ◄───────────┴──────────── synced every 5 s ◄────┘
//! ```
//!
//! Queue, states and statistics are those of all outputs, so a disk that is slow or full costs packets of this recording
//! and nothing else. Writing to a file blocks, and syncing it may for seconds: a thread of its own does that, not one of
//! the network's. What fails (a full disk, a directory that is gone) ends the file as well as can be; a new one is begun
//! when the disk takes it again, at the next IDR.
//!
//! Files are of formats that can be read up to their last whole tag or fragment however they end. They are split at IDRs,
//! each begins at time 0, and a packet is in one of them. Their names come from a template and lie in one directory that
//! the daemon's configuration names: a template has no place for a separator, and a file is only ever made anew, which
//! follows no symbolic link and overwrites nothing.
//!
//! ```text
//! name       templates and what becomes of them       recorder   the thread: files one after the other, for ever
//! container  packets to bytes: flv, mp4                part       one file on the disk
//! clock      milliseconds to a track's units           error      why a recording stopped
//! ```
//!
//! Left out: deleting old files, which is for whoever knows what they are worth.

mod clock;
mod container;
mod error;
mod flv;
mod mp4;
mod name;
mod part;
mod recorder;

use std::{path::PathBuf, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(super) use self::recorder::Recorder;
pub use self::{
    error::Error,
    name::{InvalidTemplate, NAME_LEN_MAX, Template},
};
use super::queue::Limits;
use crate::base::{clock::Clock, id::Id};

/// Bounds of a recording's queue. A viewer who is behind wants what is new; a file wants all of it: what a disk can be late
/// with is bounded by memory, not by patience. 30 s of 16 Mb/s fit.
pub const LIMITS: Limits =
    Limits { bytes_max: 64 << 20, disposable_ms_max: 30_000, video_ms_max: 30_000, audio_ms_max: 30_000 };

/// Where recordings lie; the same for all of the daemon's.
#[derive(Debug, Clone)]
pub struct Recordings {
    /// The directory. It is not made: one that is missing may be a disk that is not mounted.
    pub directory: PathBuf,
    /// Tells the time that names contain.
    pub clock: Arc<dyn Clock>,
}

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Format {
    /// Fragmented MP4.
    #[default]
    Mp4,
    /// FLV.
    Flv,
}

impl Format {
    /// How names of such files end.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Flv => "flv",
        }
    }
}

/// When a file is ended and the next one begun: at the first IDR at which one of these is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    /// Length of the file.
    pub every: Duration,
    /// Bytes of the file.
    pub bytes: Option<u64>,
}

/// A recording as its document describes it, checked.
#[derive(Debug, Clone)]
pub struct Recording {
    /// The output's id.
    pub id: Id,
    /// Of which stream.
    pub stream: Id,
    /// What the files are called.
    pub template: Template,
    /// What kind of file they are.
    pub format: Format,
    /// How long they get.
    pub split: Split,
    /// Bytes of the disk that stay free.
    pub free_bytes_min: u64,
    /// Bounds of the queue.
    pub limits: Limits,
}

/// What a recording shows of itself besides what every output does. Names that OBS has are OBS's.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The file that is written, or was last: its name in the daemon's directory of recordings.
    pub output_path: Option<String>,
    /// Its bytes so far.
    pub file_bytes: u64,
    /// Files begun.
    pub files: u64,
    /// Megabytes that were free on the disk when it was last asked.
    pub available_disk_space: Option<f64>,
}
