//! Contenders before a lease in memory, on tokio's clock: who works, from which second to which.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;

use super::*;

/// How requests of one contender fare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Open,
    /// Nothing is answered, and nothing arrives.
    Silent,
    /// Writes arrive at once, and are answered so much later.
    Late(Duration),
}

/// A lease, those who contend for it, and what they did.
#[derive(Clone)]
struct World {
    lease: Arc<Mutex<Value>>,
    told: Arc<Mutex<Vec<(u64, String)>>>,
    start: Instant,
    tracker: TaskTracker,
}

/// One who contends.
struct Process {
    link: Arc<Mutex<Link>>,
    token: CancellationToken,
}

impl Process {
    fn set(&self, link: Link) {
        *self.link.lock().expect("a link") = link;
    }
}

impl World {
    fn new() -> Self {
        Self { lease: Arc::default(), told: Arc::default(), start: Instant::now(), tracker: TaskTracker::new() }
    }

    /// Answers as the API does: versions count up, and a write upon another version is a conflict.
    fn answer(&self, method: &Method, body: &[u8]) -> (u16, Value) {
        let mut lease = self.lease.lock().expect("a lease");
        let status = |code: u16, reason: &str| {
            (code, json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": ""}))
        };
        let version = lease["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse::<u64>().ok());
        if *method == Method::GET {
            return if lease.is_null() { status(404, "NotFound") } else { (200, lease.clone()) };
        }
        let mut asked: Value = serde_json::from_slice(body).expect("JSON");
        let upon = asked["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse::<u64>().ok());
        assert!(*method == Method::POST || *method == Method::PUT, "{method}");
        if upon != version {
            return status(409, "Conflict");
        }
        asked["metadata"]["resourceVersion"] = (version.unwrap_or(0) + 1).to_string().into();
        lease.clone_from(&asked);
        (200, asked)
    }

    /// Starts a contender of this name, whose work it is to tell when it begins and ends.
    fn contend(&self, name: &'static str) -> Process {
        let (link, token) = (Arc::new(Mutex::new(Link::Open)), CancellationToken::new());
        let process = Process { link: link.clone(), token: token.clone() };
        let world = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (world, now) = (world.clone(), *link.lock().expect("a link"));
            async move {
                let method = request.method().clone();
                if now == Link::Silent {
                    std::future::pending::<()>().await;
                }
                let body = request.into_body().collect_bytes().await.expect("a body");
                let (code, answer) = world.answer(&method, &body);
                if let Link::Late(by) = now
                    && method != Method::GET
                {
                    tokio::time::sleep(by).await;
                }
                let answer = Response::builder().status(code).body(Body::from(answer.to_string().into_bytes()));
                Ok::<_, Infallible>(answer.expect("an answer"))
            }
        });
        let contender = Contender::new(Api::namespaced(Client::new(service, "n"), "n"), "work", name);
        let world = self.clone();
        self.tracker.spawn(async move {
            let work = |leading: CancellationToken| {
                let world = world.clone();
                async move {
                    world.tell(format!("{name} begins"));
                    leading.cancelled().await;
                    world.tell(format!("{name} ends"));
                }
            };
            contender.run(&token, work).await;
        });
        process
    }

    fn tell(&self, what: String) {
        self.told.lock().expect("a list").push((self.start.elapsed().as_secs(), what));
    }

    /// Goes on to that second of the clock, which stands still while anybody works.
    async fn until(&self, second: u64) {
        tokio::time::sleep_until(self.start + Duration::from_secs(second)).await;
    }

    fn told(&self) -> Vec<(u64, String)> {
        self.told.lock().expect("a list").clone()
    }

    fn spec(&self, field: &str) -> Value {
        self.lease.lock().expect("a lease")["spec"][field].clone()
    }
}

fn history(of: &[(u64, &str)]) -> Vec<(u64, String)> {
    of.iter().map(|(second, what)| (*second, (*what).to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn one_of_two_works_and_the_other_when_it_lets_go() {
    let world = World::new();
    let first = world.contend("a");
    world.until(1).await;
    let second = world.contend("b");
    world.until(60).await;
    assert_eq!(world.told(), history(&[(0, "a begins")]));
    assert_eq!((world.spec("holderIdentity"), world.spec("leaseDurationSeconds")), (json!("a"), json!(15)));
    first.token.cancel();
    world.until(70).await;
    assert_eq!(world.told(), history(&[(0, "a begins"), (60, "a ends"), (61, "b begins")]));
    assert_eq!((world.spec("holderIdentity"), world.spec("leaseTransitions")), (json!("b"), json!(1)));
    second.token.cancel();
    world.tracker.close();
    world.tracker.wait().await;
    assert_eq!(world.spec("holderIdentity"), "");
}

#[tokio::test(start_paused = true)]
async fn one_who_cannot_renew_ends_before_another_begins() {
    let world = World::new();
    let first = world.contend("a");
    world.until(1).await;
    let _second = world.contend("b");
    // The last renewal is that of second 60.
    world.until(61).await;
    first.set(Link::Silent);
    world.until(100).await;
    assert_eq!(world.told(), history(&[(0, "a begins"), (70, "a ends"), (77, "b begins")]));
    // Back again, it does not lead by what it remembers.
    first.set(Link::Open);
    world.until(200).await;
    assert_eq!(world.told().len(), 3);
    assert_eq!(world.spec("holderIdentity"), "b");
}

#[tokio::test(start_paused = true)]
async fn a_renewal_counts_from_when_it_was_asked_for() {
    let world = World::new();
    let first = world.contend("a");
    world.until(1).await;
    let _second = world.contend("b");
    world.until(59).await;
    first.set(Link::Late(Duration::from_secs(4)));
    // What is asked for at second 60 is written then, and answered at 64.
    world.until(61).await;
    first.set(Link::Silent);
    world.until(100).await;
    assert_eq!(world.told(), history(&[(0, "a begins"), (70, "a ends"), (77, "b begins")]));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_another_has_taken_is_contended_for_again() {
    let world = World::new();
    let _first = world.contend("a");
    world.until(61).await;
    {
        let mut lease = world.lease.lock().expect("a lease");
        lease["spec"]["holderIdentity"] = json!("stranger");
        lease["metadata"]["resourceVersion"] = json!("1000");
    }
    world.until(100).await;
    assert_eq!(world.told(), history(&[(0, "a begins"), (62, "a ends"), (78, "a begins")]));
    assert_eq!(world.spec("leaseTransitions"), 1);
}
