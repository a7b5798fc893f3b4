//! Plain images out of this machine's own userland: its programs and libraries read-only, an /etc of our own, and nothing of
//! anybody's home.

use std::fs;
use std::path::Path;

use super::{Image, RootEntry};

/// `PATH` of every native image.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What stands beside /usr: a link into it on most machines, a folder on some.
const BESIDE_USR: [&str; 7] = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/lib/ld-linux.so.2"];
/// What programs need of the machine's /etc: certificates, alternatives, the loader's cache, names of protocols.
const ETC: [&str; 14] = [
    "ssl",
    "pki",
    "ca-certificates",
    "crypto-policies",
    "alternatives",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "protocols",
    "services",
    "mime.types",
    "terminfo",
    "os-release",
    "debian_version",
];

/// A process that waits for ever and ends on SIGTERM, also as the first one of its namespace, which has no default action.
const PAUSE: &str = "trap 'exit 0' TERM INT; while :; do sleep 2147483647 & wait $!; done";

/// The user that an image's processes run as by default.
#[derive(Debug, Clone, Copy)]
pub(super) struct User {
    pub(super) name: &'static str,
    pub(super) id: u32,
    pub(super) home: &'static str,
}

const ROOT: User = User { name: "root", id: 0, home: "/root" };

/// The image of a short name, if it is a plain one.
pub(super) fn plain(short: &str) -> Option<Image> {
    let (entrypoint, command): (&[&str], &[&str]) = match short {
        "busybox" => (&[], &["sh"]),
        "alpine" => (&[], &["/bin/sh"]),
        "debian" => (&[], &["bash"]),
        "ubuntu" => (&[], &["/bin/bash"]),
        "pause" => (&["/bin/sh", "-c", PAUSE], &[]),
        _ => return None,
    };
    let mut image = base(ROOT);
    image.entrypoint = entrypoint.iter().map(|part| (*part).to_owned()).collect();
    image.command = command.iter().map(|part| (*part).to_owned()).collect();
    Some(image)
}

/// This machine's userland for a user, with nothing to run.
pub(super) fn base(user: User) -> Image {
    let mut root = vec![RootEntry::bind("/usr", "/usr")];
    root.extend(BESIDE_USR.iter().filter_map(|path| same_as_here(Path::new(path))));
    root.push(RootEntry::directory("/etc", 0o755));
    root.extend(ETC.iter().filter_map(|name| same_as_here(&Path::new("/etc").join(name))));
    root.extend(configured_languages());
    // Everybody may add a line for a user that is not in it: it means nothing outside, and nobody gains rights by it here.
    root.push(RootEntry::file("/etc/passwd", 0o666, passwd(user)));
    root.push(RootEntry::file("/etc/group", 0o644, group(user)));
    root.push(RootEntry::file("/etc/nsswitch.conf", 0o644, NSSWITCH));
    for (path, mode) in [("/tmp", 0o1777), ("/var/tmp", 0o1777), ("/run", 0o755), ("/root", 0o700), ("/mnt", 0o755)] {
        root.push(RootEntry::directory(path, mode));
    }
    root.push(RootEntry::symlink("/run", "/var/run"));
    if user.id != 0 {
        root.push(RootEntry::own_directory(user.home, 0o755));
    }
    let env = [("PATH", PATH), ("HOME", user.home), ("LANG", "C.UTF-8")];
    Image {
        root,
        env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        working_dir: "/".to_owned(),
        user: (user.id, user.id),
        ..Image::default()
    }
}

const NSSWITCH: &str = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\nservices: files\nprotocols: files\n";

fn passwd(user: User) -> String {
    let mut text =
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n".to_owned();
    if user.id != 0 {
        text += &format!("{0}:x:{1}:{1}:{0}:{2}:/bin/sh\n", user.name, user.id, user.home);
    }
    text
}

fn group(user: User) -> String {
    let mut text = "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n".to_owned();
    if user.id != 0 {
        text += &format!("{}:x:{}:\n", user.name, user.id);
    }
    text
}

/// Shows a path of this machine at its own place: a link as the same link, anything else bound. `None` where it is missing.
fn same_as_here(path: &Path) -> Option<RootEntry> {
    if !path.exists() {
        return None;
    }
    // Below a link (as /lib is one to usr/lib) there is nothing to add.
    let parent = path.parent()?;
    if fs::canonicalize(parent).ok()? != parent {
        return None;
    }
    match fs::read_link(path) {
        Ok(to) => Some(RootEntry::symlink(to, path)),
        Err(_) => Some(RootEntry::bind(path, path)),
    }
}

/// Java and Python of distributions keep a part of themselves in /etc.
fn configured_languages() -> Vec<RootEntry> {
    let Ok(entries) = fs::read_dir("/etc") else {
        return Vec::new();
    };
    let mut found: Vec<_> = entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            ["java", "openjdk", "temurin", "python3"].iter().any(|start| name.starts_with(start))
        })
        .filter_map(|entry| same_as_here(&entry.path()))
        .collect();
    found.sort_by_key(|entry| format!("{entry:?}"));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_images_show_programs_and_no_homes() {
        for short in ["busybox", "alpine", "debian", "ubuntu", "pause"] {
            let image = plain(short).expect(short);
            assert!(image.root.contains(&RootEntry::bind("/usr", "/usr")));
            let shown: Vec<_> = image
                .root
                .iter()
                .filter_map(|entry| match entry {
                    RootEntry::Bind { source, .. } => Some(source.clone()),
                    _ => None,
                })
                .collect();
            assert!(
                shown.iter().all(|source| source.starts_with("/usr")
                    || source.starts_with("/etc")
                    || source.starts_with("/lib"))
            );
            assert!(!shown.iter().any(|source| source.ends_with("shadow") || source.ends_with("passwd")));
        }
        assert_eq!(plain("nginx"), None);
    }

    #[test]
    fn a_user_of_its_own_has_a_name_and_a_home() {
        let image = base(User { name: "spark", id: 185, home: "/home/spark" });
        assert_eq!(image.user, (185, 185));
        assert!(image.root.contains(&RootEntry::own_directory("/home/spark", 0o755)));
        let passwd = passwd(User { name: "spark", id: 185, home: "/home/spark" });
        assert!(passwd.ends_with("spark:x:185:185:spark:/home/spark:/bin/sh\n"));
    }

    #[test]
    fn pause_ends_on_sigterm_even_as_the_first_process() {
        let script = format!("exec sh -c \"{PAUSE}\"");
        let mut unshare = std::process::Command::new("unshare");
        unshare.args(["-Urpf", "--kill-child", "sh", "-c", &script]);
        let mut child = unshare.spawn().expect("unshare runs");
        let children = format!("/proc/{0}/task/{0}/children", child.id());
        let first = loop {
            let text = fs::read_to_string(&children).expect("read");
            if let Some(pid) = text.split_whitespace().next() {
                break pid.parse().expect("a number");
            }
        };
        // It catches the signal once the shell has read its script.
        let catches = || {
            let status = fs::read_to_string(format!("/proc/{first}/status")).unwrap_or_default();
            let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0").trim().to_owned();
            let command = fs::read_to_string(format!("/proc/{first}/cmdline")).unwrap_or_default();
            command.contains("sleep") && u64::from_str_radix(&mask, 16).is_ok_and(|mask| mask & (1 << 14) != 0)
        };
        while !catches() {
            assert!(child.try_wait().expect("waited").is_none(), "it waits");
        }
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(first), nix::sys::signal::Signal::SIGTERM)
            .expect("signalled");
        assert!(child.wait().expect("ended").success());
    }
}
