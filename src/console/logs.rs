//! What a container says, to its end or as it comes. The bytes are passed on as they are.

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams};
use kube::{Client, Error};
use tokio_util::compat::FuturesAsyncReadCompatExt;
use tokio_util::io::ReaderStream;

/// Most lines that are told from before.
const LINES: i64 = 5000;

/// The container's log, on and on if it is to be followed.
pub(crate) async fn log(
    client: Client,
    [namespace, pod, container]: [&str; 3],
    how: &str,
) -> Result<impl Stream<Item = std::io::Result<Bytes>> + use<>, Error> {
    let pods: Api<Pod> = Api::namespaced(client, namespace);
    let parameters = LogParams {
        container: Some(container.to_owned()),
        follow: how == "follow",
        previous: how == "previous",
        tail_lines: Some(LINES),
        ..LogParams::default()
    };
    let lines = pods.log_stream(pod, &parameters).await?;
    Ok(ReaderStream::new(lines.compat()).map_ok(|bytes| bytes))
}
