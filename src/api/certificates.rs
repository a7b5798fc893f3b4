//! What controllers ask of the cluster's certificate authority: what a request for a certificate says, and the certificate. The
//! keys stay with who has them; whether a request may be signed is not decided here.

use std::net::IpAddr;
use std::time::Duration;

/// What a request for a certificate says of its holder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requested {
    /// Common name of the subject.
    pub common_name: String,
    /// Organisations of the subject.
    pub organizations: Vec<String>,
    /// Alternative names: of hosts.
    pub dns: Vec<String>,
    /// Alternative names: addresses.
    pub addresses: Vec<IpAddr>,
    /// Alternative names: of people.
    pub emails: Vec<String>,
    /// Alternative names: URIs.
    pub uris: Vec<String>,
}

/// A certificate authority.
pub trait Authority: Send + Sync {
    /// Reads a request (PKCS#10 as PEM).
    ///
    /// # Errors
    /// When it is none; in words.
    fn read(&self, request: &[u8]) -> Result<Requested, String>;

    /// A certificate (PEM) for a request, with Kubernetes' names of usages (`client auth` …) and no others, for as long as given.
    ///
    /// # Errors
    /// When the request or a usage cannot be understood; in words.
    fn sign(&self, request: &[u8], usages: &[String], lifetime: Duration) -> Result<String, String>;
}
