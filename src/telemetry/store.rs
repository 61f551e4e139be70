//! What `/metrics` says of the store: read at the moment of the scrape.

use std::sync::Arc;

use prometheus::{
    Gauge, IntCounter, IntGauge,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use crate::state::Streams;

/// The families of the store that keeps these streams.
pub(super) struct Kept {
    streams: Arc<Streams>,
    descs: Vec<Desc>,
}

/// Families that live for one scrape.
struct Families {
    is_up: IntGauge,
    pending: IntGauge,
    last_success: Gauge,
    writes: IntCounter,
    failures: IntCounter,
    adopted: IntCounter,
}

impl Families {
    fn new() -> Result<Self, prometheus::Error> {
        let name = |what: &str| format!("stream_manager_store_{what}");
        let last_success = "When the store last did what it was asked, in seconds since 1970.";
        Ok(Self {
            is_up: IntGauge::new(name("up"), "1 while the state is kept, 0 while the store is away.")?,
            pending: IntGauge::new(name("pending_records"), "Records that are not what they are to be yet.")?,
            last_success: Gauge::new(name("last_success_timestamp_seconds"), last_success)?,
            writes: IntCounter::new(name("writes_total"), "Records written and deleted.")?,
            failures: IntCounter::new(name("failures_total"), "Attempts at the store that failed.")?,
            adopted: IntCounter::new(name("adopted_total"), "Changes of other instances that were taken over.")?,
        })
    }

    fn collectors(&self) -> [&dyn Collector; 6] {
        [&self.is_up, &self.pending, &self.last_success, &self.writes, &self.failures, &self.adopted]
    }
}

impl Kept {
    pub(super) fn new(streams: Arc<Streams>) -> Result<Self, prometheus::Error> {
        let families = Families::new()?;
        let descs = families.collectors().iter().flat_map(|family| family.desc()).cloned().collect();
        Ok(Self { streams, descs })
    }
}

impl Collector for Kept {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let standing = self.streams.store_health().standing();
        let Ok(families) = Families::new() else { return Vec::new() };
        families.is_up.set((standing.store.is_some() && standing.problem.is_none()).into());
        families.pending.set(standing.pending as i64);
        families.last_success.set(standing.last_success_utc_ms.unwrap_or_default() as f64 / 1000.0);
        families.writes.inc_by(standing.writes);
        families.failures.inc_by(standing.failures);
        families.adopted.inc_by(standing.adopted);
        families.collectors().iter().flat_map(|family| family.collect()).collect()
    }
}
