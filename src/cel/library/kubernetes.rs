//! The values that only Kubernetes has: quantities, URLs, addresses, formats, versions.

use std::net::IpAddr;

use tinderbox_api::quantity::Quantity;

use super::addresses::Cidr;
use super::formats::Format;
use super::semver::Version;
use super::urls::Url;

/// A value of a type of Kubernetes.
#[derive(Debug, PartialEq)]
pub enum Kubernetes {
    /// `kubernetes.Quantity`.
    Quantity(Quantity),
    /// `kubernetes.URL`.
    Url(Url),
    /// `net.IP`.
    Ip(IpAddr),
    /// `net.CIDR`.
    Cidr(Cidr),
    /// `kubernetes.NamedFormat`.
    Format(&'static Format),
    /// `kubernetes.Semver`.
    Semver(Version),
}

impl Kubernetes {
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Quantity(_) => "kubernetes.Quantity",
            Self::Url(_) => "kubernetes.URL",
            Self::Ip(_) => "net.IP",
            Self::Cidr(_) => "net.CIDR",
            Self::Format(_) => "kubernetes.NamedFormat",
            Self::Semver(_) => "kubernetes.Semver",
        }
    }

    /// How many bytes an address has.
    pub(crate) fn size(&self) -> Option<usize> {
        match self {
            Self::Ip(address) | Self::Cidr(Cidr { address, .. }) => Some(if address.is_ipv4() { 4 } else { 16 }),
            _ => None,
        }
    }
}
