//! The API of a daemon that lives in the test: real streams on the machine's Vulkan, requests without a socket.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock},
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, Request, header},
    serve::Listener,
};
use image::RgbaImage;
use prometheus::Registry;
use serde_json::Value;
use stream_manager::{
    api::{
        App, CLIENTS_MAX_DEFAULT,
        auth::{self, Access},
        router,
    },
    base::clock::{Clock, SystemClock},
    gpu,
    media::{self, Library, Vault},
    output::{Network, Recordings, tls::Tls},
    pipeline::{Devices, metrics::Families},
    state::{
        Scheduler, Secrets, Services, Streams,
        asrun::AsRun,
        assets::{Assets, Limits, Unrecorded},
    },
    telemetry::metrics::Metrics,
};
use tempfile::TempDir;
use tokio::{
    io::{DuplexStream, duplex},
    net::TcpListener,
    runtime::Handle,
};
use tower::ServiceExt;

use super::{eventually, pictures::pixel};

/// The directory of all tests' pictures; names must differ from test to test.
pub(crate) fn assets() -> PathBuf {
    let assets = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("api/assets");
    fs::create_dir_all(&assets).unwrap();
    assets
}

/// A GPU and a library, and where its uploads lie.
type Machine = (Arc<Devices>, Arc<Vault>, Arc<TempDir>);

fn open_machine() -> Machine {
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let vault = Arc::new(Vault::open(dir.path()).unwrap());
    let config = media::Config { assets_dir: Some(assets()), vault: Some(vault.clone()), ..media::Config::default() };
    let library = Library::new(config).unwrap();
    let options = gpu::Options { adapter: String::new(), allow_software: true };
    (Arc::new(Devices::open(options, library).unwrap()), vault, Arc::new(dir))
}

/// The directory of all tests' recordings; names must differ from test to test.
pub(crate) fn recordings() -> PathBuf {
    let recordings = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("api/recordings");
    fs::create_dir_all(&recordings).unwrap();
    recordings
}

/// The directory of all tests' secrets; names must differ from test to test.
pub(crate) fn secrets() -> PathBuf {
    let secrets = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("api/secrets");
    fs::create_dir_all(&secrets).unwrap();
    secrets
}

/// Opened once: lavapipe takes its time, and one GPU for all streams is what a daemon has.
fn machine() -> Machine {
    static MACHINE: OnceLock<Machine> = OnceLock::new();
    MACHINE.get_or_init(open_machine).clone()
}

/// A daemon's API.
#[derive(Debug)]
pub(crate) struct Api {
    router: Router,
    /// Its streams.
    pub(crate) streams: Arc<Streams>,
    /// Where its uploads lie.
    pub(crate) vault: Arc<Vault>,
    _uploads: Arc<TempDir>,
    /// Every answer so far, heads and bodies.
    said: Mutex<String>,
    /// What was asked over connections: each method and address.
    asked: Arc<Mutex<Vec<String>>>,
}

/// A server's side of one connection in memory.
struct Pipe(Option<DuplexStream>);

impl Listener for Pipe {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        match self.0.take() {
            Some(pipe) => (pipe, ()),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Api {
    /// A daemon without streams. Needs a runtime.
    pub(crate) fn new() -> Self {
        Self::over(machine(), Limits::default(), CLIENTS_MAX_DEFAULT, &auth::Config::default())
    }

    /// The same, with room for so many clients of the WebSocket.
    pub(crate) fn for_clients(clients_max: usize) -> Self {
        Self::over(machine(), Limits::default(), clients_max, &auth::Config::default())
    }

    /// The same, with a library and uploads of its own, and room for so many of them.
    pub(crate) fn apart(limits: Limits) -> Self {
        Self::over(open_machine(), limits, CLIENTS_MAX_DEFAULT, &auth::Config::default())
    }

    /// The same, with tokens and limits.
    pub(crate) fn guarded(auth: &auth::Config) -> Self {
        Self::over(machine(), Limits::default(), CLIENTS_MAX_DEFAULT, auth)
    }

    /// Its routes, as the router tells of itself.
    pub(crate) fn routes(&self) -> String {
        format!("{:?}", self.router)
    }

    fn over((devices, vault, uploads): Machine, limits: Limits, clients_max: usize, auth: &auth::Config) -> Self {
        let registry = Registry::new();
        let families = Families::new(&registry).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let listen = "127.0.0.1:0".parse().unwrap();
        let access = Arc::new(Access::open(auth, listen, clock.clone(), &registry).unwrap());
        let network = Network { runtime: Handle::current(), tls: Tls::open(&[]).unwrap() };
        let library = devices.library.clone();
        let secrets = Secrets::new(Some(secrets()));
        let recordings = Some(Recordings { directory: recordings(), clock: clock.clone() });
        let services = Services { devices, clock, families, network, secrets, recordings };
        let streams = Arc::new(Streams::new(services));
        let metrics = Arc::new(Metrics::new(registry, streams.clone()).unwrap());
        let assets = Assets::open(vault.clone(), library, limits, Vec::new(), Arc::new(Unrecorded)).unwrap();
        let as_run = Arc::new(AsRun::start(&streams, None).unwrap());
        // It ends with the runtime.
        drop(Scheduler::start(&streams));
        let app = App { streams: streams.clone(), metrics, assets: Arc::new(assets), as_run, clients_max, access };
        let router = router(app);
        Self { router, streams, vault, _uploads: uploads, said: Mutex::default(), asked: Arc::default() }
    }

    /// Lets the router answer any request.
    pub(crate) async fn answer(&self, request: Request<Body>) -> Answer {
        let what = format!("{} {}", request.method(), request.uri());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let text = format!("{:?}\n{}\n", head.headers, String::from_utf8_lossy(&body));
        self.said.lock().unwrap().push_str(&text);
        Answer { what, status: head.status.as_u16(), headers: head.headers, body }
    }

    /// A daemon with this stream.
    pub(crate) async fn with(stream: Value) -> Self {
        let api = Self::new();
        api.post("/api/v1/streams", stream).await.expect(201);
        api
    }

    /// A real server of the same API, for what needs a connection; it ends with the test.
    pub(crate) async fn serve(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = self.asked.clone();
        let note = move |request: axum::extract::Request| {
            asked.lock().unwrap().push(format!("{} {}", request.method(), request.uri()));
            std::future::ready(request)
        };
        let app = self.router.clone().layer(axum::middleware::map_request(note));
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(axum::serve(listener, app).into_future());
        address
    }

    /// A client's side of a connection to the same API that takes `len` bytes each way: of no network, for virtual time.
    pub(crate) fn connect(&self, len: usize) -> DuplexStream {
        let (client, server) = duplex(len);
        tokio::spawn(axum::serve(Pipe(Some(server)), self.router.clone()).into_future());
        client
    }

    /// What was asked so far over connections to [`Self::serve`].
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// One request; `kind` is the content type.
    pub(crate) async fn send(&self, method: &str, path: &str, kind: &str, body: impl Into<Bytes>) -> Answer {
        let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, kind);
        self.answer(request.body(Body::from(body.into())).unwrap()).await
    }

    /// A request whose answer does not end by itself: its head, and its body as it comes.
    pub(crate) async fn open(&self, path: &str) -> (HeaderMap, Body) {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        assert_eq!(head.status, 200, "{path}");
        (head.headers, body)
    }

    async fn json(&self, method: &str, path: &str, body: Value) -> Answer {
        self.send(method, path, "application/json", body.to_string()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "application/json", "").await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, "application/json", "").await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.json("POST", path, body).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.json("PUT", path, body).await
    }

    pub(crate) async fn patch(&self, path: &str, patch: Value) -> Answer {
        self.send("PATCH", path, "application/merge-patch+json", patch.to_string()).await
    }

    /// `start`, `stop`, `pause`, `resume` or `reset` of a stream.
    pub(crate) async fn act(&self, stream: &str, action: &str) -> Answer {
        self.send("POST", &format!("/api/v1/streams/{stream}/{action}"), "application/json", "").await
    }

    pub(crate) async fn status(&self, stream: &str) -> Value {
        self.get(&format!("/api/v1/streams/{stream}/status")).await.expect(200)
    }

    /// The status, once `is_so` of it.
    pub(crate) async fn until(&self, stream: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        eventually(what, async || Some(self.status(stream).await).filter(&is_so)).await
    }

    /// Waits until `count` more frames than now are encoded: the stream goes on.
    pub(crate) async fn until_encoded(&self, stream: &str, count: u64) {
        let wanted = self.status(stream).await["encodedFrames"].as_u64().unwrap_or(0) + count;
        let is_so = |status: &Value| status["encodedFrames"].as_u64().is_some_and(|encoded| encoded >= wanted);
        self.until(stream, "more frames are encoded", is_so).await;
    }

    /// A sample of `/metrics`, by the beginning of its line.
    pub(crate) async fn metric(&self, sample: &str) -> f64 {
        let text = String::from_utf8(self.get("/metrics").await.body.to_vec()).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or_else(|| panic!("there is no {sample}:\n{text}"))
    }

    /// The picture on air.
    pub(crate) async fn picture(&self, stream: &str) -> RgbaImage {
        let answer = self.get(&format!("/api/v1/streams/{stream}/program.png")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.kind(), "image/png");
        image::load_from_memory(&answer.body).unwrap().to_rgba8()
    }

    /// Waits until a pixel on air has this red, green and blue. On a machine that keeps up the first picture has it; where
    /// the GPU is three frames behind, a frame is left out and the picture comes with the next.
    pub(crate) async fn shows(&self, stream: &str, x: u32, y: u32, rgb: [u8; 3]) {
        let what = format!("{rgb:?} at {x}, {y} of {stream}");
        eventually(&what, async || (pixel(&self.picture(stream).await, x, y) == rgb).then_some(())).await;
    }

    /// Everything that was answered so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    what: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The content type.
    pub(crate) fn kind(&self) -> &str {
        self.headers.get(header::CONTENT_TYPE).map_or("", |kind| kind.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> String {
        format!("{}: {} {}", self.what, self.status, String::from_utf8_lossy(&self.body))
    }

    /// The JSON body of an answer that must have this status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        if self.body.is_empty() { Value::Null } else { serde_json::from_slice(&self.body).unwrap() }
    }

    /// The problem document of an answer that must have this status and this code.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.kind(), "application/problem+json", "{}", self.text());
        let problem = self.expect(status);
        assert_eq!(problem["code"], code, "{}", self.text());
        assert_eq!(problem["status"], status, "{}", self.text());
        for text in ["type", "title", "detail"] {
            assert!(problem[text].as_str().is_some_and(|text| !text.is_empty()), "{text}: {}", self.text());
        }
        problem
    }

    /// Refused with 422: some problem is at `pointer` and its message has every word of `words`.
    #[track_caller]
    pub(crate) fn refused(&self, pointer: &str, words: &[&str]) {
        let problem = self.problem(422, "invalid_document");
        let errors = problem["errors"].as_array().unwrap();
        let is_it = |error: &&Value| {
            let message = error["message"].as_str().unwrap();
            error["pointer"] == pointer && words.iter().all(|word| message.contains(word))
        };
        assert!(errors.iter().any(|error| is_it(&error)), "expected {words:?} at {pointer}: {}", self.text());
    }
}
