//! The program: what is on air and what the render thread shares with those who change it.
//!
//! Whoever changes the show aims at a frame, makes the show for that frame's time, and puts it on air with it, or learns that
//! the frame has begun meanwhile and aims anew. The swap and the render thread's taking of a frame number happen under one
//! lock, held for a pointer copy, so a show is seen from exactly its frame on.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::{course::Pauses, still::Still};
use crate::scene::{LayerError, Show, animation::Event};

/// Shows that wait for the frames with which they come on air.
const COMING_MAX: usize = 64;
/// Pictures waiting to be captured; more are refused.
const CAPTURES_MAX: usize = 4;
/// Events of animations that are kept; the oldest are forgotten.
const EVENTS_MAX: usize = 64;

/// Receives the captured picture, or why there is none.
pub(super) type CaptureReply = oneshot::Sender<Result<Still, String>>;

/// Shared by the render thread and the stream's handle.
#[derive(Debug)]
pub(super) struct Program(Mutex<State>);

#[derive(Debug)]
struct State {
    show: Arc<Show>,
    /// What comes on air with later frames, by their numbers, which rise.
    coming: VecDeque<(u64, Arc<Show>)>,
    next_frame: u64,
    /// Frames that stood still because the picture was frozen.
    pauses: Pauses,
    captures: Vec<CaptureReply>,
    layer_errors: Vec<LayerError>,
    events: VecDeque<Event>,
    /// How many there have been.
    events_count: u64,
    layer_warnings: Vec<LayerError>,
}

/// What the render thread gets for a frame.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) show: Arc<Show>,
    pub(super) is_paused: bool,
    /// The frame's number without those that stood paused: where animations are.
    pub(super) scene_frame: u64,
    /// The frame whose moment is shown: this one, or the last before the pause.
    pub(super) stands_on: u64,
    pub(super) captures: Vec<CaptureReply>,
}

/// What the audio thread needs to know of the picture.
#[derive(Debug)]
pub(super) struct OnCanvas {
    pub(super) show: Arc<Show>,
    pub(super) is_paused: bool,
    pub(super) paused_frames: u64,
    pub(super) next_scene_frame: u64,
}

impl Program {
    /// A program that begins with frame `next_frame`.
    pub(super) fn new(show: Arc<Show>, next_frame: u64, pauses: Pauses) -> Self {
        Self(Mutex::new(State {
            show,
            coming: VecDeque::with_capacity(COMING_MAX),
            next_frame,
            pauses: pauses.until(next_frame),
            captures: Vec::new(),
            layer_errors: Vec::new(),
            events: VecDeque::new(),
            events_count: 0,
            layer_warnings: Vec::new(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The render thread begins frame `number`.
    pub(super) fn begin(&self, number: u64) -> Turn {
        let mut state = self.lock();
        state.next_frame = number + 1;
        while state.coming.front().is_some_and(|(frame, _)| *frame <= number)
            && let Some((_, show)) = state.coming.pop_front()
        {
            state.show = show;
        }
        Turn {
            show: state.show.clone(),
            is_paused: state.pauses.since_frame.is_some(),
            scene_frame: state.pauses.scene_frame(number),
            stands_on: state.pauses.stands_on(number),
            captures: std::mem::take(&mut state.captures),
        }
    }

    /// The first frame, `from` or a later one, that a show made now can be on air with: the next one, unless another show
    /// comes later. With it the same frame without those that stood paused.
    pub(super) fn aim(&self, from: u64) -> (u64, u64) {
        let state = self.lock();
        let after = state.coming.back().map_or(state.next_frame, |(frame, _)| *frame);
        let frame = from.max(state.next_frame).max(after);
        (frame, frame.saturating_sub(state.pauses.stood_before(state.next_frame)))
    }

    /// Puts a show on air with this frame; false if that has begun, or another show comes later.
    pub(super) fn put_show(&self, frame: u64, show: Arc<Show>) -> bool {
        let mut state = self.lock();
        let is_last = state.coming.back().is_none_or(|(last, _)| *last <= frame);
        if frame < state.next_frame || !is_last {
            return false;
        }
        if let Some((_, coming)) = state.coming.back_mut().filter(|(last, _)| *last == frame) {
            *coming = show;
        } else if state.coming.is_empty() && frame == state.next_frame {
            state.show = show;
        } else if state.coming.len() < COMING_MAX {
            state.coming.push_back((frame, show));
        } else {
            return false;
        }
        true
    }

    /// Freezes or releases the picture; returns the first frame for which that holds.
    pub(super) fn set_paused(&self, is_paused: bool) -> u64 {
        let mut state = self.lock();
        let next = state.next_frame;
        state.pauses.set_paused(is_paused, next);
        next
    }

    pub(super) fn is_paused(&self) -> bool {
        self.lock().pauses.since_frame.is_some()
    }

    /// How long it stood.
    pub(super) fn pauses(&self) -> Pauses {
        self.lock().pauses
    }

    /// The number of the next frame.
    pub(super) fn next_frame(&self) -> u64 {
        self.lock().next_frame
    }

    /// The next frame's number without those that stood paused.
    pub(super) fn next_scene_frame(&self) -> u64 {
        let state = self.lock();
        state.pauses.next_scene_frame(state.next_frame)
    }

    /// What is on the canvas, for sound that goes with it.
    pub(super) fn on_canvas(&self) -> OnCanvas {
        let state = self.lock();
        OnCanvas {
            show: state.show.clone(),
            is_paused: state.pauses.since_frame.is_some(),
            paused_frames: state.pauses.stood_before(state.next_frame),
            next_scene_frame: state.pauses.next_scene_frame(state.next_frame),
        }
    }

    /// Asks for the picture on air; refused while [`CAPTURES_MAX`] others wait.
    pub(super) fn request_capture(&self, reply: CaptureReply) -> bool {
        let mut state = self.lock();
        let has_room = state.captures.len() < CAPTURES_MAX;
        if has_room {
            state.captures.push(reply);
        }
        has_room
    }

    pub(super) fn set_layer_errors(&self, errors: Vec<LayerError>) {
        self.lock().layer_errors = errors;
    }

    pub(super) fn set_layer_warnings(&self, warnings: Vec<LayerError>) {
        self.lock().layer_warnings = warnings;
    }

    pub(super) fn layer_warnings(&self) -> Vec<LayerError> {
        self.lock().layer_warnings.clone()
    }

    pub(super) fn layer_errors(&self) -> Vec<LayerError> {
        self.lock().layer_errors.clone()
    }

    /// Keeps what animations told, for whoever asks.
    pub(super) fn tell(&self, events: Vec<Event>) {
        let mut state = self.lock();
        state.events_count += events.len() as u64;
        state.events.extend(events);
        let surplus = state.events.len().saturating_sub(EVENTS_MAX);
        state.events.drain(..surplus);
    }

    /// What animations told last, oldest first.
    pub(super) fn events(&self) -> Vec<Event> {
        self.events_since(0).0
    }

    /// What they told since there were `seen` events, as far as it is kept, and how many there are now.
    pub(super) fn events_since(&self, seen: u64) -> (Vec<Event>, u64) {
        let state = self.lock();
        let new = usize::try_from(state.events_count.saturating_sub(seen)).unwrap_or(usize::MAX);
        let old = state.events.len().saturating_sub(new);
        (state.events.iter().skip(old).cloned().collect(), state.events_count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{Canvas, LayerErrors};

    fn program() -> (Program, Arc<Show>) {
        let show = Arc::new(Show::of_layers(Canvas::default(), LayerErrors::Hide, Vec::new()));
        (Program::new(show.clone(), 0, Pauses::default()), show)
    }

    #[test]
    fn the_newest_events_are_kept() {
        let (program, _) = program();
        let event = |ms: u64| Event {
            at: std::time::Duration::from_millis(ms),
            layer: crate::base::id::Id::new("a").unwrap(),
            animation: "spin".into(),
            kind: crate::scene::animation::EventKind::Repeat,
        };
        program.tell((0..60).map(event).collect());
        program.tell((60..100).map(event).collect());
        assert_eq!(program.events(), (36..100).map(event).collect::<Vec<_>>());
        assert_eq!(program.events_since(98), (vec![event(98), event(99)], 100));
        assert_eq!(program.events_since(100), (Vec::new(), 100));
    }

    #[test]
    fn a_show_is_made_for_the_frame_that_shows_it_first() {
        let (program, show) = program();
        assert_eq!(program.aim(0), (0, 0));
        assert!(program.put_show(0, show.clone()));
        program.begin(0);
        program.begin(1);
        assert_eq!(program.aim(0), (2, 2));
        program.begin(2);
        assert!(!program.put_show(2, show), "that frame has begun");
    }

    #[test]
    fn what_comes_later_comes_with_its_frame() {
        let (program, old) = program();
        let ((_, first), (_, second)) = (self::program(), self::program());
        program.begin(0);
        assert_eq!(program.aim(5), (5, 5));
        assert!(program.put_show(5, first.clone()));
        assert!(!program.put_show(3, second.clone()), "what is made later does not come earlier");
        assert_eq!(program.aim(0), (5, 5), "but with it");
        assert!(program.put_show(8, second.clone()));
        for (frame, show) in [(1, &old), (4, &old), (5, &first), (7, &first), (9, &second), (10, &second)] {
            assert!(Arc::ptr_eq(&program.begin(frame).show, show), "frame {frame}");
        }
        assert_eq!(program.aim(0), (11, 11));
        (20..20 + COMING_MAX as u64).for_each(|frame| assert!(program.put_show(frame, old.clone())));
        assert!(!program.put_show(200, first), "that would be one more");
    }

    #[test]
    fn frames_that_stood_paused_do_not_count() {
        let (program, show) = program();
        program.begin(0);
        program.set_paused(true);
        assert_eq!(program.begin(1).scene_frame, 0, "the last one again");
        // 2 and 3 came too late.
        assert_eq!(program.begin(4).scene_frame, 0);
        assert_eq!(program.aim(0), (5, 1), "shown when it is released");
        assert!(program.put_show(5, show));
        program.set_paused(false);
        assert_eq!(program.begin(5).scene_frame, 1);
        assert_eq!(program.begin(7).scene_frame, 3, "left out while running: time went on");
        assert_eq!(program.next_scene_frame(), 4);
    }
}
