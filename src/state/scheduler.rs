//! The scheduler: waits until what is scheduled is due, and does it, by the way of any other change.
//!
//! ```text
//!  feed of changes ─┐
//!  time ────────────┴─► task: what is next of each stream? (`schedule`, pure) ─► a job: prepare, or carry out ─► feed
//! ```
//!
//! One task of the daemon, which sleeps until the next moment that matters or until something changes. At most one
//! transaction of a stream is carried out, and what one more needs made ready, at the same time.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::{
    sync::broadcast::error::RecvError,
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{
    Actor, By, Current, Error, Streams, Transaction, What,
    control::Told,
    draft::apply,
    not_found,
    schedule::{At, Due, Entry, LEAD, Next, Order, Outcome, number_of},
    transaction::{Scheduled, in_op},
};
use crate::base::id::Id;

/// Longest sleep: the world's clock may be set meanwhile.
const SLEEP_MAX: Duration = Duration::from_secs(60);

impl Streams {
    /// Schedules a transaction that would be good now, for whoever makes it.
    pub async fn schedule(&self, id: &str, transaction: &Transaction, at: At) -> Result<Entry, Error> {
        let Transaction { ops, by, .. } = transaction;
        let entry = self.entry(id)?;
        expect_possible(&entry.lock(), &at)?;
        let (before, time) = self.now(&entry);
        let of_op = |(index, error)| in_op(ops, index, error);
        let draft = apply(&before, ops, time).map_err(of_op)?;
        self.admit(&draft, time.moment).await.map_err(of_op)?;
        let mut current = entry.lock();
        expect_possible(&current, &at)?;
        by.expect(current.revision)?;
        let (now, actor) = (current.schedule_now(), by.actor.clone());
        let order = Order { at, ops: ops.as_slice().into(), actor, if_revision: by.if_revision };
        let scheduled = current.control.schedule.add(order, &now)?;
        current.control.tell(Told::Schedule("scheduled", scheduled.clone()), &by.actor, now.utc_ms);
        current.announce(by, What::Control, None);
        Ok(scheduled)
    }

    /// All that is scheduled, with when it comes as it looks now, after what is over.
    pub fn scheduled(&self, id: &str) -> Result<Vec<(Entry, Option<Due>)>, Error> {
        let entry = self.entry(id)?;
        let current = entry.lock();
        let now = current.schedule_now();
        let with_due = |entry: &Entry| {
            let due = entry.outcome.is_none().then(|| now.due(&entry.at)).flatten();
            (entry.clone(), due)
        };
        Ok(current.control.schedule.entries().map(with_due).collect())
    }

    /// One of them.
    pub fn scheduled_as(&self, id: &str, number: &str) -> Result<(Entry, Option<Due>), Error> {
        let found = self.scheduled(id)?.into_iter().find(|(entry, _)| Some(entry.id) == number_of(number));
        found.ok_or_else(|| not_found("scheduled transaction", number))
    }

    /// Cancels what is still to come. One that is being carried out is waited for: once it is answered it is not done.
    pub async fn cancel(&self, by: &By, id: &str, number: &str) -> Result<Entry, Error> {
        let (entry, _writing) = self.write(by, id).await?;
        let found = self.scheduled_as(id, number)?.0;
        if let Some(outcome) = found.outcome {
            return Err(Error::Over { id: found.id, how: outcome.name() });
        }
        let mut current = entry.lock();
        let cancelled = current.control.schedule.cancel(found.id);
        let cancelled = cancelled.ok_or_else(|| not_found("scheduled transaction", number))?;
        let utc_ms = current.clock.utc_ms();
        current.control.tell(Told::Schedule("cancelled", cancelled.clone()), &by.actor, utc_ms);
        current.announce(by, What::Control, None);
        Ok(cancelled)
    }

    /// What a scheduled transaction needs is made ready, so that it does not wait when it is due. What is wrong with it is
    /// said then.
    async fn prepare_scheduled(&self, id: &Id, number: u64) {
        let Ok(entry) = self.entry(id.as_str()) else { return };
        let found = entry.lock().control.schedule.pending(number).cloned();
        let Some(scheduled) = found else { return };
        let (before, time) = self.now(&entry);
        if let Ok(draft) = apply(&before, &scheduled.ops, time) {
            // The error is told when it is due.
            let _ = self.admit(&draft, time.moment).await;
        }
    }

    /// Carries out a scheduled transaction that is due, or notes why not.
    async fn carry_out_scheduled(&self, id: &Id, number: u64) {
        let Ok(entry) = self.entry(id.as_str()) else { return };
        let found = entry.lock().control.schedule.pending(number).cloned();
        let Some(scheduled) = found else { return };
        let by = By { actor: scheduled.actor.clone(), if_revision: scheduled.if_revision };
        let done = self.carry_out_due(&by, id, &scheduled).await;
        let Err(error) = done else { return };
        let mut current = entry.lock();
        let at_utc_ms = current.clock.utc_ms();
        current.control.end(number, Outcome::Failed { reason: error.to_string(), at_utc_ms }, at_utc_ms);
        current.announce(&by, What::Control, None);
    }

    async fn carry_out_due(&self, by: &By, id: &Id, scheduled: &Entry) -> Result<(), Error> {
        let (entry, _writing) = self.write(by, id.as_str()).await?;
        // Meanwhile it may have been cancelled, or its moment may have moved.
        let due = {
            let current = entry.lock();
            let is_there = current.control.schedule.pending(scheduled.id).is_some();
            current.schedule_now().due(&scheduled.at).filter(|due| is_there && due.after <= LEAD)
        };
        let Some(due) = due else { return Ok(()) };
        let due = Scheduled { id: scheduled.id, frame: due.frame };
        let done = self.carry_out_ops(&entry, by, &scheduled.ops, Some(due)).await;
        done.map(drop).map_err(|(index, error)| in_op(&scheduled.ops, index, error))
    }

    /// What is next of a stream, and when its next lock ends.
    fn next_of(&self, id: &Id, may_prepare: bool) -> Option<(Next, Option<Duration>)> {
        let entry = self.entry(id.as_str()).ok()?;
        let mut current = entry.lock();
        let now = current.schedule_now();
        if current.control.expire_locks(now.utc_ms) {
            current.announce(&Actor::daemon().into(), What::Control, None);
        }
        let expiry = current.control.locks.next_expiry();
        let expiry = expiry.map(|at| Duration::from_millis(u64::try_from(at - now.utc_ms).unwrap_or_default()));
        Some((current.control.schedule.next(&now, may_prepare), expiry))
    }

    fn note_prepared(&self, id: &Id, number: u64) {
        if let Ok(entry) = self.entry(id.as_str()) {
            entry.lock().control.schedule.note_prepared(number);
        }
    }

    fn note_missed(&self, id: &Id, number: u64) {
        let Ok(entry) = self.entry(id.as_str()) else { return };
        let mut current = entry.lock();
        let at_utc_ms = current.clock.utc_ms();
        let reason = "the daemon was too busy when it was due".to_owned();
        current.control.end(number, Outcome::Missed { reason, at_utc_ms }, at_utc_ms);
        current.announce(&Actor::daemon().into(), What::Control, None);
    }
}

/// Frames are those of a run.
fn expect_possible(current: &Current, at: &At) -> Result<(), Error> {
    if current.stream.is_none() && matches!(at, At::Frame(_) | At::TransitionEnd) {
        let fix = "start it first, or say a moment of the world's time";
        return Err(Error::State { id: current.document.id.clone(), state: current.state(), fix });
    }
    Ok(current.schedule_now().expect_to_come(at)?)
}

/// The scheduler at work.
#[derive(Debug)]
pub struct Scheduler {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Scheduler {
    /// Does from now on what is due. Needs a runtime.
    pub fn start(streams: &Arc<Streams>) -> Self {
        let stop = CancellationToken::new();
        let worker = Worker { streams: streams.clone(), jobs: JoinSet::new(), busy: BTreeSet::new() };
        Self { task: tokio::spawn(worker.run(stop.clone())), stop }
    }

    /// Ends it, without waiting for pictures; what is not on its way by now stays scheduled.
    pub async fn finish(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the scheduler did not end by itself");
        }
    }
}

/// What a job does for a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Prepare,
    CarryOut,
}

struct Worker {
    streams: Arc<Streams>,
    /// Each gives back whose it was.
    jobs: JoinSet<(Id, Role)>,
    busy: BTreeSet<(Id, Role)>,
}

impl Worker {
    async fn run(mut self, stop: CancellationToken) {
        let mut changes = self.streams.changes();
        loop {
            let pause = self.look().min(SLEEP_MAX);
            tokio::select! {
                change = changes.recv() => if matches!(change, Err(RecvError::Closed)) { break },
                Some(done) = self.jobs.join_next() => self.note(done),
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => break,
            }
        }
        // A job that waits is given up with the task, and its transaction stays scheduled; what goes on air waits for nothing.
    }

    fn note(&mut self, done: Result<(Id, Role), tokio::task::JoinError>) {
        match done {
            Ok(job) => drop(self.busy.remove(&job)),
            // Whose it was is not known; nobody waits for ever for one that is gone.
            Err(error) => {
                tracing::error!(%error, "a job of the scheduler has failed");
                if self.jobs.is_empty() {
                    self.busy.clear();
                }
            }
        }
    }

    /// Begins what is due; how long nothing else is.
    fn look(&mut self) -> Duration {
        let ids = self.streams.ids();
        ids.iter().map(|id| self.look_at(id)).min().unwrap_or(SLEEP_MAX)
    }

    fn look_at(&mut self, id: &Id) -> Duration {
        loop {
            let may_prepare = !self.busy.contains(&(id.clone(), Role::Prepare));
            let Some((next, expiry)) = self.streams.next_of(id, may_prepare) else { return SLEEP_MAX };
            let (role, number) = match next {
                Next::Wait(pause) => return pause.into_iter().chain(expiry).min().unwrap_or(SLEEP_MAX),
                Next::Miss(number) => {
                    self.streams.note_missed(id, number);
                    continue;
                }
                Next::Prepare(number) => (Role::Prepare, number),
                Next::CarryOut(number) => (Role::CarryOut, number),
            };
            // The end of the job that is under way wakes the task.
            if !self.busy.insert((id.clone(), role)) {
                return SLEEP_MAX;
            }
            if role == Role::Prepare {
                self.streams.note_prepared(id, number);
            }
            self.spawn(id.clone(), role, number);
        }
    }

    fn spawn(&mut self, id: Id, role: Role, number: u64) {
        let streams = self.streams.clone();
        self.jobs.spawn(async move {
            match role {
                Role::Prepare => streams.prepare_scheduled(&id, number).await,
                Role::CarryOut => streams.carry_out_scheduled(&id, number).await,
            }
            (id, role)
        });
    }
}
