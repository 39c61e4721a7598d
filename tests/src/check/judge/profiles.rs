//! Profiles are not stale at rest: everybody is shown the last name that was acknowledged.
//!
//! Invariant: a change of which nobody knows the outcome may be there or not; all must agree on it.

use std::collections::BTreeMap;

use super::story::Fate;
use super::{Finding, Guarantee, Story};
use crate::check::record::{Op, Seen, User, What};

pub(super) fn judge(story: &Story<'_>) -> Vec<Finding> {
    let mut allowed: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    for (&person, user) in &story.people {
        let changes = || {
            story.calls.iter().filter_map(move |call| match call.op {
                Op::Profile { display_name } if call.person == person => {
                    Some((call, display_name.as_str()))
                }
                _ => None,
            })
        };
        let done = changes().rfind(|(call, _)| matches!(call.fate, Fate::Done(_)));
        let sure = done.map_or(user.display_name.as_str(), |(_, name)| name);
        let perhaps = changes().filter(|(call, _)| call.fate == Fate::Unknown);
        allowed.insert(person, perhaps.map(|(_, name)| name).chain([sure]).collect());
    }
    let mut first: BTreeMap<u64, &str> = BTreeMap::new();
    let mut found = Vec::new();
    for note in &story.record.notes {
        let users: &[User] = match &note.what {
            What::Seen(Seen::Profile { user, .. }) => std::slice::from_ref(user),
            What::Seen(Seen::Fresh { users, .. }) => users,
            _ => continue,
        };
        for user in users {
            let name = user.display_name.as_str();
            let Some(names) = allowed.get(&user.id) else { continue };
            let before = *first.entry(user.id).or_insert(name);
            let wrong = if !names.contains(&name) {
                format!("{} is shown as {name:?}, is {:?}", user.id, names.last())
            } else if before != name {
                format!("{} is shown as {name:?} and as {before:?}", user.id)
            } else {
                continue;
            };
            found.push(Finding::new(Guarantee::Profiles, wrong).at(note.index).person(user.id));
        }
    }
    found
}
