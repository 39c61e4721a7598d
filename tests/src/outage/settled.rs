//! A value that people change through a platform that may not answer.
//!
//! Invariant: it is what the last acknowledged change made it, or what a change made it whose
//! outcome nobody was told. A change that was refused never counts. Pure.

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was acknowledged.
    Acked,
    /// It was refused: nothing was changed.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// A value, and what it may be instead.
#[derive(Clone, Debug)]
pub struct Settled<T> {
    sure: T,
    perhaps: Vec<T>,
}

impl<T: Clone + PartialEq> Settled<T> {
    /// A value that is known.
    pub fn new(value: T) -> Self {
        Self { sure: value, perhaps: Vec::new() }
    }

    /// A change is asked for: from now on it may have happened.
    pub fn begin(&mut self, value: T) {
        self.perhaps.push(value);
    }

    /// What became of that change.
    pub fn settle(&mut self, value: &T, fate: Fate) {
        match fate {
            Fate::Acked => {
                self.sure = value.clone();
                self.perhaps.clear();
            }
            Fate::Refused => {
                if let Some(place) = self.perhaps.iter().rposition(|other| other == value) {
                    self.perhaps.remove(place);
                }
            }
            Fate::Unknown => {}
        }
    }

    /// What the last acknowledged change made it.
    pub fn sure(&self) -> &T {
        &self.sure
    }

    /// Whether nothing is uncertain.
    pub fn is_settled(&self) -> bool {
        self.perhaps.is_empty()
    }

    /// Whether it may be this.
    pub fn allows(&self, value: &T) -> bool {
        self.sure == *value || self.perhaps.contains(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_not_refused_counts() {
        let mut value = Settled::new(1);
        value.begin(2);
        assert!(value.allows(&1) && value.allows(&2));
        value.settle(&2, Fate::Refused);
        assert!(!value.allows(&2) && value.is_settled());
        value.begin(3);
        value.settle(&3, Fate::Unknown);
        assert!(value.allows(&1) && value.allows(&3) && !value.is_settled());
        value.begin(4);
        value.settle(&4, Fate::Acked);
        assert!(!value.allows(&1) && !value.allows(&3) && value.allows(&4));
    }
}
