//! Layers of a draft.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{Draft, Item, Need};
use crate::{
    base::id::Id,
    scene::{
        LAYERS_MAX, Layer, Scene,
        content::{Action, Refused},
    },
    state::{
        Error, fixed, merged, not_found,
        op::{ActOnLayer, CreateLayer, DeleteLayer, PatchLayer, ReplaceLayer},
        replaced,
    },
};

impl Draft {
    /// Adds a layer. Without a `zIndex` it comes on top.
    pub(super) fn create_layer(&mut self, CreateLayer { scene, document }: &CreateLayer) -> Result<Item, Error> {
        self.edit_layers(scene.as_ref(), |layers| {
            let mut value = document.clone();
            if let Some(fields) = value.as_object_mut()
                && !fields.contains_key("zIndex")
            {
                let top = layers.iter().map(|layer| layer.z_index).max().map_or(0, |top| top.saturating_add(1));
                fields.insert("zIndex".into(), top.into());
            }
            let layer = Layer::read(value)?;
            if layers.iter().any(|other| other.id == layer.id) {
                return Err(Error::Exists { what: "layer", id: layer.id });
            }
            if layers.len() == LAYERS_MAX {
                return Err(Error::TooMany { what: "layer", limit: LAYERS_MAX });
            }
            let id = layer.id.clone();
            layers.push(layer);
            Ok(id)
        })
    }

    pub(super) fn replace_layer(&mut self, op: &ReplaceLayer) -> Result<Item, Error> {
        self.change_layer(op.scene.as_ref(), &op.id, |layer| Ok(replaced(&layer.id, &op.document)))
    }

    pub(super) fn patch_layer(&mut self, op: &PatchLayer) -> Result<Item, Error> {
        self.change_layer(op.scene.as_ref(), &op.id, |layer| merged(layer, &op.patch))
    }

    fn change_layer(
        &mut self,
        scene: Option<&Id>,
        id: &str,
        change: impl FnOnce(&Layer) -> Result<Value, Error>,
    ) -> Result<Item, Error> {
        self.edit_layers(scene, |layers| {
            let layer = find(layers, id)?;
            let changed = Layer::read(change(layer)?)?;
            if changed.id != layer.id {
                return Err(fixed("/id", "the id of a layer does not change"));
            }
            *layer = changed;
            Ok(layer.id.clone())
        })
    }

    /// Takes a layer away.
    pub(super) fn delete_layer(&mut self, DeleteLayer { scene, id }: &DeleteLayer) -> Result<Item, Error> {
        let layers = &mut self.scene_mut(scene.as_ref())?.layers;
        find(layers, id)?;
        layers.retain(|layer| layer.id.as_str() != id);
        Ok(Item::Gone)
    }

    /// Changes layers: `edit` names the one that it made or changed, which is on its way from the one it was.
    fn edit_layers(
        &mut self,
        scene: Option<&Id>,
        edit: impl FnOnce(&mut Vec<Layer>) -> Result<Id, Error>,
    ) -> Result<Item, Error> {
        let before = self.scene(scene)?;
        let layers = &mut self.scene_mut(scene)?.layers;
        let edited = edit(layers)?;
        // The layer's own place is all that a layer's document has.
        self.document.show.check().map_err(|problems| fixed("/content", &problems.0[0].message))?;
        let is_on_air = self.document.show.on_air().id == before.id;
        let elapsed = self.time.elapsed().filter(|_| is_on_air);
        let layer = find(&mut self.scene_mut(scene)?.layers, edited.as_str())?;
        *layer = layer.clone().following(before.layer(edited.as_str()), elapsed);
        let item = Item::Layer(Box::new(layer.clone()));
        self.need(Need::Layer { scene: before.id.clone(), layer: edited, elapsed: self.time.moment.elapsed });
        Ok(item)
    }

    /// Lets a layer act, at the time that is written into its content.
    pub(super) fn act_on_layer(&mut self, op: &ActOnLayer) -> Result<Item, Error> {
        let mut moment = self.time.moment;
        moment.elapsed = self.time.elapsed().unwrap_or_default();
        let action = Action { name: op.action.clone(), arguments: op.arguments.clone().unwrap_or_default(), moment };
        let scene = self.scene(op.scene.as_ref())?.id.clone();
        let layer = find(&mut self.scene_mut(Some(&scene))?.layers, &op.id)?;
        let refused = |refused| match refused {
            Refused::Invalid(problems) => Error::Invalid(problems),
            Refused::Unknown(allowed) => {
                Error::NoAction { name: action.name.clone(), type_name: layer.content.type_name(), allowed }
            }
        };
        let content = layer.content.act(&action).map_err(refused)?;
        layer.content = content;
        let (layer, item) = (layer.id.clone(), Item::Layer(Box::new(layer.clone())));
        // At the time that is written, what comes at that time is there.
        self.need(Need::Layer { scene, layer, elapsed: Duration::from_millis(action.elapsed_ms()) });
        Ok(item)
    }

    /// A scene as it is; none given: the one on air.
    fn scene(&self, id: Option<&Id>) -> Result<Arc<Scene>, Error> {
        let show = &self.document.show;
        match id {
            None => Ok(show.on_air().clone()),
            Some(id) => show.scene(id.as_str()).cloned().ok_or_else(|| not_found("scene", id.as_str())),
        }
    }

    fn scene_mut(&mut self, id: Option<&Id>) -> Result<&mut Scene, Error> {
        let show = Arc::make_mut(&mut self.document.show);
        let id = id.cloned().unwrap_or_else(|| show.on_air().id.clone());
        show.scene_mut(id.as_str()).ok_or_else(|| not_found("scene", id.as_str()))
    }
}

fn find<'a>(layers: &'a mut [Layer], id: &str) -> Result<&'a mut Layer, Error> {
    layers.iter_mut().find(|layer| layer.id.as_str() == id).ok_or_else(|| not_found("layer", id))
}
