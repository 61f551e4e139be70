//! `clock`: the time of day and the date, in any time zone.
//!
//! A function of the moment's UTC, so a restart shows the right time. The zones come with the program: neither files
//! nor the environment are read. The layer changes only when its text may: each second, minute or hour, by its finest
//! token, and when the zone's offset changes; the next text's raster is asked for ahead.
//!
//! Tokens: `HH H` hours to 23, `hh h` to 12, `mm m` minutes, `ss s` seconds, `a A` am/pm and AM/PM, `dd d` day,
//! `MM M MMM MMMM` month as number or name, `yyyy yy` year, `EEE EEEE` weekday; doubled ones have a leading zero.
//! Names in other languages than English are not here.

use std::time::Duration;

use jiff::{Timestamp, civil::DateTime, tz};
use serde::{Deserialize, Serialize};

use super::{
    Kind, Planner,
    format::{Format, Tokens},
    text::styled,
};
use crate::base::schema::written;
use crate::scene::check::Check;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// From Sunday.
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
/// The letters of a short name.
const SHORT: usize = 3;

styled! {
    /// The document of a clock layer.
    pub struct Clock {
        /// Tokens and text, e.g. `HH:mm:ss` or `EEEE, d MMMM yyyy`.
        #[serde(default = "default_format")]
        #[schema(value_type = String, min_length = 1, max_length = 128)]
        pub format: Format<Token>,
        /// IANA name, e.g. `Europe/Berlin`.
        #[serde(default)]
        pub time_zone: Zone,
    }
}

fn default_format() -> Format<Token> {
    Format::new("HH:mm:ss").unwrap_or_else(|_| unreachable!("it is short and has no bracket"))
}

/// A time zone by its IANA name; UTC unless said otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(tz::TimeZone);

/// Why a text is not a time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a time zone: use an IANA name, e.g. UTC, Europe/Berlin or America/New_York")]
pub struct InvalidZone {
    /// The refused text, shortened.
    pub text: String,
}

written!(Zone as "TimeZone" = {
    "description": "The IANA name of a time zone.",
    "type": "string",
    "examples": ["UTC", "Europe/Berlin"]
});

impl Default for Zone {
    fn default() -> Self {
        Self(tz::TimeZone::UTC)
    }
}

impl TryFrom<String> for Zone {
    type Error = InvalidZone;
    fn try_from(text: String) -> Result<Self, InvalidZone> {
        // The bundled names alone, whatever zones the machine has.
        let found = tz::TimeZoneDatabase::bundled().get(&text);
        found.map(Self).map_err(|_| InvalidZone { text: text.chars().take(64).collect() })
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.0.iana_name().unwrap_or("UTC").into()
    }
}

/// What a format shows of a time, as the module has it; numbers have at least that many digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    Hour(usize),
    Hour12(usize),
    Minute(usize),
    Second(usize),
    HalfDay { is_upper: bool },
    Day(usize),
    Month(usize),
    MonthName { is_short: bool },
    Year,
    Year2,
    Weekday { is_short: bool },
}

impl Tokens for Token {
    const TABLE: &'static [(&'static str, Self)] = &[
        ("HH", Self::Hour(2)),
        ("H", Self::Hour(1)),
        ("hh", Self::Hour12(2)),
        ("h", Self::Hour12(1)),
        ("mm", Self::Minute(2)),
        ("m", Self::Minute(1)),
        ("ss", Self::Second(2)),
        ("s", Self::Second(1)),
        ("a", Self::HalfDay { is_upper: false }),
        ("A", Self::HalfDay { is_upper: true }),
        ("dd", Self::Day(2)),
        ("d", Self::Day(1)),
        ("MMMM", Self::MonthName { is_short: false }),
        ("MMM", Self::MonthName { is_short: true }),
        ("MM", Self::Month(2)),
        ("M", Self::Month(1)),
        ("yyyy", Self::Year),
        ("yy", Self::Year2),
        ("EEEE", Self::Weekday { is_short: false }),
        ("EEE", Self::Weekday { is_short: true }),
    ];
}

impl Token {
    /// How often it may change, in milliseconds. A day ends with an hour in every zone.
    fn period_ms(self) -> i64 {
        match self {
            Self::Second(_) => 1000,
            Self::Minute(_) => 60_000,
            _ => 3_600_000,
        }
    }

    fn write(self, text: &mut String, time: DateTime) {
        let half_day = |am, pm| if time.hour() < 12 { am } else { pm };
        match self {
            Self::Hour(digits) => push_number(text, time.hour(), digits),
            Self::Hour12(digits) => push_number(text, (time.hour() + 11) % 12 + 1, digits),
            Self::Minute(digits) => push_number(text, time.minute(), digits),
            Self::Second(digits) => push_number(text, time.second(), digits),
            Self::HalfDay { is_upper: true } => text.push_str(half_day("AM", "PM")),
            Self::HalfDay { is_upper: false } => text.push_str(half_day("am", "pm")),
            Self::Day(digits) => push_number(text, time.day(), digits),
            Self::Month(digits) => push_number(text, time.month(), digits),
            Self::MonthName { is_short } => push_name(text, &MONTHS, time.month() - 1, is_short),
            Self::Year => text.push_str(&format!("{:04}", time.year())),
            Self::Year2 => text.push_str(&format!("{:02}", time.year().rem_euclid(100))),
            Self::Weekday { is_short } => {
                push_name(text, &WEEKDAYS, time.weekday().to_sunday_zero_offset(), is_short);
            }
        }
    }
}

fn push_number(text: &mut String, number: i8, digits: usize) {
    text.push_str(&format!("{number:0digits$}"));
}

fn push_name(text: &mut String, names: &[&str], index: i8, is_short: bool) {
    let name = usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default();
    text.push_str(if is_short { name.get(..SHORT).unwrap_or(name) } else { name });
}

impl Kind for Clock {
    const TYPE: &'static str = "clock";

    fn check(&self, check: &mut Check) {
        self.style().check(check);
    }

    fn fonts(&self) -> Vec<&str> {
        vec![&self.font]
    }

    fn plan(&self, planner: &mut Planner<'_>) {
        let now_ms = planner.moment().utc_ms;
        let text_in_ms = |ms| self.text_at(now_ms.saturating_add(ms));
        let next = self.next_change_ms(now_ms).map(|ms| {
            let span = u64::try_from(ms.saturating_sub(now_ms)).unwrap_or_default();
            (Duration::from_millis(span), &text_in_ms as &dyn Fn(i64) -> String)
        });
        self.style().plan_changing(planner, self.text_at(now_ms), next);
    }
}

impl Clock {
    /// What it shows at `utc_ms` milliseconds since 1970.
    pub fn text_at(&self, utc_ms: i64) -> String {
        let time = self.time_zone.0.to_datetime(timestamp(utc_ms));
        self.format.fill(|text, token| token.write(text, time))
    }

    /// When the text may change next after `utc_ms`, in the same milliseconds; never without a token.
    fn next_change_ms(&self, utc_ms: i64) -> Option<i64> {
        let period = self.format.tokens().map(Token::period_ms).min()?;
        let now = timestamp(utc_ms);
        let offset_ms = i64::from(self.time_zone.0.to_offset(now).seconds()) * 1000;
        let tick = utc_ms.saturating_add(period - utc_ms.saturating_add(offset_ms).rem_euclid(period));
        // Where clocks are set by half an hour, it does not happen at the end of one.
        let shift = self.time_zone.0.following(now).next().map(|shift| shift.timestamp().as_millisecond());
        Some(shift.filter(|&shift| shift > utc_ms).map_or(tick, |shift| shift.min(tick)))
    }
}

/// The nearest time that has a date.
fn timestamp(utc_ms: i64) -> Timestamp {
    let end = if utc_ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(utc_ms).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::scene::content::testing::{problem, set_text, shelf};

    /// 14 November 2023, a Tuesday, 22:13:20 UTC.
    const TUESDAY: i64 = 1_700_000_000_000;
    /// 29 March 2026, 01:00 UTC, when Berlin goes from 2 to 3 o'clock.
    const SPRING: i64 = 1_774_746_000_000;

    fn clock(format: &str, zone: &str) -> Clock {
        serde_json::from_value(json!({ "format": format, "timeZone": zone })).unwrap()
    }

    #[test]
    fn tokens_show_what_they_say() {
        for (format, shown) in [
            ("HH:mm:ss", "22:13:20"),
            ("hh:mm a", "10:13 pm"),
            ("h A", "10 PM"),
            ("EEEE, d MMMM yyyy", "Tuesday, 14 November 2023"),
            ("EEE dd.MM.yy [at] H[h]", "Tue 14.11.23 at 22h"),
            ("MMM M m s", "Nov 11 13 20"),
        ] {
            assert_eq!(clock(format, "UTC").text_at(TUESDAY), shown, "{format}");
        }
        assert_eq!(clock("h hh a", "UTC").text_at(0), "12 12 am", "midnight is 12");
        assert_eq!(clock("h a", "UTC").text_at(12 * 3_600_000), "12 pm");
    }

    #[test]
    fn a_zone_has_its_offset_and_its_summer() {
        let berlin = clock("HH:mm:ss EEE", "Europe/Berlin");
        assert_eq!(berlin.text_at(TUESDAY), "23:13:20 Tue");
        assert_eq!(berlin.text_at(SPRING - 1), "01:59:59 Sun");
        assert_eq!(berlin.text_at(SPRING), "03:00:00 Sun");
        assert_eq!(clock("HH:mm", "Asia/Kathmandu").text_at(TUESDAY), "03:58", "5 h 45 min ahead");
        assert_eq!(clock("yyyy HH", "UTC").text_at(i64::MAX).len(), 7, "the last year that has a date");
    }

    #[test]
    fn it_changes_when_its_text_does() {
        let next = |format, zone, ms| clock(format, zone).next_change_ms(ms).map(|next| next - ms);
        assert_eq!(next("ss", "UTC", TUESDAY + 250), Some(750));
        assert_eq!(next("HH:mm", "UTC", TUESDAY), Some(40_000));
        assert_eq!(next("HH", "Asia/Kathmandu", TUESDAY), Some(100_000), "58:20 past");
        assert_eq!(next("HH:mm", "UTC", -250), Some(250), "before 1970");
        assert_eq!(next("[On air]", "UTC", TUESDAY), None);
        // Lord Howe Island, 5 April 2026: at 2:00 (15:00 UTC on the 4th) clocks go back to 1:30; half an hour after
        // that the hour is 2 again, and an hour later 3.
        let howe = clock("HH", "Australia/Lord_Howe");
        let back: i64 = 1_775_314_800_000;
        assert_eq!((howe.text_at(back - 1), howe.text_at(back)), ("01".into(), "01".into()));
        assert_eq!(howe.next_change_ms(back), Some(back + 1_800_000));
    }

    #[test]
    fn the_next_text_is_asked_for_ahead() {
        let (shelf, evaluation) =
            shelf(json!({ "type": "clock", "format": "HH:mm:ss" }), json!({}), 5000, TUESDAY + 250);
        assert_eq!(evaluation.changes_at, Some(Duration::from_millis(5750)));
        assert_eq!(set_text(&evaluation), ["22:13:20"]);
        assert_eq!(shelf.asked(), ["22:13:21", "22:13:20"]);
    }

    #[test]
    fn an_unknown_zone_is_named() {
        let (pointer, message) = problem(json!({ "type": "clock", "timeZone": "Europe/Bärlin" }));
        assert_eq!(pointer, "/content/timeZone");
        assert!(message.starts_with("`Europe/Bärlin` is not a time zone"), "{message}");
        let (pointer, message) = problem(json!({ "type": "clock", "format": "HH [Uhr" }));
        assert_eq!((&*pointer, &*message), ("/content/format", "`[` at byte 3 is not closed by `]`"));
        let (pointer, message) = problem(json!({ "type": "clock", "size": 0 }));
        assert_eq!((&*pointer, &*message), ("/content/size", "0 is out of range: 1 to 1000"));
        let (pointer, message) = problem(json!({ "type": "clock", "zone": "UTC" }));
        assert!(pointer == "/content/zone" && message.contains("`timeZone`"), "{pointer}: {message}");
    }

    #[test]
    fn written_back_it_reads_as_itself() {
        let clock = clock("HH [Uhr]", "europe/berlin");
        let written = serde_json::to_value(&clock).unwrap();
        assert_eq!(written["timeZone"], "Europe/Berlin");
        assert_eq!(serde_json::from_value::<Clock>(written).unwrap(), clock);
    }

    proptest! {
        /// Until the time it announces, the text is the same.
        #[test]
        fn the_text_holds_as_long_as_it_says(
            ms in 0..4_000_000_000_000i64, part in 0.0..1.0f64, zone in 0..4usize, format in 0..4usize,
        ) {
            let zone = ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns"][zone];
            let clock = clock(["HH:mm:ss", "HH:mm", "EEE h a", "d MMM"][format], zone);
            let next = clock.next_change_ms(ms).unwrap();
            prop_assert!(next > ms && next - ms <= 3_600_000);
            let between = ms + ((next - ms - 1) as f64 * part) as i64;
            prop_assert_eq!(clock.text_at(between), clock.text_at(ms));
        }
    }
}
