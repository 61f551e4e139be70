//! Interleaving of sound and picture by decoding time, as FLV and RTMP want it.
//!
//! A packet leaves once the other track has caught up with it. If the other track stays silent for [`HOLD_MAX_MS`], the
//! packets leave without it: a broken sound must not hold up the picture, nor the other way round. Each track's own
//! timestamps never go backwards. Sound is put off by as much as the showing of pictures. Pure: no threads, no clock.

use std::collections::VecDeque;

use super::skew::Skew;
use crate::output::{Kind, Packet};

/// Longest time, in milliseconds of the stream, that a packet waits for the other track.
pub(super) const HOLD_MAX_MS: u64 = 500;

/// Merges two tracks into one sequence.
#[derive(Debug)]
pub(super) struct Interleaver {
    /// Milliseconds by which pictures are shown later than their frames are due, and so sound is heard later.
    delay_ms: u64,
    video: VecDeque<Packet>,
    audio: VecDeque<Packet>,
    skew: Skew,
}

impl Interleaver {
    /// For pictures that are shown `delay_ms` later than their frames are due.
    pub(super) fn new(delay_ms: u64) -> Self {
        Self { delay_ms, video: VecDeque::new(), audio: VecDeque::new(), skew: Skew::default() }
    }

    /// Takes a packet in and hands out, in order, every packet that may leave.
    pub(super) fn push(&mut self, mut packet: Packet, mut leave: impl FnMut(Packet)) {
        if packet.kind == Kind::Audio {
            packet.dts_ms += self.delay_ms;
        }
        self.skew.note(&packet);
        match packet.kind {
            Kind::Video { .. } => self.video.push_back(packet),
            Kind::Audio => self.audio.push_back(packet),
        }
        while let Some(packet) = self.next() {
            leave(packet);
        }
    }

    /// By how many milliseconds sound has come further than pictures; below zero it is behind.
    pub(super) fn skew_ms(&self) -> i64 {
        self.skew.ms()
    }

    /// Hands out what is left, in order.
    pub(super) fn finish(&mut self, mut leave: impl FnMut(Packet)) {
        while let Some(packet) = self.pop_earlier() {
            leave(packet);
        }
    }

    fn next(&mut self) -> Option<Packet> {
        let have_both = !self.video.is_empty() && !self.audio.is_empty();
        (have_both || held_ms(&self.video) > HOLD_MAX_MS || held_ms(&self.audio) > HOLD_MAX_MS)
            .then(|| self.pop_earlier())
            .flatten()
    }

    fn pop_earlier(&mut self) -> Option<Packet> {
        let is_audio_first = match (self.audio.front(), self.video.front()) {
            (Some(audio), Some(video)) => audio.dts_ms <= video.dts_ms,
            (audio, _) => audio.is_some(),
        };
        if is_audio_first { self.audio.pop_front() } else { self.video.pop_front() }
    }
}

fn held_ms(track: &VecDeque<Packet>) -> u64 {
    track.front().zip(track.back()).map_or(0, |(first, last)| last.dts_ms.saturating_sub(first.dts_ms))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn video(dts_ms: u64) -> Packet {
        Packet { kind: Kind::Video { is_key: dts_ms == 0 }, dts_ms, body: Bytes::new().into() }
    }

    fn audio(dts_ms: u64) -> Packet {
        Packet { kind: Kind::Audio, dts_ms, body: Bytes::new().into() }
    }

    fn run(packets: impl IntoIterator<Item = Packet>) -> Vec<u64> {
        let mut interleaver = Interleaver::new(0);
        let mut left = Vec::new();
        packets.into_iter().for_each(|packet| interleaver.push(packet, |packet| left.push(packet.dts_ms)));
        left
    }

    #[test]
    fn tracks_merge_by_time() {
        let left = run([video(0), video(33), audio(0), audio(21), audio(43), video(67), audio(64), audio(85)]);
        assert_eq!(left, [0, 0, 21, 33, 43, 64, 67]);
    }

    #[test]
    fn a_silent_track_holds_up_nothing_for_long() {
        let left = run((0..40).map(|n| video(n * 33)));
        assert_eq!(left.first(), Some(&0));
        assert!(*left.last().unwrap() + HOLD_MAX_MS >= 39 * 33 - 33, "{left:?}");
        assert!(left.is_sorted());
    }

    #[test]
    fn sound_is_put_off_with_the_picture() {
        let mut interleaver = Interleaver::new(33);
        let mut left = Vec::new();
        for packet in [video(0), audio(0), audio(21), video(33), video(67)] {
            interleaver.push(packet, |packet| left.push((packet.kind.is_video(), packet.dts_ms)));
        }
        assert_eq!(left, [(true, 0), (false, 33), (true, 33), (false, 54)]);
    }

    #[test]
    fn nothing_is_lost_at_the_end() {
        let mut interleaver = Interleaver::new(0);
        let mut left = Vec::new();
        for packet in [video(0), audio(5), video(33), audio(26)] {
            interleaver.push(packet, |packet| left.push(packet.dts_ms));
        }
        interleaver.finish(|packet| left.push(packet.dts_ms));
        assert_eq!(left, [0, 5, 26, 33]);
    }
}
