//! Resource quantities as Kubernetes writes them (`100m`, `1408Mi`, `1e3`, `0.5`). Reading and canonical writing only.
//! Upstream rule: k8s.io/apimachinery `pkg/api/resource/quantity.go`.

use std::fmt;
use std::str::FromStr;

/// An amount in thousandths of the base unit (milli-CPU, milli-bytes), with the suffix family that it was written in.
#[derive(Debug, Clone, Copy)]
pub struct Quantity {
    milli: i128,
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Decimal,
    Binary,
    Exponent,
}

/// A text that is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
pub struct QuantityError;

const BINARY: [(&str, u32); 6] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

impl Quantity {
    /// A whole number of base units (bytes, pods, CPUs), written with decimal suffixes.
    #[must_use]
    pub fn units(value: i64) -> Self {
        Self { milli: i128::from(value) * 1000, format: Format::Decimal }
    }

    /// Thousandths of the base unit, as in milli-CPU.
    #[must_use]
    pub fn millis(value: i64) -> Self {
        Self { milli: i128::from(value), format: Format::Decimal }
    }

    /// Bytes, written with binary suffixes where they divide evenly.
    #[must_use]
    pub fn bytes(value: i64) -> Self {
        Self { milli: i128::from(value) * 1000, format: Format::Binary }
    }

    /// The value in base units, rounded up (as `Quantity.Value()` upstream).
    #[must_use]
    pub fn value(self) -> i64 {
        let up = self.milli.div_euclid(1000) + i128::from(self.milli.rem_euclid(1000) != 0);
        saturate(up)
    }

    /// The value in thousandths (as `Quantity.MilliValue()` upstream).
    #[must_use]
    pub fn milli_value(self) -> i64 {
        saturate(self.milli)
    }

    /// So many times as much, in the format of `self`.
    #[must_use]
    pub fn times(self, factor: i64) -> Self {
        Self { milli: self.milli.saturating_mul(i128::from(factor)), format: self.format }
    }

    /// The sum, in the format of `self`.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { milli: self.milli.saturating_add(other.milli), format: self.format }
    }
}

fn saturate(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value > 0 { i64::MAX } else { i64::MIN })
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.milli == other.milli
    }
}
impl Eq for Quantity {}
impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.milli.cmp(&other.milli)
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let split = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(split);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(QuantityError);
        }
        let (multiplier, exponent, format) = scale(suffix)?;
        let milli = to_milli(whole, fraction, multiplier, exponent).ok_or(QuantityError)?;
        Ok(Self { milli: if negative { -milli } else { milli }, format })
    }
}

/// Binary multiplier, decimal exponent and family of a suffix.
fn scale(suffix: &str) -> Result<(i128, i32, Format), QuantityError> {
    if let Some((_, shift)) = BINARY.iter().find(|(name, _)| *name == suffix) {
        return Ok((1i128 << shift, 0, Format::Binary));
    }
    if let Some((_, exponent)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return Ok((1, *exponent, Format::Decimal));
    }
    let digits = suffix.strip_prefix(['e', 'E']).ok_or(QuantityError)?;
    let exponent: i32 = digits.parse().map_err(|_| QuantityError)?;
    if !(-18..=18).contains(&exponent) {
        return Err(QuantityError);
    }
    Ok((1, exponent, Format::Exponent))
}

/// `whole.fraction` times the scale in thousandths, rounded up; `None` when out of range.
fn to_milli(whole: &str, fraction: &str, multiplier: i128, exponent: i32) -> Option<i128> {
    let fraction = &fraction[..fraction.len().min(12)];
    let digits: i128 = format!("0{whole}{fraction}").parse().ok()?;
    let power = exponent + 3 - i32::try_from(fraction.len()).ok()?;
    let value = digits.checked_mul(multiplier)?;
    if power >= 0 {
        return value.checked_mul(10i128.checked_pow(power.unsigned_abs())?);
    }
    let divisor = 10i128.checked_pow(power.unsigned_abs())?;
    Some(value / divisor + i128::from(value % divisor != 0))
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.milli == 0 {
            return f.write_str("0");
        }
        if self.milli % 1000 != 0 {
            return write!(f, "{}m", self.milli);
        }
        let units = self.milli / 1000;
        if self.format == Format::Binary {
            for (name, shift) in BINARY.iter().rev() {
                if units % (1i128 << shift) == 0 {
                    return write!(f, "{}{name}", units >> shift);
                }
            }
            return write!(f, "{units}");
        }
        for (name, exponent) in DECIMAL.iter().rev().filter(|(_, exponent)| *exponent > 0) {
            let step = 10i128.pow(exponent.unsigned_abs());
            if units % step == 0 {
                return match self.format {
                    Format::Exponent => write!(f, "{}e{exponent}", units / step),
                    _ => write!(f, "{}{name}", units / step),
                };
            }
        }
        write!(f, "{units}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantity(text: &str) -> Quantity {
        text.parse().unwrap()
    }

    #[test]
    fn reads_each_family() {
        for (text, milli) in [
            ("1", 1000),
            ("100m", 100),
            ("0.5", 500),
            (".5", 500),
            ("1e3", 1_000_000),
            ("1E", 1_000_000_000_000_000_000_000),
            ("1408Mi", 1408 * 1024 * 1024 * 1000),
            ("1.5Gi", 3 * 512 * 1024 * 1024 * 1000),
            ("-2k", -2_000_000),
            ("1n", 1),
        ] {
            assert_eq!(quantity(text).milli, milli, "{text}");
        }
        for text in ["", "Mi", "1.2.3", "1 Gi", "1K", "x", "1e", "--1"] {
            assert!(text.parse::<Quantity>().is_err(), "{text}");
        }
    }

    #[test]
    fn writes_canonically() {
        for (text, canonical) in [
            ("1024Mi", "1Gi"),
            ("1000m", "1"),
            ("1500m", "1500m"),
            ("2000", "2k"),
            ("0.5Gi", "512Mi"),
            ("1e3", "1e3"),
            ("0", "0"),
        ] {
            assert_eq!(quantity(text).to_string(), canonical, "{text}");
        }
        assert_eq!(Quantity::bytes(1536 * 1024).to_string(), "1536Ki");
    }

    #[test]
    fn rounds_up_and_compares_by_value() {
        assert_eq!(quantity("1100m").value(), 2);
        assert_eq!(quantity("1Gi").milli_value(), 1024 * 1024 * 1024 * 1000);
        assert!(quantity("1Gi") > quantity("1G"));
        assert_eq!(quantity("1"), quantity("1000m"));
    }
}
