//! What is kept of a stream beside its document, for those who control it: what is to be done later, which layers are
//! locked, and what was told of both.

use std::{collections::VecDeque, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    Actor, By, Current, Error, Streams, What,
    locks::{self, Lock, Locks},
    not_found,
    schedule::{self, Entry, Now, Outcome, Run, Schedule, Tally},
};
use crate::{
    base::id::Id,
    pipeline,
    scene::{OnAir, check::Problems},
};

/// What was told last, of each stream; the oldest is forgotten.
const NOTICES_MAX: usize = 64;

/// What became of something.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// Of what, and what.
    pub told: Told,
    /// By whom.
    pub actor: Actor,
    /// When, in milliseconds since 1970 UTC.
    pub at_utc_ms: i64,
}

/// What is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// Of a scheduled transaction, without its ops: `scheduled`, `cancelled`, or how it ended.
    Schedule(&'static str, Entry),
    /// Of a lock: `locked`, `renewed`, `released`, `broken`, `expired`.
    Lock(&'static str, Lock),
}

/// Beside the document.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Control {
    pub(super) schedule: Schedule,
    pub(super) locks: Locks,
    notices: VecDeque<Notice>,
    /// How many there have been.
    notices_count: u64,
}

impl Control {
    pub(super) fn tell(&mut self, mut told: Told, actor: &Actor, at_utc_ms: i64) {
        // What is told of them are their summaries; nothing holds on to what may be long, or secret.
        if let Told::Schedule(_, entry) = &mut told {
            entry.ops = Arc::default();
        }
        if self.notices.len() == NOTICES_MAX {
            self.notices.pop_front();
        }
        self.notices.push_back(Notice { told, actor: actor.clone(), at_utc_ms });
        self.notices_count += 1;
    }

    /// Ends a scheduled transaction, if it is still to come.
    pub(super) fn end(&mut self, id: u64, outcome: Outcome, at_utc_ms: i64) {
        if let Some(entry) = self.schedule.end(id, outcome) {
            self.tell_end(entry, at_utc_ms);
        }
    }

    fn tell_end(&mut self, entry: Entry, at_utc_ms: i64) {
        let what = entry.outcome.as_ref().map_or("scheduled", Outcome::name);
        let actor = entry.actor.clone();
        if !matches!(entry.outcome, Some(Outcome::Done { .. })) {
            tracing::warn!(entry = entry.id, outcome = ?entry.outcome, "a scheduled transaction was not carried out");
        }
        self.tell(Told::Schedule(what, entry), &actor, at_utc_ms);
    }

    /// A run has ended.
    pub(super) fn end_run(&mut self, at_utc_ms: i64) {
        let missed = self.schedule.end_run(at_utc_ms);
        missed.into_iter().for_each(|entry| self.tell_end(entry, at_utc_ms));
    }

    /// The daemon is back; whether something was missed.
    pub(super) fn come_back(&mut self, now: &Now) -> bool {
        let missed = self.schedule.come_back(now);
        let is_missed = !missed.is_empty();
        missed.into_iter().for_each(|entry| self.tell_end(entry, now.utc_ms));
        is_missed
    }

    /// What another instance has made of it; what was told here stays told.
    pub(super) fn take_over(&mut self, Self { schedule, locks, .. }: Self) {
        self.schedule.take_over(schedule);
        self.locks = locks;
    }

    /// Takes the locks away that are over; whether there were any.
    pub(super) fn expire_locks(&mut self, utc_ms: i64) -> bool {
        let over = self.locks.expire(utc_ms);
        let is_any = !over.is_empty();
        for lock in over {
            let owner = lock.owner.clone();
            self.tell(Told::Lock("expired", lock), &owner, utc_ms);
        }
        is_any
    }

    /// What was told since there were `seen` notices, as far as it is kept, and how many there are now.
    fn notices_since(&self, seen: u64) -> (Vec<Notice>, u64) {
        let new = usize::try_from(self.notices_count.saturating_sub(seen)).unwrap_or(usize::MAX);
        let old = self.notices.len().saturating_sub(new);
        (self.notices.iter().skip(old).cloned().collect(), self.notices_count)
    }
}

/// The same as a store keeps it, secrets of outputs included.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Written {
    schedule: schedule::Written,
    locks: Vec<locks::Written>,
}

impl Control {
    /// As it is written.
    pub(super) fn written(&self) -> Written {
        Written { schedule: self.schedule.written(), locks: self.locks.written() }
    }

    /// Reads it.
    pub(super) fn read(Written { schedule, locks }: Written) -> Result<Self, Problems> {
        let schedule = Schedule::read(schedule).map_err(|problems| problems.under("/schedule"))?;
        Ok(Self { schedule, locks: Locks::read(locks)?, ..Self::default() })
    }
}

impl Current {
    /// Where the stream stands, as its schedule sees it.
    pub(super) fn schedule_now(&self) -> Now {
        Now { utc_ms: self.clock.utc_ms(), run: self.stream.as_ref().map(|stream| self.run_of(stream)) }
    }

    fn run_of(&self, stream: &pipeline::Stream) -> Run {
        let transition_end = match self.document.show.program() {
            OnAir::Take(take) => Some(take.end()),
            OnAir::Scene(_) => None,
        };
        Run {
            rate: self.document.show.canvas.fps,
            uptime: stream.uptime(),
            next_frame: stream.next_frame().frame,
            elapsed: stream.elapsed(),
            is_paused: stream.is_paused(),
            transition_end,
        }
    }
}

impl Streams {
    /// What was told of a stream's schedule and locks since there were `seen` notices, as far as it is kept, and how many
    /// there are now; none where there is no such stream.
    pub fn notices(&self, id: &Id, seen: u64) -> Option<(Vec<Notice>, u64)> {
        let entry = self.entry(id.as_str()).ok()?;
        let current = entry.lock();
        Some(current.control.notices_since(seen))
    }

    /// How a stream's scheduled transactions fared.
    pub fn schedule_tally(&self, id: &str) -> Result<Tally, Error> {
        Ok(self.entry(id)?.lock().control.schedule.tally())
    }

    /// The locks of a stream that hold.
    pub fn locks(&self, id: &str) -> Result<Vec<Lock>, Error> {
        let entry = self.entry(id)?;
        let current = entry.lock();
        Ok(current.control.locks.holding(current.clock.utc_ms()).cloned().collect())
    }

    /// The lock of a layer, if there is one.
    pub fn lock_of(&self, of: super::LayersOf<'_>, layer: &str) -> Result<Lock, Error> {
        let entry = self.entry(of.stream)?;
        let current = entry.lock();
        let scene = &of.scene_in(&current.document.show)?.id;
        let mut locks = current.control.locks.holding(current.clock.utc_ms());
        let found = locks.find(|lock| lock.scene == *scene && lock.layer.as_str() == layer);
        found.cloned().ok_or_else(|| not_found("lock of layer", layer))
    }

    /// Locks a layer for so many seconds, or renews the lock of whoever has it. Whoever changes the stream now is waited
    /// for: once it is answered nobody else changes the layer.
    pub async fn lock_layer(
        &self,
        by: &By,
        of: super::LayersOf<'_>,
        layer: &str,
        seconds: Option<f64>,
    ) -> Result<Lock, Error> {
        let (entry, _writing) = self.write(by, of.stream).await?;
        let mut current = entry.lock();
        let utc_ms = current.clock.utc_ms();
        let expires_utc_ms = locks::expiry(seconds, utc_ms)?;
        let scene = of.scene_in(&current.document.show)?;
        let layer = scene.layer(layer).ok_or_else(|| not_found("layer", layer))?.id.clone();
        let lock = Lock { scene: scene.id.clone(), layer, owner: by.actor.clone(), expires_utc_ms };
        let is_new = current.control.locks.put(lock.clone(), utc_ms)?;
        let what = if is_new { "locked" } else { "renewed" };
        current.control.tell(Told::Lock(what, lock.clone()), &by.actor, utc_ms);
        current.announce(by, What::Control, None);
        Ok(lock)
    }

    /// Releases the lock of a layer; with `may_break` also that of somebody else.
    pub async fn unlock_layer(
        &self,
        by: &By,
        of: super::LayersOf<'_>,
        layer: &str,
        may_break: bool,
    ) -> Result<Lock, Error> {
        let (entry, _writing) = self.write(by, of.stream).await?;
        let mut current = entry.lock();
        let utc_ms = current.clock.utc_ms();
        // The layer itself may be gone.
        let (scene, none) = (of.scene_in(&current.document.show)?.id.clone(), || not_found("lock of layer", layer));
        let layer = Id::new(layer).map_err(|_| none())?;
        let released = current.control.locks.release(&scene, &layer, &by.actor, may_break, utc_ms)?.ok_or_else(none)?;
        let what = if released.owner == by.actor { "released" } else { "broken" };
        current.control.tell(Told::Lock(what, released.clone()), &by.actor, utc_ms);
        current.announce(by, What::Control, None);
        Ok(released)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_notices_are_kept() {
        let mut control = Control::default();
        let id = |text: &str| Id::new(text).unwrap();
        let notice = |n: i64| {
            let lock = Lock { scene: id("s"), layer: id("l"), owner: Actor::new("anna"), expires_utc_ms: n };
            Notice { told: Told::Lock("locked", lock), actor: Actor::new("anna"), at_utc_ms: n }
        };
        for n in 0..100 {
            control.tell(notice(n).told, &Actor::new("anna"), n);
        }
        assert_eq!(control.notices_since(0), ((36..100).map(notice).collect(), 100));
        assert_eq!(control.notices_since(98), (vec![notice(98), notice(99)], 100));
        assert_eq!(control.notices_since(u64::MAX), (Vec::new(), 100));
    }

    #[test]
    fn what_an_older_version_did_not_write_is_empty() {
        let control = Control::read(serde_json::from_str("{}").unwrap()).unwrap();
        assert_eq!(control.written(), Written::default());
        assert_eq!(
            control.written(),
            serde_json::from_value(serde_json::to_value(control.written()).unwrap()).unwrap()
        );
    }
}
