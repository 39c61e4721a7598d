//! Documents in bulk: a page of a collection in the order of a key, and many written at once.

use futures::TryStreamExt as _;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::Hint;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::cluster::mongodb::{Mongo, corrupt};
use crate::store::transfer::{Cursor, Page, Record};
use crate::store::{StoreError, StoreErrorKind};

/// Updates of one request.
const UPDATES_AT_ONCE: usize = 500;
/// Documents the server gives at once: those of channels can have a megabyte.
const DOCUMENTS_AT_ONCE: u32 = 256;

/// Which documents to read.
pub(in crate::store::cluster) struct Documents {
    pub(in crate::store::cluster) collection: &'static str,
    /// The unique key of their order, and its index.
    pub(in crate::store::cluster) key: &'static str,
    pub(in crate::store::cluster) index: &'static str,
    /// Only those of the collection that match.
    pub(in crate::store::cluster) filter: Document,
    /// Only these fields; none: all.
    pub(in crate::store::cluster) fields: Option<Document>,
}

impl Documents {
    /// All of a collection, by id.
    pub(in crate::store::cluster) fn all(collection: &'static str) -> Self {
        let filter = Document::new();
        Self { collection, key: "_id", index: "_id_", filter, fields: None }
    }

    /// Those that have a field.
    pub(in crate::store::cluster) fn having(mut self, field: &str) -> Self {
        self.filter.insert(field, doc! { "$exists": true });
        self
    }
}

/// A page of documents.
pub(in crate::store::cluster) async fn page<T, K>(
    mongo: &Mongo,
    documents: Documents,
    from: Option<&Cursor>,
    most: usize,
    key: fn(&T) -> K,
    record: fn(T) -> Result<Record, StoreError>,
) -> Result<Page, StoreError>
where
    T: DeserializeOwned + Send + Sync,
    K: Serialize + DeserializeOwned + Into<Bson>,
{
    let Documents { collection, key: by, index, mut filter, fields } = documents;
    if let Some(from) = from {
        filter.insert(by, doc! { "$gte": from.at::<K>()?.into() });
    }
    let limit = i64::try_from(most.saturating_add(1)).unwrap_or(i64::MAX);
    mongo
        .read(|database| async move {
            let all = database.collection::<T>(collection);
            let mut found = all
                .find(filter)
                .sort(doc! { by: 1 })
                .hint(Hint::Name(index.to_owned()))
                .batch_size(DOCUMENTS_AT_ONCE)
                .limit(limit);
            if let Some(fields) = fields {
                found = found.projection(fields);
            }
            let mut found = found.await?;
            let mut page = Page::default();
            let mut rows = 0;
            while let Some(document) = found.try_next().await? {
                if rows >= most {
                    page.next = Some(Cursor::new(&key(&document))?);
                    break;
                }
                let record = record(document)?;
                rows += record.rows();
                page.records.push(record);
            }
            Ok(page)
        })
        .await
}

/// Puts a document in the place of the one with its id.
pub(in crate::store::cluster) fn this(document: &impl Serialize) -> Result<Document, StoreError> {
    match mongodb::bson::serialize_to_bson(document).map_err(corrupt)? {
        Bson::Document(document) => {
            let id = document.get("_id").cloned();
            Ok(doc! { "q": { "_id": id }, "u": document, "upsert": true })
        }
        _ => Err(corrupt("no document")),
    }
}

/// Does updates as the server's command has them; all are on a majority when this is answered.
pub(in crate::store::cluster) async fn upsert(
    mongo: &Mongo,
    collection: &'static str,
    mut updates: Vec<Document>,
) -> Result<(), StoreError> {
    while !updates.is_empty() {
        let rest = updates.split_off(updates.len().min(UPDATES_AT_ONCE));
        let some = std::mem::replace(&mut updates, rest);
        mongo
            .change(|database| async move {
                let said = database
                    .run_command(doc! {
                        "update": collection,
                        "updates": some,
                        "ordered": false,
                        "writeConcern": { "w": "majority", "j": true },
                    })
                    .await?;
                refused(&said)
            })
            .await?;
    }
    Ok(())
}

/// What a server refuses of several it says in an answer that is no error.
fn refused(said: &Document) -> Result<(), StoreError> {
    if let Ok([first, ..]) = said.get_array("writeErrors").map(Vec::as_slice) {
        // Its message would repeat what the document holds.
        let code = first.as_document().and_then(|first| first.get_i32("code").ok());
        return Err(corrupt(format!("MongoDB: a write was refused: {code:?}")));
    }
    if let Ok(concern) = said.get_document("writeConcernError") {
        let why = format!("MongoDB: a write is not confirmed: {:?}", concern.get("code"));
        return Err(StoreError::new(StoreErrorKind::Unavailable, why));
    }
    Ok(())
}
