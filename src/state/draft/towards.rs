//! A draft that leads from one document to another, earlier one: for undo, redo and snapshots.
//!
//! What the other document says is said anew: its layers are on their way from what they are now, and the times of takes
//! and fades that were under way when it was current mean nothing any more.

use std::{sync::Arc, time::Duration};

use super::{Draft, Need, Time};
use crate::{
    scene::{Scene, Show},
    state::{Document, Error},
};

/// The document on its way from `before` to `target`.
pub(in crate::state) fn towards(before: &Document, target: &Document, time: Time) -> Result<Draft, Error> {
    time.expect_no_restart(before, target)?;
    let mut draft = Draft::new(target, time);
    draft.document.show = Arc::new(show_towards(&before.show, &target.show, time.elapsed()));
    draft.document.audio.mix = Arc::new(target.audio.mix.returning(&before.audio.mix));
    draft.need(Need::Scene(draft.document.show.on_air().id.clone()));
    let renewed =
        draft.document.outputs.iter().filter(|output| output.is_enabled() && !before.outputs.contains(output));
    let needs: Vec<_> = renewed.map(|output| (0, Need::Output(output.id().clone()))).collect();
    draft.needs.extend(needs);
    Ok(draft)
}

fn show_towards(before: &Show, target: &Show, elapsed: Option<Duration>) -> Show {
    let mut show = target.settled(elapsed.unwrap_or_default()).continuing(before);
    let on_air = show.on_air().id.clone();
    let scenes: Vec<_> = show.scenes().iter().map(|scene| scene.id.clone()).collect();
    for id in scenes {
        let was = before.scene(id.as_str()).map(|scene| &**scene);
        if let Some(scene) = show.scene_mut(id.as_str()) {
            follow(scene, was, elapsed.filter(|_| id == on_air));
        }
    }
    show
}

fn follow(scene: &mut Scene, was: Option<&Scene>, elapsed: Option<Duration>) {
    for layer in &mut scene.layers {
        let before = was.and_then(|scene| scene.layer(layer.id.as_str()));
        *layer = layer.clone().following(before, elapsed);
    }
}
