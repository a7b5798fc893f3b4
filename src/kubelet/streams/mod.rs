//! Logs, exec, attach and port-forward of the pods of all nodes, as the API server asks for them.

mod session;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tinderbox_api::streams::{
    Connection, ContainerRef, ExecOptions, LogOptions, LogStream, PodStreams, PodUsage, Session, StreamError,
};
use tokio::net::TcpStream;

use crate::context::Shared;
use crate::logs::read;
use crate::pods::handle::{Live, PodHandle, Pods, View};
use crate::sandbox::PlaceError;
use crate::stats::Meter;

const CONNECT: Duration = Duration::from_secs(10);

/// The streams of all nodes.
pub(crate) struct Streams {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pods: Pods,
    pub(crate) meter: Meter,
}

impl Streams {
    fn pod(&self, at: &ContainerRef) -> Result<Arc<PodHandle>, StreamError> {
        let found = self.pods.get(&at.namespace, &at.pod, &at.uid);
        found.ok_or_else(|| StreamError::NotFound(format!("pod {}/{} not found on this node", at.namespace, at.pod)))
    }

    fn container(&self, at: &ContainerRef) -> Result<(Arc<PodHandle>, View), StreamError> {
        let pod = self.pod(at)?;
        let view = pod.container(&at.container).ok_or_else(|| {
            StreamError::BadRequest(format!("container {} is not valid for pod {}", at.container, at.pod))
        })?;
        Ok((pod, view))
    }

    fn live(&self, at: &ContainerRef) -> Result<Arc<Live>, StreamError> {
        let (_, view) = self.container(at)?;
        view.live.ok_or_else(|| match view.ended {
            true => StreamError::Internal(format!("cannot exec in a stopped container: {}", at.container)),
            false => StreamError::Internal(format!("container not found (\"{}\")", at.container)),
        })
    }

    fn read_logs(&self, at: &ContainerRef, options: &LogOptions) -> Result<LogStream, StreamError> {
        let (pod, view) = self.container(at)?;
        let reading = read::Reading::from(options);
        let Some(newest) = view.newest else {
            let name = &at.container;
            let (pod, waiting) = (&at.pod, &view.waiting);
            return Err(StreamError::BadRequest(match options.previous {
                true => format!("previous terminated container \"{name}\" in pod \"{pod}\" not found"),
                false => format!("container \"{name}\" in pod \"{pod}\" is waiting to start: {waiting}"),
            }));
        };
        if !options.previous
            && let Some(live) = &view.live
        {
            return read::live(live.log.clone(), options.follow, reading);
        }
        // While it waits for its restart, the newest run is the previous one.
        let run = if options.previous && (view.live.is_some() || view.waiting.is_empty()) {
            newest.checked_sub(1)
        } else {
            Some(newest)
        };
        let path = run.map(|run| pod.log_path(&at.container, run)).filter(|path| path.exists());
        let path = path.ok_or_else(|| {
            let kind = if options.previous { "previous terminated" } else { "terminated" };
            StreamError::BadRequest(format!("{kind} container \"{}\" in pod \"{}\" not found", at.container, at.pod))
        })?;
        read::finished(&path, reading)
    }

    async fn connect(&self, at: &ContainerRef, port: u16) -> Result<Box<dyn Connection>, StreamError> {
        let pod = self.pod(at)?;
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let connecting = self.shared.place.connect_tcp(pod.network(), address);
        connected(connecting).await.map_err(|text| {
            StreamError::Internal(format!(
                "failed to connect to localhost:{port} inside namespace \"{}\": {text}",
                at.uid
            ))
        })
    }
}

/// A connection that is made in time, or why it is not.
async fn connected(
    connecting: impl Future<Output = Result<std::net::TcpStream, PlaceError>>,
) -> Result<Box<dyn Connection>, String> {
    let stream = tokio::time::timeout(CONNECT, connecting).await.map_err(|_| "timed out".to_owned())?;
    let stream = stream.map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        cause.unwrap_or_else(|| error.to_string())
    })?;
    let stream = TcpStream::from_std(stream).map_err(|error| error.to_string())?;
    // Only latency is lost without it.
    let _ = stream.set_nodelay(true);
    Ok(Box::new(stream))
}

impl PodStreams for Streams {
    fn logs(&self, container: ContainerRef, options: LogOptions) -> BoxFuture<'_, Result<LogStream, StreamError>> {
        async move { self.read_logs(&container, &options) }.boxed()
    }

    fn exec(&self, container: ContainerRef, options: ExecOptions) -> BoxFuture<'_, Result<Session, StreamError>> {
        async move {
            let live = self.live(&container)?;
            session::exec(&self.shared, &live, options).await
        }
        .boxed()
    }

    fn attach(&self, container: ContainerRef, options: ExecOptions) -> BoxFuture<'_, Result<Session, StreamError>> {
        async move {
            let live = self.live(&container)?;
            session::attach(&self.shared, &live, &options).await
        }
        .boxed()
    }

    fn port_forward(&self, pod: ContainerRef, port: u16) -> BoxFuture<'_, Result<Box<dyn Connection>, StreamError>> {
        async move { self.connect(&pod, port).await }.boxed()
    }

    fn usage(&self) -> BoxFuture<'_, Vec<PodUsage>> {
        self.meter.read(&self.shared, &self.pods).boxed()
    }

    fn dial(&self, address: SocketAddrV4) -> BoxFuture<'_, Result<Box<dyn Connection>, StreamError>> {
        async move {
            let connecting = self.shared.place.connect_tcp(None, address);
            let failed = |text| StreamError::Internal(format!("dial tcp {address}: connect: {text}"));
            connected(connecting).await.map_err(failed)
        }
        .boxed()
    }
}
