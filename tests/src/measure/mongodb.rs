//! What MongoDB works on, by its own profiler, in the database of one platform.
//!
//! Invariant: the profiler writes an operation down when it is answered; whoever has the answer finds
//! it there. What the profiler itself and this program do is left out.

use mongodb::bson::{Bson, Document, doc};
use mongodb::{Client, Database};

use futures::TryStreamExt as _;

use crate::{Context as _, Outcome};

/// The collection that the profiler writes to.
const PROFILE: &str = "system.profile";

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// What it does, as in `find users`.
    pub what: String,
    /// Ids it looks up.
    pub ids: usize,
}

/// Watches.
pub struct Profiler(Database);

impl Profiler {
    /// Has everything in this database written down.
    pub async fn start(url: &str, database: &str) -> Outcome<Self> {
        let client = Client::with_uri_str(url).await.during("connecting to MongoDB")?;
        let database = client.database(database);
        let profiler = Self(database);
        profiler.watch(true).await?;
        Ok(profiler)
    }

    async fn watch(&self, all: bool) -> Outcome {
        let level = doc! { "profile": if all { 2 } else { 0 } };
        self.0.run_command(level).await.during("setting the profiler")?;
        Ok(())
    }

    /// What was worked on since the last time.
    pub async fn take(&self) -> Outcome<Vec<Operation>> {
        self.watch(false).await?;
        let profile = self.0.collection::<Document>(PROFILE);
        let written: Vec<_> = profile.find(doc! {}).await?.try_collect().await?;
        profile.drop().await?;
        self.watch(true).await?;
        Ok(written.iter().filter_map(operation).collect())
    }
}

fn operation(written: &Document) -> Option<Operation> {
    let command = written.get_document("command").ok()?;
    let (name, target) = command.iter().next()?;
    let target = target.as_str().unwrap_or_default();
    if target == PROFILE || name == "profile" {
        return None;
    }
    let filter =
        command.get("filter").or_else(|| command.get("q")).or_else(|| command.get("pipeline"));
    Some(Operation { what: format!("{name} {target}"), ids: filter.map_or(0, ids) })
}

/// How many values stand in lists of alternatives; a plain value is one.
fn ids(filter: &Bson) -> usize {
    match filter {
        Bson::Document(document) => document
            .iter()
            .map(|(key, value)| match (key.as_str(), value) {
                ("$in", Bson::Array(among)) => among.len(),
                ("_id", value) if !matches!(value, Bson::Document(_)) => 1,
                (_, inner) => ids(inner),
            })
            .sum(),
        Bson::Array(all) => all.iter().map(ids).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_is_looked_up() {
        let many =
            doc! { "command": { "find": "users", "filter": { "_id": { "$in": [1, 2, 3] } } } };
        let read = operation(&many).unwrap();
        assert_eq!(read, Operation { what: "find users".to_owned(), ids: 3 });
        let one = doc! { "command": { "find": "users", "filter": { "_id": 7 } } };
        assert_eq!(operation(&one).unwrap().ids, 1);
        assert_eq!(operation(&doc! { "command": { "profile": 2 } }), None);
        assert_eq!(operation(&doc! { "command": { "find": PROFILE } }), None);
    }
}
