//! Processor time of a process, as Linux counts it: in hundredths of a second.

use std::{fmt::Display, fs};

const TICK_MS: f64 = 10.0;

/// Milliseconds that the process `id` (or `self`) with all its threads has taken, and the children it waited for.
pub(crate) fn taken_ms(id: impl Display) -> [f64; 2] {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    // The name, in parentheses, may contain spaces; user and system time, and those of the children, are the 12th to the
    // 15th field after it.
    let fields = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(4);
    let times: Vec<_> = fields.map(|ticks| ticks.parse::<f64>().unwrap() * TICK_MS).collect();
    [times[0] + times[1], times[2] + times[3]]
}
