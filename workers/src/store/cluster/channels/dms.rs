//! DMs in MongoDB: one document for each pair of people, with who of them opened it and whose notice
//! waits.

use bus_schema::ids::{ConversationId, UserId};
use bus_schema::subjects::DmSubject;
use bus_schema::timestamp::Timestamp;
use futures::TryStreamExt as _;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::options::Hint;
use mongodb::{Collection, Database};
use serde::{Deserialize, Serialize};

use super::document::conversations;
use crate::store::StoreError;
use crate::store::channels::{DmNotice, Opening, OwnDm};
use crate::store::cluster::mongodb::schema::{self, ID_INDEX};
use crate::store::cluster::mongodb::{
    corrupt, date, duplicate_key, from_bson, kept_changing, to_bson,
};

/// Tries of one opening. A try fails only when the other one opened the DM meanwhile.
const ATTEMPTS: usize = 8;

#[derive(Serialize, Deserialize)]
struct DmDocument {
    #[serde(rename = "_id")]
    id: i64,
    /// The lower id; every pair has at most one document.
    low: i64,
    high: i64,
    /// Who opened it.
    opened: Vec<i64>,
    /// Notices that are still to be published.
    waiting: Vec<NoticeDocument>,
}

#[derive(Serialize, Deserialize)]
struct NoticeDocument {
    user: i64,
    at: DateTime,
}

impl DmDocument {
    fn new(place: DmSubject, opener: UserId, at: Timestamp) -> Self {
        let [low, high] = place.people().map(|user| to_bson(user.0));
        let opener = to_bson(opener.0);
        let waiting = vec![NoticeDocument { user: opener, at: date(at) }];
        Self { id: to_bson(place.id().0), low, high, opened: vec![opener], waiting }
    }

    fn place(&self) -> Result<DmSubject, StoreError> {
        let [low, high] = [self.low, self.high].map(|user| UserId(from_bson(user)));
        DmSubject::new(low, high, ConversationId(from_bson(self.id)))
            .ok_or_else(|| corrupt("a DM with oneself"))
    }

    fn own(&self, user: UserId) -> Result<OwnDm, StoreError> {
        Ok(OwnDm { place: self.place()?, opened: self.opened.contains(&to_bson(user.0)) })
    }
}

fn dms(database: &Database) -> Collection<DmDocument> {
    conversations(database)
}

/// The DMs of which this user is one of the two.
fn theirs(user: UserId) -> Document {
    let user = to_bson(user.0);
    doc! { "$or": [{ "low": user }, { "high": user }] }
}

pub(super) async fn of(database: &Database, user: UserId) -> Result<Vec<OwnDm>, StoreError> {
    let mut found: Vec<DmDocument> = dms(database).find(theirs(user)).await?.try_collect().await?;
    found.sort_by_key(|dm| dm.id);
    found.iter().map(|dm| dm.own(user)).collect()
}

pub(super) async fn one(
    database: &Database,
    id: ConversationId,
    user: UserId,
) -> Result<Option<OwnDm>, StoreError> {
    let this = doc! { "_id": to_bson(id.0), "low": { "$exists": true } };
    let found = dms(database).find_one(this).await?;
    let theirs = found.filter(|dm| [dm.low, dm.high].contains(&to_bson(user.0)));
    theirs.map(|dm| dm.own(user)).transpose()
}

pub(super) async fn open(
    database: &Database,
    candidate: DmSubject,
    opener: UserId,
    at: Timestamp,
) -> Result<Opening, StoreError> {
    let new = DmDocument::new(candidate, opener, at);
    let pair = doc! { "low": new.low, "high": new.high };
    let own = to_bson(opener.0);
    for _ in 0..ATTEMPTS {
        let Some(known) = dms(database).find_one(pair.clone()).await? else {
            match dms(database).insert_one(&new).await {
                Ok(_) => return Ok(Opening::Open { place: candidate, notice: true }),
                Err(e) => match duplicate_key(&e) {
                    // It may be the pair's: the key of ids is looked at first.
                    Some(ID_INDEX) if !is_of(database, &new).await? => return Ok(Opening::IdTaken),
                    Some(ID_INDEX | schema::PAIR_INDEX) => continue,
                    _ => return Err(e.into()),
                },
            }
        };
        let place = known.place()?;
        if known.opened.contains(&own) {
            let notice = known.waiting.iter().any(|waiting| waiting.user == own);
            return Ok(Opening::Open { place, notice });
        }
        let unopened = doc! { "_id": known.id, "opened": { "$ne": own } };
        let open = doc! { "$push": {
            "opened": own, "waiting": { "user": own, "at": date(at) },
        } };
        if dms(database).update_one(unopened, open).await?.matched_count == 1 {
            return Ok(Opening::Open { place, notice: true });
        }
    }
    Err(kept_changing())
}

/// Whether the id is that of this very pair's DM.
async fn is_of(database: &Database, new: &DmDocument) -> Result<bool, StoreError> {
    let this = doc! { "_id": new.id, "low": new.low, "high": new.high };
    Ok(dms(database).find_one(this).await?.is_some())
}

pub(super) async fn noticed(database: &Database, notice: DmNotice) -> Result<(), StoreError> {
    let this = doc! { "_id": to_bson(notice.id.0), "low": { "$exists": true } };
    let done = doc! { "$pull": { "waiting": { "user": to_bson(notice.user.0) } } };
    dms(database).update_one(this, done).await?;
    Ok(())
}

/// Found in the index of the DMs with a notice that waits.
pub(super) async fn waiting(
    database: &Database,
    before: Timestamp,
    after: DmNotice,
    limit: usize,
) -> Result<Vec<DmNotice>, StoreError> {
    let key = |notice: &DmNotice| (to_bson(notice.id.0), to_bson(notice.user.0));
    let filter = doc! {
        "_id": { "$gte": to_bson(after.id.0) }, "waiting.at": { "$lte": date(before) },
    };
    // Each has one or two, but for the first, whose may be before.
    let most = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let mut rows = dms(database)
        .find(filter)
        .sort(doc! { "_id": 1 })
        .hint(Hint::Name(schema::WAITING_INDEX.to_owned()))
        .limit(most)
        .await?;
    let mut notices = Vec::new();
    while let Some(dm) = rows.try_next().await? {
        let waiting = dm.waiting.iter().filter(|waiting| waiting.at <= date(before));
        let id = ConversationId(from_bson(dm.id));
        notices
            .extend(waiting.map(|waiting| DmNotice { id, user: UserId(from_bson(waiting.user)) }));
    }
    notices.retain(|notice| key(notice) > key(&after));
    notices.sort_by_key(key);
    notices.truncate(limit);
    Ok(notices)
}
