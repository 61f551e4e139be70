//! Metrics of what is scheduled and locked, read when asked.

use std::sync::Arc;

use prometheus::{
    IntCounterVec, IntGaugeVec, Opts,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use crate::state::{Streams, Tally};

/// Reads at the moment of the scrape how the schedules of all streams fared.
pub(super) struct Control {
    streams: Arc<Streams>,
    descs: Vec<Desc>,
}

/// Families that live for one scrape.
struct Families {
    pending: IntGaugeVec,
    ended: IntCounterVec,
    late: IntCounterVec,
    locks: IntGaugeVec,
}

impl Families {
    fn new() -> Result<Self, prometheus::Error> {
        let opts = |what: &str, help: &str| Opts::new(format!("stream_manager_{what}"), help);
        let outcome = ["stream", "outcome"];
        Ok(Self {
            pending: IntGaugeVec::new(
                opts("schedule_pending", "Scheduled transactions that are still to come."),
                &["stream"],
            )?,
            ended: IntCounterVec::new(
                opts(
                    "schedule_ended_total",
                    "Scheduled transactions that are over, by how they ended: done, failed, missed.",
                ),
                &outcome,
            )?,
            late: IntCounterVec::new(
                opts("schedule_late_total", "Those that were done later than on the frame for which they were due."),
                &["stream"],
            )?,
            locks: IntGaugeVec::new(opts("locks", "Layers that are locked."), &["stream"])?,
        })
    }

    fn collectors(&self) -> [&dyn Collector; 4] {
        [&self.pending, &self.ended, &self.late, &self.locks]
    }

    fn observe(&self, stream: &str, tally: Tally, locks: usize) {
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.pending.with_label_values(&[stream]).set(gauge(tally.pending));
        for (outcome, count) in [("done", tally.done), ("failed", tally.failed), ("missed", tally.missed)] {
            self.ended.with_label_values(&[stream, outcome]).inc_by(count);
        }
        self.late.with_label_values(&[stream]).inc_by(tally.late);
        self.locks.with_label_values(&[stream]).set(gauge(locks as u64));
    }
}

impl Control {
    pub(super) fn new(streams: Arc<Streams>) -> Result<Self, prometheus::Error> {
        let descs = Families::new()?.collectors().iter().flat_map(|family| family.desc()).cloned().collect();
        Ok(Self { streams, descs })
    }
}

impl Collector for Control {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Ok(families) = Families::new() else { return Vec::new() };
        for id in self.streams.ids() {
            // One that was deleted since has nothing.
            if let (Ok(tally), Ok(locks)) = (self.streams.schedule_tally(id.as_str()), self.streams.locks(id.as_str()))
            {
                families.observe(id.as_str(), tally, locks.len());
            }
        }
        families.collectors().into_iter().flat_map(Collector::collect).collect()
    }
}
