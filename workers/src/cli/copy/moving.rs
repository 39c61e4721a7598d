//! Copying: table after table, page after page.
//!
//! Invariant: the state that the target keeps never says more than is in the target, and what it
//! does not say yet is copied again when a copy goes on: importing is idempotent.

use std::sync::Arc;

use bus_schema::timestamp::Timestamp;

use super::digest::fingerprint;
use super::progress::{Progress, Rows};
use super::{CommandError, patiently, refused};
use crate::store::transfer::{CopyState, Cursor, Page, Record, Stage, Table, Transfer};
use crate::store::{StoreError, StoreErrorKind};

/// Rows of one page; two pages are in memory at once.
pub(super) const PAGE_ROWS: usize = 2_000;

/// Copies what is not yet there. The state that says that all is there.
pub(super) async fn run(
    source: &dyn Transfer,
    target: &dyn Transfer,
    progress: &mut Progress<'_>,
) -> Result<CopyState, CommandError> {
    let mut state = begin(source, target, progress).await?;
    while let Stage::Copying { table, from } = &state.stage {
        let (table, from) = (*table, from.clone());
        if !table.follows() {
            let rows = Rows::none();
            let copying = copy(source, target, &state, from, &rows);
            progress.during(table.name(), &rows, copying).await?;
        }
        let next = Table::ALL.into_iter().find(|next| *next > table);
        state.stage = match next {
            Some(table) => Stage::Copying { table, from: None },
            None => Stage::Comparing,
        };
        target.keep_state(state.clone()).await?;
    }
    Ok(state)
}

/// The state to go on from: that of the same copy, or a new one in a store that holds nothing.
async fn begin(
    source: &dyn Transfer,
    target: &dyn Transfer,
    progress: &mut Progress<'_>,
) -> Result<CopyState, CommandError> {
    let print = fingerprint(source).await?;
    let Some(state) = patiently(|| target.state()).await? else {
        for table in Table::ALL {
            if !patiently(|| target.export(table, None, 1)).await?.records.is_empty() {
                let name = table.name();
                return refused(format!("the target holds {name} already: it must be empty"));
            }
        }
        let stage = Stage::Copying { table: Table::ALL[0], from: None };
        let state = CopyState { source: print, begun_at: Timestamp::now(), stage };
        target.keep_state(state.clone()).await?;
        return Ok(state);
    };
    if state.source != print {
        return refused(format!(
            "the target holds a copy begun at {} of another store, or of this one before it was \
             used again: empty the target and begin anew",
            state.begun_at
        ));
    }
    match &state.stage {
        Stage::Finished => {
            refused("the target was copied and found the same before; compare with --verify-only")
        }
        Stage::Copying { table, .. } => {
            progress.say(&format!("going on with {}", table.name()))?;
            Ok(state)
        }
        Stage::Comparing => {
            progress.say("going on with comparing: all is copied")?;
            Ok(state)
        }
    }
}

/// Copies the rest of one table, reading a page while the one before is written.
async fn copy(
    source: &dyn Transfer,
    target: &dyn Transfer,
    state: &CopyState,
    from: Option<Cursor>,
    rows: &Rows,
) -> Result<(), StoreError> {
    let Stage::Copying { table, .. } = state.stage else { return Ok(()) };
    let resuming = from.is_some();
    let mut page = match read(source, table, from).await {
        // A server may have forgotten what it meant by a cursor. All of the table again, then.
        Err(error) if resuming && error.kind == StoreErrorKind::Corrupt => {
            read(source, table, None).await?
        }
        page => page?,
    };
    loop {
        let records: Arc<[Record]> = page.records.into();
        let write = patiently(|| target.import(table, Arc::clone(&records)));
        let ahead = async {
            match page.next.clone() {
                Some(from) => read(source, table, Some(from)).await.map(Some),
                None => Ok(None),
            }
        };
        let ((), ahead) = tokio::try_join!(write, ahead)?;
        rows.add(records.iter().map(Record::rows).sum());
        let Some(next) = ahead else { return Ok(()) };
        let stage = Stage::Copying { table, from: page.next };
        patiently(|| target.keep_state(CopyState { stage: stage.clone(), ..state.clone() }))
            .await?;
        page = next;
    }
}

async fn read(
    source: &dyn Transfer,
    table: Table,
    from: Option<Cursor>,
) -> Result<Page, StoreError> {
    patiently(|| source.export(table, from.clone(), PAGE_ROWS)).await
}
