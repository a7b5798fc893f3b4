//! Whether the API still answers while something is followed in its cluster: a watch that is cut off only waits for it to come back.
//! It must not judge what the silence means for what is followed.

use std::time::Duration;

use kube::Client;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::event::{Event, Talk};

/// How often it is asked.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// How long it may be silent before that is told.
const TOLD: Duration = Duration::from_secs(10);
/// How long it may be silent before it is given up. A node that is started again answers sooner.
const GIVEN_UP: Duration = Duration::from_secs(60);

/// Asks until it is dropped.
#[derive(Debug)]
pub(crate) struct Pulse(JoinHandle<()>);

impl Pulse {
    /// Begins to ask; `lost` hears why, once the API is given up.
    pub(crate) fn start(client: Client, talk: Talk, lost: impl FnOnce(String) + Send + 'static) -> Self {
        Self(tokio::spawn(async move {
            silence(&client, &talk).await;
            lost(format!("the API has not answered for {} s", GIVEN_UP.as_secs()));
        }))
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Ends when the API has been silent for too long.
async fn silence(client: &Client, talk: &Talk) {
    let (mut last, mut told) = (Instant::now(), false);
    loop {
        sleep(ASK_EVERY).await;
        match timeout(ANSWER, client.apiserver_version()).await {
            // A refusal is an answer.
            Ok(Ok(_) | Err(kube::Error::Api(_))) => {
                if std::mem::take(&mut told) {
                    talk.tell(Event::Note("the API answers again".to_owned()));
                }
                last = Instant::now();
            }
            _ if last.elapsed() >= GIVEN_UP => return,
            _ if last.elapsed() >= TOLD && !told => {
                told = true;
                talk.tell(Event::Note(format!(
                    "the API does not answer: waiting until it has been silent for {} s",
                    GIVEN_UP.as_secs()
                )));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    use http::{Request, Response};
    use kube::client::Body;

    use super::*;

    /// An API that answers but for these requests, counted from 1, and what is told until it is given up.
    async fn told(silent: impl Fn(usize) -> bool + Send + Sync + 'static) -> (Vec<String>, Duration) {
        let (count, silent) = (Arc::new(AtomicUsize::new(0)), Arc::new(silent));
        let service = tower::service_fn(move |_: Request<Body>| {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            let silent = silent(number);
            async move {
                if silent {
                    return Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
                }
                let version = r#"{"major":"1","minor":"34","gitVersion":"v1.34.2","gitCommit":"","gitTreeState":"","buildDate":"","goVersion":"","compiler":"","platform":""}"#;
                Ok(Response::new(Body::from(version.as_bytes().to_vec())))
            }
        });
        let heard = Arc::new(Mutex::new(Vec::new()));
        let talk = Talk::new({
            let heard = Arc::clone(&heard);
            move |event| {
                if let Event::Note(note) = event {
                    heard.lock().expect("no panic").push(note);
                }
            }
        });
        let began = Instant::now();
        let (gone, lost) = tokio::sync::oneshot::channel();
        let client = Client::new(service, "default");
        let _pulse = Pulse::start(client, talk, move |why| gone.send(why).expect("somebody waits"));
        let why = lost.await.expect("it is given up");
        let mut heard = heard.lock().expect("no panic").clone();
        heard.push(why);
        (heard, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_that_goes_is_given_up_after_a_while() {
        let (told, took) = told(|number| number > 3).await;
        assert_eq!(
            told,
            ["the API does not answer: waiting until it has been silent for 60 s", "the API has not answered for 60 s"]
        );
        assert_eq!(took, Duration::from_secs(6 + 60));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_comes_back_is_not() {
        let (told, took) = told(|number| (3..25).contains(&number) || number > 30).await;
        assert_eq!(
            told,
            [
                "the API does not answer: waiting until it has been silent for 60 s",
                "the API answers again",
                "the API does not answer: waiting until it has been silent for 60 s",
                "the API has not answered for 60 s"
            ]
        );
        assert_eq!(took, Duration::from_secs(60 + 60));
    }
}
