//! The frame store: how pictures get from the render thread to the encoder thread.
//!
//! The contract:
//! * One producer, one consumer. Neither ever waits for the other to make room; the consumer may wait, with a limit, for a
//!   frame it wants.
//! * It holds the three newest frames. A fourth pushes out the oldest: newest wins.
//! * Pictures change hands by pointer. The lock is held for a few pointer moves, never for a copy of pixels.
//! * With each picture goes where it differs from the one the consumer has, whatever was pushed out between them.
//! * All pictures are made when the store is made. Five are enough: three held here, one with the consumer, one being
//!   written by the producer. A repeated picture takes no further one.
//!
//! ```text
//!  render thread             ┌ store (3) ┐             encoder thread
//!  fill ─ publish ───────────►│ n-2 n-1 n │─ take(n) ─► current
//!     ▲                      └───────────┘                │
//!     └──────────── pictures nobody else holds ───────────┘
//! ```

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    base::{nv12::Picture, size::Size},
    scene::damage::Damage,
};

/// Frames held for the consumer.
pub(super) const CAPACITY: usize = 3;
const PICTURES: usize = CAPACITY + 2;

/// Makes a store for pictures of `size`; the consumer starts with a black one.
pub(super) fn frame_store(size: Size) -> (Producer, Consumer) {
    let store = Arc::new(Store::default());
    let pool: Vec<_> = (0..PICTURES).map(|_| Arc::new(Picture::black(size))).collect();
    let newest = pool[0].clone();
    let consumer = Consumer { store: store.clone(), current: newest.clone() };
    (Producer { store, pool, newest }, consumer)
}

#[derive(Debug, Default)]
struct Store {
    held: Mutex<VecDeque<Frame>>,
    published: Condvar,
}

#[derive(Debug)]
struct Frame {
    number: u64,
    picture: Arc<Picture>,
    /// Where it differs from the frame before it: in the store, or with the consumer.
    damage: Damage,
}

impl Store {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Frame>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The render thread's end.
#[derive(Debug)]
pub(super) struct Producer {
    store: Arc<Store>,
    pool: Vec<Arc<Picture>>,
    newest: Arc<Picture>,
}

impl Producer {
    /// Lets `fill` write the next picture and publishes it under the frame number that `fill` returns, with where it differs
    /// from the picture published before; with `None` or an error nothing is published. Says whether it was.
    pub(super) fn publish_with<E>(
        &mut self,
        fill: impl FnOnce(&mut Picture) -> Result<Option<(u64, Damage)>, E>,
    ) -> Result<bool, E> {
        let newest = &self.newest;
        let is_free = |picture: &&mut Arc<Picture>| !Arc::ptr_eq(picture, newest) && Arc::strong_count(picture) == 1;
        let back = self.pool.iter_mut().find(is_free);
        // The contract's count of pictures: the store and the consumer cannot hold all others.
        let back = back.expect("five pictures are enough for a store of three");
        let filled = fill(Arc::get_mut(back).expect("nobody else holds a free picture"))?;
        if let Some((number, damage)) = filled {
            self.newest = back.clone();
            self.publish(number, damage);
        }
        Ok(filled.is_some())
    }

    /// Publishes frame `number`, whose picture is that of the frame before.
    pub(super) fn publish_unchanged(&mut self, number: u64) {
        self.publish(number, Damage::none());
    }

    fn publish(&mut self, number: u64, damage: Damage) {
        let mut held = self.store.lock();
        if held.len() == CAPACITY
            && let Some(lost) = held.pop_front()
            && let Some(next) = held.front_mut()
        {
            next.damage.join(&lost.damage);
        }
        held.push_back(Frame { number, picture: self.newest.clone(), damage });
        drop(held);
        self.store.published.notify_one();
    }
}

/// The encoder thread's end.
#[derive(Debug)]
pub(super) struct Consumer {
    store: Arc<Store>,
    current: Arc<Picture>,
}

/// What the consumer gets for a frame number.
#[derive(Debug)]
pub(super) struct Taken {
    /// The frame this picture is for: the one asked for, or a later one when the consumer has fallen behind.
    pub(super) number: u64,
    /// The picture.
    pub(super) picture: Arc<Picture>,
    /// Whether the producer published this frame; otherwise it is the last picture again.
    pub(super) is_published: bool,
    /// Where it may differ from the picture that was taken before.
    pub(super) damage: Damage,
}

impl Consumer {
    /// The picture of frame `number`, waiting up to `wait` for it to be published.
    ///
    /// If it does not come, the newest picture before it is repeated. If the store has moved on past it, the oldest
    /// frame that is still held is given instead.
    pub(super) fn take(&mut self, number: u64, wait: Duration) -> Taken {
        let held = self.store.lock();
        let is_missing = |held: &mut VecDeque<Frame>| held.back().is_none_or(|frame| frame.number < number);
        let waited = self.store.published.wait_timeout_while(held, wait, is_missing);
        let (mut held, _) = waited.unwrap_or_else(PoisonError::into_inner);

        let has_moved_on = held.len() == CAPACITY && held.front().is_some_and(|oldest| oldest.number > number);
        let number = if has_moved_on { held.front().map_or(number, |oldest| oldest.number) } else { number };
        let (mut is_published, mut damage) = (false, Damage::none());
        while held.front().is_some_and(|frame| frame.number <= number) {
            if let Some(frame) = held.pop_front() {
                is_published = frame.number == number;
                self.current = frame.picture;
                damage.join(&frame.damage);
            }
        }
        Taken { number, picture: self.current.clone(), is_published, damage }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::scene::damage::PixelRect;

    const NO_WAIT: Duration = Duration::ZERO;

    fn store() -> (Producer, Consumer) {
        frame_store(Size::new(16, 16).unwrap())
    }

    fn publish(producer: &mut Producer, number: u64) {
        let mark = |picture: &mut Picture| {
            picture.bytes_mut()[0] = number as u8;
            Ok::<_, Infallible>(Some((number, at(number))))
        };
        assert!(producer.publish_with(mark).unwrap());
    }

    /// A pixel of its own for each of sixteen frames.
    fn at(number: u64) -> Damage {
        let (left, top) = (number as u32 % 4 * 4, number as u32 / 4 % 4 * 4);
        let mut damage = Damage::none();
        damage.add(PixelRect { left, top, right: left + 1, bottom: top + 1 });
        damage
    }

    fn take(consumer: &mut Consumer, number: u64) -> (u64, u8, bool) {
        let taken = consumer.take(number, NO_WAIT);
        (taken.number, taken.picture.bytes()[0], taken.is_published)
    }

    #[test]
    fn frames_come_out_by_number() {
        let (mut producer, mut consumer) = store();
        assert_eq!(take(&mut consumer, 0), (0, 16, false), "black before anything was drawn");
        for number in 1..100 {
            publish(&mut producer, number);
            assert_eq!(take(&mut consumer, number), (number, number as u8, true));
        }
    }

    #[test]
    fn a_missing_frame_repeats_the_last_and_is_not_replaced_by_a_later_one() {
        let (mut producer, mut consumer) = store();
        publish(&mut producer, 1);
        publish(&mut producer, 3);
        assert_eq!(take(&mut consumer, 1), (1, 1, true));
        assert_eq!(take(&mut consumer, 2), (2, 1, false));
        assert_eq!(take(&mut consumer, 3), (3, 3, true));
        assert_eq!(take(&mut consumer, 4), (4, 3, false));
    }

    #[test]
    fn a_consumer_that_falls_behind_skips_to_what_is_held() {
        let (mut producer, mut consumer) = store();
        (0..10).for_each(|number| publish(&mut producer, number));
        assert_eq!(take(&mut consumer, 0), (7, 7, true));
        assert_eq!(take(&mut consumer, 8), (8, 8, true));
    }

    /// Whatever was pushed out or passed over between two pictures counts into where they differ.
    #[test]
    fn damage_is_told_from_the_picture_taken_before() {
        let (mut producer, mut consumer) = store();
        let mut damage = |number| consumer.take(number, NO_WAIT).damage;
        let joined = |numbers: &[u64]| {
            let mut all = Damage::none();
            numbers.iter().for_each(|&number| all.join(&at(number)));
            all
        };
        let same = |found: Damage, expected: Damage| {
            assert!(found.area() == expected.area() && expected.rects().iter().all(|r| found.rects().contains(r)))
        };
        assert!(damage(0).is_empty(), "what was taken before it");
        (1..=6).for_each(|number| publish(&mut producer, number));
        same(damage(4), joined(&[1, 2, 3, 4]));
        assert!(damage(4).is_empty());
        producer.publish_unchanged(7);
        same(damage(7), joined(&[5, 6]));
        assert!(damage(8).is_empty(), "not published, the last one again");
    }

    #[test]
    fn unchanged_frames_share_their_picture_and_pictures_never_run_out() {
        let (mut producer, mut consumer) = store();
        let mut kept = Vec::new();
        for number in 0..1000 {
            if number % 3 == 0 {
                publish(&mut producer, number)
            } else {
                producer.publish_unchanged(number)
            }
            if number % 7 != 0 {
                kept = vec![consumer.take(number, NO_WAIT)]; // one picture with the consumer, as the contract allows
                assert_eq!(kept[0].picture.bytes()[0], (number - number % 3) as u8);
            }
        }
        drop(kept);
    }

    #[test]
    fn a_failed_fill_publishes_nothing() {
        let (mut producer, mut consumer) = store();
        assert_eq!(producer.publish_with(|_| Err("lost")), Err("lost"));
        assert_eq!(producer.publish_with(|_| Ok::<_, Infallible>(None)), Ok(false));
        assert_eq!(take(&mut consumer, 1), (1, 16, false));
    }

    #[test]
    fn a_waiting_consumer_is_woken() {
        let (mut producer, mut consumer) = store();
        let waiting =
            std::thread::Builder::new().name("consumer".into()).spawn(move || take_waiting(&mut consumer)).unwrap();
        publish(&mut producer, 5);
        assert_eq!(waiting.join().unwrap(), (5, true));
    }

    fn take_waiting(consumer: &mut Consumer) -> (u64, bool) {
        let taken = consumer.take(5, Duration::from_secs(60));
        (taken.number, taken.is_published)
    }
}
