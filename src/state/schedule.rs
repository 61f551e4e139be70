//! The schedule of a stream: transactions that are carried out later, at a frame, at a moment of the world's time, or when
//! the transition that is under way is over.
//!
//! ```text
//!  made, checked ──► pending ──► 10 s before: what it needs is made ready ──► 300 ms before: on its way to its frame ──► done
//!                       │                                                         └► refused ──► failed
//!                       ├► cancelled: gone
//!                       └► its moment passed and nobody was there ──► missed
//! ```
//!
//! Pure: it is told what time it is and says what is to be done next; `scheduler` waits and does it. What is past stays to be
//! looked at, the newest [`PAST_MAX`] of it. Nothing is made up for: what could not be on time by [`LATE_MAX`] is missed, and
//! so is all that was due while the daemon was down, and what was due at a frame of a run that has ended.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Actor, Error, op::Op};
use crate::{
    base::{id::Id, rate::FrameRate, schema::written},
    pipeline::Applied,
    scene::{
        check::{self, Problem, Problems},
        content::UtcTime,
    },
};

/// Most transactions of a stream that are still to come.
pub const PENDING_MAX: usize = 64;
/// Most bytes of their ops, as they are written: they are kept with the stream's document.
const BYTES_MAX: usize = 1 << 20;
/// Those that are over and can be looked at: as many as may be missed at once.
const PAST_MAX: usize = 64;
/// How far ahead something can be scheduled: a leap year.
const AHEAD_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
/// How long before its frame a change is put on its way: enough for a busy machine. Other changes that are made meanwhile
/// come with that frame, too.
pub(super) const LEAD: Duration = Duration::from_millis(300);
/// How long before it what it needs is made ready once more: pictures may have left the cache since it was made.
const PREPARE: Duration = Duration::from_secs(10);
/// How late it may be, where a change before it had to wait for its pictures.
const LATE_MAX: Duration = Duration::from_secs(6);

/// When something is due.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum At {
    /// At this frame of the run.
    Frame(u64),
    /// At the first frame that does not begin before this moment.
    Utc(UtcTime),
    /// When no transition is under way any more: with the first frame that shows the scene alone.
    TransitionEnd,
}

written!(At as "At" = {
    "description": "When a transaction is carried out.",
    "oneOf": [
        { "type": "object", "additionalProperties": false, "required": ["frame"],
          "properties": { "frame": { "type": "integer", "minimum": 0, "description": "A frame of the run." } } },
        { "type": "object", "additionalProperties": false, "required": ["utc"],
          "properties": { "utc": {
              "description": "A point on the world's time: RFC 3339 with an offset, or milliseconds since 1970.",
              "oneOf": [{ "type": "string", "format": "date-time" }, { "type": "integer" }] } } },
        { "type": "string", "enum": ["transitionEnd"] }
    ]
});

/// A scheduled transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its number among those of the stream.
    pub id: u64,
    /// When it is due.
    pub at: At,
    /// What is done; nothing of one that is over.
    pub ops: Arc<[Op]>,
    /// The same, for people.
    pub summaries: Arc<[String]>,
    /// Who has scheduled it, and so does it.
    pub actor: Actor,
    /// The revision that the stream must have when it is due.
    pub if_revision: Option<u64>,
    /// When it was scheduled, in milliseconds since 1970 UTC.
    pub made_at_utc_ms: i64,
    /// How it ended; none while it is to come.
    pub outcome: Option<Outcome>,
}

/// How a scheduled transaction ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Outcome {
    /// It was carried out.
    Done {
        /// The stream's revision after it.
        revision: u64,
        /// The first frame that shows it; none where the stream stood paused or did not run.
        applied_frame: Option<u64>,
        /// Its time.
        pts_ms: Option<u64>,
        /// By how many frames it was late.
        late_frames: u64,
        /// When, in milliseconds since 1970 UTC.
        at_utc_ms: i64,
    },
    /// It was refused when it was due, and nothing was changed.
    Failed {
        /// Why.
        reason: String,
        /// When, in milliseconds since 1970 UTC.
        at_utc_ms: i64,
    },
    /// Its moment passed without it, and nothing was changed.
    Missed {
        /// Why.
        reason: String,
        /// When that was seen, in milliseconds since 1970 UTC.
        at_utc_ms: i64,
    },
}

impl Outcome {
    /// Its word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done { .. } => "done",
            Self::Failed { .. } => "failed",
            Self::Missed { .. } => "missed",
        }
    }

    pub(super) fn done(revision: u64, applied: Option<Applied>, due: Option<u64>, at_utc_ms: i64) -> Self {
        let late_frames = applied.zip(due).map_or(0, |(applied, due)| applied.frame.saturating_sub(due));
        let (applied_frame, pts_ms) = (applied.map(|applied| applied.frame), applied.map(|applied| applied.pts_ms));
        Self::Done { revision, applied_frame, pts_ms, late_frames, at_utc_ms }
    }
}

/// The time of a stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) utc_ms: i64,
    /// None where nothing runs.
    pub(super) run: Option<Run>,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) rate: FrameRate,
    pub(super) uptime: Duration,
    pub(super) next_frame: u64,
    /// The time elapsed of that frame, without the time that the picture stood.
    pub(super) elapsed: Duration,
    pub(super) is_paused: bool,
    /// When the transition under way is over, on the time elapsed.
    pub(super) transition_end: Option<Duration>,
}

/// When something comes, as it looks now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The frame that is to show it; none where nothing runs.
    pub frame: Option<u64>,
    /// How long that is from now.
    pub after: Duration,
    /// By how much it is too late.
    pub(super) late: Duration,
}

impl Run {
    fn due_at(&self, frame: u64) -> Due {
        let time = self.rate.time_of(frame);
        let late = if frame < self.next_frame { self.uptime.saturating_sub(time) } else { Duration::ZERO };
        Due { frame: Some(frame), after: time.saturating_sub(self.uptime), late }
    }

    /// The first frame without a transition; none while that stands still.
    fn transition_is_over_at(&self) -> Option<u64> {
        let Some(end) = self.transition_end else { return Some(self.next_frame) };
        let (end_frame, now) = (self.rate.first_frame_at(end), self.rate.first_frame_at(self.elapsed));
        match end_frame.checked_sub(now) {
            Some(1..) if self.is_paused => None,
            Some(frames) => Some(self.next_frame.saturating_add(frames)),
            None => Some(self.next_frame.saturating_sub(now - end_frame)),
        }
    }
}

impl Now {
    /// When that is; none while it does not come.
    pub(super) fn due(&self, at: &At) -> Option<Due> {
        match at {
            At::Frame(frame) => self.run.map(|run| run.due_at(*frame)),
            At::TransitionEnd => {
                let run = self.run?;
                run.transition_is_over_at().map(|frame| run.due_at(frame))
            }
            At::Utc(time) => {
                let span = Duration::from_millis(time.utc_ms.abs_diff(self.utc_ms));
                let is_past = time.utc_ms < self.utc_ms;
                let (after, late) = if is_past { (Duration::ZERO, span) } else { (span, Duration::ZERO) };
                let elapsed = |run: Run| if is_past { run.uptime.saturating_sub(span) } else { run.uptime + span };
                Some(Due { frame: self.run.map(|run| run.rate.first_frame_at(elapsed(run))), after, late })
            }
        }
    }

    /// Refuses what cannot come, or not within the time that may be looked ahead.
    pub(super) fn expect_to_come(&self, at: &At) -> Result<(), Problems> {
        let wrong = |pointer: &str, message: String| Err(Problem { pointer: pointer.into(), message }.into());
        let too_far = |pointer: &str| {
            wrong(pointer, format!("too far ahead: {} days are the most", AHEAD_MAX.as_secs() / (24 * 3600)))
        };
        let Some(due) = self.due(at) else { return Ok(()) };
        match (at, self.run) {
            (At::Frame(frame), Some(run)) if *frame < run.next_frame => {
                wrong("/at/frame", format!("frame {frame} has begun: the next one is {}", run.next_frame))
            }
            (At::Utc(_), _) if due.late > Duration::ZERO => {
                wrong("/at/utc", format!("that was {} ms ago", due.late.as_millis()))
            }
            (At::TransitionEnd, Some(run)) if run.transition_end.is_none_or(|end| end <= run.elapsed) => {
                wrong("/at", "no transition is under way".into())
            }
            (At::Frame(_), _) if due.after > AHEAD_MAX => too_far("/at/frame"),
            (At::Utc(_), _) if due.after > AHEAD_MAX => too_far("/at/utc"),
            _ => Ok(()),
        }
    }
}

/// What is to be done next of a stream's schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing before this time has passed, unless something changes; none: nothing at all.
    Wait(Option<Duration>),
    /// What this one needs is made ready.
    Prepare(u64),
    /// This one is put on its way.
    CarryOut(u64),
    /// The moment of this one has passed.
    Miss(u64),
}

/// The schedule of a stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Schedule {
    /// The number of the last one that was made.
    last_id: u64,
    /// In the order in which they were made.
    pending: Vec<Pending>,
    /// The newest last.
    past: VecDeque<Entry>,
    /// How many ended in which way since the process began.
    tally: Tally,
}

#[derive(Debug, Clone, PartialEq)]
struct Pending {
    entry: Entry,
    len: usize,
    is_prepared: bool,
}

/// How many scheduled transactions ended in which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Still to come.
    pub pending: u64,
    /// Carried out.
    pub done: u64,
    /// Of those, later than they were due.
    pub late: u64,
    /// Refused when they were due.
    pub failed: u64,
    /// Passed.
    pub missed: u64,
}

/// What is needed to schedule a transaction.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) at: At,
    pub(super) ops: Arc<[Op]>,
    pub(super) actor: Actor,
    pub(super) if_revision: Option<u64>,
}

fn written_len(ops: &[Op]) -> usize {
    let len =
        |op: &Op| op.written().ok().and_then(|value| serde_json::to_vec(&value).ok()).map_or(0, |text| text.len());
    ops.iter().map(len).sum()
}

impl Schedule {
    /// Takes a transaction that was checked.
    pub(super) fn add(&mut self, order: Order, now: &Now) -> Result<Entry, Error> {
        now.expect_to_come(&order.at)?;
        let Order { at, ops, actor, if_revision } = order;
        if self.pending.len() == PENDING_MAX {
            return Err(Error::TooMany { what: "scheduled transaction", limit: PENDING_MAX });
        }
        let len = written_len(&ops);
        if self.pending.iter().map(|pending| pending.len).sum::<usize>() + len > BYTES_MAX {
            return Err(Error::TooMany { what: "byte of scheduled op", limit: BYTES_MAX });
        }
        self.last_id += 1;
        let (id, summaries) = (self.last_id, ops.iter().map(Op::summary).collect());
        let entry = Entry { id, at, ops, summaries, actor, if_revision, made_at_utc_ms: now.utc_ms, outcome: None };
        self.pending.push(Pending { entry: entry.clone(), len, is_prepared: true });
        Ok(entry)
    }

    /// Takes one away that is still to come.
    pub(super) fn cancel(&mut self, id: u64) -> Option<Entry> {
        let place = self.pending.iter().position(|pending| pending.entry.id == id)?;
        Some(self.pending.remove(place).entry)
    }

    /// Ends one that was to come; none if it is not there any more.
    pub(super) fn end(&mut self, id: u64, outcome: Outcome) -> Option<Entry> {
        let mut entry = self.cancel(id)?;
        match &outcome {
            Outcome::Done { late_frames, .. } => {
                self.tally.done += 1;
                self.tally.late += u64::from(*late_frames > 0);
            }
            Outcome::Failed { .. } => self.tally.failed += 1,
            Outcome::Missed { .. } => self.tally.missed += 1,
        }
        entry.ops = Arc::default();
        entry.outcome = Some(outcome);
        if self.past.len() == PAST_MAX {
            self.past.pop_front();
        }
        self.past.push_back(entry.clone());
        Some(entry)
    }

    /// One that is still to come.
    pub(super) fn pending(&self, id: u64) -> Option<&Entry> {
        self.pending.iter().map(|pending| &pending.entry).find(|entry| entry.id == id)
    }

    /// Those that are over, the oldest first, and those to come in the order in which they were made.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.past.iter().chain(self.pending.iter().map(|pending| &pending.entry))
    }

    pub(super) fn tally(&self) -> Tally {
        Tally { pending: self.pending.len() as u64, ..self.tally }
    }

    /// What this one needs is being made ready.
    pub(super) fn note_prepared(&mut self, id: u64) {
        let found = self.pending.iter_mut().find(|pending| pending.entry.id == id);
        found.into_iter().for_each(|pending| pending.is_prepared = true);
    }

    /// What is to be done next. Where it may not prepare anything, something else is being made ready.
    pub(super) fn next(&mut self, now: &Now, may_prepare: bool) -> Next {
        let mut dues: Vec<_> =
            self.pending.iter_mut().filter_map(|pending| Some((now.due(&pending.entry.at)?, pending))).collect();
        // Those that come earlier go before; of those that come at once, the one that was made first.
        dues.sort_by_key(|(due, pending)| (due.after, std::cmp::Reverse(due.late), pending.entry.id));
        let lead = if now.run.is_some() { LEAD } else { Duration::ZERO };
        if let Some((due, pending)) = dues.first().filter(|(due, _)| due.after <= lead) {
            let id = pending.entry.id;
            return if due.late > LATE_MAX { Next::Miss(id) } else { Next::CarryOut(id) };
        }
        // What was made long before is made ready once more.
        for (_, pending) in dues.iter_mut().filter(|(due, _)| due.after > PREPARE) {
            pending.is_prepared = false;
        }
        let to_prepare = dues.iter().find(|(due, pending)| due.after <= PREPARE && !pending.is_prepared);
        if let Some((_, pending)) = to_prepare.filter(|_| may_prepare) {
            return Next::Prepare(pending.entry.id);
        }
        let pause = |(due, pending): &(Due, &mut Pending)| {
            let is_ahead = due.after > PREPARE && !pending.is_prepared;
            due.after.saturating_sub(if is_ahead { PREPARE } else { lead })
        };
        Next::Wait(dues.iter().map(pause).min())
    }

    /// What another instance has made of it; how it fared here stays counted.
    pub(super) fn take_over(&mut self, other: Self) {
        *self = Self { tally: self.tally, ..other };
    }

    /// A run has ended, or has never begun: what waits for its frames waits for nothing.
    pub(super) fn end_run(&mut self, utc_ms: i64) -> Vec<Entry> {
        let reason = "the stream was stopped before it";
        self.miss(utc_ms, reason, |entry| matches!(entry.at, At::Frame(_) | At::TransitionEnd))
    }

    /// The daemon is back: what was due while it was down is missed.
    pub(super) fn come_back(&mut self, now: &Now) -> Vec<Entry> {
        let is_past = |entry: &Entry| match (&entry.at, now.run) {
            (At::Frame(_) | At::TransitionEnd, None) => true,
            (At::Frame(frame), Some(run)) => *frame < run.next_frame,
            (At::TransitionEnd, Some(run)) => run.transition_end.is_none_or(|end| end <= run.elapsed),
            (At::Utc(time), _) => time.utc_ms <= now.utc_ms,
        };
        self.miss(now.utc_ms, "it was due while the daemon was down", is_past)
    }

    fn miss(&mut self, utc_ms: i64, reason: &str, is_missed: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let entries = self.pending.iter().map(|pending| &pending.entry);
        let missed: Vec<_> = entries.filter(|entry| is_missed(entry)).map(|entry| entry.id).collect();
        let outcome = || Outcome::Missed { reason: reason.into(), at_utc_ms: utc_ms };
        missed.into_iter().filter_map(|id| self.end(id, outcome())).collect()
    }
}

/// A schedule as a store keeps it, secrets of outputs included.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Written {
    last_id: u64,
    entries: Vec<WrittenEntry>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenEntry {
    id: u64,
    at: At,
    ops: Vec<Value>,
    summaries: Vec<String>,
    actor: String,
    if_revision: Option<u64>,
    made_at_utc_ms: i64,
    outcome: Option<Outcome>,
}

impl Schedule {
    /// As it is written.
    pub(super) fn written(&self) -> Written {
        let written = |entry: &Entry| WrittenEntry {
            id: entry.id,
            at: entry.at.clone(),
            // What was read is written.
            ops: entry.ops.iter().filter_map(|op| op.written().ok()).collect(),
            summaries: entry.summaries.to_vec(),
            actor: entry.actor.name().into(),
            if_revision: entry.if_revision,
            made_at_utc_ms: entry.made_at_utc_ms,
            outcome: entry.outcome.clone(),
        };
        Written { last_id: self.last_id, entries: self.entries().map(written).collect() }
    }

    /// Reads it.
    pub(super) fn read(Written { last_id, entries }: Written) -> Result<Self, Problems> {
        let mut schedule = Self { last_id, ..Self::default() };
        let mut check = check::Check::default();
        let pending = entries.iter().filter(|entry| entry.outcome.is_none()).count();
        check.count("/entries", "scheduled transactions", pending, 0..=PENDING_MAX);
        check.count("/entries", "transactions that are over", entries.len() - pending, 0..=PAST_MAX);
        check.finish()?;
        for (i, written) in entries.into_iter().enumerate() {
            let WrittenEntry { id, at, ops, summaries, actor, if_revision, made_at_utc_ms, outcome } = written;
            let ops = ops.into_iter().map(Op::read).collect::<Result<Arc<[_]>, _>>();
            let ops = ops.map_err(|problems| problems.under(&format!("/entries/{i}/ops")))?;
            let (summaries, actor, len) = (summaries.into(), Actor::new(&actor), written_len(&ops));
            let entry = Entry { id, at, ops, summaries, actor, if_revision, made_at_utc_ms, outcome };
            schedule.last_id = schedule.last_id.max(id);
            match entry.outcome {
                None => schedule.pending.push(Pending { entry, len, is_prepared: false }),
                Some(_) => schedule.past.push_back(entry),
            }
        }
        Ok(schedule)
    }
}

impl Entry {
    /// Its number as an id.
    pub fn id(&self) -> String {
        self.id.to_string()
    }
}

/// The number that an id is; none where it is no entry's.
pub(super) fn number_of(id: &str) -> Option<u64> {
    id.parse().ok().filter(|number: &u64| number.to_string() == id && Id::new(id).is_ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn run(frame: u64) -> Run {
        let rate = FrameRate::new(25, 1).unwrap();
        let time = rate.time_of(frame);
        Run { rate, uptime: time, next_frame: frame, elapsed: time, is_paused: false, transition_end: None }
    }

    /// A stream that began at 1,000,000 ms UTC, when frame `frame` is the next.
    fn at_frame(frame: u64) -> Now {
        Now { utc_ms: 1_000_000 + frame as i64 * 40, run: Some(run(frame)) }
    }

    fn utc(utc_ms: i64) -> At {
        check::read(json!({ "utc": utc_ms })).unwrap()
    }

    fn order(at: At) -> Order {
        let op = Op::read(json!({ "op": "patchLayer", "id": "bug", "patch": { "opacity": 0.5 } })).unwrap();
        Order { at, ops: [op].into(), actor: Actor::new("anna"), if_revision: None }
    }

    fn of(now: &Now, ats: &[At]) -> Schedule {
        let mut schedule = Schedule::default();
        for at in ats {
            schedule.add(order(at.clone()), now).unwrap();
        }
        schedule
    }

    /// Lets virtual time pass, frame by frame; what was done before which frame.
    fn play(schedule: &mut Schedule, frames: std::ops::Range<u64>) -> Vec<(u64, Next)> {
        let mut told = Vec::new();
        for frame in frames {
            let now = at_frame(frame);
            loop {
                let next = schedule.next(&now, true);
                match next {
                    Next::Wait(_) => break,
                    Next::Prepare(id) => schedule.note_prepared(id),
                    Next::CarryOut(id) => {
                        let due = now.due(&schedule.pending(id).unwrap().at).unwrap();
                        let applied =
                            due.frame.map(|due| due.max(frame)).map(|frame| Applied { frame, pts_ms: frame * 40 });
                        schedule.end(id, Outcome::done(2, applied, due.frame, now.utc_ms));
                    }
                    Next::Miss(id) => {
                        schedule.end(id, Outcome::Missed { reason: "late".into(), at_utc_ms: now.utc_ms });
                    }
                }
                told.push((frame, next));
            }
        }
        told
    }

    #[test]
    fn each_is_on_its_way_shortly_before_its_frame_and_the_earlier_one_first() {
        let mut schedule = of(&at_frame(0), &[At::Frame(100), utc(1_000_000 + 2001), At::Frame(50), At::Frame(100)]);
        let told = play(&mut schedule, 0..200);
        // 300 ms are seven and a half frames; 2001 ms are within frame 50, so the next one is the first that does not begin
        // before it.
        let expected = [(43, 3), (43, 2), (93, 1), (93, 4)].map(|(frame, id)| (frame, Next::CarryOut(id)));
        assert_eq!(told, expected);
        let frames: Vec<_> = schedule
            .entries()
            .map(|entry| match entry.outcome {
                Some(Outcome::Done { applied_frame, late_frames, .. }) => (entry.id, applied_frame, late_frames),
                ref other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(frames, [(3, Some(50), 0), (2, Some(51), 0), (1, Some(100), 0), (4, Some(100), 0)]);
        assert_eq!(schedule.tally(), Tally { done: 4, ..Tally::default() });
    }

    #[test]
    fn what_it_needs_is_made_ready_again_ten_seconds_before() {
        let mut schedule = of(&at_frame(0), &[At::Frame(1000)]);
        assert_eq!(schedule.next(&at_frame(0), true), Next::Wait(Some(30 * SECOND)), "40 s without 10");
        assert_eq!(play(&mut schedule, 700..1000), [(750, Next::Prepare(1)), (993, Next::CarryOut(1))]);
        assert_eq!(schedule.next(&at_frame(1000), true), Next::Wait(None));
    }

    #[test]
    fn a_little_late_is_late_and_much_is_missed() {
        let ats = [At::Frame(100), At::Frame(101)];
        let mut schedule = of(&at_frame(0), &ats);
        // The thread slept for 5.9 seconds.
        let told = play(&mut schedule, 248..250);
        assert_eq!(told, [(248, Next::CarryOut(1)), (248, Next::CarryOut(2))]);
        assert!(matches!(
            schedule.past[0].outcome,
            Some(Outcome::Done { late_frames: 148, applied_frame: Some(248), .. })
        ));
        assert_eq!(schedule.tally().late, 2);
        let mut schedule = of(&at_frame(0), &ats);
        assert_eq!(play(&mut schedule, 251..252), [(251, Next::Miss(1)), (251, Next::CarryOut(2))]);
    }

    #[test]
    fn the_end_of_a_transition_moves_with_it() {
        let now = |frame: u64, end_ms: Option<u64>| {
            let run = Run { transition_end: end_ms.map(Duration::from_millis), ..run(frame) };
            Now { run: Some(run), ..at_frame(frame) }
        };
        let due = |now: Now| now.due(&At::TransitionEnd).map(|due| due.frame.unwrap());
        assert_eq!(due(now(10, Some(1990))), Some(50), "the first frame at which nothing of it is seen");
        assert_eq!(due(now(10, Some(2000))), Some(50));
        assert_eq!(due(now(10, None)), Some(10), "it was cut off");
        let late = now(60, Some(2000)).due(&At::TransitionEnd).unwrap();
        assert_eq!((late.frame, late.late), (Some(50), Duration::from_millis(400)), "nobody was there in time");
        // The picture stood for 20 frames: so did the transition.
        let stood = |frame: u64, is_paused| {
            let mut now = now(frame, Some(2000));
            let run = now.run.as_mut().unwrap();
            run.elapsed = run.rate.time_of(20);
            run.is_paused = is_paused;
            now
        };
        assert_eq!(due(stood(30, true)), None);
        assert_eq!(due(stood(40, false)), Some(70));
        let mut schedule = of(&now(10, Some(2000)), &[At::TransitionEnd]);
        assert_eq!(schedule.next(&now(42, Some(2000)), true), Next::Wait(Some(Duration::from_millis(20))));
        assert_eq!(schedule.next(&now(43, Some(2000)), true), Next::CarryOut(1));
        assert_eq!(
            schedule.next(&now(43, Some(4000)), true),
            Next::Wait(Some(Duration::from_millis(1980))),
            "interrupted"
        );
    }

    #[test]
    fn a_stream_that_does_not_run_has_the_worlds_time_alone() {
        let stopped = |utc_ms| Now { utc_ms, run: None };
        let mut schedule = of(&stopped(1_000_000), &[utc(1_002_000)]);
        assert_eq!(schedule.next(&stopped(1_001_900), true), Next::Wait(Some(Duration::from_millis(100))));
        assert_eq!(schedule.next(&stopped(1_002_000), true), Next::CarryOut(1));
        assert_eq!(stopped(0).due(&At::Frame(1)), None);
    }

    #[test]
    fn what_cannot_come_is_refused_with_the_reason() {
        let now = at_frame(100);
        let refused = |at: At| {
            let Err(Error::Invalid(problems)) = Schedule::default().add(order(at), &now) else { panic!("it is taken") };
            (problems.0[0].pointer.clone(), problems.0[0].message.clone())
        };
        let year = 366 * 24 * 3600;
        assert_eq!(refused(At::Frame(99)), ("/at/frame".into(), "frame 99 has begun: the next one is 100".into()));
        assert_eq!(refused(utc(now.utc_ms - 40)), ("/at/utc".into(), "that was 40 ms ago".into()));
        assert_eq!(refused(At::TransitionEnd), ("/at".into(), "no transition is under way".into()));
        assert!(refused(At::Frame(101 + year * 25)).1.contains("366 days"));
        assert!(refused(utc(now.utc_ms + year as i64 * 1000 + 1)).1.contains("366 days"));
        assert!(refused(At::Frame(u64::MAX)).1.contains("366 days"));
    }

    #[test]
    fn they_are_limited_in_number_and_in_bytes() {
        let now = at_frame(0);
        let mut schedule = of(&now, &vec![At::Frame(1000); PENDING_MAX]);
        let error = schedule.add(order(At::Frame(1000)), &now).unwrap_err();
        assert!(matches!(error, Error::TooMany { limit: PENDING_MAX, .. }), "{error}");
        schedule.cancel(7).unwrap();
        assert_eq!(schedule.add(order(At::Frame(1000)), &now).unwrap().id, 65, "no number is given twice");
        assert!(schedule.cancel(7).is_none() && schedule.end(7, Outcome::done(1, None, None, 0)).is_none());

        let long = json!({ "op": "patchStream", "patch": { "name": "n".repeat(BYTES_MAX / 2) } });
        let long = || Order { ops: [Op::read(long.clone()).unwrap()].into(), ..order(At::Frame(9)) };
        let mut schedule = Schedule::default();
        schedule.add(long(), &now).unwrap();
        assert!(matches!(schedule.add(long(), &now), Err(Error::TooMany { limit: BYTES_MAX, .. })));
    }

    #[test]
    fn those_that_are_over_are_kept_for_a_while() {
        let now = at_frame(0);
        let mut schedule = Schedule::default();
        for id in 1..=PAST_MAX as u64 + 5 {
            schedule.add(order(At::Frame(5)), &now).unwrap();
            let ended = schedule.end(id, Outcome::Failed { reason: "gone".into(), at_utc_ms: 7 }).unwrap();
            assert!(ended.ops.is_empty() && *ended.summaries == ["patchLayer bug".to_owned()]);
        }
        assert_eq!(schedule.entries().map(|entry| entry.id).collect::<Vec<_>>(), (6..=69).collect::<Vec<_>>());
    }

    #[test]
    fn frames_end_with_their_run_and_the_worlds_time_goes_on() {
        let now = at_frame(0);
        let ats = [At::Frame(100), utc(1_004_000), At::Frame(500), utc(1_100_000)];
        let mut schedule = of(&now, &ats);
        let written = serde_json::to_value(schedule.written()).unwrap();
        assert_eq!(schedule.end_run(1_000_001).iter().map(|entry| entry.id).collect::<Vec<_>>(), [1, 3]);

        // What is read is what was written, and what was due meanwhile is not played late.
        let mut back = Schedule::read(check::read(written.clone()).unwrap()).unwrap();
        assert_eq!(serde_json::to_value(back.written()).unwrap(), written);
        let missed = back.come_back(&at_frame(200));
        assert_eq!(missed.iter().map(|entry| entry.id).collect::<Vec<_>>(), [1, 2]);
        assert!(matches!(&missed[0].outcome, Some(Outcome::Missed { reason, .. }) if reason.contains("down")));
        assert_eq!(back.tally(), Tally { pending: 2, missed: 2, ..Tally::default() });
        assert_eq!(play(&mut back, 200..501), [(250, Next::Prepare(3)), (493, Next::CarryOut(3))]);
        let again = Schedule::read(back.written()).unwrap();
        assert_eq!(again.written(), back.written());

        let mut stopped = Schedule::read(check::read(written).unwrap()).unwrap();
        assert_eq!(stopped.come_back(&Now { utc_ms: 1_000_100, run: None }).len(), 2, "nothing runs: no frames");
    }

    #[test]
    fn ids_are_numbers_as_they_are_written() {
        assert_eq!(number_of("12"), Some(12));
        for id in ["", "012", "+1", "-1", "1.0", "99999999999999999999"] {
            assert_eq!(number_of(id), None, "{id}");
        }
    }

    #[test]
    fn moments_are_read_strictly() {
        for (value, at) in [
            (json!({ "frame": 5 }), At::Frame(5)),
            (json!("transitionEnd"), At::TransitionEnd),
            (json!({ "utc": "1970-01-01T00:16:40Z" }), check::read(json!({ "utc": "1970-01-01T00:16:40Z" })).unwrap()),
        ] {
            assert_eq!(check::read::<At>(value.clone()).unwrap(), at);
            assert_eq!(serde_json::to_value(at).unwrap(), value);
        }
        for wrong in [json!({}), json!({ "frame": -1 }), json!({ "frame": 1, "utc": 2 }), json!("later"), json!(7)] {
            assert!(check::read::<At>(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
