//! What a kubelet asks of whoever runs its pods: pods and containers, processes in them, sockets in their network. [`Place`] runs
//! them as processes of this machine; a rehearsal has one that only says so.

use std::net::{SocketAddrV4, TcpListener, TcpStream, UdpSocket};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::sandbox::{ContainerSpec, ExecSpec, Exited, HostIds, Place, PlaceError, PodSandbox, Started, Usage};

/// The answer to a request.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, PlaceError>>;

/// Runs pods. Each method is described at [`Place`].
pub trait Runtime: Send + Sync {
    /// [`Place::ids`].
    fn ids(&self) -> HostIds;
    /// [`Place::listen_tcp`].
    fn listen_tcp(&self, address: SocketAddrV4) -> Answer<'_, TcpListener>;
    /// [`Place::bind_udp`].
    fn bind_udp(&self, address: SocketAddrV4) -> Answer<'_, UdpSocket>;
    /// [`Place::connect_tcp`].
    fn connect_tcp<'a>(&'a self, pod: Option<&'a str>, address: SocketAddrV4) -> Answer<'a, TcpStream>;
    /// [`Place::create_pod`].
    fn create_pod(&self, pod: PodSandbox) -> Answer<'_, ()>;
    /// [`Place::start_container`].
    fn start_container(&self, spec: ContainerSpec) -> Answer<'_, Started>;
    /// [`Place::exec`].
    fn exec(&self, spec: ExecSpec) -> Answer<'_, Started>;
    /// [`Place::signal`].
    fn signal<'a>(&'a self, id: &'a str, signal: i32) -> Answer<'a, ()>;
    /// [`Place::resize`].
    fn resize<'a>(&'a self, id: &'a str, columns: u16, rows: u16) -> Answer<'a, ()>;
    /// [`Place::usage`].
    fn usage(&self, ids: Vec<String>, shares: bool) -> Answer<'_, Vec<(String, Usage)>>;
    /// [`Place::remove_pod`].
    fn remove_pod<'a>(&'a self, id: &'a str) -> Answer<'a, ()>;
    /// [`Place::exits`].
    fn exits(&self) -> UnboundedReceiver<Exited>;
    /// [`Place::stop`].
    fn stop(&self) -> BoxFuture<'_, ()>;
}

impl Runtime for Place {
    fn ids(&self) -> HostIds {
        Self::ids(self)
    }

    fn listen_tcp(&self, address: SocketAddrV4) -> Answer<'_, TcpListener> {
        Self::listen_tcp(self, address).boxed()
    }

    fn bind_udp(&self, address: SocketAddrV4) -> Answer<'_, UdpSocket> {
        Self::bind_udp(self, address).boxed()
    }

    fn connect_tcp<'a>(&'a self, pod: Option<&'a str>, address: SocketAddrV4) -> Answer<'a, TcpStream> {
        Self::connect_tcp(self, pod, address).boxed()
    }

    fn create_pod(&self, pod: PodSandbox) -> Answer<'_, ()> {
        Self::create_pod(self, pod).boxed()
    }

    fn start_container(&self, spec: ContainerSpec) -> Answer<'_, Started> {
        Self::start_container(self, spec).boxed()
    }

    fn exec(&self, spec: ExecSpec) -> Answer<'_, Started> {
        Self::exec(self, spec).boxed()
    }

    fn signal<'a>(&'a self, id: &'a str, signal: i32) -> Answer<'a, ()> {
        Self::signal(self, id, signal).boxed()
    }

    fn resize<'a>(&'a self, id: &'a str, columns: u16, rows: u16) -> Answer<'a, ()> {
        Self::resize(self, id, columns, rows).boxed()
    }

    fn usage(&self, ids: Vec<String>, shares: bool) -> Answer<'_, Vec<(String, Usage)>> {
        Self::usage(self, ids, shares).boxed()
    }

    fn remove_pod<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        Self::remove_pod(self, id).boxed()
    }

    fn exits(&self) -> UnboundedReceiver<Exited> {
        Self::exits(self)
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Self::stop(self).boxed()
    }
}
