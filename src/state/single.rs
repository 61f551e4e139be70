//! Changes of one part, as REST has them: each a transaction of one op.

use serde::Serialize;
use serde_json::Value;

use super::{
    By, Error, LayersOf, Receipt, Snapshot, Streams,
    draft::Item,
    not_found, op,
    output::Output,
    scenes::{Preview, Taken},
    sound::Mixed,
    transaction::Done,
};
use crate::{
    audio::Strip,
    base::id::Id,
    pipeline::Applied,
    scene::{Layer, Scene, check},
};

/// How a document is changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// By another one (PUT).
    Replace(Value),
    /// By a merge patch, RFC 7396 (PATCH).
    Merge(Value),
}

/// The document that replaces one of this id, which the path has said.
pub(super) fn replaced(id: &Id, document: &Value) -> Value {
    let mut value = document.clone();
    if let Some(fields) = value.as_object_mut() {
        fields.entry("id").or_insert_with(|| id.as_str().into());
    }
    value
}

/// The document of `item` with a merge patch applied.
pub(super) fn merged(item: &impl Serialize, patch: &Value) -> Result<Value, Error> {
    let mut value = serde_json::to_value(item).map_err(|error| Error::Internal(error.to_string()))?;
    json_patch::merge(&mut value, patch);
    Ok(value)
}

macro_rules! answers {
    ($receipt:expr, $item:pat => $answer:expr) => {
        match $receipt.item.0.clone() {
            $item => Ok($receipt.map(|_| $answer)),
            other => Err(Error::Internal(format!("an op answered {other:?}"))),
        }
    };
}

impl Streams {
    /// Changes name, encoder, sound or canvas by a merge patch. Of a running stream only name, `layerErrors`, the canvas's
    /// background, the mix and the bitrate of the picture can be changed.
    pub async fn patch(&self, by: &By, id: &str, patch: &Value) -> Result<Receipt<Snapshot>, Error> {
        let done = self.one(by, id, op::PatchStream { patch: patch.clone() }).await?;
        Ok(done.map(|(_, done)| done.snapshot))
    }

    /// Adds a layer. Without a `zIndex` it comes on top.
    pub async fn create_layer(&self, by: &By, of: LayersOf<'_>, document: Value) -> Result<Receipt<Layer>, Error> {
        let scene = of.scene_id()?;
        let done = self.one(by, of.stream, op::CreateLayer { scene, document }).await?;
        answers!(done, Item::Layer(layer) => *layer)
    }

    /// Replaces a layer's document, or merges a patch into it.
    pub async fn change_layer(
        &self,
        by: &By,
        of: LayersOf<'_>,
        layer: &str,
        edit: Edit,
    ) -> Result<Receipt<Layer>, Error> {
        let (scene, id) = (of.scene_id()?, layer.to_owned());
        let done = match edit {
            Edit::Replace(document) => self.one(by, of.stream, op::ReplaceLayer { scene, id, document }).await?,
            Edit::Merge(patch) => self.one(by, of.stream, op::PatchLayer { scene, id, patch }).await?,
        };
        answers!(done, Item::Layer(layer) => *layer)
    }

    /// Lets a layer act.
    pub async fn act_on_layer(
        &self,
        by: &By,
        of: LayersOf<'_>,
        layer: &str,
        action: &str,
        arguments: Value,
    ) -> Result<Receipt<Layer>, Error> {
        let (scene, id, action) = (of.scene_id()?, layer.to_owned(), action.to_owned());
        let op = op::ActOnLayer { scene, id, action, arguments: Some(arguments) };
        let done = self.one(by, of.stream, op).await?;
        answers!(done, Item::Layer(layer) => *layer)
    }

    /// Takes a layer away.
    pub async fn delete_layer(&self, by: &By, of: LayersOf<'_>, layer: &str) -> Result<Receipt<()>, Error> {
        let op = op::DeleteLayer { scene: of.scene_id()?, id: layer.into() };
        Ok(self.one(by, of.stream, op).await?.map(drop))
    }

    /// Adds a scene.
    pub async fn create_scene(&self, by: &By, id: &str, document: Value) -> Result<Receipt<Scene>, Error> {
        let done = self.one(by, id, op::CreateScene { document }).await?;
        answers!(done, Item::Scene(scene) => scene)
    }

    /// Replaces a scene's document, or merges a patch into it.
    pub async fn change_scene(&self, by: &By, id: &str, scene: &str, edit: Edit) -> Result<Receipt<Scene>, Error> {
        let scene = scene.to_owned();
        let done = match edit {
            Edit::Replace(document) => self.one(by, id, op::ReplaceScene { id: scene, document }).await?,
            Edit::Merge(patch) => self.one(by, id, op::PatchScene { id: scene, patch }).await?,
        };
        answers!(done, Item::Scene(scene) => scene)
    }

    /// Takes a scene away that nobody sees.
    pub async fn delete_scene(&self, by: &By, id: &str, scene: &str) -> Result<Receipt<()>, Error> {
        Ok(self.one(by, id, op::DeleteScene { id: scene.into() }).await?.map(drop))
    }

    /// Puts a scene in preview, or none.
    pub async fn set_preview(&self, by: &By, id: &str, value: Value) -> Result<Receipt<Preview>, Error> {
        let op: op::SetPreview = check::read(value)?;
        let done = self.one(by, id, op).await?;
        answers!(done, Item::Preview(preview) => preview)
    }

    /// Takes a scene on air.
    pub async fn take(&self, by: &By, id: &str, value: Value) -> Result<Receipt<Taken>, Error> {
        let op: op::Take = check::read(value)?;
        let done = self.one(by, id, op).await?;
        let (first, rate) = (done.applied, done.item.1.snapshot.document.show.canvas.fps);
        answers!(done, Item::Take { scene, preview, frames } => {
            let end = first.map(|first| first.frame + frames);
            Taken { scene, preview, end: end.map(|frame| Applied { frame, pts_ms: rate.ms_of(frame) }) }
        })
    }

    /// Merges a patch into what is not a source's in the sound's document.
    pub async fn patch_audio(&self, by: &By, id: &str, patch: Value) -> Result<Receipt<Snapshot>, Error> {
        let done = self.one(by, id, op::PatchAudio { patch }).await?;
        Ok(done.map(|(_, done)| done.snapshot))
    }

    /// Adds a source.
    pub async fn create_source(&self, by: &By, id: &str, document: Value) -> Result<Receipt<Mixed<Strip>>, Error> {
        let done = self.one(by, id, op::CreateSource { document }).await?;
        let sample = done.item.1.sample;
        answers!(done, Item::Source(item) => Mixed { item, sample })
    }

    /// Replaces a source's document, or merges a patch into it. A fade that is given is a new one.
    pub async fn change_source(
        &self,
        by: &By,
        id: &str,
        source: &str,
        edit: Edit,
    ) -> Result<Receipt<Mixed<Strip>>, Error> {
        let source = source.to_owned();
        let done = match edit {
            Edit::Replace(document) => self.one(by, id, op::ReplaceSource { id: source, document }).await?,
            Edit::Merge(patch) => self.one(by, id, op::PatchSource { id: source, patch }).await?,
        };
        let sample = done.item.1.sample;
        answers!(done, Item::Source(item) => Mixed { item, sample })
    }

    /// Takes a source away that no other one makes room for.
    pub async fn delete_source(&self, by: &By, id: &str, source: &str) -> Result<Receipt<Mixed<()>>, Error> {
        let done = self.one(by, id, op::DeleteSource { id: source.into() }).await?;
        Ok(done.map(|(_, Done { sample, .. })| Mixed { item: (), sample }))
    }

    /// Adds an output, and publishes to it if it is enabled and the stream runs.
    pub async fn create_output(&self, by: &By, id: &str, document: Value) -> Result<Receipt<Output>, Error> {
        let done = self.one(by, id, op::CreateOutput { document }).await?;
        answers!(done, Item::Output(output) => output)
    }

    /// Merges a patch into an output's document; it is published to anew.
    pub async fn patch_output(&self, by: &By, id: &str, output: &str, patch: Value) -> Result<Receipt<Output>, Error> {
        let done = self.one(by, id, op::PatchOutput { id: output.into(), patch }).await?;
        answers!(done, Item::Output(output) => output)
    }

    /// Takes an output away, with a proper end.
    pub async fn delete_output(&self, by: &By, id: &str, output: &str) -> Result<Receipt<()>, Error> {
        Ok(self.one(by, id, op::DeleteOutput { id: output.into() }).await?.map(drop))
    }
}

impl LayersOf<'_> {
    /// The scene's id; what is no id is no scene's.
    fn scene_id(&self) -> Result<Option<Id>, Error> {
        let read = |id: &str| Id::new(id).map_err(|_| not_found("scene", id));
        self.scene.map(read).transpose()
    }
}
