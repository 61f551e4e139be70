//! Any layout of up to eight channels to left and right.
//!
//! As ITU-R BS.775-4, table 2, has it: the centre and each surround go into their sides at -3 dB, the low-frequency
//! effects nowhere. What that table does not have follows from it: a centre behind is two surrounds, each at -3 dB again,
//! a height is what is below it at -3 dB, and what stands between front left and front centre is left. Mono is heard on
//! both sides at full level. Nothing is scaled down to make sure that the sum fits: levels stay those of the original,
//! and the mixer's limiter is there for the rare peak.

use symphonia::core::audio::{Channels, Position};

use super::{super::CHANNELS, error::Error};

/// Most channels of a file.
pub(super) const CHANNELS_MAX: usize = 8;
/// -3 dB.
const HALF_POWER: f32 = std::f32::consts::FRAC_1_SQRT_2;
/// A pair of left and right.
pub(super) type Frame = [f32; CHANNELS];

/// What each channel of a file adds to left and right, in the order of its channels.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Downmix {
    gains: Vec<Frame>,
}

impl Downmix {
    /// The downmix of this layout, which has one channel to [`CHANNELS_MAX`].
    pub(super) fn new(channels: &Channels) -> Result<Self, Error> {
        let count = channels.count();
        let gains = match (count, channels) {
            (1, _) => vec![[1.0, 1.0]],
            (2, _) => vec![[1.0, 0.0], [0.0, 1.0]],
            (3..=CHANNELS_MAX, Channels::Positioned(positions)) => gains(*positions),
            (3..=CHANNELS_MAX, _) => gains(usual(count)),
            _ => return Err(Error::Channels { count }),
        };
        Ok(Self { gains })
    }

    /// Adds the frames in `planes`, one slice for each channel, to `out`.
    pub(super) fn append(&self, planes: &[Vec<f32>], out: &mut Vec<Frame>) {
        let frames = planes.iter().map(Vec::len).min().unwrap_or(0);
        let first = out.len();
        out.resize(first + frames, [0.0; CHANNELS]);
        for (plane, gain) in planes.iter().zip(&self.gains) {
            for (frame, &sample) in out[first..].iter_mut().zip(plane) {
                frame[0] += sample * gain[0];
                frame[1] += sample * gain[1];
            }
        }
    }
}

/// In the order of the positions' bits, which is that of decoded channels.
fn gains(positions: Position) -> Vec<Frame> {
    positions.iter().map(gain).collect()
}

/// Who is who where the file does not say it.
fn usual(count: usize) -> Position {
    let front = Position::FRONT_LEFT | Position::FRONT_RIGHT;
    let rear = Position::REAR_LEFT | Position::REAR_RIGHT;
    let side = Position::SIDE_LEFT | Position::SIDE_RIGHT;
    let (centre, effects) = (Position::FRONT_CENTER, Position::LFE1);
    match count {
        3 => front | centre,
        4 => front | rear,
        5 => front | centre | rear,
        6 => front | centre | effects | rear,
        7 => front | centre | effects | Position::REAR_CENTER | side,
        _ => front | centre | effects | rear | side,
    }
}

fn gain(position: Position) -> Frame {
    let height = HALF_POWER;
    match position {
        Position::FRONT_LEFT | Position::FRONT_LEFT_CENTER | Position::FRONT_LEFT_WIDE => [1.0, 0.0],
        Position::FRONT_RIGHT | Position::FRONT_RIGHT_CENTER | Position::FRONT_RIGHT_WIDE => [0.0, 1.0],
        Position::FRONT_CENTER => [HALF_POWER; CHANNELS],
        Position::REAR_LEFT | Position::SIDE_LEFT => [HALF_POWER, 0.0],
        Position::REAR_RIGHT | Position::SIDE_RIGHT => [0.0, HALF_POWER],
        Position::REAR_CENTER => [HALF_POWER * HALF_POWER; CHANNELS],
        Position::TOP_FRONT_LEFT | Position::BOTTOM_FRONT_LEFT => [height, 0.0],
        Position::TOP_FRONT_RIGHT | Position::BOTTOM_FRONT_RIGHT => [0.0, height],
        Position::TOP_SIDE_LEFT | Position::TOP_REAR_LEFT => [height * HALF_POWER, 0.0],
        Position::TOP_SIDE_RIGHT | Position::TOP_REAR_RIGHT => [0.0, height * HALF_POWER],
        Position::TOP_CENTER | Position::TOP_FRONT_CENTER | Position::BOTTOM_FRONT_CENTER => {
            [height * HALF_POWER; CHANNELS]
        }
        Position::TOP_REAR_CENTER => [height * HALF_POWER * HALF_POWER; CHANNELS],
        // Low-frequency effects.
        _ => [0.0; CHANNELS],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUS_3_DB: f32 = 0.707_106_77;

    fn mixed(channels: &Channels, frame: &[f32]) -> Frame {
        let planes: Vec<_> = frame.iter().map(|&sample| vec![sample]).collect();
        let mut out = Vec::new();
        Downmix::new(channels).unwrap().append(&planes, &mut out);
        out[0]
    }

    fn each_channel_alone(channels: &Channels) -> Vec<Frame> {
        let count = channels.count();
        let alone = |channel| (0..count).map(move |other| if other == channel { 1.0 } else { 0.0 }).collect::<Vec<_>>();
        (0..count).map(|channel| mixed(channels, &alone(channel))).collect()
    }

    #[test]
    fn mono_and_stereo_keep_their_levels() {
        assert_eq!(mixed(&Channels::Positioned(Position::FRONT_CENTER), &[0.5]), [0.5, 0.5]);
        assert_eq!(mixed(&Channels::Discrete(1), &[0.5]), [0.5, 0.5]);
        let stereo = Channels::Positioned(Position::FRONT_LEFT | Position::FRONT_RIGHT);
        assert_eq!(mixed(&stereo, &[0.25, -0.5]), [0.25, -0.5]);
    }

    /// BS.775: left, right, centre, effects, left and right surround.
    #[test]
    fn five_one_is_as_bs_775_has_it() {
        let named = Channels::Positioned(Position::from_wave_channel_count(6).unwrap());
        let expected = [[1.0, 0.0], [0.0, 1.0], [MINUS_3_DB; 2], [0.0; 2], [MINUS_3_DB, 0.0], [0.0, MINUS_3_DB]];
        assert_eq!(each_channel_alone(&named), expected);
        assert_eq!(each_channel_alone(&Channels::Discrete(6)), expected, "unnamed channels stand in that order");
    }

    #[test]
    fn up_to_eight_channels_are_heard_and_balanced() {
        for count in 1..=CHANNELS_MAX as u16 {
            let alone = each_channel_alone(&Channels::Discrete(count));
            let sum = alone.iter().fold([0.0; 2], |[l, r], gain| [l + gain[0], r + gain[1]]);
            assert!((sum[0] - sum[1]).abs() < 1e-6 && sum[0] >= 1.0, "{count} channels: {alone:?}");
        }
        for channels in [Channels::None, Channels::Discrete(0), Channels::Discrete(9), Channels::Discrete(255)] {
            let expected = format!("its {} channels are out of range: 1 to 8", channels.count());
            assert_eq!(Downmix::new(&channels).unwrap_err().to_string(), expected);
        }
    }
}
