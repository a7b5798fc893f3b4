//! What a page is told as it happens, as server-sent events: first all rows of the kinds that it shows, then what changes, many
//! changes at once. It must not decide what a row says.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use futures::stream::unfold;
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::board::{Board, Delta};
use crate::hub::{Hub, Looker};

/// Within this time changes are told together.
const TOGETHER: Duration = Duration::from_millis(40);
/// How long the first rows may be waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// After this time without a word, one that says nothing: a line that is dead is noticed.
const ALIVE: Duration = Duration::from_secs(15);

struct Listener {
    board: Arc<Board>,
    kinds: Vec<&'static str>,
    known: Option<u64>,
    moves: watch::Receiver<u64>,
    token: CancellationToken,
    _looker: Looker,
}

/// The stream for a page that shows these kinds, until it goes away or `token` is cancelled.
pub(crate) fn feed(
    hub: &Arc<Hub>,
    kinds: Vec<&'static str>,
    token: CancellationToken,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + use<> {
    let looker = hub.look();
    let board = hub.board().clone();
    let moves = board.moves();
    let listener = Listener { board, kinds, known: None, moves, token, _looker: looker };
    unfold(listener, |mut listener| async move {
        let said = listener.next().await?;
        Some((Ok(said), listener))
    })
}

impl Listener {
    /// The next thing to say; nothing when it is over.
    async fn next(&mut self) -> Option<Bytes> {
        let token = self.token.clone();
        token.run_until_cancelled(self.say()).await.flatten()
    }

    async fn say(&mut self) -> Option<Bytes> {
        if self.known.is_none() {
            let _ = tokio::time::timeout(PATIENCE, self.synced()).await;
        } else {
            match tokio::time::timeout(ALIVE, self.moves.changed()).await {
                Ok(Ok(())) => tokio::time::sleep(TOGETHER).await,
                Ok(Err(_)) => return None,
                Err(_) => return Some(Bytes::from_static(b": alive\n\n")),
            }
        }
        self.moves.borrow_and_update();
        let delta = self.board.since(self.known, &self.kinds);
        self.known = Some(delta.to);
        Some(message(&delta, &self.board).into())
    }

    async fn synced(&mut self) {
        while !self.board.is_synced(&self.kinds) && self.moves.changed().await.is_ok() {}
    }
}

/// A delta as one event.
fn message(delta: &Delta, board: &Board) -> String {
    let rows = delta.put.join(",");
    let rest = json!({
        "reset": delta.reset, "del": delta.del, "counts": board.counts(), "refused": board.refused(),
        "stirred": delta.stirred,
    });
    // The rows are JSON already.
    format!("data: {{\"put\":[{rows}],\"rest\":{rest}}}\n\n")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::row::{Row, Tone};

    #[test]
    fn a_message_is_one_event_of_json() {
        let board = Board::default();
        let text = str::to_owned;
        board.put(&Row {
            k: "Pod",
            ns: text("jobs"),
            n: text("a"),
            u: text("1"),
            s: text("Failed"),
            t: Tone::Bad,
            c: text("2026-01-01T00:00:00Z"),
            m: text("two\nlines"),
            o: vec![],
            x: Value::Null,
        });
        let message = message(&board.since(None, &["Pod"]), &board);
        let line = message.strip_prefix("data: ").and_then(|rest| rest.strip_suffix("\n\n")).expect("an event");
        assert!(!line.contains('\n'));
        let value: Value = serde_json::from_str(line).expect("JSON");
        let row = json!({"k": "Pod", "ns": "jobs", "n": "a", "u": "1", "s": "Failed", "t": "bad",
            "c": "2026-01-01T00:00:00Z", "m": "two\nlines"});
        let rest = json!({"reset": true, "del": [], "counts": {"Pod": [0, 0, 1, 0]}, "refused": {}, "stirred": []});
        assert_eq!(value, json!({"put": [row], "rest": rest}));
    }
}
