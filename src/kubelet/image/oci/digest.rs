//! Digests of the form `sha256:<64 hex digits>`, and readers that make them. Nothing else.

use std::fmt;
use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The sum that names content.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_sum(Sha256::new_with_prefix(bytes))
    }

    pub(super) fn from_sum(sum: Sha256) -> Self {
        Self(sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Reads `sha256:…`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let hex = text.strip_prefix("sha256:").unwrap_or_default();
        let is_hex = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if is_hex {
            Ok(Self(hex.to_owned()))
        } else {
            Err(format!("{text:?} is no digest of the form sha256:<64 hex digits>"))
        }
    }

    /// The 64 digits alone; safe as a file's name.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// Sums and counts what is read through it.
pub(super) struct Summed<R> {
    inner: R,
    sum: Sha256,
    count: u64,
}

impl<R: Read> Summed<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, sum: Sha256::new(), count: 0 }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The digest of all that was read.
    pub(super) fn digest(self) -> Digest {
        Digest::from_sum(self.sum)
    }
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.sum.update(&buffer[..read]);
        self.count += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_and_made() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_string(), empty);
        assert_eq!(Digest::parse(empty), Ok(Digest::of(b"")));
        for wrong in ["", "sha256:12", "sha512:00", &empty.to_uppercase(), &format!("{empty}0")] {
            assert!(Digest::parse(wrong).is_err(), "{wrong}");
        }
        let mut summed = Summed::new(&b"abc"[..]);
        io::copy(&mut summed, &mut io::sink()).expect("read");
        assert_eq!(summed.count(), 3);
        assert_eq!(summed.digest(), Digest::of(b"abc"));
    }
}
