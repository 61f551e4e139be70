//! The description of the API against the API itself: every route is in it, its schemas say what readers take, and
//! whatever is sent wrong to any change is refused with a problem document and changes nothing. Tools of others
//! (`tests/contract`) try the running daemon by it and make a client of it.
//!
//! What is sent is made from the description, so a route or a type that is new is tried by being there.

mod support;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use axum::{
    body::Body,
    http::{Request, header},
};
use serde_json::{Map, Value, json};
use stream_manager::{
    api::{auth::make_token, openapi::document, routes::ROUTES},
    audio::Strip,
    base::secret::Secret,
    scene::{Content, Effect, Layer, Scene, check::Problems, transition::Transition},
    state::{Document, output::Output},
};
use support::{api::Api, chromium::Window, daemon::Daemon};
use tempfile::TempDir;

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
    let first = post("key-0001", layer).await;
    let again = post("key-0001", layer).await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.body, again.body);
    assert_eq!(first.headers["location"], again.headers["location"]);
    assert!(!first.headers.contains_key("idempotency-replayed") && again.headers.contains_key("idempotency-replayed"));
    let other = post("key-0001", &layer.replace("\"b\"", "\"c\"")).await;
    other.problem(422, "idempotency_conflict");
    assert_eq!(post("key-0002", layer).await.status, 409, "without the key it is another change");
    assert_eq!(post(&"x".repeat(65), layer).await.status, 400);
    let options = api.send("OPTIONS", &format!("{MAIN}/layers"), "application/json", "").await;
    assert_eq!((options.status, options.headers["allow"].to_str().unwrap()), (204, "GET,HEAD,POST"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_lead_from_one_to_the_next() {
    let api = stopped().await;
    for name in ["a", "b", "c", "d"] {
        api.patch(MAIN, json!({ "name": name })).await.expect(200);
    }
    let whole = api.get("/api/v1/audit").await.expect(200);
    assert!(whole["entries"].as_array().unwrap().len() == 5 && whole["next"].is_null(), "{whole}");
    let (mut path, mut seen) = ("/api/v1/audit?limit=2".to_owned(), Vec::new());
    loop {
        let page = api.get(&path).await;
        seen.extend(page.expect(200)["entries"].as_array().unwrap().clone());
        let Some(link) = page.headers.get("link").map(|link| link.to_str().unwrap()) else { break };
        assert!(link.ends_with("; rel=\"next\""), "{link}");
        path = link[1..].split('>').next().unwrap().to_owned();
    }
    assert_eq!(json!(seen), whole["entries"]);
    for bad in ["limit=0", "limit=10001", "limit=x", "page=2", &format!("cursor={}", "x".repeat(257))] {
        api.get(&format!("/api/v1/audit?{bad}")).await.problem(400, "bad_query");
    }
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

/// In a browser, under the policy that its files have: every operation is listed, and nothing is missed.
#[tokio::test(flavor = "multi_thread")]
async fn the_viewer_lists_all_operations_in_a_browser() {
    let api = Api::new();
    let address = api.serve().await;
    tokio::task::block_in_place(|| {
        let mut window = Window::open(&format!("http://{address}/docs/index.html"), [1280, 900]);
        window.until(&format!("document.querySelectorAll('.opblock').length === {}", ROUTES.len()));
        assert_eq!(window.run("document.querySelector('.info .title').firstChild.textContent"), "stream-manager");
        window.run("document.querySelector('#operations-streams-streamsGet button').click()");
        window.until("document.querySelector('#operations-streams-streamsGet .opblock-body')");
        assert_eq!(window.run("violations"), json!([]), "it keeps to its policy");
        assert_eq!(window.run("complaints"), json!([]));
    });
}

/// What others made for contracts like ours; config/run/test.sh installs it.
fn tool(path: &str) -> PathBuf {
    let path = contract(path);
    assert!(path.exists(), "{} is missing: make test installs it", path.display());
    path
}

fn contract(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract").join(path)
}

/// What a command says, which must end well.
fn told(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    said
}

/// A daemon with a show that stands still, and a token for everything.
fn daemon() -> (Daemon, TempDir, Secret) {
    let layer = |id: &str| json!({ "id": id, "content": { "type": "color", "color": "#ff0000" } });
    let scene = |id: &str| json!({ "id": id, "layers": [layer("a"), layer("doomed")] });
    let output = |id: &str| json!({ "id": id, "url": "rtmp://127.0.0.1:1/app/key", "enabled": false });
    let source = |id: &str| json!({ "id": id, "type": "tone" });
    let scenes: Vec<_> = ["main", "other", "break", "doomed"].map(scene).into();
    let (sources, outputs) = (["s", "doomed"].map(source), ["o", "doomed"].map(output));
    let show = json!({
        "id": "main", "autoStart": false, "canvas": { "width": 320, "height": 180 },
        "scenes": scenes, "audio": { "sources": sources }, "outputs": outputs
    });
    let (token, hash) = make_token();
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("config.toml");
    let limits = "[auth.limits]\nrequests_per_second = 100000\nburst = 100000\n";
    let tokens = format!("[[auth.tokens]]\nname = \"tests\"\nrole = \"admin\"\nstreams = [\"*\"]\nhash = \"{hash}\"\n");
    fs::write(&config, format!("[log]\nlevel = \"error\"\n{limits}{tokens}")).unwrap();
    let daemon = Daemon::serve_with(Some(&show), &["--config", config.to_str().unwrap()]);
    (daemon, directory, token)
}

#[test]
fn the_description_is_openapi() {
    let file = tempfile::NamedTempFile::with_suffix(".json").unwrap();
    fs::write(&file, document().to_string()).unwrap();
    let said = told(Command::new(tool("python/.venv/bin/openapi-spec-validator")).arg(file.path()));
    assert!(said.trim_end().ends_with("OK"), "{said}");
}

/// Whatever schemathesis makes of the description, right and wrong, is answered as the description says.
#[test]
fn the_running_daemon_does_what_the_description_says() {
    let (daemon, directory, token) = daemon();
    let mut command = Command::new(tool("python/.venv/bin/st"));
    command.arg("--config-file").arg(contract("schemathesis.toml"));
    // Asked for by address, the description itself would not be among what is tried.
    let description = directory.path().join("openapi.json");
    fs::write(&description, document().to_string()).unwrap();
    command.args(["run", "--no-color", "--checks", "all", "--url", daemon.base()]).arg(&description);
    command.env("TOKEN", token.expose()).env("HOOKS", contract("hooks.py")).current_dir(directory.path());
    let said = told(&mut command);
    let count = ROUTES.len();
    assert!(said.contains(&format!("Selected: {count}/{count}")), "{said}");
    assert!(said.contains(&format!("Tested: {count}\n")), "{said}");
}

/// A client whose types are made of the description compiles, strictly, and does what it says.
#[test]
fn a_typed_client_is_made_of_the_description() {
    let (daemon, directory, token) = daemon();
    let modules = tool("typescript/node_modules");
    for file in ["program.ts", "tsconfig.json", "package.json"] {
        fs::copy(contract("typescript").join(file), directory.path().join(file)).unwrap();
    }
    std::os::unix::fs::symlink(&modules, directory.path().join("node_modules")).unwrap();
    fs::write(directory.path().join("openapi.json"), document().to_string()).unwrap();
    let node = |program: &str, arguments: &[&str]| {
        told(Command::new("node").arg(modules.join(program)).args(arguments).current_dir(directory.path()))
    };
    // What has a default may be left out.
    node("openapi-typescript/bin/cli.js", &["openapi.json", "--default-non-nullable=false", "--output", "api.d.ts"]);
    node("typescript/bin/tsc", &["--project", "."]);
    let said = told(
        Command::new("node").arg("out/program.js").args([daemon.base(), token.expose()]).current_dir(directory.path()),
    );
    assert!(said.starts_with("revision "), "{said}");
}

/// The numbers of a document and of its schema: where each stands, and what the schema says of it.
fn numbers(
    schema: &'static Value,
    name: &str,
    value: &Value,
    pointer: &str,
    found: &mut Vec<(String, String, &'static Value)>,
) {
    let name = schema["$ref"].as_str().and_then(|place| place.rsplit('/').next()).unwrap_or(name);
    let schema = resolved(schema);
    if let Some(choices) = ["oneOf", "anyOf"].iter().find_map(|choice| schema[*choice].as_array()) {
        let one = choices.iter().find(|one| one["type"] != "null").unwrap();
        return numbers(one, name, value, pointer, found);
    }
    match value {
        Value::Number(_) => found.push((pointer.to_owned(), name.to_owned(), schema)),
        Value::Object(fields) => fields.iter().for_each(|(field, value)| {
            let at = format!("{pointer}/{field}");
            numbers(&schema["properties"][field], &format!("{name}.{field}"), value, &at, found);
        }),
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(i, item)| numbers(&schema["items"], name, item, &format!("{pointer}/{i}"), found));
        }
        _ => {}
    }
}

/// Whose ranges depend on other fields.
const RELATIVE: [&str; 5] = [
    "SequenceContent.last",
    "SlideshowTransition.durationMs",
    "SpriteContent.count",
    "Stroke.width",
    "SyncBeepSource.lengthMs",
];

/// The range that a reader names where a number is out of it.
fn range_of(read: Read, document: &Value, pointer: &str) -> Option<(f64, f64)> {
    [
        json!(1e300),
        json!(u32::MAX),
        json!(i32::MAX),
        json!(u16::MAX),
        json!(u8::MAX),
        json!(-1e300),
        json!(i32::MIN),
        json!(0),
    ]
    .into_iter()
    .find_map(|number| {
        let mut document = document.clone();
        *document.pointer_mut(pointer)? = number;
        let problems = read(document).err()?;
        let problem = problems.0.iter().find(|problem| problem.pointer == pointer)?;
        let (low, high) = problem.message.split_once("out of range: ")?.1.split_once(" to ")?;
        Some((low.parse().ok()?, high.parse().ok()?))
    })
}

/// A type of a family within the least document that has it, for ranges are checked with the whole.
struct Whole {
    name: &'static str,
    read: Read,
    wrap: fn(Value) -> Value,
    /// Where it stands in the whole.
    at: &'static str,
}

fn wholes() -> impl Iterator<Item = Whole> {
    let layer: Read = |value| Layer::read(value).map(drop);
    families().into_iter().map(move |(name, read)| {
        if name.ends_with("Content") {
            Whole { name, read: layer, wrap: |value| json!({ "id": "x", "content": value }), at: "/content" }
        } else if name.ends_with("Effect") {
            Whole { name, read: layer, wrap: with_effect, at: "/effects/0" }
        } else {
            Whole { name, read, wrap: |value| value, at: "" }
        }
    })
}

fn with_effect(effect: Value) -> Value {
    json!({ "id": "x", "content": { "type": "color", "color": "#ffffff" }, "effects": [effect] })
}

#[test]
fn numbers_have_the_ranges_that_readers_have() {
    let mut wrong = BTreeSet::new();
    let mut right = 0;
    for Whole { name, read, wrap, at } in wholes() {
        // One field at a time, for some do not go with others.
        for (field, own) in fields(schema(name), true, 0) {
            let mut document = fields(schema(name), false, 0);
            document.insert(field, own);
            let document = Value::Object(document);
            let mut found = Vec::new();
            numbers(schema(name), name, &document, at, &mut found);
            let document = wrap(document);
            for (pointer, place, schema) in found {
                let Some((low, high)) = range_of(read, &document, &pointer).filter(|_| !RELATIVE.contains(&&*place))
                else {
                    continue;
                };
                let bound = |name: &str| schema[name].as_f64();
                match (bound("minimum"), bound("maximum")) {
                    (Some(min), Some(max)) if (min, max) == (low, high) => right += 1,
                    (min, max) => {
                        wrong.insert(format!("{place}: {low} to {high}, in the schema {min:?} to {max:?}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty() && right > 100, "{right} are right\n{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
}
