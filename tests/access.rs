//! Who may do what: every route with every role, tokens over the WebSocket, limits, and what is noted.
//!
//! Requests go to the daemon's router, with real tokens and the hashes of the command line.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{Method, Request, header},
};
use serde_json::{Value, json};
use stream_manager::api::auth::{
    Config, LimitsConfig, Role, TokenConfig, make_token,
    policy::{Need, need},
};
use support::{
    api::{Answer, Api},
    clients::{Socket, request},
};
use tokio_tungstenite::tungstenite::{self, Message, WebSocket, client::IntoClientRequest, stream::MaybeTlsStream};

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

/// A daemon with two streams and a token of each kind, and those tokens by their names.
struct Guarded {
    api: Api,
    tokens: Vec<(&'static str, String)>,
}

fn config(limits: LimitsConfig) -> (Config, Vec<(&'static str, String)>) {
    let mut config = Config { limits, ..Config::default() };
    let mut tokens = Vec::new();
    for (name, role, stream) in [
        ("viewer", Role::Viewer, "main"),
        ("operator", Role::Operator, "main"),
        ("admin", Role::Admin, "main"),
        ("other", Role::Admin, "other"),
        ("chief-viewer", Role::Viewer, "*"),
        ("chief", Role::Admin, "*"),
    ] {
        let (token, hash) = make_token();
        tokens.push((name, token.expose().to_owned()));
        let (streams, hash) = (vec![stream.to_owned()], Some(hash));
        config.tokens.push(TokenConfig { name: name.into(), role, streams, hash, secret: None });
    }
    (config, tokens)
}

impl Guarded {
    async fn new() -> Self {
        Self::with(LimitsConfig::default()).await
    }

    async fn with(limits: LimitsConfig) -> Self {
        let (config, tokens) = config(limits);
        let guarded = Self { api: Api::guarded(&config), tokens };
        for id in ["main", "other"] {
            let canvas = json!({ "width": 320, "height": 180, "fps": "25" });
            let stream = json!({ "id": id, "canvas": canvas, "autoStart": false });
            guarded.ask("chief", "POST", "/api/v1/streams", &stream.to_string()).await.expect(201);
        }
        guarded
    }

    fn token(&self, name: &str) -> &str {
        let (_, token) = self.tokens.iter().find(|(known, _)| *known == name).unwrap();
        token
    }

    async fn ask(&self, name: &str, method: &str, path: &str, body: &str) -> Answer {
        self.ask_with(Some(&format!("Bearer {}", self.token(name))), method, path, body).await
    }

    async fn ask_with(&self, authorization: Option<&str>, method: &str, path: &str, body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        self.api.answer(request.body(Body::from(body.to_owned())).unwrap()).await
    }
}

/// The router's routes, each with its methods, out of what it tells of itself for debugging: it has no other list.
fn routes(told: &str) -> BTreeSet<(String, String)> {
    let told = told.split("fallback_router").next().unwrap();
    let quoted = |text: &str| text.split('"').nth(1).unwrap().to_owned();
    let numbered = |text: &str| -> BTreeMap<u32, String> {
        let entries = text.split("RouteId(").skip(1).map(|entry| entry.split_once(')').unwrap());
        entries.map(|(number, rest)| (number.parse().unwrap(), rest.to_owned())).collect()
    };
    let (handlers, paths) = told.split_once("paths: {").unwrap();
    let handlers = numbered(handlers);
    let mut routes = BTreeSet::new();
    for (number, path) in numbered(paths) {
        let (_, methods) = handlers[&number].split_once("allow_header: ").unwrap();
        let (methods, path) = (quoted(methods), quoted(&path));
        let methods = methods.split(',').filter(|method| *method != "HEAD");
        routes.extend(methods.map(|method| (method.to_owned(), path.clone())));
    }
    routes
}

/// A path of the pattern: of stream `main`, and of parts that are not there.
fn path_of(pattern: &str) -> String {
    let part = |part: &str| match part {
        "{id}" => "main".to_owned(),
        part if part.starts_with('{') => "absent".to_owned(),
        part => part.to_owned(),
    };
    pattern.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// A route, and what the table says that it takes.
struct Rule {
    method: String,
    path: String,
    need: Need,
}

/// What a route takes; none where the table does not have it.
fn need_of(method: &str, path: &str) -> Option<Need> {
    need(&method.parse().unwrap(), path)
}

/// The routes of a daemon, each with its line of the table.
fn ruled(api: &Api) -> Vec<Rule> {
    let routes = routes(&api.routes());
    assert!(routes.len() > 50, "{routes:?}");
    let rule_of = |(method, path): (String, String)| {
        let need = need_of(&method, &path).unwrap_or_else(|| panic!("{method} {path} has no line in api/routes.rs"));
        Rule { method, path, need }
    };
    routes.into_iter().map(rule_of).collect()
}

/// What somebody is answered before a handler: who they are not, what they may not, or that they go on.
fn verdict(answer: &Answer) -> &'static str {
    let code = serde_json::from_slice::<Value>(&answer.body).ok().map(|body| body["code"].clone());
    let detail = String::from_utf8_lossy(&answer.body);
    match (answer.status, code.as_ref().and_then(Value::as_str)) {
        (401, Some("unauthorized")) => "unknown",
        (403, Some("forbidden")) => "forbidden",
        (404, Some("not_found")) if detail.contains("there is no stream `main`") => "hidden",
        _ => "on",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_with_every_role() {
    let guarded = Guarded::new().await;
    let wrong = format!("Bearer {}", make_token().0.expose());
    for rule in ruled(&guarded.api) {
        let path = path_of(&rule.path);
        // A stream that is deleted is none that the next one finds; what comes first has no body that is good.
        let expected = |is_known: bool, role: Role, is_mine: bool, is_all: bool| match rule.need {
            Need::Open => "on",
            _ if !is_known => "unknown",
            Need::Stream(_) if !is_mine => "hidden",
            Need::Any(needs) | Need::All(needs) | Need::Stream(needs) if role < needs => "forbidden",
            Need::All(_) if !is_all => "forbidden",
            Need::Any(_) | Need::All(_) | Need::Stream(_) => "on",
        };
        let is_deletion = rule.method == "DELETE" && path == "/api/v1/streams/main";
        for (name, role, is_mine, is_all) in [
            ("viewer", Role::Viewer, true, false),
            ("operator", Role::Operator, true, false),
            ("other", Role::Admin, false, false),
            ("chief-viewer", Role::Viewer, true, true),
            ("admin", Role::Admin, true, false),
            ("chief", Role::Admin, true, true),
        ] {
            if is_deletion && role == Role::Admin && is_mine {
                continue;
            }
            // Its body does not end; what it takes is what its neighbour takes.
            let answer = guarded.ask(name, &rule.method, &path, "not a document").await;
            assert_eq!(verdict(&answer), expected(true, role, is_mine, is_all), "{name}: {}", answer.text());
        }
        let answer = guarded.ask_with(None, &rule.method, &path, "").await;
        assert_eq!(verdict(&answer), expected(false, Role::Viewer, false, false), "nobody: {}", answer.text());
        if rule.need != Need::Open {
            assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"stream-manager\"");
        }
        // Known ones are let in, so the stranger's own wait is ended by asking as one that is.
        for basic in ["Basic eDp5", "Bearer", "Bearer "] {
            let answer = guarded.ask_with(Some(basic), &rule.method, &path, "").await;
            assert!(matches!(answer.status, 401 | 429), "{basic}: {}", answer.text());
        }
        let answer = guarded.ask_with(Some(&wrong), &rule.method, &path, "").await;
        assert!(matches!(answer.status, 401 | 429), "a wrong token: {}", answer.text());
        for (name, value) in [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer")] {
            assert_eq!(answer.headers[name], value);
        }
        assert!(answer.headers.contains_key("content-security-policy"));
    }
    for method in METHODS {
        // What is possible may be asked by anybody.
        if method != "OPTIONS" && need_of(method, "/api/v1/streams/{id}").is_none() {
            let answer = guarded.ask("chief", method, "/api/v1/streams/main", "").await;
            assert_eq!(answer.status, 405, "{}", answer.text());
        }
    }
    guarded.ask("admin", "DELETE", "/api/v1/streams/main", "").await.expect(204);
    guarded.ask("chief", "DELETE", "/api/v1/streams/other", "").await.expect(204);
    // Encoded, it is the same stream.
    let answer = guarded.ask("admin", "GET", "/api/v1/streams/%6fther", "").await;
    assert_eq!(answer.status, 404);
    let said = guarded.api.said();
    for (name, token) in &guarded.tokens {
        assert!(!said.contains(token), "the token of {name} was told");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_show_what_the_token_is_for_and_changes_are_noted_with_its_name() {
    let guarded = Guarded::new().await;
    for (name, expected) in [("viewer", vec!["main"]), ("other", vec!["other"]), ("chief", vec!["main", "other"])] {
        let list = guarded.ask(name, "GET", "/api/v1/streams", "").await.expect(200);
        let ids: Vec<_> = list["streams"].as_array().unwrap().iter().map(|stream| stream["id"].clone()).collect();
        assert_eq!(ids, expected, "{name}");
    }
    let hidden = guarded.ask("admin", "GET", "/api/v1/streams/%6fther", "").await;
    hidden.problem(404, "not_found");
    let done = guarded.ask("operator", "PATCH", "/api/v1/streams/main", r#"{"name": "News"}"#).await.expect(200);
    assert_eq!(done["actor"], "operator");
    guarded.ask("viewer", "PATCH", "/api/v1/streams/main", "{}").await.problem(403, "forbidden");

    let audit = guarded.ask("chief", "GET", "/api/v1/audit", "").await.expect(200);
    let entries = audit["entries"].as_array().unwrap();
    let of = |name: &str| entries.iter().rfind(|entry| entry["actor"] == name).unwrap();
    assert_eq!(of("operator")["path"], "/api/v1/streams/main");
    assert_eq!((&of("operator")["method"], &of("operator")["status"]), (&json!("PATCH"), &json!(200)));
    assert_eq!((&of("viewer")["role"], &of("viewer")["status"]), (&json!("viewer"), &json!(403)));
    guarded.ask("admin", "GET", "/api/v1/audit", "").await.problem(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_tokens_wait_and_good_ones_go_on() {
    let guarded = Guarded::new().await;
    let wrong = format!("Bearer {}", make_token().0.expose());
    let mut refused = 0;
    let last = loop {
        let answer = guarded.ask_with(Some(&wrong), "GET", "/api/v1/streams", "").await;
        if answer.status == 429 {
            break answer;
        }
        answer.problem(401, "unauthorized");
        refused += 1;
    };
    assert_eq!(refused, 5);
    last.problem(429, "rate_limited");
    assert_eq!(last.headers["retry-after"], "1");
    guarded.ask("chief", "GET", "/api/v1/streams", "").await.expect(200);
    assert!(guarded.api.said().contains("wrong tokens from this address"));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_are_refused() {
    let number = |number| std::num::NonZeroU32::new(number).unwrap();
    let limits = LimitsConfig { requests_per_second: number(1), burst: number(10) };
    let api = Api::guarded(&Config { limits, ..Config::default() });
    let mut answers = Vec::new();
    for _ in 0..40 {
        answers.push(api.get("/healthz").await);
    }
    let refused = answers.iter().find(|answer| answer.status == 429).expect("one of 40 is too many");
    refused.problem(429, "rate_limited");
    assert_eq!(refused.headers["retry-after"], "1");
    assert!(answers[..10].iter().all(|answer| answer.status == 200), "the burst");
}

/// What is noted, and with that what is counted, is the client's address; anybody else's word for it counts for nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_says_whom_it_asks_for() {
    let proxied = async |trusted: &[&str]| {
        let trusted_proxies = trusted.iter().map(|proxy| (*proxy).into()).collect();
        let api = Api::guarded(&Config { trusted_proxies, ..Config::default() });
        let request = Request::post("/api/v1/streams/nowhere/start").header("host", "localhost");
        let mut request = request.header("x-forwarded-for", "203.0.113.5").body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([10, 0, 0, 7], 4711))));
        api.answer(request).await.problem(404, "not_found");
        api.get("/api/v1/audit").await.expect(200)["entries"][0]["address"].clone()
    };
    assert_eq!(proxied(&[]).await, "10.0.0.7");
    assert_eq!(proxied(&["10.0.0.0/8"]).await, "203.0.113.5");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_others_and_tokens_in_urls_are_refused() {
    let api = Api::new();
    let ask = async |method: Method, path: &str, headers: &[(&str, &str)]| {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        api.answer(request.body(Body::empty()).unwrap()).await
    };
    let local = ("host", "localhost:8080");
    ask(Method::GET, "/api/v1/streams", &[("host", "evil.example")]).await.problem(403, "foreign_host");
    let foreign = [local, ("origin", "http://evil.example")];
    ask(Method::POST, "/api/v1/streams/main/start", &foreign).await.problem(403, "foreign_origin");
    let same = [local, ("origin", "http://localhost:8080")];
    ask(Method::POST, "/api/v1/streams/main/start", &same).await.problem(404, "not_found");
    let answer = ask(Method::GET, "/api/v1/streams", &foreign).await;
    assert!(answer.status == 200 && !answer.headers.contains_key("access-control-allow-origin"));
    let in_url = ask(Method::GET, "/api/v1/events?token=smt_x", &[local]).await;
    assert!(in_url.problem(400, "token_in_url")["detail"].as_str().unwrap().contains("bearer.TOKEN"));
    ask(Method::GET, "/nothing?a=b&ACCESS_TOKEN=x", &[local]).await.problem(400, "token_in_url");

    let allowed = Config { allowed_origins: vec!["https://studio.example".into()], ..Config::default() };
    let api = Api::guarded(&allowed);
    let request = Request::builder().method("OPTIONS").uri("/api/v1/streams").header("host", "localhost");
    let request = request.header("origin", "https://studio.example").header("access-control-request-method", "POST");
    let answer = api.answer(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.headers["access-control-allow-origin"], "https://studio.example");
}

/// What is said next; a ping is nothing that is said.
fn heard(socket: &mut WebSocket<MaybeTlsStream<TcpStream>>) -> Value {
    loop {
        if let Message::Text(text) = socket.read().unwrap() {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_brings_its_token_as_a_protocol_and_hears_of_its_streams_alone() {
    let guarded = Guarded::new().await;
    let address = guarded.api.serve().await;
    let url = format!("ws://{address}/api/v1/events");
    let (operator, viewer) = (guarded.token("operator").to_owned(), guarded.token("viewer").to_owned());
    let talk = move || {
        let connect = |token: Option<&str>| {
            let mut request = url.as_str().into_client_request().unwrap();
            let protocols = token.map(|token| format!("stream-manager, bearer.{token}"));
            protocols.map(|text| request.headers_mut().insert("sec-websocket-protocol", text.parse().unwrap()));
            tungstenite::connect(request)
        };
        let tungstenite::Error::Http(refused) = connect(None).unwrap_err() else { panic!("not refused over HTTP") };
        assert_eq!(refused.status(), 401);
        let (mut socket, answer) = connect(Some(&operator)).unwrap();
        assert_eq!(answer.headers()["sec-websocket-protocol"], "stream-manager", "the token is not told back");
        let mut ask = |said: Value| -> Value {
            socket.send(Message::text(said.to_string())).unwrap();
            heard(&mut socket)
        };
        let done = ask(json!({ "id": "1", "command": "stop", "stream": "main" }));
        assert_eq!((&done["type"], &done["result"]["actor"]), (&json!("done"), &json!("operator")), "{done}");
        // What REST keeps from operators, commands do as well.
        for step_back in ["undo", "redo"] {
            let refused = ask(json!({ "command": step_back, "stream": "main" }));
            assert_eq!(refused["problem"]["code"], "forbidden", "{refused}");
        }
        let hidden = ask(json!({ "id": "2", "command": "stop", "stream": "other" }));
        assert_eq!(hidden["problem"]["code"], "not_found", "{hidden}");
        let hidden = ask(json!({ "subscribe": "preview", "stream": "other" }));
        assert_eq!(hidden["problem"]["code"], "not_found", "{hidden}");
        let refused = ask(json!({ "subscribe": "logs" }));
        assert_eq!(refused["problem"]["code"], "forbidden", "{refused}");
        assert_eq!(ask(json!({ "subscribe": "state" }))["type"], "subscribed");
        let state: Value = heard(&mut socket);
        assert_eq!((&state["type"], &state["stream"]), (&json!("state"), &json!("main")), "other comes not at all");
        let (mut socket, _) = connect(Some(&viewer)).unwrap();
        socket.send(Message::text(r#"{"command": "stop", "stream": "main"}"#)).unwrap();
        let refused: Value = heard(&mut socket);
        assert_eq!(refused["problem"]["code"], "forbidden", "{refused}");
    };
    let talk = tokio::task::spawn_blocking(talk);
    tokio::time::timeout(Duration::from_secs(60), talk).await.unwrap().unwrap();
    let audit = guarded.ask("chief", "GET", "/api/v1/audit", "").await.expect(200);
    let is_command = |entry: &Value| entry["actor"] == "viewer" && entry["path"] == "/api/v1/streams/main/stop";
    assert!(audit["entries"].as_array().unwrap().iter().any(|entry| is_command(entry) && entry["status"] == 403));
}

/// A connection of the WebSocket that brings this token, or why there is none.
fn connect(address: SocketAddr, token: &str) -> Result<Socket, tungstenite::Error> {
    let mut request = request(address);
    let protocols = format!("stream-manager, bearer.{token}");
    request.headers_mut().insert("sec-websocket-protocol", protocols.parse().unwrap());
    Socket::open(request)
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_are_an_admins_within_transactions_too() {
    let guarded = Guarded::new().await;
    let output = json!({ "id": "out", "url": "rtmp://127.0.0.1:1/live", "key": "live_secret", "enabled": false });
    let rename = json!({ "op": "patchStream", "patch": { "name": "Renamed" } });
    let ops = [
        json!({ "op": "createOutput", "document": output }),
        json!({ "op": "patchOutput", "id": "out", "patch": { "url": "rtmp://127.0.0.1:1/other" } }),
        json!({ "op": "deleteOutput", "id": "out" }),
    ];
    let mut operator = connect(guarded.api.serve().await, guarded.token("operator")).unwrap();
    for op in ops {
        let document = json!({ "ops": [rename, op] });
        let before = guarded.ask("chief", "GET", "/api/v1/streams/main", "").await.expect(200);
        let path = "/api/v1/streams/main/transactions";
        guarded.ask("operator", "POST", path, &document.to_string()).await.problem(403, "forbidden");
        let refused = operator.ask(&json!({ "command": "transaction", "stream": "main", "ops": document["ops"] }));
        assert_eq!(refused["problem"]["code"], "forbidden", "{refused}");
        let after = guarded.ask("chief", "GET", "/api/v1/streams/main", "").await.expect(200);
        assert_eq!(after, before, "not even the name is another");
        guarded.ask("admin", "POST", path, &document.to_string()).await.expect(200);
    }
    let all = json!({ "outputs": [output] }).to_string();
    guarded.ask("operator", "PATCH", "/api/v1/streams/main", &all).await.refused("/outputs", &["one by one"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_what_is_told_as_it_happens_to_admins_of_all_streams() {
    let guarded = Guarded::new().await;
    let address = guarded.api.serve().await;
    for name in ["operator", "admin", "chief-viewer"] {
        let refused = connect(address, guarded.token(name)).unwrap().ask(&json!({ "subscribe": ["state", "audit"] }));
        assert_eq!(refused["problem"]["code"], "forbidden", "{name}: {refused}");
    }
    let mut chief = connect(address, guarded.token("chief")).unwrap();
    assert_eq!(chief.ask(&json!({ "subscribe": "audit", "intervalMs": 40 }))["type"], "subscribed");

    let [main, outputs] = ["/api/v1/streams/main", "/api/v1/streams/main/outputs"];
    guarded.ask("operator", "PATCH", main, r#"{"name": "News"}"#).await.expect(200);
    let output = json!({ "id": "out", "url": "rtmp://127.0.0.1:1/live", "key": "live_secret", "enabled": false });
    guarded.ask("admin", "POST", outputs, &output.to_string()).await.expect(201);
    guarded.ask("viewer", "DELETE", main, "").await.problem(403, "forbidden");
    guarded.ask("viewer", "GET", main, "").await.expect(200);
    let (stranger, _) = make_token();
    let wrong = format!("Bearer {}", stranger.expose());
    guarded.ask_with(Some(&wrong), "GET", "/api/v1/streams", "").await.problem(401, "unauthorized");
    let Err(tungstenite::Error::Http(refused)) = connect(address, stranger.expose()) else { panic!("it is let in") };
    assert_eq!(refused.status(), 401);

    let mut told = Vec::new();
    while told.len() < 5 {
        let news = chief.told(|value| value["type"] == "audit");
        for secret in ["live_secret", stranger.expose(), guarded.token("operator")] {
            assert!(!news.to_string().contains(secret), "{news}");
        }
        assert_eq!(news["missed"], 0);
        told.extend(news["entries"].as_array().unwrap().clone());
    }
    let fact = |entry: &Value| ["actor", "role", "method", "path", "status"].map(|name| entry[name].clone());
    let nobody = Value::Null;
    let expected = [
        [json!("operator"), json!("operator"), json!("PATCH"), json!(main), json!(200)],
        [json!("admin"), json!("admin"), json!("POST"), json!(outputs), json!(201)],
        [json!("viewer"), json!("viewer"), json!("DELETE"), json!(main), json!(403)],
        [nobody.clone(), nobody.clone(), json!("GET"), json!("/api/v1/streams"), json!(401)],
        [nobody.clone(), nobody, json!("GET"), json!("/api/v1/events"), json!(401)],
    ];
    assert_eq!(told.iter().map(fact).collect::<Vec<_>>(), expected, "and nothing of what was only looked at");
    assert_eq!(told[4]["address"], "127.0.0.1");
    let audit = guarded.ask("chief", "GET", "/api/v1/audit", "").await.expect(200);
    assert!(audit["entries"].as_array().unwrap().ends_with(&told), "REST tells the same");
}
