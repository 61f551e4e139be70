//! How many bits a rendition's encoder may make, when its outputs cannot get rid of what it was told to make.
//!
//! ```text
//!  queue of an output ≥ 200 ms ──► down: nine tenths of what its network took in the last 2 s, less the sound, and less
//!                                  what waits, so that this is gone in some 4 s; again at the earliest after 2 s, when
//!                                  the first step can be seen
//!  none ≥ 100 ms for a while   ──► up by a tenth of what is configured, again after 4 s, until exactly that is reached
//! ```
//!
//! The while is 4 s as a rule. Where a step up led to the next step down it doubles, to a minute at most, so that a network
//! that stays slow is not tried all the time; the first step up that holds makes it 4 s again, so the way back is short.
//! The constants are OBS Studio's, but for the doubling and for the time in which the queue is to drain: without it a
//! viewer would stay as late as the network has made the stream.
//!
//! Which outputs count is the policy's: all (`lowest`), those that are marked (`primary`), none (`off`). One that is off air
//! counts for nothing, and neither does one that takes nothing at all: fewer bits would not help it, and it is given up
//! soon. Pure: readings and the stream's time in, decisions out; nothing is allocated but for an output that is new.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::output::Flow;

/// A queue this long is too long.
const CONGESTED_MS: u64 = 200;
/// With longer ones nothing is raised.
const CALM_MS: u64 = 100;
/// Over how long it is measured what a network takes, and how long a step down is given to show.
const WINDOW_MS: u64 = 2000;
/// From one step up to the next.
const STEP_MS: u64 = 4000;
/// Longest wait before a step up.
const PATIENCE_MAX_MS: u64 = 64_000;
/// A step up is a share of what is configured.
const STEPS: u32 = 10;
/// In this time what waits is to be gone.
const DRAIN_MS: u64 = 4000;
/// Shorter waits for the network say nothing of it.
const BUSY_MIN_MS: u64 = 200;
/// Bitrates are whole multiples of this.
const GRAIN_KBPS: u32 = 100;
/// How often outputs are looked at.
pub(super) const TICK_MS: u64 = 100;
/// As many readings lie in a window.
const READINGS: usize = (WINDOW_MS / TICK_MS) as usize;

/// Which outputs the bitrate follows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AdaptiveBitratePolicy)]
pub enum Policy {
    /// None: the bitrate is what is configured.
    #[default]
    Off,
    /// All, so that even the slowest gets every picture.
    Lowest,
    /// Those that are marked as primary; the others lose pictures where they are slower.
    Primary,
}

/// How the bitrate follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = AdaptiveBitrate)]
pub struct Rule {
    /// Which outputs.
    pub policy: Policy,
    /// Kilobits per second that it does not go below, unless less is configured.
    #[schema(minimum = 50, maximum = 100000)]
    pub min_kbps: u32,
}

impl Default for Rule {
    fn default() -> Self {
        Self { policy: Policy::Off, min_kbps: 500 }
    }
}

/// What is configured of a rendition, as it is at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) rule: Rule,
    /// Kilobits per second when nothing is in the way.
    pub(super) ceiling_kbps: u32,
    /// Kilobits per second of sound, which the outputs get as well.
    pub(super) sound_kbps: u32,
}

impl Wanted {
    fn range(&self) -> RangeInclusive<u32> {
        self.rule.min_kbps.min(self.ceiling_kbps)..=self.ceiling_kbps
    }
}

/// An output as it is now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// Which one: unique for the stream's life.
    pub(super) number: u64,
    pub(super) is_primary: bool,
    pub(super) flow: Flow,
}

/// Why the bitrate changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// The output of this number got behind.
    Congestion(u64),
    /// None is behind any more.
    Recovery,
    /// What is configured was changed.
    Configured,
}

/// A change of the bitrate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) from_kbps: u32,
    pub(super) to_kbps: u32,
    pub(super) reason: Reason,
}

/// Decides for one rendition.
#[derive(Debug)]
pub(super) struct Governor {
    current_kbps: u32,
    ceiling_kbps: u32,
    outputs: Vec<Watched>,
    /// No step down before, and none up.
    down_from_ms: u64,
    up_from_ms: u64,
    /// How long it is waited before the first step up.
    patience_ms: u64,
    /// When the last step up was, while it has not held for long enough.
    probing_since_ms: Option<u64>,
}

impl Governor {
    /// At what is configured.
    pub(super) fn new(ceiling_kbps: u32) -> Self {
        Self {
            current_kbps: ceiling_kbps,
            ceiling_kbps,
            outputs: Vec::new(),
            down_from_ms: 0,
            up_from_ms: 0,
            patience_ms: STEP_MS,
            probing_since_ms: None,
        }
    }

    /// Looks at the outputs at `now_ms` of the stream, each [`TICK_MS`]; the bitrate's change, if it changes.
    pub(super) fn tick(
        &mut self,
        now_ms: u64,
        wanted: &Wanted,
        readings: impl Iterator<Item = Reading>,
    ) -> Option<Decision> {
        self.outputs.iter_mut().for_each(|output| output.is_there = false);
        let mut slowest: Option<(u64, u32)> = None;
        let mut is_calm = true;
        for reading in readings {
            let Some(queue_ms) = self.watch(&reading) else { continue };
            let counts = match wanted.rule.policy {
                Policy::Off => false,
                Policy::Lowest => true,
                Policy::Primary => reading.is_primary,
            };
            is_calm &= !counts || queue_ms < CALM_MS;
            if counts
                && queue_ms >= CONGESTED_MS
                && let Some(kbps) = self.room(&reading)
            {
                slowest = slowest.filter(|(_, slowest)| *slowest <= kbps).or(Some((reading.number, kbps)));
            }
        }
        self.outputs.retain(|output| output.is_there);
        self.configured(wanted).or_else(|| match slowest {
            Some((number, kbps)) => self.step_down(now_ms, wanted, number, kbps),
            None if !is_calm => {
                self.up_from_ms = self.up_from_ms.max(now_ms + self.patience_ms);
                None
            }
            None => self.step_up(now_ms, wanted),
        })
    }

    /// Takes a reading down; the queue of an output that is on air and takes something.
    fn watch(&mut self, reading: &Reading) -> Option<u64> {
        let index = self.outputs.iter().position(|output| output.number == reading.number);
        let index = index.unwrap_or_else(|| {
            self.outputs.push(Watched::new(reading.number));
            self.outputs.len() - 1
        });
        self.outputs[index].note(&reading.flow);
        reading.flow.session.map(|_| reading.flow.queue_ms)
    }

    /// Kilobits per second, sound included, with which an output gets rid of what waits; `None` if that is not known.
    fn room(&self, reading: &Reading) -> Option<u32> {
        let network_kbps = self.outputs.iter().find(|output| output.number == reading.number)?.kbps()?;
        let waiting_kbps = reading.flow.queue_bytes as u64 * 8 / DRAIN_MS;
        let network_kbps = u64::from(network_kbps) * 9 / 10;
        // A picture is worth some delay.
        let room_kbps = network_kbps.saturating_sub(waiting_kbps).max(network_kbps / 2);
        Some(u32::try_from(room_kbps).unwrap_or(u32::MAX))
    }

    /// Somebody configured something else.
    fn configured(&mut self, wanted: &Wanted) -> Option<Decision> {
        let was_free = self.current_kbps == self.ceiling_kbps;
        self.ceiling_kbps = wanted.ceiling_kbps;
        let range = wanted.range();
        let next = match wanted.rule.policy {
            Policy::Off => wanted.ceiling_kbps,
            _ if was_free => wanted.ceiling_kbps,
            _ => self.current_kbps.clamp(*range.start(), *range.end()),
        };
        self.change(next, Reason::Configured)
    }

    fn step_down(&mut self, now_ms: u64, wanted: &Wanted, number: u64, kbps: u32) -> Option<Decision> {
        self.up_from_ms = self.up_from_ms.max(now_ms + self.patience_ms);
        if now_ms < self.down_from_ms {
            return None;
        }
        let range = wanted.range();
        let video_kbps = kbps.saturating_sub(wanted.sound_kbps);
        let next = (video_kbps / GRAIN_KBPS * GRAIN_KBPS).clamp(*range.start(), *range.end());
        if next >= self.current_kbps {
            return None;
        }
        if self.probing_since_ms.take().is_some() {
            self.patience_ms = (self.patience_ms * 2).min(PATIENCE_MAX_MS);
        }
        self.down_from_ms = now_ms + WINDOW_MS;
        self.up_from_ms = now_ms + self.patience_ms;
        self.change(next, Reason::Congestion(number))
    }

    fn step_up(&mut self, now_ms: u64, wanted: &Wanted) -> Option<Decision> {
        if now_ms < self.up_from_ms {
            return None;
        }
        // The last step up has held.
        if self.probing_since_ms.take().is_some() {
            self.patience_ms = STEP_MS;
        }
        if self.current_kbps >= wanted.ceiling_kbps {
            return None;
        }
        self.probing_since_ms = Some(now_ms);
        self.up_from_ms = now_ms + STEP_MS;
        let step = (wanted.ceiling_kbps / STEPS).max(1);
        self.change((self.current_kbps + step).min(wanted.ceiling_kbps), Reason::Recovery)
    }

    fn change(&mut self, to_kbps: u32, reason: Reason) -> Option<Decision> {
        let from_kbps = std::mem::replace(&mut self.current_kbps, to_kbps);
        (from_kbps != to_kbps).then_some(Decision { from_kbps, to_kbps, reason })
    }
}

/// What an output's network took lately.
#[derive(Debug)]
struct Watched {
    number: u64,
    is_there: bool,
    session: Option<u64>,
    /// Sums of the time waited in milliseconds and of the bytes taken in it, the oldest first, in a ring.
    readings: [(u64, u64); READINGS],
    count: usize,
}

impl Watched {
    fn new(number: u64) -> Self {
        Self { number, is_there: true, session: None, readings: [(0, 0); READINGS], count: 0 }
    }

    fn note(&mut self, flow: &Flow) {
        self.is_there = true;
        // Another connection is another network.
        if self.session != flow.session {
            self.session = flow.session;
            self.count = 0;
        }
        let busy_ms = u64::try_from(flow.busy.as_millis()).unwrap_or(u64::MAX);
        self.readings[self.count % READINGS] = (busy_ms, flow.busy_bytes);
        self.count += 1;
    }

    /// Kilobits per second that the network took while it was waited for; `None` if that is not known, or nothing was.
    fn kbps(&self) -> Option<u32> {
        let last = self.count.checked_sub(1)?;
        let newest = self.readings[last % READINGS];
        let oldest = self.readings[if self.count > READINGS { self.count % READINGS } else { 0 }];
        let (ms, bytes) = (newest.0.saturating_sub(oldest.0), newest.1.saturating_sub(oldest.1));
        let is_known = ms >= BUSY_MIN_MS && bytes > 0;
        is_known.then(|| u32::try_from(bytes.saturating_mul(8) / ms).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const SOUND_KBPS: u32 = 128;

    /// An output behind a network that takes `kbps`, and its queue.
    #[derive(Debug, Clone)]
    struct Line {
        kbps: u32,
        is_primary: bool,
        session: Option<u64>,
        /// Bits that wait.
        backlog: u64,
        busy_ms: u64,
        busy_bytes: u64,
        /// Length of what waits, at the rate at which it was made.
        made_kbps: u32,
    }

    impl Line {
        fn new(kbps: u32) -> Self {
            let session = Some(1);
            Self { kbps, is_primary: false, session, backlog: 0, busy_ms: 0, busy_bytes: 0, made_kbps: 1 }
        }

        /// A tick in which `video_kbps` are made.
        fn pass(&mut self, video_kbps: u32) {
            self.made_kbps = video_kbps + SOUND_KBPS;
            self.backlog += u64::from(self.made_kbps) * TICK_MS;
            let taken = self.backlog.min(u64::from(self.kbps) * TICK_MS);
            self.backlog -= taken;
            if self.backlog > 0 {
                self.busy_ms += TICK_MS;
                self.busy_bytes += taken / 8;
            }
            // As the queue does, which drops what is older.
            self.backlog = self.backlog.min(u64::from(self.made_kbps) * 1000);
        }

        fn reading(&self, number: u64) -> Reading {
            let flow = Flow {
                session: self.session,
                queue_ms: self.backlog / u64::from(self.made_kbps),
                queue_bytes: self.backlog as usize / 8,
                busy: Duration::from_millis(self.busy_ms),
                busy_bytes: self.busy_bytes,
            };
            Reading { number, is_primary: self.is_primary, flow }
        }
    }

    struct Bench {
        governor: Governor,
        wanted: Wanted,
        lines: Vec<Line>,
        now_ms: u64,
    }

    impl Bench {
        fn new(policy: Policy, lines: Vec<Line>) -> Self {
            let wanted = Wanted { rule: Rule { policy, min_kbps: 500 }, ceiling_kbps: 4500, sound_kbps: SOUND_KBPS };
            Self { governor: Governor::new(4500), wanted, lines, now_ms: 0 }
        }

        /// Decisions in so many seconds, each with its time.
        fn run(&mut self, seconds: u64) -> Vec<(u64, Decision)> {
            let mut decisions = Vec::new();
            for _ in 0..seconds * 1000 / TICK_MS {
                self.now_ms += TICK_MS;
                let kbps = self.governor.current_kbps;
                self.lines.iter_mut().for_each(|line| line.pass(kbps));
                let readings = self.lines.iter().zip(0..).map(|(line, number)| line.reading(number));
                let decision = self.governor.tick(self.now_ms, &self.wanted, readings);
                decisions.extend(decision.map(|decision| (self.now_ms, decision)));
            }
            decisions
        }

        fn kbps(&self) -> u32 {
            self.governor.current_kbps
        }
    }

    #[test]
    fn it_goes_down_to_what_the_network_takes_and_all_the_way_back() {
        let mut bench = Bench::new(Policy::Lowest, vec![Line::new(20_000), Line::new(20_000)]);
        assert_eq!(bench.run(60), [], "nothing is in the way");
        // A third of what is needed, for twenty seconds.
        bench.lines[1].kbps = 1540;
        let decisions = bench.run(20);
        let (at_ms, first) = decisions[0];
        assert!(at_ms - 60_000 <= 1000, "{decisions:?}");
        assert_eq!((first.from_kbps, first.reason), (4500, Reason::Congestion(1)));
        assert!((700..=1258).contains(&first.to_kbps), "nine tenths without the sound, or less: {decisions:?}");
        assert!(bench.kbps() <= 1700, "{decisions:?}");
        // A second of what is made is where the line itself would drop.
        let late_ms = bench.lines[1].reading(1).flow.queue_ms;
        assert!(late_ms < 500, "{late_ms} ms; {decisions:?}");
        bench.lines[1].kbps = 20_000;
        let decisions = bench.run(110);
        assert_eq!(bench.kbps(), 4500, "{decisions:?}");
        assert!(decisions.iter().all(|(_, decision)| decision.reason == Reason::Recovery));
        let steps: Vec<_> = decisions.iter().map(|(_, decision)| decision.to_kbps - decision.from_kbps).collect();
        assert!(steps.iter().all(|step| *step <= 450), "{steps:?}");
        let pauses: Vec<_> = decisions.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        assert!(pauses.iter().all(|pause| *pause == STEP_MS), "{pauses:?}");
    }

    #[test]
    fn a_network_that_stays_slow_is_tried_less_and_less_often() {
        let mut bench = Bench::new(Policy::Lowest, vec![Line::new(2100)]);
        let tries = |decisions: &[(u64, Decision)]| {
            decisions.iter().filter(|(_, decision)| decision.reason == Reason::Recovery).count()
        };
        let first = tries(&bench.run(60));
        bench.run(240);
        let later = tries(&bench.run(60));
        assert!(first >= 3 && later <= 3 && later < first, "{first} tries a minute, later {later}");
        bench.lines[0].kbps = 20_000;
        bench.run(64 + 40);
        assert_eq!(bench.kbps(), 4500);
    }

    #[test]
    fn who_counts_is_the_policys() {
        let slow = || Line::new(1000);
        let mut off = Bench::new(Policy::Off, vec![slow()]);
        assert_eq!(off.run(30), []);
        let mut primary = Bench::new(Policy::Primary, vec![slow(), Line { is_primary: true, ..Line::new(20_000) }]);
        assert_eq!(primary.run(30), [], "the slow one is not primary");
        primary.lines[1].kbps = 2000;
        assert_eq!(primary.run(5)[0].1.reason, Reason::Congestion(1));
        // Whoever counts no more is in nobody's way.
        let before = primary.kbps();
        primary.wanted.rule.policy = Policy::Off;
        assert_eq!(primary.run(1)[0].1, Decision { from_kbps: before, to_kbps: 4500, reason: Reason::Configured });
    }

    #[test]
    fn one_that_is_off_air_or_takes_nothing_does_not_count() {
        let mut bench = Bench::new(Policy::Lowest, vec![Line::new(0), Line { session: None, ..Line::new(500) }]);
        assert_eq!(bench.run(30), []);
        // A connection that is new is not judged by the last one.
        bench.lines[1].session = Some(2);
        bench.lines[1].kbps = 50_000;
        assert_eq!(bench.run(30), []);
    }

    #[test]
    fn what_is_configured_holds_at_once() {
        let mut bench = Bench::new(Policy::Lowest, vec![Line::new(3000)]);
        bench.run(2);
        let before = bench.kbps();
        assert!((1500..3000).contains(&before), "{before}");
        bench.wanted.ceiling_kbps = 1400;
        assert_eq!(bench.run(1)[0].1, Decision { from_kbps: before, to_kbps: 1400, reason: Reason::Configured });
        bench.wanted.ceiling_kbps = 1600;
        assert_eq!(bench.run(1)[0].1.to_kbps, 1600, "it stood at the ceiling");
        bench.lines.clear();
        bench.wanted.ceiling_kbps = 400;
        assert_eq!(bench.run(1)[0].1.to_kbps, 400, "below the floor, as somebody wants it");
        bench.wanted.ceiling_kbps = 4500;
        bench.run(1);
        assert_eq!(bench.kbps(), 4500);
    }

    proptest! {
        #[test]
        fn it_stays_within_its_bounds_and_comes_back(
            speeds in prop::collection::vec((200u32..9000, 200u32..9000, 1u64..20), 1..12),
            min_kbps in 100u32..3000,
        ) {
            let mut bench = Bench::new(Policy::Lowest, vec![Line::new(9000), Line::new(9000)]);
            bench.wanted.rule.min_kbps = min_kbps;
            let mut last_down = None;
            for (first, second, seconds) in speeds {
                (bench.lines[0].kbps, bench.lines[1].kbps) = (first, second);
                for (at_ms, decision) in bench.run(seconds) {
                    prop_assert!((min_kbps.min(4500)..=4500).contains(&decision.to_kbps));
                    if matches!(decision.reason, Reason::Congestion(_)) {
                        prop_assert!(decision.to_kbps < decision.from_kbps);
                        prop_assert!(last_down.is_none_or(|last| at_ms - last >= WINDOW_MS));
                        last_down = Some(at_ms);
                    } else {
                        prop_assert!(decision.to_kbps - decision.from_kbps <= 450);
                    }
                }
            }
            bench.lines.iter_mut().for_each(|line| line.kbps = 9000);
            bench.run(64 + 60);
            prop_assert_eq!(bench.kbps(), 4500);
        }
    }
}
