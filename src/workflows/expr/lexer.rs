//! Texts to words.

/// A word of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Int(i64),
    Float(f64),
    Text(String),
    Name(String),
    Sign(&'static str),
    End,
}

/// The signs, the longest first.
const SIGNS: [&str; 36] = [
    "?.", "??", "||", "&&", "==", "!=", "<=", ">=", "**", "..", "?", ":", "|", "!", "<", ">", "+", "-", "*", "/", "%",
    "^", "(", ")", "[", "]", "{", "}", ",", ".", "#", ";", "=", "&", "~", "@",
];

/// The words of a text with the place where each begins.
pub(super) fn lex(text: &str) -> Result<Vec<(Token, usize)>, String> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        let rest = &text[at..];
        if next.is_whitespace() {
            at += next.len_utf8();
        } else if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if next.is_ascii_digit() {
            let (token, length) = number(rest).map_err(|why| format!("{why} at {at} of '{text}'"))?;
            tokens.push((token, at));
            at += length;
        } else if matches!(next, '\'' | '"' | '`') {
            let (inside, length) =
                quoted(rest, next).ok_or_else(|| format!("a text that begins at {at} of '{text}' does not end"))?;
            tokens.push((Token::Text(inside), at));
            at += length;
        } else if next.is_alphabetic() || next == '_' || next == '$' {
            let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
            tokens.push((Token::Name(rest[..length].to_owned()), at));
            at += length;
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push((Token::Sign(sign), at));
            at += sign.len();
        } else {
            return Err(format!("unexpected {next:?} at {at} of '{text}'"));
        }
    }
    tokens.push((Token::End, text.len()));
    Ok(tokens)
}

fn number(rest: &str) -> Result<(Token, usize), String> {
    for (prefix, radix) in [("0x", 16), ("0X", 16), ("0b", 2), ("0o", 8)] {
        if let Some(digits) = rest.strip_prefix(prefix) {
            let length = digits.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(digits.len());
            let number = i64::from_str_radix(&digits[..length].replace('_', ""), radix);
            return number.map(|number| (Token::Int(number), length + 2)).map_err(|_| "no number".to_owned());
        }
    }
    let bytes = rest.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(|byte| byte.is_ascii_digit() || *byte == b'_') {
            at += 1;
        }
        at
    };
    let mut end = digits(0);
    let mut float = false;
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        float = true;
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
            float = true;
            end = digits(end + 1 + sign);
        }
    }
    let digits = rest[..end].replace('_', "");
    let token = if float { digits.parse().ok().map(Token::Float) } else { digits.parse().ok().map(Token::Int) };
    token.map(|token| (token, end)).ok_or_else(|| format!("{digits} is too large"))
}

/// What is between quotes, and how long it is with them.
fn quoted(rest: &str, quote: char) -> Option<(String, usize)> {
    let mut inside = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, next)) = chars.next() {
        if next == quote {
            return Some((inside, at + 1));
        }
        if next != '\\' || quote == '`' {
            inside.push(next);
            continue;
        }
        let (_, escaped) = chars.next()?;
        let digits = match escaped {
            'u' => 4,
            'U' => 8,
            'x' => 2,
            _ => 0,
        };
        if digits > 0 {
            let hex: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
            inside.push(char::from_u32(u32::from_str_radix(&hex, 16).ok()?)?);
            continue;
        }
        inside.push(match escaped {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'v' => '\u{b}',
            other => other,
        });
    }
    None
}
