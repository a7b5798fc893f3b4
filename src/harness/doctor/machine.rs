//! What the kernel and the file systems must give.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use tinderbox_providers::embedded::holder;
use tinderbox_providers::embedded::machine::{
    Ids, cache_dir, free_space, kernel_number, limits as limits_of_containers, nearest, open_files, try_place,
    try_write,
};
use tinderbox_providers::{Found, Provider as _};

use super::{Finding, Need};
use crate::project::Project;

/// Spark's package and its unpacked form, with room for another version.
const CACHE_SPACE: u64 = 3 << 30;
/// Objects, logs and small volumes.
const STATE_SPACE: u64 = 1 << 30;
/// A JVM has several hundred files open, and every pod and connection some more.
const OPEN_FILES: u64 = 4096;
/// Watchers of files: log followers and user programs in pods share them.
const INOTIFY_INSTANCES: u64 = 64;

/// Namespaces, mounts and a network of our own, tried by making them.
pub(super) async fn place() -> Finding {
    const WHAT: &str = "namespaces for pods";
    match try_place().await {
        Ok(Ids::Range) => Finding::good(WHAT, Need::Required, "made and removed; pods get user ids of their own"),
        Ok(Ids::Own) => {
            Finding::good(WHAT, Need::Required, "made and removed; all user ids in pods are this user's on the machine")
        }
        Err(error) => {
            let mut found = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(next) = cause {
                found = format!("{found}: {next}");
                cause = next.source();
            }
            Finding::lack(WHAT, Need::Required, found, error.hint())
        }
    }
}

/// What holds containers to their limits.
pub(super) async fn groups() -> Finding {
    const WHAT: &str = "limits of containers";
    match limits_of_containers().await {
        Some(by) => Finding::good(WHAT, Need::Optional, format!("memory and CPU are held by the kernel ({by})")),
        None => Finding::lack(
            WHAT,
            Need::Optional,
            "memory is watched, and CPU is not limited: no control groups can be made here",
            Some("run as root, or start with `systemd-run --user --scope -p Delegate=yes cargo xtask up`".to_owned()),
        ),
    }
}

/// Disk space, open files and file watchers.
pub(super) fn limits(project: &Project) -> Vec<Finding> {
    let mut findings = vec![
        space("disk space for the cluster", "TINDERBOX_HOME", project.home(), STATE_SPACE),
        space("disk space for downloads", "XDG_CACHE_HOME", &cache_dir(), CACHE_SPACE),
    ];
    let files = open_files().unwrap_or_default();
    findings.push(if files >= OPEN_FILES {
        Finding::good("open files", Need::Required, format!("at most {files}"))
    } else {
        Finding::lack(
            "open files",
            Need::Required,
            format!("at most {files}, and {OPEN_FILES} may be needed"),
            Some(format!(
                "ulimit -Hn {OPEN_FILES}, or a line `* hard nofile {OPEN_FILES}` in /etc/security/limits.conf"
            )),
        )
    });
    let instances = kernel_number("fs/inotify/max_user_instances").unwrap_or(INOTIFY_INSTANCES);
    findings.push(if instances >= INOTIFY_INSTANCES {
        Finding::good("file watchers", Need::Optional, format!("{instances} instances per user"))
    } else {
        Finding::lack(
            "file watchers",
            Need::Optional,
            format!("only {instances} instances per user"),
            Some("sudo sysctl fs.inotify.max_user_instances=512".to_owned()),
        )
    });
    findings
}

fn space(what: &'static str, variable: &str, path: &Path, wanted: u64) -> Finding {
    let lack = |found: String, mend: String| Finding::lack(what, Need::Required, found, Some(mend));
    let more = || format!("free some space, or set {variable} to a folder on another disk");
    match try_write(path).and_then(|()| free_space(path)) {
        Ok(free) if free >= wanted => {
            Finding::good(what, Need::Required, format!("{} free in {}", size(free), path.display()))
        }
        Ok(free) => {
            let found = format!("{} free in {}, and {} may be needed", size(free), path.display(), size(wanted));
            lack(found, more())
        }
        Err(error) if error.kind() == ErrorKind::StorageFull => lack(format!("none in {}", path.display()), more()),
        Err(error) => {
            let folder = nearest(path).display();
            let mend = format!("sudo chown $(id -un) {folder}, or set {variable} to a folder of your own");
            lack(format!("cannot write in {folder}: {error}"), mend)
        }
    }
}

fn size(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

/// The API's port, where one is configured.
pub(super) async fn port(project: &Project) -> Finding {
    const WHAT: &str = "port of the API";
    let port = project.config.port;
    if port == 0 {
        return Finding::good(WHAT, Need::Required, "any free one");
    }
    if let Ok(place) = project.embedded("doctor")
        && let Ok(Found::Running(endpoint)) = place.find().await
        && endpoint.server.ends_with(&format!(":{port}"))
    {
        return Finding::good(WHAT, Need::Required, format!("{port}, held by the cluster itself"));
    }
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Finding::good(WHAT, Need::Required, format!("{port} is free")),
        Err(error) => {
            let who = holder(port).map(|who| format!(" by {who}")).unwrap_or_default();
            Finding::lack(
                WHAT,
                Need::Required,
                format!("{port} is taken{who}: {error}"),
                Some("end that program, or set another `port` in tinderbox.yaml".to_owned()),
            )
        }
    }
}
