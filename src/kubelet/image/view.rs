//! A root view for a single program of our own, through `unshare`: no pod, no network of its own. What it starts ends with it, and
//! it ends with the thread that started it. Only for preparing images; containers are the sandbox's.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use super::RootEntry;

/// Makes a command that runs `argv` with `root` as its root. `scratch` is an empty folder that it may use for building it;
/// `writable` are folders of this machine that are shown, writable, at their own or another place.
pub(super) fn command(
    root: &[RootEntry],
    writable: &[(&Path, &Path)],
    argv: &[String],
    env: &[(String, String)],
    cwd: &str,
    scratch: &Path,
) -> io::Result<Command> {
    let view = scratch.join("root");
    let files = scratch.join("files");
    fs::create_dir_all(&view)?;
    fs::create_dir_all(&files)?;
    let mut script =
        format!("set -e\nPATH=$PATH:/usr/sbin:/sbin\nmount -t tmpfs -o mode=755 tmpfs {0}\ncd {0}\n", quote(&view));
    for (number, entry) in root.iter().enumerate() {
        script += &match entry {
            RootEntry::Bind { source, target } => bind(source, target),
            RootEntry::Symlink { to, target } => {
                format!("mkdir -p {}\nln -sfn {} {}\n", parent(target), quote(to), within(target))
            }
            RootEntry::Directory { target, mode, .. } => format!("mkdir -p {0}\nchmod {mode:o} {0}\n", within(target)),
            RootEntry::File { target, mode, content } => {
                let file = files.join(number.to_string());
                fs::write(&file, content)?;
                format!(
                    "mkdir -p {}\ncp {} {}\nchmod {mode:o} {}\n",
                    parent(target),
                    quote(&file),
                    within(target),
                    within(target)
                )
            }
        };
    }
    for (source, target) in writable {
        script += &bind(source, target);
    }
    script += &bind(Path::new("/dev"), Path::new("/dev"));
    // A machine that hides parts of its /proc allows no other one.
    let proc = bind(Path::new("/proc"), Path::new("/proc"));
    script += &format!("mkdir -p proc\nmount -t proc proc proc 2>/dev/null || {{\n{proc}}}\n");
    script += "exec chroot . \"$@\"\n";
    let mut command = Command::new("unshare");
    // Root needs no user namespace for this, and may not be allowed one.
    command.arg(if rustix::process::geteuid().is_root() { "-mpf" } else { "-Urmpf" }).arg("--kill-child");
    command.args(["sh", "-c", &script, "sh", "env", "-i", "-C", cwd]);
    command.args(env.iter().map(|(name, value)| format!("{name}={value}")));
    command.args(argv);
    Ok(command)
}

fn bind(source: &Path, target: &Path) -> String {
    let make = if source.is_dir() {
        format!("mkdir -p {}", within(target))
    } else {
        format!("mkdir -p {}; : >>{}", parent(target), within(target))
    };
    format!("{make}\nmount --rbind {} {}\n", quote(source), within(target))
}

/// The path below the working folder.
fn within(target: &Path) -> String {
    quote(&Path::new(".").join(target.strip_prefix("/").unwrap_or(target)))
}

fn parent(target: &Path) -> String {
    within(target.parent().unwrap_or(target))
}

fn quote(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}
