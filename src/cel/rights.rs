//! Questions about rights in expressions: `authorizer.group('apps').resource('deployments').check('create').allowed()`.
//! Who answers them is given from outside.
//! Upstream rule: k8s.io/apiserver `pkg/cel/library/authz.go`.

use std::rc::Rc;

use tinderbox_api::names;

use crate::error::Error;
use crate::value::Value;

/// Who answers questions about rights.
pub trait Rights {
    /// Whether what is asked for is allowed.
    fn check(&self, attributes: &Attributes) -> Decision;
}

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Namespace and name of the service account that is asked about; otherwise it is who sent the request.
    pub account: Option<(String, String)>,
    /// What they would do.
    pub verb: String,
    /// A path that is no resource; empty for resources.
    pub path: String,
    /// The API group.
    pub group: String,
    /// The plural name of the resource.
    pub resource: String,
    /// A part of the resource.
    pub subresource: String,
    /// The namespace; empty for all.
    pub namespace: String,
    /// The object; empty for all.
    pub name: String,
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is allowed.
    pub allowed: bool,
    /// Why.
    pub reason: String,
    /// Why it could not be found out; empty where it could.
    pub error: String,
}

/// A question on its way, or its answer.
#[derive(Clone)]
pub struct RightsValue<'a> {
    stage: Stage,
    rights: Option<&'a dyn Rights>,
    asked: Rc<Attributes>,
    decision: Rc<Decision>,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Authorizer,
    Path,
    Group,
    Resource,
    Decision,
}

impl<'a> Value<'a> {
    /// `authorizer`.
    #[must_use]
    pub fn authorizer(rights: &'a dyn Rights) -> Self {
        Self::question(rights, Attributes::default(), Stage::Authorizer)
    }

    /// `authorizer.requestResource`: the resource that a request is about.
    #[must_use]
    pub fn request_resource(rights: &'a dyn Rights, asked: Attributes) -> Self {
        Self::question(rights, asked, Stage::Resource)
    }

    fn question(rights: &'a dyn Rights, asked: Attributes, stage: Stage) -> Self {
        let rights = Some(rights);
        Self::Rights(RightsValue { stage, rights, asked: Rc::new(asked), decision: Rc::default() })
    }
}

impl<'a> RightsValue<'a> {
    pub(crate) fn type_name(&self) -> &'static str {
        match self.stage {
            Stage::Authorizer => "kubernetes.authorization.Authorizer",
            Stage::Path => "kubernetes.authorization.PathCheck",
            Stage::Group => "kubernetes.authorization.GroupCheck",
            Stage::Resource => "kubernetes.authorization.ResourceCheck",
            Stage::Decision => "kubernetes.authorization.Decision",
        }
    }

    fn next(&self, stage: Stage, change: impl FnOnce(&mut Attributes)) -> Value<'a> {
        let mut next = self.clone();
        next.stage = stage;
        change(Rc::make_mut(&mut next.asked));
        Value::Rights(next)
    }
}

/// What a function of the library does with its texts.
type Texts<'t> = &'t [&'t str];

/// The functions of questions, by their overloads.
pub(crate) fn call<'a>(id: &str, args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let [Value::Rights(value), rest @ ..] = args else {
        return Err(Error::no_such_overload());
    };
    let mut texts = Vec::with_capacity(rest.len());
    for arg in rest {
        match arg {
            Value::String(text) => texts.push(&**text),
            _ => return Err(Error::no_such_overload()),
        }
    }
    match value.stage {
        Stage::Decision => answer(id, &value.decision),
        _ => question(id, value, &texts),
    }
}

fn question<'a>(id: &str, value: &RightsValue<'a>, texts: Texts<'_>) -> Result<Value<'a>, Error> {
    let text = || texts.first().copied().unwrap_or_default().to_owned();
    let filled = |what: &str| {
        let text = text();
        if text.trim().is_empty() { Err(Error::new(format!("{what} must not be empty"))) } else { Ok(text) }
    };
    Ok(match id {
        "authorizer_path" => {
            let path = filled("path")?;
            value.next(Stage::Path, |asked| asked.path = path)
        }
        "authorizer_group" => value.next(Stage::Group, |asked| asked.group = text()),
        "authorizer_serviceaccount" => {
            let [namespace, name] = texts else {
                return Err(Error::no_such_overload());
            };
            if !names::dns_subdomain(name).is_empty() {
                return Err(Error::new("Invalid service account name"));
            }
            if !names::dns_label(namespace).is_empty() {
                return Err(Error::new("Invalid service account namespace"));
            }
            let account = Some(((*namespace).to_owned(), (*name).to_owned()));
            value.next(Stage::Authorizer, |asked| asked.account = account)
        }
        "groupcheck_resource" => {
            let resource = filled("resource")?;
            value.next(Stage::Resource, |asked| asked.resource = resource)
        }
        "resourcecheck_subresource" => value.next(Stage::Resource, |asked| asked.subresource = text()),
        "resourcecheck_namespace" => value.next(Stage::Resource, |asked| asked.namespace = text()),
        "resourcecheck_name" => value.next(Stage::Resource, |asked| asked.name = text()),
        // RBAC does not look at selectors.
        "authorizer_fieldselector" | "authorizer_labelselector" => value.next(Stage::Resource, |_| ()),
        "pathcheck_check" | "resourcecheck_check" => {
            let asked = Attributes { verb: text(), ..(*value.asked).clone() };
            let decision = value.rights.map_or_else(Decision::default, |rights| rights.check(&asked));
            Value::Rights(RightsValue { stage: Stage::Decision, decision: Rc::new(decision), ..value.clone() })
        }
        _ => return Err(Error::no_such_overload()),
    })
}

fn answer<'a>(id: &str, decision: &Decision) -> Result<Value<'a>, Error> {
    Ok(match id {
        "decision_allowed" => Value::Bool(decision.allowed),
        "decision_reason" => Value::text(decision.reason.as_str()),
        "decision_errored" => Value::Bool(!decision.error.is_empty()),
        "decision_error" => Value::text(decision.error.as_str()),
        _ => return Err(Error::no_such_overload()),
    })
}
