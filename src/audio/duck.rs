//! Ducking: how much quieter a source is while another one is heard.
//!
//! The other one's level is taken behind its fader, before it is ducked itself, so sources may make room for each other
//! without an order among them. It counts as heard from the first interval that is loud enough until it has been below the
//! threshold for [`HANG_KNOTS`]: a voice's own gaps are no pauses. The gain goes down and back in decibels, evenly, each in
//! its time.

use super::{
    fader::amplitude,
    mix::Duck,
    mixer::{KNOT_SAMPLES, KNOTS},
};

/// Intervals, 200 ms, for which a source that fell silent still counts as heard.
const HANG_KNOTS: u32 = 150;

/// The state of one source's ducking.
#[derive(Debug, Default)]
pub(super) struct Ducker {
    /// How much quieter it is now, in dB.
    down_db: f64,
    /// Intervals for which the other one still counts as heard.
    hang: u32,
}

impl Ducker {
    /// The factors at the ends of a block's intervals, for mean squares of the other source in each. Without a document
    /// it lets go in the default time.
    pub(super) fn factors(&mut self, duck: Option<&Duck>, heard: Option<&[f32; KNOTS]>) -> [f32; KNOTS] {
        if self.down_db == 0.0 && duck.is_none() {
            return [1.0; KNOTS];
        }
        let threshold = duck.map_or(f64::MAX, |duck| amplitude(duck.threshold_dbfs).powi(2));
        std::array::from_fn(|knot| {
            let is_heard = heard.is_some_and(|squares| f64::from(squares[knot]) >= threshold);
            self.hang = if is_heard { HANG_KNOTS } else { self.hang.saturating_sub(1) };
            self.step(duck);
            if self.down_db == 0.0 { 1.0 } else { amplitude(-self.down_db) as f32 }
        })
    }

    fn step(&mut self, duck: Option<&Duck>) {
        let (target, attack_ms, release_ms) = match duck {
            Some(duck) if self.hang > 0 => (duck.reduction_db, duck.attack_ms, duck.release_ms),
            Some(duck) => (0.0, duck.attack_ms, duck.release_ms),
            None => (0.0, RELEASE_MS, RELEASE_MS),
        };
        let way_db = duck.map_or(WAY_DB, |duck| duck.reduction_db).max(self.down_db);
        let step = |ms: f64| way_db * KNOT_SAMPLES as f64 / (ms * 48.0);
        self.down_db = if target > self.down_db {
            (self.down_db + step(attack_ms)).min(target)
        } else {
            (self.down_db - step(release_ms)).max(target)
        };
    }
}

/// How a ducking that was taken out of the document ends.
const RELEASE_MS: f64 = 100.0;
const WAY_DB: f64 = 12.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn duck() -> Duck {
        let under = crate::base::id::Id::new("voice").unwrap();
        Duck { under, threshold_dbfs: -40.0, reduction_db: 12.0, attack_ms: 100.0, release_ms: 800.0 }
    }

    /// How far down it is, in dB, after so many blocks in which the other one has this level.
    fn after(ducker: &mut Ducker, duck: Option<&Duck>, level_db: f64, blocks: usize) -> f64 {
        let squares = [amplitude(level_db).powi(2) as f32; KNOTS];
        let factors = (0..blocks).map(|_| ducker.factors(duck, Some(&squares))).last().unwrap();
        -20.0 * f64::from(factors[KNOTS - 1]).log10()
    }

    #[test]
    fn it_goes_down_in_the_attack_and_back_in_the_release() {
        let (mut ducker, duck) = (Ducker::default(), duck());
        assert_eq!(after(&mut ducker, Some(&duck), -41.0, 50), 0.0, "below the threshold");
        // Two blocks are 42.7 of 100 ms.
        assert!((after(&mut ducker, Some(&duck), -39.0, 2) - 12.0 * 0.426_67).abs() < 0.01);
        assert!((after(&mut ducker, Some(&duck), -39.0, 3) - 12.0).abs() < 1e-4);
        // 200 ms of hanging on are 150 intervals, 9 blocks and 6.
        assert!((after(&mut ducker, Some(&duck), -90.0, 9) - 12.0).abs() < 1e-4);
        // From the 150th interval on: 155 of the 304 so far.
        assert!((after(&mut ducker, Some(&duck), -90.0, 10) - (12.0 - 155.0 * 0.02)).abs() < 1e-3);
        assert_eq!(after(&mut ducker, Some(&duck), -90.0, 40), 0.0);
    }

    #[test]
    fn taken_out_of_the_document_it_lets_go() {
        let (mut ducker, duck) = (Ducker::default(), duck());
        after(&mut ducker, Some(&duck), 0.0, 10);
        let factors = ducker.factors(None, None);
        assert!(factors.windows(2).all(|pair| pair[0] < pair[1]), "without a jump: {factors:?}");
        assert_eq!(after(&mut ducker, None, 0.0, 10), 0.0);
        assert_eq!(ducker.factors(None, None), [1.0; KNOTS]);
    }
}
