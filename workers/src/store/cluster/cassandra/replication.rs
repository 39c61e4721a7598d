//! How often a keyspace is kept, and where.
//!
//! Invariant: what is put into CQL was taken apart and checked before.

use std::collections::BTreeMap;
use std::str::FromStr;

/// Replicas of everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Replication {
    /// So many, whatever the datacenter.
    Simple(u8),
    /// So many in each of these datacenters.
    Datacenters(BTreeMap<String, u8>),
}

/// The text says neither.
#[derive(Debug, thiserror::Error)]
#[error("store.cassandra.replication: a number, or datacenter:number pairs with commas between")]
pub(crate) struct BadReplication;

impl FromStr for Replication {
    type Err = BadReplication;

    fn from_str(text: &str) -> Result<Self, BadReplication> {
        let count = |text: &str| match text.trim().parse() {
            Ok(0) | Err(_) => Err(BadReplication),
            Ok(count) => Ok(count),
        };
        if !text.contains(':') {
            return count(text).map(Self::Simple);
        }
        let word = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        let mut all = BTreeMap::new();
        for pair in text.split(',') {
            let (name, number) = pair.split_once(':').ok_or(BadReplication)?;
            let name = name.trim();
            if name.is_empty() || !name.chars().all(word) {
                return Err(BadReplication);
            }
            all.insert(name.to_owned(), count(number)?);
        }
        Ok(Self::Datacenters(all))
    }
}

impl Replication {
    /// As the server keeps it: its options, the class without its package.
    pub(crate) fn options(&self) -> BTreeMap<String, String> {
        let (class, mut options) = match self {
            Self::Simple(count) => {
                let factor = ("replication_factor".to_owned(), count.to_string());
                ("SimpleStrategy", BTreeMap::from([factor]))
            }
            Self::Datacenters(all) => {
                let counts = all.iter().map(|(name, count)| (name.clone(), count.to_string()));
                ("NetworkTopologyStrategy", counts.collect())
            }
        };
        options.insert("class".to_owned(), class.to_owned());
        options
    }

    /// As CQL says it.
    pub(crate) fn cql(&self) -> String {
        let options = self.options();
        let options = options.iter().map(|(key, value)| format!("'{key}': '{value}'"));
        format!("{{{}}}", options.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_the_server_understands() {
        let cql = |text: &str| text.parse::<Replication>().unwrap().cql();
        assert_eq!(cql("3"), "{'class': 'SimpleStrategy', 'replication_factor': '3'}");
        assert_eq!(
            cql("west:2, east:3"),
            "{'class': 'NetworkTopologyStrategy', 'east': '3', 'west': '2'}"
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in ["", "0", "x", "a:", "a:0", ":3", "a'b:3", "a:3,", "3,4", "-1"] {
            assert!(bad.parse::<Replication>().is_err(), "{bad:?}");
        }
    }
}
