//! Loss, repetition, reordering, trimming and refusal against the plain log.

use proptest::prelude::*;

use super::*;

#[test]
fn passes_what_follows_without_a_fetch() {
    let mut f = Follower::new(8);
    f.start(10, false);
    f.live(14, 9, 'a');
    assert_eq!(f.next(), Next::Entry(14, 'a'));
    f.passed(14);
    f.live(20, 14, 'b');
    assert_eq!(f.next(), Next::Entry(20, 'b'));
    f.passed(20);
    assert_eq!(f.next(), Next::Idle);
}

#[test]
fn a_missing_predecessor_is_fetched_first() {
    let mut f = Follower::new(8);
    f.start(10, false);
    f.live(20, 15, 'b');
    assert_eq!(f.next(), Next::Fetch(Fetch { after: 10, min: 20 }));
    assert_eq!(f.next(), Next::Idle, "one fetch at a time");
    f.fetched(17, true);
    assert_eq!(f.next(), Next::Entry(20, 'b'));
}

#[test]
fn a_trimmed_predecessor_is_unknown_unless_there_never_was_one() {
    let mut known = Follower::new(8);
    known.start(10, true);
    known.live(20, 0, 'a');
    assert_eq!(known.next(), Next::Entry(20, 'a'));
    let mut unknown = Follower::new(8);
    unknown.start(10, false);
    unknown.live(20, 0, 'a');
    assert_eq!(unknown.next(), Next::Fetch(Fetch { after: 10, min: 20 }));
}

#[test]
fn what_cannot_be_judged_is_fetched() {
    let mut f = Follower::new(8);
    f.start(10, false);
    f.live(12, 10, 'a');
    assert_eq!(f.next(), Next::Entry(12, 'a'));
    f.refused(12);
    assert_eq!(f.next(), Next::Fetch(Fetch { after: 10, min: 12 }));
    f.fetched(12, true);
    assert_eq!(f.next(), Next::Idle);
}

#[test]
fn nothing_happens_before_the_start() {
    let mut f = Follower::new(8);
    f.live(12, 10, 'a');
    assert_eq!(f.next(), Next::Idle);
    f.start(12, false);
    assert_eq!(f.next(), Next::Idle, "covered by the start");
}

/// What happens to one entry on its way.
#[derive(Debug, Clone)]
enum Fate {
    Arrives,
    Twice,
    Lost,
    Late(usize),
}

fn fates(n: usize) -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        5 => Just(Fate::Arrives),
        1 => Just(Fate::Twice),
        2 => Just(Fate::Lost),
        1 => (1usize..6).prop_map(Fate::Late),
    ];
    prop::collection::vec(fate, n)
}

#[derive(Debug, Clone)]
struct Case {
    /// Sequences of the conversation, ascending, with gaps of other conversations between.
    log: Vec<u64>,
    fates: Vec<Fate>,
    /// Entries the reader cannot judge.
    refuse: Vec<bool>,
    /// How far beyond `min` each answer reaches, and how many entries it holds at most.
    answers: Vec<(u64, usize)>,
    /// Predecessors at or below this were trimmed: headers say 0.
    trimmed: u64,
    start: usize,
    pending_max: usize,
}

fn cases() -> impl Strategy<Value = Case> {
    (1usize..40).prop_flat_map(|n| {
        (
            prop::collection::vec(1u64..5, n),
            fates(n),
            prop::collection::vec(prop::bool::weighted(0.1), n),
            prop::collection::vec((0u64..9, 1usize..8), 1..8),
            0u64..60,
            0..n,
            1usize..12,
        )
            .prop_map(|(steps, fates, refuse, answers, trimmed, start, pending_max)| {
                let log = steps
                    .iter()
                    .scan(0, |at, step| {
                        *at += step;
                        Some(*at)
                    })
                    .collect();
                Case { log, fates, refuse, answers, trimmed, start, pending_max }
            })
    })
}

/// Runs the follower as its caller does, answering fetches from the log itself.
struct Reader<'a> {
    case: &'a Case,
    follower: Follower<u64>,
    passed: Vec<u64>,
    answers: usize,
}

impl Reader<'_> {
    fn run(&mut self, written: u64) {
        for _ in 0..10_000 {
            match self.follower.next() {
                Next::Idle => return,
                Next::Entry(sequence, entry) => {
                    assert_eq!(sequence, entry);
                    let index = self.case.log.iter().position(|s| *s == sequence).unwrap();
                    if self.case.refuse[index] {
                        self.follower.refused(sequence);
                    } else {
                        self.passed.push(sequence);
                        self.follower.passed(sequence);
                    }
                }
                Next::Fetch(fetch) => self.answer(fetch, written),
            }
        }
        panic!("the follower never comes to rest");
    }

    fn answer(&mut self, fetch: Fetch, written: u64) {
        let (extra, limit) = self.case.answers[self.answers % self.case.answers.len()];
        self.answers += 1;
        assert!(fetch.min <= written, "asks for what nobody wrote");
        let reach = (fetch.min + extra).min(written);
        let log = &self.case.log;
        let all: Vec<_> =
            log.iter().copied().filter(|s| (fetch.after + 1..=reach).contains(s)).collect();
        let given = &all[..all.len().min(limit)];
        let through = if given.len() < all.len() { *given.last().unwrap() } else { reach };
        self.passed.extend(given);
        self.follower.fetched(through, !given.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn everything_is_passed_once_and_in_order(case in cases()) {
        let start = case.log[case.start];
        let mut reader = Reader {
            case: &case,
            follower: Follower::new(case.pending_max),
            passed: Vec::new(),
            answers: 0,
        };
        reader.follower.start(start, false);
        let mut late: Vec<(usize, u64, u64)> = Vec::new();
        let mut written = start;
        for (n, sequence) in case.log.iter().copied().enumerate() {
            written = written.max(sequence);
            let predecessor = n.checked_sub(1).map_or(0, |p| case.log[p]);
            let predecessor = if predecessor <= case.trimmed { 0 } else { predecessor };
            match case.fates[n] {
                Fate::Lost => {}
                Fate::Arrives => reader.follower.live(sequence, predecessor, sequence),
                Fate::Twice => {
                    reader.follower.live(sequence, predecessor, sequence);
                    reader.run(written);
                    reader.follower.live(sequence, predecessor, sequence);
                }
                Fate::Late(by) => late.push((n + by, sequence, predecessor)),
            }
            late.retain(|&(when, sequence, predecessor)| {
                if when <= n {
                    reader.follower.live(sequence, predecessor, sequence);
                }
                when > n
            });
            reader.run(written);
        }
        // What headers cannot show, the digest does.
        reader.follower.hear(*case.log.last().unwrap());
        reader.run(written);
        let expected: Vec<_> = case.log.iter().copied().filter(|s| *s > start).collect();
        prop_assert_eq!(&reader.passed, &expected);
        prop_assert!(reader.follower.is_caught_up());
    }
}
