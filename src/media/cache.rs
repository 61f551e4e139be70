//! A map with a budget: what was not used for longest goes first.
//!
//! Every value has a cost (bytes) and a stamp of its last use; stamps only rise, so an ordered map of stamps is the
//! order of use. All operations are O(log n).

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

#[derive(Debug)]
struct Entry<V> {
    value: V,
    cost: u64,
    stamp: u64,
}

/// A map that stays within a budget when [`Cache::trim`] is called.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    entries: HashMap<K, Entry<V>>,
    order: BTreeMap<u64, K>,
    next_stamp: u64,
    cost: u64,
    cost_max: u64,
}

impl<K: Hash + Eq + Clone, V> Cache<K, V> {
    /// An empty cache that may cost `cost_max` bytes.
    pub(crate) fn new(cost_max: u64) -> Self {
        Self { entries: HashMap::new(), order: BTreeMap::new(), next_stamp: 0, cost: 0, cost_max }
    }

    /// The value of `key`; this counts as a use.
    pub(crate) fn get(&mut self, key: &K) -> Option<&mut V> {
        let entry = self.entries.get_mut(key)?;
        let key = self.order.remove(&entry.stamp)?;
        entry.stamp = self.next_stamp;
        self.next_stamp += 1;
        self.order.insert(entry.stamp, key);
        Some(&mut entry.value)
    }

    /// The value of `key`, without counting as a use.
    pub(crate) fn peek(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// All keys, in no order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.keys()
    }

    /// Sets the value of `key`; this counts as a use. The budget is not enforced before [`Cache::trim`].
    pub(crate) fn insert(&mut self, key: K, value: V, cost: u64) {
        self.remove(&key);
        self.order.insert(self.next_stamp, key.clone());
        self.entries.insert(key, Entry { value, cost, stamp: self.next_stamp });
        self.next_stamp += 1;
        self.cost += cost;
    }

    /// Takes the value of `key` out.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.remove(key)?;
        self.order.remove(&entry.stamp);
        self.cost -= entry.cost;
        Some(entry.value)
    }

    /// A point in the order of uses: whatever is used from now on is *since* this mark.
    pub(crate) fn mark(&self) -> u64 {
        self.next_stamp
    }

    /// While over budget, drops what was not used for longest; what was used since `mark` stays even so.
    pub(crate) fn trim(&mut self, mark: u64) {
        while self.cost > self.cost_max && self.drop_oldest_before(mark) {}
    }

    /// Drops all that was not used since `mark`.
    pub(crate) fn drop_before(&mut self, mark: u64) {
        while self.drop_oldest_before(mark) {}
    }

    fn drop_oldest_before(&mut self, mark: u64) -> bool {
        let oldest = self.order.first_key_value().filter(|&(&stamp, _)| stamp < mark).map(|(_, key)| key.clone());
        oldest.and_then(|key| self.remove(&key)).is_some()
    }

    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What all values cost together.
    pub(crate) fn cost(&self) -> u64 {
        self.cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_what_was_used_longest_ago_and_never_what_is_in_use() {
        let mut cache = Cache::new(30);
        for key in ["a", "b", "c"] {
            cache.insert(key, (), 10);
        }
        cache.get(&"a");
        let mark = cache.mark();
        cache.insert("d", (), 10);
        cache.trim(mark);
        assert!(cache.peek(&"b").is_none() && cache.peek(&"a").is_some(), "b was used longest ago");

        cache.insert("e", (), 100);
        cache.trim(mark);
        assert_eq!((cache.len(), cache.cost()), (2, 110), "d and e are in use, whatever they cost");
        cache.drop_before(cache.mark());
        assert_eq!((cache.len(), cache.cost()), (0, 0));
    }

    #[test]
    fn replacing_a_value_replaces_its_cost() {
        let mut cache = Cache::new(30);
        cache.insert("a", 1, 10);
        cache.insert("a", 2, 25);
        assert_eq!((cache.get(&"a").copied(), cache.cost(), cache.len()), (Some(2), 25, 1));
    }
}
