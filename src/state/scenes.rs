//! The scenes of a stream: made, changed, previewed and taken on air.
//!
//! A take is stamped with the time elapsed of the first frame that shows it. On a stream that does not run there is no
//! such frame: a take is a cut there, and what is under way when a stream is stopped is over.

use std::{sync::Arc, time::Duration};

use image::RgbaImage;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{By, Document, Edit, Error, MEDIA_TIMEOUT, Receipt, Streams, fixed, not_found};
use crate::{
    base::id::Id,
    pipeline::{Applied, CaptureError, offline, prepare::missing_fonts},
    scene::{
        Layer, Moment, OnAir, SCENES_MAX, Scene, Show,
        check::{self, Problem, Problems},
        transition::Transition,
    },
};

/// What a take answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// The scene that is on air, or on its way there.
    pub scene: Id,
    /// The scene in preview after it.
    pub preview: Option<Id>,
    /// The first frame that shows the scene alone; none while the stream is stopped or paused.
    pub end: Option<Applied>,
}

/// Which scene is in preview.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Preview {
    /// Its id, if there is one.
    pub scene: Option<Id>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TakeRequest)]
struct TakeDocument {
    /// The scene to take on air; none: the one in preview.
    scene: Option<Id>,
    /// How; none: as the stream's `defaultTransition` says.
    #[schema(value_type = Option<Transition>)]
    transition: Option<Value>,
    /// Whether the scene that was on air is in preview afterwards.
    #[serde(default)]
    swap: bool,
}

impl Streams {
    /// Changes a stream's scenes: `edit` changes the document and names the scene it made or changed. One that cannot be
    /// shown whole is refused.
    async fn edit_scenes<T>(
        &self,
        by: &By,
        id: &str,
        edit: impl FnOnce(&mut Document) -> Result<(Option<Id>, T), Error>,
    ) -> Result<Receipt<T>, Error> {
        let (entry, _writing) = self.write(by, id).await?;
        let mut document = (*entry.lock().document()).clone();
        let (edited, item) = edit(&mut document)?;
        document.show.check()?;
        if let Some(scene) = edited.and_then(|id| document.show.scene(id.as_str())) {
            let moment = self.moment(&entry.lock());
            self.expect_whole(&document.show, scene, moment).await?;
        }
        let receipt = entry.lock().commit(by, document, item);
        Ok(receipt)
    }

    /// Refuses a scene of which a layer cannot be shown.
    async fn expect_whole(&self, show: &Show, scene: &Scene, moment: Moment) -> Result<(), Error> {
        let library = &self.services.devices.library;
        let at = |(i, message): (usize, String), part: &str| Problem { pointer: format!("/layers/{i}{part}"), message };
        let fonts = scene.layers.iter().enumerate().filter_map(|(i, layer)| Some((i, missing_fonts(layer, library)?)));
        let mut problems: Vec<_> = fonts.map(|font| at(font, "/content/font")).collect();
        for error in self.ready(show.showing(&scene.id), moment).await? {
            let holds = |layer: &Layer| layer.with_children().iter().any(|l| l.id == error.layer);
            let place = scene.layers.iter().position(holds);
            problems.extend(place.map(|i| at((i, error.message.to_string()), "/content")));
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(Problems(problems))) }
    }

    /// Adds a scene.
    pub async fn create_scene(&self, by: &By, id: &str, value: Value) -> Result<Receipt<Scene>, Error> {
        let scene = Scene::read(value)?;
        self.edit_scenes(by, id, move |document| {
            if document.show.scene(scene.id.as_str()).is_some() {
                return Err(Error::Exists { what: "scene", id: scene.id });
            }
            if document.show.scenes().len() == SCENES_MAX {
                return Err(Error::TooMany { what: "scene", limit: SCENES_MAX });
            }
            Arc::make_mut(&mut document.show).put(scene.clone());
            Ok((Some(scene.id.clone()), scene))
        })
        .await
    }

    /// Replaces a scene's document, or merges a patch into it.
    pub async fn change_scene(&self, by: &By, id: &str, scene_id: &str, change: Edit) -> Result<Receipt<Scene>, Error> {
        let scene_id = scene_id.to_owned();
        self.edit_scenes(by, id, move |document| {
            let scene = document.show.scene(&scene_id).ok_or_else(|| not_found("scene", &scene_id))?;
            let changed = Scene::read(change.apply(&**scene, &scene.id)?)?;
            if changed.id != scene.id {
                return Err(fixed("/id", "the id of a scene does not change"));
            }
            Arc::make_mut(&mut document.show).put(changed.clone());
            Ok((Some(changed.id.clone()), changed))
        })
        .await
    }

    /// Takes a scene away that nobody sees. If it is in preview, nothing is afterwards.
    pub async fn delete_scene(&self, by: &By, id: &str, scene_id: &str) -> Result<Receipt<()>, Error> {
        let scene_id = scene_id.to_owned();
        self.edit_scenes(by, id, move |document| {
            let scene = document.show.scene(&scene_id).ok_or_else(|| not_found("scene", &scene_id))?;
            let id = scene.id.clone();
            if document.show.program().scenes().contains(&&id) {
                return Err(Error::InUse { what: "scene", id, by: "it is on air; take another one first".into() });
            }
            if let Some((scene, layer)) = document.show.shown_by(&id) {
                return Err(Error::InUse {
                    what: "scene",
                    id,
                    by: format!("layer `{layer}` of scene `{scene}` shows it"),
                });
            }
            Arc::make_mut(&mut document.show).remove(&id);
            document.preview = document.preview.take().filter(|preview| *preview != id);
            Ok((None, ()))
        })
        .await
    }

    /// Puts a scene in preview, or none.
    pub async fn set_preview(&self, by: &By, id: &str, value: Value) -> Result<Receipt<Preview>, Error> {
        let preview: Preview = check::read(value)?;
        self.edit_scenes(by, id, move |document| {
            if let Some(scene) = &preview.scene {
                expect_scene(&document.show, scene)?;
            }
            document.preview = preview.scene.clone();
            // Made ready now, so that a take does not wait.
            Ok((preview.scene.clone(), preview))
        })
        .await
    }

    /// Takes a scene on air: `scene`, or the one in preview, by `transition`, or the stream's own; with `swap` the scene
    /// that was on air is in preview afterwards.
    pub async fn take(&self, by: &By, id: &str, value: Value) -> Result<Receipt<Taken>, Error> {
        let TakeDocument { scene, transition, swap } = check::read(value)?;
        let transition = transition.map(Transition::read).transpose();
        let transition = transition.map_err(|problems| problems.under("/transition"))?;
        let (entry, _writing) = self.write(by, id).await?;
        let (document, moment) = {
            let current = entry.lock();
            (current.document(), self.moment(&current))
        };
        let missing = || fixed("/scene", "missing, and no scene is in preview");
        let scene = scene.or_else(|| document.preview.clone()).ok_or_else(missing)?;
        expect_scene(&document.show, &scene)?;
        let transition = Arc::new(transition.unwrap_or_else(|| document.default_transition.clone()));
        self.ready_to_take(&document.show, &scene, &transition, moment).await?;

        let was_on_air = document.show.on_air().id.clone();
        let rate = document.show.canvas.fps;
        let done = entry.lock().commit_with(by, None, |elapsed| {
            let show = match elapsed {
                Some(elapsed) => document.show.taking(&scene, transition, elapsed),
                None => document.show.showing(&scene),
            };
            let frames = match (show.program(), elapsed) {
                (OnAir::Take(take), Some(elapsed)) => rate.first_frame_at(take.end()) - rate.first_frame_at(elapsed),
                _ => 0,
            };
            let preview = if swap { Some(was_on_air) } else { document.preview.clone() };
            let taken = Document { show: Arc::new(show), preview: preview.clone(), ..(*document).clone() };
            (taken, (preview, frames))
        });
        let first = done.applied;
        Ok(done.map(|(preview, frames)| {
            let end = first.map(|first| first.frame + frames);
            Taken { scene, preview, end: end.map(|frame| Applied { frame, pts_ms: rate.ms_of(frame) }) }
        }))
    }

    /// Waits for what a take shows. A broken layer of the scene does not hold it up; a broken transition is refused.
    async fn ready_to_take(
        &self,
        show: &Show,
        scene: &Id,
        transition: &Transition,
        moment: Moment,
    ) -> Result<(), Error> {
        self.ready(show.showing(scene), moment).await?;
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
        let errors = self.ready(alone, Moment { elapsed: Duration::ZERO, ..moment }).await?;
        errors.first().map_or(Ok(()), |error| refused(&error.message))
    }

    /// The scene in preview as it would look on air now. Rendered apart from the stream, a few at a time.
    pub async fn preview_picture(&self, id: &str) -> Result<RgbaImage, Error> {
        let (document, moment) = {
            let entry = self.entry(id)?;
            let current = entry.lock();
            (current.document(), self.moment(&current))
        };
        let scene = document.preview.as_ref().ok_or(Error::NoPreview)?;
        let _permit = self.previews.try_acquire().map_err(|_| CaptureError::Busy)?;
        let (devices, show) = (self.services.devices.clone(), document.show.showing(scene));
        let work = move || offline::picture(&devices, &show, moment, MEDIA_TIMEOUT);
        let picture = tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(error.to_string()))?;
        Ok(picture.map_err(|error| CaptureError::Failed(error.to_string()))?)
    }
}

fn expect_scene(show: &Show, id: &Id) -> Result<(), Error> {
    let known = || show.scenes().iter().map(|scene| scene.id.as_str()).collect::<Vec<_>>().join(", ");
    match show.scene(id.as_str()) {
        Some(_) => Ok(()),
        None => Err(fixed("/scene", &format!("there is no scene `{id}`, expected one of {}", known()))),
    }
}
