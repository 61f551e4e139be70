//! The bounded queue between a stream's mux thread and the task of one output. No lock, no clock, no task.
//!
//! ```text
//! push ─► gate ─► [ a v a V v a v v ... ] ─► take          V: IDR, v: other picture, a: sound
//!         Closed  no session: nothing enters
//!         Start   a session begins: nothing enters before an IDR
//!         Key     pictures were lost: none enters before an IDR, sound does
//!         Open    everything enters
//! ```
//!
//! What happens when it is full ([`Limits`]):
//!
//! 1. A picture a little too far behind the newest packet ([`DISPOSABLE_MS_MAX`]): the pictures that no other needs are dropped.
//! 2. Too many bytes, or a picture too far behind the newest packet: the oldest picture and all that depend on it are
//!    dropped, up to the next IDR in the queue, or up to the next one that comes. So the picture after a loss is an IDR,
//!    and a group of pictures is kept or lost as a whole.
//! 3. Sound is never dropped to make room for pictures. Only if it exceeds a bound by itself, when not even it gets
//!    through, is the oldest dropped: memory is bounded whatever a network does. Its bound in time is the longer one: a
//!    viewer forgives a frozen picture sooner than a hole in the sound.
//! 4. Headers are not in the queue at all, so they cannot be dropped.
//!
//! Packets lost to a full queue are counted; those that come before a session has begun are not, since nobody waits for
//! them. Each packet remembers the [`Headers`] it was made with, so that new ones go out exactly where they belong.
//!
//! The model is OBS Studio's (`rtmp-stream.c`, `drop_frames`). It drops whole groups from 900 ms on, to keep the delay
//! short; here a network may stand still for seconds without any loss, since a viewer's player holds as much.

use std::{collections::VecDeque, sync::Arc};

use tokio::time::Instant;

use super::packet::{Headers, Kind, Packet};

/// How far the oldest picture may be behind the newest packet before pictures that no other needs are dropped, unless
/// [`Limits`] say otherwise; OBS's.
pub const DISPOSABLE_MS_MAX: u64 = 700;
/// The same for any picture.
pub const VIDEO_MS_MAX: u64 = 5_000;
/// The same for sound: as long as the watchdog waits.
pub const AUDIO_MS_MAX: u64 = 10_000;
/// Bytes of a queue: 25 s of 5 Mb/s, or one 4K IDR and then some.
pub const BYTES_MAX: usize = 16 << 20;

/// How much a queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all bodies together.
    pub bytes_max: usize,
    /// How far the oldest picture may be behind the newest packet before those that no other needs are dropped, in ms.
    pub disposable_ms_max: u64,
    /// How far the oldest picture may be behind the newest packet, in ms.
    pub video_ms_max: u64,
    /// How far the oldest sound may be behind the newest packet, in ms.
    pub audio_ms_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes_max: BYTES_MAX,
            disposable_ms_max: DISPOSABLE_MS_MAX,
            video_ms_max: VIDEO_MS_MAX,
            audio_ms_max: AUDIO_MS_MAX,
        }
    }
}

/// A packet with the headers it was made with.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The packet.
    pub packet: Packet,
    /// What a decoder needs for it; the same `Arc` as long as the encoder is the same.
    pub headers: Arc<Headers>,
    /// Since when it is ready to be sent.
    pub ready_at: Instant,
}

/// Who may enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Closed,
    Start,
    Key,
    Open,
}

/// The queue. It starts closed.
#[derive(Debug)]
pub struct Queue {
    limits: Limits,
    headers: Arc<Headers>,
    gate: Gate,
    entries: VecDeque<Entry>,
    bytes: usize,
    dropped_frames: u64,
    dropped_audio_frames: u64,
}

impl Queue {
    /// A closed queue.
    pub fn new(limits: Limits, headers: Arc<Headers>) -> Self {
        Self {
            limits,
            headers,
            gate: Gate::Closed,
            entries: VecDeque::new(),
            bytes: 0,
            dropped_frames: 0,
            dropped_audio_frames: 0,
        }
    }

    /// Begins a session: what comes from the next IDR on is taken in.
    pub fn open(&mut self) {
        self.clear();
        self.gate = Gate::Start;
    }

    /// Ends a session: nothing is kept, since it would be stale in the next.
    pub fn close(&mut self) {
        self.clear();
        self.gate = Gate::Closed;
    }

    /// Lets nothing more in, and keeps what is there to be taken.
    pub fn seal(&mut self) {
        self.gate = Gate::Closed;
    }

    /// Takes a packet in, if the gate lets it, and makes room by the rules above.
    pub fn push(&mut self, packet: &Packet, ready_at: Instant) {
        if !self.admit(packet.kind) {
            return;
        }
        self.bytes += packet.body.len();
        self.entries.push_back(Entry { packet: packet.clone(), headers: Arc::clone(&self.headers), ready_at });
        self.make_room(packet.dts_ms);
    }

    /// The oldest packet.
    pub fn take(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        self.bytes -= entry.packet.body.len();
        Some(entry)
    }

    /// The encoder was rebuilt: `headers` belong to every packet from now on, and its pictures begin at an IDR.
    pub fn set_headers(&mut self, headers: Arc<Headers>) {
        self.headers = headers;
        if self.gate == Gate::Open {
            self.gate = Gate::Key;
        }
    }

    /// The headers of the next packet.
    pub fn headers(&self) -> Arc<Headers> {
        Arc::clone(&self.headers)
    }

    /// Whether there is nothing to take.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of all bodies in the queue.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// From the oldest to the newest packet in the queue, in ms.
    pub fn span_ms(&self) -> u64 {
        let ends = self.entries.front().zip(self.entries.back());
        ends.map_or(0, |(oldest, newest)| newest.packet.dts_ms.saturating_sub(oldest.packet.dts_ms))
    }

    /// Whether the next packet is an IDR.
    pub fn is_key_next(&self) -> bool {
        self.entries.front().is_some_and(|entry| entry.packet.kind == Kind::Video { is_key: true })
    }

    /// How near it is to dropping groups of pictures: 0 when it keeps up, 1 while pictures are lost.
    pub fn congestion(&self) -> f64 {
        if self.gate == Gate::Key {
            return 1.0;
        }
        let newest_ms = self.entries.back().map_or(0, |newest| newest.packet.dts_ms);
        let lag_ms = self.lag_ms(newest_ms, Kind::is_video);
        (lag_ms as f64 / self.limits.video_ms_max.max(1) as f64).min(1.0)
    }

    /// Pictures lost to a full queue, or between a rebuilt encoder's headers and its first IDR.
    pub fn dropped_frames(&self) -> u64 {
        self.dropped_frames
    }

    /// AAC frames lost to a full queue.
    pub fn dropped_audio_frames(&self) -> u64 {
        self.dropped_audio_frames
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    fn admit(&mut self, kind: Kind) -> bool {
        match (self.gate, kind) {
            (Gate::Closed, _) | (Gate::Start, Kind::Audio | Kind::Video { is_key: false }) => false,
            (Gate::Key, Kind::Video { is_key: false }) => {
                self.dropped_frames += 1;
                false
            }
            (_, Kind::Video { is_key: true }) => {
                self.gate = Gate::Open;
                true
            }
            (Gate::Key | Gate::Open, Kind::Audio) | (Gate::Open, Kind::Video { .. }) => true,
        }
    }

    fn make_room(&mut self, newest_ms: u64) {
        let Limits { bytes_max, disposable_ms_max, video_ms_max, audio_ms_max } = self.limits;
        if self.lag_ms(newest_ms, Kind::is_video) > disposable_ms_max {
            self.drop_disposable();
        }
        while self.bytes > bytes_max || self.lag_ms(newest_ms, Kind::is_video) > video_ms_max {
            if !self.drop_video() {
                break;
            }
        }
        while self.bytes > bytes_max || self.lag_ms(newest_ms, |kind| kind == Kind::Audio) > audio_ms_max {
            if !self.drop_oldest_audio() {
                break;
            }
        }
    }

    /// How far the oldest packet of a kind is behind `newest_ms`.
    fn lag_ms(&self, newest_ms: u64, is_kind: impl Fn(Kind) -> bool) -> u64 {
        let oldest = self.entries.iter().find(|entry| is_kind(entry.packet.kind));
        oldest.map_or(0, |entry| newest_ms.saturating_sub(entry.packet.dts_ms))
    }

    /// Drops the pictures that no other needs.
    fn drop_disposable(&mut self) {
        let Self { entries, bytes, dropped_frames, .. } = self;
        entries.retain(|Entry { packet, .. }| {
            let is_dropped = packet.is_disposable();
            if is_dropped {
                *bytes -= packet.body.len();
                *dropped_frames += 1;
            }
            !is_dropped
        });
    }

    /// Drops the oldest picture and those after it, up to an IDR; false if there was no picture.
    fn drop_video(&mut self) -> bool {
        let mut dropped = 0;
        let mut has_key_next = false;
        let bytes = &mut self.bytes;
        self.entries.retain(|Entry { packet, .. }| {
            let Kind::Video { is_key } = packet.kind else { return true };
            has_key_next |= is_key && dropped > 0;
            if !has_key_next {
                dropped += 1;
                *bytes -= packet.body.len();
            }
            has_key_next
        });
        if dropped > 0 && !has_key_next && self.gate == Gate::Open {
            self.gate = Gate::Key;
        }
        self.dropped_frames += dropped;
        dropped > 0
    }

    /// Drops the oldest AAC frame; false if there was none.
    fn drop_oldest_audio(&mut self) -> bool {
        let oldest = self.entries.iter().position(|entry| entry.packet.kind == Kind::Audio);
        let Some(entry) = oldest.and_then(|index| self.entries.remove(index)) else { return false };
        self.bytes -= entry.packet.body.len();
        self.dropped_audio_frames += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::flv;

    const KEY: Kind = Kind::Video { is_key: true };
    const INTER: Kind = Kind::Video { is_key: false };

    fn headers() -> Arc<Headers> {
        Arc::new(Headers { metadata: Bytes::new(), video: Bytes::new(), audio: Bytes::new() })
    }

    fn queue(bytes_max: usize, video_ms_max: u64, audio_ms_max: u64) -> Queue {
        let limits = Limits { bytes_max, video_ms_max, audio_ms_max, ..Limits::default() };
        let mut queue = Queue::new(limits, headers());
        queue.open();
        queue
    }

    fn packet(kind: Kind, dts_ms: u64, len: usize) -> Packet {
        Packet { kind, dts_ms, body: Bytes::from(vec![0; len]).into() }
    }

    /// A picture that no other needs, of ten bytes.
    fn disposable(dts_ms: u64) -> Packet {
        Packet { kind: INTER, dts_ms, body: flv::video_access_unit(false, 0, Bytes::from_static(&[0, 0, 0, 1, 0x01])) }
    }

    /// `K`, `v`, `b` (which no other needs) and `a` at 0, 10, 20, ... ms, ten bytes each.
    fn push(queue: &mut Queue, from_ms: u64, letters: &str) {
        for (n, letter) in letters.chars().enumerate() {
            let dts_ms = from_ms + 10 * n as u64;
            let packet = match letter {
                'K' => packet(KEY, dts_ms, 10),
                'v' => packet(INTER, dts_ms, 10),
                'b' => disposable(dts_ms),
                _ => packet(Kind::Audio, dts_ms, 10),
            };
            queue.push(&packet, Instant::now());
        }
    }

    fn letter(packet: &Packet) -> char {
        match packet.kind {
            Kind::Video { is_key: true } => 'K',
            Kind::Video { is_key: false } if packet.is_disposable() => 'b',
            Kind::Video { is_key: false } => 'v',
            Kind::Audio => 'a',
        }
    }

    fn take_all(queue: &mut Queue) -> String {
        std::iter::from_fn(|| queue.take()).map(|entry| letter(&entry.packet)).collect()
    }

    #[test]
    fn pictures_that_no_other_needs_go_first_and_alone() {
        let mut queue = queue(1000, 2000, 2000);
        push(&mut queue, 0, "Kbvbav");
        push(&mut queue, 690, "bv");
        assert_eq!((queue.dropped_frames(), queue.bytes()), (0, 80), "700 ms behind is not too much");
        push(&mut queue, 701, "a");
        assert_eq!((queue.dropped_frames(), queue.bytes()), (3, 60));
        push(&mut queue, 711, "bv");
        assert_eq!((take_all(&mut queue).as_str(), queue.dropped_frames()), ("Kvavvav", 4));
    }

    #[test]
    fn congestion_is_the_way_to_the_loss_of_pictures() {
        let mut queue = queue(1000, 100, 1000);
        assert_eq!(queue.congestion(), 0.0);
        push(&mut queue, 0, "Kvvvva");
        assert_eq!((queue.congestion(), queue.is_key_next()), (0.5, true));
        queue.take();
        assert_eq!((queue.congestion(), queue.is_key_next()), (0.4, false));
        push(&mut queue, 111, "a");
        assert_eq!((queue.congestion(), queue.dropped_frames()), (1.0, 4), "no IDR is there to go on from");
        push(&mut queue, 121, "K");
        assert_eq!(queue.congestion(), 0.0);
    }

    #[test]
    fn starts_at_an_idr_and_counts_nothing_before_it() {
        let mut queue = queue(1000, 1000, 1000);
        push(&mut queue, 0, "avvaKav");
        assert_eq!((queue.bytes(), queue.span_ms(), queue.dropped_frames()), (30, 20, 0));
        assert_eq!(take_all(&mut queue), "Kav");
        queue.close();
        push(&mut queue, 100, "Kav");
        assert_eq!((queue.bytes(), queue.is_empty(), queue.dropped_frames()), (0, true, 0));
        queue.open();
        push(&mut queue, 200, "avK");
        assert_eq!(take_all(&mut queue), "K");
    }

    #[test]
    fn too_many_bytes_cost_a_whole_group_of_pictures() {
        let mut queue = queue(100, 1000, 1000);
        push(&mut queue, 0, "KavavKavav");
        assert_eq!((queue.bytes(), queue.dropped_frames()), (100, 0));
        push(&mut queue, 100, "a");
        assert_eq!((queue.bytes(), queue.dropped_frames()), (80, 3));
        assert_eq!(take_all(&mut queue), "aaKavava");
    }

    #[test]
    fn without_an_idr_in_the_queue_pictures_wait_for_the_next() {
        let mut queue = queue(100, 60, 1000);
        push(&mut queue, 0, "Kavvvvav");
        assert_eq!(queue.dropped_frames(), 6, "the eighth is 70 ms behind the first, and goes with it");
        push(&mut queue, 80, "vavKv");
        assert_eq!(queue.dropped_frames(), 8);
        assert_eq!(take_all(&mut queue), "aaaKv");
    }

    #[test]
    fn sound_is_lost_only_by_its_own_excess() {
        let mut queue = queue(1000, 50, 100);
        push(&mut queue, 0, "Kvaaaaaaaaa");
        assert_eq!((queue.dropped_frames(), queue.dropped_audio_frames()), (2, 0));
        push(&mut queue, 110, "aaa");
        assert_eq!((queue.span_ms(), queue.dropped_audio_frames()), (100, 1));
        let mut queue = self::queue(50, 1000, 1000);
        push(&mut queue, 0, "Kvvaaaaaa");
        assert_eq!(
            (take_all(&mut queue).as_str(), queue.dropped_frames(), queue.dropped_audio_frames()),
            ("aaaaa", 3, 1)
        );
    }

    #[test]
    fn a_picture_larger_than_the_queue_is_dropped_alone() {
        let mut queue = queue(100, 1000, 1000);
        queue.push(&packet(KEY, 0, 101), Instant::now());
        push(&mut queue, 10, "avK");
        assert_eq!((take_all(&mut queue).as_str(), queue.dropped_frames()), ("aK", 2));
    }

    #[test]
    fn new_headers_belong_to_what_is_pushed_after_them() {
        let mut queue = queue(1000, 1000, 1000);
        let (old, new) = (queue.headers(), headers());
        push(&mut queue, 0, "Kv");
        queue.set_headers(Arc::clone(&new));
        push(&mut queue, 20, "vaK");
        let entries: Vec<_> = std::iter::from_fn(|| queue.take()).collect();
        let shown: String = entries.iter().map(|entry| letter(&entry.packet)).collect();
        assert_eq!(shown, "KvaK");
        assert!(entries[..2].iter().all(|entry| Arc::ptr_eq(&entry.headers, &old)));
        assert!(entries[2..].iter().all(|entry| Arc::ptr_eq(&entry.headers, &new)));
    }

    #[test]
    fn a_sealed_queue_is_emptied_but_not_filled() {
        let mut queue = queue(1000, 1000, 1000);
        push(&mut queue, 0, "Ka");
        queue.seal();
        push(&mut queue, 20, "vK");
        assert_eq!(take_all(&mut queue), "Ka");
    }

    #[derive(Debug, Clone)]
    enum Step {
        Push { kind: Kind, after_ms: u64, len: usize },
        Take { count: usize },
    }

    fn step() -> impl Strategy<Value = Step> {
        let kind = prop_oneof![1 => Just(KEY), 5 => Just(INTER), 5 => Just(Kind::Audio)];
        prop_oneof![
            6 => (kind, 0..60_u64, 0..200_usize).prop_map(|(kind, after_ms, len)| Step::Push { kind, after_ms, len }),
            1 => (0..10_usize).prop_map(|count| Step::Take { count }),
        ]
    }

    /// Checks what comes out against what went in, where each picture has a number.
    #[derive(Debug, Default)]
    struct Follower {
        newest_ms: u64,
        next_picture: Option<usize>,
        taken_frames: u64,
    }

    impl Follower {
        fn follow(&mut self, packet: &Packet, pictures: &[u64]) {
            assert!(packet.dts_ms >= self.newest_ms, "decoding times go back");
            self.newest_ms = packet.dts_ms;
            let Kind::Video { is_key } = packet.kind else { return };
            // Pushed pictures have times of their own, so the time finds the number.
            let number = pictures.binary_search(&packet.dts_ms).unwrap();
            assert!(is_key || Some(number) == self.next_picture, "a picture without those it depends on");
            self.next_picture = Some(number + 1);
            self.taken_frames += 1;
        }
    }

    proptest! {
        #[test]
        fn bounds_hold_and_every_picture_can_be_decoded(steps in prop::collection::vec(step(), 1..300)) {
            let mut queue = queue(3000, 500, 900);
            let (mut now_ms, mut pictures, mut follower) = (0, Vec::new(), Follower::default());
            for step in steps {
                match step {
                    Step::Push { kind, after_ms, len } => {
                        now_ms += after_ms + 1;
                        queue.push(&packet(kind, now_ms, len), Instant::now());
                        if kind.is_video() {
                            pictures.push(now_ms);
                        }
                    }
                    Step::Take { count } => {
                        (0..count).map_while(|_| queue.take()).for_each(|entry| follower.follow(&entry.packet, &pictures));
                    }
                }
                let bytes: usize = queue.entries.iter().map(|entry| entry.packet.body.len()).sum();
                prop_assert_eq!(queue.bytes(), bytes);
                prop_assert!(bytes <= 3000);
                let newest_ms = queue.entries.back().map_or(0, |entry| entry.packet.dts_ms);
                prop_assert!(queue.lag_ms(newest_ms, Kind::is_video) <= 500);
                prop_assert!(queue.span_ms() <= 900);
            }
            std::iter::from_fn(|| queue.take()).for_each(|entry| follower.follow(&entry.packet, &pictures));
            prop_assert!(follower.taken_frames + queue.dropped_frames() <= pictures.len() as u64);
        }
    }
}
