//! Which safeguard is switched off with which others, so that the checker must notice.
//!
//! Most promises are held by more than one safeguard, so one alone may be off and nobody is hurt: a lost
//! entry is missed by its successor (`gap`), by the digest, by the reconnection's look at what changed.
//! Each case names the others that have to go with it, and the faults that then hurt somebody.
//!
//! Invariant: a case says what was seen ([`Case::seen`]), or that nothing was seen yet; nothing here is
//! hoped for. How to run one: [`Case::command`], with edges and workers built in debug with
//! `--features natter-edge/sabotage,natter-workers/sabotage`.

use super::judge::Guarantee;

/// One safeguard, and how to see that it matters.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The safeguard.
    pub safeguard: &'static str,
    /// Others that would hide that it is off.
    pub hidden_by: &'static [&'static str],
    /// Faults under which it matters; none: without any.
    pub faults: &'static [&'static str],
    /// What else is to be given on the command line.
    pub more: &'static [&'static str],
    /// What is broken then: one of these at least.
    pub breaks: &'static [Guarantee],
    /// The seed and what was seen; none where it was not seen to fail.
    pub seen: Option<(u64, &'static str)>,
}

impl Case {
    /// The command that shows it.
    pub fn command(&self) -> String {
        let without: Vec<&str> =
            std::iter::once(self.safeguard).chain(self.hidden_by.iter().copied()).collect();
        let faults = if self.faults.is_empty() {
            "--calm".to_owned()
        } else {
            format!("--faults {}", self.faults.join(","))
        };
        let seeds = self.seen.map_or_else(|| "1..21".to_owned(), |(seed, _)| seed.to_string());
        let more: String = self.more.iter().map(|word| format!(" {word}")).collect();
        format!("natter-check --seeds {seeds} --without {} {faults}{more}", without.join(","))
    }
}

/// Every safeguard.
pub const CASES: [Case; 11] = [
    Case {
        safeguard: "gap",
        hidden_by: &["digest", "reconnect"],
        faults: &["flap-edge", "cut-edge"],
        more: &[],
        breaks: &[Guarantee::Delivered],
        seen: None,
    },
    Case {
        safeguard: "coverage",
        hidden_by: &[],
        faults: &["slow-routes", "slow-worker", "flap-edge"],
        more: &[],
        breaks: &[Guarantee::Visible, Guarantee::Delivered],
        seen: None,
    },
    Case {
        safeguard: "digest",
        hidden_by: &[],
        faults: &["flap-edge", "cut-edge"],
        more: &["--rate 4"],
        breaks: &[Guarantee::Delivered],
        seen: None,
    },
    Case {
        safeguard: "nudge",
        hidden_by: &["digest", "reconnect", "gap"],
        faults: &["kill-leader", "pause-leader"],
        more: &[],
        breaks: &[Guarantee::Delivered],
        seen: None,
    },
    Case {
        safeguard: "deduplication",
        hidden_by: &[],
        faults: &["pause-leader", "kill-leader", "deaf-edge"],
        more: &[],
        breaks: &[Guarantee::Made],
        seen: None,
    },
    Case {
        safeguard: "subscribe",
        hidden_by: &["gap", "digest", "reconnect"],
        faults: &["kill-edge"],
        more: &[],
        breaks: &[Guarantee::Delivered],
        seen: None,
    },
    Case {
        safeguard: "reconnect",
        hidden_by: &["digest"],
        faults: &["flap-edge", "cut-edge"],
        more: &["--rate 4"],
        breaks: &[Guarantee::Delivered],
        seen: None,
    },
    Case {
        safeguard: "void",
        hidden_by: &[],
        faults: &["slow-edge", "deaf-edge"],
        more: &["--rate 40"],
        breaks: &[Guarantee::Void],
        seen: None,
    },
    Case {
        safeguard: "outbox",
        hidden_by: &[],
        faults: &["kill-worker"],
        more: &["--rate 40"],
        breaks: &[Guarantee::Acked, Guarantee::Document, Guarantee::Visible],
        seen: None,
    },
    Case {
        safeguard: "sweep",
        hidden_by: &[],
        faults: &["kill-worker", "pause-leader"],
        more: &[],
        breaks: &[Guarantee::Document],
        seen: None,
    },
    Case {
        safeguard: "floor",
        hidden_by: &[],
        faults: &["persister-away", "kill-worker"],
        more: &["--set PERSISTER__TRIM_AFTER_S=1", "--set PERSISTER__TRIM_EVERY_S=1"],
        breaks: &[Guarantee::Acked, Guarantee::Agreed],
        seen: None,
    },
];

#[cfg(test)]
mod tests {
    use bus_schema::sabotage::Safeguard;
    use clap::ValueEnum as _;

    use super::*;
    use crate::check::faults::Kind;

    #[test]
    fn there_is_a_case_for_every_safeguard_of_the_product() {
        let cases: Vec<&str> = CASES.iter().map(|case| case.safeguard).collect();
        assert_eq!(cases, Safeguard::ALL.map(Safeguard::name));
    }

    #[test]
    fn cases_name_what_there_is() {
        for case in CASES {
            for fault in case.faults {
                assert!(Kind::from_str(fault, false).is_ok(), "{fault}");
            }
            let known = |name: &&str| Safeguard::ALL.iter().any(|guard| guard.name() == *name);
            assert!(case.hidden_by.iter().all(known) && !case.breaks.is_empty(), "{case:?}");
        }
    }
}
