//! Whether people got what they were promised: each attempt against the duty of its store.
//!
//! Invariant: every refusal that was not allowed is told, grouped by what, when and how. Nothing is
//! judged by how fast it was, but a promise "within" a time. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::duty::{CLEAR, Duty, NOTICED_WITHIN_S, RECOVERED_WITHIN_S, UNSURE};
use super::journal::{Phase, Sample, Window};
use super::kind::Kind;

/// What is wrong with refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    NothingWasDown,
    MustGoOn,
    Unclear,
    NotRecovered,
}

impl Why {
    fn words(self) -> &'static str {
        match self {
            Self::NothingWasDown => "refused before anything was down",
            Self::MustGoOn => "must go on, and was refused",
            Self::Unclear => "may be refused, but not like this",
            Self::NotRecovered => "refused long after the store was back",
        }
    }
}

/// Everything that was not as promised.
pub fn judge(duty: &Duty, window: &Window, samples: &[Sample]) -> Vec<String> {
    let mut groups: BTreeMap<(Kind, Why, &str), (u64, f64, f64)> = BTreeMap::new();
    for sample in samples {
        let Some(code) = &sample.refused else { continue };
        let Some(why) = wrong(duty, window, sample, code) else { continue };
        let after = since(window.killed, sample.ended());
        let group = groups.entry((sample.kind, why, code)).or_insert((0, after, after));
        *group = (group.0 + 1, group.1.min(after), group.2.max(after));
    }
    let told = groups.into_iter().map(|((kind, why, code), (count, first, last))| {
        format!(
            "{}: {} with {code}, {count} times, from {first:+.1} s to {last:+.1} s of the kill",
            kind.label(),
            why.words()
        )
    });
    told.chain(absences(duty, window, samples)).collect()
}

fn wrong(duty: &Duty, window: &Window, sample: &Sample, code: &str) -> Option<Why> {
    let noticed = window.killed + Duration::from_secs(NOTICED_WITHIN_S);
    let recovered = window.back + Duration::from_secs(RECOVERED_WITHIN_S);
    let clear = CLEAR.contains(&code);
    match window.phase(sample.began, sample.ended()) {
        Phase::Before => Some(Why::NothingWasDown),
        Phase::During | Phase::After if duty.must(sample.kind) => Some(Why::MustGoOn),
        Phase::During if clear => None,
        Phase::During => {
            // What was under way, or was asked before anybody could notice, or as it returned.
            let unsure = UNSURE.contains(&code);
            let turning = sample.began < noticed || sample.ended() >= window.back;
            (!(unsure && turning)).then_some(Why::Unclear)
        }
        Phase::After if sample.began >= recovered => Some(Why::NotRecovered),
        Phase::After => (!clear).then_some(Why::Unclear),
    }
}

/// What should have been seen and was not.
fn absences(duty: &Duty, window: &Window, samples: &[Sample]) -> Vec<String> {
    let mut told = Vec::new();
    for kind in Kind::ALL {
        let of_kind = || samples.iter().filter(move |sample| sample.kind == kind);
        let during = |sample: &&Sample| window.phase(sample.began, sample.ended()) == Phase::During;
        if of_kind().filter(during).count() == 0 {
            told.push(format!("{}: never tried while the store was down", kind.label()));
        }
        match first_success(window, kind, samples) {
            None => told.push(format!("{}: never worked afterwards", kind.label())),
            Some(took) if took > Duration::from_secs(RECOVERED_WITHIN_S) => told.push(format!(
                "{}: worked again only {:.1} s after the store was back",
                kind.label(),
                took.as_secs_f64()
            )),
            Some(_) => {}
        }
    }
    for &kind in duty.reached_by {
        let mut during = samples.iter().filter(|sample| {
            sample.kind == kind && window.phase(sample.began, sample.ended()) == Phase::During
        });
        if during.all(|sample| sample.refused.is_none()) {
            told.push(format!("{}: never refused, so the outage proves nothing", kind.label()));
        }
    }
    told
}

/// How long after the store was back something was first done.
pub fn first_success(window: &Window, kind: Kind, samples: &[Sample]) -> Option<Duration> {
    let done = samples.iter().filter(|s| s.kind == kind && s.refused.is_none());
    let ends = done.map(Sample::ended).filter(|&ended| ended >= window.back);
    ends.min().map(|ended| ended - window.back)
}

fn since(from: Instant, to: Instant) -> f64 {
    match to.checked_duration_since(from) {
        Some(after) => after.as_secs_f64(),
        None => -from.duration_since(to).as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outage::duty::{Store, duty};

    fn window() -> Window {
        let began = Instant::now();
        let at = |s| began + Duration::from_secs(s);
        Window { began, killed: at(100), back: at(200) }
    }

    fn refused(kind: Kind, at: u64, code: &str) -> Option<Why> {
        let window = window();
        let began = window.began + Duration::from_secs(at);
        let took = Duration::from_millis(10);
        let sample = Sample { kind, began, took, refused: Some(code.to_owned()) };
        wrong(&duty(Store::Mongo), &window, &sample, code)
    }

    #[test]
    fn what_must_go_on_may_never_be_refused() {
        assert_eq!(refused(Kind::Send, 101, "unavailable"), Some(Why::MustGoOn));
        assert_eq!(refused(Kind::Send, 201, "unavailable"), Some(Why::MustGoOn));
    }

    #[test]
    fn what_may_be_refused_is_refused_clearly() {
        assert_eq!(refused(Kind::SignIn, 99, "unavailable"), Some(Why::NothingWasDown));
        assert_eq!(refused(Kind::SignIn, 101, "unavailable"), None);
        assert_eq!(refused(Kind::SignIn, 101, "unknown_outcome"), None);
        assert_eq!(refused(Kind::SignIn, 150, "unknown_outcome"), Some(Why::Unclear));
        assert_eq!(refused(Kind::SignIn, 101, "unauthorized"), Some(Why::Unclear));
        assert_eq!(refused(Kind::SignIn, 210, "unavailable"), None);
        assert_eq!(refused(Kind::SignIn, 231, "unavailable"), Some(Why::NotRecovered));
    }

    #[test]
    fn what_is_never_tried_is_told() {
        let told = judge(&duty(Store::Mongo), &window(), &[]);
        assert!(told.iter().any(|line| line.contains("never tried")));
        assert!(told.iter().any(|line| line.contains("never worked afterwards")));
        assert!(told.iter().any(|line| line.contains("proves nothing")));
    }
}
