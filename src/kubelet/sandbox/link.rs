//! The node process' side of the link: numbers requests, matches answers, collects ends. One thread writes, one reads.

use std::collections::{HashMap, HashSet};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{oneshot, watch};

use super::error::{Failure, PlaceError};
use super::protocol::{Answer, Call, Event, Request};
use super::{Exited, wire};

type Answered = Result<(Answer, Vec<OwnedFd>), PlaceError>;

/// The handle's part.
#[derive(Debug)]
pub(super) struct Link {
    socket: Arc<UnixStream>,
    requests: mpsc::Sender<(Request, Vec<Arc<OwnedFd>>)>,
    desk: Arc<Desk>,
    ended: watch::Receiver<bool>,
}

/// What the reading thread and the handle share.
#[derive(Debug, Default)]
pub(super) struct Desk {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    closed: bool,
    waiting: HashMap<u64, oneshot::Sender<Answered>>,
    /// Ids of starts that wait for their answer.
    starting: HashMap<u64, String>,
    running: HashSet<String>,
    receivers: Vec<UnboundedSender<Exited>>,
    /// Ends that nobody listened to yet.
    kept: Vec<Exited>,
    listened: bool,
}

impl Link {
    /// Starts the writing thread; the caller's thread, which has to stay, runs [`Desk::read`].
    pub(super) fn new(socket: Arc<UnixStream>, ended: watch::Receiver<bool>) -> std::io::Result<Self> {
        let (requests, queue) = mpsc::channel::<(Request, Vec<Arc<OwnedFd>>)>();
        let writer = Arc::clone(&socket);
        std::thread::Builder::new().name("place-writer".to_owned()).spawn(move || {
            for (request, descriptors) in queue {
                let descriptors: Vec<_> = descriptors.iter().map(|one| one.as_fd()).collect();
                if wire::send(writer.as_fd(), &request, &descriptors).is_err() {
                    // The reader sees the end of the place too, and answers all that wait.
                    break;
                }
            }
        })?;
        Ok(Self { socket, requests, desk: Arc::default(), ended })
    }

    pub(super) fn desk(&self) -> Arc<Desk> {
        Arc::clone(&self.desk)
    }

    /// Sends a request with descriptors, and waits for its answer.
    pub(super) async fn ask(&self, call: Call, descriptors: Vec<Arc<OwnedFd>>) -> Answered {
        let (sender, answer) = oneshot::channel();
        let number = self.desk.expect(&call, sender)?;
        self.requests.send((Request { number, call }, descriptors)).map_err(|_| PlaceError::Gone)?;
        answer.await.map_err(|_| PlaceError::Gone)?
    }

    pub(super) fn exits(&self) -> UnboundedReceiver<Exited> {
        self.desk.subscribe()
    }

    /// Lets the place process end, and waits until it has.
    pub(super) async fn close(&self) {
        // An error means that it is closed already.
        let _ = self.socket.shutdown(Shutdown::Both);
        let mut ended = self.ended.clone();
        // An error means that the thread that knows has ended, and the place before it.
        let _ = ended.wait_for(|ended| *ended).await;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // An error means that it is closed already.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expect(&self, call: &Call, sender: oneshot::Sender<Answered>) -> Result<u64, PlaceError> {
        let mut state = self.state();
        if state.closed {
            return Err(PlaceError::Gone);
        }
        state.last += 1;
        let number = state.last;
        state.waiting.insert(number, sender);
        match call {
            Call::Start(spec) => drop(state.starting.insert(number, spec.id.clone())),
            Call::Exec(spec) => drop(state.starting.insert(number, spec.id.clone())),
            _ => {}
        }
        Ok(number)
    }

    fn subscribe(&self) -> UnboundedReceiver<Exited> {
        let (sender, receiver) = unbounded_channel();
        let mut state = self.state();
        for exited in std::mem::take(&mut state.kept) {
            // The receiver is right here.
            let _ = sender.send(exited);
        }
        state.listened = true;
        if !state.closed {
            state.receivers.push(sender);
        }
        receiver
    }

    /// Reads until the place process has closed its side.
    pub(super) fn read(&self, socket: &UnixStream) {
        while let Ok(Some((event, descriptors))) = wire::receive::<Event>(socket.as_fd()) {
            match event {
                Event::Answer { number, result } => self.answer(number, result, descriptors),
                Event::Exited(exited) => self.state().publish(exited),
            }
        }
    }

    fn answer(&self, number: u64, result: Result<Answer, Failure>, descriptors: Vec<OwnedFd>) {
        let mut state = self.state();
        if let (Some(id), Ok(_)) = (state.starting.remove(&number), &result) {
            state.running.insert(id);
        }
        if let Some(sender) = state.waiting.remove(&number) {
            // Whoever asked may have lost interest.
            let _ = sender.send(result.map(|answer| (answer, descriptors)).map_err(PlaceError::from));
        }
    }

    /// The place process is gone: all that ran was killed, and nothing will be answered.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.waiting.clear();
        for id in std::mem::take(&mut state.running) {
            state.publish(Exited { id, code: 128 + libc::SIGKILL, signal: Some(libc::SIGKILL) });
        }
        state.receivers.clear();
    }
}

impl State {
    fn publish(&mut self, exited: Exited) {
        self.running.remove(&exited.id);
        if !self.listened {
            self.kept.push(exited);
            return;
        }
        self.receivers.retain(|receiver| receiver.send(exited.clone()).is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(id: &str) -> Exited {
        Exited { id: id.to_owned(), code: 0, signal: None }
    }

    #[test]
    fn ends_are_kept_for_the_first_listener_and_told_to_all_later_ones() {
        let desk = Desk::default();
        desk.state().publish(exit("early"));
        let mut first = desk.subscribe();
        let mut second = desk.subscribe();
        desk.state().publish(exit("late"));
        assert_eq!(first.try_recv(), Ok(exit("early")));
        assert_eq!(first.try_recv(), Ok(exit("late")));
        assert_eq!(second.try_recv(), Ok(exit("late")));
        assert!(second.try_recv().is_err());
    }

    #[test]
    fn when_the_place_dies_whatever_ran_is_reported_killed() {
        let desk = Desk::default();
        desk.state().running.insert("job".to_owned());
        let mut exits = desk.subscribe();
        desk.close();
        assert_eq!(exits.try_recv().map(|exited| (exited.id, exited.code)), Ok(("job".to_owned(), 137)));
        let (sender, _) = oneshot::channel();
        assert!(matches!(
            desk.expect(&Call::Usage { ids: vec!["job".to_owned()], shares: false }, sender),
            Err(PlaceError::Gone)
        ));
    }
}
