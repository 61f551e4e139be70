//! Scenes of a draft: made, changed, put in preview and taken on air.
//!
//! A take begins at the time elapsed of the first frame that shows it. On a stream that does not run there is no such
//! frame: a take is a cut there.

use std::sync::Arc;

use super::{Draft, Item, Need};
use crate::{
    base::id::Id,
    scene::{OnAir, SCENES_MAX, Scene, Show, transition::Transition},
    state::{
        Error, fixed, merged, not_found,
        op::{CreateScene, DeleteScene, PatchScene, ReplaceScene, SetPreview, Take},
        replaced,
        scenes::Preview,
    },
};

impl Draft {
    pub(super) fn create_scene(&mut self, CreateScene { document }: &CreateScene) -> Result<Item, Error> {
        let scene = Scene::read(document.clone())?;
        if self.document.show.scene(scene.id.as_str()).is_some() {
            return Err(Error::Exists { what: "scene", id: scene.id });
        }
        if self.document.show.scenes().len() == SCENES_MAX {
            return Err(Error::TooMany { what: "scene", limit: SCENES_MAX });
        }
        self.put_scene(scene)
    }

    pub(super) fn replace_scene(&mut self, op: &ReplaceScene) -> Result<Item, Error> {
        let scene = self.expect(&op.id)?;
        self.change_scene(&scene.id, Scene::read(replaced(&scene.id, &op.document))?)
    }

    pub(super) fn patch_scene(&mut self, op: &PatchScene) -> Result<Item, Error> {
        let scene = self.expect(&op.id)?;
        self.change_scene(&scene.id, Scene::read(merged(&*scene, &op.patch)?)?)
    }

    fn change_scene(&mut self, id: &Id, changed: Scene) -> Result<Item, Error> {
        match changed.id == *id {
            true => self.put_scene(changed),
            false => Err(fixed("/id", "the id of a scene does not change")),
        }
    }

    fn expect(&self, id: &str) -> Result<Arc<Scene>, Error> {
        self.document.show.scene(id).cloned().ok_or_else(|| not_found("scene", id))
    }

    fn put_scene(&mut self, scene: Scene) -> Result<Item, Error> {
        let show = Arc::make_mut(&mut self.document.show);
        show.put(scene.clone());
        show.check()?;
        self.need(Need::Whole(scene.id.clone()));
        Ok(Item::Scene(scene))
    }

    /// Takes a scene away that nobody sees. If it is in preview, nothing is afterwards.
    pub(super) fn delete_scene(&mut self, DeleteScene { id }: &DeleteScene) -> Result<Item, Error> {
        let id = self.expect(id)?.id.clone();
        let show = &self.document.show;
        if show.program().scenes().contains(&&id) {
            return Err(Error::InUse { what: "scene", id, by: "it is on air; take another one first".into() });
        }
        if let Some((scene, layer)) = show.shown_by(&id) {
            let by = format!("layer `{layer}` of scene `{scene}` shows it");
            return Err(Error::InUse { what: "scene", id, by });
        }
        Arc::make_mut(&mut self.document.show).remove(&id);
        self.document.preview = self.document.preview.take().filter(|preview| *preview != id);
        Ok(Item::Gone)
    }

    /// Puts a scene in preview, made ready now, so that a take does not wait.
    pub(super) fn set_preview(&mut self, SetPreview { scene }: &SetPreview) -> Result<Item, Error> {
        if let Some(scene) = scene {
            expect_scene(&self.document.show, scene)?;
            self.need(Need::Whole(scene.clone()));
        }
        self.document.preview.clone_from(scene);
        Ok(Item::Preview(Preview { scene: scene.clone() }))
    }

    /// Takes a scene on air: `scene`, or the one in preview, by `transition`, or the stream's own; with `swap` the scene
    /// that was on air is in preview afterwards.
    pub(super) fn take(&mut self, Take { scene, transition, swap }: &Take) -> Result<Item, Error> {
        let transition = transition.clone().map(Transition::read).transpose();
        let transition = transition.map_err(|problems| problems.under("/transition"))?;
        let document = &mut self.document;
        let missing = || fixed("/scene", "missing, and no scene is in preview");
        let scene = scene.clone().or_else(|| document.preview.clone()).ok_or_else(missing)?;
        expect_scene(&document.show, &scene)?;
        let transition = Arc::new(transition.unwrap_or_else(|| document.default_transition.clone()));
        let was_on_air = document.show.on_air().id.clone();
        let show = match self.time.elapsed() {
            Some(elapsed) => document.show.taking(&scene, transition.clone(), elapsed),
            None => document.show.showing(&scene),
        };
        let rate = show.canvas.fps;
        let frames = match (show.program(), self.time.elapsed()) {
            (OnAir::Take(take), Some(elapsed)) => {
                rate.first_frame_at(take.end()).saturating_sub(rate.first_frame_at(elapsed))
            }
            _ => 0,
        };
        document.show = Arc::new(show);
        if swap.unwrap_or_default() {
            document.preview = Some(was_on_air);
        }
        let item = Item::Take { scene: scene.clone(), preview: document.preview.clone(), frames };
        self.need(Need::Take { scene, transition });
        Ok(item)
    }
}

fn expect_scene(show: &Show, id: &Id) -> Result<(), Error> {
    let known = || show.scenes().iter().map(|scene| scene.id.as_str()).collect::<Vec<_>>().join(", ");
    match show.scene(id.as_str()) {
        Some(_) => Ok(()),
        None => Err(fixed("/scene", &format!("there is no scene `{id}`, expected one of {}", known()))),
    }
}
