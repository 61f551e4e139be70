//! Who did what, from where, and what came of it: everything that changes something, and everything that was refused.
//!
//! Each entry is logged with the target `audit` and kept in a ring. What was refused has a ring of its own, so that no
//! stranger pushes out who did what. Requests over a rate limit are counted by a metric alone.

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::http::{Method, StatusCode};
use serde::Serialize;

use super::caller::{Caller, Role};
use crate::{base::clock::Clock, state::Actor};

/// Entries that are kept of what was let through, and of what was not.
const DONE_MAX: usize = 1024;
const REFUSED_MAX: usize = 256;
/// Longest path, in characters; strangers may write what they like.
const PATH_LEN_MAX: usize = 256;

/// Something that was done, or was not.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct Entry {
    number: u64,
    at_utc_ms: i64,
    /// None where nobody said who asks.
    actor: Option<Actor>,
    role: Option<Role>,
    address: Option<IpAddr>,
    method: String,
    path: String,
    status: u16,
}

impl Entry {
    /// Its number; each entry has the next.
    pub(in crate::api) fn number(&self) -> u64 {
        self.number
    }
}

#[derive(Debug)]
pub(super) struct Audit {
    clock: Arc<dyn Clock>,
    rings: Mutex<Rings>,
}

#[derive(Debug, Default)]
struct Rings {
    count: u64,
    done: VecDeque<Entry>,
    refused: VecDeque<Entry>,
}

/// Whose request it was, as far as that is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whose<'a> {
    pub(super) caller: Option<&'a Caller>,
    pub(super) address: Option<IpAddr>,
}

impl Audit {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, rings: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Rings> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, whose: Whose<'_>, method: &Method, path: &str, status: StatusCode) {
        let path: String = path.chars().take(PATH_LEN_MAX).collect();
        let (actor, role) = (whose.caller.map(Caller::actor), whose.caller.map(|caller| caller.role));
        let name = actor.map_or("", Actor::name);
        let address = whose.address.map(|address| address.to_string()).unwrap_or_default();
        let is_refused = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        let status = status.as_u16();
        match is_refused {
            false => tracing::info!(target: "audit", actor = name, address, %method, path, status, "done"),
            true => tracing::warn!(target: "audit", actor = name, address, %method, path, status, "refused"),
        }
        let at_utc_ms = self.clock.utc_ms();
        let (actor, method) = (actor.cloned(), method.to_string());
        let mut rings = self.lock();
        rings.count += 1;
        let number = rings.count;
        let entry = Entry { number, at_utc_ms, actor, role, address: whose.address, method, path, status };
        let (ring, len_max) = if is_refused { (&mut rings.refused, REFUSED_MAX) } else { (&mut rings.done, DONE_MAX) };
        if ring.len() == len_max {
            ring.pop_front();
        }
        ring.push_back(entry);
    }

    /// What is kept, oldest first.
    pub(super) fn entries(&self) -> Vec<Entry> {
        self.since(0).0
    }

    /// How many entries there have been: where a reader begins that wants what comes.
    pub(super) fn count(&self) -> u64 {
        self.lock().count
    }

    /// What is kept of what came after the first `seen` entries, oldest first, and how many there have been by now.
    pub(super) fn since(&self, seen: u64) -> (Vec<Entry>, u64) {
        let rings = self.lock();
        let new = |ring: &VecDeque<Entry>| -> Vec<Entry> {
            ring.iter().rev().take_while(|entry| entry.number > seen).cloned().collect()
        };
        let mut entries = [new(&rings.done), new(&rings.refused)].concat();
        entries.sort_by_key(|entry| entry.number);
        (entries, rings.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::ManualClock;

    #[test]
    fn strangers_push_out_no_entry_of_what_was_done() {
        let audit = Audit::new(Arc::new(ManualClock::default()));
        let caller = Caller::anonymous(None);
        audit.note(Whose { caller: Some(&caller), address: None }, &Method::POST, "/a", StatusCode::CREATED);
        let stranger = Whose { caller: None, address: Some([192, 0, 2, 1].into()) };
        for _ in 0..2 * REFUSED_MAX {
            audit.note(stranger, &Method::GET, &"é".repeat(1000), StatusCode::UNAUTHORIZED);
        }
        let entries = audit.entries();
        assert_eq!(entries.len(), 1 + REFUSED_MAX);
        assert_eq!((entries[0].number, &*entries[0].path, entries[0].status), (1, "/a", 201));
        assert_eq!(entries[0].actor, Some(Actor::anonymous()));
        let last = &entries[REFUSED_MAX];
        assert_eq!((last.number, last.path.chars().count()), (1 + 2 * REFUSED_MAX as u64, PATH_LEN_MAX));
        let numbers = |seen| audit.since(seen).0.iter().map(|entry| entry.number).collect::<Vec<_>>();
        assert_eq!(numbers(last.number - 2), [last.number - 1, last.number]);
        assert_eq!((numbers(last.number), audit.count()), (vec![], last.number));
    }
}
