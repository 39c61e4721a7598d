//! Reading what somebody outside sent: a JSON object, whose rules are named when it breaks them.

use serde::de::DeserializeOwned;

use crate::error::{Code, Failure};

/// Reads a JSON object.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    // An array could pass for an object: serde takes one as the fields in their order.
    if bytes.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Failure::bad_request("the body must be a JSON object"));
    }
    serde_json::from_slice(bytes)
        .map_err(|error| Failure::bad_request(readable(&error.to_string())))
}

/// An error's text for people: rules of [`crate::text`] come with their code in front, and JSON
/// errors with a place that means little once a field is named.
pub fn readable(error: &str) -> String {
    let code = format!("{}: ", Code::BadRequest.as_str());
    let text = error.replacen(&code, "", 1);
    let place = text.rfind(" at line ").filter(|_| error.len() != text.len());
    text[..place.unwrap_or(text.len())].chars().take(200).collect()
}
