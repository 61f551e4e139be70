//! The way of a change: every change of a stream's document, whoever asks for it, is carried out here.
//!
//! ```text
//!  ops, undo, snapshot ─► rehearse: a draft for now ─► what it needs is there? ─► aim at a frame ─► a draft for that frame ─►
//!      put picture and sound on air with it (or aim anew, later, if it has begun) ─► outputs ─► document, history, feed
//! ```
//!
//! All of it happens with one frame, or none of it does: whatever can fail comes before the first thing that is seen. One
//! writer at a time; readers wait for nothing but the exchange of pointers.

use std::{collections::HashMap, sync::Arc, time::Duration};

use serde::Deserialize;
use serde_json::Value;

use super::{
    At, By, Current, Document, Entry, Error, MEDIA_TIMEOUT, Outcome, Receipt, Services, Snapshot, Streams, What,
    draft::{Draft, Item, Need, Time, apply, first_refused},
    fixed,
    history::{Record, Step},
    locks::{self, Lock},
    op::Op,
};
use crate::{
    audio::Opened,
    base::id::Id,
    pipeline::{self, Aim, prepare::missing_fonts},
    scene::{
        Layer, LayerError, Moment, Scene, Show,
        check::{self, Check, Problem, Problems},
        transition::Transition,
    },
};

/// Most ops of a transaction.
pub const OPS_MAX: usize = 256;
/// How many frames ahead a change is aimed, more each time that it came too late.
const LEADS: [u64; 8] = [0, 1, 2, 4, 8, 16, 32, 48];

/// Ops that reach the picture on one frame, or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Transaction {
    /// When it is carried out; none: now.
    pub at: Option<At>,
    /// What is done, one after the other; each sees what those before it have left.
    pub ops: Vec<Op>,
    /// By whom, and on what condition.
    pub by: By,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TransactionDocument {
    ops: Vec<Value>,
    if_revision: Option<u64>,
    at: Option<At>,
}

impl Transaction {
    /// Reads a transaction as it is written: `{ "ops": [...], "ifRevision"?, "at"? }`.
    pub fn read(value: Value, by: By) -> Result<Self, Problems> {
        let TransactionDocument { ops, if_revision, at } = check::read(value)?;
        let mut check = Check::default();
        check.count("/ops", "ops", ops.len(), 1..=OPS_MAX);
        check.finish()?;
        let read = |(i, op)| Op::read(op).map_err(|problems| problems.under(&format!("/ops/{i}")));
        let ops = ops.into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok(Self { at, ops, by: By { if_revision: if_revision.or(by.if_revision), ..by } })
    }
}

/// What was done.
#[derive(Debug, Clone)]
pub struct Done {
    /// What each op answers.
    pub items: Vec<Item>,
    /// The first sample for which a change of the sound holds; none if it was not changed, or nothing runs.
    pub sample: Option<u64>,
    /// The stream after it.
    pub snapshot: Snapshot,
}

/// Makes the draft of a change for a time; on error, says of which op.
pub(super) type Make<'a> = dyn Fn(&Document, Time) -> Result<Draft, (usize, Error)> + Sync + 'a;

/// A change to be carried out.
pub(super) struct Work<'a> {
    pub(super) by: &'a By,
    pub(super) make: &'a Make<'a>,
    pub(super) step: Step,
    /// What is done, for people.
    pub(super) ops: Arc<[String]>,
    /// What was scheduled is aimed at its frame; none: as soon as it can be.
    pub(super) scheduled: Option<Scheduled>,
}

impl Work<'_> {
    fn frame(&self) -> Option<u64> {
        self.scheduled.and_then(|scheduled| scheduled.frame)
    }
}

/// What was scheduled and is due.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scheduled {
    /// Its number.
    pub(super) id: u64,
    /// The frame that is to show it first; none where nothing runs.
    pub(super) frame: Option<u64>,
}

impl Streams {
    /// Carries out a transaction now. An error names the op, and nothing has been done.
    pub async fn transact(&self, id: &str, transaction: &Transaction) -> Result<Receipt<Done>, Error> {
        let Transaction { ops, by, .. } = transaction;
        let (entry, _writing) = self.write(by, id).await?;
        let done = self.carry_out_ops(&entry, by, ops, None).await;
        done.map_err(|(index, error)| in_op(ops, index, error))
    }

    /// A transaction of one op, of which an error says what it would say of the part alone.
    pub(super) async fn one(&self, by: &By, id: &str, op: impl Into<Op>) -> Result<Receipt<(Item, Done)>, Error> {
        let (entry, _writing) = self.write(by, id).await?;
        let done = self.carry_out_ops(&entry, by, &[op.into()], None).await.map_err(|(_, error)| error)?;
        let missing = || Error::Internal("an op without an answer".into());
        let item = done.item.items.first().cloned().ok_or_else(missing)?;
        Ok(done.map(|done| (item, done)))
    }

    /// Carries out ops on the stream whose writer the caller is.
    pub(super) async fn carry_out_ops(
        &self,
        entry: &Entry,
        by: &By,
        ops: &[Op],
        scheduled: Option<Scheduled>,
    ) -> Result<Receipt<Done>, (usize, Error)> {
        let make = |before: &Document, time| apply(before, ops, time);
        let summaries = ops.iter().map(Op::summary).collect();
        let done = self.carry_out(entry, Work { by, make: &make, step: Step::Do, ops: summaries, scheduled }).await;
        done.map_err(|(index, error)| match error {
            Error::Locked(_) => {
                let (before, time) = self.now(entry);
                (first_locked(entry, by, ops, &before, time), error)
            }
            error => (index, error),
        })
    }

    /// Carries out a change of the stream whose writer the caller is.
    pub(super) async fn carry_out(&self, entry: &Entry, work: Work<'_>) -> Result<Receipt<Done>, (usize, Error)> {
        let (before, time) = self.now(entry);
        let rehearsed = (work.make)(&before, time)?;
        expect_free(entry, work.by, &before, &rehearsed).map_err(|error| (usize::MAX, error))?;
        self.admit(&rehearsed, time.moment).await?;
        let is_mixed = before.audio.mix != rehearsed.document.audio.mix;
        let opened = match is_mixed {
            true => {
                self.open_sources(entry, &rehearsed.document.audio.mix).await.map_err(|error| (usize::MAX, error))?
            }
            false => Vec::new(),
        };
        let change = Planned { before, rehearsed, time, is_mixed };
        self.put(entry, &work, change, opened).map_err(|error| (usize::MAX, error))
    }

    /// The document as it is, and the time as a draft sees it.
    pub(super) fn now(&self, entry: &Entry) -> (Arc<Document>, Time) {
        let current = entry.lock();
        (current.document(), Time { moment: self.moment(&current), state: current.state() })
    }

    /// Puts a change on air with the first frame for which it can be made in time.
    fn put(
        &self,
        entry: &Entry,
        work: &Work<'_>,
        change: Planned,
        mut opened: Vec<Opened>,
    ) -> Result<Receipt<Done>, Error> {
        for lead in LEADS {
            let aim = change.aim(&entry.lock(), work.frame(), lead);
            let mut time = change.time;
            time.moment.elapsed = aim.map_or(time.moment.elapsed, |aim| aim.elapsed);
            // What was good at the moment before is taken where the time has gone over it.
            let draft = (work.make)(&change.before, time).unwrap_or_else(|_| change.rehearsed.clone());
            if let Some(receipt) = self.commit(&mut entry.lock(), work, &change, draft, aim, &mut opened) {
                return Ok(receipt);
            }
        }
        Err(Error::Internal("frames come faster than the change can be made".into()))
    }

    /// Makes a draft the stream's document, on air with the frame it was made for; nothing is done if that has begun.
    fn commit(
        &self,
        current: &mut Current,
        work: &Work<'_>,
        change: &Planned,
        draft: Draft,
        aim: Option<Aim>,
        opened: &mut Vec<Opened>,
    ) -> Option<Receipt<Done>> {
        let Draft { mut document, mut items, renewed, .. } = draft;
        let is_shown = work.frame().is_some() || !Arc::ptr_eq(&document.show, &change.before.show);
        let mut applied = None;
        let mut heard = None;
        if let (Some(stream), Some(aim)) = (&current.stream, aim) {
            let put = if is_shown { stream.put_show(aim.frame, document.show.clone())? } else { stream.next_frame() };
            // A paused picture shows the change when it is released, which is not known.
            applied = (!stream.is_paused()).then_some(put);
            if change.is_mixed {
                let frame = is_shown.then_some(aim.frame);
                let (mix, was) = ((*document.audio.mix).clone(), &change.before.audio.mix);
                let (told, mix) = stream.set_mix(std::mem::take(opened), frame, |sample| {
                    let mix = Arc::new(mix.following(was, sample));
                    (mix.clone(), mix)
                });
                document.audio.mix = mix;
                heard = Some(told);
            }
            self.follow(stream, &change.before, &document, &renewed);
        }
        self.forget_renditions(&change.before, &document);
        for item in &mut items {
            // As it goes on air: with the time at which its fade begins.
            if let Item::Source(strip) = item
                && let Some(now) = document.audio.mix.source(strip.id.as_str())
            {
                *strip = now.clone();
            }
        }
        // What changes with the picture is heard while its first frame is on; what changes alone has its own first frame.
        let applied = match (applied, heard.map(|heard| heard.applied)) {
            (Some(shown), Some(_)) if is_shown => Some(shown),
            (shown, heard) => heard.or(shown),
        };
        current.document = Arc::new(document);
        current.revision += 1;
        if let Some(Scheduled { id, frame }) = work.scheduled {
            let utc_ms = current.clock.utc_ms();
            current.control.end(id, Outcome::done(current.revision, applied, frame, utc_ms), utc_ms);
        }
        let receipt = current.announce_ops(work.by, What::Document, applied, work.ops.clone());
        current.history.note(
            work.step,
            change.before.clone(),
            Record::of(&receipt, work.ops.clone(), &current.document),
        );
        let sample = heard.map(|heard| heard.sample);
        Some(receipt.map(|snapshot| Done { items, sample, snapshot }))
    }

    /// Lets a run follow its document in what is neither picture nor sound: bitrates and outputs.
    pub(super) fn follow(&self, stream: &pipeline::Stream, before: &Document, after: &Document, renewed: &[Id]) {
        let is_same = |id: &Id, encoder| before.encoders().any(|(was_id, was)| was_id == *id && was == encoder);
        after.encoders().filter(|(id, encoder)| !is_same(id, *encoder)).for_each(|(id, encoder)| {
            stream.set_bitrate(&id, encoder.bitrate_kbps, encoder.adaptive_bitrate);
        });
        let Services { secrets, recordings, network, .. } = &self.services;
        let is_on = |document: &Document, id: &Id| document.outputs.iter().any(|o| o.is_enabled() && o.id() == id);
        for gone in before.outputs.iter().filter(|output| !is_on(after, output.id())) {
            network.runtime.spawn(stream.remove_output(gone.id()));
        }
        for output in after.outputs.iter().filter(|output| output.is_enabled()) {
            if before.outputs.contains(output) && !renewed.contains(output.id()) {
                continue;
            }
            match output.target(&after.id, secrets, recordings.as_ref()) {
                Ok(target) => stream.add_output(target, output.rendition(), network),
                // It was looked at a moment ago.
                Err(error) => tracing::error!(output = %output.id(), %error, "output not started"),
            }
        }
    }

    fn forget_renditions(&self, before: &Document, after: &Document) {
        let gone = before.encoders().filter(|(id, _)| !after.has_rendition(id));
        gone.for_each(|(rendition, _)| self.services.families.forget_rendition(&after.id, &rendition));
    }
}

/// A change that may go on air.
#[derive(Debug)]
struct Planned {
    before: Arc<Document>,
    rehearsed: Draft,
    time: Time,
    is_mixed: bool,
}

impl Planned {
    /// The frame to make it for; none where nothing runs. Picture and sound that change together come together.
    fn aim(&self, current: &Current, frame: Option<u64>, lead: u64) -> Option<Aim> {
        let stream = current.stream.as_ref()?;
        let heard = if self.is_mixed { stream.next_heard_frame() } else { 0 };
        Some(stream.aim(frame.unwrap_or(0).max(heard).max(stream.next_frame().frame + lead)))
    }
}

impl Streams {
    /// Waits until what a draft needs is there; refuses it, saying for which op, if that cannot be shown.
    pub(super) async fn admit(&self, draft: &Draft, moment: Moment) -> Result<(), (usize, Error)> {
        let show = &draft.document.show;
        let deadline = self.services.clock.now() + MEDIA_TIMEOUT;
        let mut known: HashMap<(Id, Duration), Vec<LayerError>> = HashMap::new();
        for (index, need) in &draft.needs {
            let at = |error| (*index, error);
            let (scene, elapsed) = match need {
                Need::Layer { scene, elapsed, .. } => (scene, *elapsed),
                Need::Whole(scene) | Need::Scene(scene) | Need::Take { scene, .. } => (scene, moment.elapsed),
                Need::Output(id) => {
                    self.expect_secrets(&draft.document, id).map_err(at)?;
                    continue;
                }
            };
            // A later op may have taken it away.
            let Some(shown) = show.scene(scene.as_str()) else { continue };
            if let Need::Layer { layer, .. } = need {
                self.expect_fonts(shown, layer).map_err(at)?;
            }
            let key = (scene.clone(), elapsed);
            if !known.contains_key(&key) {
                let errors =
                    self.ready(show.showing(scene), Moment { elapsed, ..moment }, deadline).await.map_err(at)?;
                known.insert(key.clone(), errors);
            }
            let errors = &known[&key];
            match need {
                Need::Layer { layer, .. } => expect_shown(errors, layer).map_err(at)?,
                Need::Whole(_) => self.expect_whole(shown, errors).map_err(at)?,
                Need::Take { transition, .. } => {
                    self.ready_to_take(show, scene, transition, moment, deadline).await.map_err(at)?;
                }
                Need::Scene(_) | Need::Output(_) => {}
            }
        }
        Ok(())
    }

    fn expect_secrets(&self, document: &Document, id: &Id) -> Result<(), Error> {
        let Some(output) = document.outputs.iter().find(|output| output.is_enabled() && output.id() == id) else {
            return Ok(());
        };
        let Services { secrets, recordings, .. } = &self.services;
        let target = || output.target(&document.id, secrets, recordings.as_ref());
        let checked = output.check_secrets(secrets).and_then(|()| target());
        checked.map(drop).map_err(|error| Error::Invalid(Problems::from(error)))
    }

    fn expect_fonts(&self, scene: &Scene, layer: &Id) -> Result<(), Error> {
        let layer = scene.layer(layer.as_str());
        match layer.and_then(|layer| missing_fonts(layer, &self.services.devices.library)) {
            Some(message) => Err(fixed("/content/font", &message)),
            None => Ok(()),
        }
    }

    /// Refuses a scene of which a layer cannot be shown.
    fn expect_whole(&self, scene: &Scene, errors: &[LayerError]) -> Result<(), Error> {
        let library = &self.services.devices.library;
        let at = |(i, message): (usize, String), part: &str| Problem { pointer: format!("/layers/{i}{part}"), message };
        let fonts = scene.layers.iter().enumerate().filter_map(|(i, layer)| Some((i, missing_fonts(layer, library)?)));
        let mut problems: Vec<_> = fonts.map(|font| at(font, "/content/font")).collect();
        for error in errors {
            let holds = |layer: &Layer| layer.with_children().iter().any(|l| l.id == error.layer);
            let place = scene.layers.iter().position(holds);
            problems.extend(place.map(|i| at((i, error.message.to_string()), "/content")));
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(Problems(problems))) }
    }

    /// Waits for what a transition shows. A broken layer of the scene does not hold a take up; a broken transition is
    /// refused.
    async fn ready_to_take(
        &self,
        show: &Show,
        scene: &Id,
        transition: &Transition,
        moment: Moment,
        deadline: Duration,
    ) -> Result<(), Error> {
        let layers = transition.overlays();
        let refused = |message: &str| Err(fixed("/transition/content", message));
        let shown = layers.iter().flat_map(Layer::with_children).filter_map(|layer| layer.content.scene());
        if let Some(missing) = shown.into_iter().find(|id| show.scene(id.as_str()).is_none()) {
            return refused(&format!("there is no scene `{missing}`"));
        }
        if layers.is_empty() {
            return Ok(());
        }
        // What plays over the scenes is looked at as a scene of its own, at its beginning.
        let overlay = Scene { id: scene.clone(), name: String::new(), layers };
        let mut alone = show.showing(scene);
        alone.put(overlay);
        let errors = self.ready(alone, Moment { elapsed: Duration::ZERO, ..moment }, deadline).await?;
        errors.first().map_or(Ok(()), |error| refused(&error.message))
    }
}

fn expect_shown(errors: &[LayerError], layer: &Id) -> Result<(), Error> {
    let broken = errors.iter().find(|error| error.layer == *layer);
    broken.map_or(Ok(()), |error| Err(fixed("/content", &error.message)))
}

/// Refuses a change of a layer that somebody else has locked.
pub(super) fn expect_free(entry: &Entry, by: &By, before: &Document, draft: &Draft) -> Result<(), Error> {
    locks::expect_free(&locked(entry, by), &before.show, &draft.document.show)
}

/// The first op that changes such a layer.
pub(super) fn first_locked(entry: &Entry, by: &By, ops: &[Op], before: &Document, time: Time) -> usize {
    let locked = locked(entry, by);
    let is_free = |after: &Document| locks::expect_free(&locked, &before.show, &after.show).is_ok();
    first_refused(before, ops, time, is_free).unwrap_or(usize::MAX)
}

/// The locks of others.
fn locked(entry: &Entry, by: &By) -> Vec<Lock> {
    let current = entry.lock();
    current.control.locks.against(&by.actor, current.clock.utc_ms())
}

/// An error seen from the transaction: it names the op.
pub(super) fn in_op(ops: &[Op], index: usize, error: Error) -> Error {
    let Some(op) = ops.get(index) else { return error };
    let source = match error {
        Error::Invalid(problems) => Error::Invalid(problems.under(op.body())),
        other => other,
    };
    Error::InOp { index, source: Box::new(source) }
}
