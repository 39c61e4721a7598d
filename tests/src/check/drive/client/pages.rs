//! What a client fetches because a GAP says so.

use std::collections::BTreeMap;
use std::time::Instant;

use tokio::time::timeout;

use super::{Client, PAGE_AGAIN, PAGED_WITHIN, Parts};
use crate::client::{Session, paging};
use crate::{Outcome, ensure};

impl Client {
    /// Pages what is owed, as far as there are answers; the rest stays owed.
    pub(super) async fn page(&mut self, session: &mut Session, edge: usize) -> Outcome {
        if self.page_at > Instant::now() {
            return Ok(());
        }
        let Parts { town, person, .. } = &self.parts;
        while let Some(conversation) = session.cursors.owing() {
            let Some(gap) = session.cursors.next_gap(conversation) else { return Ok(()) };
            let api = town.api(person, edge).await?;
            let asked = paging::entries(&api, conversation, gap.from, paging::PAGE);
            let Ok(Ok(page)) = timeout(PAGED_WITHIN, asked).await else {
                self.page_at = Instant::now() + PAGE_AGAIN;
                return Ok(());
            };
            let inside = page.ids.iter().take_while(|&&id| id < gap.to).count();
            for &id in &page.ids[..inside] {
                let paged = session.cursors.paged(conversation, id);
                ensure!(paged.is_ok(), "a page of {conversation} has {id}: {paged:?}");
            }
            let reached = page.next.is_none_or(|next| next.saturating_add(1) >= gap.to);
            let done = reached || !page.has_more;
            let items = &page.items[..inside];
            town.recorder.paged(
                self.device.memory,
                conversation,
                (gap.from, gap.to),
                items,
                done,
            )?;
            if done {
                session.cursors.paged_to_the_end(conversation);
            }
        }
        Ok(())
    }

    pub(super) fn stands(
        &self,
        session: &Session,
        targets: &BTreeMap<u64, BTreeMap<u64, u64>>,
    ) -> bool {
        let at =
            |(&place, last): (&u64, &u64)| session.cursors.cursor(place).as_ref() >= Some(last);
        let targets = targets.get(&self.parts.person.id);
        session.cursors.owing().is_none() && targets.is_none_or(|all| all.iter().all(at))
    }
}
