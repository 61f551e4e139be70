//! `timer`: a countdown, a count-up, a stopwatch, or the time until an instant.
//!
//! ```text
//!  { utc, isRunning, value }:  at `utc` it showed `value`; since then it runs, or stands
//!  play   { utc: now, isRunning: true }        pause  { utc: now, isRunning: false, value: what it shows now }
//!  reset  { utc: now, isRunning: false, value: the start }
//! ```
//!
//! Everything follows from the document and the moment's UTC, so a restart shows what would have been shown without it.
//! With a `utc` to come it stands at `value` until then. What remains is rounded up to the smallest unit of the format,
//! what has passed is rounded down: a countdown of 10 s shows 10 first and reaches 0 at the very end, a count-up shows
//! 0 first. The largest unit of the format takes what is beyond it: 75 minutes are `75:00` as `mm:ss`.
//!
//! Tokens: `dd d` days, `HH H hh h` hours, `mm m` minutes, `ss s` seconds, `S SS SSS` tenths to thousandths.
//! Events at the end and laps are not here.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Action, Kind, Planner, Refused,
    action::{Nothing, wrong},
    format::{Format, Tokens},
    text::styled,
};
use crate::base::schema::written;
use crate::scene::check::Check;

/// Farthest instant and longest time, in milliseconds: some 6300 years.
const MS_MAX: i64 = 200_000_000_000_000;

styled! {
    /// The document of a timer layer.
    pub struct Timer {
        /// What it counts.
        pub mode: TimerMode,
        /// Milliseconds that remain or have passed at `utc`.
        #[serde(default)]
        pub value: i64,
        /// Since when it runs; milliseconds since 1970, or RFC 3339. Needed to run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub utc: Option<UtcTime>,
        /// Whether it runs since `utc`, or stands at `value`.
        #[serde(default)]
        pub is_running: bool,
        /// What mode `until` counts to; milliseconds since 1970, or RFC 3339. It always runs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub until: Option<UtcTime>,
        /// Tokens and text, e.g. `mm:ss`, `HH:mm:ss` or `mm:ss.S`.
        #[serde(default = "default_format")]
        #[schema(value_type = String, min_length = 1, max_length = 128)]
        pub format: Format<Token>,
        /// What it does when nothing remains.
        #[serde(default)]
        pub on_zero: OnZero,
    }
}

fn default_format() -> Format<Token> {
    Format::new("mm:ss").unwrap_or_else(|_| unreachable!("it is short and has no bracket"))
}

/// What a timer counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum TimerMode {
    /// What remains of `value`.
    Countdown,
    /// What has passed, from `value` on.
    Countup,
    /// The same by another name, for controllers that tell them apart.
    Stopwatch,
    /// What remains until an instant.
    Until,
}

/// What a countdown does when nothing remains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnZero {
    /// Stands at 0.
    #[default]
    Stop,
    /// Goes on below 0, with a minus sign.
    Continue,
    /// Is not drawn.
    Hide,
}

/// A point on the world's time, kept as it was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct UtcTime {
    /// Milliseconds since 1970 UTC.
    pub utc_ms: i64,
    text: Option<String>,
}

/// An instant as documents write it.
#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "milliseconds since 1970 (a whole number) or an RFC 3339 text, e.g. 2026-12-24T18:00:00Z"
)]
enum Written {
    Ms(i64),
    Text(String),
}

/// Why a text is not an instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not an instant: use RFC 3339 with an offset, e.g. 2026-12-24T18:00:00Z or 2026-12-24T19:00:00+01:00"
)]
pub struct InvalidUtcTime {
    /// The refused text, shortened.
    pub text: String,
}

written!(UtcTime as "UtcTime" = {
    "description": "A point on the world's time: milliseconds since 1970, or RFC 3339 with an offset.",
    "oneOf": [
        { "type": "integer", "minimum": (-MS_MAX), "maximum": MS_MAX },
        { "type": "string", "format": "date-time", "examples": ["2026-12-24T18:00:00Z"] }
    ]
});

impl TryFrom<Written> for UtcTime {
    type Error = InvalidUtcTime;
    fn try_from(written: Written) -> Result<Self, InvalidUtcTime> {
        let text = match written {
            Written::Ms(utc_ms) => return Ok(Self { utc_ms, text: None }),
            Written::Text(text) => text,
        };
        let refused = || InvalidUtcTime { text: text.chars().take(64).collect() };
        let time: Timestamp = text.parse().map_err(|_| refused())?;
        Ok(Self { utc_ms: time.as_millisecond(), text: Some(text) })
    }
}

impl From<UtcTime> for Written {
    fn from(instant: UtcTime) -> Self {
        instant.text.map_or(Self::Ms(instant.utc_ms), Self::Text)
    }
}

/// A unit of time and the number of digits that show it at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    unit_ms: i64,
    digits: usize,
}

const fn token(unit_ms: i64, digits: usize) -> Token {
    Token { unit_ms, digits }
}

impl Tokens for Token {
    const TABLE: &'static [(&'static str, Self)] = &[
        ("dd", token(86_400_000, 2)),
        ("d", token(86_400_000, 1)),
        ("HH", token(3_600_000, 2)),
        ("H", token(3_600_000, 1)),
        ("hh", token(3_600_000, 2)),
        ("h", token(3_600_000, 1)),
        ("mm", token(60_000, 2)),
        ("m", token(60_000, 1)),
        ("ss", token(1000, 2)),
        ("s", token(1000, 1)),
        ("SSS", token(1, 3)),
        ("SS", token(10, 2)),
        ("S", token(100, 1)),
    ];
}

impl Kind for Timer {
    const TYPE: &'static str = "timer";

    fn check(&self, check: &mut Check) {
        let mut span = |pointer, ms: i64| check.range(pointer, ms as f64, -(MS_MAX as f64)..=MS_MAX as f64);
        span("/value", self.value);
        self.utc.iter().for_each(|utc| span("/utc", utc.utc_ms));
        self.until.iter().for_each(|until| span("/until", until.utc_ms));
        let is_until = self.mode == TimerMode::Until;
        check.that("/until", self.until.is_some() == is_until, || {
            if is_until { "mode until needs the instant" } else { "only mode until has it" }.into()
        });
        check.that("/utc", self.utc.is_some() || !self.is_running || is_until, || {
            "a running timer needs the instant at which it had `value`".into()
        });
        self.style().check(check);
    }

    fn fonts(&self) -> Vec<&str> {
        vec![&self.font]
    }

    fn plan(&self, planner: &mut Planner<'_>) {
        let now_ms = planner.moment().utc_ms.clamp(-MS_MAX, MS_MAX);
        let Some(text) = self.text_at(now_ms) else { return };
        let Some(next_ms) = self.next_change_ms(now_ms) else {
            return self.style().plan_changing(planner, text, None);
        };
        let span = Duration::from_millis(u64::try_from(next_ms - now_ms).unwrap_or_default());
        let next = |ms| self.text_at(now_ms.saturating_add(ms)).unwrap_or_else(|| text.clone());
        self.style().plan_changing(planner, text.clone(), Some((span, &next)));
    }

    /// `start`, `pause`; `reset`: stands at a value, of what has passed at 0; `set`: another value, running or not.
    fn act(&self, action: &Action) -> Result<Self, Refused> {
        let now_ms = action.moment.utc_ms.clamp(-MS_MAX, MS_MAX);
        let at = |value, is_running| Self {
            value,
            is_running,
            utc: Some(UtcTime { utc_ms: now_ms, text: None }),
            ..self.clone()
        };
        let changed = match action.name.as_str() {
            "start" => action.read().map(|Nothing {}| at(self.shown_ms(now_ms), true))?,
            "pause" => action.read().map(|Nothing {}| at(self.shown_ms(now_ms), false))?,
            "reset" => {
                let start = action.read::<Reset>()?.value.or((!self.is_down()).then_some(0));
                at(start.ok_or_else(|| wrong("/value", "a countdown needs the value to count down from"))?, false)
            }
            "set" => {
                let Set { value, is_running } = action.read()?;
                at(value, is_running.unwrap_or(self.is_running))
            }
            _ => return Err(Refused::Unknown(&["start", "pause", "reset", "set"])),
        };
        if self.mode == TimerMode::Until {
            return Err(wrong("", "mode until always runs; change `until` instead"));
        }
        Ok(changed)
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Reset {
    value: Option<i64>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Set {
    value: i64,
    is_running: Option<bool>,
}

impl Timer {
    /// What it shows at `utc_ms` milliseconds since 1970; nothing when it is hidden at its end.
    pub fn text_at(&self, utc_ms: i64) -> Option<String> {
        let left_ms = self.ms_at(utc_ms.clamp(-MS_MAX, MS_MAX));
        if self.is_over(left_ms) && self.on_zero == OnZero::Hide {
            return None;
        }
        let ms = if self.is_over(left_ms) && self.on_zero == OnZero::Stop { 0 } else { left_ms };
        let unit = self.unit_ms().unwrap_or(1);
        let rounded_ms = self.ticks(ms, unit) * unit;
        let mut is_signed = rounded_ms < 0;
        Some(self.format.fill(|text, token| {
            if std::mem::take(&mut is_signed) {
                text.push('-');
            }
            let larger = self.format.tokens().map(|other| other.unit_ms).filter(|&unit| unit > token.unit_ms).min();
            let within = larger.map_or(rounded_ms.abs(), |larger| rounded_ms.abs() % larger);
            text.push_str(&format!("{:0width$}", within / token.unit_ms, width = token.digits));
        }))
    }

    /// When it shows something else, in milliseconds since 1970; never when it stands, is over, or has no token.
    fn next_change_ms(&self, utc_ms: i64) -> Option<i64> {
        let unit = self.unit_ms()?;
        // It may start later only: until then it stands.
        let from_ms = self.started_ms().filter(|_| self.runs())?.max(utc_ms);
        let ms = self.ms_at(from_ms);
        let ends = self.on_zero != OnZero::Continue;
        if !self.runs() || (ends && self.is_over(ms)) {
            return None;
        }
        let ticks = self.ticks(ms, unit);
        let rest = if self.is_down() { ms - (ticks - 1) * unit } else { (ticks + 1) * unit - ms };
        Some(from_ms + rest)
    }

    /// Milliseconds that remain or have passed, below 0 after the end.
    fn ms_at(&self, utc_ms: i64) -> i64 {
        if let (TimerMode::Until, Some(until)) = (self.mode, &self.until) {
            return until.utc_ms - utc_ms;
        }
        let started_ms = self.started_ms().filter(|_| self.is_running).unwrap_or(utc_ms);
        let passed_ms = (utc_ms - started_ms).max(0);
        if self.is_down() { self.value - passed_ms } else { self.value + passed_ms }
    }

    /// What it shows, in milliseconds: 0 where it stands or is hidden at its end.
    fn shown_ms(&self, utc_ms: i64) -> i64 {
        let ms = self.ms_at(utc_ms);
        if self.is_over(ms) && self.on_zero != OnZero::Continue { 0 } else { ms }
    }

    fn runs(&self) -> bool {
        self.mode == TimerMode::Until || self.is_running
    }

    fn started_ms(&self) -> Option<i64> {
        if self.mode == TimerMode::Until { Some(-MS_MAX) } else { self.utc.as_ref().map(|utc| utc.utc_ms) }
    }

    fn is_down(&self) -> bool {
        matches!(self.mode, TimerMode::Countdown | TimerMode::Until)
    }

    fn is_over(&self, ms: i64) -> bool {
        self.is_down() && ms <= 0
    }

    /// Whole units in a time, rounded as the direction wants it.
    fn ticks(&self, ms: i64, unit: i64) -> i64 {
        if self.is_down() { -(-ms).div_euclid(unit) } else { ms.div_euclid(unit) }
    }

    /// The smallest unit that is shown, in milliseconds.
    fn unit_ms(&self) -> Option<i64> {
        self.format.tokens().map(|token| token.unit_ms).min()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::scene::content::testing::{act, problem, set_text, shelf};

    const NOW: i64 = 1_700_000_000_000;

    fn timer(mut fields: Value) -> Timer {
        if fields["mode"] != "until" {
            fields["utc"] = json!(NOW);
            fields["isRunning"] = json!(true);
        }
        serde_json::from_value(fields).unwrap()
    }

    fn shown(timer: &Timer, after_ms: i64) -> String {
        timer.text_at(NOW + after_ms).unwrap_or_else(|| "hidden".into())
    }

    #[test]
    fn what_remains_is_rounded_up() {
        let down = timer(json!({ "mode": "countdown", "value": 65_000 }));
        for (after, text) in [
            (-5000, "01:05"),
            (0, "01:05"),
            (1, "01:05"),
            (999, "01:05"),
            (1000, "01:04"),
            (64_999, "00:01"),
            (65_000, "00:00"),
            (70_000, "00:00"),
        ] {
            assert_eq!(shown(&down, after), text, "{after} ms after");
        }
    }

    #[test]
    fn what_has_passed_is_rounded_down() {
        let up = timer(json!({ "mode": "countup", "value": 2_699_000, "format": "mm:ss" }));
        assert_eq!([0, 999, 1000, 1_801_000].map(|ms| shown(&up, ms)), ["44:59", "44:59", "45:00", "75:00"]);
        let watch = timer(json!({ "mode": "stopwatch", "format": "H:mm:ss.S" }));
        assert_eq!(
            [0, 99, 100, 3_661_250].map(|ms| shown(&watch, ms)),
            ["0:00:00.0", "0:00:00.0", "0:00:00.1", "1:01:01.2"]
        );
        let early = timer(json!({ "mode": "countup", "value": -1500, "format": "s.SSS" }));
        assert_eq!([0, 1499, 1500, 1501].map(|ms| shown(&early, ms)), ["-1.500", "-0.001", "0.000", "0.001"]);
    }

    #[test]
    fn the_end_is_as_asked() {
        let down =
            |on_zero| timer(json!({ "mode": "countdown", "value": 2000, "onZero": on_zero, "format": "[T ]m:ss" }));
        let at = |on_zero| [1999, 2000, 2999, 3000, 63_000].map(|ms| shown(&down(on_zero), ms));
        assert_eq!(at("stop"), ["T 0:01", "T 0:00", "T 0:00", "T 0:00", "T 0:00"]);
        assert_eq!(at("continue"), ["T 0:01", "T 0:00", "T 0:00", "T -0:01", "T -1:01"]);
        assert_eq!(at("hide"), ["T 0:01", "hidden", "hidden", "hidden", "hidden"]);
        let changes = |on_zero, ms| down(on_zero).next_change_ms(NOW + ms).map(|next| next - NOW);
        assert_eq!(["stop", "continue", "hide"].map(|on_zero| changes(on_zero, 1500)), [Some(2000); 3]);
        assert_eq!(["stop", "continue", "hide"].map(|on_zero| changes(on_zero, 2000)), [None, Some(3000), None]);
    }

    #[test]
    fn until_an_instant_always_runs() {
        let until = timer(json!({ "mode": "until", "until": "2023-11-16T00:14:30+01:00", "format": "d[d] HH:mm:ss" }));
        assert_eq!(shown(&until, 0), "1d 01:01:10", "from 14 November, 22:13:20 UTC, to the 15th, 23:14:30");
        assert_eq!(until.next_change_ms(NOW - 300), Some(NOW));
    }

    #[test]
    fn a_timer_that_stands_never_changes() {
        let paused: Timer =
            serde_json::from_value(json!({ "mode": "countdown", "value": 61_500, "utc": NOW })).unwrap();
        assert_eq!(shown(&paused, 86_400_000), "01:02");
        assert_eq!(paused.next_change_ms(NOW), None);
    }

    #[test]
    fn the_next_text_is_asked_for_ahead() {
        let document = json!({ "type": "timer", "mode": "countdown", "value": 10_000, "utc": NOW, "isRunning": true });
        let (shelf, evaluation) = shelf(document, json!({}), 7000, NOW + 4100);
        assert_eq!(evaluation.changes_at, Some(Duration::from_millis(7900)));
        assert_eq!(set_text(&evaluation), ["00:06"]);
        assert_eq!(shelf.asked(), ["00:05", "00:06"]);
    }

    #[test]
    fn of_texts_that_change_faster_than_pictures_those_of_the_next_frame_are_asked_for() {
        let document =
            json!({ "type": "timer", "mode": "stopwatch", "format": "s.SS", "utc": NOW - 5, "isRunning": true });
        // At 30 frames a second, the next one begins 33.3 ms later: at 1.038 s, or a little before or after.
        let (shelf, _) = shelf(document, json!({}), 1000, NOW + 1000);
        assert_eq!(shelf.asked(), ["1.03", "1.00"]);
    }

    #[test]
    fn it_is_started_paused_and_reset() {
        let stopped = json!({ "type": "timer", "mode": "countdown", "value": 10_000 });
        let at = |document: &Value, name, arguments, after| act(document.clone(), name, arguments, 0, NOW + after);
        let running = at(&stopped, "start", json!({}), 0).unwrap();
        assert_eq!((&running["isRunning"], &running["utc"]), (&json!(true), &json!(NOW)));
        let paused = at(&running, "pause", Value::Null, 4200).unwrap();
        assert_eq!((&paused["isRunning"], &paused["value"]), (&json!(false), &json!(5800)));
        assert_eq!(at(&paused, "start", json!({}), 9000).unwrap()["value"], 5800, "goes on from there");
        assert_eq!(at(&running, "pause", json!({}), 60_000).unwrap()["value"], 0, "the end is the end");
        assert_eq!(at(&running, "set", json!({ "value": 7 }), 1).unwrap()["isRunning"], true);
        assert_eq!(at(&running, "reset", json!({ "value": 9000 }), 1).unwrap()["isRunning"], false);
        assert_eq!(at(&running, "reset", json!({}), 1).unwrap_err(), "/value");
        assert_eq!(at(&running, "start", json!({ "now": 1 }), 1).unwrap_err(), "/now");
        assert_eq!(at(&running, "stop", json!({}), 1).unwrap_err(), "start, pause, reset, set");
        let until = json!({ "type": "timer", "mode": "until", "until": NOW });
        assert_eq!(at(&until, "pause", json!({}), 1).unwrap_err(), "");
    }

    #[test]
    fn instants_are_kept_as_written_and_checked() {
        for utc in [json!(NOW), json!("2023-11-14T23:13:20+01:00")] {
            let timer: Timer = serde_json::from_value(json!({ "mode": "countup", "utc": utc })).unwrap();
            assert_eq!(timer.utc.as_ref().unwrap().utc_ms, NOW);
            assert_eq!(serde_json::to_value(&timer).unwrap()["utc"], utc);
        }
        for (fields, pointer) in [
            (json!({ "mode": "countup", "utc": "tomorrow" }), "/content/utc"),
            (json!({ "mode": "countup", "utc": 1.5 }), "/content/utc"),
            (json!({ "mode": "countup", "utc": i64::MAX }), "/content/utc"),
            (json!({ "mode": "countup", "isRunning": true }), "/content/utc"),
            (json!({ "mode": "countup", "value": i64::MIN }), "/content/value"),
            (json!({ "mode": "until" }), "/content/until"),
            (json!({ "mode": "countdown", "until": 5 }), "/content/until"),
            (json!({ "mode": "down" }), "/content/mode"),
        ] {
            let mut document = json!({ "type": "timer" });
            json_patch::merge(&mut document, &fields);
            assert_eq!(problem(document).0, pointer, "{fields}");
        }
    }

    proptest! {
        /// The text holds until the announced time, and is another one then.
        #[test]
        fn the_announced_change_is_exact(
            mode in 0..3usize, format in 0..4usize,
            value in -100_000..10_000_000i64, after in -5000..20_000_000i64, part in 0.0..1.0f64,
        ) {
            let mode = ["countdown", "countup", "stopwatch"][mode];
            let format = ["mm:ss", "H:mm", "ss.S", "d HH:mm:ss"][format];
            let timer = timer(json!({ "mode": mode, "value": value, "format": format, "onZero": "continue" }));
            let now = NOW + after;
            let next = timer.next_change_ms(now).unwrap();
            prop_assert!(next > now);
            let between = now + ((next - now - 1) as f64 * part) as i64;
            prop_assert_eq!(timer.text_at(between), timer.text_at(now));
            prop_assert_ne!(timer.text_at(next), timer.text_at(now));
        }
    }
}
