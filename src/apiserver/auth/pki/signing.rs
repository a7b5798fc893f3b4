//! Certificates for requests of others, signed by the cluster's authority. Whether a request may be signed is decided by those who
//! ask.
//! Upstream rule: `PermissiveSigningPolicy` in k8s.io/kubernetes `pkg/controller/certificates/authority/policies.go`.

use std::time::{Duration, SystemTime};

use rcgen::{
    CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use tinderbox_api::certificates::{Authority, Requested};
use x509_parser::prelude::{FromDer as _, X509CertificationRequest};

use super::Pki;

/// Clocks differ: certificates are valid from a little earlier.
const BACKDATE: Duration = Duration::from_secs(5 * 60);
/// Those that are valid for less do not end earlier too.
const SHORT: Duration = Duration::from_secs(8 * 60 * 60);
/// The organisation's attribute type by its number.
const ORGANIZATION: [u64; 4] = [2, 5, 4, 10];

impl Authority for Pki {
    fn read(&self, request: &[u8]) -> Result<Requested, String> {
        let params = parse(request)?.params;
        let mut requested = Requested::default();
        subject(request, &mut requested)?;
        for name in params.subject_alt_names {
            match name {
                SanType::DnsName(name) => requested.dns.push(name.to_string()),
                SanType::IpAddress(address) => requested.addresses.push(address),
                SanType::Rfc822Name(name) => requested.emails.push(name.to_string()),
                SanType::URI(uri) => requested.uris.push(uri.to_string()),
                _ => return Err("a subjectAltName is of an unknown kind".to_owned()),
            }
        }
        Ok(requested)
    }

    fn sign(&self, request: &[u8], usages: &[String], lifetime: Duration) -> Result<String, String> {
        let wrong = |error: rcgen::Error| error.to_string();
        let mut parsed = parse(request)?;
        let mut requested = Requested::default();
        subject(request, &mut requested)?;
        let params = &mut parsed.params;
        // A subject is kept as a map: the second organisation goes by the number of its type.
        match requested.organizations.as_slice() {
            [] | [_] => {}
            [first, second] => {
                params.distinguished_name.push(DnType::OrganizationName, first.as_str());
                params.distinguished_name.push(DnType::CustomDnType(ORGANIZATION.to_vec()), second.as_str());
            }
            _ => return Err("subjects with more than two organizations cannot be signed here".to_owned()),
        }
        params.is_ca = IsCa::ExplicitNoCa;
        (params.key_usages, params.extended_key_usages) = uses(usages)?;
        params.use_authority_key_identifier_extension = true;
        let now = SystemTime::now();
        params.not_before = (now - BACKDATE).into();
        params.not_after = (now + if lifetime < SHORT { lifetime } else { lifetime - BACKDATE }).into();
        let key = KeyPair::from_pem(&self.authority.key).map_err(wrong)?;
        let issuer = Issuer::from_ca_cert_pem(&self.authority.certificate, key).map_err(wrong)?;
        Ok(parsed.signed_by(&issuer).map_err(wrong)?.pem())
    }
}

fn parse(request: &[u8]) -> Result<CertificateSigningRequestParams, String> {
    let text = std::str::from_utf8(request).map_err(|_| NO_PEM.to_owned())?;
    CertificateSigningRequestParams::from_pem(text).map_err(|error| error.to_string())
}

const NO_PEM: &str = "PEM block type must be CERTIFICATE REQUEST";

fn subject(request: &[u8], requested: &mut Requested) -> Result<(), String> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(request).map_err(|_| NO_PEM.to_owned())?;
    let (_, parsed) = X509CertificationRequest::from_der(&pem.contents).map_err(|error| error.to_string())?;
    let subject = &parsed.certification_request_info.subject;
    requested.common_name = subject.iter_common_name().find_map(super::text_of).unwrap_or_default().to_owned();
    requested.organizations = subject.iter_organization().filter_map(super::text_of).map(str::to_owned).collect();
    Ok(())
}

fn uses(usages: &[String]) -> Result<(Vec<KeyUsagePurpose>, Vec<ExtendedKeyUsagePurpose>), String> {
    let (mut own, mut extended) = (Vec::new(), Vec::new());
    for usage in usages {
        match usage.as_str() {
            "signing" | "digital signature" => own.push(KeyUsagePurpose::DigitalSignature),
            "content commitment" => own.push(KeyUsagePurpose::ContentCommitment),
            "key encipherment" => own.push(KeyUsagePurpose::KeyEncipherment),
            "key agreement" => own.push(KeyUsagePurpose::KeyAgreement),
            "data encipherment" => own.push(KeyUsagePurpose::DataEncipherment),
            "cert sign" => own.push(KeyUsagePurpose::KeyCertSign),
            "crl sign" => own.push(KeyUsagePurpose::CrlSign),
            "encipher only" => own.push(KeyUsagePurpose::EncipherOnly),
            "decipher only" => own.push(KeyUsagePurpose::DecipherOnly),
            "any" => extended.push(ExtendedKeyUsagePurpose::Any),
            "server auth" => extended.push(ExtendedKeyUsagePurpose::ServerAuth),
            "client auth" => extended.push(ExtendedKeyUsagePurpose::ClientAuth),
            "code signing" => extended.push(ExtendedKeyUsagePurpose::CodeSigning),
            "email protection" | "s/mime" => extended.push(ExtendedKeyUsagePurpose::EmailProtection),
            "timestamping" => extended.push(ExtendedKeyUsagePurpose::TimeStamping),
            "ocsp signing" => extended.push(ExtendedKeyUsagePurpose::OcspSigning),
            other => return Err(format!("unrecognized usage values: [{other:?}]")),
        }
    }
    own.dedup();
    Ok((own, extended))
}
