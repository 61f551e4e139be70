//! Locks of layers: who alone may change a layer for now.
//!
//! A lock has an owner and ends by itself; its owner may renew or release it, and whoever may break locks may break it. It
//! holds for the layer's document, however that is changed: by an op, with its scene, by undo or the return of a snapshot.
//! Taking scenes on air is nobody's layer. Pure: time is told. Locks end by the world's time, for they outlive the process.

use std::{collections::BTreeMap, ops::RangeInclusive};

use serde::{Deserialize, Serialize};

use super::{Actor, Error};
use crate::{
    base::id::Id,
    scene::{
        Layer, Show,
        check::{Check, Problems},
    },
};

/// Most locks of a stream.
pub const LOCKS_MAX: usize = 256;
/// How long a lock may be asked for, in seconds; it can be renewed for ever.
pub const SECONDS: RangeInclusive<f64> = 1.0..=3600.0;
/// How long it is where nobody says.
const SECONDS_DEFAULT: f64 = 60.0;

/// A layer that is locked.
#[derive(Debug, Clone, PartialEq)]
pub struct Lock {
    /// The scene.
    pub scene: Id,
    /// The layer in it.
    pub layer: Id,
    /// Who alone may change it.
    pub owner: Actor,
    /// Until when, in milliseconds since 1970 UTC.
    pub expires_utc_ms: i64,
}

/// The locks of a stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Locks(BTreeMap<(Id, Id), Lock>);

/// Until when a lock of so many seconds holds.
pub(super) fn expiry(seconds: Option<f64>, utc_ms: i64) -> Result<i64, Problems> {
    let seconds = seconds.unwrap_or(SECONDS_DEFAULT);
    let mut check = Check::default();
    check.range("/seconds", seconds, SECONDS);
    check.finish().map(|()| utc_ms.saturating_add((seconds * 1000.0) as i64))
}

impl Lock {
    fn is_over(&self, utc_ms: i64) -> bool {
        self.expires_utc_ms <= utc_ms
    }

    fn refused(&self) -> Error {
        Error::Locked(self.clone())
    }

    /// Whether its layer is another one in `after` than in `before`. What it is on its way from is not its document: such
    /// ways end by themselves.
    fn is_touched(&self, before: &Show, after: &Show) -> bool {
        let layer =
            |show: &Show| show.scene(self.scene.as_str()).and_then(|scene| scene.layer(self.layer.as_str())).cloned();
        match (layer(before), layer(after)) {
            (Some(before), Some(after)) => {
                let is_known = after.approaches.iter().all(|approach| before.approaches.contains(approach));
                let at_rest = |layer: Layer| Layer { approaches: Vec::new(), ..layer };
                !is_known || at_rest(before) != at_rest(after)
            }
            (before, after) => before.is_some() || after.is_some(),
        }
    }
}

impl Locks {
    /// Locks a layer, or renews that; whether it is a new one.
    pub(super) fn put(&mut self, lock: Lock, utc_ms: i64) -> Result<bool, Error> {
        let key = (lock.scene.clone(), lock.layer.clone());
        let held = self.0.get(&key).filter(|held| !held.is_over(utc_ms));
        match held {
            Some(held) if held.owner != lock.owner => return Err(held.refused()),
            None if self.0.len() >= LOCKS_MAX => return Err(Error::TooMany { what: "lock", limit: LOCKS_MAX }),
            _ => {}
        }
        let is_new = held.is_none();
        self.0.insert(key, lock);
        Ok(is_new)
    }

    /// Releases a lock; none if there is none. That of somebody else is refused, unless `by` may break it.
    pub(super) fn release(
        &mut self,
        scene: &Id,
        layer: &Id,
        by: &Actor,
        may_break: bool,
        utc_ms: i64,
    ) -> Result<Option<Lock>, Error> {
        let key = (scene.clone(), layer.clone());
        match self.0.get(&key).filter(|held| !held.is_over(utc_ms)) {
            Some(held) if held.owner != *by && !may_break => Err(held.refused()),
            Some(_) => Ok(self.0.remove(&key)),
            None => Ok(None),
        }
    }

    /// Those that hold.
    pub(super) fn holding(&self, utc_ms: i64) -> impl Iterator<Item = &Lock> {
        self.0.values().filter(move |lock| !lock.is_over(utc_ms))
    }

    /// Those that hold for this one.
    pub(super) fn against(&self, actor: &Actor, utc_ms: i64) -> Vec<Lock> {
        self.holding(utc_ms).filter(|lock| lock.owner != *actor).cloned().collect()
    }

    /// Takes those away that are over.
    pub(super) fn expire(&mut self, utc_ms: i64) -> Vec<Lock> {
        let over: Vec<_> = self.0.values().filter(|lock| lock.is_over(utc_ms)).cloned().collect();
        self.0.retain(|_, lock| !lock.is_over(utc_ms));
        over
    }

    /// When the next one ends.
    pub(super) fn next_expiry(&self) -> Option<i64> {
        self.0.values().map(|lock| lock.expires_utc_ms).min()
    }
}

/// Refuses a change of a layer that somebody else has locked.
pub(super) fn expect_free(against: &[Lock], before: &Show, after: &Show) -> Result<(), Error> {
    let touched = against.iter().find(|lock| lock.is_touched(before, after));
    touched.map_or(Ok(()), |lock| Err(lock.refused()))
}

/// A lock as a store keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Written {
    scene: Id,
    layer: Id,
    owner: String,
    expires_utc_ms: i64,
}

impl Locks {
    /// As they are written.
    pub(super) fn written(&self) -> Vec<Written> {
        let written = |lock: &Lock| {
            let Lock { scene, layer, owner, expires_utc_ms } = lock.clone();
            Written { scene, layer, owner: owner.name().into(), expires_utc_ms }
        };
        self.0.values().map(written).collect()
    }

    /// Reads them; those that are over are so at once.
    pub(super) fn read(written: Vec<Written>) -> Result<Self, Problems> {
        let mut check = Check::default();
        check.count("/locks", "locks", written.len(), 0..=LOCKS_MAX);
        check.finish()?;
        let lock = |Written { scene, layer, owner, expires_utc_ms }| {
            let key: (Id, Id) = (scene, layer);
            let (scene, layer) = key.clone();
            (key, Lock { scene, layer, owner: Actor::new(&owner), expires_utc_ms })
        };
        Ok(Self(written.into_iter().map(lock).collect()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::base::clock::{Clock, ManualClock};

    fn id(text: &str) -> Id {
        Id::new(text).unwrap()
    }

    fn lock(layer: &str, owner: &str, expires_utc_ms: i64) -> Lock {
        Lock { scene: id("main"), layer: id(layer), owner: Actor::new(owner), expires_utc_ms }
    }

    /// The owner of the lock in the way.
    fn owner<T: std::fmt::Debug>(refused: Result<T, Error>) -> String {
        match refused {
            Err(Error::Locked(lock)) => lock.owner.name().into(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_lock_is_its_owners_until_it_is_over() {
        let clock = ManualClock::default();
        let at = |seconds| expiry(Some(seconds), clock.utc_ms()).unwrap();
        let mut locks = Locks::default();
        assert!(locks.put(lock("bug", "anna", at(10.0)), clock.utc_ms()).unwrap());
        clock.advance(std::time::Duration::from_secs(9));
        assert_eq!(owner(locks.put(lock("bug", "ben", at(10.0)), clock.utc_ms())), "anna");
        assert!(!locks.put(lock("bug", "anna", at(2.0)), clock.utc_ms()).unwrap(), "renewed");
        assert_eq!(locks.against(&Actor::new("ben"), clock.utc_ms()).len(), 1);
        assert!(locks.against(&Actor::new("anna"), clock.utc_ms()).is_empty());
        clock.advance(std::time::Duration::from_millis(1999));
        assert_eq!((locks.holding(clock.utc_ms()).count(), locks.next_expiry()), (1, Some(11_000)));
        assert!(locks.expire(clock.utc_ms()).is_empty());
        clock.advance(std::time::Duration::from_millis(1));
        assert_eq!(locks.holding(clock.utc_ms()).count(), 0, "to the millisecond");
        assert!(locks.put(lock("bug", "ben", at(1.0)), clock.utc_ms()).unwrap(), "whoever comes next");
        clock.advance(std::time::Duration::from_secs(1));
        assert_eq!(locks.expire(clock.utc_ms()), [lock("bug", "ben", 12_000)]);
        assert_eq!((locks.next_expiry(), locks.expire(i64::MAX).len()), (None, 0));
    }

    #[test]
    fn it_is_released_by_its_owner_or_broken() {
        let mut locks = Locks::default();
        let bug = lock("bug", "anna", 1000);
        let release = |locks: &mut Locks, by: &str, may_break, utc_ms| {
            locks.release(&id("main"), &id("bug"), &Actor::new(by), may_break, utc_ms)
        };
        assert_eq!(release(&mut locks, "anna", true, 0).unwrap(), None);
        locks.put(bug.clone(), 0).unwrap();
        assert_eq!(owner(release(&mut locks, "ben", false, 0)), "anna");
        assert_eq!(release(&mut locks, "chief", true, 0).unwrap(), Some(bug.clone()));
        locks.put(bug.clone(), 0).unwrap();
        assert_eq!(release(&mut locks, "anna", false, 0).unwrap(), Some(bug.clone()));
        locks.put(bug, 0).unwrap();
        assert_eq!(release(&mut locks, "ben", false, 1000).unwrap(), None, "it was over");
    }

    #[test]
    fn they_are_bounded_in_number_and_in_time() {
        let mut locks = Locks::default();
        for i in 0..LOCKS_MAX {
            locks.put(lock(&format!("l{i}"), "anna", 1000), 0).unwrap();
        }
        let one_more = locks.put(lock("more", "anna", 1000), 0);
        assert!(matches!(one_more, Err(Error::TooMany { limit: LOCKS_MAX, .. })));
        locks.put(lock("l7", "anna", 2000), 0).unwrap();
        for bad in [0.0, 0.999, 3600.1, f64::NAN, f64::INFINITY, -1.0] {
            assert!(expiry(Some(bad), 0).unwrap_err().to_string().contains("1 to 3600"), "{bad}");
        }
        assert_eq!((expiry(None, 5).unwrap(), expiry(Some(1.5), 5).unwrap()), (60_005, 1505));
    }

    fn show(layers: Value) -> Show {
        let other =
            json!({ "id": "other", "layers": [{ "id": "bug", "content": { "type": "color", "color": "#000000" } }] });
        Show::read(json!({ "canvas": { "width": 64, "height": 64, "fps": "25" },
            "scenes": [{ "id": "main", "layers": layers }, other], "program": "main" }))
        .unwrap()
    }

    #[test]
    fn it_holds_for_the_layers_document_however_it_is_changed() {
        let layer = |id: &str, color: &str| json!({ "id": id, "content": { "type": "color", "color": color } });
        let before = show(json!([layer("a", "#000000"), layer("bug", "#000000")]));
        let held = [lock("bug", "anna", 1000)];
        for free in [
            json!([layer("a", "#ffffff"), layer("bug", "#000000")]),
            json!([layer("bug", "#000000"), layer("c", "#000000")]),
        ] {
            expect_free(&held, &before, &show(free)).unwrap();
        }
        for touched in [json!([layer("a", "#000000"), layer("bug", "#ffffff")]), json!([layer("a", "#000000")])] {
            assert_eq!(owner(expect_free(&held, &before, &show(touched.clone()))), "anna");
            assert_eq!(owner(expect_free(&held, &show(touched), &before)), "anna", "and back");
        }
        assert!(expect_free(&[], &before, &show(json!([]))).is_ok());
    }

    #[test]
    fn a_way_that_ends_is_no_change_and_one_that_is_given_is() {
        let approach = json!({ "property": "opacity", "from": 0, "velocity": 0, "startMs": 0, "durationMs": 100, "easing": "linear" });
        let layer = |approaches: Value| {
            show(json!([{ "id": "bug", "content": { "type": "color", "color": "#000000" }, "approaches": approaches }]))
        };
        let held = [lock("bug", "anna", 1000)];
        expect_free(&held, &layer(json!([approach])), &layer(json!([]))).unwrap();
        assert_eq!(owner(expect_free(&held, &layer(json!([])), &layer(json!([approach])))), "anna");
    }

    #[test]
    fn they_are_read_as_they_are_written() {
        let mut locks = Locks::default();
        locks.put(lock("bug", "anna", 1000), 0).unwrap();
        locks.put(lock("clock", "ben", 2000), 0).unwrap();
        let written = serde_json::to_value(locks.written()).unwrap();
        let mut back = Locks::read(serde_json::from_value(written).unwrap()).unwrap();
        assert_eq!(back, locks);
        assert_eq!(back.expire(1500).len(), 1, "what has not expired holds on");
        let many = vec![locks.written()[0].clone(); LOCKS_MAX + 1];
        assert!(Locks::read(many).is_err());
    }
}
