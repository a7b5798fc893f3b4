//! The pages that are our own: what is missing on the way to a service, as HTML for browsers and as text for others.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, Full};

use crate::forward::Body;

/// A page that says why there is nothing to see, with lines to look at.
pub(crate) fn page(status: StatusCode, headers: &HeaderMap, why: &str, list: &[(String, String)]) -> Response<Body> {
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (kind, text) = if accepted.contains("text/html") {
        ("text/html; charset=utf-8", html(status, why, list))
    } else {
        ("text/plain; charset=utf-8", plain(status, why, list))
    };
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}

fn plain(status: StatusCode, why: &str, list: &[(String, String)]) -> String {
    let mut text = format!("{status}: {why}\n");
    for (address, what) in list {
        text += &format!("  {address}  {what}\n");
    }
    text
}

fn html(status: StatusCode, why: &str, list: &[(String, String)]) -> String {
    let mut text = format!(
        "<!doctype html><meta charset=utf-8><title>{status}</title>\
         <style>body{{font:16px sans-serif;margin:3em}}td{{padding:.2em 1em .2em 0}}</style>\
         <h1>{status}</h1><p>{}</p>",
        escaped(why)
    );
    if !list.is_empty() {
        text += "<table>";
        for (address, what) in list {
            let address = escaped(address);
            text += &format!("<tr><td><a href=\"{address}\">{address}</a><td>{}", escaped(what));
        }
        text += "</table>";
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_from_outside_is_escaped() {
        let list = [("http://a/<b>".to_owned(), "x & y".to_owned())];
        let text = html(StatusCode::NOT_FOUND, "no rule for \"<script>\"", &list);
        assert!(text.contains("no rule for &quot;&lt;script&gt;&quot;") && text.contains("x &amp; y"), "{text}");
        assert!(!text.contains("<script>") && !text.contains("<b>"), "{text}");
        assert_eq!(plain(StatusCode::NOT_FOUND, "why", &list), "404 Not Found: why\n  http://a/<b>  x & y\n");
    }
}
