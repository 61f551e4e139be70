//! Logs: to standard error, as lines for people or as JSON for machines.
//!
//! What is lost is an error, what recovered is a warning; nothing is logged per frame at `info`. Stream keys are redacted
//! by their type. The newest records are kept for those who follow them over the API (`recent`).

use std::io::IsTerminal;

use serde::{Deserialize, Serialize};
use tracing_subscriber::{EnvFilter, Layer, fmt::MakeWriter, layer::SubscriberExt};

use super::recent::{RECENT, Recorder};
use crate::base::clock::SystemClock;

/// How grave a record is, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something is lost.
    Error,
    /// Something went wrong and was mended.
    Warn,
    /// What operators want to know.
    Info,
    /// What developers want to know.
    Debug,
    /// Each frame.
    Trace,
}

impl From<tracing::Level> for Level {
    fn from(level: tracing::Level) -> Self {
        match level {
            tracing::Level::ERROR => Self::Error,
            tracing::Level::WARN => Self::Warn,
            tracing::Level::INFO => Self::Info,
            tracing::Level::DEBUG => Self::Debug,
            tracing::Level::TRACE => Self::Trace,
        }
    }
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `pretty` on a terminal, `json` elsewhere.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

/// The log's part of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How a line looks.
    pub format: Format,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,stream_manager::output=debug`.
    pub level: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { format: Format::Auto, level: "info".into() }
    }
}

/// Why logging does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The level is no filter.
    #[error("log.level `{level}` is no filter: {source}; use error, warn, info, debug or trace")]
    Level {
        /// The refused level.
        level: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Something else in this process logs already.
    #[error("logging: {0}")]
    Init(Box<dyn std::error::Error + Send + Sync>),
}

/// Starts logging for the process.
pub fn init(config: &Config) -> Result<(), Error> {
    let is_json = match config.format {
        Format::Json => true,
        Format::Pretty => false,
        Format::Auto => !std::io::stderr().is_terminal(),
    };
    let subscriber = subscriber(&config.level, is_json, std::io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|error| Error::Init(error.into()))
}

type Subscriber = Box<dyn tracing::Subscriber + Send + Sync>;

fn subscriber<W>(level: &str, is_json: bool, writer: W) -> Result<Subscriber, Error>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // The GPU libraries say at `info` what only their authors want to know.
    let quiet = "wgpu_core=warn,wgpu_hal=warn,naga=warn,cosmic_text=warn";
    let filter = EnvFilter::try_new(format!("{quiet},{level}"));
    let filter = filter.map_err(|source| Error::Level { level: level.into(), source })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match is_json {
        true => lines.json().flatten_event(true).with_thread_names(true).boxed(),
        false => lines.with_target(false).boxed(),
    };
    let recorder = Recorder::new(&RECENT, SystemClock::new());
    Ok(Box::new(tracing_subscriber::registry().with(filter).with(lines).with(recorder)))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_json_line_is_json_and_keys_are_redacted() {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = subscriber("info", true, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let key = crate::base::secret::Secret::new("live_secret");
            tracing::warn!(%key, output = "twitch", "refused");
            tracing::debug!("not at this level");
        });
        let bytes = buffer.0.lock().unwrap().clone();
        let line: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(
            (&line["level"], &line["output"], &line["key"]),
            (&"WARN".into(), &"twitch".into(), &"[redacted]".into())
        );
    }

    #[test]
    fn a_level_that_is_none_is_refused_by_name() {
        let error = subscriber("=loud=", false, std::io::sink).err().unwrap();
        assert!(error.to_string().contains("log.level `=loud=`"), "{error}");
    }
}
