//! Patterns of paths, as value files and generators have them.
//! Upstream rule: `doublestar.Match` of bmatcuk/doublestar, by which argoproj/argo-cd matches both.

use regex::Regex;

use crate::error::{Error, Result};

/// Whether a path is a pattern of paths.
#[must_use]
pub(crate) fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '[', '{'])
}

/// A pattern of whole paths: `*`, `?` and `[a-z]` stay within a folder, `**` reaches through folders, `{a,b}` is one of several.
///
/// # Errors
/// When it is broken.
pub(crate) fn pattern(glob: &str) -> Result<Regex> {
    let mut text = String::from("^");
    let mut choices = 0;
    let mut rest = glob;
    while let Some(first) = rest.chars().next() {
        let at_start = text.ends_with('^') || text.ends_with('/');
        rest = &rest[first.len_utf8()..];
        match first {
            '*' if at_start && rest.starts_with("*/") => {
                text.push_str("(?:.*/)?");
                rest = &rest[2..];
            }
            '*' if at_start && rest == "*" => {
                text.push_str(".*");
                rest = "";
            }
            '*' => text.push_str("[^/]*"),
            '?' => text.push_str("[^/]"),
            '[' => {
                let (class, behind) = rest.split_once(']').ok_or_else(|| broken(glob))?;
                let (not, class) = class.strip_prefix(['^', '!']).map_or(("", class), |class| ("^", class));
                text.push_str(&format!("[{not}{}]", class.replace('\\', r"\\").replace('[', r"\[")));
                rest = behind;
            }
            '{' => {
                choices += 1;
                text.push_str("(?:");
            }
            '}' if choices > 0 => {
                choices -= 1;
                text.push(')');
            }
            ',' if choices > 0 => text.push('|'),
            '\\' => {
                let literal = rest.chars().next().ok_or_else(|| broken(glob))?;
                text.push_str(&regex::escape(&literal.to_string()));
                rest = &rest[literal.len_utf8()..];
            }
            literal => text.push_str(&regex::escape(&literal.to_string())),
        }
    }
    text.push('$');
    Regex::new(&text).map_err(|_| broken(glob))
}

fn broken(glob: &str) -> Error {
    Error::at(glob, "this is no pattern of paths")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_doublestar_has_them() {
        for (glob, fits, others) in [
            ("a/*.yaml", vec!["a/x.yaml", "a/.yaml"], vec!["a/b/x.yaml", "x.yaml", "a/x.yml"]),
            ("**/config.json", vec!["config.json", "a/config.json", "a/b/config.json"], vec!["a/my-config.json"]),
            ("a/**", vec!["a/b", "a/b/c"], vec!["b/a"]),
            ("a/**/c", vec!["a/c", "a/b/c", "a/b/b/c"], vec!["a/bc"]),
            ("a**b", vec!["ab", "axb"], vec!["a/b"]),
            ("{dev,prod}/?.json", vec!["dev/a.json", "prod/b.json"], vec!["test/a.json", "dev/ab.json"]),
            ("[a-c]x[!0-9]", vec!["axb", "cxy"], vec!["dxb", "ax1"]),
            (r"a\*b", vec!["a*b"], vec!["axb"]),
        ] {
            let found = pattern(glob).expect("a pattern");
            assert!(fits.iter().all(|path| found.is_match(path)), "{glob}: {fits:?}");
            assert!(!others.iter().any(|path| found.is_match(path)), "{glob}: none of {others:?}");
        }
        for wrong in ["a[b", "{a", r"a\"] {
            let error = pattern(wrong).expect_err("broken").to_string();
            assert_eq!(error, format!("{wrong}: this is no pattern of paths"));
        }
        assert!(is_pattern("a/*.yaml") && !is_pattern("a/b.yaml"));
    }
}
