//! A document as ops change it, on paper: a pure function of the document before, the ops, and the time.
//!
//! ```text
//!  document ── op 0 ── op 1 ── ... ──► Draft { document, what each op answers, what must be ready before it goes on air }
//! ```
//!
//! Each op sees what those before it have left. Every draft is made twice: first for the moment at which it is asked for, to
//! find what is wrong and what it needs; then for the very frame that will show it, whose time is written into what begins
//! with it. Nothing here waits, reads files or touches what is on air.

mod layers;
mod outputs;
mod scenes;
mod sources;
#[cfg(test)]
mod tests;
mod towards;

use std::{sync::Arc, time::Duration};

pub(super) use self::towards::towards;
use super::{Document, Error, RunState, fixed, needs_restart, op::Op, output::Output, scenes::Preview};
use crate::{
    audio::Strip,
    base::id::Id,
    scene::{Layer, Moment, Scene, transition::Transition},
};

/// When a draft holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time {
    /// As contents see it.
    pub(super) moment: Moment,
    /// Where the stream stands.
    pub(super) state: RunState,
}

impl Time {
    /// The time elapsed of the first frame that shows it; none where nothing runs.
    pub(super) fn elapsed(&self) -> Option<Duration> {
        self.is_running().then_some(self.moment.elapsed)
    }

    /// Whether there is a run, on whose time things can begin.
    fn is_running(&self) -> bool {
        matches!(self.state, RunState::Running | RunState::Paused)
    }

    /// Refuses what a pipeline cannot follow while it runs.
    fn expect_no_restart(&self, before: &Document, after: &Document) -> Result<(), Error> {
        if self.is_running() && needs_restart(before, after) {
            let fix = "stop it to change canvas, renditions, codec, keyframe interval or the sound's bitrate";
            return Err(Error::State { id: before.id.clone(), state: self.state, fix });
        }
        Ok(())
    }
}

/// What an op answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// The layer, as it goes on air.
    Layer(Box<Layer>),
    /// The scene.
    Scene(Scene),
    /// The source of sound.
    Source(Strip),
    /// The output.
    Output(Output),
    /// What is in preview.
    Preview(Preview),
    /// What a take leads to.
    Take {
        /// The scene that is on air, or on its way there.
        scene: Id,
        /// The scene in preview after it.
        preview: Option<Id>,
        /// Frames from the first one that shows it to the first one that shows the scene alone.
        frames: u64,
    },
    /// The stream's document changed.
    Stream,
    /// Something is gone.
    Gone,
}

/// What must be there before a draft goes on air.
#[derive(Debug, Clone)]
pub(super) enum Need {
    /// A layer that can be shown, at this time elapsed.
    Layer { scene: Id, layer: Id, elapsed: Duration },
    /// A scene of which every layer can be shown.
    Whole(Id),
    /// A scene, whether or not every layer of it can be shown, and a transition to it.
    Take { scene: Id, transition: Arc<Transition> },
    /// A scene, whether or not every layer of it can be shown.
    Scene(Id),
    /// An output whose secrets are there.
    Output(Id),
}

/// A document as ops have changed it.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) document: Document,
    /// What each op answers.
    pub(super) items: Vec<Item>,
    /// What they need, each with the index of its op.
    pub(super) needs: Vec<(usize, Need)>,
    /// Outputs that are to be published to anew, changed or not.
    pub(super) renewed: Vec<Id>,
    time: Time,
}

impl Draft {
    fn new(before: &Document, time: Time) -> Self {
        Self { document: before.clone(), items: Vec::new(), needs: Vec::new(), renewed: Vec::new(), time }
    }

    fn need(&mut self, need: Need) {
        self.needs.push((self.items.len(), need));
    }

    /// One op more. If it is wrong, nothing of the draft is of use any more.
    fn op(&mut self, op: &Op) -> Result<Item, Error> {
        match op {
            Op::PatchStream(op) => self.patch_stream(&op.patch),
            Op::CreateLayer(op) => self.create_layer(op),
            Op::ReplaceLayer(op) => self.replace_layer(op),
            Op::PatchLayer(op) => self.patch_layer(op),
            Op::ActOnLayer(op) => self.act_on_layer(op),
            Op::DeleteLayer(op) => self.delete_layer(op),
            Op::CreateScene(op) => self.create_scene(op),
            Op::ReplaceScene(op) => self.replace_scene(op),
            Op::PatchScene(op) => self.patch_scene(op),
            Op::DeleteScene(op) => self.delete_scene(op),
            Op::SetPreview(op) => self.set_preview(op),
            Op::Take(op) => self.take(op),
            Op::PatchAudio(op) => self.patch_audio(op),
            Op::CreateSource(op) => self.create_source(op),
            Op::ReplaceSource(op) => self.replace_source(op),
            Op::PatchSource(op) => self.patch_source(op),
            Op::DeleteSource(op) => self.delete_source(op),
            Op::CreateOutput(op) => self.create_output(op),
            Op::PatchOutput(op) => self.patch_output(op),
            Op::DeleteOutput(op) => self.delete_output(op),
        }
    }

    fn patch_stream(&mut self, patch: &serde_json::Value) -> Result<Item, Error> {
        let document = self.document.patched(patch)?;
        if document.id != self.document.id {
            return Err(fixed("/id", "the id of a stream does not change"));
        }
        self.time.expect_no_restart(&self.document, &document)?;
        let show = Some(document.show).filter(|show| *show != self.document.show);
        self.document = Document { show: show.unwrap_or_else(|| self.document.show.clone()), ..document };
        Ok(Item::Stream)
    }
}

/// The document after all ops, one after the other; or which of them is wrong, and how.
pub(super) fn apply(before: &Document, ops: &[Op], time: Time) -> Result<Draft, (usize, Error)> {
    let mut draft = Draft::new(before, time);
    for (index, op) in ops.iter().enumerate() {
        let item = draft.op(op).map_err(|error| (index, error))?;
        draft.items.push(item);
    }
    Ok(draft)
}

/// The first op after which the document is refused.
pub(super) fn first_refused(
    before: &Document,
    ops: &[Op],
    time: Time,
    is_good: impl Fn(&Document) -> bool,
) -> Option<usize> {
    let mut draft = Draft::new(before, time);
    ops.iter().position(|op| {
        draft.op(op).is_ok_and(|item| {
            draft.items.push(item);
            !is_good(&draft.document)
        })
    })
}
