//! List: the objects of a collection, whole or in pages that show one moment.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Value, json};
use tinderbox_store::{List, Stored};

use crate::call::Call;
use crate::codec;
use crate::error::ApiError;
use crate::respond::{self, Form, Reply};
use crate::select::Selection;
use crate::{table, view};

/// Namespace and name of the last object of a page.
type At = (Arc<str>, Arc<str>);

/// Where the next page begins, and which moment the pages show.
struct Page {
    revision: Option<u64>,
    from: Option<At>,
    limit: usize,
}

/// What a list found.
pub(crate) struct Found {
    pub(crate) items: Vec<Arc<Stored>>,
    pub(crate) revision: u64,
    pub(crate) next: Option<String>,
    pub(crate) remaining: Option<usize>,
}

/// Answers with the objects that the query means.
pub(crate) fn list(call: &Call) -> Result<Reply, ApiError> {
    let found = find(call)?;
    if call.form == Form::Table {
        return Ok(Reply::Ready(respond::json(200, &table::of_list(call, &found))));
    }
    let mut out = Vec::with_capacity(256 + found.items.iter().map(|i| i.bytes.len() + 40).sum::<usize>());
    let resource = &call.resource;
    let (kind, api_version) = if call.form == Form::Partial {
        ("PartialObjectMetadataList", "meta.k8s.io/v1".to_owned())
    } else {
        (&*resource.list_kind, resource.api_version())
    };
    let head = json!({"kind": kind, "apiVersion": api_version, "metadata": found.metadata()});
    codec::write(&mut out, &head);
    out.pop();
    out.extend_from_slice(b",\"items\":[");
    for (index, item) in found.items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if call.form == Form::Partial {
            codec::write(&mut out, &respond::partial(&call.served(item)));
        } else {
            view::write(&mut out, resource, item, item.revision);
        }
    }
    out.extend_from_slice(b"]}\n");
    Ok(Reply::Ready(respond::respond(200, "application/json", Bytes::from(out))))
}

impl Found {
    /// `ListMeta`.
    pub(crate) fn metadata(&self) -> Value {
        let mut metadata = json!({"resourceVersion": self.revision.to_string()});
        if let Some(next) = &self.next {
            metadata["continue"] = next.as_str().into();
        }
        if let Some(remaining) = self.remaining {
            metadata["remainingItemCount"] = remaining.into();
        }
        metadata
    }
}

/// The objects that the query means.
pub(crate) fn find(call: &Call) -> Result<Found, ApiError> {
    let selection = Selection::of(&call.resource, &call.params, "")?;
    let mut page = Page::of(call)?;
    let mut items = Vec::new();
    loop {
        let wanted = page.limit.saturating_sub(items.len());
        let list = page.read(call, if page.limit == 0 { 0 } else { wanted })?;
        let last = list.items.last().map(|item| {
            let key = &item.key;
            (Arc::clone(&key.namespace), Arc::clone(&key.name))
        });
        let (revision, remaining) = (list.revision, list.remaining);
        page.revision.get_or_insert(revision);
        let matching = list.items.into_iter().filter(|item| selection.is_all() || selection.matches(item));
        items.extend(matching);
        let full = page.limit > 0 && items.len() >= page.limit;
        if remaining == 0 || page.limit == 0 || full {
            let more = remaining > 0 && page.limit > 0;
            return Ok(Found {
                next: last.filter(|_| more).map(|last| token(page.revision.unwrap_or(revision), &last)),
                remaining: (more && selection.is_all()).then_some(remaining),
                revision: page.revision.unwrap_or(revision),
                items,
            });
        }
        page.from = last;
    }
}

impl Page {
    fn of(call: &Call) -> Result<Self, ApiError> {
        let params = &call.params;
        let limit = number(params.get("limit"), "limit")?.unwrap_or(0);
        let version = params.get("resourceVersion");
        let matching = params.get("resourceVersionMatch");
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if let Some(text) = params.get("continue") {
            if version.is_some_and(|version| version != "0") {
                return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
            }
            let (revision, from) = read_token(text).ok_or_else(|| {
                ApiError::bad_request("continue key is not valid: it was not given out by this server")
            })?;
            return Ok(Self { revision: Some(revision), from: Some(from), limit });
        }
        if let (Some(_), None) = (matching, version) {
            return Err(ApiError::bad_request("resourceVersionMatch is forbidden unless resourceVersion is provided"));
        }
        let asked = revision(version)?;
        let current = call.api.store().revision();
        if asked > current {
            return Err(too_large(asked, current));
        }
        let exact = match matching {
            None => limit > 0 && asked > 0,
            Some("NotOlderThan") => false,
            Some("Exact") if asked == 0 => {
                return Err(ApiError::bad_request(
                    "resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\"",
                ));
            }
            Some("Exact") => true,
            Some(other) => {
                return Err(ApiError::bad_request(format!(
                    "resourceVersionMatch: Unsupported value: \"{other}\": supported values: \"Exact\", \"NotOlderThan\""
                )));
            }
        };
        Ok(Self { revision: exact.then_some(asked), from: None, limit })
    }

    fn read(&self, call: &Call, limit: usize) -> Result<List, ApiError> {
        let (store, collection) = (call.api.store(), &call.resource.collection);
        let from = self.from.as_ref();
        match self.revision {
            None => Ok(store.list(collection, call.scope(), from, limit)),
            Some(revision) => store
                .list_at(collection, call.scope(), from, limit, revision)
                .map_err(|_| {
                    ApiError::expired("The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.")
                }),
        }
    }
}

/// 504 for a revision that is not reached yet.
pub(crate) fn too_large(asked: u64, current: u64) -> ApiError {
    ApiError {
        code: 504,
        reason: "Timeout",
        message: format!("Timeout: Too large resource version: {asked}, current: {current}"),
        details: json!({"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}], "retryAfterSeconds": 1}),
    }
}

/// A revision in a query; absent is 0.
pub(crate) fn revision(text: Option<&str>) -> Result<u64, ApiError> {
    number(text, "resourceVersion").map(Option::unwrap_or_default)
}

/// A number in a query.
pub(crate) fn number(text: Option<&str>, name: &str) -> Result<Option<u64>, ApiError> {
    let parse = |text: &str| {
        text.parse().map_err(|_| ApiError::bad_request(format!("{name}: Invalid value: \"{text}\": must be a number")))
    };
    text.map(parse).transpose()
}

fn token(revision: u64, last: &At) -> String {
    let token = json!({"v": "meta.k8s.io/v1", "rv": revision, "start": [&*last.0, &*last.1]});
    URL_SAFE_NO_PAD.encode(token.to_string())
}

fn read_token(text: &str) -> Option<(u64, At)> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let token: Value = serde_json::from_slice(&bytes).ok()?;
    let start = |index: usize| token["start"][index].as_str().map(Arc::from);
    Some((token["rv"].as_u64()?, (start(0)?, start(1)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back() {
        let last: At = ("a".into(), "b".into());
        assert_eq!(read_token(&token(7, &last)), Some((7, last)));
        assert_eq!(read_token("x"), None);
    }
}
