//! The simple repository API: the list of a package's files, as JSON or as HTML.

use reqwest::Url;
use serde::Deserialize;

/// What we ask for, the better form first.
pub(super) const ACCEPT: &str =
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1";

/// A file of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) filename: String,
    pub(super) url: Url,
    /// Lower-case hex.
    pub(super) sha256: String,
    pub(super) size: Option<u64>,
}

/// A package's name in an address: lower case, runs of `.`, `_` and `-` as one `-`.
pub(super) fn normalized(name: &str) -> String {
    let lower = name.to_lowercase();
    lower.split(['.', '_', '-']).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// Reads an answer; files without a SHA-256 sum are left out.
pub(super) fn read(content_type: &str, base: &Url, body: &str) -> Result<Vec<Listed>, String> {
    if content_type.contains("json") { json(base, body) } else { Ok(html(base, body)) }
}

#[derive(Deserialize)]
struct Answer {
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    filename: String,
    url: String,
    #[serde(default)]
    hashes: std::collections::BTreeMap<String, String>,
    size: Option<u64>,
}

fn json(base: &Url, body: &str) -> Result<Vec<Listed>, String> {
    let answer: Answer = serde_json::from_str(body).map_err(|error| error.to_string())?;
    let listed = answer.files.into_iter().filter_map(|file| {
        let sha256 = file.hashes.get("sha256")?.to_lowercase();
        Some(Listed { filename: file.filename, url: base.join(&file.url).ok()?, sha256, size: file.size })
    });
    Ok(listed.collect())
}

fn html(base: &Url, body: &str) -> Vec<Listed> {
    body.split("<a ").skip(1).filter_map(|link| anchor(base, link)).collect()
}

fn anchor(base: &Url, link: &str) -> Option<Listed> {
    let (attributes, rest) = link.split_once('>')?;
    let text = rest.split_once('<')?.0.trim();
    let href = attributes.split_once("href=")?.1;
    let quote = href.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let href = unescape(href[1..].split_once(quote)?.0);
    let mut url = base.join(&href).ok()?;
    let sha256 = url.fragment()?.strip_prefix("sha256=")?.to_lowercase();
    url.set_fragment(None);
    Some(Listed { filename: unescape(text), url, sha256, size: None })
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Url {
        Url::parse("https://index.test/simple/thing/").expect("an address")
    }

    #[test]
    fn both_forms_say_the_same() {
        let json = r#"{"meta": {"api-version": "1.1"}, "name": "thing", "files": [
            {"filename": "thing-1.tar.gz", "url": "../../files/thing-1.tar.gz", "hashes": {"sha256": "AB"}, "yanked": false},
            {"filename": "thing-0.tar.gz", "url": "x", "hashes": {"md5": "cd"}}]}"#;
        let html = r#"<!DOCTYPE html><html><body><h1>Links</h1>
            <a href="../../files/thing-1.tar.gz#sha256=ab" data-requires-python="&gt;=3.8">thing-1.tar.gz</a><br/>
            <a href="x#md5=cd">thing-0.tar.gz</a></body></html>"#;
        let wanted = vec![Listed {
            filename: "thing-1.tar.gz".to_owned(),
            url: Url::parse("https://index.test/files/thing-1.tar.gz").expect("an address"),
            sha256: "ab".to_owned(),
            size: None,
        }];
        assert_eq!(read("application/vnd.pypi.simple.v1+json", &base(), json), Ok(wanted.clone()));
        assert_eq!(read("text/html; charset=utf-8", &base(), html), Ok(wanted));
        assert!(read("application/json", &base(), "{").is_err());
        assert_eq!(read("text/html", &base(), "<a href=x>thing"), Ok(Vec::new()));
    }

    #[test]
    fn names_are_normalized() {
        assert_eq!(normalized("Py4J"), "py4j");
        assert_eq!(normalized("a__b.-c"), "a-b-c");
    }
}
