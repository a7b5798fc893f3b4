//! What the API server asks of a node: logs, processes inside containers, connections to pods. The kubelet implements
//! [`PodStreams`], the API server puts it on the wire. It must not know HTTP or websockets.

use std::net::SocketAddrV4;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

/// One container of one pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerRef {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// UID of the pod, so that a later pod of the same name is never meant.
    pub uid: String,
    /// Name of the container; regular, init and ephemeral containers share one space of names.
    pub container: String,
}

/// The query of `GET …/pods/NAME/log`, with Kubernetes' own names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Go on as lines arrive, until the container ends.
    pub follow: bool,
    /// The container's run before the current one.
    pub previous: bool,
    /// Put each line's time (RFC 3339 with nanoseconds) before it.
    pub timestamps: bool,
    /// At most this many of the last lines.
    pub tail_lines: Option<u64>,
    /// Lines written at or after this time.
    pub since: Option<SystemTime>,
    /// At most this many bytes.
    pub limit_bytes: Option<u64>,
}

/// What to run in a container, and which streams to connect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecOptions {
    /// The program and its arguments; no shell is added.
    pub command: Vec<String>,
    /// Connect standard input.
    pub stdin: bool,
    /// Connect standard output.
    pub stdout: bool,
    /// Connect standard error (never together with `tty`).
    pub stderr: bool,
    /// Give the process a terminal.
    pub tty: bool,
}

/// Columns and rows of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// A process inside a container and its streams.
pub struct Session {
    /// Standard input; dropping it closes the stream.
    pub stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    /// Standard output, or the terminal's.
    pub stdout: Option<Box<dyn AsyncRead + Send + Unpin>>,
    /// Standard error.
    pub stderr: Option<Box<dyn AsyncRead + Send + Unpin>>,
    /// Terminal sizes to set; absent without a terminal.
    pub resize: Option<mpsc::Sender<TerminalSize>>,
    /// The exit code once the process has ended (128 + signal when a signal ended it).
    pub exit: BoxFuture<'static, Result<i32, StreamError>>,
}

/// A connection to a port of a pod.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// Why a node refused a stream. The text is what the user reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamError {
    /// No such pod, container or earlier run on this node (HTTP 404).
    NotFound(String),
    /// The container is not in a state that allows it, as in "container X is waiting to start: ImagePullBackOff" (HTTP 400).
    BadRequest(String),
    /// Anything that went wrong on the node (HTTP 500).
    Internal(String),
}

impl std::fmt::Display for StreamError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotFound(text) | Self::BadRequest(text) | Self::Internal(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for StreamError {}

/// The log of a container as chunks of bytes, newline-terminated lines inside.
pub type LogStream = BoxStream<'static, Result<Bytes, StreamError>>;

/// What the containers of a pod use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodUsage {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// UID of the pod.
    pub uid: String,
    /// The node that it is on.
    pub node: String,
    /// When this was measured.
    pub at: SystemTime,
    /// Over how long the use of processors was.
    pub window: Duration,
    /// Its containers that run, by name.
    pub containers: Vec<ContainerUsage>,
}

/// What one container uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerUsage {
    /// Name.
    pub name: String,
    /// Billionths of a processor.
    pub cpu_nanos: u64,
    /// Bytes of memory that could not be given to others at once.
    pub memory: u64,
}

/// A node's side of the streaming subresources (`log`, `exec`, `attach`, `portforward`, `proxy`), and what it measures.
pub trait PodStreams: Send + Sync + 'static {
    /// The container's log.
    fn logs(&self, container: ContainerRef, options: LogOptions) -> BoxFuture<'_, Result<LogStream, StreamError>>;

    /// Starts a process inside a running container.
    fn exec(&self, container: ContainerRef, options: ExecOptions) -> BoxFuture<'_, Result<Session, StreamError>>;

    /// Connects to the container's main process.
    fn attach(&self, container: ContainerRef, options: ExecOptions) -> BoxFuture<'_, Result<Session, StreamError>>;

    /// Connects to `port` on the pod's own loopback; `container` is empty in the reference.
    fn port_forward(&self, pod: ContainerRef, port: u16) -> BoxFuture<'_, Result<Box<dyn Connection>, StreamError>>;

    /// What the pods of all nodes use; it may take a second to measure.
    fn usage(&self) -> BoxFuture<'_, Vec<PodUsage>>;

    /// Connects to an address of the pods' network, as the node itself does.
    fn dial(&self, address: SocketAddrV4) -> BoxFuture<'_, Result<Box<dyn Connection>, StreamError>>;
}
