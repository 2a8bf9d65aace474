//! The page: files that are part of the program. What they show they ask the API for.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ring::digest::{SHA256, digest};

use super::Shared;
use super::answer::{Answer, nothing_here};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A file of the page.
struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
}

const INDEX: Asset = Asset {
    name: "",
    kind: HTML,
    content: include_str!("assets/index.html"),
};

macro_rules! assets {
    ($($name:literal: $kind:expr),* $(,)?) => {
        [$(Asset { name: $name, kind: $kind, content: include_str!(concat!("assets/", $name)) }),*]
    };
}

const ASSETS: &[Asset] = &assets![
    "bridge.js": SCRIPT,
    "causes.js": SCRIPT,
    "clock.js": SCRIPT,
    "chooser.js": SCRIPT,
    "cluster.js": SCRIPT,
    "csv.js": SCRIPT,
    "detail.js": SCRIPT,
    "devices.js": SCRIPT,
    "dom.js": SCRIPT,
    "faults.js": SCRIPT,
    "fleet.js": SCRIPT,
    "history.js": SCRIPT,
    "icon.svg": SVG,
    "dead_letter_groups.js": SCRIPT,
    "dead_letters.js": SCRIPT,
    "incidents.js": SCRIPT,
    "kiosk.css": CSS,
    "kiosk.js": SCRIPT,
    "last_fault.js": SCRIPT,
    "live.js": SCRIPT,
    "notify.js": SCRIPT,
    "page.css": CSS,
    "page.js": SCRIPT,
    "plot.js": SCRIPT,
    "relay.js": SCRIPT,
    "sessions.js": SCRIPT,
    "settings.js": SCRIPT,
    "tab.js": SCRIPT,
    "timeline.js": SCRIPT,
    "token.js": SCRIPT,
    "unacknowledged.js": SCRIPT,
    "zone.js": SCRIPT,
];

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/", get(index))
        .route("/assets/{file}", get(asset))
}

async fn index(headers: HeaderMap) -> Response {
    respond(&INDEX, &headers)
}

async fn asset(Path(file): Path<String>, headers: HeaderMap) -> Answer {
    match ASSETS.iter().find(|asset| asset.name == file) {
        Some(asset) => Ok(respond(asset, &headers)),
        None => Err(nothing_here().await),
    }
}

/// A browser asks each time whether its copy is still right: no old script meets a new API. A page that is open during an
/// update sees the new version, and reloads itself.
fn respond(asset: &Asset, headers: &HeaderMap) -> Response {
    let tag = tag(asset.content);
    let cache = [
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::ETAG, tag.clone()),
    ];
    let known = headers.get(header::IF_NONE_MATCH);
    if known.is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, cache).into_response();
    }
    (cache, [(header::CONTENT_TYPE, asset.kind)], asset.content).into_response()
}

fn tag(content: &str) -> String {
    let hash = digest(&SHA256, content.as_bytes());
    let digits = hash.as_ref().iter().take(8);
    let digits: String = digits.map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digits}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_is_named_is_there() {
        let mut named = 0;
        for asset in ASSETS.iter().chain([&INDEX]) {
            let quoted = asset.content.split(['"', '\'']);
            let files = quoted.filter_map(|text| text.strip_prefix("./").or(text.strip_prefix("assets/")));
            for file in files {
                let is_there = ASSETS.iter().any(|asset| asset.name == file);
                assert!(is_there, "{:?} names {file}", asset.name);
                named += 1;
            }
        }
        assert!(named >= ASSETS.len(), "{named} names");
    }

    #[test]
    fn the_browser_requests_all_modules_at_once() {
        for asset in ASSETS.iter().filter(|asset| asset.name.ends_with(".js")) {
            let first = format!(r#"<link rel="modulepreload" href="assets/{}">"#, asset.name);
            let is_root = INDEX.content.contains(&format!(r#"src="assets/{}""#, asset.name));
            assert!(is_root || INDEX.content.contains(&first), "{}", asset.name);
        }
    }

    #[test]
    fn nothing_comes_from_elsewhere_and_no_text_becomes_markup() {
        for asset in ASSETS.iter().chain([&INDEX]) {
            let content = asset.content.replace("http://www.w3.org/2000/svg", "");
            for bad in [
                "http://",
                "https://",
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "style=\"",
                "onclick=",
            ] {
                assert!(!content.contains(bad), "{:?} has {bad}", asset.name);
            }
        }
    }
}
