//! A show: a canvas and the scenes that may be on it, one of them on air.
//!
//! A document of one scene may give `layers` alone: that scene's id is `main`. With several it gives `scenes`, and
//! `program` says what is on air: the id of a scene, or a take between some; without it, the first scene. What is written
//! back has the same form.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    Canvas, Layer, LayerErrors, OnAir,
    check::{self, Check, Problem, Problems},
    read_layers,
    transition::Transition,
};
use crate::base::id::Id;
use crate::base::schema::written_as;

/// Most scenes of a show.
pub const SCENES_MAX: usize = 64;
/// Most layers of all scenes together, those within groups included; of one scene with those that scenes within it show,
/// too.
pub const SHOW_LAYERS_MAX: usize = 2048;
/// How deep scenes may lie within scenes.
pub const SCENES_DEEP_MAX: usize = 4;

/// A canvas, the scenes for it, and what is on air.
#[derive(Debug, Clone, PartialEq)]
pub struct Show {
    /// Size, rate and colour.
    pub canvas: Canvas,
    /// What a broken layer shows.
    pub layer_errors: LayerErrors,
    /// In the order of the document, at least one; ids are unique.
    scenes: Vec<Arc<Scene>>,
    /// What is on air; names none but them.
    program: OnAir,
}

/// An ordered set of layers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scene {
    /// Unique in its show.
    pub id: Id,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// In the order of the document; `zIndex` decides what covers what.
    pub layers: Vec<Layer>,
}

/// A show's part of a document, as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ShowDocument {
    /// Size, rate and colour.
    pub canvas: Canvas,
    /// What a broken layer shows.
    pub layer_errors: LayerErrors,
    /// The layers of the only scene.
    pub layers: Option<Vec<Value>>,
    /// All scenes.
    pub scenes: Option<Vec<Value>>,
    /// What is on air.
    pub program: Option<Value>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Scene)]
struct SceneDocument {
    id: Id,
    #[serde(default)]
    name: String,
    #[serde(default)]
    #[schema(value_type = Vec<Layer>)]
    layers: Vec<Value>,
}

written_as!(Scene as "Scene" = SceneDocument);

impl Scene {
    /// Reads and checks a scene's document.
    pub fn read(value: Value) -> Result<Self, Problems> {
        let SceneDocument { id, name, layers } = check::read(value)?;
        let layers = read_layers(layers).map_err(|problems| problems.under("/layers"))?;
        let mut check = Check::default();
        check.count("/name", "bytes", name.len(), 0..=256);
        check.finish().map(|()| Self { id, name, layers })
    }

    /// The layer of that id.
    pub fn layer(&self, id: &str) -> Option<&Layer> {
        self.layers.iter().find(|layer| layer.id.as_str() == id)
    }

    /// All its layers, those within others included.
    fn with_children(&self) -> impl Iterator<Item = &Layer> {
        self.layers.iter().flat_map(Layer::with_children)
    }

    /// The scenes that its layers show.
    fn scenes(&self) -> impl Iterator<Item = &Id> {
        self.with_children().filter_map(|layer| layer.content.scene())
    }

    /// The id of a show's scene when it has but one.
    pub fn main_id() -> Id {
        Id::new("main").unwrap_or_else(|_| unreachable!("four letters are an id"))
    }
}

impl Show {
    /// A show of one scene, `main`.
    pub fn of_layers(canvas: Canvas, layer_errors: LayerErrors, layers: Vec<Layer>) -> Self {
        let scene = Scene { id: Scene::main_id(), name: String::new(), layers };
        Self { canvas, layer_errors, program: OnAir::Scene(scene.id.clone()), scenes: vec![Arc::new(scene)] }
    }

    /// Reads and checks a show's document.
    pub fn read(value: Value) -> Result<Self, Problems> {
        check::read::<ShowDocument>(value)?.check()
    }

    /// All scenes, in the order of the document.
    pub fn scenes(&self) -> &[Arc<Scene>] {
        &self.scenes
    }

    /// The scene of that id.
    pub fn scene(&self, id: &str) -> Option<&Arc<Scene>> {
        self.scenes.iter().find(|scene| scene.id.as_str() == id)
    }

    /// The scene of that id, to be changed in this show alone.
    pub fn scene_mut(&mut self, id: &str) -> Option<&mut Scene> {
        self.scenes.iter_mut().find(|scene| scene.id.as_str() == id).map(Arc::make_mut)
    }

    /// This show after a run that ended at `elapsed`: takes are over, and whatever was under way in its layers has
    /// arrived.
    pub fn settled(&self, elapsed: Duration) -> Self {
        let settle = |scene: &Arc<Scene>| {
            let layers = scene.layers.iter().map(|layer| layer.clone().settled(elapsed)).collect();
            Arc::new(Scene { id: scene.id.clone(), name: scene.name.clone(), layers })
        };
        let program = OnAir::Scene(self.program.target().clone());
        Self { scenes: self.scenes.iter().map(settle).collect(), program, ..self.clone() }
    }

    /// What is on air.
    pub fn program(&self) -> &OnAir {
        &self.program
    }

    /// The scene on air; while a take is under way, the one it leads to.
    pub fn on_air(&self) -> &Arc<Scene> {
        let target = self.program.target();
        self.scene(target.as_str()).unwrap_or_else(|| unreachable!("what is on air is a scene of the show"))
    }

    /// The same show with this scene, which must be one of its own, on air.
    pub fn showing(&self, id: &Id) -> Self {
        debug_assert!(self.scene(id.as_str()).is_some(), "{id} is no scene of the show");
        Self { program: OnAir::Scene(id.clone()), ..self.clone() }
    }

    /// The same show when, at `start`, a take to this scene, which must be one of its own, begins.
    pub fn taking(&self, to: &Id, transition: Arc<Transition>, start: Duration) -> Self {
        debug_assert!(self.scene(to.as_str()).is_some(), "{to} is no scene of the show");
        Self { program: self.program.taking(to.clone(), transition, start), ..self.clone() }
    }

    /// The same show at `elapsed`, without the takes that are over by then; `None` if there are none.
    pub fn caught_up(&self, elapsed: Duration) -> Option<Self> {
        let program = self.program.settled(elapsed);
        (program != self.program).then(|| Self { program, ..self.clone() })
    }

    /// The same show with what is on air in `before`, takes under way included, if it leads to the same scene and all that is
    /// seen on the way is here, too.
    #[must_use]
    pub fn continuing(mut self, before: &Self) -> Self {
        let is_here = |id: &&Id| self.scene(id.as_str()).is_some();
        if before.program.target() == self.program.target() && before.program.scenes().iter().all(is_here) {
            self.program = before.program.clone();
        }
        self
    }

    /// Adds a scene, in place of the one of its id if there is one.
    pub fn put(&mut self, scene: Scene) {
        match self.scene_mut(scene.id.as_str()) {
            Some(place) => *place = scene,
            None => self.scenes.push(Arc::new(scene)),
        }
    }

    /// Takes a scene away that is not on air.
    pub fn remove(&mut self, id: &Id) {
        debug_assert!(!self.program.scenes().contains(&id), "{id} is on air");
        self.scenes.retain(|scene| scene.id != *id);
    }

    /// What no scene says alone: how many there are, and of what.
    pub fn check(&self) -> Result<(), Problems> {
        let mut check = Check::default();
        check.count("/scenes", "scenes", self.scenes.len(), 1..=SCENES_MAX);
        let layers = self.scenes.iter().map(|scene| scene.with_children().count()).sum();
        check.count("/scenes", "layers in all", layers, 0..=SHOW_LAYERS_MAX);
        let mut ids = HashSet::new();
        for (i, scene) in self.scenes.iter().enumerate() {
            let is_new = ids.insert(&scene.id);
            check.that(&format!("/scenes/{i}/id"), is_new, || format!("`{}` is another scene's id already", scene.id));
        }
        self.check_nesting(&mut check);
        for id in self.program.scenes() {
            check.that("/program", ids.contains(id), || format!("there is no scene `{id}`"));
        }
        check.finish()
    }
}

/// A scene with those within it.
#[derive(Clone, Copy)]
struct Extent {
    layers: usize,
    /// How deep scenes lie within it.
    depth: usize,
}

impl Show {
    /// Scenes that layers show must be there, not within themselves, and not be too much together.
    fn check_nesting(&self, check: &mut Check) {
        let mut known = HashMap::new();
        for (i, scene) in self.scenes.iter().enumerate() {
            for (j, layer) in scene.layers.iter().enumerate() {
                let pointer = format!("/scenes/{i}/layers/{j}/content");
                for id in layer.with_children().into_iter().filter_map(|layer| layer.content.scene()) {
                    check.that(&pointer, self.scene(id.as_str()).is_some(), || format!("there is no scene `{id}`"));
                    check.that(&pointer, !self.leads_to(id, &scene.id), || {
                        format!("scene `{}` would be within itself", scene.id)
                    });
                }
            }
            let Extent { layers, depth } = self.extent(scene, &mut known);
            let pointer = format!("/scenes/{i}");
            check.that(&pointer, depth <= SCENES_DEEP_MAX, || {
                format!("scenes within scenes are too deep: {SCENES_DEEP_MAX} at most")
            });
            check.that(&pointer, layers <= SHOW_LAYERS_MAX, || {
                format!("{layers} layers, those of scenes within it included, are too many: {SHOW_LAYERS_MAX} at most")
            });
        }
    }

    /// Whether the scene `from` is, or shows, however far down, the scene `to`.
    fn leads_to(&self, from: &Id, to: &Id) -> bool {
        let mut found = vec![from];
        let mut next = 0;
        while let Some(id) = found.get(next).copied() {
            if id == to {
                return true;
            }
            let within = self.scene(id.as_str()).into_iter().flat_map(|scene| scene.scenes());
            within.for_each(|id| {
                if !found.contains(&id) {
                    found.push(id)
                }
            });
            next += 1;
        }
        false
    }

    /// What a scene comes to. One that is within itself counts nothing there; it is refused.
    fn extent<'a>(&'a self, scene: &'a Scene, known: &mut HashMap<&'a Id, Extent>) -> Extent {
        if let Some(&extent) = known.get(&scene.id) {
            return extent;
        }
        known.insert(&scene.id, Extent { layers: 0, depth: 0 });
        let mut all = Extent { layers: scene.with_children().count(), depth: 0 };
        for inner in scene.scenes().filter_map(|id| self.scene(id.as_str())) {
            let inner = self.extent(inner, known);
            all.layers = all.layers.saturating_add(inner.layers);
            all.depth = all.depth.max(inner.depth + 1);
        }
        known.insert(&scene.id, all);
        all
    }

    /// Another scene and layer that show this scene.
    pub fn shown_by(&self, id: &Id) -> Option<(&Id, &Id)> {
        let layers = self.scenes.iter().flat_map(|scene| scene.with_children().map(|layer| (&scene.id, layer)));
        layers.into_iter().find(|(_, layer)| layer.content.scene() == Some(id)).map(|(scene, layer)| (scene, &layer.id))
    }
}

impl ShowDocument {
    /// The show it describes.
    pub fn check(self) -> Result<Show, Problems> {
        let Self { canvas, layer_errors, layers, scenes, program } = self;
        let is_short = scenes.is_none();
        let scenes = match (layers, scenes) {
            (Some(_), Some(_)) => {
                let message = "give `layers` of the only scene, or `scenes`, not both".into();
                return Err(Problem { pointer: "/layers".into(), message }.into());
            }
            (None, Some(scenes)) => read_scenes(scenes)?,
            (layers, None) => {
                let layers = read_layers(layers.unwrap_or_default()).map_err(|problems| problems.under("/layers"))?;
                vec![Arc::new(Scene { id: Scene::main_id(), name: String::new(), layers })]
            }
        };
        let program = match program {
            Some(program) => OnAir::read(program).map_err(|problems| problems.under("/program"))?,
            None => OnAir::Scene(scenes.first().map_or_else(Scene::main_id, |scene| scene.id.clone())),
        };
        let show = Show { canvas, layer_errors, scenes, program };
        show.check().map_err(|problems| if is_short { problems.within("/scenes/0") } else { problems })?;
        Ok(show)
    }
}

fn read_scenes(values: Vec<Value>) -> Result<Vec<Arc<Scene>>, Problems> {
    let read =
        |(i, value)| Scene::read(value).map(Arc::new).map_err(|problems| problems.under(&format!("/scenes/{i}")));
    // More are refused later; they need not be read for it.
    values.into_iter().enumerate().take(SCENES_MAX + 1).map(read).collect()
}

impl Serialize for Show {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Fields<'a> {
            canvas: &'a Canvas,
            layer_errors: LayerErrors,
            #[serde(flatten)]
            scenes: Scenes<'a>,
        }
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Scenes<'a> {
            One { layers: &'a [Layer] },
            Many { scenes: Vec<&'a Scene>, program: &'a OnAir },
        }
        let scenes = match &self.scenes[..] {
            [only] if self.program == OnAir::Scene(Scene::main_id()) && only.name.is_empty() => {
                Scenes::One { layers: &only.layers }
            }
            scenes => Scenes::Many { scenes: scenes.iter().map(|scene| &**scene).collect(), program: &self.program },
        };
        Fields { canvas: &self.canvas, layer_errors: self.layer_errors, scenes }.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problem(value: Value) -> (String, String) {
        let problem = Show::read(value).unwrap_err().0.remove(0);
        (problem.pointer, problem.message)
    }

    fn layer(id: &str) -> Value {
        json!({ "id": id, "zIndex": 0, "enabled": true, "opacity": 1.0, "content": { "type": "color", "color": "#ffffff" } })
    }

    #[test]
    fn layers_alone_are_the_scene_main() {
        let show = Show::read(json!({ "layers": [layer("a")] })).unwrap();
        assert_eq!((show.on_air().id.as_str(), show.on_air().layers.len()), ("main", 1));
        let written = serde_json::to_value(&show).unwrap();
        assert!(written.get("scenes").is_none() && written["layers"][0]["id"] == "a", "{written}");
        assert_eq!(Show::read(written).unwrap(), show);
        assert!(Show::read(json!({})).unwrap().on_air().layers.is_empty());
    }

    #[test]
    fn several_scenes_are_written_as_they_were_read() {
        let scenes =
            json!([{ "id": "one", "name": "First", "layers": [layer("a")] }, { "id": "two", "layers": [layer("a")] }]);
        let show = Show::read(json!({ "scenes": scenes, "program": "two" })).unwrap();
        assert_eq!(show.on_air().id.as_str(), "two");
        let written = serde_json::to_value(&show).unwrap();
        assert_eq!((&written["program"], &written["scenes"][0]["name"]), (&json!("two"), &json!("First")));
        assert_eq!(Show::read(written).unwrap(), show);
        assert_eq!(Show::read(json!({ "scenes": scenes })).unwrap().on_air().id.as_str(), "one", "the first");
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        let scene = |id: &str| json!({ "id": id });
        assert_eq!(problem(json!({ "layers": [], "scenes": [scene("a")] })).0, "/layers");
        assert_eq!(problem(json!({ "scenes": [] })).1, "0 scenes is out of range: 1 to 64");
        assert_eq!(problem(json!({ "scenes": [scene("a"), scene("a")] })).0, "/scenes/1/id");
        assert_eq!(
            problem(json!({ "scenes": [scene("a"), { "id": "b", "layers": [{ "id": "x" }] }] })).0,
            "/scenes/1/layers/0"
        );
        assert_eq!(
            problem(json!({ "scenes": [scene("a")], "program": "b" })),
            ("/program".into(), "there is no scene `b`".into())
        );
        let many: Vec<_> = (0..65).map(|i| scene(&format!("s{i}"))).collect();
        assert_eq!(problem(json!({ "scenes": many })).1, "65 scenes is out of range: 1 to 64");
    }

    #[test]
    fn all_layers_together_are_bounded() {
        let layers: Vec<_> = (0..256).map(|i| layer(&format!("l{i}"))).collect();
        let scenes: Vec<_> = (0..9).map(|i| json!({ "id": format!("s{i}"), "layers": layers })).collect();
        assert_eq!(problem(json!({ "scenes": scenes })).1, "2304 layers in all is out of range: 0 to 2048");
    }
}
