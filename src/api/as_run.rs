//! `GET /api/v1/streams/{id}/as-run[?from=&to=&format=jsonl|csv&limit=&cursor=]`: what was on air from when to when, by whom.
//!
//! `from` and `to` are moments in RFC 3339, or milliseconds since 1970 UTC; a time on air that touches them is there. JSON
//! Lines by default, one time on air each; CSV (RFC 4180) with a header for spreadsheets, which are given no formulas.

#![allow(unused_qualifications, reason = "`utoipa::path` names the types of queries anew")]

use axum::{
    extract::State,
    http::{Uri, header},
    response::IntoResponse,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    Answer, App,
    listing::{Page, Paging, link, number},
    path::{Path, Query},
    problem::Problem,
    to_value,
};
use crate::{
    base::schema::written,
    state::asrun::{Mark, Stretch},
};

/// In milliseconds since 1970 UTC.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Moment(i64);

impl TryFrom<String> for Moment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let milliseconds = text.parse().ok().filter(|moment| (0..=MOMENT_MS_MAX).contains(moment));
        let moment = milliseconds.or_else(|| text.parse::<Timestamp>().ok().map(|moment| moment.as_millisecond()));
        moment.map(Self).ok_or_else(|| {
            format!("`{text}` is no moment: use e.g. 2026-03-01T20:15:00Z, or milliseconds since 1970 UTC, until the year 9999")
        })
    }
}

written!(Moment as "Moment" = {
    "oneOf": [
        { "type": "string", "format": "date-time" },
        { "type": "integer", "minimum": 0, "maximum": MOMENT_MS_MAX, "description": "Milliseconds since 1970 UTC." }
    ]
});

/// The last moment of the year 9999.
const MOMENT_MS_MAX: i64 = 253_402_300_799_999;

/// What may stand behind the `?`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    from: Option<Moment>,
    to: Option<Moment>,
    #[serde(default)]
    format: Format,
    limit: Option<u32>,
    cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = AsRunFormat)]
pub(super) enum Format {
    #[default]
    Jsonl,
    Csv,
}

/// Gives what was on air from when to when, and by whom, as JSON lines or CSV.
#[utoipa::path(
    get, path = "/api/v1/streams/{id}/as-run",
    params(
        ("from" = Option<Moment>, Query),
        ("to" = Option<Moment>, Query),
        ("format" = Option<Format>, Query),
        Paging
    ),
    responses((
        status = 200, description = "What there is.",
        content((String = "application/jsonl"), (String = "text/csv"))
    ))
)]
pub(super) async fn get(
    State(app): State<App>,
    uri: Uri,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Answer {
    // One that was deleted has been on air all the same; one that never was there is told apart.
    let moment = |given: Option<Moment>, otherwise| given.map_or(otherwise, |Moment(ms)| ms);
    let mut stretches = app.as_run.stretches(&id, moment(wanted.from, i64::MIN), moment(wanted.to, i64::MAX));
    if stretches.is_empty() {
        app.streams.get(&id)?;
    }
    stretches.sort_by_cached_key(key);
    let Page { items, next } = Paging { limit: wanted.limit, cursor: wanted.cursor }.page(stretches, key)?;
    let (kind, text) = match wanted.format {
        Format::Jsonl => ("application/jsonl", json_lines(&items)?),
        Format::Csv => ("text/csv; charset=utf-8; header=present", csv(&items)),
    };
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, link(&uri, next.as_deref()), text).into_response())
}

/// Where it stands in the log: by its beginning.
fn key(Stretch { item, from, .. }: &Stretch) -> String {
    let scene = item.scene.as_ref().map_or("", |scene| scene.as_str());
    format!("{}-{}-{}-{scene}", number(u64::try_from(from.utc_ms).unwrap_or(0)), item.kind as u8, item.id)
}

fn json_lines(stretches: &[Stretch]) -> Result<String, Problem> {
    let mut text = String::new();
    for stretch in stretches {
        let mut value = to_value(stretch)?;
        value["from"]["utc"] = json!(utc(&stretch.from));
        if let Some(until) = &stretch.until {
            value["until"]["utc"] = json!(utc(until));
            value["durationMs"] = json!(until.utc_ms - stretch.from.utc_ms);
        }
        text.push_str(&value.to_string());
        text.push('\n');
    }
    Ok(text)
}

fn utc(mark: &Mark) -> String {
    Timestamp::from_millisecond(mark.utc_ms).map(|moment| format!("{moment:.3}")).unwrap_or_default()
}

const COLUMNS: &str = "stream,kind,id,scene,type,name,from,until,durationMs,fromFrame,untilFrame,startedBy,endedBy\r\n";

fn csv(stretches: &[Stretch]) -> String {
    let mut text = COLUMNS.to_owned();
    for Stretch { item, from, until } in stretches {
        let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        let until = until.as_ref();
        let cells = [
            item.stream.to_string(),
            json!(item.kind).as_str().unwrap_or_default().to_owned(),
            item.id.to_string(),
            item.scene.as_ref().map(ToString::to_string).unwrap_or_default(),
            item.type_name.clone().unwrap_or_default(),
            item.name.clone(),
            utc(from),
            until.map(utc).unwrap_or_default(),
            until.map(|until| (until.utc_ms - from.utc_ms).to_string()).unwrap_or_default(),
            number(from.frame),
            number(until.and_then(|until| until.frame)),
            from.actor.clone(),
            until.map(|until| until.actor.clone()).unwrap_or_default(),
        ];
        let row: Vec<_> = cells.iter().map(|text| cell(text)).collect();
        text.push_str(&row.join(","));
        text.push_str("\r\n");
    }
    text
}

/// A cell that is what it says: quoted where it must be, and no formula.
fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_no_formulas() {
        assert_eq!(cell("bid"), "bid");
        assert_eq!(cell("-5"), "-5");
        assert_eq!(cell("=HYPERLINK(\"http://x\",\"y\")"), "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"");
        assert_eq!(cell("@SUM(A1)"), "'@SUM(A1)");
        assert_eq!(cell("a\nb"), "\"a\nb\"");
    }

    #[test]
    fn moments_as_people_and_programs_write_them() {
        let read = |text: &str| Moment::try_from(text.to_owned()).map(|Moment(ms)| ms);
        assert_eq!(read("1500").unwrap(), 1500);
        assert_eq!(read("1970-01-01T00:00:01.500Z").unwrap(), 1500);
        assert_eq!(read("1970-01-01T01:00:01+01:00").unwrap(), 1000);
        assert!(read("yesterday").is_err());
    }
}
