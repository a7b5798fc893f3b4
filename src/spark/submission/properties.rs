//! Java's properties files, as `java.util.Properties.store` writes them to text. Writing only.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::Conf;

/// The file of a configuration, keys in order.
pub(super) fn write(conf: &Conf, comment: &str, at: Timestamp) -> String {
    let mut text = format!("#{comment}\n#{}\n", at.strftime("%a %b %d %H:%M:%S UTC %Y"));
    for (key, value) in conf.iter() {
        let _ = writeln!(text, "{}={}", escape(key, true), escape(value, false));
    }
    text
}

/// Spaces are escaped anywhere in a key, and at the beginning of a value.
fn escape(text: &str, key: bool) -> String {
    let mut made = String::with_capacity(text.len());
    for (index, letter) in text.chars().enumerate() {
        match letter {
            ' ' if key || index == 0 => made.push_str("\\ "),
            '\t' => made.push_str("\\t"),
            '\n' => made.push_str("\\n"),
            '\r' => made.push_str("\\r"),
            '\u{c}' => made.push_str("\\f"),
            '\\' | '=' | ':' | '#' | '!' => {
                made.push('\\');
                made.push(letter);
            }
            other => made.push(other),
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_what_java_reads_back() {
        let mut conf = Conf::default();
        conf.set("a b", " x y");
        conf.set("master", "k8s://h:1");
        conf.set("o", "-Da=b #!\\\n");
        let text = write(&conf, "c", Timestamp::from_second(1_795_646_980).unwrap());
        assert_eq!(
            text,
            "#c\n#Wed Nov 25 22:49:40 UTC 2026\na\\ b=\\ x y\nmaster=k8s\\://h\\:1\no=-Da\\=b \\#\\!\\\\\\n\n"
        );
    }
}
