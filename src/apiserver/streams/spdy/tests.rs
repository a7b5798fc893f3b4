//! SPDY frames: round trips, the header dictionary, and broken input.

use tokio::io::{DuplexStream, ReadHalf, WriteHalf};

use super::*;

/// The client's side, as far as tests need it.
pub(in super::super) struct Client {
    reader: Reader<ReadHalf<DuplexStream>>,
    write: WriteHalf<DuplexStream>,
    writer: Writer,
}

impl Client {
    pub(in super::super) fn new(io: DuplexStream) -> Self {
        let (read, write) = tokio::io::split(io);
        Self { reader: Reader::new(read), write, writer: Writer::new() }
    }

    async fn put(&mut self, frame: Frame) {
        let mut bytes = Vec::new();
        self.writer.put(&frame, &mut bytes).unwrap();
        self.write.write_all(&bytes).await.unwrap();
    }

    pub(in super::super) async fn open(&mut self, id: u32, headers: &[(&str, &str)]) {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.put(Frame::SynStream { id, headers, fin: false, unidirectional: false }).await;
    }

    pub(in super::super) async fn data(&mut self, id: u32, bytes: &str, fin: bool) {
        self.put(Frame::Data { id, bytes: Bytes::copy_from_slice(bytes.as_bytes()), fin }).await;
    }

    async fn next(&mut self) -> Option<Frame> {
        self.reader.next().await.unwrap()
    }

    /// What comes on these streams, until all of them have ended.
    pub(in super::super) async fn collect(&mut self, ids: &[u32]) -> HashMap<u32, String> {
        let mut texts: HashMap<u32, String> = HashMap::new();
        let mut open = ids.to_vec();
        while !open.is_empty() {
            match self.next().await.expect("the connection ended before its streams") {
                Frame::Data { id, bytes, fin } => {
                    texts.entry(id).or_default().push_str(std::str::from_utf8(&bytes).unwrap());
                    if fin {
                        open.retain(|one| *one != id);
                    }
                }
                Frame::Reset(id, _) => open.retain(|one| *one != id),
                _ => {}
            }
        }
        texts
    }
}

fn pair() -> (Client, mpsc::Receiver<Stream>) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    (Client::new(theirs), serve(ours))
}

#[tokio::test]
async fn carries_a_stream_both_ways() {
    let (mut client, mut streams) = pair();
    client.open(1, &[("streamType", "data")]).await;
    client.data(1, "to the pod", true).await;
    let mut stream = streams.recv().await.unwrap();
    assert_eq!(stream.headers["streamtype"], "data");
    assert_eq!(client.next().await, Some(Frame::SynReply(1)));
    assert_eq!(stream.input.recv().await, Some(Bytes::from_static(b"to the pod")));
    assert_eq!(stream.input.recv().await, None);
    stream.output.send(Bytes::from_static(b"and back")).await.unwrap();
    stream.output.finish().await.unwrap();
    assert_eq!(client.collect(&[1]).await[&1], "and back");
}

#[tokio::test]
async fn answers_pings_and_keeps_going_after_unknown_streams() {
    let (mut client, mut streams) = pair();
    client.data(99, "for nobody", true).await;
    client.put(Frame::Ping(3)).await;
    assert_eq!(client.next().await, Some(Frame::Ping(3)));
    client.open(1, &[]).await;
    assert!(streams.recv().await.is_some());
}

#[tokio::test]
async fn a_reset_and_a_lost_connection_end_streams() {
    let (mut client, mut streams) = pair();
    client.open(1, &[]).await;
    client.open(3, &[]).await;
    let (mut one, mut two) = (streams.recv().await.unwrap(), streams.recv().await.unwrap());
    client.put(Frame::Reset(1, 5)).await;
    one.output.gone().await;
    assert_eq!(one.input.recv().await, None);
    assert_eq!(one.output.send(Bytes::new()).await, Err(Gone));
    drop(client);
    two.output.gone().await;
    assert_eq!(two.input.recv().await, None);
    assert!(streams.recv().await.is_none());
}

#[tokio::test]
async fn closes_when_the_client_closes() {
    let (client, mut streams) = pair();
    drop(client);
    assert!(streams.recv().await.is_none());
}
