//! Answers: which form the client accepts, and objects, lists and errors put into it. It must not decide what to answer.

use axum::body::Body;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::error::ApiError;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The object itself, as JSON.
    Json,
    /// `Table` of `meta.k8s.io/v1`, as JSON.
    Table,
    /// `PartialObjectMetadata` of `meta.k8s.io/v1`, as JSON.
    Partial,
}

/// What a verb answers.
pub(crate) enum Reply {
    /// One object, to be put into the form that the client accepts, with warnings.
    Object(u16, Value, Vec<String>),
    /// Something ready.
    Ready(Response<Body>),
}

impl Reply {
    /// 200 with an object.
    pub(crate) fn ok(object: Value) -> Self {
        Self::Object(200, object, Vec::new())
    }
}

impl Form {
    /// The first form in `Accept` that the server has; objects that are not kept have no other form than their own.
    pub(crate) fn negotiate(headers: &HeaderMap, kept: bool) -> Result<Self, ApiError> {
        let mut asked = false;
        for range in
            headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','))
        {
            asked = true;
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let parameter = |name: &str| {
                range
                    .split(';')
                    .skip(1)
                    .find_map(|part| part.trim().strip_prefix(name).and_then(|rest| rest.strip_prefix('=')))
            };
            if !matches!(media, "application/json" | "*/*" | "application/*" | "") {
                continue;
            }
            match (parameter("as"), parameter("g"), parameter("v")) {
                (None, ..) => return Ok(Self::Json),
                (Some("Table"), Some("meta.k8s.io"), Some("v1" | "v1beta1")) if kept => {
                    return Ok(Self::Table);
                }
                (Some("PartialObjectMetadata" | "PartialObjectMetadataList"), Some("meta.k8s.io"), Some("v1"))
                    if kept =>
                {
                    return Ok(Self::Partial);
                }
                _ => {}
            }
        }
        if asked {
            Err(ApiError::not_acceptable("only the following media types are accepted: application/json"))
        } else {
            Ok(Self::Json)
        }
    }
}

/// An answer of this status and type.
pub(crate) fn respond(code: u16, content_type: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// A JSON answer of this status.
pub(crate) fn json(code: u16, value: &Value) -> Response<Body> {
    let mut out = Vec::with_capacity(1024);
    crate::codec::write(&mut out, value);
    out.push(b'\n');
    respond(code, "application/json", Bytes::from(out))
}

/// A plain text answer of this status.
pub(crate) fn text(code: u16, text: impl Into<Body>) -> Response<Body> {
    respond(code, "text/plain; charset=utf-8", text)
}

/// An error as its `Status`.
pub(crate) fn error(error: &ApiError) -> Response<Body> {
    let mut response = json(error.code, &error.to_status());
    if error.code == 429 {
        response.headers_mut().insert(http::header::RETRY_AFTER, HeaderValue::from_static("10"));
    }
    response
}

/// Adds the header of each warning.
pub(crate) fn warn(response: &mut Response<Body>, warnings: &[String]) {
    for warning in warnings {
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append(HeaderName::from_static("warning"), value);
        }
    }
}

/// `PartialObjectMetadata` of an object.
pub(crate) fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

/// `Status` of a success.
pub(crate) fn success(details: &Value) -> Value {
    let mut status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
    if !details.is_null() {
        status["details"] = details.clone();
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_first_form_that_it_has() {
        for (accept, form) in [
            ("application/json", Form::Json),
            ("application/vnd.kubernetes.protobuf,application/json", Form::Json),
            ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Form::Table),
            (
                "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
                Form::Partial,
            ),
            ("application/json;as=Other;v=v9;g=x, */*", Form::Json),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(Form::negotiate(&headers, true), Ok(form), "{accept}");
            let plain = Form::negotiate(&headers, false);
            assert!(matches!(plain, Ok(Form::Json)), "{accept}");
        }
        let mut table = HeaderMap::new();
        table.insert(ACCEPT, HeaderValue::from_static("application/json;as=Table;v=v1;g=meta.k8s.io"));
        assert_eq!(Form::negotiate(&table, false).unwrap_err().code, 406);
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("image/png"));
        assert_eq!(Form::negotiate(&headers, true).unwrap_err().code, 406);
    }
}
