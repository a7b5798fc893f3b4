//! Whether a text is a schedule: five fields, or one of the words that begin with `@`. When it is due is not asked here.
//! Upstream rule: `ParseStandard` of github.com/robfig/cron/v3.

const NAMES: [(&str, u32); 19] = [
    ("jan", 1),
    ("feb", 2),
    ("mar", 3),
    ("apr", 4),
    ("may", 5),
    ("jun", 6),
    ("jul", 7),
    ("aug", 8),
    ("sep", 9),
    ("oct", 10),
    ("nov", 11),
    ("dec", 12),
    ("sun", 0),
    ("mon", 1),
    ("tue", 2),
    ("wed", 3),
    ("thu", 4),
    ("fri", 5),
    ("sat", 6),
];
const MONTHS: usize = 12;
const WORDS: [&str; 7] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/// A field: what it counts from and to, and the names that it knows.
struct Field {
    low: u32,
    high: u32,
    names: &'static [(&'static str, u32)],
}

/// What is wrong with a schedule.
pub(super) fn check(schedule: &str) -> Result<(), String> {
    let schedule = match schedule.strip_prefix("TZ=").or_else(|| schedule.strip_prefix("CRON_TZ=")) {
        Some(rest) => rest.split_once(' ').map_or("", |(_, rest)| rest).trim(),
        None => schedule,
    };
    if schedule.is_empty() {
        return Err("empty spec string".to_owned());
    }
    if let Some(every) = schedule.strip_prefix("@every ") {
        return duration(every).then_some(()).ok_or_else(|| format!("failed to parse duration {schedule}"));
    }
    if schedule.starts_with('@') {
        let known = WORDS.contains(&schedule);
        return known.then_some(()).ok_or_else(|| format!("unrecognized descriptor: {schedule}"));
    }
    let parts: Vec<&str> = schedule.split_whitespace().collect();
    let fields = [
        Field { low: 0, high: 59, names: &[] },
        Field { low: 0, high: 23, names: &[] },
        Field { low: 1, high: 31, names: &[] },
        Field { low: 1, high: 12, names: &NAMES[..MONTHS] },
        Field { low: 0, high: 6, names: &NAMES[MONTHS..] },
    ];
    if parts.len() != fields.len() {
        let found = parts.join(" ");
        return Err(format!("expected exactly 5 fields, found {}: [{found}]", parts.len()));
    }
    for (part, field) in parts.iter().zip(&fields) {
        part.split(',').filter(|range| !range.is_empty()).try_for_each(|range| field.range(range))?;
    }
    Ok(())
}

impl Field {
    /// `*`, `?`, `3`, `3-7`, each with a step behind a slash.
    fn range(&self, text: &str) -> Result<(), String> {
        let mut halves = text.split('/');
        let range = halves.next().unwrap_or_default();
        let step = halves.next();
        if halves.next().is_some() {
            return Err(format!("too many slashes: {text}"));
        }
        let mut ends = range.split('-');
        let low = ends.next().unwrap_or_default();
        let high = ends.next();
        let (start, end) = if low == "*" || low == "?" {
            (self.low, self.high)
        } else {
            let start = self.number(low)?;
            let end = match (high, step) {
                (Some(high), _) => self.number(high)?,
                (None, Some(_)) => self.high,
                (None, None) => start,
            };
            if ends.next().is_some() {
                return Err(format!("too many hyphens: {text}"));
            }
            (start, end)
        };
        let step = step.map_or(Ok(1), number)?;
        if start < self.low {
            return Err(format!("beginning of range ({start}) below minimum ({}): {text}", self.low));
        }
        if end > self.high {
            return Err(format!("end of range ({end}) above maximum ({}): {text}", self.high));
        }
        if start > end {
            return Err(format!("beginning of range ({start}) beyond end of range ({end}): {text}"));
        }
        if step == 0 {
            return Err(format!("step of range should be a positive number: {text}"));
        }
        Ok(())
    }

    fn number(&self, text: &str) -> Result<u32, String> {
        let name = text.to_lowercase();
        match self.names.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => Ok(*value),
            None => number(text),
        }
    }
}

fn number(text: &str) -> Result<u32, String> {
    match text.parse::<i64>() {
        Ok(value) if value < 0 => Err(format!("negative number ({value}) not allowed: {text}")),
        Ok(value) => Ok(u32::try_from(value).unwrap_or(u32::MAX)),
        Err(_) => Err(format!("failed to parse int from {text}: strconv.Atoi: parsing \"{text}\": invalid syntax")),
    }
}

/// `1h30m`, as Go writes durations.
fn duration(text: &str) -> bool {
    let mut rest = text.trim();
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let unit = ["ns", "us", "µs", "ms", "s", "m", "h"]
            .iter()
            .filter(|unit| tail.starts_with(**unit))
            .max_by_key(|unit| unit.len());
        match unit {
            Some(unit) if number.parse::<f64>().is_ok() => rest = &tail[unit.len()..],
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn schedules_are_read_as_cron_reads_them() {
        for fine in
            ["* * * * *", "*/5 0-6,8 1 jan-MAR mon", "0/15 * ? * 0", "@hourly", "@every 1h30m", "TZ=UTC 1 2 3 4 5"]
        {
            assert_eq!(check(fine), Ok(()), "{fine}");
        }
        for (text, error) in [
            ("", "empty spec string"),
            ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("5-3 * * * *", "beginning of range (5) beyond end of range (3): 5-3"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("1/2/3 * * * *", "too many slashes: 1/2/3"),
            ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
            ("@sometimes", "unrecognized descriptor: @sometimes"),
            ("@every x", "failed to parse duration @every x"),
            ("x * * * *", "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"),
        ] {
            assert_eq!(check(text), Err(error.to_owned()), "{text}");
        }
    }
}
