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
use crate::resource::View;
use crate::respond::{self, Form, Reply};
use crate::select::Selection;
use crate::{convert, table, view};

/// How many seconds the pages of a list may be apart, at the most. Upstream the database forgets after five to ten minutes.
const TOKEN_LIFE: i64 = 120;

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
pub(crate) async fn list(call: &Call) -> Result<Reply, ApiError> {
    let found = find(call)?;
    let converted = match call.resource.view {
        View::Webhook => Some(convert::served(call, &found.items).await?),
        _ => None,
    };
    let served = |index: usize, item: &Stored| {
        let ready = converted.as_ref().and_then(|all| all.get(index)).cloned();
        ready.unwrap_or_else(|| view::served(&call.resource, item))
    };
    if call.form == Form::Table {
        let objects = found.items.iter().enumerate().map(|(index, item)| served(index, item));
        return Ok(Reply::Ready(respond::json(200, &table::of_list(call, found.metadata(), objects))));
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
            codec::write(&mut out, &respond::partial(&served(index, item)));
        } else if converted.is_some() {
            codec::write(&mut out, &served(index, item));
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
                next: last.filter(|_| more).map(|from| {
                    let revision = Some(page.revision.unwrap_or(revision));
                    Token { revision, from, at: call.api.now().as_second() }.to_text()
                }),
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
            let Token { revision, from, at } = read_token(text).ok_or_else(|| {
                ApiError::bad_request("continue key is not valid: it was not given out by this server")
            })?;
            if revision.is_some() && call.api.now().as_second() - at > TOKEN_LIFE {
                return Err(expired(&from));
            }
            return Ok(Self { revision, from: Some(from), limit });
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
            Some(revision) => store.list_at(collection, call.scope(), from, limit, revision).map_err(|_| match from {
                Some(from) => expired(from),
                None => ApiError::expired(format!("The resourceVersion for the provided list is too old: {revision}")),
            }),
        }
    }
}

/// 504 for a revision that is not reached yet.
pub(crate) fn too_large(asked: u64, current: u64) -> ApiError {
    ApiError {
        code: 504,
        reason: "Timeout".into(),
        message: format!("Timeout: Too large resource version: {asked}, current: {current}"),
        details: json!({"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}], "retryAfterSeconds": 1}),
        resume: None,
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

/// 410 for pages whose moment is not kept any longer, with a token that goes on with what there is now.
/// Upstream rule: k8s.io/apiserver `pkg/storage/etcd3/errors.go`.
fn expired(from: &At) -> ApiError {
    let resume = Some(Token { revision: None, from: from.clone(), at: 0 }.to_text());
    let text = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";
    ApiError { resume, ..ApiError::expired(text) }
}

/// What a continue token says.
#[derive(Debug, PartialEq)]
struct Token {
    /// The moment that the pages show; none goes on with the present.
    revision: Option<u64>,
    /// The last object of the page before.
    from: At,
    /// When it was given out, in seconds since 1970.
    at: i64,
}

impl Token {
    fn to_text(&self) -> String {
        let (namespace, name) = (&*self.from.0, &*self.from.1);
        let token = json!({"v": "meta.k8s.io/v1", "rv": self.revision, "start": [namespace, name], "at": self.at});
        URL_SAFE_NO_PAD.encode(token.to_string())
    }
}

fn read_token(text: &str) -> Option<Token> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let token: Value = serde_json::from_slice(&bytes).ok()?;
    let start = |index: usize| token["start"][index].as_str().map(Arc::from);
    Some(Token { revision: token["rv"].as_u64(), from: (start(0)?, start(1)?), at: token["at"].as_i64()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back() {
        for revision in [Some(7), None] {
            let token = Token { revision, from: ("a".into(), "b".into()), at: 9 };
            assert_eq!(read_token(&token.to_text()), Some(token));
        }
        assert_eq!(read_token("x"), None);
    }
}
