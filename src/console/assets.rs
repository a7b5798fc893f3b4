//! The page's own files, which are part of the program. It must not know what is in them.

use axum::body::Body;
use axum::response::Response;
use http::HeaderValue;
use http::header::CONTENT_TYPE;

/// Names and contents.
const FILES: [(&str, &str, &str); 15] = [
    ("index.html", "text/html; charset=utf-8", include_str!("web/index.html")),
    ("style.css", "text/css; charset=utf-8", include_str!("web/style.css")),
    ("app.js", SCRIPT, include_str!("web/app.js")),
    ("live.js", SCRIPT, include_str!("web/live.js")),
    ("dom.js", SCRIPT, include_str!("web/dom.js")),
    ("overview.js", SCRIPT, include_str!("web/overview.js")),
    ("jobs.js", SCRIPT, include_str!("web/jobs.js")),
    ("timeline.js", SCRIPT, include_str!("web/timeline.js")),
    ("workflows.js", SCRIPT, include_str!("web/workflows.js")),
    ("apps.js", SCRIPT, include_str!("web/apps.js")),
    ("logs.js", SCRIPT, include_str!("web/logs.js")),
    ("objects.js", SCRIPT, include_str!("web/objects.js")),
    ("dashboards.js", SCRIPT, include_str!("web/dashboards.js")),
    ("charts.js", SCRIPT, include_str!("web/charts.js")),
    ("dashboards.css", "text/css; charset=utf-8", include_str!("web/dashboards.css")),
];
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file by its name; nothing for the index.
pub(crate) fn file(name: &str) -> Option<Response> {
    let name = if name.is_empty() { "index.html" } else { name };
    let (_, kind, text) = FILES.iter().find(|(known, ..)| *known == name)?;
    let mut response = Response::new(Body::from(*text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Some(response)
}

/// How many bytes the page's own files have.
#[cfg(test)]
fn bytes() -> usize {
    FILES.iter().map(|(_, _, text)| text.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_small_and_asks_nobody_else() {
        assert!(bytes() < 300_000, "{} bytes", bytes());
        for (name, _, text) in FILES {
            let mut hosts =
                text.match_indices("://").map(|(at, _)| &text[at.saturating_sub(5)..(at + 20).min(text.len())]);
            let foreign = hosts.find(|host| !host.contains("www.w3.org"));
            assert_eq!(foreign, None, "{name}");
        }
    }
}
