//! `log`: the query read and checked as Kubernetes does, and the node's stream as the body. It must not read log files.

use std::time::{Duration, SystemTime};

use axum::body::Body;
use http::{HeaderValue, Response, header::CONTENT_TYPE};
use serde_json::json;
use tinderbox_api::streams::LogOptions;

use super::{PodCall, refused, target};
use crate::error::{ApiError, FieldError};
use crate::path::Params;

pub(super) async fn serve(call: PodCall<'_>) -> Result<Response<Body>, ApiError> {
    let params = Params::parse(call.parts.uri.query());
    let options = options(&params, SystemTime::now())?;
    let container = target::container(call.pod, params.get("container").unwrap_or_default())?;
    let unplaced = call.pod["spec"]["nodeName"].as_str().unwrap_or_default().is_empty();
    let body = if unplaced {
        Body::empty()
    } else {
        Body::from_stream(call.streams.logs(container, options).await.map_err(refused)?)
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}

/// Reads the query with Kubernetes' bounds.
fn options(params: &Params, now: SystemTime) -> Result<LogOptions, ApiError> {
    let mut errors = Vec::new();
    let mut number = |name: &str, least: i64, detail: &str| -> Result<Option<u64>, ApiError> {
        let Some(text) = params.get(name) else {
            return Ok(None);
        };
        let value: i64 = text
            .parse()
            .map_err(|_| ApiError::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")))?;
        if value < least {
            errors.push(FieldError::invalid(name, &json!(value), detail));
        }
        Ok(u64::try_from(value).ok())
    };
    let tail_lines = number("tailLines", 0, "must be greater than or equal to 0")?;
    let limit_bytes = number("limitBytes", 1, "must be greater than 0")?;
    let seconds = number("sinceSeconds", 1, "must be greater than 0")?;
    let time = match params.get("sinceTime") {
        None => None,
        Some(text) => {
            let time: jiff::Timestamp = text
                .parse()
                .map_err(|_| ApiError::bad_request(format!("sinceTime is not a time of RFC 3339: {text:?}")))?;
            Some(SystemTime::from(time))
        }
    };
    if seconds.is_some() && time.is_some() {
        let detail = "at most one of `sinceTime` or `sinceSeconds` may be specified";
        errors.push(FieldError::forbidden("", detail));
    }
    if !errors.is_empty() {
        return Err(ApiError::invalid("", "PodLogOptions", "", &errors));
    }
    let ago = seconds.map(|seconds| {
        let ago = now.checked_sub(Duration::from_secs(seconds));
        ago.unwrap_or(SystemTime::UNIX_EPOCH).max(SystemTime::UNIX_EPOCH)
    });
    Ok(LogOptions {
        follow: params.flag("follow"),
        previous: params.flag("previous"),
        timestamps: params.flag("timestamps"),
        tail_lines,
        since: time.or(ago),
        limit_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<LogOptions, ApiError> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        options(&Params::parse(Some(query)), now)
    }

    #[test]
    fn reads_the_query() {
        let read = read("follow=true&previous=false&timestamps=1&tailLines=10&sinceSeconds=60&limitBytes=5");
        assert_eq!(
            read.unwrap(),
            LogOptions {
                follow: true,
                previous: false,
                timestamps: true,
                tail_lines: Some(10),
                since: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(940)),
                limit_bytes: Some(5),
            }
        );
    }

    #[test]
    fn reads_times() {
        let since = |query: &str| read(query).unwrap().since;
        let expected = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        assert_eq!(since("sinceTime=1970-01-01T00%3A00%3A01.5Z"), Some(expected));
        assert_eq!(since("sinceSeconds=5000"), Some(SystemTime::UNIX_EPOCH));
        assert_eq!(read("sinceTime=yesterday").unwrap_err().code, 400);
    }

    #[test]
    fn keeps_bounds() {
        for (query, message) in [
            ("tailLines=-1", "tailLines: Invalid value: -1: must be greater than or equal to 0"),
            ("limitBytes=0", "limitBytes: Invalid value: 0: must be greater than 0"),
            ("sinceSeconds=0", "sinceSeconds: Invalid value: 0: must be greater than 0"),
        ] {
            let error = read(query).unwrap_err();
            assert_eq!((error.code, error.message), (422, format!("PodLogOptions \"\" is invalid: {message}")));
        }
        assert_eq!(read("tailLines=x").unwrap_err().code, 400);
        assert_eq!(read("sinceSeconds=1&sinceTime=1970-01-01T00:00:01Z").unwrap_err().code, 422);
    }
}
