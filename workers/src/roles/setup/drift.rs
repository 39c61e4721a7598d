//! What differs between a stream and its definition, and which differences may be undone.
//!
//! Invariant: a change that could lose an entry, refuse what was accepted before, or that the server
//! does not allow, is never made silently. Pure.

use async_nats::jetstream::stream::Config;
use bus_schema::streams::METADATA_STREAMS;

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The stream.
    pub(crate) stream: String,
    /// The field.
    pub(crate) field: &'static str,
    /// As it is.
    pub(crate) have: String,
    /// As it is defined.
    pub(crate) want: String,
    /// Whether it may be brought in line.
    pub(crate) safe: bool,
}

/// A field that definitions speak of.
struct Field {
    name: &'static str,
    show: fn(&Config) -> String,
    set: fn(&mut Config, &Config),
    /// Whether it may be changed, given what is, what is wanted and whether the stream was ever used.
    safe: fn(&Config, &Config, bool) -> bool,
}

macro_rules! field {
    ($field:ident, $safe:expr) => {
        Field {
            name: stringify!($field),
            show: |c| format!("{:?}", c.$field),
            set: |c, want| c.$field = want.$field.clone(),
            safe: $safe,
        }
    };
}

/// No limit is -1 or 0.
const fn wider(have: i64, want: i64) -> bool {
    want <= 0 || (have > 0 && want > have)
}

const FIELDS: [Field; 16] = [
    field!(subjects, |_, _, used| !used),
    Field {
        name: METADATA_STREAMS,
        show: |c| format!("{:?}", c.metadata.get(METADATA_STREAMS)),
        set: |c, want| {
            let said = want.metadata.get(METADATA_STREAMS);
            c.metadata.extend(said.map(|n| (METADATA_STREAMS.to_owned(), n.clone())));
        },
        // One that is missing is only added where the subjects agree with it.
        safe: |have, want, used| !used || have.subjects == want.subjects,
    },
    field!(storage, |_, _, _| false),
    field!(retention, |_, _, _| false),
    field!(num_replicas, |have, want, _| want.num_replicas > have.num_replicas),
    field!(max_bytes, |have, want, _| wider(have.max_bytes, want.max_bytes)),
    field!(max_messages, |have, want, _| wider(have.max_messages, want.max_messages)),
    field!(max_messages_per_subject, |have, want, _| {
        wider(have.max_messages_per_subject, want.max_messages_per_subject)
    }),
    field!(max_message_size, |have, want, _| {
        wider(have.max_message_size.into(), want.max_message_size.into())
    }),
    field!(max_age, |have, want, _| want.max_age.is_zero()
        || (!have.max_age.is_zero() && want.max_age > have.max_age)),
    field!(discard, |_, _, _| true),
    field!(duplicate_window, |have, want, _| want.duplicate_window > have.duplicate_window),
    field!(republish, |_, _, _| true),
    field!(allow_atomic_publish, |_, want, _| want.allow_atomic_publish),
    field!(allow_direct, |_, _, _| true),
    // The server lets nobody take these back.
    Field {
        name: "deny_delete, deny_purge",
        show: |c| format!("{}, {}", c.deny_delete, c.deny_purge),
        set: |c, want| (c.deny_delete, c.deny_purge) = (want.deny_delete, want.deny_purge),
        safe: |have, want, _| {
            have.deny_delete <= want.deny_delete && have.deny_purge <= want.deny_purge
        },
    },
];

/// Every field that differs.
pub(super) fn differences(have: &Config, want: &Config, used: bool) -> Vec<Difference> {
    let differing = FIELDS.iter().filter(|field| (field.show)(have) != (field.show)(want));
    differing
        .map(|field| Difference {
            stream: want.name.clone(),
            field: field.name,
            have: (field.show)(have),
            want: (field.show)(want),
            safe: (field.safe)(have, want, used),
        })
        .collect()
}

/// The configuration with every safe difference undone, and nothing else changed.
pub(super) fn reconcile(have: &Config, want: &Config, used: bool) -> Config {
    let mut config = have.clone();
    for field in &FIELDS {
        let differs = (field.show)(have) != (field.show)(want);
        if differs && (field.safe)(have, want, used) {
            (field.set)(&mut config, want);
        }
    }
    config
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn config() -> Config {
        Config {
            name: "LOG_0".to_owned(),
            subjects: vec!["log.>".to_owned()],
            num_replicas: 3,
            max_bytes: 100,
            deny_delete: true,
            ..Config::default()
        }
    }

    #[test]
    fn what_agrees_does_not_differ() {
        assert_eq!(differences(&config(), &config(), true), []);
    }

    #[test]
    fn wider_bounds_are_set_and_narrower_ones_reported() {
        let want = Config { max_bytes: 200, duplicate_window: Duration::from_secs(9), ..config() };
        assert_eq!(reconcile(&config(), &want, true).max_bytes, 200);
        let found = differences(&want, &config(), true);
        assert_eq!(found.iter().map(|d| d.safe).collect::<Vec<_>>(), [false, false]);
        assert_eq!(reconcile(&want, &config(), true), want);
    }

    #[test]
    fn subjects_move_only_while_nothing_was_written() {
        let want = Config { subjects: vec!["log.1.>".to_owned()], ..config() };
        assert_eq!(reconcile(&config(), &want, false).subjects, want.subjects);
        assert_eq!(reconcile(&config(), &want, true).subjects, config().subjects);
    }

    #[test]
    fn what_an_operator_added_stays() {
        let have = Config { description: Some("ours".to_owned()), max_bytes: 1, ..config() };
        let now = reconcile(&have, &config(), true);
        assert_eq!((now.description.as_deref(), now.max_bytes), (Some("ours"), 100));
    }

    #[test]
    fn replicas_are_never_taken_away() {
        let want = Config { num_replicas: 1, ..config() };
        assert_eq!(reconcile(&config(), &want, true).num_replicas, 3);
    }
}
