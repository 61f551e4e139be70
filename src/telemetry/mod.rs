//! What the daemon tells those who watch it: logs and metrics.

pub mod log;
pub mod metrics;
pub mod recent;
mod store;
