//! What was logged lately, for those who follow the log over the API.
//!
//! A layer beside the one that writes to standard error: it sees the same records, at the same levels, with the same
//! secrets redacted by their types, and keeps the newest as JSON. Whoever reads says how far it has read; what it has not
//! read in time is forgotten, and counted. Values that are long are cut.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::log::Level;
use crate::base::clock::Clock;

/// Records that are kept.
const RECORDS_MAX: usize = 512;
/// Longest value, in bytes.
const VALUE_LEN_MAX: usize = 1024;
/// Most values of a record, those of its spans among them.
const VALUES_MAX: usize = 32;

/// The newest records of the process.
pub static RECENT: Recent = Recent::new();

/// A bounded ring of records.
#[derive(Debug)]
pub struct Recent(Mutex<Ring>);

#[derive(Debug)]
struct Ring {
    records: VecDeque<Record>,
    /// How many there have been.
    count: u64,
}

#[derive(Debug)]
struct Record {
    level: Level,
    json: Arc<str>,
}

/// What was logged since a reader read last.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Since {
    /// Each as a JSON object, oldest first.
    pub records: Vec<Arc<str>>,
    /// How many were forgotten before they were read, of whatever level.
    pub missed: u64,
    /// How far it has read now.
    pub count: u64,
}

impl Recent {
    /// Nothing was logged yet.
    pub const fn new() -> Self {
        Self(Mutex::new(Ring { records: VecDeque::new(), count: 0 }))
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many records there have been: where a reader begins that wants what comes.
    pub fn count(&self) -> u64 {
        self.lock().count
    }

    /// What is at least as grave as `level` since there were `seen` records.
    pub fn since(&self, seen: u64, level: Level) -> Since {
        let ring = self.lock();
        let kept = ring.records.len() as u64;
        let new = ring.count.saturating_sub(seen);
        let records = ring.records.iter().skip(kept.saturating_sub(new) as usize);
        let records = records.filter(|record| record.level <= level).map(|record| record.json.clone()).collect();
        Since { records, missed: new.saturating_sub(kept), count: ring.count }
    }

    fn push(&self, record: Record) {
        let mut ring = self.lock();
        if ring.records.len() == RECORDS_MAX {
            ring.records.pop_front();
        }
        ring.records.push_back(record);
        ring.count += 1;
    }
}

impl Default for Recent {
    fn default() -> Self {
        Self::new()
    }
}

/// The layer that keeps what is logged.
#[derive(Debug)]
pub(super) struct Recorder<C> {
    recent: &'static Recent,
    clock: C,
}

impl<C: Clock> Recorder<C> {
    pub(super) fn new(recent: &'static Recent, clock: C) -> Self {
        Self { recent, clock }
    }
}

/// The values of an event or a span.
#[derive(Debug, Default, Clone)]
struct Values(Map<String, Value>);

impl Values {
    fn put(&mut self, field: &Field, value: Value) {
        if self.0.len() < VALUES_MAX || self.0.contains_key(field.name()) {
            self.0.insert(field.name().to_owned(), value);
        }
    }
}

impl Visit for Values {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, cut(value).into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, cut(&format!("{value:?}")).into());
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(VALUE_LEN_MAX)]
}

impl<S: Subscriber + for<'a> LookupSpan<'a>, C: Clock + 'static> Layer<S> for Recorder<C> {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let mut values = Values::default();
        attributes.record(&mut values);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(values);
        }
    }

    fn on_record(&self, id: &span::Id, record: &span::Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(values) = span.extensions_mut().get_mut::<Values>()
        {
            record.record(values);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut spans = Map::new();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(values) = span.extensions().get::<Values>() {
                spans.insert(span.name().to_owned(), Value::Object(values.0.clone()));
            }
        }
        let mut values = Values::default();
        event.record(&mut values);
        let message = values.0.remove("message").unwrap_or_default();
        let level = Level::from(*event.metadata().level());
        let at = Timestamp::from_millisecond(self.clock.utc_ms()).unwrap_or_default();
        let json = json!({
            "at": at.to_string(), "level": level, "target": event.metadata().target(), "message": message,
            "fields": values.0, "spans": spans,
        });
        self.recent.push(Record { level, json: json.to_string().into() });
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::base::{clock::ManualClock, secret::Secret};

    fn recorded(log: impl FnOnce()) -> &'static Recent {
        let recent: &'static Recent = Box::leak(Box::default());
        let recorder = Recorder::new(recent, ManualClock::default());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(recorder), log);
        recent
    }

    fn read(since: &Since) -> Vec<Value> {
        since.records.iter().map(|json| serde_json::from_str(json).unwrap()).collect()
    }

    #[test]
    fn a_record_has_its_values_and_those_of_its_span_and_no_secret() {
        let recent = recorded(|| {
            tracing::info_span!("stream", id = "main").in_scope(|| {
                let key = Secret::new("live_secret");
                tracing::warn!(%key, attempt = 3, late = true, text = "é".repeat(1000), "refused");
            });
        });
        let record = &read(&recent.since(0, Level::Info))[0];
        assert_eq!((&record["message"], &record["level"]), (&json!("refused"), &json!("warn")));
        assert_eq!(record["at"], "1970-01-01T00:00:00Z");
        assert_eq!(record["spans"], json!({ "stream": { "id": "main" } }));
        let fields = &record["fields"];
        assert_eq!((&fields["key"], &fields["attempt"]), (&json!("[redacted]"), &json!(3)));
        assert_eq!(fields["text"].as_str().unwrap().len(), VALUE_LEN_MAX);
        assert!(record["target"].as_str().unwrap().contains("recent"), "{record}");
    }

    #[test]
    fn a_reader_gets_what_is_new_and_grave_enough_and_knows_what_it_has_missed() {
        let recent = recorded(|| {
            tracing::error!("a");
            tracing::info!("b");
        });
        let messages = |since: &Since| read(since).iter().map(|record| record["message"].clone()).collect::<Vec<_>>();
        let since = recent.since(0, Level::Warn);
        assert_eq!((messages(&since), since.missed, since.count), (vec![json!("a")], 0, 2));
        assert_eq!(messages(&recent.since(1, Level::Trace)), ["b"]);
        assert_eq!(recent.since(2, Level::Trace).records.len(), 0);
        let record = || Record { level: Level::Error, json: "{}".into() };
        (0..RECORDS_MAX + 10).for_each(|_| recent.push(record()));
        let since = recent.since(2, Level::Error);
        assert_eq!((since.records.len(), since.missed), (RECORDS_MAX, 10));
    }
}
