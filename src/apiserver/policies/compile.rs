//! The expressions of a policy, ready to run: which variables each may use, and what it must come to.
//! Upstream rule: k8s.io/apiserver `pkg/admission/plugin/cel/{compile,composition}.go`.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde_json::Value;
use tinderbox_cel::{Decl, DeclKind, Environment, Field, ListKind, Object, Program, Type};

/// A policy whose expressions are read.
pub(crate) struct Policy {
    /// Whether what cannot be found out refuses.
    pub(super) fails: bool,
    pub(super) conditions: Vec<Expression>,
    pub(super) variables: Vec<(String, Expression)>,
    pub(super) validations: Vec<Validation>,
    pub(super) annotations: Vec<Expression>,
}

pub(super) struct Validation {
    pub(super) expression: Expression,
    pub(super) message_expression: Option<Expression>,
    pub(super) message: String,
    pub(super) reason: String,
}

/// An expression, or why it is none.
pub(crate) struct Expression {
    pub(super) source: String,
    pub(super) program: Result<Program, String>,
}

/// What an expression stands for.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Scope {
    /// It decides: it may ask about rights.
    Deciding,
    /// It makes a message.
    Telling,
}

/// The variables that the expressions of a policy may use.
pub(crate) struct Declared {
    object: Type,
    params: Option<Type>,
    /// Whether the request's own resource can be asked about.
    request_resource: bool,
    variables: BTreeMap<String, Field>,
}

impl Declared {
    /// Those of a policy that runs: objects show their types when they are looked at.
    pub(crate) fn open(has_params: bool) -> Self {
        let params = has_params.then_some(Type::Dyn);
        Self { object: Type::Dyn, params, request_resource: true, variables: BTreeMap::new() }
    }

    /// Those of a policy whose types are checked against one kind.
    pub(super) fn typed(object: Type, params: Option<Type>) -> Self {
        Self { object, params, request_resource: false, variables: BTreeMap::new() }
    }

    fn environment(&self, scope: Scope) -> Environment {
        let object = Object { name: "kubernetes.variables".to_owned(), fields: self.variables.clone() };
        let mut environment = Environment::default()
            .with("object", self.object.clone())
            .with("oldObject", self.object.clone())
            .with("request", REQUEST.cel_type())
            .with("namespaceObject", NAMESPACE.cel_type())
            .with("variables", Type::Object(Arc::new(object)));
        if let Some(params) = &self.params {
            environment = environment.with("params", params.clone());
        }
        if scope == Scope::Deciding {
            environment = environment.with("authorizer", Type::Named("kubernetes.authorization.Authorizer"));
            if self.request_resource {
                let name = "authorizer.requestResource";
                environment = environment.with(name, Type::Named("kubernetes.authorization.ResourceCheck"));
            }
        }
        environment
    }

    /// The expression of a variable, which later ones may use.
    pub(crate) fn variable(&mut self, name: &str, source: &str) -> Expression {
        let expression = self.expression(source, Scope::Deciding, &[]);
        let ty = expression.program.as_ref().map_or(Type::Dyn, |program| program.result().clone());
        let field = Field { name: name.to_owned(), decl: Arc::new(declared(&ty)) };
        self.variables.insert(name.to_owned(), field);
        expression
    }

    /// An expression that must come to one of these types; to any where there are none.
    pub(crate) fn expression(&self, source: &str, scope: Scope, types: &[Type]) -> Expression {
        let compiled = self.environment(scope).compile(source);
        let program = compiled.map_err(|issues| format!("compilation failed: {issues}")).and_then(|program| {
            let found = program.result();
            match types {
                [] => Ok(program),
                types if types.contains(found) => Ok(program),
                [one] => Err(format!("must evaluate to {one} but got {found}")),
                several => {
                    let names: Vec<&str> = several.iter().map(go_name).collect();
                    Err(format!("must evaluate to one of [{}] but got {found}", names.join(" ")))
                }
            }
        });
        Expression { source: source.to_owned(), program }
    }
}

fn go_name(ty: &Type) -> &'static str {
    if *ty == Type::Null { "null_type" } else { "string" }
}

impl Expression {
    /// Why it is no expression.
    pub(crate) fn error(&self) -> Option<&str> {
        self.program.as_ref().err().map(String::as_str)
    }
}

impl Policy {
    /// Reads the spec of a policy.
    pub(super) fn new(spec: &Value) -> Self {
        let items = |name: &str| spec[name].as_array().into_iter().flatten();
        let text = |item: &Value, name: &str| item[name].as_str().unwrap_or_default().to_owned();
        let mut declared = Declared::open(!spec["paramKind"].is_null());
        let variables = items("variables").map(|one| {
            let name = text(one, "name");
            let expression = declared.variable(&name, &text(one, "expression"));
            (name, expression)
        });
        let variables = variables.collect();
        let deciding = |one: &Value| declared.expression(&text(one, "expression"), Scope::Deciding, &[Type::Bool]);
        let validation = |one: &Value| {
            let message = text(one, "messageExpression");
            Validation {
                expression: deciding(one),
                message_expression: (!message.is_empty())
                    .then(|| declared.expression(&message, Scope::Telling, &[Type::String])),
                message: text(one, "message"),
                reason: text(one, "reason"),
            }
        };
        let annotation = |one: &Value| {
            declared.expression(&text(one, "valueExpression"), Scope::Deciding, &[Type::String, Type::Null])
        };
        Self {
            fails: spec["failurePolicy"] != "Ignore",
            conditions: items("matchConditions").map(deciding).collect(),
            validations: items("validations").map(validation).collect(),
            annotations: items("auditAnnotations").map(annotation).collect(),
            variables,
        }
    }
}

/// What is declared of the value of a variable.
fn declared(ty: &Type) -> Decl {
    match ty {
        Type::Bool => Decl::simple(DeclKind::Bool),
        Type::Bytes => Decl::simple(DeclKind::Bytes),
        Type::Double => Decl::simple(DeclKind::Double),
        Type::Duration => Decl::simple(DeclKind::Duration),
        Type::Int => Decl::simple(DeclKind::Int),
        Type::String => Decl::simple(DeclKind::String),
        Type::Timestamp => Decl::simple(DeclKind::Timestamp),
        Type::List(items) => Decl::simple(DeclKind::List(Arc::new(declared(items)), ListKind::Atomic)),
        Type::Map(key, value) if **key == Type::String => Decl::map(declared(value)),
        Type::Object(object) => Decl::simple(DeclKind::Object(Arc::clone(object))),
        _ => Decl::DYN,
    }
}

fn text() -> Decl {
    Decl::simple(DeclKind::String)
}

/// What is declared of `request`.
pub(super) static REQUEST: LazyLock<Decl> = LazyLock::new(|| {
    let kind =
        || Decl::object("kubernetes.GroupVersionKind", [("group", text()), ("version", text()), ("kind", text())]);
    let resource = || {
        Decl::object("kubernetes.GroupVersionResource", [("group", text()), ("version", text()), ("resource", text())])
    };
    let user = Decl::object(
        "kubernetes.UserInfo",
        [
            ("username", text()),
            ("uid", text()),
            ("groups", Decl::list(text())),
            ("extra", Decl::map(Decl::list(text()))),
        ],
    );
    Decl::object(
        "kubernetes.AdmissionRequest",
        [
            ("kind", kind()),
            ("resource", resource()),
            ("subResource", text()),
            ("requestKind", kind()),
            ("requestResource", resource()),
            ("requestSubResource", text()),
            ("name", text()),
            ("namespace", text()),
            ("operation", text()),
            ("userInfo", user),
            ("dryRun", Decl::simple(DeclKind::Bool)),
            ("options", Decl::DYN),
        ],
    )
});

/// What is declared of `namespaceObject`.
pub(super) static NAMESPACE: LazyLock<Decl> = LazyLock::new(|| {
    let moment = || Decl::simple(DeclKind::Timestamp);
    let metadata = Decl::object(
        "kubernetes.NamespaceMetadata",
        [
            ("name", text()),
            ("generateName", text()),
            ("namespace", text()),
            ("labels", Decl::map(text())),
            ("annotations", Decl::map(text())),
            ("UID", text()),
            ("creationTimestamp", moment()),
            ("deletionGracePeriodSeconds", Decl::simple(DeclKind::Int)),
            ("deletionTimestamp", moment()),
            ("generation", Decl::simple(DeclKind::Int)),
            ("resourceVersion", text()),
            ("finalizers", Decl::list(text())),
        ],
    );
    let condition = Decl::object(
        "kubernetes.NamespaceCondition",
        [
            ("status", text()),
            ("type", text()),
            ("lastTransitionTime", moment()),
            ("message", text()),
            ("reason", text()),
        ],
    );
    Decl::object(
        "kubernetes.Namespace",
        [
            ("metadata", metadata),
            ("spec", Decl::object("kubernetes.NamespaceSpec", [("finalizers", Decl::list(text()))])),
            (
                "status",
                Decl::object("kubernetes.NamespaceStatus", [("conditions", Decl::list(condition)), ("phase", text())]),
            ),
        ],
    )
});
