//! The configuration: defaults < file (TOML) < environment (`STREAM_MANAGER_...`) < flags. Unknown keys refuse to start.
//!
//! `config/stream-manager.toml` documents every value; a test holds it against this module.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use figment::{
    Figment,
    providers::{Env, Format, Serialized, Toml},
};
use serde::{Deserialize, Serialize, Serializer};

use stream_manager::{
    api,
    base::secret::Secret,
    gpu, media,
    state::{assets::Limits, store},
    telemetry::log,
};

/// Prefix of environment variables; `__` separates a section from its key.
const ENV_PREFIX: &str = "STREAM_MANAGER_";

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Address and port of the HTTP interface.
    pub(crate) listen: SocketAddr,
    /// Where everything lies that is to survive the daemon.
    pub(crate) data_dir: Option<PathBuf>,
    /// Where pictures of layers lie.
    pub(crate) assets_dir: Option<PathBuf>,
    /// Where recordings are put; none: there are none.
    pub(crate) recordings_dir: Option<PathBuf>,
    /// The show to start with; none: the built-in one.
    pub(crate) scene: Option<PathBuf>,
    /// RTMP addresses to which the show goes, besides those in its document.
    pub(crate) outputs: Vec<String>,
    /// Where files lie that stream keys and passwords may be read from.
    pub(crate) secrets_dir: Option<PathBuf>,
    pub(crate) log: log::Config,
    pub(crate) gpu: Gpu,
    pub(crate) media: Media,
    pub(crate) tls: Tls,
    pub(crate) assets: Assets,
    pub(crate) events: Events,
    pub(crate) auth: api::auth::Config,
    pub(crate) redis: Redis,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Redis {
    /// Where the Redis is that streams are kept in; none: they are kept in a file below `data_dir`.
    #[serde(serialize_with = "exposed")]
    pub(crate) url: Option<Secret>,
    /// What all keys begin with.
    pub(crate) prefix: String,
}

impl Default for Redis {
    fn default() -> Self {
        Self { url: None, prefix: "stream-manager".into() }
    }
}

/// For the sources of the configuration, which are put together as values.
fn exposed<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Secret::expose).serialize(serializer)
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Events {
    /// Most clients of the WebSocket at the same time.
    pub(crate) clients_max: usize,
}

impl Default for Events {
    fn default() -> Self {
        Self { clients_max: api::CLIENTS_MAX_DEFAULT }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Assets {
    /// Most bytes of all uploaded files.
    pub(crate) quota_bytes: u64,
    /// Most bytes of one.
    pub(crate) upload_bytes_max: u64,
}

impl Default for Assets {
    fn default() -> Self {
        let Limits { quota_bytes, upload_bytes_max, .. } = Limits::default();
        Self { quota_bytes, upload_bytes_max }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tls {
    /// PEM files of certificate authorities that are trusted besides the machine's.
    pub(crate) extra_ca: Vec<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Gpu {
    /// Part of the adapter's name; empty: the best there is.
    pub(crate) adapter: String,
    /// Whether a software adapter will do.
    pub(crate) allow_software: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Media {
    /// Threads that decode pictures and shape texts.
    pub(crate) workers: usize,
    /// Most pixels of one picture.
    pub(crate) pixels_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            data_dir: None,
            assets_dir: None,
            recordings_dir: None,
            scene: None,
            outputs: Vec::new(),
            secrets_dir: None,
            log: log::Config::default(),
            gpu: Gpu::default(),
            media: Media::default(),
            tls: Tls::default(),
            assets: Assets::default(),
            events: Events::default(),
            auth: api::auth::Config::default(),
            redis: Redis::default(),
        }
    }
}

impl Default for Gpu {
    fn default() -> Self {
        Self { adapter: String::new(), allow_software: true }
    }
}

impl Default for Media {
    fn default() -> Self {
        let media::Config { workers, pixels_max, .. } = media::Config::default();
        Self { workers, pixels_max }
    }
}

/// Values given as flags; they win.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Flags {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listen: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data_dir: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recordings_dir: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scene: Option<PathBuf>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) outputs: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) redis: Option<RedisFlags>,
}

/// What of [`Redis`] is given as a flag.
#[derive(Debug, Serialize)]
pub(crate) struct RedisFlags {
    #[serde(serialize_with = "exposed")]
    pub(crate) url: Option<Secret>,
}

impl Config {
    /// Reads all sources.
    pub(crate) fn load(file: Option<&Path>, flags: &Flags) -> anyhow::Result<Self> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(file) = file {
            figment = figment.merge(Toml::file_exact(file));
        }
        let config: Self = figment
            .merge(Env::prefixed(ENV_PREFIX).split("__"))
            .merge(Serialized::defaults(flags))
            .extract()
            .context("configuration")?;
        let workers = config.media.workers;
        anyhow::ensure!(
            (1..=64).contains(&workers),
            "configuration: media.workers = {workers} is out of range: 1 to 64"
        );
        let clients_max = config.events.clients_max;
        anyhow::ensure!(
            (1..=65_536).contains(&clients_max),
            "configuration: events.clients_max = {clients_max} is out of range: 1 to 65536"
        );
        let prefix = &config.redis.prefix;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:{}".contains(c);
        anyhow::ensure!(
            (1..=64).contains(&prefix.len()) && prefix.chars().all(is_plain),
            "configuration: redis.prefix is to be 1 to 64 characters of A-Z a-z 0-9 - _ . : {{ }}"
        );
        Ok(config)
    }

    /// How the Redis is reached, if there is one.
    pub(crate) fn redis(&self) -> anyhow::Result<Option<store::redis::Config>> {
        let Some(url) = self.redis.url.clone() else { return Ok(None) };
        let mut authorities = Vec::new();
        for path in &self.tls.extra_ca {
            authorities.extend(std::fs::read(path).with_context(|| format!("tls.extra_ca: {}", path.display()))?);
            authorities.push(b'\n');
        }
        let authorities = (!authorities.is_empty()).then_some(authorities);
        Ok(Some(store::redis::Config { url, prefix: self.redis.prefix.clone(), authorities }))
    }

    /// Where everything lies that is to survive the daemon: as configured, or where systemd or the desktop's conventions
    /// (XDG Base Directory, `$XDG_STATE_HOME`) have it.
    pub(crate) fn data_dir(&self) -> anyhow::Result<PathBuf> {
        let of = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        // Systemd gives a list where a unit has several.
        let of_unit = || of("STATE_DIRECTORY").and_then(|dirs| std::env::split_paths(&dirs).next());
        let of_user = || of("XDG_STATE_HOME").or_else(|| Some(of("HOME")?.join(".local/state")));
        let dir = self.data_dir.clone().or_else(of_unit).or_else(|| Some(of_user()?.join("stream-manager")));
        dir.context("there is no home directory to keep state in: set data_dir, or give --data-dir")
    }

    /// How much may be uploaded.
    pub(crate) fn asset_limits(&self) -> Limits {
        let Assets { quota_bytes, upload_bytes_max } = self.assets;
        Limits { quota_bytes, upload_bytes_max, ..Limits::default() }
    }

    /// What the GPU floor wants to know.
    pub(crate) fn gpu_options(&self) -> gpu::Options {
        gpu::Options { adapter: self.gpu.adapter.clone(), allow_software: self.gpu.allow_software }
    }

    /// What the media floor wants to know.
    pub(crate) fn media_config(&self, vault: Option<Arc<media::Vault>>) -> media::Config {
        media::Config {
            vault,
            workers: self.media.workers,
            assets_dir: self.assets_dir.clone(),
            pixels_max: self.media.pixels_max,
            ..media::Config::default()
        }
    }
}

#[cfg(test)]
#[expect(clippy::result_large_err, reason = "figment's test harness wants its own error")]
mod tests {
    use figment::Jail;
    use serde_json::Value;

    use super::*;

    #[test]
    fn later_sources_win() {
        Jail::expect_with(|jail| {
            jail.create_file("c.toml", "listen = \"127.0.0.1:1\"\n[log]\nlevel = \"warn\"\n[gpu]\nadapter = \"file\"")?;
            jail.set_env("STREAM_MANAGER_LISTEN", "127.0.0.1:2");
            jail.set_env("STREAM_MANAGER_GPU__ADAPTER", "env");
            jail.set_env("STREAM_MANAGER_REDIS__URL", "redis://:hidden@env");
            jail.set_env("STREAM_MANAGER_OUTPUTS", "[\"rtmp://host/app/key\"]");
            let flags = Flags { listen: Some("127.0.0.1:3".parse().unwrap()), ..Flags::default() };
            let config = Config::load(Some(Path::new("c.toml")), &flags).unwrap();
            assert_eq!(config.listen.port(), 3, "a flag wins over the environment");
            assert_eq!(config.gpu.adapter, "env", "the environment wins over the file");
            assert_eq!(config.log.level, "warn", "the file wins over the default");
            assert_eq!(config.redis.url.as_ref().map(Secret::expose), Some("redis://:hidden@env"));
            assert!(!format!("{config:?}").contains("hidden"));
            assert_eq!(config.outputs, ["rtmp://host/app/key"]);
            assert!(config.gpu.allow_software);
            Ok(())
        });
    }

    #[test]
    fn the_data_directory_is_configured_or_where_it_is_usual() {
        Jail::expect_with(|jail| {
            jail.clear_env();
            let of = |config: &Config| config.data_dir().ok().map(|dir| dir.display().to_string());
            let mut config = Config::default();
            assert_eq!(of(&config), None);
            jail.set_env("HOME", "/her");
            assert_eq!(of(&config).as_deref(), Some("/her/.local/state/stream-manager"));
            jail.set_env("XDG_STATE_HOME", "/her/state");
            assert_eq!(of(&config).as_deref(), Some("/her/state/stream-manager"));
            jail.set_env("STATE_DIRECTORY", "/var/lib/one:/var/lib/two");
            assert_eq!(of(&config).as_deref(), Some("/var/lib/one"));
            config.data_dir = Some("/data".into());
            assert_eq!(of(&config).as_deref(), Some("/data"));
            Ok(())
        });
    }

    #[test]
    fn a_token_comes_by_the_environment_too() {
        Jail::expect_with(|jail| {
            let tokens = r#"[{name="desk", role="admin", secret="env:DESK_TOKEN"}]"#;
            jail.set_env("STREAM_MANAGER_AUTH__TOKENS", tokens);
            let auth = Config::load(None, &Flags::default()).unwrap().auth;
            let [token] = &auth.tokens[..] else { panic!("{auth:?}") };
            assert_eq!(
                (&*token.name, token.role.name(), token.secret.as_deref()),
                ("desk", "admin", Some("env:DESK_TOKEN"))
            );
            assert_eq!(token.streams, ["*"]);
            Ok(())
        });
    }

    #[test]
    fn unknown_keys_refuse_to_start() {
        Jail::expect_with(|jail| {
            jail.create_file("c.toml", "[log]\nlevle = \"warn\"")?;
            let error = Config::load(Some(Path::new("c.toml")), &Flags::default()).unwrap_err();
            assert!(format!("{error:#}").contains("levle"), "{error:#}");
            jail.set_env("STREAM_MANAGER_LISTNE", "127.0.0.1:2");
            let error = Config::load(None, &Flags::default()).unwrap_err();
            assert!(format!("{error:#}").contains("listne"), "{error:#}");
            assert!(Config::load(Some(Path::new("missing.toml")), &Flags::default()).is_err());
            Ok(())
        });
    }

    /// The ways to all values.
    fn keys(value: &Value) -> Vec<String> {
        let Value::Object(fields) = value else { return vec![String::new()] };
        let under = |(name, value): (&String, &Value)| {
            keys(value).into_iter().map(|key| format!("{name}.{key}")).collect::<Vec<_>>()
        };
        let mut keys: Vec<_> = fields.iter().flat_map(under).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn the_documented_file_holds_the_defaults() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/stream-manager.toml");
        // A jail, because the other tests change the environment of this process.
        Jail::expect_with(|jail| {
            jail.clear_env();
            assert_eq!(Config::load(Some(&file), &Flags::default()).unwrap(), Config::default());
            // Values that have no default stand there as comments; with the signs gone they must be known keys.
            let text = std::fs::read_to_string(&file).unwrap();
            let live =
                text.lines().map(|line| line.strip_prefix('#').filter(|line| !line.starts_with(' ')).unwrap_or(line));
            jail.create_file("live.toml", &live.collect::<Vec<_>>().join("\n"))?;
            let config = Config::load(Some(Path::new("live.toml")), &Flags::default()).unwrap();
            assert!(config.assets_dir.is_some() && config.scene.is_some());
            // All of them, and none that is not known, for unknown ones are refused.
            let documented: Value = Figment::from(Toml::file_exact("live.toml")).extract()?;
            assert_eq!(keys(&documented), keys(&serde_json::to_value(Config::default()).unwrap()));
            Ok(())
        });
    }
}
