//! One row of the table of routes: what serves it and what the documents say of it.
//!
//! Invariant: router and OpenAPI document are made from the same rows, so a route cannot be served
//! undocumented nor documented unserved.

use std::sync::Arc;

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};
use bus_schema::error::Code;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::state::Edge;

/// Makes a type's schema.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A method and path.
pub(crate) struct Route {
    /// How.
    pub(crate) method: Method,
    /// Where.
    pub(crate) path: &'static str,
    /// What it does, in a sentence.
    pub(crate) summary: &'static str,
    /// Whether it needs an access token.
    pub(crate) token: bool,
    /// The parameters of its query.
    pub(crate) query: Option<SchemaOf>,
    /// The body it takes.
    pub(crate) takes: Option<SchemaOf>,
    /// The status of success.
    pub(crate) status: u16,
    /// The body of success.
    pub(crate) gives: Option<SchemaOf>,
    /// Refusals of its own, beside those that any such route may give.
    pub(crate) refuses: &'static [Code],
    /// What serves it.
    pub(crate) handler: MethodRouter<Arc<Edge>>,
}

impl Route {
    fn new<H, T>(
        (method, filter): (Method, MethodFilter),
        path: &'static str,
        summary: &'static str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, Arc<Edge>>,
        T: 'static,
    {
        Self {
            method,
            path,
            summary,
            token: true,
            query: None,
            takes: None,
            status: 204,
            gives: None,
            refuses: &[],
            handler: on(filter, handler),
        }
    }

    /// May be asked without a token.
    pub(super) fn public(mut self) -> Self {
        self.token = false;
        self
    }

    /// Has parameters in its query: the fields of an object that nothing refers to by name.
    pub(super) fn query<T: JsonSchema>(mut self) -> Self {
        self.query = Some(T::json_schema);
        self
    }

    /// Takes a body.
    pub(super) fn takes<T: JsonSchema>(mut self) -> Self {
        self.takes = Some(schema_of::<T>);
        self
    }

    /// Gives a body with 200.
    pub(super) fn shows<T: JsonSchema>(mut self) -> Self {
        self.status = 200;
        self.gives = Some(schema_of::<T>);
        self
    }

    /// Gives a body with 201.
    pub(super) fn creates<T: JsonSchema>(mut self) -> Self {
        self.status = 201;
        self.gives = Some(schema_of::<T>);
        self
    }

    /// Succeeds with another status, without a body that has a schema.
    pub(super) fn answers(mut self, status: u16) -> Self {
        self.status = status;
        self.gives = None;
        self
    }

    /// May refuse with these codes too.
    pub(super) fn refuses(mut self, codes: &'static [Code]) -> Self {
        self.refuses = codes;
        self
    }
}

macro_rules! methods {
    ($($name:ident, $method:ident;)*) => {
        $(
            /// A route of this method.
            pub(super) fn $name<H, T>(path: &'static str, summary: &'static str, handler: H) -> Route
            where
                H: Handler<T, Arc<Edge>>,
                T: 'static,
            {
                Route::new((Method::$method, MethodFilter::$method), path, summary, handler)
            }
        )*
    };
}

methods! {
    get, GET;
    post, POST;
    put, PUT;
    patch, PATCH;
    delete, DELETE;
}
