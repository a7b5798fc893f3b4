//! Conditions of `when`: a small language in which a bare word is a text. Tags are filled in before. Pure.
//! Upstream rule: `shouldExecute` in `workflow/controller/operator.go` of argoproj/argo-workflows, over Knetic/govaluate.

use std::cmp::Ordering;

use regex::Regex;

/// Whether a condition is true; an empty one is.
///
/// # Errors
/// What is wrong with it, as the node's message says it.
pub(crate) fn holds(text: &str) -> Result<bool, String> {
    if text.trim().is_empty() {
        return Ok(true);
    }
    let invalid = |why: String| format!("Invalid 'when' expression '{text}': {why}");
    let words = lex(text)
        .map_err(|why| invalid(format!("{why} (hint: try wrapping the affected expression in quotes (\"))")))?;
    let mut reader = Reader { words, at: 0, depth: 0 };
    let value = reader.level(0).and_then(|value| match reader.peek() {
        None => Ok(value),
        Some(word) => Err(format!("Cannot transition token types from {} to {}", "VALUE", word.kind())),
    });
    match value.map_err(invalid)? {
        Item::Bool(yes) => Ok(yes),
        other => Err(format!("Expected boolean evaluation for '{text}'. Got {}", other.show())),
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Word {
    Item(Item),
    Sign(&'static str),
}

impl Word {
    fn kind(&self) -> &'static str {
        match self {
            Self::Item(Item::Number(_)) => "NUMERIC",
            Self::Item(Item::Bool(_)) => "BOOLEAN",
            Self::Item(_) => "STRING",
            Self::Sign(sign) => sign,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Item {
    Number(f64),
    Text(String),
    Bool(bool),
    List(Vec<Item>),
}

impl Item {
    fn show(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::Bool(yes) => yes.to_string(),
            Self::List(items) => format!("[{}]", items.iter().map(Self::show).collect::<Vec<_>>().join(" ")),
        }
    }
}

const SIGNS: [&str; 27] = [
    "==", "!=", "=~", "!~", ">=", "<=", "&&", "||", "**", "<<", ">>", "??", ">", "<", "+", "-", "*", "/", "%", "!",
    "(", ")", ",", "?", ":", "&", "|",
];

fn lex(text: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        let rest = &text[at..];
        if next.is_whitespace() {
            at += next.len_utf8();
        } else if next.is_ascii_digit() || (next == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit())) {
            let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.')).unwrap_or(rest.len());
            let word = &rest[..length];
            let number = match word.strip_prefix("0x") {
                Some(hex) => i64::from_str_radix(hex, 16).map(|number| number as f64).ok(),
                None => word.parse().ok(),
            };
            words.push(Word::Item(Item::Number(
                number.ok_or_else(|| format!("Unable to parse numeric value '{word}' to float64"))?,
            )));
            at += length;
        } else if matches!(next, '\'' | '"') {
            let (inside, length) = quoted(rest, next).ok_or("Unclosed string literal")?;
            words.push(Word::Item(Item::Text(inside)));
            at += length;
        } else if next == '[' {
            let end = rest.find(']').ok_or("Unclosed parameter bracket")?;
            words.push(Word::Item(Item::Text(rest[1..end].to_owned())));
            at += end + 1;
        } else if next.is_alphabetic() {
            let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len());
            words.push(match &rest[..length] {
                "true" => Word::Item(Item::Bool(true)),
                "false" => Word::Item(Item::Bool(false)),
                "in" | "IN" => Word::Sign("in"),
                word => Word::Item(Item::Text(word.to_owned())),
            });
            at += length;
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            words.push(Word::Sign(sign));
            at += sign.len();
        } else {
            return Err(format!("Invalid token: '{}'", rest.split_whitespace().next().unwrap_or(rest)));
        }
    }
    Ok(words)
}

fn quoted(rest: &str, quote: char) -> Option<(String, usize)> {
    let mut inside = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, next)) = chars.next() {
        match next {
            '\\' => inside.push(chars.next()?.1),
            _ if next == quote => return Some((inside, at + 1)),
            _ => inside.push(next),
        }
    }
    None
}

/// Operators, those that bind most loosely first.
const LEVELS: [&[&str]; 9] = [
    &[","],
    &["?"],
    &["||"],
    &["&&"],
    &["==", "!=", ">", "<", ">=", "<=", "=~", "!~", "in"],
    &["&", "|", "<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
    &["**"],
];

struct Reader {
    words: Vec<Word>,
    at: usize,
    depth: usize,
}

impl Reader {
    fn peek(&self) -> Option<&Word> {
        self.words.get(self.at)
    }

    fn take(&mut self, signs: &[&'static str]) -> Option<&'static str> {
        let Some(Word::Sign(sign)) = self.peek() else {
            return None;
        };
        let sign = *sign;
        let found = signs.contains(&sign);
        self.at += usize::from(found);
        found.then_some(sign)
    }

    fn level(&mut self, level: usize) -> Result<Item, String> {
        let Some(signs) = LEVELS.get(level) else {
            return self.prefix();
        };
        let mut left = self.level(level + 1)?;
        while let Some(sign) = self.take(signs) {
            left = match sign {
                "," => {
                    let mut items = match left {
                        Item::List(items) => items,
                        item => vec![item],
                    };
                    items.push(self.level(level + 1)?);
                    Item::List(items)
                }
                "?" => {
                    let yes = self.level(level + 1)?;
                    let no = if self.take(&[":"]).is_some() { self.level(level)? } else { Item::Bool(false) };
                    if left == Item::Bool(true) { yes } else { no }
                }
                _ => {
                    let right = self.level(level + 1)?;
                    apply(sign, &left, &right)?
                }
            };
        }
        Ok(left)
    }

    fn prefix(&mut self) -> Result<Item, String> {
        self.depth += 1;
        if self.depth > 500 {
            return Err("too deep".to_owned());
        }
        let item = match self.take(&["!", "-"]) {
            Some("!") => match self.prefix()? {
                Item::Bool(yes) => Ok(Item::Bool(!yes)),
                other => Err(format!(
                    "Value '{}' cannot be used with the logical prefix '!', it is not a bool",
                    other.show()
                )),
            },
            Some(_) => match self.prefix()? {
                Item::Number(number) => Ok(Item::Number(-number)),
                other => Err(format!(
                    "Value '{}' cannot be used with the numeric prefix '-', it is not a number",
                    other.show()
                )),
            },
            None => self.item(),
        };
        self.depth -= 1;
        item
    }

    fn item(&mut self) -> Result<Item, String> {
        if self.take(&["("]).is_some() {
            if self.take(&[")"]).is_some() {
                return Ok(Item::List(Vec::new()));
            }
            let inside = self.level(0)?;
            return self.take(&[")"]).map(|_| inside).ok_or_else(|| "Unbalanced parenthesis".to_owned());
        }
        match self.words.get(self.at).cloned() {
            Some(Word::Item(item)) => {
                self.at += 1;
                Ok(item)
            }
            Some(Word::Sign(sign)) => Err(format!("Unexpected operator '{sign}'")),
            None => Err("Unexpected end of expression".to_owned()),
        }
    }
}

fn apply(sign: &str, left: &Item, right: &Item) -> Result<Item, String> {
    let not = |item: &Item, what: &str| {
        Err(format!("Value '{}' cannot be used with the {what} operator '{sign}'", item.show()))
    };
    match sign {
        "==" => return Ok(Item::Bool(left == right)),
        "!=" => return Ok(Item::Bool(left != right)),
        "in" => {
            let Item::List(items) = right else {
                return not(right, "comparator");
            };
            return Ok(Item::Bool(items.contains(left)));
        }
        "||" | "&&" => {
            let (Item::Bool(one), Item::Bool(other)) = (left, right) else {
                return not(if matches!(left, Item::Bool(_)) { right } else { left }, "logical");
            };
            return Ok(Item::Bool(if sign == "||" { *one || *other } else { *one && *other }));
        }
        "=~" | "!~" => {
            let (Item::Text(text), Item::Text(pattern)) = (left, right) else {
                return not(left, "comparator");
            };
            let found = Regex::new(pattern).map_err(|error| error.to_string())?.is_match(text);
            return Ok(Item::Bool(found == (sign == "=~")));
        }
        "+" if matches!((left, right), (Item::Text(_), _) | (_, Item::Text(_))) => {
            return Ok(Item::Text(left.show() + &right.show()));
        }
        _ => (),
    }
    if let (Item::Text(one), Item::Text(other)) = (left, right)
        && let Some(answer) = ordered(sign, one.cmp(other))
    {
        return Ok(Item::Bool(answer));
    }
    let (Item::Number(one), Item::Number(other)) = (left, right) else {
        let wrong = if matches!(left, Item::Number(_)) { right } else { left };
        return not(wrong, if matches!(sign, ">" | "<" | ">=" | "<=") { "comparator" } else { "modifier" });
    };
    if let Some(answer) = one.partial_cmp(other).and_then(|order| ordered(sign, order)) {
        return Ok(Item::Bool(answer));
    }
    let (bits, other_bits) = (*one as i64, *other as i64);
    Ok(Item::Number(match sign {
        "+" => one + other,
        "-" => one - other,
        "*" => one * other,
        "/" => one / other,
        "%" => one % other,
        "**" => one.powf(*other),
        "&" => (bits & other_bits) as f64,
        "|" => (bits | other_bits) as f64,
        "<<" => (bits << (other_bits & 63)) as f64,
        _ => (bits >> (other_bits & 63)) as f64,
    }))
}

fn ordered(sign: &str, order: Ordering) -> Option<bool> {
    Some(match sign {
        ">" => order.is_gt(),
        "<" => order.is_lt(),
        ">=" => order.is_ge(),
        "<=" => order.is_le(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_or_not() {
        for (text, wanted) in [
            ("", true),
            ("heads == heads", true),
            ("heads == tails", false),
            ("'heads' != \"tails\"", true),
            ("3 > 1 && 2 < 10", true),
            ("10 > 9", true),
            ("1.0 == 1", true),
            ("true", true),
            ("!true", false),
            ("!(a == b)", true),
            ("( heads == heads && 4 < 3 ) || ( tails == tails )", true),
            ("Succeeded == Succeeded", true),
            ("b in (a, b)", true),
            ("c in ('a', 'b')", false),
            ("abc =~ '^a'", true),
            ("abc !~ '^a'", false),
            ("1 + 2 * 3 == 7", true),
            ("2 ** 3 == 8", true),
            ("-1 < 0", true),
            ("5 % 2 == 1", true),
            ("a == a ? true : false", true),
            ("'' == ''", true),
            ("dev/x == 1 || true", false),
        ] {
            match holds(text) {
                Ok(found) => assert_eq!(found, wanted, "{text}"),
                Err(why) => assert!(text.contains('/'), "{text}: {why}"),
            }
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, wanted) in [
            ("{{x}} == 1", "Invalid 'when' expression '{{x}} == 1': Invalid token: '{{x}}' (hint: try wrapping"),
            ("a b", "Cannot transition token types"),
            ("(a == b", "Unbalanced parenthesis"),
            ("'a", "Unclosed string literal"),
            ("word", "Expected boolean evaluation for 'word'. Got word"),
            ("a - b == 1", "cannot be used with the modifier operator '-'"),
            ("a &&", "Unexpected end"),
        ] {
            let why = holds(text).unwrap_err();
            assert!(why.contains(wanted), "{text}: {why}");
        }
    }
}
