//! Reading a conversation page by page.
//!
//! Invariant: a page is checked for what every page promises (ascending, within its bounds, not
//! longer than asked, `next` usable while `has_more`), and reading ends: a page that leads nowhere is
//! a failure, never a loop.

use serde_json::Value;

use super::Api;
use crate::json::Look as _;
use crate::{Context as _, Outcome, ensure};

/// The longest page there is.
pub const PAGE: usize = 100;
/// No conversation of a test has more pages.
const PAGES: usize = 10_000;

/// One page of entries or messages.
pub struct Page {
    /// The entries (`{t, d}`) or messages.
    pub items: Vec<Value>,
    /// Their ids.
    pub ids: Vec<u64>,
    /// The users it mentions.
    pub users: Vec<Value>,
    /// Whether there is more in this direction.
    pub has_more: bool,
    /// Where to go on.
    pub next: Option<u64>,
}

/// One page of `/entries`.
pub async fn entries(api: &Api, conversation: u64, after: u64, limit: usize) -> Outcome<Page> {
    let path = format!("/conversations/{conversation}/entries?after={after}&limit={limit}");
    let answer = api.get(&path).await?.ok(200)?;
    let page = Page::read(&answer, "entries", "d/id", limit).during(&path)?;
    ensure!(page.ids.first().is_none_or(|&id| id > after), "{path}: its bound is exclusive");
    let last = page.ids.last().copied();
    ensure!(page.next == last, "{path}: next is {:?}, the last id {last:?}", page.next);
    Ok(page)
}

/// One page of `/messages`, with any query.
pub async fn messages(api: &Api, conversation: u64, query: &str, limit: usize) -> Outcome<Page> {
    let path = format!("/conversations/{conversation}/messages?{query}&limit={limit}");
    let answer = api.get(&path).await?.ok(200)?;
    Page::read(&answer, "messages", "id", limit).during(&path)
}

/// All entries of a conversation after one, in the order of the pages.
pub async fn all_entries(api: &Api, conversation: u64, after: u64) -> Outcome<Vec<Value>> {
    let (mut all, mut after) = (Vec::new(), after);
    for _ in 0..PAGES {
        let page = entries(api, conversation, after, PAGE).await?;
        all.extend(page.items);
        if !page.has_more {
            return Ok(all);
        }
        after = page.next.during("has_more without next")?;
    }
    crate::fail!("more than {PAGES} pages of entries")
}

/// All messages of a conversation, oldest first, read forwards.
pub async fn forwards(api: &Api, conversation: u64, limit: usize) -> Outcome<Vec<Value>> {
    let (mut all, mut after) = (Vec::new(), 0);
    for _ in 0..PAGES {
        let page = messages(api, conversation, &format!("after={after}"), limit).await?;
        let first = page.ids.first().copied();
        ensure!(first.is_none_or(|id| id > after), "after={after} gave {first:?}");
        all.extend(page.items);
        if !page.has_more {
            return Ok(all);
        }
        let next = page.next.during("has_more without next")?;
        ensure!(next > after, "next {next} leads nowhere from {after}");
        after = next;
    }
    crate::fail!("more than {PAGES} pages of messages")
}

/// All messages of a conversation, oldest first, read backwards from the newest.
pub async fn backwards(api: &Api, conversation: u64, limit: usize) -> Outcome<Vec<Value>> {
    let (mut pages, mut before) = (Vec::new(), None);
    for _ in 0..PAGES {
        let query = before.map_or_else(String::new, |before| format!("before={before}"));
        let page = messages(api, conversation, &query, limit).await?;
        let last = page.ids.last().copied();
        let inside = before.is_none_or(|before| last.is_none_or(|id| id < before));
        ensure!(inside, "{query} gave {last:?}");
        pages.push(page.items);
        if !page.has_more {
            return Ok(pages.into_iter().rev().flatten().collect());
        }
        let next = page.next.during("has_more without next")?;
        ensure!(before.is_none_or(|before| next < before), "next {next} leads nowhere");
        before = Some(next);
    }
    crate::fail!("more than {PAGES} pages of messages")
}

impl Page {
    /// Reads and checks a page.
    pub fn read(answer: &Value, list: &str, id: &str, limit: usize) -> Outcome<Self> {
        let items = answer.list(list)?.clone();
        let ids: Vec<u64> = items.iter().map(|item| item.id(id)).collect::<Outcome<_>>()?;
        ensure!(ids.is_sorted_by(|a, b| a < b), "not ascending: {ids:?}");
        ensure!(ids.len() <= limit, "{} on a page of {limit}", ids.len());
        Ok(Self {
            items,
            ids,
            users: answer.list("users")?.clone(),
            has_more: answer.flag("has_more")?,
            next: answer.id_or_null("next")?,
        })
    }
}
