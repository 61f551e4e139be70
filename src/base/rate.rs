//! Frame rates as rational numbers, and the time of a frame.
//!
//! All timestamps are derived from a frame number by one multiplication and one division, so they never accumulate a
//! rounding error: frame n is at round(n * den * 1000 / num) ms, after an hour or a year.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use super::schema::written;

const NANOS_PER_SECOND: u128 = 1_000_000_000;
/// Highest frame rate, frames per second.
pub const FPS_MAX: u32 = 60;

/// Frames per second as `num / den`, in lowest terms, 1 to 60.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Text", into = "String")]
pub struct FrameRate {
    num: u32,
    den: u32,
}

/// Why a frame rate is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a frame rate: use 25, 30, 50, 60, 29.97, 59.94 or a fraction such as 30000/1001, from 1 to {FPS_MAX}"
)]
pub struct InvalidRate {
    /// The refused text.
    pub text: String,
}

/// A rate as documents write it: a text or a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Text(String),
    Number(f64),
}

written!(FrameRate as "FrameRate" = {
    "description": "Frames per second, 1 to 60: a number, its digits, or a fraction such as `30000/1001`.",
    "oneOf": [
        { "type": "string", "pattern": "^[0-9]+(\\.[0-9]+|/[0-9]+)?$", "examples": ["30", "29.97", "30000/1001"] },
        { "type": "number", "minimum": 1, "maximum": 60 }
    ]
});

impl FrameRate {
    /// `num / den` frames per second.
    pub fn new(num: u32, den: u32) -> Result<Self, InvalidRate> {
        let refused = || InvalidRate { text: format!("{num}/{den}") };
        if den == 0 || num < den || u64::from(num) > u64::from(den) * u64::from(FPS_MAX) {
            return Err(refused());
        }
        let divisor = gcd(num, den);
        Ok(Self { num: num / divisor, den: den / divisor })
    }

    /// Numerator, in frames.
    pub fn num(self) -> u32 {
        self.num
    }

    /// Denominator, in seconds.
    pub fn den(self) -> u32 {
        self.den
    }

    /// Frames per second, for metadata and people.
    pub fn as_f64(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }

    /// How many frames of this rate there are to one of `slower`, if that is a whole number.
    pub fn frames_per(self, slower: Self) -> Option<u64> {
        let (frames, per) = (u64::from(self.num) * u64::from(slower.den), u64::from(self.den) * u64::from(slower.num));
        frames.is_multiple_of(per).then_some(frames / per)
    }

    /// This rate, and those that have each second, third and so on of its frames.
    pub fn divisors(self) -> impl Iterator<Item = Self> {
        (1..=FPS_MAX).map_while(move |every| Self::new(self.num, self.den.checked_mul(every)?).ok())
    }

    /// When frame `number` starts, counted from frame 0.
    pub fn time_of(self, number: u64) -> Duration {
        let nanos = u128::from(number) * u128::from(self.den) * NANOS_PER_SECOND / u128::from(self.num);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// When frame `number` starts, in whole milliseconds, rounded to nearest: the timestamp FLV carries.
    pub fn ms_of(self, number: u64) -> u64 {
        let num = u128::from(self.num);
        let ms = (u128::from(number) * u128::from(self.den) * 1000 + num / 2) / num;
        u64::try_from(ms).unwrap_or(u64::MAX)
    }

    /// The last frame that has started at `time`.
    pub fn frame_at(self, time: Duration) -> u64 {
        let frames = time.as_nanos() * u128::from(self.num) / (u128::from(self.den) * NANOS_PER_SECOND);
        let frames = u64::try_from(frames).unwrap_or(u64::MAX);
        // `time_of` rounds down, so the frame after may start within the same nanosecond.
        if self.time_of(frames.saturating_add(1)) <= time { frames.saturating_add(1) } else { frames }
    }

    /// The first frame that does not start before `time`.
    pub fn first_frame_at(self, time: Duration) -> u64 {
        let frame = self.frame_at(time);
        if self.time_of(frame) < time { frame.saturating_add(1) } else { frame }
    }

    /// How many frames come closest to `span`, at least one.
    pub fn frames_in(self, span: Duration) -> u64 {
        let unit = u128::from(self.den) * NANOS_PER_SECOND;
        let frames = (span.as_nanos() * u128::from(self.num) + unit / 2) / unit;
        u64::try_from(frames).unwrap_or(u64::MAX).max(1)
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl FromStr for FrameRate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let refused = || InvalidRate { text: text.chars().take(32).collect() };
        if let Some((num, den)) = text.split_once('/') {
            let (num, den) = (num.trim().parse(), den.trim().parse());
            return Self::new(num.map_err(|_| refused())?, den.map_err(|_| refused())?).map_err(|_| refused());
        }
        let fps: f64 = text.trim().parse().map_err(|_| refused())?;
        if !fps.is_finite() || !(1.0..=f64::from(FPS_MAX)).contains(&fps) {
            return Err(refused());
        }
        if fps.fract() == 0.0 {
            return Self::new(fps as u32, 1).map_err(|_| refused());
        }
        // The decimals people write for NTSC rates (23.976, 29.97, 59.94) stand for n * 1000 / 1001.
        let ntsc = fps.ceil() as u32;
        if (f64::from(ntsc) * 1000.0 / 1001.0 - fps).abs() < 0.005 {
            return Self::new(ntsc * 1000, 1001).map_err(|_| refused());
        }
        Self::new((fps * 1000.0).round() as u32, 1000).map_err(|_| refused())
    }
}

impl TryFrom<Text> for FrameRate {
    type Error = InvalidRate;
    fn try_from(text: Text) -> Result<Self, InvalidRate> {
        match text {
            Text::Text(text) => text.parse(),
            Text::Number(fps) => fps.to_string().parse(),
        }
    }
}

impl From<FrameRate> for String {
    fn from(rate: FrameRate) -> Self {
        rate.to_string()
    }
}

impl fmt::Display for FrameRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.den == 1 { write!(f, "{}", self.num) } else { write!(f, "{}/{}", self.num, self.den) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> FrameRate {
        text.parse().unwrap()
    }

    #[test]
    fn reads_what_people_write() {
        for (text, num, den) in [
            ("25", 25, 1),
            ("30", 30, 1),
            ("29.97", 30000, 1001),
            ("59.94", 60000, 1001),
            ("23.976", 24000, 1001),
            ("30000/1001", 30000, 1001),
            ("60/2", 30, 1),
            ("12.5", 25, 2),
        ] {
            assert_eq!((rate(text).num(), rate(text).den()), (num, den), "{text}");
            assert_eq!(rate(&rate(text).to_string()), rate(text), "{text} survives a round trip");
        }
        for bad in ["", "0", "61", "NaN", "inf", "-30", "30/0", "1/2", "fast", "1e9"] {
            assert!(bad.parse::<FrameRate>().is_err(), "{bad}");
        }
        assert_eq!(serde_json::from_str::<FrameRate>("29.97").unwrap(), rate("30000/1001"));
    }

    #[test]
    fn an_hour_of_ntsc_is_exact() {
        assert_eq!(rate("29.97").ms_of(107_892), 3_599_996); // 107,892 * 1001 / 30 = 3,599,996.4
        assert_eq!(rate("30").ms_of(1), 33);
        assert_eq!(rate("30").ms_of(2), 67);
        assert_eq!(rate("60").frames_in(Duration::from_secs(2)), 120);
        assert_eq!(rate("59.94").frames_in(Duration::from_secs(2)), 120);
    }

    #[test]
    fn slower_rates_have_each_so_many_frames() {
        for (fast, slow, every) in
            [("60", "30", Some(2)), ("30", "15", Some(2)), ("29.97", "30000/2002", Some(2)), ("25", "12.5", Some(2))]
        {
            assert_eq!(rate(fast).frames_per(rate(slow)), every, "{fast} to {slow}");
        }
        for (fast, slow) in [("30", "25"), ("30", "29.97"), ("25", "30"), ("59.94", "30")] {
            assert_eq!(rate(fast).frames_per(rate(slow)), None, "{fast} to {slow}");
        }
        let texts: Vec<_> = rate("29.97").divisors().take(4).map(|rate| rate.to_string()).collect();
        assert_eq!(texts, ["30000/1001", "15000/1001", "10000/1001", "7500/1001"]);
        assert_eq!((rate("60").divisors().count(), rate("1").divisors().count()), (60, 1));
        assert!(rate("29.97").divisors().all(|slow| rate("29.97").frames_per(slow).is_some()));
    }

    #[test]
    fn frame_at_inverts_time_of() {
        for text in ["25", "29.97", "30", "59.94", "60"] {
            for n in [0, 1, 2, 3, 29, 30, 1000, 107_892, 90_000_000] {
                assert_eq!(rate(text).frame_at(rate(text).time_of(n)), n, "{text} {n}");
            }
        }
    }
}
