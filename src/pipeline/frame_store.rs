//! The frame store: how pictures get from the render thread to the encoder threads of the renditions that show them.
//!
//! The contract:
//! * One producer, a consumer for each rendition. None ever waits for another to make room; a consumer may wait, with a
//!   limit, for a frame it wants.
//! * It holds the three newest frames of each consumer. A fourth pushes out the oldest: newest wins.
//! * A slower rendition gets the frames whose number is a multiple, and counts them itself: 0, 1, 2.
//! * Pictures change hands by pointer. The lock is held for a few pointer moves, never for a copy of pixels.
//! * With each picture goes where it differs from the one the consumer has, whatever was pushed out between them.
//! * All pictures are made when the store is made. Six are enough for one consumer: three held here, one with the
//!   consumer, one being written by the producer, one with whoever looks on; four more for each further consumer. A
//!   repeated picture takes no further one.
//! * Whoever looks on ([`Window`]) sees the newest picture, one at a time, and keeps nothing.
//! * Of a picture only those rows are written that it does not have yet.
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
    base::{
        nv12::{Layout, Picture, Rows},
        size::Size,
    },
    scene::damage::Damage,
};

/// Frames held for a consumer.
pub(super) const CAPACITY: usize = 3;

/// Makes a store for pictures of `size`, with a consumer for each of `every`: it gets each frame whose number is divisible
/// by that. They start with a black picture.
pub(super) fn frame_store(size: Size, every: &[u64]) -> (Producer, Vec<Consumer>) {
    let spare = || Spare { picture: Arc::new(Picture::black(size)), lacks: Rows::all(Layout::of(size)) };
    let pool: Vec<_> = (0..every.len() * (CAPACITY + 1) + 2).map(|_| spare()).collect();
    let newest = pool[0].picture.clone();
    let lanes: Vec<_> =
        every.iter().map(|&every| Lane { store: Arc::default(), every, owed: Damage::none() }).collect();
    let consumer = |lane: &Lane| Consumer { store: lane.store.clone(), current: newest.clone() };
    let consumers = lanes.iter().map(consumer).collect();
    (Producer { lanes, pool, newest, window: Window::default() }, consumers)
}

/// Through which the newest picture is seen, from any thread.
#[derive(Debug, Clone, Default)]
pub(super) struct Window(Arc<Frontage>);

#[derive(Debug, Default)]
struct Frontage {
    newest: Mutex<View>,
    /// Held by who looks, for as long as the picture is needed: the store has one for that.
    looking: Mutex<()>,
}

/// What is seen through a window.
#[derive(Debug, Clone, Default)]
enum View {
    /// Nothing yet.
    #[default]
    Dark,
    /// A picture, and the first frame that showed it.
    Picture(u64, Arc<Picture>),
    /// Nothing any more.
    Ended,
}

/// Why nothing is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unseen {
    /// It comes with the first frame.
    #[error("nothing has been shown yet")]
    Yet,
    /// The stream has ended.
    #[error("the stream has ended")]
    AnyMore,
}

impl Window {
    fn lock(&self) -> MutexGuard<'_, View> {
        self.0.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first frame that showed the newest picture.
    pub(super) fn number(&self) -> Result<u64, Unseen> {
        match *self.lock() {
            View::Dark => Err(Unseen::Yet),
            View::Picture(number, _) => Ok(number),
            View::Ended => Err(Unseen::AnyMore),
        }
    }

    /// What `look` makes of the newest picture. Who comes meanwhile waits.
    pub(super) fn look<T>(&self, look: impl FnOnce(u64, &Picture) -> T) -> Result<T, Unseen> {
        let _looking = self.0.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let view = self.lock().clone();
        match view {
            View::Dark => Err(Unseen::Yet),
            View::Picture(number, picture) => Ok(look(number, &picture)),
            View::Ended => Err(Unseen::AnyMore),
        }
    }
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

    fn publish(&self, frame: Frame) {
        let mut held = self.lock();
        if held.len() == CAPACITY
            && let Some(lost) = held.pop_front()
            && let Some(next) = held.front_mut()
        {
            next.damage.join(&lost.damage);
        }
        held.push_back(frame);
        drop(held);
        self.published.notify_one();
    }
}

/// The render thread's end.
#[derive(Debug)]
pub(super) struct Producer {
    lanes: Vec<Lane>,
    pool: Vec<Spare>,
    newest: Arc<Picture>,
    window: Window,
}

impl Drop for Producer {
    fn drop(&mut self) {
        *self.window.lock() = View::Ended;
    }
}

/// The way to one consumer.
#[derive(Debug)]
struct Lane {
    store: Arc<Store>,
    every: u64,
    /// Damage of frames that were not for it.
    owed: Damage,
}

/// A picture of the pool.
#[derive(Debug)]
struct Spare {
    picture: Arc<Picture>,
    /// Rows that are not those of the picture published last.
    lacks: Rows,
}

impl Producer {
    /// Where the newest picture is seen.
    pub(super) fn window(&self) -> Window {
        self.window.clone()
    }

    /// Whether frame `number` is for any consumer.
    pub(super) fn is_due(&self, number: u64) -> bool {
        self.lanes.iter().any(|lane| number.is_multiple_of(lane.every))
    }

    /// Publishes frame `number`: a picture of these bytes, which differ from those published before within `damage`.
    pub(super) fn publish(&mut self, number: u64, bytes: &[u8], damage: &Damage) {
        for spare in &mut self.pool {
            damage.rects().iter().for_each(|rect| spare.lacks.add(rect.top..rect.bottom));
        }
        let newest = &self.newest;
        let is_free =
            |spare: &&mut Spare| !Arc::ptr_eq(&spare.picture, newest) && Arc::strong_count(&spare.picture) == 1;
        // The contract's count of pictures: the stores and the consumers cannot hold all others.
        let back = self.pool.iter_mut().find(is_free).expect("there are pictures enough for all who may hold one");
        let picture = Arc::get_mut(&mut back.picture).expect("nobody else holds a free picture");
        back.lacks.spans().for_each(|span| picture.bytes_mut()[span.clone()].copy_from_slice(&bytes[span]));
        back.lacks.clear();
        self.newest = back.picture.clone();
        *self.window.lock() = View::Picture(number, self.newest.clone());
        self.send(number, damage);
    }

    /// Publishes frame `number`, whose picture is that of the frame before.
    pub(super) fn publish_unchanged(&mut self, number: u64) {
        self.send(number, &Damage::none());
    }

    fn send(&mut self, number: u64, damage: &Damage) {
        for lane in &mut self.lanes {
            lane.owed.join(damage);
            if number.is_multiple_of(lane.every) {
                let (number, damage) = (number / lane.every, std::mem::take(&mut lane.owed));
                lane.store.publish(Frame { number, picture: self.newest.clone(), damage });
            }
        }
    }
}

/// An encoder thread's end.
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
    use super::*;
    use crate::scene::damage::PixelRect;

    const NO_WAIT: Duration = Duration::ZERO;

    fn store() -> (Producer, Consumer) {
        let (producer, mut consumers) = frame_store(Size::new(16, 16).unwrap(), &[1]);
        (producer, consumers.remove(0))
    }

    /// Bytes of a picture that all are `number`.
    fn bytes(number: u64) -> Vec<u8> {
        vec![number as u8; Layout::of(Size::new(16, 16).unwrap()).len()]
    }

    fn publish(producer: &mut Producer, number: u64) {
        producer.publish(number, &bytes(number), &Damage::whole([16, 16]));
    }

    /// Writes the frame's number into the rows of the damage.
    fn change(bytes: &mut [u8], number: u64, damage: &Damage) {
        let mut rows = Rows::none(Layout::of(Size::new(16, 16).unwrap()));
        damage.rects().iter().for_each(|rect| rows.add(rect.top..rect.bottom));
        rows.spans().for_each(|span| bytes[span].fill(number as u8));
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
        (1..=6).for_each(|number| producer.publish(number, &bytes(0), &at(number)));
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

    /// Who looks on is shown the newest picture and the frame that showed it first, and holds nobody up.
    #[test]
    fn the_newest_picture_is_seen_through_the_window() {
        let (mut producer, mut consumer) = store();
        let window = producer.window();
        assert_eq!((window.number(), window.look(|number, _| number)), (Err(Unseen::Yet), Err(Unseen::Yet)));
        for number in 0..50 {
            publish(&mut producer, 3 * number);
            producer.publish_unchanged(3 * number + 1);
            let seen = window.look(|shown, picture| {
                // As many frames as there may be come and go while it is looked at.
                (0..CAPACITY as u64).for_each(|_| publish(&mut producer, 3 * number + 2));
                consumer.take(3 * number + 2, NO_WAIT);
                (shown, picture.bytes()[0])
            });
            assert_eq!(seen, Ok((3 * number, (3 * number) as u8)));
        }
        assert_eq!(window.number(), Ok(149));
        drop(producer);
        assert_eq!(window.number(), Err(Unseen::AnyMore));
    }

    /// Frames 0, 2, 4 of the canvas are 0, 1, 2 of a rendition of half its rate; what changed in between is told.
    #[test]
    fn a_slower_consumer_gets_each_second_frame() {
        let (mut producer, mut consumers) = frame_store(Size::new(16, 16).unwrap(), &[1, 2]);
        assert!(producer.is_due(1) && producer.is_due(2));
        let [fast, slow] = &mut consumers[..] else { panic!("{consumers:?}") };
        let mut content = bytes(0);
        for number in 0..40 {
            let damage = if number == 0 { Damage::whole([16, 16]) } else { at(number) };
            if number % 4 == 3 {
                producer.publish_unchanged(number);
            } else {
                change(&mut content, number, &damage);
                producer.publish(number, &content, &damage);
            }
            let taken = fast.take(number, NO_WAIT);
            assert!(taken.number == number && taken.is_published && taken.picture.bytes() == content);
            if number % 2 == 0 {
                let taken = slow.take(number / 2, NO_WAIT);
                assert!(taken.number == number / 2 && taken.is_published && taken.picture.bytes() == content);
                let changed = (number.saturating_sub(1)..=number).filter(|number| number % 4 != 3).count();
                assert_eq!(taken.damage.area(), if number == 0 { 256 } else { changed as u64 }, "frame {number}");
            }
        }
        let (producer, _) = frame_store(Size::new(16, 16).unwrap(), &[2]);
        assert!(!producer.is_due(3));
    }

    /// One that stands still holds what it holds; the other gets each frame all the same.
    #[test]
    fn a_consumer_that_stands_still_does_not_hold_up_the_other() {
        let (mut producer, mut consumers) = frame_store(Size::new(16, 16).unwrap(), &[1, 1]);
        let [quick, stuck] = &mut consumers[..] else { panic!("{consumers:?}") };
        publish(&mut producer, 0);
        let held = stuck.take(0, NO_WAIT);
        for number in 1..50 {
            publish(&mut producer, number);
            assert_eq!(take(quick, number), (number, number as u8, true));
        }
        assert_eq!(held.picture.bytes(), bytes(0), "nobody writes what it still reads");
        assert_eq!(take(stuck, 1), (47, 47, true), "it goes on with the oldest that is kept");
    }

    /// Only the rows that a picture lacks are written, and it has all of them, whichever of the pool it is.
    #[test]
    fn pictures_are_whole_though_only_what_changed_is_written() {
        let (mut producer, mut consumer) = store();
        let mut bytes = bytes(0);
        for number in 1..100u64 {
            let damage = if number == 1 { Damage::whole([16, 16]) } else { at(number * 7) };
            change(&mut bytes, number, &damage);
            producer.publish(number, &bytes, &damage);
            // Sometimes pictures are pushed out, and those that come back to the pool lack a lot.
            if number % 5 != 0 {
                assert!(consumer.take(number, NO_WAIT).picture.bytes() == bytes, "frame {number}");
            }
        }
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
