//! GAP: more than a replay holds.

use std::time::Duration;

use futures::future::join_all;
use natter_tests::client::{Cursors, Event, Gap, Kind, paging};
use natter_tests::json::Look as _;
use natter_tests::{Context as _, Outcome, ensure};

use crate::support::{Person, World, play_within};

/// More entries than one conversation replays.
const MANY: usize = 1_080;
/// As many people write at once, each one message after the other.
const WRITERS: usize = 12;
/// Entries that come after a GAP.
const NEWEST: usize = 50;

/// Many write much, all at once.
async fn write_many(world: &World, channel: u64, owner: &Person) -> Outcome {
    let mut writers = Vec::new();
    for index in 0..WRITERS {
        let writer = world.person_on(index % 2, "writer").await?;
        owner.add(channel, &writer).await?;
        writers.push(writer);
    }
    let written = writers.iter().map(async |writer| {
        for index in 0..MANY / WRITERS {
            writer.post(channel, &index.to_string()).await?;
        }
        Ok(())
    });
    join_all(written).await.into_iter().collect()
}

/// Reconnects after more than a replay holds, and finds a GAP, its pages, and the newest entries.
async fn finds_a_gap(
    owner: &Person,
    away: &Person,
    edge: &str,
    cursors: Cursors,
    channel: u64,
) -> Outcome {
    let from = cursors.cursor(channel).during("no cursor")?;
    let all = paging::all_entries(&owner.api, channel, from).await?;
    let wanted: Vec<u64> = all.iter().map(|entry| entry.id("d/id")).collect::<Outcome<_>>()?;
    let mut session = away.resume(edge, cursors).await?;
    let events = session.drain()?;
    let ids = |events: &[Event]| {
        events.iter().map(|event| event.data.id("id")).collect::<Outcome<Vec<u64>>>()
    };
    let place = events.iter().position(|event| event.kind == Kind::Gap { conversation: channel });
    let place = place.during("no GAP came")?;
    // A replay may begin before its GAP; then the GAP starts where it stopped.
    let mut got = ids(&events[..place])?;
    ensure!(got.len() <= 1000, "{} entries were replayed", got.len());
    assert_eq!(events[place].data.id("from")?, got.last().copied().unwrap_or(from));
    let newest = ids(&events[place + 1..])?;
    assert_eq!(newest, wanted[wanted.len() - NEWEST..]);
    assert_eq!(events[place].data.id("to")?, newest[0]);
    page(away, channel, &mut session.cursors, &mut got).await?;
    got.extend(newest);
    assert_eq!(got, wanted, "the replay, the pages of the gap and the newest are all there is");
    let next = owner.post(channel, "live").await?;
    session.message(next).await?;
    Ok(())
}

#[test]
fn beyond_a_thousand_entries_comes_a_gap_and_the_newest_page() {
    play_within(Duration::from_mins(3), async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let cursors = member.session().await?.close().await;
        write_many(&world, channel, &owner).await?;
        for edge in &world.edges {
            finds_a_gap(&owner, &member, edge, cursors.clone(), channel).await?;
        }
        let all = paging::all_entries(&owner.api, channel, 0).await?;
        assert_eq!(all.len(), 2 + WRITERS + MANY + world.edges.len());
        // A thousand are replayed; a few more than that have a small GAP, and nothing comes twice.
        for more in [0, 1, 30, 51] {
            let missed = &all[all.len() - 1000 - more..];
            let before = all[all.len() - 1000 - more - 1].id("d/id")?;
            let mut cursors = Cursors::default();
            cursors.shown(channel, Some(before));
            let mut session = member.resume(&member.edge, cursors).await?;
            let events = session.drain()?;
            let gap = events.iter().any(|event| event.kind == Kind::Gap { conversation: channel });
            assert_eq!(gap, more > 0, "{more} more than a thousand");
            let entries = events.iter().filter(|event| matches!(event.kind, Kind::Entry { .. }));
            let mut got: Vec<u64> =
                entries.map(|entry| entry.data.id("id")).collect::<Outcome<_>>()?;
            page(&member, channel, &mut session.cursors, &mut got).await?;
            got.sort_unstable();
            let wanted: Vec<u64> =
                missed.iter().map(|entry| entry.id("d/id")).collect::<Outcome<_>>()?;
            assert_eq!(got, wanted, "{more} more than a thousand");
        }
        Ok(())
    });
}

/// Pages the remembered gap, as the protocol says.
async fn page(person: &Person, channel: u64, cursors: &mut Cursors, got: &mut Vec<u64>) -> Outcome {
    while let Some(Gap { from, to }) = cursors.next_gap(channel) {
        let page = paging::entries(&person.api, channel, from, paging::PAGE).await?;
        for &id in page.ids.iter().filter(|&&id| id < to) {
            cursors
                .paged(channel, id)
                .map_err(|wrong| natter_tests::Failure::new(wrong.to_string()))?;
            got.push(id);
        }
        if !page.has_more || page.ids.last().is_some_and(|&id| id >= to) {
            cursors.paged_to_the_end(channel);
        }
    }
    Ok(())
}
