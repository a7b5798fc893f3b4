//! Amounts of memory as Spark writes them (`512m`, `1g`, `2048`). Reading only.
//! Upstream rule: `byteStringAs` in Spark's `JavaUtils.java`.

use super::{Refusal, refuse};

/// Mebibytes; a bare number counts mebibytes.
pub(super) fn mebibytes(text: &str) -> Result<i64, Refusal> {
    let text = text.trim().to_lowercase();
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (digits, suffix) = text.split_at(end);
    let kibibytes = match suffix {
        "b" => return Ok(digits.parse::<i64>().map_err(|_| malformed(&text))? >> 20),
        "k" | "kb" => 1,
        "" | "m" | "mb" => 1 << 10,
        "g" | "gb" => 1 << 20,
        "t" | "tb" => 1 << 30,
        "p" | "pb" => 1 << 40,
        _ => return refuse(malformed(&text).0),
    };
    let number: i64 = digits.parse().map_err(|_| malformed(&text))?;
    number.checked_mul(kibibytes).map(|all| all >> 10).ok_or_else(|| malformed(&text))
}

fn malformed(text: &str) -> Refusal {
    Refusal(format!(
        "Size must be specified as bytes (b), kibibytes (k), mebibytes (m), gibibytes (g), tebibytes (t), or \
         pebibytes(p). E.g. 50b, 100k, or 250m. Failed to parse byte string: {text}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_spark_reads() {
        for (text, size) in
            [("1g", 1024), ("512m", 512), ("2048", 2048), ("1024k", 1), ("1T", 1 << 20), ("1048576b", 1)]
        {
            assert_eq!(mebibytes(text), Ok(size), "{text}");
        }
        for text in ["", "g", "1.5g", "1x", "-1g"] {
            assert!(mebibytes(text).is_err(), "{text}");
        }
    }
}
