//! The near name for one that is not known, and what to say of it. It only compares.

/// The name nearest to `wrong`, if one is near enough to be meant.
#[must_use]
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (distance(wrong, name), name))
        .filter(|(distance, name)| *distance <= (name.len().max(wrong.len()) / 3).max(1))
        .min()
        .map(|(_, name)| name)
}

/// The question whether the name nearest to `wrong` was meant, if one is near enough.
#[must_use]
pub fn question<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(wrong, known).map(|near| format!("did you mean {near:?}?"))
}

/// What to say of a name that is none of those that are known, which are `what`: the near one, or all of them.
#[must_use]
pub fn hint(wrong: &str, what: &str, known: &[impl AsRef<str>]) -> String {
    let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
    question(wrong, known.iter().copied()).unwrap_or_else(|| format!("{what}: {}", known.join(", ")))
}

/// How many insertions, removals, replacements and swaps of neighbours lead from one to the other.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows = vec![vec![0; to.len() + 1]; from.len() + 1];
    for (index, row) in rows.iter_mut().enumerate() {
        row[0] = index;
    }
    for (column, cell) in rows[0].iter_mut().enumerate() {
        *cell = column;
    }
    for row in 1..=from.len() {
        for column in 1..=to.len() {
            let replaced = rows[row - 1][column - 1] + usize::from(from[row - 1] != to[column - 1]);
            let mut best = replaced.min(rows[row - 1][column] + 1).min(rows[row][column - 1] + 1);
            if row > 1 && column > 1 && from[row - 1] == to[column - 2] && from[row - 2] == to[column - 1] {
                best = best.min(rows[row - 2][column - 2] + 1);
            }
            rows[row][column] = best;
        }
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_and_far() {
        let known = ["hello-spark-submit", "flights-report", "up", "run"];
        for (wrong, near) in [
            ("hello-spark-sumbit", Some("hello-spark-submit")),
            ("flight-report", Some("flights-report")),
            ("rnu", Some("run")),
            ("u", Some("up")),
            ("kubernetes", None),
            ("", None),
        ] {
            assert_eq!(nearest(wrong, known), near, "{wrong}");
        }
    }
}
