//! The preview: JPEGs of the picture on air for those who look on, made only while somebody asks.
//!
//! ```text
//!  render thread ─► frame store ─► encoders
//!                        └ window: the newest picture ─► a JPEG for each look (width, quality) ─► all who want that look
//! ```
//!
//! A [`Watch`] asks, at its own pace, whether there is a newer picture than the one it has. The first one that asks for a
//! picture in some look has it made, on a thread that may block; the others get the same bytes. So the cost is that of
//! the looks, however many watch, and a picture that stands still is made once. The render thread does nothing for it but
//! move a pointer. What of a look is older than the newest picture is forgotten: latest wins, nothing queues.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use bytes::Bytes;
use tokio::sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore};

use super::{
    COLOUR,
    frame_store::{Unseen, Window},
    metrics::StreamMetrics,
};
use crate::{
    base::{rate::FrameRate, size::Size},
    encode::jpeg::{jpeg, shown_size},
};

/// Looks of a stream at the same time; more are refused.
const LOOKS_MAX: usize = 8;
/// Watchers of a stream at the same time; more are refused.
const WATCHERS_MAX: usize = 256;

/// In what way the picture is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Look {
    /// Pixels from left to right; a picture is not enlarged.
    pub width: u32,
    /// Of the JPEG, 1 to 100.
    pub quality: u8,
}

/// A picture in some look.
#[derive(Debug, PartialEq, Eq)]
pub struct Shot {
    /// The first frame that showed it.
    pub frame: u64,
    /// Its presentation time in milliseconds.
    pub pts_ms: u64,
    /// Its size.
    pub size: Size,
    /// Its file.
    pub jpeg: Bytes,
}

/// Why there is no picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoShot {
    /// There is none.
    #[error(transparent)]
    Unseen(#[from] Unseen),
    /// It could not be made.
    #[error("the picture could not be made: {0}")]
    Failed(String),
}

/// There are as many as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// Of what.
    pub what: &'static str,
    /// How many there may be.
    pub limit: usize,
}

/// The preview of one stream.
#[derive(Debug, Clone)]
pub(super) struct Preview {
    window: Window,
    rate: FrameRate,
    metrics: StreamMetrics,
    looks: Arc<Mutex<BTreeMap<Look, Weak<Newest>>>>,
    seats: Arc<Semaphore>,
}

/// The newest picture in some look; locked while it is made.
#[derive(Debug, Default)]
struct Newest(AsyncMutex<Option<Arc<Shot>>>);

impl Preview {
    pub(super) fn new(window: Window, rate: FrameRate, metrics: StreamMetrics) -> Self {
        Self { window, rate, metrics, looks: Arc::default(), seats: Arc::new(Semaphore::new(WATCHERS_MAX)) }
    }

    fn looks(&self) -> MutexGuard<'_, BTreeMap<Look, Weak<Newest>>> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody who watches in this look.
    pub(super) fn watch(&self, look: Look) -> Result<Watch, Full> {
        let full = |_| Full { what: "watcher", limit: WATCHERS_MAX };
        let seat = self.seats.clone().try_acquire_owned().map_err(full)?;
        let newest = self.newest(look).ok_or(Full { what: "size and quality of preview", limit: LOOKS_MAX })?;
        self.metrics.preview_watchers.inc();
        Ok(Watch { preview: self.clone(), look, newest, seen: None, _seat: seat })
    }

    /// Where the newest picture in this look is; `None` while there are [`LOOKS_MAX`] others.
    fn newest(&self, look: Look) -> Option<Arc<Newest>> {
        let mut looks = self.looks();
        if let Some(newest) = looks.get(&look).and_then(Weak::upgrade) {
            return Some(newest);
        }
        looks.retain(|_, newest| newest.strong_count() > 0);
        let newest = (looks.len() < LOOKS_MAX).then(Arc::<Newest>::default)?;
        looks.insert(look, Arc::downgrade(&newest));
        Some(newest)
    }
}

/// Somebody who watches a stream.
#[derive(Debug)]
pub struct Watch {
    preview: Preview,
    look: Look,
    newest: Arc<Newest>,
    seen: Option<u64>,
    _seat: OwnedSemaphorePermit,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.preview.metrics.preview_watchers.dec();
    }
}

impl Watch {
    /// The newest picture; `None` if it was given by this already.
    pub async fn next(&mut self) -> Result<Option<Arc<Shot>>, NoShot> {
        let number = self.preview.window.number()?;
        if self.seen.is_some_and(|seen| seen >= number) {
            return Ok(None);
        }
        let mut newest = self.newest.0.lock().await;
        let shot = match &*newest {
            Some(shot) if shot.frame >= number => shot.clone(),
            _ => newest.insert(self.make().await?).clone(),
        };
        self.seen = Some(shot.frame);
        Ok(Some(shot))
    }

    async fn make(&self) -> Result<Arc<Shot>, NoShot> {
        let (window, rate, Look { width, quality }) = (self.preview.window.clone(), self.preview.rate, self.look);
        let made = self.preview.metrics.preview_pictures.clone();
        let work = move || {
            window.look(|frame, picture| {
                made.inc();
                let size = shown_size(picture.layout().size, width);
                let file = jpeg(picture, COLOUR, size, quality).map_err(|error| NoShot::Failed(error.to_string()))?;
                Ok(Arc::new(Shot { frame, pts_ms: rate.ms_of(frame), size, jpeg: file.into() }))
            })
        };
        let shot = tokio::task::spawn_blocking(work).await.map_err(|error| NoShot::Failed(error.to_string()))?;
        shot?
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;
    use crate::{
        base::{id::Id, nv12::Layout},
        pipeline::{
            frame_store::{Producer, frame_store},
            metrics::Families,
        },
        scene::damage::Damage,
    };

    const LOOK: Look = Look { width: 16, quality: 80 };

    fn preview() -> (Producer, Preview) {
        let (producer, _) = frame_store(Size::new(32, 16).unwrap(), &[1]);
        let metrics = Families::new(&Registry::new()).unwrap().of(&Id::new("main").unwrap());
        let preview = Preview::new(producer.window(), FrameRate::new(25, 1).unwrap(), metrics);
        (producer, preview)
    }

    fn publish(producer: &mut Producer, number: u64) {
        let bytes = vec![number as u8; Layout::of(Size::new(32, 16).unwrap()).len()];
        producer.publish(number, &bytes, &Damage::whole([32, 16]));
    }

    #[tokio::test]
    async fn pictures_are_made_for_those_who_watch_and_once_for_all() {
        let (mut producer, preview) = preview();
        let made = || preview.metrics.preview_pictures.get();
        (0..20).for_each(|number| publish(&mut producer, number));
        assert_eq!(made(), 0, "nobody watches");

        let mut watches: Vec<_> = (0..20).map(|_| preview.watch(LOOK).unwrap()).collect();
        assert_eq!((made(), preview.metrics.preview_watchers.get()), (0, 20), "nobody has asked yet");
        let mut shots = Vec::new();
        for watch in &mut watches {
            shots.push(watch.next().await.unwrap().unwrap());
        }
        assert_eq!(made(), 1);
        assert!(shots.iter().all(|shot| Arc::ptr_eq(shot, &shots[0])));
        assert_eq!((shots[0].frame, shots[0].pts_ms, shots[0].size.sides()), (19, 760, [16, 16]));

        producer.publish_unchanged(20);
        assert_eq!(watches[0].next().await, Ok(None), "it stands still");
        assert_eq!(made(), 1);
        publish(&mut producer, 21);
        publish(&mut producer, 22);
        assert_eq!(watches[0].next().await.unwrap().unwrap().frame, 22, "latest wins");
        assert_eq!(watches[1].next().await.unwrap().unwrap().frame, 22);
        assert_eq!(made(), 2);

        drop(watches);
        assert_eq!(preview.metrics.preview_watchers.get(), 0);
        publish(&mut producer, 23);
        assert_eq!(made(), 2, "nobody watches any more");
    }

    #[tokio::test]
    async fn the_number_of_looks_is_bounded_and_one_that_nobody_wants_makes_room() {
        let (_producer, preview) = preview();
        let watch = |quality| preview.watch(Look { quality, ..LOOK });
        let mut watches: Vec<_> = (1..=LOOKS_MAX as u8).map(|quality| watch(quality).unwrap()).collect();
        assert_eq!(watch(90).err().unwrap().limit, LOOKS_MAX);
        assert!(watch(1).is_ok(), "that look is there already");
        watches.pop();
        assert!(watch(90).is_ok());
        let all: Vec<_> = std::iter::from_fn(|| watch(1).ok()).collect();
        assert_eq!(all.len() + watches.len(), WATCHERS_MAX);
    }

    #[tokio::test]
    async fn a_stream_that_shows_nothing_is_dark() {
        let (mut producer, preview) = preview();
        let mut watch = preview.watch(LOOK).unwrap();
        assert_eq!(watch.next().await, Err(Unseen::Yet.into()));
        publish(&mut producer, 0);
        assert!(watch.next().await.unwrap().is_some());
        drop(producer);
        assert_eq!(watch.next().await, Err(Unseen::AnyMore.into()));
    }
}
