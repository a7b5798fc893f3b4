//! Volumes, files and namespaces of a pod, before its first container.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_util::task::AbortOnDropHandle;

use super::{Input, Worker};
use crate::container::fields::Facts;
use crate::container::files;
use crate::events::Level;
use crate::pods::model::Sandbox;
use crate::sandbox::{HostIds, PodSandbox};
use crate::storage;
use crate::volumes::{Setting, mounts::OwnFile};

/// Longest wait for the API to say what an object holds.
const KNOWN: Duration = Duration::from_secs(2);
const FIRST_RETRY: SignedDuration = SignedDuration::from_millis(500);
const LONGEST_RETRY: SignedDuration = SignedDuration::from_secs(120);

impl Worker {
    pub(super) async fn prepare_volumes(&mut self, now: Timestamp) {
        self.wait_for_objects().await;
        let pod = self.pod.clone();
        let host_ip = self.context.host_ip.to_string();
        let setting = Setting {
            client: &self.context.client,
            facts: Facts {
                pod: &pod,
                pod_ip: None,
                host_ip: &host_ip,
                node_cpu_millis: self.context.cpu_millis,
                node_memory: self.context.memory,
            },
            objects: &self.watched,
            persistent: &self.context.persistent,
            now: Timestamp::now(),
        };
        match self.volumes.prepare(&setting).await {
            Ok(()) => {
                self.state.volumes_ready = true;
                self.state.retry_at = None;
                self.setup_tries = 0;
            }
            Err(error) => {
                self.say(Level::Warning, "FailedMount", error.to_string());
                self.retry_setup(now);
            }
        }
    }

    /// Gives the API a moment to tell what the pod's ConfigMaps and Secrets hold, and which services there are.
    pub(super) async fn wait_for_objects(&self) {
        let objects = futures::future::join_all(self.watched.values().map(|watched| watched.known()));
        let all = futures::future::join(objects, self.context.services.complete());
        // What is not known in time is an error of whoever needs it.
        let _ = tokio::time::timeout(KNOWN, all).await;
    }

    fn retry_setup(&mut self, now: Timestamp) {
        let factor = 1_i32 << self.setup_tries.min(12);
        self.setup_tries += 1;
        let pause = (FIRST_RETRY * factor).min(LONGEST_RETRY);
        self.state.retry_at = Some(now.saturating_add(pause).unwrap_or(now));
    }

    pub(super) async fn create_sandbox(&mut self, now: Timestamp) {
        match self.make_sandbox().await {
            Ok(()) => {
                self.state.sandbox = Sandbox::Ready;
                self.state.address = self.address.as_ref().map(crate::addresses::Lease::address);
                self.state.retry_at = None;
                self.setup_tries = 0;
                self.watch_disk();
            }
            Err(text) => {
                let message = format!("Failed to create pod sandbox: {text}");
                self.say(Level::Warning, "FailedCreatePodSandBox", message);
                self.address = None;
                self.retry_setup(now);
            }
        }
    }

    fn watch_disk(&mut self) {
        let Some(bounds) = storage::Bounds::of(&self.pod, &self.folder) else { return };
        let (place, handle, sender) = (self.context.place.clone(), self.handle.clone(), self.sender.clone());
        let watching = storage::watch(bounds, place, handle, move |message| {
            // The worker may be gone meanwhile.
            let _ = sender.send(Input::OutOfDisk { message });
        });
        self.disk = Some(AbortOnDropHandle::new(tokio::spawn(watching)));
    }

    async fn make_sandbox(&mut self) -> Result<(), String> {
        let spec = self.pod.spec.as_ref();
        let host_network = spec.and_then(|s| s.host_network) == Some(true);
        let share_processes = spec.and_then(|s| s.share_process_namespace) == Some(true);
        if !host_network && self.address.is_none() {
            let lease = self.context.addresses.lease();
            self.address = Some(lease.ok_or("no address is free in 10.244.0.0/16")?);
        }
        let address = self.address.as_ref().map(crate::addresses::Lease::address);
        self.write_files(address.unwrap_or(self.context.host_ip).to_string())
            .map_err(|error| format!("cannot write its files: {error}"))?;
        let sandbox =
            PodSandbox { id: self.uid.clone(), hostname: files::hostname(&self.pod), address, share_processes };
        let made = self.context.place.create_pod(sandbox).await;
        made.map_err(|error| match std::error::Error::source(&error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        })
    }

    fn write_files(&self, address: String) -> std::io::Result<()> {
        let folder = self.folder.join("etc");
        fs::create_dir_all(&folder)?;
        let pod = &self.pod;
        let texts = [
            ("hosts", files::hosts(pod, &address)),
            ("hostname", format!("{}\n", files::hostname(pod))),
            ("resolv.conf", files::resolv_conf(pod, &self.context.resolver)),
        ];
        for (name, text) in texts {
            self.write_own(&folder.join(name), text.as_bytes(), 0o644)?;
        }
        Ok(())
    }

    /// Writes a file that belongs to the pod's root, where the machine can express that.
    pub(super) fn write_own(&self, path: &Path, text: &[u8], mode: u32) -> std::io::Result<()> {
        fs::write(path, text)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        let ids = self.context.place.ids();
        match ids {
            HostIds::Range { .. } => chown(path, Some(ids.uid(0)), Some(ids.gid(0))),
            HostIds::Single { .. } => Ok(()),
        }
    }

    /// The files that every container sees unless it mounts its own there.
    pub(super) fn own_files(&self) -> Vec<OwnFile> {
        ["hosts", "hostname", "resolv.conf"]
            .map(|name| OwnFile { source: self.folder.join("etc").join(name), target: Path::new("/etc").join(name) })
            .into()
    }
}
