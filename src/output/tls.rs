//! TLS for `rtmps://`: whom to trust, and what is said when somebody cannot be trusted.
//!
//! Trusted are the machine's own roots; where it has none, as in a bare container, Mozilla's, which are compiled in; and
//! the authorities that the configuration adds for private ingests. The name of the address is sent along (SNI), without
//! which YouTube does not answer. There is no way to leave the check of a certificate out.
//!
//! Specs: RFC 8446 and 5246; RFC 6066 section 3 for SNI. Left out: client certificates, resumption across restarts.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        self, CertificateError, ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

/// What all TLS connections of the process share; cheap to clone.
#[derive(Clone)]
pub struct Tls(TlsConnector);

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRoots {
    /// A file of authorities cannot be read.
    #[error("certificate authorities in {}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::pki_types::pem::Error,
    },
    /// A file of authorities has none, or one that is no certificate.
    #[error("certificate authorities in {}: {reason}", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Why a server is not who it should be, or does not speak TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsProblem {
    /// The certificate is of another host.
    WrongName,
    /// The certificate is no longer valid, or not yet.
    Expired,
    /// Nobody whom we trust has signed the certificate.
    UnknownIssuer,
    /// The certificate is wrong in another way.
    Certificate,
    /// Everything else: no common version, not TLS at all, a broken connection.
    Handshake,
}

impl TlsProblem {
    /// Stable name for metrics and alerts.
    pub fn class(self) -> &'static str {
        match self {
            Self::WrongName => "tls_wrong_name",
            Self::Expired => "tls_expired",
            Self::UnknownIssuer => "tls_unknown_issuer",
            Self::Certificate => "tls_certificate",
            Self::Handshake => "tls_handshake",
        }
    }

    /// What to do about it.
    pub fn fix(self) -> &'static str {
        match self {
            Self::WrongName => "use the name that stands in the server's certificate",
            Self::Expired => "renew the server's certificate, or set this machine's clock",
            Self::UnknownIssuer => {
                "name its authority in tls.extra_ca of the configuration if this is a private server"
            }
            Self::Certificate => "the server's certificate must be mended",
            Self::Handshake => "check that the port speaks TLS 1.2 or 1.3, and not plain RTMP",
        }
    }

    /// What the library's error means.
    pub(super) fn of(error: &io::Error) -> Self {
        let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
            return Self::Handshake;
        };
        let rustls::Error::InvalidCertificate(error) = error else { return Self::Handshake };
        match error {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::WrongName,
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Self::Expired,
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            _ => Self::Certificate,
        }
    }
}

impl Tls {
    /// Trusts the machine's roots, or else the compiled-in ones, and the authorities in these PEM files.
    ///
    /// Reads files: to be called once, at the start.
    ///
    /// # Errors
    ///
    /// [`InvalidRoots`] names the file of `extra_ca` that is not what it should be.
    pub fn open(extra_ca: &[PathBuf]) -> Result<Self, InvalidRoots> {
        let mut roots = RootCertStore::empty();
        let native = rustls_native_certs::load_native_certs();
        let (known, _) = roots.add_parsable_certificates(native.certs);
        if known == 0 {
            tracing::info!(reasons = ?native.errors, "this machine has no certificate authorities; Mozilla's are used");
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        for path in extra_ca {
            add_file(&mut roots, path)?;
        }
        Ok(Self::trusting(roots))
    }

    fn trusting(roots: RootCertStore) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring supports the default versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self(TlsConnector::from(Arc::new(config)))
    }

    /// Greets the server, who must be `host`.
    pub(super) async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(|error| io::Error::other(error.to_string()))?;
        self.0.connect(name, stream).await
    }
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), InvalidRoots> {
    let file = |source| InvalidRoots::File { path: path.into(), source };
    let content = |reason| InvalidRoots::Content { path: path.into(), reason };
    let mut found = false;
    for certificate in CertificateDer::pem_file_iter(path).map_err(file)? {
        roots.add(certificate.map_err(file)?).map_err(|error| content(error.to_string()))?;
        found = true;
    }
    if found { Ok(()) } else { Err(content("no certificate in PEM form was found".into())) }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}
