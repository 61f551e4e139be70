//! Levels in decibels, and how a fader gets from one to another.
//!
//! -100 dB is silence wherever a level stands: in documents, in meters, in metrics; so every level is a number.
//!
//! A fade is data: from where, since when, for how long, by which easing. Where the fader is follows from the time alone.
//! It goes evenly on the scale that faders have, the cube root of the amplitude: half of the way down to silence is
//! -18 dB, and silence is reached, which in decibels it never would be.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::SAMPLE_RATE;
use crate::scene::{Easing, check::Check};

/// Silence, in dB.
pub const SILENT_DB: f64 = -100.0;
/// Gains of sources and of the whole.
pub(super) const GAINS_DB: RangeInclusive<f64> = SILENT_DB..=24.0;
/// Longest fade: ten minutes, in milliseconds.
const DURATION_MAX_MS: f64 = 600_000.0;
/// Latest start of a fade: some 31 years, in milliseconds.
const START_MAX_MS: f64 = 1e12;

/// The factor that a gain is.
pub(super) fn amplitude(db: f64) -> f64 {
    if db <= SILENT_DB { 0.0 } else { 10f64.powf(db / 20.0) }
}

/// The gain that a factor is; silence at least.
pub fn decibels(amplitude: f64) -> f64 {
    if amplitude > 0.0 { (20.0 * amplitude.log10()).max(SILENT_DB) } else { SILENT_DB }
}

/// A gain on its way to the one that stands beside it in the document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fade {
    /// Where it was at the start; none: silence. Written by whoever changes a gain on air.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = -100, maximum = 24)]
    pub from_db: Option<f64>,
    /// The time of the stream's sound at the start, in milliseconds; none: the stream's start. Written likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1e12)]
    pub start_ms: Option<f64>,
    /// How long it takes, in milliseconds.
    #[schema(minimum = 0, maximum = 600000)]
    pub duration_ms: f64,
    /// How it goes.
    #[serde(default)]
    pub easing: Easing,
}

impl Fade {
    pub(super) fn check(&self, check: &mut Check) {
        check.range("/fromDb", self.from_db.unwrap_or(SILENT_DB), GAINS_DB);
        check.range("/startMs", self.start_ms.unwrap_or_default(), 0.0..=START_MAX_MS);
        check.range("/durationMs", self.duration_ms, 0.0..=DURATION_MAX_MS);
    }

    /// Whether it has arrived at `sample`.
    pub(super) fn is_over(&self, sample: u64) -> bool {
        self.passed_ms(sample) >= self.duration_ms
    }

    fn passed_ms(&self, sample: u64) -> f64 {
        ms_of(sample) - self.start_ms.unwrap_or_default()
    }
}

/// The time of a sample in milliseconds, exactly.
pub(super) fn ms_of(sample: u64) -> f64 {
    sample as f64 * 1000.0 / f64::from(SAMPLE_RATE)
}

/// The factor at `sample` of a fader that is at `gain_db`, or on its way there.
pub(super) fn factor_at(gain_db: f64, fade: Option<&Fade>, sample: u64) -> f64 {
    let Some(fade) = fade.filter(|fade| !fade.is_over(sample)) else { return amplitude(gain_db) };
    let share = (fade.passed_ms(sample) / fade.duration_ms).max(0.0);
    let (from, to) = (place_of(fade.from_db.unwrap_or(SILENT_DB)), place_of(gain_db));
    let place = from + (to - from) * fade.easing.at(share);
    // An easing that overshoots goes no farther than faders do.
    place.clamp(0.0, place_of(*GAINS_DB.end())).powi(3)
}

/// Where a fader stands that lets a gain through.
fn place_of(db: f64) -> f64 {
    amplitude(db).cbrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fade(from_db: f64, easing: &str) -> Fade {
        let easing = easing.parse().unwrap();
        Fade { from_db: Some(from_db), start_ms: Some(1000.0), duration_ms: 2000.0, easing }
    }

    fn db_at(gain_db: f64, fade: &Fade, ms: u64) -> f64 {
        decibels(factor_at(gain_db, Some(fade), ms * 48))
    }

    #[test]
    fn decibels_and_factors_are_each_others_inverse_down_to_silence() {
        for db in [24.0, 0.0, -6.0, -99.9] {
            assert!((decibels(amplitude(db)) - db).abs() < 1e-9, "{db}");
        }
        assert_eq!((amplitude(0.0), amplitude(-100.0), decibels(0.0), decibels(1e-9)), (1.0, 0.0, -100.0, -100.0));
    }

    #[test]
    fn a_fade_goes_evenly_on_the_scale_of_a_fader() {
        let fade = fade(-100.0, "linear");
        for (ms, db) in [(0, -100.0), (1000, -100.0), (2000, -18.061_799_739), (3000, 0.0), (9000, 0.0)] {
            assert!((db_at(0.0, &fade, ms) - db).abs() < 1e-6, "{ms}: {}", db_at(0.0, &fade, ms));
        }
        let down = Fade { from_db: Some(0.0), ..fade };
        assert!((db_at(-100.0, &down, 2000) + 18.061_799_739).abs() < 1e-6);
        assert_eq!(db_at(-100.0, &down, 3000), -100.0, "silence is reached");
    }

    #[test]
    fn easings_shape_it_and_what_overshoots_is_cut_off() {
        assert!(db_at(0.0, &fade(-100.0, "easeInCubic"), 2000) < -50.0);
        assert_eq!(db_at(-100.0, &fade(0.0, "easeOutBack"), 2500), -100.0, "below silence is silence");
        assert!(db_at(24.0, &fade(0.0, "easeOutBack:1000"), 2000) <= 24.0 + 1e-9);
    }
}
