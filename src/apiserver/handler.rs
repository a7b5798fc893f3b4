//! The way of a request: who asks, what for, whether it may, and to which verb it goes. It must not know what verbs do.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::request::Parts;
use http::{Method, Request, Response};
use serde_json::Value;
use tinderbox_api::manifest;
use tinderbox_api::selector::FieldSelector;

use crate::ApiServer;
use crate::admission::{self, Asked, Operation};
use crate::auth::{Attributes, User};
use crate::call::{Call, WriteOptions};
use crate::error::ApiError;
use crate::metrics::Kind;
use crate::patch::apply::manager_name;
use crate::path::{Params, ResourcePath, Route};
use crate::resource::Resource;
use crate::respond::{self, Form, Reply};
use crate::server::Peer;
use crate::streams::{self, PodCall};
use crate::{body, discovery, protobuf, table, verbs, watch};

/// The largest request body: 3 MiB, as upstream.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

impl ApiServer {
    /// Answers a request; `user` is fixed for requests from inside the process.
    pub(crate) async fn handle(&self, request: Request<Body>, user: Option<User>) -> Response<Body> {
        let _inflight = self.metrics().request();
        let started = Instant::now();
        let kind = self.kind(&request);
        let response = self.answer(request, user).await.unwrap_or_else(|error| respond::error(&error));
        self.metrics().answered(kind, response.status().as_u16(), started.elapsed());
        response
    }

    /// What a request is about, as metrics tell it; what is not served counts as nothing in particular.
    fn kind(&self, request: &Request<Body>) -> Kind {
        let verb = request.method().as_str().to_owned();
        let Route::Resource(path) = Route::parse(request.uri().path()) else {
            return Kind { verb, ..Kind::default() };
        };
        let found = self.registry().find(&path.group, &path.version, &path.resource);
        let known = |one: &Resource| path.subresource.is_empty() || one.subresource(&path.subresource).is_some();
        if !found.is_some_and(|one| known(&one)) {
            return Kind { verb, ..Kind::default() };
        }
        let scope = match (path.name.is_empty(), path.namespace.is_empty()) {
            (false, _) => "resource",
            (true, false) => "namespace",
            (true, true) => "cluster",
        };
        let verb = match self::verb(request.method(), &path, &Params::parse(request.uri().query())) {
            Ok("create") => "POST".to_owned(),
            Ok("update") => "PUT".to_owned(),
            Ok(verb) => verb.to_ascii_uppercase(),
            Err(_) => verb,
        };
        let ResourcePath { group, version, resource, subresource, .. } = path;
        Kind { verb, group, version, resource, subresource, scope }
    }

    async fn answer(&self, request: Request<Body>, user: Option<User>) -> Result<Response<Body>, ApiError> {
        let (parts, body) = request.into_parts();
        let user = match user {
            Some(user) => self.access().acting(user, &parts.headers)?,
            None => {
                let peer = parts.extensions.get::<Peer>().map(|peer| &peer.0);
                self.access().sender(peer, &parts.headers)?
            }
        };
        match Route::parse(parts.uri.path()) {
            Route::Other(path) => {
                self.access().require(&Attributes {
                    user,
                    verb: parts.method.as_str().to_ascii_lowercase(),
                    path: path.clone(),
                    ..Attributes::default()
                })?;
                discovery::serve(self, &path, &parts)
            }
            Route::Resource(path) => self.resource(path, user, parts, body).await,
        }
    }

    async fn resource(
        &self,
        path: ResourcePath,
        user: User,
        parts: Parts,
        body: Body,
    ) -> Result<Response<Body>, ApiError> {
        let params = Params::parse(parts.uri.query());
        let verb = verb(&parts.method, &path, &params)?;
        self.access().require(&attributes(&user, verb, &path, &params))?;
        let found = self.registry().find(&path.group, &path.version, &path.resource);
        let resource = found.ok_or_else(ApiError::no_such_path)?;
        if path.subresource.is_empty() {
            if !resource.verbs.contains(&verb) {
                return Err(ApiError::method_not_allowed());
            }
        } else if resource.subresource(&path.subresource).is_none() {
            return Err(ApiError::no_such_path());
        }
        let agent = parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let agent = manager_name("", agent);
        let streaming = matches!(path.subresource.as_str(), "log" | "exec" | "attach" | "portforward" | "proxy");
        let kept = resource.verbs.contains(&"get");
        let form = if streaming { Form::Json } else { Form::negotiate(&parts.headers, kept)? };
        let (warnings, duplicates) = (Arc::default(), Vec::new());
        let call = Call { api: self.clone(), user, resource, path, params, form, agent, warnings, duplicates };
        if let Some(text) = &call.resource.deprecation {
            call.warn(vec![text.clone()]);
        }
        let answer = if streaming {
            stream(&call, parts, body).await
        } else if verb == "watch" {
            watch::serve(call.clone(), parts).await
        } else {
            dispatch(&call, verb, &parts, body).await.map(|reply| present(&call, reply))
        };
        // A refusal may have warnings too.
        let mut response = answer.unwrap_or_else(|error| respond::error(&error));
        respond::warn(&mut response, &call.warnings.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(response)
    }
}

/// What is connected to: the options of the stream as an object, as upstream has it.
fn connect_options(call: &Call, kind: &str) -> Value {
    let mut options = serde_json::json!({"kind": kind, "apiVersion": "v1"});
    for flag in ["stdin", "stdout", "stderr", "tty"] {
        if call.params.flag(flag) {
            options[flag] = true.into();
        }
    }
    if let Some(container) = call.params.get("container") {
        options["container"] = container.into();
    }
    let command: Vec<&str> = call.params.all("command").collect();
    if !command.is_empty() {
        options["command"] = command.into();
    }
    let ports: Vec<u64> = call.params.all("ports").filter_map(|port| port.parse().ok()).collect();
    if !ports.is_empty() {
        options["ports"] = ports.into();
    }
    if call.path.subresource == "proxy" {
        options["path"] = format!("/{}", call.path.rest).into();
    }
    options
}

/// A stream of a pod, which its node makes, or a request to a pod or service.
async fn stream(call: &Call, mut parts: Parts, body: Body) -> Result<Response<Body>, ApiError> {
    if call.path.subresource != "log" {
        let asked = Asked::connect(call);
        let [_, _, kind] = asked.kind();
        admission::review(&asked, Some(&mut connect_options(call, &kind)), None).await?;
    }
    if call.path.subresource == "proxy" {
        return verbs::proxy::proxy(call, parts, body).await;
    }
    let pod = call.served(&call.stored()?).await?;
    let node = call.api.streams().ok_or_else(|| ApiError::unavailable("no node of this cluster runs pods"))?;
    let asked = PodCall { streams: &node, pod: &pod, parts: &mut parts };
    match call.path.subresource.as_str() {
        "log" => streams::log(asked).await,
        "exec" => streams::exec(asked).await,
        "attach" => streams::attach(asked).await,
        _ => streams::port_forward(asked).await,
    }
}

fn attributes(user: &User, verb: &str, path: &ResourcePath, params: &Params) -> Attributes {
    let mut name = path.name.clone();
    // Who may list or watch one object alone asks for it by a field selector.
    if name.is_empty() && matches!(verb, "list" | "watch" | "deletecollection") {
        let fields = params.get("fieldSelector").and_then(|text| FieldSelector::parse(text).ok());
        name = fields.and_then(|one| one.required("metadata.name").map(str::to_owned)).unwrap_or_default();
    }
    Attributes {
        user: user.clone(),
        verb: verb.to_owned(),
        group: path.group.clone(),
        version: path.version.clone(),
        resource: path.resource.clone(),
        subresource: path.subresource.clone(),
        namespace: path.namespace.clone(),
        name,
        path: String::new(),
    }
}

async fn dispatch(call: &Call, verb: &'static str, parts: &Parts, body: Body) -> Result<Reply, ApiError> {
    let subresource = call.path.subresource.as_str();
    if *call.resource.group == *verbs::metrics::GROUP {
        return verbs::metrics::read(call).await;
    }
    match (verb, subresource) {
        ("get", "scale") => verbs::scale::get(call).await,
        ("update", "scale") => verbs::scale::update(call, object(parts, read(body).await?)?).await,
        ("patch", "scale") => verbs::scale::patch(call, content_type(parts), read(body).await?).await,
        ("create", "binding") => verbs::pods::bind(call, object(parts, read(body).await?)?).await,
        ("create", "eviction") => verbs::pods::evict(call, optional(parts, read(body).await?)?).await,
        ("create", "token") => {
            let mut wanted = optional(parts, read(body).await?)?;
            let options = WriteOptions::of(call)?;
            let asked = Asked::write(call, Operation::Create, &call.path.name, &options);
            admission::review(&asked, Some(&mut wanted), None).await?;
            verbs::review::token(call, wanted)
        }
        ("get", "" | "status" | "approval" | "ephemeralcontainers") => verbs::get::get(call).await,
        ("list", "") => verbs::list::list(call).await,
        ("create", "") => {
            let (mut body, duplicates) = written(parts, read(body).await?)?;
            if call.resource.is("", "bindings") {
                return verbs::pods::bind(&call.of_pod(&body)?, body).await;
            }
            if !verbs::review::is_review(call) {
                return verbs::create::create(&call.with_duplicates(duplicates), body).await;
            }
            let asked = Asked::write(call, Operation::Create, "", &WriteOptions::of(call)?);
            admission::review(&asked, Some(&mut body), None).await?;
            verbs::review::review(call, body)
        }
        ("update", _) => {
            let (body, duplicates) = written(parts, read(body).await?)?;
            verbs::update::update(&call.with_duplicates(duplicates), body).await
        }
        ("patch", _) => verbs::patch::patch(call, content_type(parts), read(body).await?).await,
        ("delete", "") => verbs::delete::delete(call, optional(parts, read(body).await?)?).await,
        ("deletecollection", "") => verbs::collection::delete(call, optional(parts, read(body).await?)?).await,
        _ => Err(ApiError::method_not_allowed()),
    }
}

/// The verb of a request, as rights know it.
fn verb(method: &Method, path: &ResourcePath, params: &Params) -> Result<&'static str, ApiError> {
    let named = !path.name.is_empty();
    match *method {
        Method::GET | Method::HEAD => {
            if params.flag("watch") && path.subresource.is_empty() {
                Ok("watch")
            } else if named {
                Ok("get")
            } else {
                Ok("list")
            }
        }
        // A name is given in the body; in the path it is that of the object whose subresource is created.
        Method::POST if named != path.subresource.is_empty() => Ok("create"),
        Method::PUT if named => Ok("update"),
        Method::PATCH if named => Ok("patch"),
        Method::DELETE if named => Ok("delete"),
        Method::DELETE => Ok("deletecollection"),
        _ => Err(ApiError::method_not_allowed()),
    }
}

/// The answer in the form that the client accepts.
fn present(call: &Call, reply: Reply) -> Response<Body> {
    let (code, object, warnings) = match reply {
        Reply::Ready(response) => return response,
        Reply::Object(code, object, warnings) => (code, object, warnings),
    };
    let is_status = object["kind"] == "Status";
    let mut response = match call.form {
        Form::Table if !is_status => respond::json(code, &table::of_object(call, &object)),
        Form::Partial if !is_status => respond::json(code, &respond::partial(&object)),
        _ => respond::json(code, &object),
    };
    respond::warn(&mut response, &warnings);
    response
}

fn content_type(parts: &Parts) -> &str {
    parts
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map_or("", str::trim)
}

async fn read(body: Body) -> Result<Bytes, ApiError> {
    axum::body::to_bytes(body, BODY_LIMIT)
        .await
        .map_err(|_| ApiError::too_large(format!("Request entity too large: limit is {BODY_LIMIT}")))
}

/// The object in a body.
fn object(parts: &Parts, bytes: Bytes) -> Result<Value, ApiError> {
    written(parts, bytes).map(|(value, _)| value)
}

/// The object in a body, and the fields that are there more than once.
fn written(parts: &Parts, bytes: Bytes) -> Result<(Value, Vec<String>), ApiError> {
    let none = |value| (value, Vec::new());
    let (value, duplicates) = match content_type(parts) {
        "" | "application/json" | "*/*" => body::read(&bytes).map_err(|error| unrecognized(&error))?,
        "application/yaml" => none(yaml_or_json(&bytes)?),
        protobuf::MEDIA_TYPE => {
            none(protobuf::decode(&bytes).map_err(|error| ApiError::bad_request(error.to_string()))?)
        }
        _ => {
            return Err(ApiError::unsupported_media_type(
                "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf",
            ));
        }
    };
    if value.is_object() { Ok((value, duplicates)) } else { Err(unrecognized(&"it is no object")) }
}

/// The object in a body that is YAML, of which JSON is a part.
pub(crate) fn yaml_or_json(bytes: &[u8]) -> Result<Value, ApiError> {
    // Programs send JSON, which is read much sooner as such. What is repeated in it is told in the words of YAML, as all else.
    if bytes.trim_ascii_start().first() == Some(&b'{')
        && let Ok((value, duplicates)) = body::read(bytes)
        && duplicates.is_empty()
    {
        return Ok(value);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| unrecognized(&error))?;
    let mut documents = manifest::load(text).map_err(|error| match error.repeated() {
        Some(key) => ApiError::bad_request(format!(
            "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  line {}: key {key:?} already set in map",
            error.line
        )),
        None => unrecognized(&error),
    })?;
    match documents.pop() {
        Some(document) if documents.is_empty() => Ok(document.value),
        _ => Err(unrecognized(&"one document is expected")),
    }
}

fn unrecognized(why: &dyn std::fmt::Display) -> ApiError {
    ApiError::bad_request(format!(
        "the object provided is unrecognized (must be of type the resource expects): couldn't get version/kind; json parse error: {why}"
    ))
}

/// The object in a body that may be absent.
fn optional(parts: &Parts, bytes: Bytes) -> Result<Value, ApiError> {
    if bytes.is_empty() { Ok(Value::Object(serde_json::Map::new())) } else { object(parts, bytes) }
}
