//! What a task waits for: ends of other tasks, with `&&`, `||`, `!` and parentheses. Pure.
//! Upstream rule: `workflow/common/ancestry.go` of argoproj/argo-workflows.

use tinderbox_api::workflows::{ContinueOn, DagTask};

/// The condition of a task, `dependencies` written as one; `continues` gives ends of a task after which others go on all the same.
pub(crate) fn of<'a>(task: &DagTask, continues: impl Fn(&str) -> Option<&'a ContinueOn>) -> String {
    if let Some(depends) = &task.depends {
        return depends.clone();
    }
    let one = |name: &String| {
        let continue_on = continues(name).cloned().unwrap_or_default();
        let mut ends = vec!["Succeeded", "Skipped", "Daemoned"];
        if continue_on.error == Some(true) {
            ends.push("Errored");
        }
        if continue_on.failed == Some(true) {
            ends.push("Failed");
        }
        let ends: Vec<String> = ends.iter().map(|end| format!("{name}.{end}")).collect();
        format!("({})", ends.join(" || "))
    };
    task.dependencies.iter().map(one).collect::<Vec<_>>().join(" && ")
}

/// The tasks that the condition of a task names, each once.
pub(crate) fn names(task: &DagTask) -> Vec<String> {
    let words = task.depends.as_deref().map(words);
    let of_words = words.iter().flatten().filter(|word| is_name(word)).filter_map(|word| word.split('.').next());
    let plain = task.dependencies.iter().filter(|_| words.is_none()).map(String::as_str);
    let mut found: Vec<String> = Vec::new();
    for name in of_words.chain(plain) {
        if !found.iter().any(|known| known == name) {
            found.push(name.to_owned());
        }
    }
    found
}

fn is_name(word: &str) -> bool {
    word.chars().next().is_some_and(|c| c.is_alphanumeric() || c == '_')
}

fn words(logic: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut rest = logic.trim_start();
    while let Some(next) = rest.chars().next() {
        let length = if rest.starts_with("&&") || rest.starts_with("||") {
            2
        } else if is_name(rest) {
            rest.find(|c: char| !(c.is_alphanumeric() || "_-.".contains(c))).unwrap_or(rest.len())
        } else {
            next.len_utf8()
        };
        found.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    found
}

/// Whether a condition is true; `ended` tells whether a task ended so, or nothing when that is no end.
///
/// # Errors
/// What is wrong with the condition.
pub(crate) fn evaluate(logic: &str, ended: &mut dyn FnMut(&str, &str) -> Option<bool>) -> Result<bool, String> {
    let words = words(logic);
    if words.is_empty() {
        return Ok(true);
    }
    let mut reader = Reader { words: &words, at: 0, ended, depth: 0 };
    let answer =
        reader.any().and_then(|answer| if reader.at == words.len() { Ok(answer) } else { Err(reader.wrong()) });
    answer.map_err(|why| format!("invalid 'depends' logic {logic:?}: {why}"))
}

struct Reader<'a> {
    words: &'a [String],
    at: usize,
    ended: &'a mut dyn FnMut(&str, &str) -> Option<bool>,
    depth: usize,
}

impl Reader<'_> {
    fn wrong(&self) -> String {
        self.words.get(self.at).map_or_else(|| "it ends too early".to_owned(), |word| format!("unexpected {word:?}"))
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.words.get(self.at).is_some_and(|have| have == word);
        self.at += usize::from(found);
        found
    }

    fn any(&mut self) -> Result<bool, String> {
        let mut answer = self.all()?;
        while self.take("||") {
            answer |= self.all()?;
        }
        Ok(answer)
    }

    fn all(&mut self) -> Result<bool, String> {
        let mut answer = self.one()?;
        while self.take("&&") {
            answer &= self.one()?;
        }
        Ok(answer)
    }

    fn one(&mut self) -> Result<bool, String> {
        self.depth += 1;
        if self.depth > 500 {
            return Err("it is too deep".to_owned());
        }
        let answer = if self.take("!") {
            !self.one()?
        } else if self.take("(") {
            let inside = self.any()?;
            if !self.take(")") {
                return Err(self.wrong());
            }
            inside
        } else {
            let word = self.words.get(self.at).filter(|word| is_name(word)).ok_or_else(|| self.wrong())?;
            self.at += 1;
            match word.split_once('.') {
                None => ["Succeeded", "Skipped", "Daemoned"].iter().any(|end| (self.ended)(word, end) == Some(true)),
                Some((task, end)) => (self.ended)(task, end)
                    .filter(|_| ENDS.contains(&end))
                    .ok_or_else(|| format!("task result '{end}' for task '{task}' is invalid"))?,
            }
        };
        self.depth -= 1;
        Ok(answer)
    }
}

/// The ends that a condition can name.
const ENDS: [&str; 8] =
    ["Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned", "AnySucceeded", "AllFailed"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read() {
        let mut ended = |task: &str, end: &str| Some(matches!((task, end), ("a", "Succeeded") | ("b-c", "Failed")));
        for (logic, wanted) in [
            ("", true),
            ("a", true),
            ("b-c", false),
            ("a.Succeeded && b-c.Failed", true),
            ("a.Failed || b-c.Failed && a", true),
            ("!a.Failed && !(b-c.Succeeded || a.Errored)", true),
            ("(a || b-c) && b-c", false),
        ] {
            assert_eq!(evaluate(logic, &mut ended), Ok(wanted), "{logic}");
        }
        for (logic, why) in [
            ("a &&", "ends too early"),
            ("(a", "ends too early"),
            ("a b", "unexpected \"b\""),
            ("a.Gone", "'Gone' for task 'a'"),
        ] {
            assert!(evaluate(logic, &mut ended).unwrap_err().contains(why), "{logic}");
        }
    }

    #[test]
    fn dependencies_are_conditions() {
        let tasks: Vec<DagTask> = serde_json::from_value(serde_json::json!([
            {"name": "a", "continueOn": {"failed": true}}, {"name": "b"}, {"name": "c", "dependencies": ["a", "b", "a"]},
            {"name": "d", "depends": "(a.Failed || b-c) && !a"},
        ]))
        .unwrap();
        let continues = |name: &str| tasks.iter().find(|task| task.name == name)?.continue_on.as_ref();
        assert_eq!(
            of(&tasks[2], continues),
            "(a.Succeeded || a.Skipped || a.Daemoned || a.Failed) && (b.Succeeded || b.Skipped || b.Daemoned) && \
             (a.Succeeded || a.Skipped || a.Daemoned || a.Failed)"
        );
        assert_eq!(of(&tasks[0], continues), "");
        assert_eq!(names(&tasks[2]), ["a", "b"]);
        assert_eq!(names(&tasks[3]), ["a", "b-c"]);
    }
}
