//! Formats of strings: those of custom resources' definitions, and those that built-in types are read with. Unknown formats
//! hold for every text; of upstream's, `isbn…`, `creditcard`, `rgbcolor`, `bsonobjectid` and `ssn` are among these.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use jiff::Timestamp;
use regex::Regex;
use tinderbox_api::names;

/// Whether `text` has the format; dashes in its name do not count, as upstream.
pub(super) fn holds(format: &str, text: &str) -> bool {
    match format.replace('-', "").as_str() {
        "datetime" => text.parse::<Timestamp>().is_ok(),
        "date" => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
        "duration" => duration(text),
        "byte" => base64_error(text).is_none(),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => cidr(text),
        "mac" => mac(text),
        "uuid" => uuid(text, None),
        "uuid3" => uuid(text, Some("3")),
        "uuid4" => uuid(text, Some("4")),
        "uuid5" => uuid(text, Some("5")),
        "hostname" => hostname(text),
        "uri" => uri(text),
        "email" => email(text),
        "hexcolor" => hex_color(text),
        _ => true,
    }
}

/// Reads a string of a built-in type and writes it as Kubernetes would.
pub(super) fn native_string(format: &str, text: &mut String) -> Result<(), String> {
    match format {
        "time" => *text = time(text)?,
        "micro-time" => *text = micro_time(text)?,
        "byte" => {
            if let Some(at) = base64_error(text) {
                return Err(format!("illegal base64 data at input byte {at}"));
            }
        }
        _ => {}
    }
    Ok(())
}

/// Whole seconds, in UTC.
fn time(text: &str) -> Result<String, String> {
    match text.parse::<Timestamp>() {
        Ok(time) => Ok(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        Err(_) => Err(unreadable(text, "2006-01-02T15:04:05Z07:00")),
    }
}

/// How Go writes the layout of a time with microseconds.
const MICRO_TIME: &str = "2006-01-02T15:04:05.000000Z07:00";

/// Microseconds, in UTC; all six digits must be written.
fn micro_time(text: &str) -> Result<String, String> {
    let fraction = text.split_once('.').map_or("", |(_, rest)| rest);
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    match text.parse::<Timestamp>() {
        Ok(time) if digits == 6 => Ok(time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()),
        Ok(_) => {
            let rest = text.get(19..).unwrap_or(text);
            Err(format!("parsing time \"{text}\" as \"{MICRO_TIME}\": cannot parse \"{rest}\" as \".000000\""))
        }
        Err(_) => Err(unreadable(text, MICRO_TIME)),
    }
}

fn unreadable(text: &str, layout: &str) -> String {
    format!("parsing time \"{text}\" as \"{layout}\": cannot parse \"{text}\" as \"{}\"", &layout[..4])
}

/// Where `text` stops being base64; line breaks are allowed anywhere, as upstream.
fn base64_error(text: &str) -> Option<usize> {
    const STRICT: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
            .with_decode_allow_trailing_bits(true),
    );
    let plain: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    match STRICT.decode(&plain) {
        Ok(_) => None,
        Err(base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _)) => Some(at),
        Err(_) => Some(plain.len() / 4 * 4),
    }
}

/// `1h30m` as Go reads durations, or numbers with words (`22 hours`) as upstream also takes.
fn duration(text: &str) -> bool {
    static GO: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^[+-]?(0|((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)$").ok());
    static WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"(?i)\d+\s*(ns|nano[a-zµ]*|us|µs|micro[a-zµ]*|ms|milli[a-zµ]*|s|sec[a-zµ]*|m|min[a-zµ]*|h|hr|hour[a-zµ]*|d|day[a-zµ]*|w|wk|week[a-zµ]*)\b").ok()
    });
    [&GO, &WORDS].iter().any(|regex| regex.as_ref().is_some_and(|regex| regex.is_match(text)))
}

fn cidr(text: &str) -> bool {
    text.split_once('/').is_some_and(|(address, bits)| {
        let most = match address.parse() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        !bits.is_empty()
            && bits.bytes().all(|b| b.is_ascii_digit())
            && bits.parse::<u8>().is_ok_and(|bits| bits <= most)
    })
}

fn mac(text: &str) -> bool {
    [(':', 2), ('-', 2), ('.', 4)].iter().any(|(separator, width)| {
        let parts: Vec<&str> = text.split(*separator).collect();
        let bytes = parts.len() * width / 2;
        matches!(bytes, 6 | 8 | 20)
            && parts.iter().all(|part| part.len() == *width && part.bytes().all(|b| b.is_ascii_hexdigit()))
    })
}

fn uuid(text: &str, version: Option<&str>) -> bool {
    let plain: String = text.chars().filter(|c| *c != '-').collect();
    let dashes_fit = text.split('-').count() == 1 || text.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    plain.len() == 32
        && plain.bytes().all(|b| b.is_ascii_hexdigit())
        && dashes_fit
        && version.is_none_or(|version| plain[12..].starts_with(version))
        && (!matches!(version, Some("4" | "5")) || plain[16..].starts_with(['8', '9', 'a', 'b', 'A', 'B']))
}

fn hostname(text: &str) -> bool {
    let label = |part: &str| {
        !part.is_empty()
            && part.len() <= names::LABEL_MAX
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    text.len() <= 255 && text.split('.').all(label)
}

fn uri(text: &str) -> bool {
    if text.starts_with('/') {
        return !text.contains(char::is_whitespace);
    }
    text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
            && !rest.is_empty()
            && !text.contains(|c: char| c.is_whitespace() || c.is_control())
    })
}

fn email(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(user, host)| {
        !user.is_empty() && !user.contains([' ', '@', '<', '>', ',', ';']) && hostname(host)
    })
}

fn hex_color(text: &str) -> bool {
    let digits = text.strip_prefix('#').unwrap_or(text);
    matches!(digits.len(), 3 | 6) && digits.bytes().all(|b| b.is_ascii_hexdigit())
}
