//! The front of the room: an environment says which variables there are, compiles expressions, and programs are run.

use std::collections::BTreeMap;
use std::fmt;

use crate::check::{self, Checked};
use crate::decl::Decl;
use crate::error::Error;
use crate::evaluate::Evaluation;
use crate::types::Type;
use crate::value::Value;
use crate::{cost, parse};

/// How much stack reading a text may take: the grammar recurses, and a text may be long.
const STACK: usize = 256 << 20;
/// The longest line that is shown with an issue.
const SNIPPET_MAX: usize = 16_384;

/// The variables that expressions may use.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, Type>,
}

/// Something wrong in an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Issue {
    /// Counted from 1.
    pub(crate) line: usize,
    /// Characters before it.
    pub(crate) column: usize,
    pub(crate) message: String,
}

/// What is wrong in an expression, in cel-go's form: `ERROR: <input>:1:5: undefined field 'z'` and the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issues {
    issues: Vec<Issue>,
    source: String,
}

/// An expression that is ready to run.
#[derive(Debug)]
pub struct Program {
    checked: Checked,
}

/// What a run came to.
pub struct Run<'a> {
    /// The value of the expression, or why it has none.
    pub value: Result<Value<'a>, Error>,
    /// What it cost.
    pub cost: u64,
}

impl Environment {
    /// The same with one more variable.
    #[must_use]
    pub fn with(mut self, name: &str, ty: Type) -> Self {
        self.variables.insert(name.to_owned(), ty);
        self
    }

    /// Reads and checks an expression.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn compile(&self, text: &str) -> Result<Program, Issues> {
        let wrong = |issues| Issues { issues, source: text.to_owned() };
        let work = || {
            let (tree, source) = parse::parse(text)?;
            check::check(&tree, &source, &self.variables)
        };
        let done = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("cel".to_owned()).stack_size(STACK);
            thread.spawn_scoped(scope, work).map(std::thread::ScopedJoinHandle::join)
        });
        let failed = |message: String| wrong(vec![Issue { line: 1, column: 0, message }]);
        match done {
            Ok(Ok(checked)) => checked.map(|checked| Program { checked }).map_err(wrong),
            // The grammar's crate panics on some texts.
            Ok(Err(_)) => Err(failed("Syntax error: the expression cannot be read".to_owned())),
            Err(error) => Err(failed(format!("the expression was not read: {error}"))),
        }
    }
}

impl Program {
    /// The type of its value.
    #[must_use]
    pub fn result(&self) -> &Type {
        &self.checked.node.ty
    }

    /// Whether it uses a variable of the environment.
    #[must_use]
    pub fn uses(&self, name: &str) -> bool {
        self.checked.used.contains(name)
    }

    /// The most that it can cost when its variables are declared like this.
    #[must_use]
    pub fn cost(&self, root: &Decl) -> u64 {
        cost::estimate(&self.checked.node, root)
    }

    /// Evaluates it, up to a cost.
    pub fn run<'a>(&self, variables: &dyn Fn(&str) -> Option<Result<Value<'a>, Error>>, limit: u64) -> Run<'a> {
        let mut evaluation = Evaluation::new(variables, limit);
        let value = evaluation.node(&self.checked.node);
        Run { value, cost: evaluation.cost }
    }
}

impl fmt::Display for Issues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, issue) in self.issues.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "ERROR: <input>:{}:{}: {}", issue.line, issue.column + 1, issue.message)?;
            let line = issue.line.checked_sub(1).and_then(|line| self.source.lines().nth(line));
            if let Some(line) = line.filter(|line| line.len() <= SNIPPET_MAX) {
                write!(f, "\n | {}\n | ", line.replace('\t', " "))?;
                let mut chars = line.chars();
                for c in chars.by_ref().take(issue.column) {
                    f.write_str(if c.len_utf8() > 1 { "．" } else { "." })?;
                }
                f.write_str(if chars.next().is_some_and(|c| c.len_utf8() > 1) { "＾" } else { "^" })?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Issues {}
