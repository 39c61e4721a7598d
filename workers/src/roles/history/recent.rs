//! What was learnt last, as much of it as there is room for.
//!
//! Invariant: what is here is what was last set under its key; everything set since half of the
//! room was last filled is here. Being forgotten for want of room is not wrong.

use std::collections::HashMap;
use std::hash::Hash;

/// Values by key, those learnt last.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    young: HashMap<K, (V, usize)>,
    /// Those before them; they make room together.
    old: HashMap<K, (V, usize)>,
    /// What the young ones weigh.
    weight: usize,
    bound: usize,
}

impl<K: Eq + Hash, V> Recent<K, V> {
    /// Room for values that weigh `bound` together.
    pub(super) fn new(bound: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), weight: 0, bound }
    }

    /// What was learnt of a key.
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key)).map(|(value, _)| value)
    }

    /// Learns a value.
    pub(super) fn set(&mut self, key: K, value: V, weight: usize) {
        self.take(&key);
        if self.weight + weight > (self.bound / 2).max(1) {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
        }
        self.weight += weight;
        self.young.insert(key, (value, weight));
    }

    /// Forgets a key; what was known of it.
    pub(super) fn take(&mut self, key: &K) -> Option<V> {
        let old = self.old.remove(key);
        let young = self.young.remove(key).inspect(|(_, weight)| self.weight -= weight);
        young.or(old).map(|(value, _)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_learnt_stay() {
        let mut recent = Recent::new(10);
        (0..100).for_each(|n| recent.set(n, n, 1));
        recent.set(97, 200, 1);
        assert_eq!((recent.get(&97), recent.get(&99)), (Some(&200), Some(&99)));
        assert_eq!(recent.get(&1), None);
        let kept = (0..100).filter(|n| recent.get(n).is_some()).count();
        assert!((5..=10).contains(&kept), "{kept}");
        assert_eq!(recent.take(&97), Some(200));
        assert_eq!(recent.get(&97), None);
    }

    #[test]
    fn what_weighs_much_makes_others_go_and_the_same_again_does_not() {
        let mut recent = Recent::new(10);
        recent.set(1, (), 2);
        (0..100).for_each(|_| recent.set(2, (), 3));
        assert!(recent.get(&1).is_some(), "2 was there already");
        recent.set(3, (), 50);
        recent.set(4, (), 1);
        assert!(recent.get(&1).is_none() && recent.get(&3).is_some());
    }
}
