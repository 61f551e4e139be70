//! How far sound and picture are apart as they reach the muxer.
//!
//! A track has come as far as the newest time at which something of it is shown or heard; a piece of sound counts to its
//! end. The difference is *sound less picture*: above zero the sound is ahead, below it is behind. Packets come in turns and
//! have different lengths, so it is averaged over about a second of the stream. It stays within some tens of milliseconds
//! where all is well: the difference between what encoding the one and the other takes. While a track stands still, the
//! other runs away from it by a second each second. This says nothing of lip sync, which is in the timestamps, but which
//! side is late before viewers see it. Pure: no clock.

use crate::{
    audio::{BLOCK_SAMPLES, SAMPLE_RATE},
    output::{Kind, Packet},
};

/// How long a piece of sound is heard.
const SOUND_MS: f64 = BLOCK_SAMPLES as f64 * 1000.0 / SAMPLE_RATE as f64;
/// Milliseconds of the stream over which is averaged: after so many, 1/e of what was is left.
const AVERAGE_MS: f64 = 1000.0;

/// The gauge of one stream.
#[derive(Debug, Default)]
pub(super) struct Skew {
    picture_ms: Option<f64>,
    sound_ms: Option<f64>,
    /// How far the one that is ahead has come.
    newest_ms: f64,
    average_ms: Option<f64>,
}

impl Skew {
    /// Takes note of a packet that has come.
    pub(super) fn note(&mut self, packet: &Packet) {
        let pts_ms = packet.pts_ms() as f64;
        match packet.kind {
            Kind::Video { .. } => further(&mut self.picture_ms, pts_ms),
            Kind::Audio => further(&mut self.sound_ms, pts_ms + SOUND_MS),
        }
        if let Some((sound_ms, picture_ms)) = self.sound_ms.zip(self.picture_ms) {
            self.average(sound_ms - picture_ms, sound_ms.max(picture_ms));
        }
    }

    fn average(&mut self, now_ms: f64, newest_ms: f64) {
        let passed_ms = newest_ms - std::mem::replace(&mut self.newest_ms, newest_ms);
        let average_ms = self.average_ms.unwrap_or(now_ms);
        self.average_ms = Some(now_ms + (average_ms - now_ms) * (-passed_ms / AVERAGE_MS).exp());
    }

    /// Sound less picture, in milliseconds; zero before both have come.
    pub(super) fn ms(&self) -> i64 {
        self.average_ms.map_or(0, |ms| ms.round() as i64)
    }
}

/// Pictures may come in another order than they are shown in.
fn further(track_ms: &mut Option<f64>, to_ms: f64) {
    *track_ms = Some(track_ms.map_or(to_ms, |ms| ms.max(to_ms)));
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::flv;

    fn picture(pts_ms: u64) -> Packet {
        Packet { kind: Kind::Video { is_key: false }, dts_ms: pts_ms, body: Bytes::new().into() }
    }

    fn sound(n: u64) -> Packet {
        Packet { kind: Kind::Audio, dts_ms: n * 1024 / 48, body: Bytes::new().into() }
    }

    /// Both tracks at 25 pictures a second in the order of time, each until its end; the gauge after each packet.
    fn run(skew: &mut Skew, from_ms: u64, pictures_until_ms: u64, sound_until_ms: u64) -> Vec<i64> {
        let pictures = (from_ms..pictures_until_ms).filter(|ms| ms % 40 == 0).map(picture);
        let sounds = (0..sound_until_ms * 48 / 1024).map(sound).filter(|packet| packet.dts_ms >= from_ms);
        let mut packets: Vec<_> = pictures.chain(sounds).collect();
        packets.sort_by_key(|packet| packet.dts_ms);
        let note = |packet: &Packet| {
            skew.note(packet);
            skew.ms()
        };
        packets.iter().map(note).collect()
    }

    #[test]
    fn in_step_it_stays_near_zero() {
        let mut skew = Skew::default();
        assert_eq!(skew.ms(), 0);
        skew.note(&picture(0));
        assert_eq!(skew.ms(), 0, "one track alone says nothing");
        let seen = run(&mut Skew::default(), 0, 60_000, 60_000);
        // Each counts to its newest packet: half a picture is missing of the one, half a piece is too much of the other.
        assert!(seen[100..].iter().all(|ms| (20..=40).contains(ms)), "{seen:?}");
    }

    #[test]
    fn a_track_that_stands_still_falls_behind_and_catches_up() {
        let mut skew = Skew::default();
        run(&mut skew, 0, 10_000, 10_000);
        let seen = run(&mut skew, 10_000, 10_000, 15_000);
        assert!(seen.is_sorted(), "ahead of a picture that stands still: {seen:?}");
        assert!((3_900..=4_200).contains(seen.last().unwrap()), "5 s, less the second of the average: {seen:?}");
        // The pictures come all at once, and both go on.
        (10_000..15_000).step_by(40).for_each(|ms| skew.note(&picture(ms)));
        let seen = run(&mut skew, 15_000, 25_000, 25_000);
        assert!((20..=40).contains(seen.last().unwrap()), "{seen:?}");
        let seen = run(&mut skew, 25_000, 30_000, 25_000);
        assert!((-4_200..=-3_900).contains(seen.last().unwrap()), "sound that stands still is behind: {seen:?}");
    }

    #[test]
    fn pictures_count_when_they_are_shown() {
        let mut skew = Skew::default();
        skew.note(&sound(0));
        for composition_ms in [80, 0] {
            let body = flv::video_access_unit(false, composition_ms, Bytes::new());
            skew.note(&Packet { kind: Kind::Video { is_key: false }, dts_ms: 0, body });
        }
        assert_eq!(skew.ms(), (SOUND_MS - 80.0).round() as i64);
    }
}
