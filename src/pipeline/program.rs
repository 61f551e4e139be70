//! The program: what is on air and what the render thread shares with those who change it.
//!
//! Whoever changes the scene learns the number of the first frame that shows the change: the swap and the render thread's
//! taking of a frame number happen under one lock, held for a pointer copy.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use image::RgbaImage;
use tokio::sync::oneshot;

use crate::scene::{LayerError, Scene};

/// Pictures waiting to be captured; more are refused.
const CAPTURES_MAX: usize = 4;

/// Receives the captured picture, or why there is none.
pub(super) type CaptureReply = oneshot::Sender<Result<RgbaImage, String>>;

/// Shared by the render thread and the stream's handle.
#[derive(Debug)]
pub(super) struct Program(Mutex<State>);

#[derive(Debug)]
struct State {
    scene: Arc<Scene>,
    is_paused: bool,
    next_frame: u64,
    captures: Vec<CaptureReply>,
    layer_errors: Vec<LayerError>,
}

/// What the render thread gets for a frame.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) scene: Arc<Scene>,
    pub(super) is_paused: bool,
    pub(super) captures: Vec<CaptureReply>,
}

impl Program {
    pub(super) fn new(scene: Arc<Scene>) -> Self {
        let layer_errors = Vec::new();
        Self(Mutex::new(State { scene, is_paused: false, next_frame: 0, captures: Vec::new(), layer_errors }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The render thread begins frame `number`.
    pub(super) fn begin(&self, number: u64) -> Turn {
        let mut state = self.lock();
        state.next_frame = number + 1;
        Turn { scene: state.scene.clone(), is_paused: state.is_paused, captures: std::mem::take(&mut state.captures) }
    }

    /// Puts a scene on air; returns the first frame that shows it.
    pub(super) fn set_scene(&self, scene: Arc<Scene>) -> u64 {
        let mut state = self.lock();
        state.scene = scene;
        state.next_frame
    }

    /// Freezes or releases the picture; returns the first frame for which that holds.
    pub(super) fn set_paused(&self, is_paused: bool) -> u64 {
        let mut state = self.lock();
        state.is_paused = is_paused;
        state.next_frame
    }

    pub(super) fn is_paused(&self) -> bool {
        self.lock().is_paused
    }

    /// The number of the next frame.
    pub(super) fn next_frame(&self) -> u64 {
        self.lock().next_frame
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

    pub(super) fn layer_errors(&self) -> Vec<LayerError> {
        self.lock().layer_errors.clone()
    }
}
