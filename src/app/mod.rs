//! The command line and the wiring: what is started in which order, and what ends it.
//!
//! The only home of `anyhow`, of signals and of exit codes.

mod config;
mod render;
mod serve;

use std::{
    convert::Infallible,
    io::Write,
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, LazyLock},
    time::Duration,
};

use anyhow::Context;
use clap::{Parser, Subcommand};

use self::config::{Config, Flags, RedisFlags};
use stream_manager::{
    api::{
        auth::{Role, TokenConfig, make_token},
        openapi,
    },
    audio::AAC_CANDIDATES,
    base::secret::Secret,
    encode::{CANDIDATES, nvenc},
    media::{Library, Vault},
    pipeline::{
        Devices,
        prepare::{missing_fonts, prepare},
    },
    scene::{Moment, Scene, Show, check::Problems},
    state::{Document, Secrets, rendition},
    telemetry::log,
};

/// The show that is on air when no other is named.
const DEFAULT_SHOW: &str = include_str!("../../config/default-show.json");

/// The version, and what this build may be given to others under: its encoders with their licences.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let pictures = CANDIDATES.iter().map(|c| (c.name, c.licence));
    let sound = AAC_CANDIDATES.iter().map(|c| (c.name, c.licence));
    let encoders: Vec<_> = pictures.chain(sound).map(|(name, licence)| format!("{name} ({licence})")).collect();
    let version = format!("{}\nencoders: {}", env!("CARGO_PKG_VERSION"), encoders.join(", "));
    if cfg!(feature = "x264") {
        return version + "\nwith x264 this program as a whole is under the GNU GPL, version 2 or later";
    }
    version
});

/// Broadcast overlay compositor: layers on the GPU, H.264 and AAC, RTMP to many destinations.
#[derive(Debug, Parser)]
#[command(
    version = VERSION.as_str(),
    after_help = "Examples:
  stream-manager serve --output rtmp://127.0.0.1/live/main
  stream-manager serve --scene show.json --listen 127.0.0.1:9000
  stream-manager render --at 2.5s -o frame.png
  stream-manager render show.json --duration 20s -o show.flv
  stream-manager check show.json"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon: a show on air, driven over HTTP.
    ///
    /// Values are taken from the defaults, the configuration file, the environment (STREAM_MANAGER_LISTEN,
    /// STREAM_MANAGER_LOG__LEVEL, ...) and the flags; the later one wins. SIGTERM and Ctrl-C end every output properly.
    #[command(after_help = "Examples:
  stream-manager serve --output rtmp://127.0.0.1/live/main
  stream-manager serve --scene show.json --listen 127.0.0.1:9000
  STREAM_MANAGER_LOG__LEVEL=debug stream-manager serve --config stream-manager.toml")]
    Serve {
        /// Configuration file (TOML); config/stream-manager.toml documents every value.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Address and port of the HTTP interface [default: 127.0.0.1:8080].
        #[arg(long, value_name = "ADDR:PORT")]
        listen: Option<SocketAddr>,
        /// Where uploads and state lie [default: systemd's StateDirectory, or ~/.local/state/stream-manager].
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
        /// Redis to keep streams in, in place of a file; one with a password is better set as STREAM_MANAGER_REDIS__URL.
        #[arg(long, value_name = "URL", value_parser = |url: &str| Ok::<_, Infallible>(Secret::new(url)))]
        redis: Option<Secret>,
        /// Begin with the show, whatever streams were kept; those are set aside.
        #[arg(long)]
        fresh: bool,
        /// The show to begin with where no streams were kept [default: the built-in auction channel].
        #[arg(long, value_name = "FILE")]
        scene: Option<PathBuf>,
        /// Where to publish: rtmp://host[:port]/app/key. May be given several times.
        #[arg(long = "output", value_name = "URL")]
        outputs: Vec<String>,
        /// Where outputs of type recording put their files [default: there are none].
        #[arg(long, value_name = "DIR")]
        recordings_dir: Option<PathBuf>,
    },
    /// Render a show without going on air: a frame to PNG, or a span of time to FLV.
    ///
    /// As fast as the machine can, and the same picture for the same document every time.
    #[command(after_help = "Examples:
  stream-manager render -o frame.png
  stream-manager render show.json --at 2.5s -o frame.png
  stream-manager render show.json --duration 20s --assets-dir pictures -o show.flv")]
    Render {
        /// The show's document [default: the built-in auction channel].
        scene: Option<PathBuf>,
        /// The moment of the frame, e.g. 2.5s, 500ms, 1m [default: 0s].
        #[arg(long, value_name = "TIME", value_parser = parse_duration, conflicts_with = "duration")]
        at: Option<Duration>,
        /// How much to render, e.g. 20s; from the start of the show.
        #[arg(long, value_name = "TIME", value_parser = parse_duration)]
        duration: Option<Duration>,
        /// Which rendition of a span [default: main, the canvas's own].
        #[arg(long, value_name = "ID", requires = "duration")]
        rendition: Option<String>,
        /// The file to write: .png for a frame, .flv for a span.
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// Where pictures of layers lie [default: the directory of the show's document].
        #[arg(long, value_name = "DIR")]
        assets_dir: Option<PathBuf>,
    },
    /// Make a token: prints it once, and the lines for the configuration, in which only its hash stands.
    #[command(after_help = "Example:
  stream-manager token --name desk --role operator --stream main")]
    Token {
        /// Whose it is; changes are noted with it.
        #[arg(long)]
        name: String,
        /// viewer: looks; operator: changes what is shown and heard; admin: outputs' addresses, streams, everything.
        #[arg(long, value_parser = parse_role)]
        role: Role,
        /// A stream that it is for; may be given several times [default: all].
        #[arg(long = "stream", value_name = "ID")]
        streams: Vec<String>,
    },
    /// Check a show's document, its pictures and its fonts, and say where what is wrong.
    #[command(after_help = "Examples:
  stream-manager check show.json
  stream-manager check show.json --assets-dir pictures")]
    Check {
        /// The show's document.
        scene: PathBuf,
        /// Where pictures of layers lie [default: the directory of the show's document].
        #[arg(long, value_name = "DIR")]
        assets_dir: Option<PathBuf>,
    },
    /// Write the description of the HTTP interface, OpenAPI 3.1 as JSON.
    #[command(after_help = "Examples:
  stream-manager schema > openapi.json")]
    Schema,
    /// Try NVIDIA's encoder and say as JSON what was found: what the other commands start before they use it.
    #[command(hide = true)]
    NvencProbe,
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("error: {}", told(&error)));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve { config, listen, data_dir, redis, fresh, scene, outputs, recordings_dir } => {
            let redis = redis.map(|url| RedisFlags { url: Some(url) });
            let flags = Flags { listen, data_dir, recordings_dir, scene, outputs, redis };
            let config = Config::load(config.as_deref(), &flags)?;
            log::init(&config.log)?;
            serve::run(config, fresh)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Render { scene, at, duration, rendition, output, assets_dir } => {
            let config = offline_config(scene, assets_dir)?;
            match duration {
                Some(duration) => {
                    render::movie(&config, rendition.as_deref().unwrap_or(rendition::MAIN), duration, &output)?;
                }
                None => render::still(&config, at.unwrap_or_default(), &output)?,
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Token { name, role, streams } => {
            say(&token(&name, role, streams)?)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Check { scene, assets_dir } => check(offline_config(Some(scene), assets_dir)?),
        Command::Schema => {
            say(&openapi::document().to_string())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::NvencProbe => {
            say(&nvenc::examine(None))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The configuration of commands that do not serve: environment and defaults, warnings only, pictures beside the show.
fn offline_config(scene: Option<PathBuf>, assets_dir: Option<PathBuf>) -> anyhow::Result<Config> {
    let mut config = Config::load(None, &Flags { scene, ..Flags::default() })?;
    let beside = config.scene.as_deref().and_then(|scene| scene.parent()).map(|dir| match dir.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => dir.to_owned(),
    });
    config.assets_dir = assets_dir.or(config.assets_dir).or(beside);
    log::init(&log::Config { format: log::Format::Pretty, level: "warn".into() })?;
    Ok(config)
}

/// A new token, and the lines that let it in.
fn token(name: &str, role: Role, streams: Vec<String>) -> anyhow::Result<String> {
    let (token, hash) = make_token();
    let streams = if streams.is_empty() { vec!["*".into()] } else { streams };
    let config = TokenConfig { name: name.into(), role, streams, hash: Some(hash), secret: None };
    config.check()?;
    let (streams, hash, role) = (&config.streams, config.hash.as_deref().unwrap_or_default(), role.name());
    let lines = format!("[[auth.tokens]]\nname = {name:?}\nrole = {role:?}\nstreams = {streams:?}\nhash = {hash:?}");
    Ok(format!("# The token, shown this once:\n# {}\n{lines}", token.expose()))
}

fn parse_role(text: &str) -> Result<Role, String> {
    let roles = [Role::Viewer, Role::Operator, Role::Admin];
    let role = roles.into_iter().find(|role| role.name() == text);
    role.ok_or_else(|| format!("`{text}` is no role: use {}", roles.map(Role::name).join(", ")))
}

/// Has NVIDIA's driver tried by this same program before this process opens it.
fn try_nvenc_apart() {
    // By this name it is found even after a newer one was put in its place.
    let program = PathBuf::from("/proc/self/exe");
    let probe = nvenc::Probe { program, arguments: vec!["nvenc-probe".into()], patience: nvenc::PATIENCE };
    nvenc::set_access(nvenc::Access { directory: None, probe: Some(probe) });
}

/// The show that is configured.
fn read_show(config: &Config) -> anyhow::Result<Document> {
    let (name, text) = match &config.scene {
        None => ("the built-in show".to_owned(), DEFAULT_SHOW.to_owned()),
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("show {}", path.display()))?;
            (path.display().to_string(), text)
        }
    };
    let value = serde_json::from_str(&text).with_context(|| format!("{name} is not JSON"))?;
    Document::read(value).map_err(|problems| anyhow::anyhow!("{name}:{}", lines(&problems)))
}

fn lines(problems: &Problems) -> String {
    problems.0.iter().map(|problem| format!("\n  {problem}")).collect()
}

fn open_devices(config: &Config, vault: Option<Arc<Vault>>) -> anyhow::Result<Arc<Devices>> {
    let library = Library::new(config.media_config(vault))?;
    Ok(Arc::new(Devices::open(config.gpu_options(), library)?))
}

fn check(config: Config) -> anyhow::Result<ExitCode> {
    let document = read_show(&config)?;
    let library = Library::new(config.media_config(None))?;
    let show = &document.show;
    let bad = show.scenes().iter().filter(|scene| !check_scene(show, scene, &library)).count();
    if bad > 0 || !check_secrets(&document, &Secrets::new(config.secrets_dir.clone())) {
        return Ok(ExitCode::FAILURE);
    }
    let canvas = &show.canvas;
    let (width, height) = (canvas.size.width(), canvas.size.height());
    let layers: usize = show.scenes().iter().map(|scene| scene.layers.len()).sum();
    let outputs = document.outputs.len();
    complain(&format!("ok: {width}x{height} at {} fps, {layers} layers, {outputs} outputs", canvas.fps));
    Ok(ExitCode::SUCCESS)
}

/// Whether the stream keys and passwords of all outputs are where they should be; says which are not.
fn check_secrets(document: &Document, secrets: &Secrets) -> bool {
    let outputs = document.outputs.iter().filter(|output| output.is_enabled());
    let missing: Vec<_> = outputs.filter_map(|o| Some((o.id(), o.check_secrets(secrets).err()?))).collect();
    for (output, error) in &missing {
        complain(&format!("output {output}: {error}"));
    }
    missing.is_empty()
}

/// Whether a scene of the show can be shown whole; says what is wrong with it.
fn check_scene(show: &Show, scene: &Scene, library: &Library) -> bool {
    let evaluation = prepare(&show.showing(&scene.id), Moment::START, library, Duration::from_secs(30));
    for error in &evaluation.errors {
        complain(&format!("layer {}: {}", error.layer, error.message));
    }
    for warning in &evaluation.warnings {
        complain(&format!("layer {}: warning: {}", warning.layer, warning.message));
    }
    let unknown: Vec<_> = scene.layers.iter().filter_map(|l| Some((&l.id, missing_fonts(l, library)?))).collect();
    for (layer, message) in &unknown {
        complain(&format!("layer {layer}: {message}"));
    }
    if evaluation.is_pending {
        complain("some pictures and texts were not ready within 30 s");
    }
    evaluation.errors.is_empty() && unknown.is_empty() && !evaluation.is_pending
}

/// An error and its causes as one line; many messages include their cause, which is then not said again.
fn told(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.as_str() {
        "" => cause,
        _ if told.contains(&cause) => told,
        _ => format!("{told}: {cause}"),
    })
}

/// A line on standard output, for a program that reads it.
fn say(line: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).context("standard output")
}

/// A line for the person at the terminal; standard output is left to files.
#[expect(clippy::print_stderr, reason = "the command line speaks to a person")]
fn complain(line: &str) {
    eprintln!("{line}");
}

/// `2.5s`, `500ms`, `1m`, `2h`, or seconds without a unit.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let refused = || format!("`{text}` is not a time: use e.g. 2.5s, 500ms, 1m, up to 24h");
    let digits = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(refused()),
    };
    let total = number.trim().parse::<f64>().map_err(|_| refused())? * seconds;
    if !(0.0..=86_400.0).contains(&total) {
        return Err(refused());
    }
    Duration::try_from_secs_f64(total).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_cause_is_said_once() {
        let full = || anyhow::Error::from(std::io::Error::other("disk full"));
        assert_eq!(told(&full().context("writing a.flv")), "writing a.flv: disk full");
        assert_eq!(told(&full().context("writing: disk full").context("a.flv")), "a.flv: writing: disk full");
    }

    #[test]
    fn times_as_people_write_them() {
        for (text, ms) in [("2.5s", 2500), ("500ms", 500), ("3", 3000), ("1m", 60_000), ("0s", 0), ("1h", 3_600_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in ["", "s", "-1s", "NaN", "inf", "1d", "1e99s", "25h"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_built_in_show_is_a_good_document() {
        let document = read_show(&Config::default()).unwrap();
        assert_eq!(document.id.as_str(), "main");
        assert!(document.show.on_air().layers.len() > 5);
    }
}
