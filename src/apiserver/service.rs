//! The server as a `tower::Service` inside its own process, with a fixed user: what controllers are handed as their client.

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::BoxError;
use axum::body::{Body, HttpBody};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::USER_AGENT;
use http::{HeaderValue, Request, Response};

use crate::ApiServer;
use crate::auth::User;

/// The server in process, as one user; give it to `kube::Client::new`.
#[derive(Clone)]
pub struct LocalService {
    server: ApiServer,
    user: User,
    agent: Option<HeaderValue>,
}

impl ApiServer {
    /// The server in process, as `user`. Upgraded connections (exec, port-forward) need a listener.
    #[must_use]
    pub fn service_as(&self, user: User) -> LocalService {
        LocalService { server: self.clone(), user, agent: None }
    }
}

impl LocalService {
    /// Gives requests that name no client this name, which managed fields then tell.
    #[must_use]
    pub fn called(self, agent: &'static str) -> Self {
        Self { agent: Some(HeaderValue::from_static(agent)), ..self }
    }
}

impl<B> tower::Service<Request<B>> for LocalService
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Self { server, user, agent } = self.clone();
        let mut request = request.map(Body::new);
        if let Some(agent) = agent {
            request.headers_mut().entry(USER_AGENT).or_insert(agent);
        }
        Box::pin(async move { Ok(server.handle(request, Some(user)).await) })
    }
}
