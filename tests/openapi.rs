//! The description of the API against the API itself: every route is in it, its schemas say what readers take, and
//! whatever is sent wrong to any change is refused with a problem document and changes nothing.
//!
//! What is sent is made from the description, so a route or a type that is new is tried by being there.

mod support;

use std::collections::BTreeSet;

use axum::{
    body::Body,
    http::{Request, header},
};
use serde_json::{Map, Value, json};
use stream_manager::{
    api::{openapi::document, routes::ROUTES},
    audio::Strip,
    scene::{Content, Effect, Layer, Scene, check::Problems, transition::Transition},
    state::{Document, output::Output},
};
use support::api::Api;

const MAIN: &str = "/api/v1/streams/main";

#[test]
fn every_route_is_described_and_every_description_is_a_route() {
    let routes: BTreeSet<_> = ROUTES.iter().map(|route| (route.path.to_owned(), route.method.to_owned())).collect();
    assert_eq!(routes.len(), ROUTES.len(), "no route stands there twice");
    let mut described = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for (path, operations) in document()["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            described.insert((path.clone(), method.clone()));
            let summary = operation["summary"].as_str().unwrap_or_default();
            assert!(summary.ends_with('.') && !summary.contains(path.as_str()), "{method} {path}: `{summary}`");
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{method} {path} has another's id");
        }
    }
    assert_eq!(described, routes);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_that_is_described_is_there() {
    let api = Api::new();
    for route in ROUTES {
        // Nothing of the kind is there, which is said by the handler and not by the router.
        let path = route.path.replace("{assetId}", "sha256:0").replace(['{', '}'], "");
        let answer = api.send(&route.method.to_uppercase(), &path, "application/json", "").await;
        let text = answer.text();
        assert!(!text.contains("there is nothing at") && answer.status != 405, "{} {path}: {text}", route.method);
    }
}

#[test]
fn references_lead_to_schemas() {
    fn walk(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|value| walk(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| walk(value, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    walk(document(), &mut found);
    assert!(found.len() > 50, "{found:?}");
    for reference in found {
        assert!(document().pointer(&reference[1..]).is_some(), "{reference}");
    }
}

fn schema(name: &str) -> &'static Value {
    let schema = &document()["components"]["schemas"][name];
    assert!(schema.is_object(), "there is no schema {name}");
    schema
}

fn resolved(schema: &'static Value) -> &'static Value {
    match schema["$ref"].as_str() {
        Some(reference) => document().pointer(&reference[1..]).unwrap(),
        None => schema,
    }
}

/// Something that a schema takes: with all fields, or with those alone that are required.
fn sample(schema: &'static Value, is_full: bool, depth: usize) -> Value {
    let schema = resolved(schema);
    if let Some(example) = schema["examples"].get(0) {
        return example.clone();
    }
    if let Some(word) = schema["enum"].get(0) {
        return word.clone();
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[choice].as_array() {
            let one = choices.iter().find(|one| one["type"] != "null").unwrap();
            return sample(one, is_full, depth);
        }
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str()).unwrap_or("object");
    match kind {
        "object" => Value::Object(fields(schema, is_full, depth)),
        // Layers within layers end somewhere.
        "array" if !is_full || depth > 6 => json!([]),
        "array" => {
            let count = schema["minItems"].as_u64().unwrap_or(1) as usize;
            let is_pair = schema["items"]["type"] == "array";
            let item = if is_pair { json!([0, 0]) } else { sample(&schema["items"], is_full, depth + 1) };
            Value::Array(vec![item; count])
        }
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
        "boolean" => json!(false),
        "string" => json!("x"),
        _ => Value::Null,
    }
}

fn fields(schema: &'static Value, is_full: bool, depth: usize) -> Map<String, Value> {
    let required = required(schema);
    let wanted = |name: &&String| required.contains(&name.as_str()) || (is_full && depth < 8);
    let fields = schema["properties"].as_object().into_iter().flat_map(|fields| fields.iter());
    let fields = fields.filter(|(name, _)| wanted(name));
    fields.map(|(name, field)| (name.clone(), sample(field, is_full, depth + 1))).collect()
}

fn required(schema: &'static Value) -> Vec<&'static str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A reader of documents.
type Read = fn(Value) -> Result<(), Problems>;

/// The types of a family: their schemas, and how they are read.
fn families() -> Vec<(&'static str, Read)> {
    let families: [(&str, &[&str], Read); 5] = [
        ("Content", Content::TYPES, |value| Content::read(value).map(drop)),
        ("Output", &["rtmp", "recording"], |value| Output::read(value).map(drop)),
        ("Effect", Effect::TYPES, |value| Effect::read(value).map(drop)),
        ("Transition", stream_manager::scene::transition::Kind::TYPES, |value| Transition::read(value).map(drop)),
        ("AudioSource", stream_manager::audio::SourceKind::TYPES, |value| Strip::read(value).map(drop)),
    ];
    let mut all: Vec<(&str, Read)> = vec![
        ("Layer", |value| Layer::read(value).map(drop)),
        ("Scene", |value| Scene::read(value).map(drop)),
        ("Stream", |value| Document::read(value).map(drop)),
    ];
    for (family, types, read) in families {
        let mapping = schema(family)["discriminator"]["mapping"].as_object().unwrap();
        let names: BTreeSet<_> = mapping.keys().map(String::as_str).collect();
        assert_eq!(names, types.iter().copied().collect(), "the types of {family}");
        let places = mapping.values().filter_map(Value::as_str);
        all.extend(places.map(|place| (place.rsplit('/').next().unwrap(), read)));
    }
    all
}

/// What a reader says of an unknown field are the fields of the schema; what it misses are those that are required.
#[test]
fn schemas_have_the_fields_that_readers_take() {
    let mut wrong = Vec::new();
    for (name, read) in families() {
        let schema = schema(name);
        let mut unknown = Value::Object(fields(schema, false, 0));
        unknown["noSuchField"] = json!(1);
        let problems = read(unknown).unwrap_err();
        let unknown = problems.0.iter().find(|problem| problem.message.contains("unknown field"));
        let message = &unknown.unwrap_or_else(|| panic!("{name}: {problems}")).message;
        let expected = message.split_once("`noSuchField`").map_or("", |(_, expected)| expected);
        // What there is, in signs of code or plainly.
        let words = expected.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        let named: BTreeSet<&str> = words.collect();
        let mut taken: BTreeSet<&str> = expected.split('`').skip(1).step_by(2).collect();
        let mut shown: BTreeSet<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        // Read before the others.
        let apart = if name.ends_with("Transition") { &["type", "durationMs", "easing"][..] } else { &["type"] };
        for field in apart {
            shown.remove(field);
            taken.remove(field);
        }
        if name.ends_with("Source") {
            // Named without signs: the fields that all sources have.
            taken.extend(shown.iter().filter(|field| named.contains(*field)));
        }
        if taken != shown {
            wrong.push(format!("{name}: the reader takes {taken:?}, the schema shows {shown:?}"));
        }
        for field in required(schema).into_iter().filter(|field| *field != "type") {
            let mut less = fields(schema, false, 0);
            less.remove(field);
            if read(Value::Object(less)).is_ok() {
                wrong.push(format!("{name}: {field} is not required"));
            }
        }
        // Less than that is not missed.
        if let Err(problems) = read(Value::Object(fields(schema, false, 0))) {
            let missing = problems.0.iter().filter(|problem| problem.message.contains("missing field"));
            wrong.extend(missing.map(|problem| format!("{name}: required, but not said so: {problem}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The changes of the API, as addresses of things that are there.
fn changes() -> impl Iterator<Item = (&'static str, String, bool)> {
    let named = [("{id}", "main"), ("{sceneId}", "main"), ("{layerId}", "a"), ("{outputId}", "o"), ("{sourceId}", "s")];
    ROUTES.iter().filter(|route| route.method != "get").map(move |route| {
        let path = named.iter().fold(route.path.to_owned(), |path, (from, to)| path.replace(from, to));
        let action = if path.contains("/audio/actions") { "resetLoudness" } else { "start" };
        let path = path.replace("{action}", action).replace("{assetId}", &format!("sha256:{}", "0".repeat(64)));
        let body = &document()["paths"][route.path][route.method]["requestBody"]["content"];
        (route.method, path, body["application/json"].is_object())
    })
}

async fn stopped() -> Api {
    Api::with(json!({ "id": "main", "autoStart": false, "canvas": { "width": 320, "height": 180 },
        "layers": [{ "id": "a", "content": { "type": "color", "color": "#ff0000" } }],
        "audio": { "sources": [{ "id": "s", "type": "tone" }] },
        "outputs": [{ "id": "o", "url": "rtmp://127.0.0.1:1/app/key", "enabled": false }] }))
    .await
}

/// Everything that changes could change.
async fn everything(api: &Api) -> (Value, Value) {
    (api.get("/api/v1/streams").await.expect(200), api.get("/api/v1/assets").await.expect(200))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_wrong_changes_nothing() {
    let api = stopped().await;
    let before = everything(&api).await;
    let json = "application/json";
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let long = format!("\"{}\"", "x".repeat(5 << 20));
    let bodies: [(&str, &str, Vec<u8>); 10] = [
        ("malformed", json, b"{\"id\": ".to_vec()),
        ("nothing", json, Vec::new()),
        ("an array", json, b"[1, 2]".to_vec()),
        ("a text", json, b"\"x\"".to_vec()),
        ("an unknown field", json, b"{\"noSuchField\": 1}".to_vec()),
        (
            "of the wrong type",
            json,
            b"{\"id\": 7, \"name\": 7, \"scene\": 7, \"gainDb\": \"x\", \"url\": 7, \"pan\": \"x\"}".to_vec(),
        ),
        ("of another kind", "text/plain", b"{}".to_vec()),
        ("too deep", json, deep.into_bytes()),
        ("too long", json, long.into_bytes()),
        ("no UTF-8", json, b"{\"name\": \"\xff\xfe\"}".to_vec()),
    ];
    let mut tried = 0;
    for (method, path, _) in changes().filter(|(_, path, takes_json)| *takes_json && !path.contains("/assets")) {
        for (what, kind, body) in &bodies {
            // Actions do without arguments, and `start` of a layer is refused for another reason.
            let answer = api.send(&method.to_uppercase(), &path, kind, body.clone()).await;
            assert!(
                (400..500).contains(&answer.status),
                "{method} {path}, {what}: {} {}",
                answer.status,
                answer.text()
            );
            assert_eq!(answer.kind(), "application/problem+json", "{method} {path}, {what}");
            let problem: Value = serde_json::from_slice(&answer.body).unwrap();
            assert!(problem["code"].is_string() && problem["status"] == answer.status, "{problem}");
            assert_eq!(everything(&api).await, before, "{method} {path}, {what}");
            tried += 1;
        }
    }
    assert!(tried >= 150, "{tried}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_that_is_over_and_names_that_are_unknown_change_nothing() {
    let api = stopped().await;
    let before = everything(&api).await;
    let send = async |method: &str, path: &str, condition: Option<&str>| {
        let mut request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
        if let Some(condition) = condition {
            request = request.header(header::IF_MATCH, condition);
        }
        api.answer(request.body(Body::from("{}")).unwrap()).await
    };
    for (method, path, _) in changes().filter(|(_, path, _)| path.starts_with(MAIN) && !path.contains("resetLoudness"))
    {
        let method = method.to_uppercase();
        let stale = send(&method, &path, Some("\"99\"")).await;
        // What is no good document is said first.
        assert!(matches!(stale.status, 412 | 422), "{method} {path}: {} {}", stale.status, stale.text());
        let bad = send(&method, &path, Some("99")).await;
        assert_eq!(bad.status, 400, "{method} {path}: {}", bad.text());
        let unknown = send(&method, &path.replace("main", "gone"), None).await;
        assert!(matches!(unknown.status, 404 | 422), "{method} {path}: {} {}", unknown.status, unknown.text());
        assert_eq!(everything(&api).await, before, "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_tells_whether_something_changed_and_guards_a_change() {
    let api = stopped().await;
    let conditional = async |method: &str, name: &str, value: &str, body: &str| {
        let request = Request::builder().method(method).uri(format!("{MAIN}/layers/a")).header(name, value);
        let request = request.header(header::CONTENT_TYPE, "application/json");
        api.answer(request.body(Body::from(body.to_owned())).unwrap()).await
    };
    api.post(&format!("{MAIN}/snapshots"), json!({ "name": "kept" })).await.expect(201);
    let versioned =
        ROUTES.iter().filter(|route| document()["paths"][route.path][route.method]["responses"]["304"].is_object());
    let mut count = 0;
    for route in versioned {
        let path = route.path.replace("{id}", "main").replace("{sceneId}", "main").replace("{layerId}", "a");
        let path = path.replace("{outputId}", "o").replace("{sourceId}", "s").replace("{name}", "kept");
        let first = api.get(&path).await;
        assert_eq!(first.status, 200, "{path}: {}", first.text());
        let tag = first.headers["etag"].to_str().unwrap().to_owned();
        let request = Request::builder().uri(&path).header(header::IF_NONE_MATCH, &tag);
        let again = api.answer(request.body(Body::empty()).unwrap()).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        assert_eq!(again.headers["etag"].to_str().unwrap(), tag);
        count += 1;
    }
    assert!(count >= 14, "{count}");

    let tag = api.get(&format!("{MAIN}/layers/a")).await.headers["etag"].to_str().unwrap().to_owned();
    conditional("PATCH", "if-match", &tag, r#"{ "name": "one" }"#).await.expect(200);
    let lost = conditional("PATCH", "if-match", &tag, r#"{ "name": "two" }"#).await;
    lost.problem(412, "revision_conflict");
    let changed = conditional("GET", "if-none-match", &tag, "").await;
    assert_eq!(changed.expect(200)["name"], "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_with_a_key_is_made_once() {
    let api = stopped().await;
    let post = async |key: &str, body: &str| {
        let request = Request::builder().method("POST").uri(format!("{MAIN}/layers")).header("Idempotency-Key", key);
        let request = request.header(header::CONTENT_TYPE, "application/json");
        api.answer(request.body(Body::from(body.to_owned())).unwrap()).await
    };
    let layer = r##"{ "id": "b", "content": { "type": "color", "color": "#00ff00" } }"##;
    let first = post("one", layer).await;
    let again = post("one", layer).await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.body, again.body);
    assert_eq!(first.headers["location"], again.headers["location"]);
    assert!(!first.headers.contains_key("idempotency-replayed") && again.headers.contains_key("idempotency-replayed"));
    let other = post("one", &layer.replace("\"b\"", "\"c\"")).await;
    other.problem(422, "idempotency_conflict");
    assert_eq!(post("two", layer).await.status, 409, "without the key it is another change");
    assert_eq!(post(&"x".repeat(129), layer).await.status, 400);
    let options = api.send("OPTIONS", &format!("{MAIN}/layers"), "application/json", "").await;
    assert_eq!((options.status, options.headers["allow"].to_str().unwrap()), (204, "GET,HEAD,POST"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_viewer_comes_with_the_daemon_and_has_no_script_in_its_page() {
    let api = Api::new();
    for path in ["/docs", "/docs/"] {
        assert_eq!(api.get(path).await.headers["location"], "/docs/index.html");
    }
    let page = api.get("/docs/index.html").await.text();
    let scripts: Vec<_> = page.split("<script").skip(1).collect();
    assert!(!scripts.is_empty());
    for script in scripts {
        let (attributes, rest) = script.split_once('>').unwrap();
        assert!(rest.trim_start().starts_with("</script>"), "a script stands in the page: {script}");
        let source = attributes.split("src=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let file = api.get(&format!("/docs/{}", source.trim_start_matches("./"))).await;
        assert_eq!(file.status, 200, "{source}");
        assert!(!source.contains("//"), "{source} is somebody else's");
    }
    let start = api.get("/docs/swagger-initializer.js").await.text();
    assert!(start.contains("/api/v1/openapi.json"), "{start}");
    assert_eq!(api.get("/docs/nothing.js").await.status, 404);
    assert_eq!(&api.get("/api/v1/openapi.json").await.expect(200), document());
}
