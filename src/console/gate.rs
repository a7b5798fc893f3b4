//! Who is let in: whoever has the token in the path, by a name of this machine, from the console's own pages. Pure decisions over
//! what a request says; it must not answer.

use std::fmt;

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Method};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

/// Bytes of a token.
const BYTES: usize = 24;
/// The host under which pages of others are shown: their scripts must not be of the console's origin.
const FOREIGN: &str = "ui.localhost";

/// What lets a browser in. Not to be shown but in the link.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token(String);

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn new() -> std::io::Result<Self> {
        let mut bytes = [0; BYTES];
        let filled = SystemRandom::new().fill(&mut bytes);
        filled.map_err(|_| std::io::Error::other("the system gives no random bytes"))?;
        Ok(Self(hex(&bytes)))
    }

    /// As it stands in the link.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What lets a browser see one page of somebody else, and nothing more.
    fn sign(&self, target: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.as_bytes());
        hex(&hmac::sign(&key, target.as_bytes()).as_ref()[..16])
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a request that is let in asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admitted<'a> {
    /// A page or an answer of the console; the path behind the token.
    Console(&'a str),
    /// A page of a pod: namespace, pod and port, and the path behind.
    Foreign(Target<'a>, &'a str),
}

/// A port of a pod whose pages are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) pod: &'a str,
    pub(crate) port: &'a str,
}

impl Target<'_> {
    fn path(&self) -> String {
        format!("{}/{}/{}", self.namespace, self.pod, self.port)
    }
}

/// The door of one console.
#[derive(Debug)]
pub(crate) struct Gate {
    token: Token,
    hosts: [String; 2],
    foreign: String,
}

impl Gate {
    pub(crate) fn new(token: Token, port: u16) -> Self {
        let hosts = ["127.0.0.1", "localhost"].map(|host| format!("{host}:{port}"));
        Self { token, hosts, foreign: format!("{FOREIGN}:{port}") }
    }

    /// What the request asks for, if it may.
    pub(crate) fn admit<'a>(&self, method: &Method, path: &'a str, headers: &HeaderMap) -> Option<Admitted<'a>> {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        let host = text(HOST.as_str())?;
        let (first, rest) = path.strip_prefix('/')?.split_once('/')?;
        let reads = matches!(*method, Method::GET | Method::HEAD);
        // Whoever changes something says where it comes from; whoever reads may be opened by hand.
        let own = format!("http://{host}");
        let near = match text(ORIGIN.as_str()) {
            Some(origin) => origin == own,
            None => reads,
        };
        let site = text("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
        if host == self.foreign {
            // Links of the console lead here, which is another site to a browser.
            let mut parts = rest.splitn(4, '/');
            let (namespace, pod, port) = (parts.next()?, parts.next()?, parts.next()?);
            let target = Target { namespace, pod, port };
            let plain = [namespace, pod, port].iter().all(|part| is_name(part));
            let known = plain && same(first, &self.token.sign(&target.path()));
            return (known && reads && near).then(|| Admitted::Foreign(target, parts.next().unwrap_or_default()));
        }
        let known = self.hosts.iter().any(|one| one == host) && same(first, self.token.as_str());
        (known && near && site).then_some(Admitted::Console(rest))
    }

    /// The link to a page of a pod.
    pub(crate) fn foreign(&self, target: Target<'_>) -> String {
        format!("http://{}{}/", self.foreign, self.context(target))
    }

    /// The path under which a page of a pod lies.
    pub(crate) fn context(&self, target: Target<'_>) -> String {
        let path = target.path();
        format!("/{}/{path}", self.token.sign(&path))
    }
}

/// Whether a part of a path can be the name of an object: nothing that would lead elsewhere.
pub(crate) fn is_name(part: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':');
    !part.is_empty() && part != "." && part != ".." && part.bytes().all(plain)
}

/// Compares without telling by its time how much is right.
fn same(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.bytes().zip(other.bytes()).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn ask<'a>(gate: &Gate, method: Method, path: &'a str, headers: &[(&'static str, &str)]) -> Option<Admitted<'a>> {
        let all = headers.iter().map(|(name, value)| {
            let name = http::HeaderName::from_static(name);
            (name, HeaderValue::from_str(value).expect("a value"))
        });
        gate.admit(&method, path, &all.collect())
    }

    #[test]
    fn the_token_the_host_and_the_origin_all_count() {
        let gate = Gate::new(Token("abc".to_owned()), 7);
        let home = ("host", "127.0.0.1:7");
        let own = ("origin", "http://127.0.0.1:7");
        assert_eq!(ask(&gate, Method::GET, "/abc/", &[home]), Some(Admitted::Console("")));
        assert_eq!(ask(&gate, Method::GET, "/abc/api/x", &[("host", "localhost:7")]), Some(Admitted::Console("api/x")));
        assert_eq!(ask(&gate, Method::POST, "/abc/api/act", &[home, own]), Some(Admitted::Console("api/act")));
        for (method, path, headers) in [
            (Method::GET, "/", vec![home]),
            (Method::GET, "/abd/", vec![home]),
            (Method::GET, "/abc", vec![home]),
            (Method::GET, "/abc/", vec![]),
            (Method::GET, "/abc/", vec![("host", "evil.example:7")]),
            (Method::GET, "/abc/", vec![("host", "127.0.0.1:8")]),
            (Method::GET, "/abc/", vec![("host", "ui.localhost:7")]),
            (Method::GET, "/abc/", vec![home, ("origin", "http://evil.example")]),
            (Method::GET, "/abc/", vec![home, ("origin", "null")]),
            (Method::GET, "/abc/", vec![home, ("sec-fetch-site", "cross-site")]),
            (Method::POST, "/abc/api/act", vec![home]),
            (Method::POST, "/abc/api/act", vec![home, ("origin", "http://localhost:7")]),
        ] {
            assert_eq!(ask(&gate, method.clone(), path, &headers), None, "{method} {path} {headers:?}");
        }
    }

    #[test]
    fn a_page_of_a_pod_has_a_door_of_its_own() {
        let gate = Gate::new(Token::new().expect("random bytes"), 7);
        let target = Target { namespace: "jobs", pod: "pi-driver", port: "4040" };
        let path = format!("{}/jobs/?a=b", gate.context(target));
        let there = ("host", "ui.localhost:7");
        let admitted = ask(&gate, Method::GET, &path, &[there]);
        assert_eq!(admitted, Some(Admitted::Foreign(target, "jobs/?a=b")));
        assert_eq!(ask(&gate, Method::GET, &path.replace("pi", "po"), &[there]), None);
        assert_eq!(ask(&gate, Method::GET, &path, &[("host", "127.0.0.1:7")]), None);
        assert_eq!(ask(&gate, Method::POST, &path, &[there, ("origin", "http://ui.localhost:7")]), None);
        assert!(gate.foreign(target).starts_with("http://ui.localhost:7/"));
    }
}
