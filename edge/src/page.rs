//! The page: files of `edge/web`, inside the program.
//!
//! Invariant: every file is served as it was when the program was built, `index.html` at `/` and
//! every file at `/app/<file>`; browsers ask each time whether it has changed.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::http::{InPath, not_found};

#[derive(RustEmbed)]
#[folder = "web"]
struct Files;

/// Scripts and styles come from this edge alone, pictures from anywhere, and connections go to any
/// edge. Nobody may frame the page.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; img-src https: http: data:; \
     connect-src *; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Files that are there for tools, not for browsers.
const NOT_SERVED: [&str; 1] = ["package.json"];

/// `/`
pub(crate) async fn index(headers: HeaderMap) -> Response {
    serve("index.html", &headers)
}

/// `/app/<file>`
pub(crate) async fn file(InPath(name): InPath<String>, headers: HeaderMap) -> Response {
    serve(&name, &headers)
}

fn serve(name: &str, headers: &HeaderMap) -> Response {
    let kind = kind(name).filter(|_| !NOT_SERVED.contains(&name));
    match kind.and_then(|kind| Some((kind, Files::get(name)?))) {
        Some((kind, file)) => answer(kind, file, headers),
        None => not_found(),
    }
}

fn answer(kind: &'static str, file: EmbeddedFile, headers: &HeaderMap) -> Response {
    let tag = tag(&file);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    let unchanged = known.is_some_and(|tags| {
        tags.split(',').any(|known| matches!(known.trim().trim_start_matches("W/"), k if k == tag))
    });
    let fixed = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
    ];
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        file.data.into_owned().into_response()
    };
    for (name, value) in fixed {
        response.headers_mut().insert(name, value);
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// Half of the content's SHA-256 tells versions apart.
fn tag(file: &EmbeddedFile) -> String {
    let mut hash = [0; 16];
    hash.copy_from_slice(&file.metadata.sha256_hash()[..16]);
    format!("\"{:032x}\"", u128::from_be_bytes(hash))
}

/// A file's content type; what has none is not for browsers.
fn kind(name: &str) -> Option<&'static str> {
    Some(match name.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "webmanifest" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_there_and_unchanged_files_are_not_sent_again() {
        let page = serve("index.html", &HeaderMap::new());
        assert_eq!(page.status(), StatusCode::OK);
        assert_eq!(page.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
        let tag = page.headers()[header::ETAG].clone();
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, tag);
        assert_eq!(serve("index.html", &headers).status(), StatusCode::NOT_MODIFIED);
        headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"x\", W/\"y\""));
        assert_eq!(serve("index.html", &headers).status(), StatusCode::OK);
    }

    #[test]
    fn every_file_the_page_names_is_served() {
        let page = Files::get("index.html").unwrap();
        let page = std::str::from_utf8(&page.data).unwrap();
        let named = page.split("\"/app/").skip(1).filter_map(|rest| rest.split('"').next());
        for name in named {
            assert_eq!(serve(name, &HeaderMap::new()).status(), StatusCode::OK, "{name}");
        }
    }

    #[test]
    fn nothing_else_is_served() {
        for odd in ["", "../Cargo.toml", "package.json", "nothing.js", "/etc/passwd", "index"] {
            let status = serve(odd, &HeaderMap::new()).status();
            assert_eq!(status, StatusCode::NOT_FOUND, "{odd:?}");
        }
    }
}
