//! OpenAPI 3.1, from the table of routes.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use bus_schema::error::{Code, ErrorBody};
use schemars::Schema;
use serde_json::{Map, Value, json};

use super::schemas::Schemas;
use crate::http::{Route, table};

/// The document.
pub(super) fn document() -> Value {
    let mut schemas = Schemas::new();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in table() {
        let operation = operation(&route, &mut schemas);
        let path = paths.entry(route.path).or_default();
        path.insert(route.method.as_str().to_ascii_lowercase(), operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Natter",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Ids are decimal strings of 64 bits, times RFC 3339 in UTC. \
                Unknown fields are ignored. Every refusal has the form of `ErrorBody`.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "Any edge"}],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    })
}

fn operation(route: &Route, schemas: &mut Schemas) -> Value {
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "tags": [tag(route.path)],
        "responses": responses(route, schemas),
    });
    let parameters = parameters(route, schemas);
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(takes) = route.takes {
        let schema = takes(&mut schemas.taken);
        operation["requestBody"] = json!({"required": true, "content": content(&schema)});
    }
    if route.token {
        operation["security"] = json!([{"token": []}]);
    }
    operation
}

/// `get_users_by_username_username`: the method and every word of the path.
fn operation_id(route: &Route) -> String {
    let path = route.path.strip_prefix("/v1").unwrap_or(route.path);
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(route.method.as_str().to_ascii_lowercase(), |id, word| format!("{id}_{word}"))
}

fn tag(path: &str) -> &str {
    let v1 = path.strip_prefix("/v1/");
    v1.and_then(|rest| rest.split('/').next()).unwrap_or("platform")
}

fn content(schema: &Schema) -> Value {
    json!({"application/json": {"schema": schema}})
}

fn parameters(route: &Route, schemas: &mut Schemas) -> Vec<Value> {
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{'));
    let in_path = in_path.filter_map(|part| part.strip_suffix('}'));
    let mut all: Vec<_> = in_path
        .map(|name| {
            json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}})
        })
        .collect();
    let Some(query) = route.query else { return all };
    let schema = query(&mut schemas.taken);
    let required = schema.get("required").and_then(Value::as_array);
    let required: BTreeSet<_> = required.into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, of) in properties.into_iter().flatten() {
        let mut of = without_null(of.clone());
        let description = of.as_object_mut().and_then(|of| of.remove("description"));
        let required = required.contains(name.as_str());
        all.push(json!({
            "name": name,
            "in": "query",
            "required": required,
            "description": description,
            "schema": of,
        }));
    }
    all
}

/// A parameter is there or not; it cannot be null.
fn without_null(mut schema: Value) -> Value {
    let Some(object) = schema.as_object_mut() else { return schema };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(mut any)) = object.remove("anyOf") {
        any.retain(|one| one["type"] != "null");
        if let (1, Some(Value::Object(only))) = (any.len(), any.pop()) {
            object.extend(only);
        }
    }
    schema
}

fn responses(route: &Route, schemas: &mut Schemas) -> Map<String, Value> {
    let mut all = Map::new();
    let mut success = json!({"description": success(route.status)});
    if let Some(gives) = route.gives {
        success["content"] = content(&gives(&mut schemas.given));
    }
    all.insert(route.status.to_string(), success);
    for (status, codes) in refusals(route) {
        let names: Vec<_> = codes.iter().map(|code| format!("`{code}`")).collect();
        let mut refusal = json!({
            "description": names.join(", "),
            "content": content(&schemas.given::<ErrorBody>()),
        });
        if matches!(status, 429 | 503) {
            refusal["headers"] = json!({"Retry-After": {
                "description": "Seconds to wait.", "schema": {"type": "integer"},
            }});
        }
        all.insert(status.to_string(), refusal);
    }
    all
}

const fn success(status: u16) -> &'static str {
    match status {
        101 => "The websocket begins.",
        201 => "It is made.",
        204 => "It is done.",
        _ => "As asked.",
    }
}

/// What a route may refuse with: its own codes and those of every route of its kind.
fn refusals(route: &Route) -> BTreeMap<u16, BTreeSet<&'static str>> {
    let mut codes = route.refuses.to_vec();
    if route.path.starts_with("/v1/") {
        codes.extend([Code::RateLimited, Code::Unavailable, Code::Timeout]);
        if route.method != Method::GET {
            codes.push(Code::UnknownOutcome);
        }
    }
    if route.token {
        codes.push(Code::Unauthorized);
    }
    if route.takes.is_some() {
        codes.extend([Code::BadRequest, Code::TooLarge]);
    }
    let mut all: BTreeMap<u16, BTreeSet<_>> = BTreeMap::new();
    for code in codes {
        all.entry(code.status()).or_default().insert(code.as_str());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operation_ids_are_unique() {
        let table = table();
        let ids: BTreeSet<_> = table.iter().map(operation_id).collect();
        assert_eq!(ids.len(), table.len(), "{ids:?}");
        assert!(ids.contains("get_users_by_username_username"));
    }

    #[test]
    fn every_route_is_documented_and_nothing_else() {
        let document = document();
        let mut documented = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys() {
                documented.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
        let served: BTreeSet<_> =
            table().iter().map(|route| format!("{} {}", route.method, route.path)).collect();
        assert_eq!(documented, served);
    }

    #[test]
    fn names_of_schemas_are_unambiguous() {
        let mut schemas = Schemas::new();
        for route in table() {
            operation(&route, &mut schemas);
        }
        assert_eq!(schemas.ambiguous(), Vec::<String>::new());
    }

    #[test]
    fn optional_parameters_are_not_nullable() {
        assert_eq!(without_null(json!({"type": ["integer", "null"]})), json!({"type": "integer"}));
        let any = json!({"description": "d", "anyOf": [{"$ref": "#/x"}, {"type": "null"}]});
        assert_eq!(without_null(any), json!({"description": "d", "$ref": "#/x"}));
    }
}
