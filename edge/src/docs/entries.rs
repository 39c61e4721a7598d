//! How entries are shown: the stored object with its id and time in front.
//!
//! The stored objects have types; what clients see is put together from text
//! ([`bus_schema::entry::Entry::event_json`]), so its schema is put together here the same way.

use std::borrow::Cow;
use std::marker::PhantomData;

use bus_schema::entry::{
    ChannelDelete, ChannelUpdate, EntryKind, MemberChange, MessageCreate, MessageDelete,
    MessageUpdate,
};
use bus_schema::ids::EntryId;
use bus_schema::timestamp::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

/// The data of an entry of any kind.
pub(crate) enum EntryData {}

impl JsonSchema for EntryData {
    fn schema_name() -> Cow<'static, str> {
        "EntryData".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut all: Vec<_> =
            EntryKind::ALL.into_iter().map(|kind| of_kind(kind, generator)).collect();
        all.dedup();
        json_schema!({
            "description": "The data of an entry; its kind says which.",
            "anyOf": all,
        })
    }
}

/// The schema of the data of one kind of entry.
pub(super) fn of_kind(kind: EntryKind, generator: &mut SchemaGenerator) -> Schema {
    match kind {
        EntryKind::MessageCreate => generator.subschema_for::<Placed<MessageCreate>>(),
        EntryKind::MessageUpdate => generator.subschema_for::<Placed<MessageUpdate>>(),
        EntryKind::MessageDelete => generator.subschema_for::<Placed<MessageDelete>>(),
        EntryKind::MemberAdd | EntryKind::MemberRemove => {
            generator.subschema_for::<Placed<MemberChange>>()
        }
        EntryKind::ChannelUpdate => generator.subschema_for::<Placed<ChannelUpdate>>(),
        EntryKind::ChannelDelete => generator.subschema_for::<Placed<ChannelDelete>>(),
    }
}

/// A stored object and its place in the log.
enum Placed<T> {
    #[expect(dead_code, reason = "stands for the type only")]
    Never(PhantomData<T>),
}

impl<T: JsonSchema> JsonSchema for Placed<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}Entry", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        let place = [
            ("id", generator.subschema_for::<EntryId>()),
            ("at", generator.subschema_for::<Timestamp>()),
        ];
        let object = schema.ensure_object();
        for (name, of) in place {
            if let Some(Value::Object(properties)) = object.get_mut("properties") {
                properties.insert(name.to_owned(), of.into());
            }
            if let Some(Value::Array(required)) = object.get_mut("required") {
                required.insert(0, name.into());
            }
        }
        schema
    }
}
