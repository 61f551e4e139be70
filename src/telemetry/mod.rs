//! What the daemon tells those who watch it: logs and metrics.

mod control;
pub mod log;
pub mod metrics;
pub mod recent;
mod store;
