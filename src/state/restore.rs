//! Streams that come from a store: those that were on air when the daemon ended, and what another instance has changed.
//!
//! A stream that is restored goes on as though it had run on, see `pipeline::Course`; what is known only to the document,
//! animations, timers, chats, fades, is in it. What another instance wrote is taken as it stands, with the times in it,
//! for both count from the same beginning.

use std::sync::Arc;

use super::{
    By, Current, Document, Entry, Error, MEDIA_TIMEOUT, Streams, What,
    history::{Record, Step},
    needs_restart,
    store::kept::{Kept, Run},
};
use crate::{
    pipeline::{self, Applied, Course},
    scene::Moment,
};

/// How far apart, in milliseconds, the beginnings of one run may be as two instances reckon them.
const CLOCKS_APART_MS: u64 = 500;
/// Frames that may begin while a show is put on air; it takes some microseconds.
const ATTEMPTS_MAX: usize = 8;

impl Document {
    /// The document with all that is never shown, from which [`Document::read`] makes the same. For stores alone.
    pub(super) fn with_secrets(&self) -> serde_json::Value {
        // What is made of strings and finite numbers is always written.
        let mut value = serde_json::to_value(self).unwrap_or_default();
        value["outputs"] = self.outputs.iter().map(super::output::Output::with_secrets).collect();
        value
    }
}

impl Streams {
    /// What is to be kept of a stream, as it is now.
    pub fn kept(&self, id: &str) -> Result<Kept, Error> {
        let entry = self.entry(id)?;
        let current = entry.lock();
        let course = current.stream.as_ref().map(pipeline::Stream::course).or(current.cut_off);
        let run = Run::of(current.state(), course);
        let control = current.control.clone();
        Ok(Kept { revision: current.revision, document: current.document(), run, control })
    }

    /// Adds a stream as it was kept and, if it was on air, goes on with it. One that does not start is there all the same.
    async fn restore(&self, by: &By, kept: Kept) -> Result<(), Error> {
        let Kept { revision, document, run, control } = kept;
        let id = document.id.clone();
        let entry = self.off_air(by, "restore", document, revision, control);
        let _writing = entry.writer.clone().lock_owned().await;
        self.place(id, &entry)?;
        entry.lock().announce(by, What::Created, None);
        let done = self.go_on(by, &entry, run).await;
        let mut current = entry.lock();
        let now = current.schedule_now();
        if current.control.come_back(&now) {
            current.announce(by, What::Control, None);
        }
        done
    }

    /// Starts what should run, where it stands by now; for the stream's writer.
    async fn go_on(&self, by: &By, entry: &Entry, run: Run) -> Result<(), Error> {
        let Run::Running { course } = run else { return Ok(()) };
        let started = self.run(entry, course).await;
        let current = entry.lock();
        current.announce(by, What::Run, current.stream.as_ref().map(pipeline::Stream::next_frame));
        started
    }

    /// Makes a stream what another instance has made of it, or the daemon before this one.
    pub async fn adopt(&self, by: &By, kept: Kept) -> Result<(), Error> {
        let id = kept.document.id.clone();
        let (entry, _writing) = match self.write(by, id.as_str()).await {
            Err(Error::NotFound { .. }) => return self.restore(by, kept).await,
            found => found?,
        };
        let is_same_run = {
            let current = entry.lock();
            let course = current.stream.as_ref().map(pipeline::Stream::course);
            !needs_restart(&current.document, &kept.document) && goes_together(course, kept.run)
        };
        if is_same_run {
            return self.replace(by, &entry, kept).await;
        }
        let stream = entry.lock().stream.take();
        if let Some(stream) = stream {
            stream.stop().await;
        }
        {
            let mut current = entry.lock();
            current.has_failed = false;
            current.control.take_over(kept.control);
            current.take_over(by, kept.document, kept.revision, None);
            current.announce(by, What::Run, None);
        }
        self.go_on(by, &entry, kept.run).await
    }

    /// Puts another document on air, as it stands; the run stays what it is.
    async fn replace(&self, by: &By, entry: &Entry, kept: Kept) -> Result<(), Error> {
        let Kept { revision, document, run, control } = kept;
        let moment = self.moment(&entry.lock());
        let deadline = self.services.clock.now() + MEDIA_TIMEOUT;
        // What cannot be shown is not shown: it is on air elsewhere already.
        self.ready((*document.show).clone(), moment, deadline).await?;
        let opened = self.open_sources(entry, &document.audio.mix).await?;
        let mut current = entry.lock();
        let before = current.document.clone();
        let mut applied = None;
        if let Some(stream) = &current.stream {
            applied = put(stream, &document);
            stream.set_mix(opened, None, |_| (document.audio.mix.clone(), ()));
            self.follow(stream, &before, &document, &[]);
            let is_paused =
                matches!(run, Run::Running { course: Some(Course { pauses, .. }) } if pauses.since_frame.is_some());
            if stream.is_paused() != is_paused {
                stream.set_paused(is_paused);
                current.announce(by, What::Run, applied);
            }
        }
        current.control.take_over(control);
        current.take_over(by, document, revision, applied);
        Ok(())
    }

    /// The moment that a run with this course is at.
    pub(super) fn moment_of(&self, document: &Document, course: Option<Course>) -> Moment {
        let (utc_ms, rate) = (self.services.clock.utc_ms(), document.show.canvas.fps);
        course.map_or(Moment::START, |course| course.moment_at(utc_ms, rate))
    }
}

impl Current {
    /// Makes this the document, with a revision that is above the one before and no lower than the other instance's.
    fn take_over(&mut self, by: &By, document: Arc<Document>, revision: u64, applied: Option<Applied>) {
        let before = std::mem::replace(&mut self.document, document);
        self.revision = revision.max(self.revision + 1);
        let ops: Arc<[String]> = ["adopt".to_owned()].into();
        let receipt = self.announce_ops(by, What::Document, applied, ops.clone());
        self.history.note(Step::Do, before, Record::of(&receipt, ops, &self.document));
    }
}

/// Puts the show on air with the next frame for which there is time.
fn put(stream: &pipeline::Stream, document: &Document) -> Option<Applied> {
    (0..ATTEMPTS_MAX).find_map(|_| stream.put_show(stream.aim(0).frame, document.show.clone()))
}

/// Whether a run that is kept is the one that there is.
fn goes_together(course: Option<Course>, kept: Run) -> bool {
    match (course, kept) {
        (None, Run::Stopped) => true,
        (Some(here), Run::Running { course: Some(there) }) => {
            here.began_at_utc_ms.abs_diff(there.began_at_utc_ms) <= CLOCKS_APART_MS
        }
        _ => false,
    }
}
