//! Schemas of types, gathered for one document.
//!
//! Invariant: a name means one schema. What is read and what is written are different views of a
//! type (a field with a default may be left out of a request, never of an answer), so each has its
//! own generator.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value};

/// The generators of one document.
pub(super) struct Schemas {
    /// For what the edge reads.
    pub(super) taken: SchemaGenerator,
    /// For what the edge writes.
    pub(super) given: SchemaGenerator,
}

impl Schemas {
    pub(super) fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        Self {
            taken: settings().for_deserialize().into_generator(),
            given: settings().for_serialize().into_generator(),
        }
    }

    /// A reference to what is written of a type.
    pub(super) fn given<T: JsonSchema>(&mut self) -> Schema {
        self.given.subschema_for::<T>()
    }

    /// Every schema that was referred to.
    pub(super) fn definitions(mut self) -> Map<String, Value> {
        let mut all = self.taken.take_definitions(true);
        all.extend(self.given.take_definitions(true));
        all
    }

    /// Names that mean one thing where read and another where written.
    #[cfg(test)]
    pub(super) fn ambiguous(&self) -> Vec<String> {
        let given = self.given.definitions();
        let differs = |(name, schema): &(&String, &Value)| {
            given.get(*name).is_some_and(|other| other != *schema)
        };
        self.taken.definitions().iter().filter(differs).map(|(name, _)| name.clone()).collect()
    }
}
