//! `serve`: Config -> Logging -> Store -> Services -> Pipeline -> Server, and back in reverse.
//!
//! What the store has goes on air before the server listens. A show that is given seeds an empty store only: what was
//! changed on air since is worth more than the file that it began with.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use prometheus::Registry;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
};

use super::{config::Config, open_devices, read_show, say, try_nvenc_apart};
use stream_manager::{
    api::{self, App, auth::Access},
    base::{
        clock::{Clock, SystemClock},
        id::Id,
    },
    ffi::files,
    media::Vault,
    output::{Network, Recordings, tls::Tls},
    pipeline::metrics::Families,
    state::{
        Actor, By, Document, Error, Scheduler, Secrets, Services, Streams,
        asrun::AsRun,
        assets::Assets,
        output,
        store::{
            Directory, Embedded, Parts, Redis, Store,
            keeper::{self, Keeper, Loaded, Restored},
        },
    },
    telemetry::metrics::Metrics,
};

/// Files that are open beside the connections of clients.
const FILES_BESIDE: u64 = 512;
/// How long requests in progress may take once the end has been asked for.
const GRACE: Duration = Duration::from_secs(3);

/// Runs the daemon until a signal ends it.
pub(super) fn run(config: Config, fresh: bool) -> anyhow::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().thread_name("net").enable_all().build().context("runtime")?;
    let outcome = runtime.block_on(serve(config, fresh));
    // What still runs by then is a blocking call that nobody waits for.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

async fn serve(config: Config, fresh: bool) -> anyhow::Result<()> {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), listen = %config.listen, "starting");
    let mut signals = Signals::new().context("signals")?;
    let (registry, clock) = (Registry::new(), Arc::new(SystemClock::new()));
    let access = Access::open(&config.auth, config.listen, clock.clone(), &registry).context("configuration")?;
    let access = Arc::new(access);
    allow_connections(config.events.clients_max);
    let show = with_outputs(read_show(&config)?, &config.outputs)?;

    try_nvenc_apart();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let data_dir = config.data_dir()?;
    let directory = Arc::new(Directory::open(&data_dir, &*clock)?);
    let (store, warnings) = open_store(&config, directory, clock.clone())?;
    let vault = Vault::open(&data_dir.join("assets")).with_context(|| format!("assets in {}", data_dir.display()))?;
    let vault = Arc::new(vault);
    let devices = open_devices(&config, Some(vault.clone()))?;
    let families = Families::new(&registry).context("metrics")?;
    let tls = Tls::open(&config.tls.extra_ca).context("configuration: tls.extra_ca")?;
    let network = Network { runtime: tokio::runtime::Handle::current(), tls };
    let secrets = Secrets::new(config.secrets_dir.clone());
    let recordings = config.recordings_dir.clone().map(|directory| Recordings { directory, clock: clock.clone() });
    let library = devices.library.clone();
    let streams = Arc::new(Streams::new(Services { devices, clock, families, network, secrets, recordings }));
    let as_run = AsRun::start(&streams, Some(&data_dir.join("as-run"))).context("as-run log")?;
    let as_run = Arc::new(as_run);
    let metrics = Arc::new(Metrics::new(registry, streams.clone()).context("metrics")?);
    // Bound before anything goes on air: a port that is taken ends the start, not the show.
    let listener = TcpListener::bind(config.listen).await.with_context(|| format!("listening on {}", config.listen))?;

    let stopping = tokio_util::sync::CancellationToken::new();
    let begun = async {
        let mut loaded = keeper::load(store, warnings).await?;
        let (known, unkept) = (loaded.assets().await?, streams.unkept().clone());
        let assets = Assets::open(vault, library, config.asset_limits(), known, unkept).context("assets")?;
        let parts = Parts { streams: streams.clone(), assets: Arc::new(assets) };
        let restored = begin(loaded, &parts, show, fresh).await?;
        anyhow::Ok((parts, restored))
    };
    let (parts, restored) = tokio::select! {
        begun = begun => begun?,
        reason = signals.next() => {
            tracing::info!(reason, "stopped while starting");
            streams.stop_all().await;
            return Ok(());
        }
    };
    let assets = parts.assets.clone();
    let keeper = Keeper::start(parts, restored);

    let scheduler = Scheduler::start(&streams);
    let address = listener.local_addr().context("listening")?;
    let clients_max = config.events.clients_max;
    let router =
        api::router(App { streams: streams.clone(), metrics, assets, as_run: as_run.clone(), clients_max, access });
    let server = axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(stopping.clone().cancelled_owned());
    let server = tokio::spawn(server.into_future());
    announce(address)?;
    tracing::info!(%address, "ready");

    let reason = signals.next().await;
    tracing::info!(reason, "stopping; a second signal ends at once");
    let stop = async {
        stopping.cancel();
        // Connections that hold out longer are cut.
        let _ = tokio::time::timeout(GRACE, server).await;
        scheduler.finish().await;
        // While they are on air, which they are to be again.
        keeper.finish().await;
        streams.stop_all().await;
        as_run.finish().await;
    };
    tokio::select! {
        () = stop => tracing::info!("stopped"),
        reason = signals.next() => tracing::warn!(reason, "ended without saying goodbye"),
    }
    Ok(())
}

/// Where streams are kept: in a Redis if there is one, otherwise in a file; and what is to be known of that.
fn open_store(
    config: &Config,
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<(Arc<dyn Store>, Vec<String>)> {
    if let Some(redis) = config.redis()? {
        return Ok((Arc::new(Redis::new(&redis)?), Vec::new()));
    }
    let store = Embedded::open(directory, clock)?;
    let warnings = store.warnings().to_vec();
    warnings.iter().for_each(|warning| tracing::error!(warning, "the state is not as it was left"));
    Ok((Arc::new(store), warnings))
}

/// Puts on air what was kept, or the show where nothing was.
async fn begin(mut loaded: Loaded, parts: &Parts, show: Document, fresh: bool) -> anyhow::Result<Restored> {
    if fresh {
        let count = loaded.forget_streams().await.context("--fresh")?;
        tracing::warn!(count, "streams that were kept are set aside: --fresh");
    }
    let restored = loaded.restore(parts).await?;
    if restored.streams.is_empty() {
        report(parts.streams.create(&By::from(Actor::daemon()), show).await);
    } else {
        let streams = restored.streams.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(", ");
        tracing::info!(streams, "the show is what was kept; --fresh begins with the one given");
    }
    Ok(restored)
}

/// Each client of the WebSocket is an open file; shells and init systems allow few unless they are asked.
fn allow_connections(clients_max: usize) {
    match files::raise_open_max() {
        Ok(limit) if limit < clients_max as u64 + FILES_BESIDE => {
            tracing::warn!(limit, clients_max, "too few open files are allowed (ulimit -n) for so many clients");
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit of open files is as it was"),
    }
}

/// The signals that end the daemon, and one that must not: a file that may not grow is the affair of who writes it.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    _file_too_large: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _file_too_large: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// The show's document with the outputs of the configuration added.
fn with_outputs(mut show: Document, urls: &[String]) -> anyhow::Result<Document> {
    for (i, url) in urls.iter().enumerate() {
        let id = Id::new(&format!("output-{}", i + 1))?;
        let output = output::Output::from_url(id, url).with_context(|| format!("output {}", i + 1))?;
        show.outputs.push(output);
    }
    Ok(show)
}

/// A show that does not start is no reason to end: it can be seen and mended over HTTP.
fn report<T>(started: Result<T, Error>) {
    if let Err(error) = started {
        tracing::error!(%error, "the show did not start; the daemon stays up, not ready");
    }
}

/// The one line on standard output: where scripts that asked for port 0 find the daemon.
fn announce(address: SocketAddr) -> anyhow::Result<()> {
    say(&format!("listening on http://{address}"))
}
