//! What the kernel says of this machine: processes, mounts, open ports. It changes nothing but by `kill`.

use std::net::TcpStream;
use std::process::{Child, Command};

/// Mounts that this process sees.
pub(crate) fn mounts() -> String {
    std::fs::read_to_string("/proc/self/mounts").expect("/proc is there")
}

/// Whether something answers on this port of loopback.
pub(crate) fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// A process whose words (with a NUL between them) hold this text.
pub(crate) fn process_with(text: &str) -> Option<u32> {
    all_with(text).next()
}

/// All of them.
pub(crate) fn all_with(text: &str) -> impl Iterator<Item = u32> {
    let processes = std::fs::read_dir("/proc").expect("/proc is there").filter_map(Result::ok);
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(move |id| std::fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|words| holds(&words, text)))
}

fn holds(words: &[u8], text: &str) -> bool {
    words.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Waits until a process has ended, which must be soon.
pub(crate) fn wait_for_end(process: u32) {
    let mut command = Command::new("timeout");
    command.args(["10", "tail", "-s", "0.02", "-f", "/dev/null", "--pid"]).arg(process.to_string());
    assert!(command.status().expect("coreutils are there").success(), "process {process} still runs");
}

/// Ends a process without a chance to clean up.
pub(crate) fn kill(process: u32) {
    assert!(Command::new("kill").args(["-KILL", &process.to_string()]).status().expect("kill runs").success());
}

/// A command run by `timeout`, which hands signals on; dropping it ends both.
pub(crate) struct Timed(pub(crate) Child);

impl Drop for Timed {
    fn drop(&mut self) {
        // It may have ended long ago.
        if let Ok(None) = self.0.try_wait() {
            let _ = Command::new("kill").arg(self.0.id().to_string()).status();
            let _ = self.0.wait();
        }
    }
}
