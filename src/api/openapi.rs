//! The description of the API, OpenAPI 3.1: what handlers and documents say of themselves, and what all have in common.
//!
//! Documents' schemas come from their types. Here stand answers, which are made of documents and a few fields beside them;
//! merge patches, which are documents of which any part may be left out or be null; and, for every operation, its id, its
//! tag, what stands in its path, the headers that all of a kind take, and problem documents. Made once.

use std::sync::OnceLock;

use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use super::{
    auth::policy::Need,
    routes::{Described, ROUTES, Route},
};
use crate::{
    base::schema::Written,
    state::{LOCK_SECONDS, OPS_MAX, Op},
};

const SCHEMAS: &str = "#/components/schemas/";
const BEARER: &str = "bearer";

/// The document.
pub fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(made)
}

fn made() -> Value {
    let described = serde_json::to_value(Described::openapi());
    let mut document = described.unwrap_or_else(|error| unreachable!("maps with texts as keys: {error}"));
    document["info"] = json!({
        "title": "stream-manager",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "Control of a broadcast overlay compositor. Errors are problem documents (RFC 9457) with a stable \
            `code`. A change answers with the revision after it and, while the stream runs, the first frame that shows it.",
        "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" }
    });
    let mut schemas = document["components"]["schemas"].as_object().cloned().unwrap_or_default();
    add_answers(&mut schemas);
    add_changes(&mut schemas);
    document["components"]["schemas"] = Value::Object(schemas);
    document["components"]["securitySchemes"] = json!({ BEARER: {
        "type": "http", "scheme": "bearer",
        "description": "A token of the configuration. While there is none, everybody on this machine is let in."
    } });
    let paths = document["paths"].take();
    document["paths"] = ROUTES.iter().fold(json!({}), |mut all, route| {
        all[route.path][route.method] = operation(route, &paths);
        all
    });
    document
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("{SCHEMAS}{name}") })
}

/// An object of which nothing more is said.
fn any_object() -> Value {
    json!({ "type": "object", "additionalProperties": true })
}

fn object(fields: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": fields, "required": required })
}

/// Fields of one object added to another's.
fn joined(base: &Value, more: Value) -> Value {
    let mut all = base.clone();
    if let (Some(fields), Some(more)) = (all["properties"].as_object_mut(), more.as_object()) {
        fields.extend(more.clone());
    }
    let names = more.as_object().into_iter().flat_map(|more| more.keys()).map(|name| json!(name));
    let required = all["required"].as_array().cloned().unwrap_or_default();
    all["required"] = required.into_iter().chain(names).collect();
    all
}

fn add_answers(schemas: &mut Map<String, Value>) {
    let count = || json!({ "type": "integer", "minimum": 0 });
    let maybe_count = || json!({ "type": ["integer", "null"], "minimum": 0 });
    let receipt = object(
        json!({
            "revision": { "type": "integer", "minimum": 0, "description": "The stream's revision after it." },
            "appliedFrame": { "type": ["integer", "null"], "minimum": 0,
                "description": "The first frame that shows it; null while the stream is stopped or paused." },
            "ptsMs": { "type": ["integer", "null"], "minimum": 0, "description": "When that frame is shown." },
            "actor": { "type": "string", "description": "Who did it." },
            "atUtcMs": { "type": "integer", "description": "When it was done, in milliseconds since 1970 UTC." }
        }),
        &["revision", "appliedFrame", "ptsMs", "actor", "atUtcMs"],
    );
    let state = json!({ "type": "string", "enum": ["stopped", "running", "paused", "failed"] });
    let with = |more: Value| joined(&receipt, more);
    let sound = |more: Value| joined(&with(more), json!({ "appliedSample": maybe_count() }));
    let list = |name: &str, of: &str| {
        let fields = json!({ "revision": count(), name: { "type": "array", "items": reference(of) } });
        object(fields, &["revision", name])
    };
    let shown = joined(&schemas["Stream"], json!({ "state": state, "revision": count() }));
    let program = reference("OnAir");
    let asset = object(
        json!({
            "id": { "type": "string", "pattern": "^sha256:[0-9a-f]{64}$" },
            "kind": { "type": "string" }, "format": { "type": "string" }, "mediaType": { "type": "string" },
            "bytes": count(), "createdUtcMs": { "type": "integer" }, "name": { "type": "string" },
            "tags": { "type": "array", "items": { "type": "string" } }
        }),
        &["id", "kind", "format", "mediaType", "bytes", "createdUtcMs", "name", "tags"],
    );
    let problem = object(
        json!({
            "type": { "type": "string" }, "title": { "type": "string" }, "detail": { "type": "string" },
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "code": { "type": "string", "description": "What went wrong; never changes." },
            "errors": { "type": "array", "items": object(
                json!({ "pointer": { "type": "string", "description": "Where, as a JSON pointer." }, "message": { "type": "string" } }),
                &["pointer", "message"],
            ) }
        }),
        &["type", "title", "status", "code", "detail"],
    );
    let health = |words: &[&str]| {
        let reasons = json!({ "type": "array", "items": { "type": "string" } });
        object(json!({ "status": { "type": "string", "enum": words }, "reasons": reasons }), &["status"])
    };
    let assets = json!({ "type": "array", "items": reference("Asset") });
    let next = json!({ "type": ["string", "null"], "description": "The `cursor` of the page behind it." });
    let id = || reference("Id");
    let maybe_id = || json!({ "oneOf": [{ "type": "null" }, reference("Id")] });
    let saved = object(
        json!({ "name": id(), "revision": count(), "actor": { "type": "string" }, "atUtcMs": { "type": "integer" } }),
        &["name", "revision", "actor", "atUtcMs"],
    );
    let lock = object(
        json!({ "scene": id(), "layer": id(), "owner": { "type": "string", "description": "Who alone may change it." },
            "expiresUtcMs": { "type": "integer", "description": "Until when, in milliseconds since 1970 UTC." } }),
        &["scene", "layer", "owner", "expiresUtcMs"],
    );
    let scheduled = object(
        json!({
            "id": id(), "at": reference("At"), "actor": { "type": "string" }, "madeAtUtcMs": { "type": "integer" },
            "state": { "type": "string", "enum": ["pending", "cancelled", "done", "failed", "missed"] },
            "ops": { "type": "array", "items": { "type": "string" } }, "ifRevision": maybe_count(),
            "dueFrame": maybe_count(), "dueUtcMs": { "type": ["integer", "null"] },
            "revision": count(), "appliedFrame": maybe_count(), "ptsMs": maybe_count(),
            "lateFrames": { "type": "integer", "minimum": 0, "description": "How late it was; 0 on its very frame." },
            "reason": { "type": "string", "description": "Why it was not done." }, "atUtcMs": { "type": "integer" }
        }),
        &["id", "at", "actor", "madeAtUtcMs", "state", "ops", "ifRevision", "dueFrame", "dueUtcMs"],
    );
    let answers = [
        ("Problem", problem),
        ("Receipt", receipt.clone()),
        ("SoundReceipt", sound(json!({}))),
        ("StreamShown", shown.clone()),
        (
            "StreamList",
            object(json!({ "streams": { "type": "array", "items": reference("StreamShown") } }), &["streams"]),
        ),
        ("StreamAnswer", with(json!({ "state": state, "stream": reference("Stream") }))),
        (
            "Status",
            object(
                json!({ "state": state, "revision": count(), "uptimeMs": count(), "activeFps": { "type": "number" },
            "gpu": any_object(), "store": { "type": "object", "required": ["name", "pendingRecords", "problem", "warnings"],
                "properties": { "name": { "type": ["string", "null"] }, "pendingRecords": count(),
                    "problem": { "type": ["string", "null"] },
                    "warnings": { "type": "array", "items": { "type": "string" } } } },
            "outputs": { "type": "array", "items": any_object() },
            "layerErrors": { "type": "array", "items": any_object() },
            "layerWarnings": { "type": "array", "items": any_object() } }),
                &[
                    "state",
                    "revision",
                    "uptimeMs",
                    "activeFps",
                    "gpu",
                    "store",
                    "outputs",
                    "layerErrors",
                    "layerWarnings",
                ],
            ),
        ),
        ("LayerList", list("layers", "Layer")),
        ("LayerAnswer", with(json!({ "layer": reference("Layer") }))),
        ("OutputList", list("outputs", "Output")),
        ("OutputAnswer", with(json!({ "output": reference("Output") }))),
        ("SceneList", joined(&list("scenes", "Scene"), json!({ "program": program, "preview": maybe_id() }))),
        ("SceneAnswer", with(json!({ "scene": reference("Scene") }))),
        (
            "TakeAnswer",
            with(json!({ "scene": id(), "preview": maybe_id(), "endFrame": maybe_count(), "endPtsMs": maybe_count() })),
        ),
        ("PreviewAnswer", with(json!({ "scene": maybe_id() }))),
        ("AudioAnswer", with(json!({ "audio": reference("Audio") }))),
        ("AudioSourceList", list("sources", "AudioSource")),
        ("AudioSourceAnswer", sound(json!({ "source": reference("AudioSource") }))),
        (
            "AssetList",
            object(json!({ "assets": assets, "amount": any_object(), "next": next }), &["assets", "amount", "next"]),
        ),
        ("AssetShown", joined(&asset, json!({ "usedAt": { "type": "array", "items": any_object() } }))),
        ("Asset", asset),
        ("AssetAnswer", object(json!({ "asset": reference("Asset") }), &["asset"])),
        (
            "AssetPatch",
            json!({ "type": "object", "additionalProperties": false, "properties": {
            "name": { "type": ["string", "null"] }, "tags": { "type": ["array", "null"], "items": { "type": "string" } } } }),
        ),
        (
            "Upload",
            json!({ "type": "object", "additionalProperties": false, "required": ["file"], "properties": {
            "name": { "type": "string" }, "tags": { "type": "string" },
            "file": { "type": "string", "contentMediaType": "application/octet-stream" } } }),
        ),
        (
            "UploadAnswer",
            object(json!({ "asset": reference("Asset"), "isNew": { "type": "boolean" } }), &["asset", "isNew"]),
        ),
        (
            "CollectAnswer",
            object(
                json!({ "collected": { "type": "array", "items": { "type": "string" } }, "bytes": count(),
            "dryRun": { "type": "boolean" } }),
                &["collected", "bytes", "dryRun"],
            ),
        ),
        (
            "TakeRequest",
            json!({ "type": "object", "additionalProperties": false, "properties": {
            "scene": maybe_id(), "transition": { "oneOf": [{ "type": "null" }, reference("Transition")] },
            "swap": { "type": ["boolean", "null"], "description": "Whether the scene on air is in preview afterwards." } } }),
        ),
        (
            "Transaction",
            json!({ "type": "object", "additionalProperties": false, "required": ["ops"], "properties": {
            "ops": { "type": "array", "minItems": 1, "maxItems": OPS_MAX, "items": reference("Op") },
            "ifRevision": { "type": ["integer", "null"], "minimum": 0,
                "description": "The revision that the stream must have, now and when what is scheduled is due." },
            "at": { "oneOf": [{ "type": "null" }, reference("At")], "description": "Later: it is scheduled." } } }),
        ),
        ("Op", json!({ "oneOf": Op::schemas().into_iter().map(op).collect::<Vec<_>>() })),
        ("TransactionAnswer", sound(json!({ "results": { "type": "array", "items": any_object() } }))),
        (
            "Schedule",
            object(json!({ "scheduled": { "type": "array", "items": reference("Scheduled") } }), &["scheduled"]),
        ),
        ("Scheduled", scheduled),
        ("Lock", lock),
        (
            "LockRequest",
            json!({ "type": "object", "additionalProperties": false, "properties": { "seconds": {
            "type": ["number", "null"], "minimum": LOCK_SECONDS.start(), "maximum": LOCK_SECONDS.end(), "default": 60 } } }),
        ),
        ("History", object(json!({ "history": { "type": "array", "items": any_object() } }), &["history"])),
        (
            "NewSnapshot",
            json!({ "type": "object", "additionalProperties": false, "properties": { "name": id() }, "required": ["name"] }),
        ),
        ("SnapshotShown", joined(&saved, json!({ "stream": reference("Stream") }))),
        (
            "SnapshotList",
            object(json!({ "snapshots": { "type": "array", "items": reference("Snapshot") } }), &["snapshots"]),
        ),
        ("Snapshot", saved),
        (
            "Audit",
            object(
                json!({ "entries": { "type": "array", "items": any_object() }, "next": next }),
                &["entries", "next"],
            ),
        ),
        ("Health", health(&["ok"])),
        ("Readiness", health(&["ready", "degraded", "notReady"])),
    ];
    schemas.extend(answers.map(|(name, schema)| (name.to_owned(), schema)));
}

/// One op: what it takes, and its name.
fn op((name, fields): (&str, Written)) -> Value {
    let mut op = serde_json::to_value(fields).unwrap_or_else(|error| unreachable!("maps with texts as keys: {error}"));
    op["properties"]["op"] = json!({ "type": "string", "enum": [name] });
    let required = op["required"].as_array().cloned().unwrap_or_default();
    op["required"] = required.into_iter().chain([json!("op")]).collect();
    op
}

/// What PATCH and PUT take.
fn add_changes(schemas: &mut Map<String, Value>) {
    for name in ["Stream", "Layer", "Scene", "Output", "AudioSource", "Audio"] {
        let patch = patch_of(schemas, &schemas[name]);
        schemas.insert(format!("{name}Patch"), patch);
    }
    // Changed one by one, each at its own place.
    for (name, elsewhere) in [("StreamPatch", "layers scenes outputs program preview"), ("AudioPatch", "sources")] {
        let fields = schemas.get_mut(name).and_then(|patch| patch["properties"].as_object_mut());
        fields
            .into_iter()
            .for_each(|fields| fields.retain(|field, _| !elsewhere.split(' ').any(|other| other == field)));
    }
    if let Some(audio) = schemas.get_mut("StreamPatch").map(|patch| &mut patch["properties"]["audio"]) {
        *audio = json!({ "oneOf": [{ "type": "null" }, reference("AudioPatch")] });
    }
    for name in ["Layer", "Scene"] {
        let replacement = without_id(&schemas[name]);
        schemas.insert(format!("{name}Replacement"), replacement);
    }
    let family = schemas["AudioSource"]["oneOf"].as_array().cloned().unwrap_or_default();
    let of_type = |one: &Value| without_id(resolved(schemas, one));
    let replacement = json!({ "oneOf": family.iter().map(of_type).collect::<Vec<_>>() });
    schemas.insert("AudioSourceReplacement".into(), replacement);
}

/// The id is in the path already.
fn without_id(schema: &Value) -> Value {
    let mut schema = schema.clone();
    schema["required"].as_array_mut().into_iter().for_each(|names| names.retain(|name| name != "id"));
    schema
}

fn resolved<'a>(schemas: &'a Map<String, Value>, schema: &'a Value) -> &'a Value {
    let name = schema["$ref"].as_str().and_then(|place| place.strip_prefix(SCHEMAS));
    name.and_then(|name| schemas.get(name)).unwrap_or(schema)
}

/// A merge patch (RFC 7396) of a document: nothing is required, null takes away, and of one of several types any field
/// may be given.
fn patch_of(schemas: &Map<String, Value>, schema: &Value) -> Value {
    let whole = resolved(schemas, schema);
    if whole.get("discriminator").is_some() {
        return json!({ "type": "object", "description": whole["description"], "additionalProperties": true });
    }
    let Some(fields) = whole["properties"].as_object() else { return schema.clone() };
    let patched = fields.iter().map(|(name, field)| {
        // What may be null already is a choice of null and the thing itself.
        let choice = field["oneOf"].as_array().filter(|choice| choice.iter().any(|one| one["type"] == "null"));
        let own = choice.and_then(|choice| choice.iter().find(|one| one["type"] != "null")).unwrap_or(field);
        (name.clone(), json!({ "anyOf": [{ "type": "null" }, patch_of(schemas, own)] }))
    });
    json!({ "type": "object", "additionalProperties": false, "properties": patched.collect::<Map<_, _>>() })
}

/// A route's operation.
fn operation(route: &Route, described: &Value) -> Value {
    // The layers of a scene are described where those on air are.
    let is_of_scene = route.path.contains("/scenes/{sceneId}/layers");
    let place = if is_of_scene { route.path.replace("/scenes/{sceneId}", "") } else { route.path.to_owned() };
    let mut operation = described[&place][route.method].clone();
    operation["operationId"] = json!(operation_id(route.handler, is_of_scene));
    operation["tags"] = json!([tag_of(route.path)]);
    let mut parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    parameters.retain(|parameter| parameter["in"] != "path");
    let names = route.path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    parameters.extend(names.map(|name| path_parameter(route, name)));
    parameters.extend(header_parameters(route).into_iter().map(
        |(name, description, schema)| json!({ "name": name, "in": "header", "description": description, "schema": schema }),
    ));
    operation["parameters"] = Value::Array(parameters);
    if route.method == "patch" && operation["requestBody"].is_object() {
        let content = operation["requestBody"]["content"]["application/json"].clone();
        operation["requestBody"]["content"]["application/merge-patch+json"] = content;
    }
    if operation["requestBody"].is_object() {
        operation["requestBody"]["required"] = json!(!takes_nothing(&operation["requestBody"]));
    }
    if route.need != Need::Open {
        operation["security"] = json!([{ BEARER: [] }]);
    }
    if is_versioned(route) {
        let etag = json!({ "description": "Its revision and what it says.", "schema": { "type": "string" } });
        operation["responses"]["200"]["headers"]["ETag"] = etag;
        operation["responses"]["304"] = json!({ "description": "It is what `If-None-Match` names." });
    }
    operation["responses"]["default"] = json!({
        "description": "What is wrong.",
        "content": { "application/problem+json": { "schema": reference("Problem") } }
    });
    operation
}

/// Whether a body may be left out: the arguments of an action, which may be null, too.
fn takes_nothing(body: &Value) -> bool {
    let schema = &body["content"]["application/json"]["schema"];
    let is_null = |kind: &Value| *kind == "null";
    let is_among = |list: &Value| list.as_array().is_some_and(|list| list.iter().any(is_null));
    is_among(&schema["type"])
        || schema["oneOf"].as_array().is_some_and(|some| some.iter().any(|one| is_null(&one["type"])))
}

/// `parts::get_layer` is `getLayer`; where the module says what it is about, it is in the name.
fn operation_id(handler: &str, is_of_scene: bool) -> String {
    let (module, name) = handler.split_once("::").unwrap_or(("", handler));
    let words = if module == "parts" { name.to_owned() } else { format!("{module}_{name}") };
    let words = if is_of_scene { format!("scene_{words}") } else { words };
    let mut words = words.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |id, word| {
        let (head, rest) = word.split_at(1);
        id + &head.to_ascii_uppercase() + rest
    })
}

fn tag_of(path: &str) -> &str {
    let places = ["outputs", "layers", "scenes", "take", "preview", "audio", "assets", "events", "snapshots"];
    let is_in = |place: &&&str| path.split(['/', '.']).any(|part| part == **place);
    places.iter().find(is_in).copied().unwrap_or(if path.starts_with("/api/v1/streams") { "streams" } else { "daemon" })
}

fn path_parameter(route: &Route, name: &str) -> Value {
    let schema = match (name, route.handler) {
        ("action", "streams::act") => {
            json!({ "type": "string", "enum": ["start", "stop", "pause", "resume", "reset"] })
        }
        ("action", "parts::act_on_output") => json!({ "type": "string", "enum": ["start", "stop"] }),
        ("action", "sound::act") => json!({ "type": "string", "enum": ["resetLoudness"] }),
        ("assetId", _) => json!({ "type": "string", "pattern": "^sha256:[0-9a-f]{64}$" }),
        _ => reference("Id"),
    };
    json!({ "name": name, "in": "path", "required": true, "schema": schema })
}

/// Whether it shows a document that has a revision.
pub(super) fn is_versioned(route: &Route) -> bool {
    let others = ["status", "png", "jpg", "mjpeg", "as-run", "diff", "schedule", "{scheduledId}", "lock"];
    let is_document = !others.iter().any(|end| route.path.ends_with(end));
    route.method == "get" && route.path.starts_with("/api/v1/streams") && is_document
}

fn header_parameters(route: &Route) -> Vec<(&'static str, &'static str, Value)> {
    let mut headers = Vec::new();
    if is_versioned(route) {
        headers.push(("If-None-Match", "An `ETag`: 304 where it is still so.", json!({ "type": "string" })));
    }
    // What meters have measured is no part of the document.
    let is_of_document = route.path.starts_with("/api/v1/streams/{id}") && route.handler != "sound::act";
    if route.method != "get" && is_of_document {
        let description =
            "An `ETag`, or a revision in quotation marks: 412 `revision_conflict` if the stream has another.";
        let schema = json!({ "type": "string", "pattern": "^\"[0-9]{1,15}(-[0-9a-f]+)?\"$", "format": "entity-tag", "examples": ["\"42\""] });
        headers.push(("If-Match", description, schema));
    }
    if route.method != "get" && route.path.starts_with("/api/v1/") {
        let description =
            "The same key again, with the same body, is answered with the first answer and changes nothing.";
        let schema = json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{8,64}$", "examples": ["8e03978e-40d5-43e8-bc93-6894a57f9324"] });
        headers.push(("Idempotency-Key", description, schema));
    }
    headers
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use utoipa::ToSchema;

    use super::*;
    use crate::state::Document;

    #[test]
    fn no_two_types_have_one_name() {
        let mut schemas = Vec::new();
        Document::schemas(&mut schemas);
        assert!(schemas.len() > 100, "{}", schemas.len());
        let mut known: BTreeMap<String, Value> = BTreeMap::new();
        for (name, schema) in schemas {
            let schema = serde_json::to_value(schema).unwrap();
            let before = known.insert(name.clone(), schema.clone());
            assert!(before.is_none_or(|before| before == schema), "two types are called {name}");
        }
    }

    #[test]
    fn ids_are_made_of_handlers() {
        assert_eq!(operation_id("parts::get_layer", false), "getLayer");
        assert_eq!(operation_id("parts::get_layer", true), "sceneGetLayer");
        assert_eq!(operation_id("streams::list", false), "streamsList");
    }
}
