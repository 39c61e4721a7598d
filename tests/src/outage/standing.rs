//! What everyone sees of themselves at the end: their list, their markers, their names.
//!
//! Invariant: an acknowledged change shows on every edge; one that was never tried shows nowhere.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::scene::Scene;
use super::verify::Findings;
use crate::Outcome;
use crate::json::Look as _;

/// Users of one look-up.
const LOOKED_UP: usize = 100;

/// Compares lists, markers and names.
pub(super) async fn compare(scene: &Scene, findings: &mut Findings) -> Outcome {
    let (markers, channels) = (scene.truth.markers(), scene.truth.channels());
    for (turn, person) in scene.people.iter().enumerate() {
        let api = person.api.at(&scene.edges[turn % scene.edges.len()]);
        let answer = api.get("/conversations").await?.ok(200)?;
        let (mut own, mut wrongs) = (BTreeSet::new(), Vec::new());
        for conversation in answer.list("conversations")? {
            let id = conversation.id("id")?;
            if conversation.get("owner_id").is_some() && conversation.id("owner_id")? == person.id {
                own.insert(id);
            }
            let Some(marker) = markers.get(&(person.id, id)) else { continue };
            let tally = findings.tallies.entry("markers = acknowledged").or_default();
            tally.wanted += 1;
            let read = conversation.id_or_null("read_id")?.unwrap_or(0);
            if read < marker.acked || read > marker.tried.max(marker.acked) && marker.acked > 0 {
                tally.changed += 1;
                wrongs.push((
                    id,
                    format!("{} has read to {read}, acknowledged {marker:?}", person.id),
                ));
            }
        }
        let made = channels.iter().filter(|(_, channel)| channel.owner == person.id);
        let made: BTreeSet<u64> = made.map(|(&id, _)| id).collect();
        let tally = findings.tallies.entry("channels made = listed").or_default();
        tally.wanted += made.len() as u64;
        for &lost in made.difference(&own) {
            tally.lost += 1;
            wrongs.push((lost, format!("made by {} and not listed", person.id)));
        }
        let strange: Vec<_> = own.difference(&made).copied().collect();
        if strange.len() > scene.truth.unmade_by(person.id) {
            tally.twice += strange.len() as u64;
            wrongs.push((strange[0], format!("listed, and {} was not told of it", person.id)));
        }
        for (id, wrong) in wrongs {
            findings.note(id, &wrong);
        }
    }
    names(scene, findings).await
}

async fn names(scene: &Scene, findings: &mut Findings) -> Outcome {
    let profiles = scene.truth.profiles();
    let ids: Vec<_> = profiles.keys().map(u64::to_string).collect();
    for edge in &scene.edges {
        for ids in ids.chunks(LOOKED_UP) {
            let path = format!("/users?ids={}", ids.join(","));
            let answer = scene.keeper.at(edge).get(&path).await?.ok(200)?;
            let tally = findings.tallies.entry("names = acknowledged").or_default();
            tally.wanted += ids.len() as u64;
            let users = answer.list("users")?;
            tally.lost += (ids.len() - users.len().min(ids.len())) as u64;
            let mut wrongs = Vec::new();
            for user in users {
                let (id, name) = (user.id("id")?, user.text("display_name")?.to_owned());
                let profile = profiles.get(&id);
                if let Some(profile) = profile.filter(|profile| !profile.name.allows(&name)) {
                    wrongs
                        .push(format!("{id} is {name:?}, not {:?} ({edge})", profile.name.sure()));
                }
            }
            tally.changed += wrongs.len() as u64;
            for wrong in wrongs {
                findings.note(0, &wrong);
            }
        }
    }
    Ok(())
}

/// A digest of a text.
pub(super) fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
