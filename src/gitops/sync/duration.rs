//! Lengths of time as Go writes them: `5s`, `1h30m`, `500ms`.

use std::time::Duration;

/// Reads a length of time; nothing when it is none.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut all = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    // A number alone is seconds.
    if let Ok(seconds) = rest.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let after = &rest[digits..];
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let unit = match &after[..letters] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        all = all.checked_add(Duration::try_from_secs_f64(number * unit).ok()?)?;
        rest = &after[letters..];
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_writes_them() {
        let seconds = |text| parse(text).map(|length| length.as_secs_f64());
        assert_eq!(seconds("1h30m"), Some(5400.0));
        assert_eq!(seconds("500ms"), Some(0.5));
        assert_eq!(seconds("1.5s"), Some(1.5));
        assert_eq!(seconds("7"), Some(7.0));
        for wrong in ["", "h", "5x", "-5s", "5s5"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
