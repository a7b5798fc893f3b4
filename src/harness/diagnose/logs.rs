//! Exceptions in logs: Python's tracebacks and the JVM's stacks, and the first frame that is the user's own. Reading only.

use std::sync::LazyLock;

use regex::Regex;

/// An exception.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exception {
    /// What it says of itself, in its first line.
    pub(super) text: String,
    /// The innermost frame of the user's, as in `report.py, line 12, in main: x = 1 / 0`.
    pub(super) frame: Option<String>,
}

/// Parts of paths that are Python's or Spark's.
const PYTHON_OTHERS: [&str; 7] =
    ["/pyspark/", "/pyspark.zip/", "/py4j", "/site-packages/", "/dist-packages/", "/lib/python3", "<frozen "];
/// Beginnings of classes that are Java's, Scala's or Spark's.
const JVM_OTHERS: [&str; 12] = [
    "java.",
    "javax.",
    "jdk.",
    "sun.",
    "com.sun.",
    "scala.",
    "py4j.",
    "io.netty.",
    "io.fabric8.",
    "org.apache.spark.",
    "org.apache.hadoop.",
    "org.apache.parquet.",
];
/// What of Spark's own counts as a user's.
const JVM_USERS: &str = "org.apache.spark.examples.";
const TRACEBACK: &str = "Traceback (most recent call last):";

static PYTHON_FRAME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"^\s+File "(?<file>[^"]+)", line (?<line>\d+)(?:, in (?<function>.+))?$"#).ok());
static JVM_FRAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^\s+at (?:[\w.@-]+//?)*(?<class>[\w.$]+)\.(?<method>[\w$<>]+)\((?<place>[^)]*)\)").ok()
});
static JVM_HEAD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"^(?:Exception in thread "[^"]*" |Caused by: )(?<text>(?:[\w$]+\.)+[\w$]+(?:: .*)?)$"#).ok()
});

/// The exception that ended a program, as far as its log shows one.
pub(super) fn exception(lines: &[String]) -> Option<Exception> {
    python(lines).or_else(|| jvm(lines))
}

/// One traceback.
struct Block {
    /// It stands in the text of another exception: it is of a task, or of a function that Spark calls.
    inner: bool,
    /// It was raised while the one before it was handled.
    chained: bool,
    exception: Exception,
}

fn python(lines: &[String]) -> Option<Exception> {
    let mut blocks: Vec<Block> = Vec::new();
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| line.trim_end().ends_with(TRACEBACK)) {
        let before = lines[..index].iter().rev().find(|line| !line.trim().is_empty());
        let chained = before.is_some_and(|line| {
            line.starts_with("During handling of the above") || line.starts_with("The above exception was the direct")
        });
        let Some(exception) = traceback(&lines[index + 1..]) else { continue };
        blocks.push(Block { inner: line.trim_end() != TRACEBACK, chained, exception });
    }
    let last = blocks.iter().rposition(|block| !block.inner)?;
    let first = (0..=last).rev().find(|index| !blocks[*index].chained && !blocks[*index].inner).unwrap_or(last);
    // What happened in a task is told within what it did to the program.
    let inner = blocks[first..].iter().find(|block| block.inner && block.exception.frame.is_some());
    Some(inner.unwrap_or(&blocks[first]).exception.clone())
}

/// What comes after the first line of a traceback.
fn traceback(lines: &[String]) -> Option<Exception> {
    let shape = PYTHON_FRAME.as_ref()?;
    let mut frame = None;
    for (index, line) in lines.iter().enumerate() {
        if let Some(found) = shape.captures(line) {
            let file = &found["file"];
            if !PYTHON_OTHERS.iter().any(|other| file.contains(other)) {
                let name = file.rsplit('/').next().unwrap_or(file);
                let function = found.name("function").map_or("<module>", |function| function.as_str());
                let code = lines.get(index + 1).filter(|code| code.starts_with("    "));
                let code = code.map(|code| format!(": {}", code.trim())).unwrap_or_default();
                frame = Some(format!("{name}, line {}, in {function}{code}", &found["line"]));
            }
        } else if !line.starts_with(' ') && !line.trim().is_empty() {
            return Some(Exception { text: line.trim().to_owned(), frame });
        }
    }
    None
}

fn jvm(lines: &[String]) -> Option<Exception> {
    let (head, frame) = (JVM_HEAD.as_ref()?, JVM_FRAME.as_ref()?);
    let begin = lines.iter().rposition(|line| line.starts_with("Exception in thread "))?;
    let mut text = None;
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut depth = 0;
    for line in &lines[begin..] {
        if let Some(exception) = head.captures(line) {
            text = Some(exception["text"].to_owned());
            depth += 1;
        } else if let Some(at) = frame.captures(line) {
            let class = &at["class"];
            if class.starts_with(JVM_USERS) || !JVM_OTHERS.iter().any(|other| class.starts_with(other)) {
                found.push((depth, format!("{class}.{} ({})", &at["method"], &at["place"])));
            }
        }
    }
    // The cause is the last one; its innermost frame of the user's is the first.
    let deepest = found.iter().map(|(depth, _)| *depth).max();
    let frame = found.into_iter().find(|(depth, _)| Some(*depth) == deepest).map(|(_, frame)| frame);
    Some(Exception { text: text?, frame })
}
