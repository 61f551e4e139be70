//! Where records come from, and who takes them over: for each kind, what is to be kept now, and what is done with what
//! was kept.
//!
//! A kind is added as a variant of [`Kind`] and an arm of each match here, over a value that its owner writes and reads.
//! Whoever changes what is kept says so by [`super::Notices::tell`], of `Streams::unkept`; that never waits.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;

use super::{
    Key, Kind,
    kept::{Kept, Unreadable, opened, sealed},
};
use crate::{
    base::digest::Digest,
    scene::check::Problems,
    state::{
        self, By, Streams,
        assets::{self, Asset, Assets},
    },
};

/// All that is kept.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Streams, and what is of a stream.
    pub streams: Arc<Streams>,
    /// What is known of uploaded files.
    pub assets: Arc<Assets>,
}

/// Why what was kept is not on air as it was.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotAdopted {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// It is taken over as far as it goes.
    #[error(transparent)]
    State(#[from] state::Error),
    /// The same of an asset.
    #[error(transparent)]
    Asset(#[from] assets::Error),
}

impl Parts {
    /// The records that there should be now, and some that need not be there.
    pub(super) fn keys(&self) -> BTreeSet<Key> {
        let assets = self.assets.list(&assets::Filter::default());
        let assets = assets.iter().map(|asset| Key::of_asset(&asset.id));
        let streams = self.streams.list().into_iter().map(|snapshot| snapshot.document.id.clone());
        let streams = streams.flat_map(|id| Kind::OF_STREAMS.map(|kind| Key::new(kind, id.clone())));
        assets.chain(streams).collect()
    }

    /// What a record is to hold, as it is now; none where there is to be no record.
    pub(super) fn kept(&self, key: &Key) -> Option<Bytes> {
        let id = key.id.as_str();
        match key.kind {
            Kind::Asset => {
                let asset = self.assets.get(&Digest::from_hex(id)?.to_string()).ok()?;
                Some(sealed(key.kind, &*asset))
            }
            Kind::Stream => Some(self.streams.kept(id).ok()?.to_bytes()),
            Kind::Saved => Some(sealed(key.kind, self.streams.saved_as_written(id)?)),
            Kind::SetAside => None,
        }
    }

    /// Makes what the record is about what it says.
    pub(super) async fn adopt(&self, by: &By, key: &Key, bytes: &[u8]) -> Result<(), NotAdopted> {
        match key.kind {
            Kind::Asset => self.assets.adopt(read_asset(key, bytes)?).await?,
            Kind::Stream => self.streams.adopt(by, read_stream(key, bytes)?).await?,
            Kind::Saved => {
                let adopted = self.streams.adopt_saved(by, key.id.as_str(), opened(key.kind, bytes)?).await;
                match adopted {
                    Err(state::Error::Invalid(problems)) => return Err(damaged(&problems).into()),
                    adopted => adopted?,
                }
            }
            Kind::SetAside => {}
        }
        Ok(())
    }

    /// Another instance has deleted it.
    pub(super) async fn forget(&self, by: &By, key: &Key) -> Result<(), NotAdopted> {
        let id = key.id.as_str();
        let done = match key.kind {
            Kind::Asset => match Digest::from_hex(id) {
                Some(digest) => return Ok(self.assets.forget(digest).await?),
                None => Ok(()),
            },
            Kind::Stream => self.streams.delete(by, id).await,
            Kind::Saved => self.streams.adopt_saved(by, id, Vec::new()).await,
            Kind::SetAside => Ok(()),
        };
        match done {
            Err(state::Error::NotFound { .. }) => Ok(()),
            done => Ok(done?),
        }
    }
}

fn damaged(problems: &Problems) -> Unreadable {
    Unreadable::Damaged(problems.to_string())
}

fn read_stream(key: &Key, bytes: &[u8]) -> Result<Kept, Unreadable> {
    let kept = Kept::read(bytes)?;
    match kept.document.id == key.id {
        true => Ok(kept),
        false => Err(Unreadable::Damaged(format!("it is of the stream `{}`", kept.document.id))),
    }
}

/// What a record says of an asset.
pub(super) fn read_asset(key: &Key, bytes: &[u8]) -> Result<Asset, Unreadable> {
    let asset = Asset::read(opened(key.kind, bytes)?).map_err(|problems| damaged(&problems))?;
    match Key::of_asset(&asset.id) == *key {
        true => Ok(asset),
        false => Err(Unreadable::Damaged(format!("it is of the asset `{}`", asset.id))),
    }
}
