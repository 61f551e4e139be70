//! Why an attempt to publish ended: one enum, each case with a stable class for metrics and dashboards.
//!
//! No text contains the stream key: addresses are shown by [`Endpoint`](crate::rtmp::Endpoint)'s own log form, and the
//! server's words come out of the publisher with the key masked.

use std::{fmt, io, time::Duration};

use super::{recording, tls::TlsProblem};
use crate::rtmp::{self, Refusal};

/// A step that has a time-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Asking for the host's addresses.
    Resolve,
    /// TCP.
    Connect,
    /// TLS.
    Secure,
    /// The RTMP greeting.
    Handshake,
    /// From `connect` to `NetStream.Publish.Start`.
    Publish,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "name resolution",
            Self::Connect => "connecting",
            Self::Secure => "the TLS greeting",
            Self::Handshake => "the handshake",
            Self::Publish => "publish",
        })
    }
}

/// Why an attempt ended. Nearly all are the peer's, the network's or the disk's doing; each is followed by another attempt.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A stream key or password is not where it should be, so that no server was asked.
    #[error("{reason}")]
    Secret {
        /// What is not there, and what to do about it.
        reason: String,
    },
    /// The host has no address, or nobody could be asked.
    #[error("host {host} cannot be resolved: {source}")]
    Resolve {
        /// Name of the host.
        host: String,
        /// What the resolver says.
        source: io::Error,
    },
    /// No TCP connection.
    #[error("cannot connect to {authority}: {source}")]
    Connect {
        /// Host and port.
        authority: String,
        /// What the system says of the last address.
        source: io::Error,
    },
    /// No TLS, or not with who it should be.
    #[error("no secure connection to {authority}: {source}; {}", problem.fix())]
    Secure {
        /// Host and port.
        authority: String,
        /// What it comes to.
        problem: TlsProblem,
        /// What the library says.
        source: io::Error,
    },
    /// A step took too long.
    #[error("no answer to {step} within {} s", after.as_secs())]
    TimedOut {
        /// The step.
        step: Step,
        /// How long it was given.
        after: Duration,
    },
    /// The server takes no bytes, although there are some for it.
    #[error("server has taken no bytes for {} s", after.as_secs())]
    Stalled {
        /// How long it was given.
        after: Duration,
    },
    /// The connection broke.
    #[error("connection lost: {source}")]
    Lost {
        /// What the system says.
        source: io::Error,
    },
    /// The server closed the connection, with or without a word.
    #[error("server closed the connection")]
    Closed,
    /// The server does not want us, or no more.
    #[error("server {refusal}")]
    Refused {
        /// Its words.
        refusal: Refusal,
        /// Whether it had taken media before.
        was_on_air: bool,
    },
    /// A recording cannot go on.
    #[error(transparent)]
    Record(#[from] recording::Error),
    /// What the server says is not RTMP, or cannot be answered.
    #[error("protocol error: {source}")]
    Protocol {
        /// What is wrong.
        #[from]
        source: rtmp::Error,
    },
}

impl Error {
    /// A refusal before anything was sent.
    pub(super) fn refused(refusal: Refusal) -> Self {
        Self::Refused { refusal, was_on_air: false }
    }

    /// Stable name for metrics, dashboards and alerts.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Secret { .. } => "secret",
            Self::Resolve { .. } => "resolve",
            Self::Connect { .. } => "connect",
            Self::Secure { problem, .. } => problem.class(),
            Self::TimedOut { step: Step::Secure, .. } => "tls_timeout",
            Self::TimedOut { step: Step::Resolve, .. } => "resolve_timeout",
            Self::TimedOut { step: Step::Connect, .. } => "connect_timeout",
            Self::TimedOut { step: Step::Handshake, .. } => "handshake_timeout",
            Self::TimedOut { step: Step::Publish, .. } => "publish_timeout",
            Self::Stalled { .. } => "stalled",
            Self::Lost { .. } => "lost",
            Self::Closed => "closed",
            Self::Refused { refusal, .. } => match refusal.class {
                rtmp::RefusalClass::StaleSession => "refused_stale_session",
                rtmp::RefusalClass::Denied => "refused_denied",
                rtmp::RefusalClass::InvalidApp => "refused_invalid_app",
                rtmp::RefusalClass::AuthRequired => "refused_auth_required",
                rtmp::RefusalClass::Codec => "refused_codec",
                rtmp::RefusalClass::Other => "refused_other",
            },
            Self::Record(error) => error.class(),
            Self::Protocol { .. } => "protocol",
        }
    }
}
