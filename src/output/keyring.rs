//! Secrets that are kept elsewhere: what is written of them here, and who opens them.
//!
//! An address or a password may hold a reference in a secret's place. It is opened for each attempt anew, so that a key that
//! was changed where it is kept holds from the next attempt on, and one that is not there yet is waited for.

use std::{fmt, sync::Arc};

use super::Error;
use crate::{
    base::secret::Secret,
    rtmp::{Endpoint, auth::Credentials},
};

/// What a secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// The stream key of an address.
    Key,
    /// The password of who publishes.
    Password,
}

/// Opens secrets. It may read files, so it is asked on a thread that may wait.
pub trait Keyring: fmt::Debug + Send + Sync {
    /// The secret that `written` stands for: itself, where it is no reference. The reason of a failure must not contain
    /// it.
    ///
    /// # Errors
    ///
    /// For people: what is not there, and what to do about it.
    fn open(&self, what: Use, written: &Secret) -> Result<Secret, String>;
}

/// Where to publish and as whom, with secrets as they are told to a server.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    pub(super) destination: Endpoint,
    pub(super) credentials: Option<Credentials>,
}

impl Opened {
    /// Opens all that is told to a server at `destination`.
    pub(super) async fn new(
        keyring: Option<Arc<dyn Keyring>>,
        destination: Endpoint,
        credentials: Option<Credentials>,
    ) -> Result<Self, Error> {
        let Some(keyring) = keyring else { return Ok(Self { destination, credentials }) };
        let open = move || Self::read(&*keyring, &destination, credentials.as_ref());
        let opened = tokio::task::spawn_blocking(open).await;
        opened.map_err(|error| error.to_string()).flatten().map_err(|reason| Error::Secret { reason })
    }

    fn read(keyring: &dyn Keyring, destination: &Endpoint, credentials: Option<&Credentials>) -> Result<Self, String> {
        let key = keyring.open(Use::Key, &destination.stream_key)?;
        let destination = destination.with_key(&key).map_err(|error| error.to_string())?;
        let credentials = credentials.map(|credentials| {
            let password = keyring.open(Use::Password, credentials.password())?;
            Ok::<_, String>(credentials.with_password(password))
        });
        Ok(Self { destination, credentials: credentials.transpose()? })
    }
}
