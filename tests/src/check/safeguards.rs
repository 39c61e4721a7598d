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
        let more: String = self.more.iter().flat_map(|word| [" ", word]).collect();
        format!("natter-check --seeds {seeds} --without {} {faults}{more}", without.join(","))
    }
}

/// Every safeguard.
pub const CASES: [Case; 11] = [
    Case {
        safeguard: "gap",
        // A digest often has what is missing fetched before its successor comes.
        hidden_by: &["digest"],
        faults: &["flap-edge", "cut-edge"],
        more: &["--seconds 20", "--workers 1"],
        breaks: &[Guarantee::Delivered],
        seen: Some((
            2,
            "149 and 102 entries never received by a device in two runs, where digest alone makes none",
        )),
    },
    Case {
        safeguard: "coverage",
        hidden_by: &[],
        faults: &["slow-routes", "flap-edge"],
        more: &["--seconds 15"],
        breaks: &[Guarantee::Visible, Guarantee::Delivered],
        seen: Some((
            1,
            "READY shows an older last_id than one that was acknowledged before IDENTIFY",
        )),
    },
    Case {
        safeguard: "digest",
        hidden_by: &["gap"],
        faults: &["flap-edge", "cut-edge"],
        more: &["--seconds 20", "--workers 1"],
        breaks: &[Guarantee::Delivered, Guarantee::Made],
        seen: Some((
            2,
            "149 and 102 entries never received by a device, where either alone made none",
        )),
    },
    Case {
        safeguard: "nudge",
        // Digests tell of every entry within a second, and what is said next shows what was missed:
        // it takes a conversation in which nothing is said afterwards, and an acknowledgement lost with
        // the live copies. (`gap` is on: without it what follows would hide what a nudge brings.) Here
        // digest alone makes findings as well, and no run tells the two apart. What does is a test of one
        // message, `tests/it/survival/unheard.rs`: without the nudge it never comes, without digests it does.
        hidden_by: &["digest"],
        faults: &["slow-routes", "flap-edges"],
        more: &["--seconds 10", "--workers 1", "--only-messages", "--channels 20", "--rate 2"],
        breaks: &[Guarantee::Delivered],
        seen: Some((
            2936,
            "15 and 5 entries never received by a device in two runs, where digest alone makes 6 and 3",
        )),
    },
    Case {
        safeguard: "deduplication",
        hidden_by: &[],
        faults: &["pause-leader", "kill-leader", "deaf-edge"],
        more: &["--seconds 20", "--workers 1"],
        breaks: &[Guarantee::Made],
        seen: Some((1, "15 messages are there twice, each sent under one nonce")),
    },
    Case {
        safeguard: "subscribe",
        hidden_by: &["gap", "digest", "reconnect"],
        faults: &["kill-edge"],
        more: &["--seconds 20", "--workers 1"],
        breaks: &[Guarantee::Delivered, Guarantee::Made],
        seen: Some((
            1,
            "entries from the first half second of a channel's following never received",
        )),
    },
    Case {
        safeguard: "reconnect",
        hidden_by: &["gap"],
        faults: &["flap-edge", "cut-edge"],
        more: &["--seconds 20", "--workers 1"],
        breaks: &[Guarantee::Delivered],
        seen: Some((2, "100 entries never received by a device, where gap alone makes 4")),
    },
    Case {
        safeguard: "void",
        hidden_by: &[],
        faults: &["slow-edge"],
        more: &["--seconds 25", "--rate 90", "--clients 8", "--workers 1"],
        breaks: &[Guarantee::Void, Guarantee::Acked],
        seen: Some((11, "what people wrote after their removal is shown: 19 findings")),
    },
    Case {
        safeguard: "outbox",
        hidden_by: &[],
        faults: &["kill-worker"],
        more: &["--seconds 20", "--rate 40"],
        breaks: &[
            Guarantee::Acked,
            Guarantee::Document,
            Guarantee::Order,
            Guarantee::Removed,
            Guarantee::Visible,
        ],
        seen: Some((
            3,
            "a removal was acknowledged and is not in the log; 7 documents and lists differ",
        )),
    },
    Case {
        safeguard: "sweep",
        // The channels worker dies while the log has no leader, with changes committed and none of
        // them published; few seconds are left in which a later change could take them along.
        hidden_by: &[],
        faults: &["kill-worker", "kill-leader"],
        more: &["--seconds 12", "--workers 1", "--streams 1", "--rate 60"],
        breaks: &[Guarantee::Document],
        seen: Some((
            44,
            "renames, removals and new channels are in documents and lists and not in the log: 3, 22 \
             and 15 findings in three runs; with the safeguard, none",
        )),
    },
    Case {
        safeguard: "floor",
        hidden_by: &[],
        faults: &["persister-away", "kill-worker"],
        more: &[
            "--seconds 30",
            "--workers 1",
            "--set PERSISTER__TRIM_AFTER_S=1",
            "--set PERSISTER__TRIM_EVERY_S=1",
        ],
        breaks: &[Guarantee::Acked, Guarantee::Agreed],
        seen: Some((1, "10 acknowledged entries in neither log nor history")),
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
