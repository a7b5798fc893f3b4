//! Watch: a stream of changes, as JSON lines or as websocket messages. It holds no events: each watcher reads the store's
//! history at its own pace. Upstream rule: k8s.io/apiserver `pkg/endpoints/handlers/watch.go` and `pkg/storage/cacher`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http::Response;
use http::header::UPGRADE;
use http::request::Parts;
use serde_json::{Value, json};
use tinderbox_store::{Change, Event, Expired, Stored, Watch};
use tokio::time::{Instant, sleep_until};

use crate::call::Call;
use crate::error::ApiError;
use crate::metrics::Lasting;
use crate::resource::View;
use crate::respond::{self, Form};
use crate::select::Selection;
use crate::verbs::list::{number, revision};
use crate::{codec, convert, table, view};

/// How often a quiet watch says how far it is.
const BOOKMARK: Duration = Duration::from_secs(60);
/// How long a watch lasts that names no time.
const LIFE: Duration = Duration::from_secs(45 * 60);
/// How many events go out in one chunk.
const TOGETHER: usize = 64;

/// Answers with the changes that the query means.
pub(crate) async fn serve(call: Call, mut parts: Parts) -> Result<Response<Body>, ApiError> {
    let websocket = parts.headers.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let watcher = Watcher::start(call)?;
    if !websocket {
        let lines = watcher.frames().ready_chunks(TOGETHER).map(|frames| {
            let size = frames.iter().map(|frame| frame.len() + 1).sum();
            let mut out = Vec::with_capacity(size);
            for frame in frames {
                out.extend_from_slice(&frame);
                out.push(b'\n');
            }
            Ok::<_, Infallible>(Bytes::from(out))
        });
        let body = Body::from_stream(lines);
        return Ok(respond::respond(200, "application/json", body));
    }
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &())
        .await
        .map_err(|error| ApiError::bad_request(error.to_string()))?;
    Ok(upgrade.on_upgrade(move |socket| talk(socket, watcher)))
}

async fn talk(socket: WebSocket, watcher: Watcher) {
    let (mut sink, mut source) = socket.split();
    let mut frames = std::pin::pin!(watcher.frames());
    loop {
        tokio::select! {
            frame = frames.next() => {
                let Some(frame) = frame else { break };
                let Ok(text) = String::from_utf8(frame) else { break };
                if futures::SinkExt::send(&mut sink, Message::Text(text.into())).await.is_err() {
                    return;
                }
            }
            // Pings are answered inside; anything else that a client says is of no interest, but its end is.
            said = source.next() => match said {
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {}
            },
        }
    }
    let _ = futures::SinkExt::close(&mut sink).await;
}

/// One watch under way.
struct Watcher {
    call: Call,
    selection: Selection,
    initial: std::vec::IntoIter<Arc<Stored>>,
    /// The revision of the initial events, while their end has yet to be told.
    initial_end: Option<u64>,
    /// `None` when the revision to start from is too old.
    watch: Result<Watch, Expired>,
    bookmarks: bool,
    bookmark_at: Instant,
    ends: Instant,
    columns_told: bool,
    over: bool,
    _counted: Lasting,
}

impl Watcher {
    fn start(call: Call) -> Result<Self, ApiError> {
        let params = &call.params;
        let selection = Selection::of(&call.resource, params, &call.path.name)?;
        let bookmarks = params.flag("allowWatchBookmarks");
        let asked = params.get("resourceVersion");
        let matching = params.get("resourceVersionMatch");
        let send_initial = params.get("sendInitialEvents").map(|_| params.flag("sendInitialEvents"));
        match (send_initial, matching) {
            (Some(_), Some("NotOlderThan")) | (None, None) => {}
            (None, Some(_)) => {
                return Err(ApiError::bad_request(
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                ));
            }
            (Some(_), _) => {
                return Err(ApiError::bad_request(
                    "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                ));
            }
        }
        let from = revision(asked)?;
        let life = number(params.get("timeoutSeconds"), "timeoutSeconds")?
            .filter(|seconds| *seconds > 0)
            .map_or(LIFE, Duration::from_secs);
        let wants_initial = send_initial.unwrap_or(from == 0);
        let store = call.api.store();
        let (collection, scope) = (&call.resource.collection, call.scope());
        let (initial, start) = if wants_initial {
            let list = store.list(collection, scope, None, 0);
            let mut items = list.items;
            if !selection.is_all() {
                items.retain(|item| selection.matches(item));
            }
            (items, list.revision)
        } else if from == 0 {
            (Vec::new(), store.revision())
        } else {
            (Vec::new(), from)
        };
        let watch = store.watch(collection, scope, start);
        let now = Instant::now();
        Ok(Self {
            selection,
            initial: initial.into_iter(),
            initial_end: (send_initial == Some(true) && bookmarks).then_some(start),
            watch,
            bookmarks,
            bookmark_at: now + BOOKMARK,
            ends: now + life,
            columns_told: false,
            over: false,
            _counted: call.api.metrics().watch(),
            call,
        })
    }

    /// The events as JSON, without line ends.
    fn frames(self) -> impl Stream<Item = Vec<u8>> + Send {
        stream::unfold(self, |mut watcher| async move {
            let frame = watcher.next().await?;
            Some((frame, watcher))
        })
    }

    async fn next(&mut self) -> Option<Vec<u8>> {
        if self.over {
            return None;
        }
        if let Some(stored) = self.initial.next() {
            return Some(self.object_frame("ADDED", &stored, stored.revision).await);
        }
        if let Some(revision) = self.initial_end.take() {
            return Some(self.bookmark(revision, true));
        }
        let call = self.call.api.clone();
        loop {
            let bookmark_at = self.bookmark_at.min(self.ends);
            let watch = match &mut self.watch {
                Ok(watch) => watch,
                Err(expired) => {
                    let expired = *expired;
                    return Some(self.expired(expired));
                }
            };
            let event = tokio::select! {
                biased;
                () = call.token().cancelled() => return None,
                event = watch.next() => event,
                () = sleep_until(bookmark_at) => {
                    let revision = watch.revision();
                    if Instant::now() >= self.ends {
                        self.over = true;
                    }
                    self.bookmark_at = Instant::now() + BOOKMARK;
                    if self.bookmarks {
                        return Some(self.bookmark(revision, false));
                    }
                    if self.over {
                        return None;
                    }
                    continue;
                }
            };
            match event {
                Ok(event) => {
                    if let Some(frame) = self.event_frame(&event).await {
                        return Some(frame);
                    }
                }
                Err(expired) => return Some(self.expired(expired)),
            }
        }
    }

    async fn event_frame(&mut self, event: &Event) -> Option<Vec<u8>> {
        let all = self.selection.is_all();
        let meant = |stored: &Stored| all || self.selection.matches(stored);
        let (kind, stored) = match &event.change {
            Change::Created(current) => ("ADDED", meant(current).then_some(current)?),
            Change::Updated { current, previous } => match (meant(previous), meant(current)) {
                (true, true) => ("MODIFIED", current),
                (false, true) => ("ADDED", current),
                (true, false) => ("DELETED", previous),
                (false, false) => return None,
            },
            Change::Deleted(last) => ("DELETED", meant(last).then_some(last)?),
        };
        Some(self.object_frame(kind, stored, event.revision).await)
    }

    async fn object_frame(&mut self, kind: &str, stored: &Stored, revision: u64) -> Vec<u8> {
        let converted = if self.call.resource.view == View::Webhook {
            match convert::working(&self.call, stored).await {
                Ok(mut object) => {
                    view::outward(&self.call.resource, &mut object);
                    object["metadata"]["resourceVersion"] = revision.to_string().into();
                    Some(object)
                }
                Err(error) => {
                    self.over = true;
                    return event("ERROR", &error.to_status());
                }
            }
        } else {
            None
        };
        let mut out = Vec::with_capacity(stored.bytes.len() + 64);
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\",\"object\":");
        let resource = &self.call.resource;
        if self.call.form == Form::Json && converted.is_none() {
            view::write(&mut out, resource, stored, revision);
        } else {
            let object = converted.unwrap_or_else(|| {
                let mut object = codec::decode_at(stored, revision);
                view::outward(resource, &mut object);
                object
            });
            let object = match self.call.form {
                Form::Json => object,
                Form::Table => {
                    let first = !std::mem::replace(&mut self.columns_told, true);
                    table::of_event(&self.call, &object, first)
                }
                Form::Partial => respond::partial(&object),
            };
            codec::write(&mut out, &object);
        }
        out.push(b'}');
        out
    }

    fn bookmark(&self, revision: u64, initial_end: bool) -> Vec<u8> {
        let mut metadata = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
        if initial_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let resource = &self.call.resource;
        let object = match self.call.form {
            Form::Json => {
                json!({"kind": *resource.kind, "apiVersion": resource.api_version(), "metadata": metadata})
            }
            Form::Partial => respond::partial(&json!({"metadata": metadata})),
            Form::Table => {
                json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": revision.to_string()},
                    "columnDefinitions": [], "rows": [{"cells": [], "object": respond::partial(&json!({"metadata": metadata}))}]})
            }
        };
        event("BOOKMARK", &object)
    }

    fn expired(&mut self, expired: Expired) -> Vec<u8> {
        self.over = true;
        let text = format!("too old resource version: {} ({})", expired.requested, expired.oldest);
        event("ERROR", &ApiError::expired(text).to_status())
    }
}

fn event(kind: &str, object: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    codec::write(&mut out, &json!({"type": kind, "object": object}));
    out
}
