//! Lengths of time as they are written in workflows: seconds, or as in `1h30m`. Pure.

use jiff::{SignedDuration, Timestamp};

/// Reads a length of time.
///
/// # Errors
/// The text that is none.
pub(crate) fn read(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("unable to parse {text:?} as a duration: write seconds, or as in 1h30m");
    let text = text.trim();
    if let Ok(seconds) = text.parse::<i64>() {
        return Ok(SignedDuration::from_secs(seconds));
    }
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| digits + at);
        total += number
            * match &rest[digits..unit] {
                "ms" => 0.001,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86_400.0,
                _ => return Err(wrong()),
            };
        rest = &rest[unit..];
    }
    if text.is_empty() { Err(wrong()) } else { Ok(SignedDuration::from_millis((total * 1000.0).round() as i64)) }
}

/// The moment so much later.
pub(crate) fn after(from: Timestamp, by: SignedDuration) -> Timestamp {
    from.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// A length of time as it is told: `1 minute 30 seconds`.
pub(crate) fn told(length: SignedDuration) -> String {
    let seconds = length.as_secs();
    let parts = [
        (seconds / 86_400, "day"),
        (seconds / 3600 % 24, "hour"),
        (seconds / 60 % 60, "minute"),
        (seconds % 60, "second"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, unit)| format!("{number} {unit}{}", if *number == 1 { "" } else { "s" }))
        .collect();
    if parts.is_empty() { "0 seconds".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_and_told() {
        for (text, seconds, told_as) in [
            ("5", 5, "5 seconds"),
            ("90s", 90, "1 minute 30 seconds"),
            ("1h30m", 5400, "1 hour 30 minutes"),
            ("2m", 120, "2 minutes"),
            ("1d", 86_400, "1 day"),
            ("0", 0, "0 seconds"),
        ] {
            assert_eq!(read(text), Ok(SignedDuration::from_secs(seconds)), "{text}");
            assert_eq!(told(read(text).unwrap()), told_as);
        }
        for wrong in ["", "x", "5x", "m"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
