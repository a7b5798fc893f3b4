//! A real terminal with a program on it: what is typed, what is seen, and its size.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::unistd::ttyname;

use crate::child::PATIENCE;

/// A terminal and the program that it controls; dropping it ends the program.
pub(crate) struct Terminal {
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    seen: String,
    device: PathBuf,
    child: Child,
}

impl Terminal {
    /// Runs a command on a new terminal of this size, which becomes its controlling terminal.
    pub(crate) fn run(command: &Command, rows: u16, columns: u16) -> Self {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let OpenptyResult { master, slave } = openpty(&size, None).expect("the kernel has terminals");
        let device = ttyname(&slave).expect("a terminal has a name");
        let child = spawn(command, slave);
        let keyboard = File::from(master);
        let mut output = keyboard.try_clone().expect("a file can be cloned");
        let (sender, screen) = channel();
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            // A terminal that nobody holds any more gives an error.
            while let Ok(length @ 1..) = output.read(&mut chunk) {
                if sender.send(chunk[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { keyboard, screen, seen: String::new(), device, child }
    }

    /// Types.
    pub(crate) fn types(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).expect("the terminal is there");
    }

    /// Waits until `text` is seen, and forgets all up to its end.
    pub(crate) fn shows(&mut self, text: &str) {
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            let Ok(chunk) = self.screen.recv_timeout(PATIENCE) else {
                panic!("{text:?} never came, but {:?}", self.seen);
            };
            self.seen.push_str(&String::from_utf8_lossy(&chunk));
        }
    }

    /// Changes the size, as dragging a window's corner does.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        let (rows, columns) = (rows.to_string(), columns.to_string());
        let mut command = Command::new("stty");
        command.arg("-F").arg(&self.device).args(["rows", &rows, "cols", &columns]);
        assert!(command.status().expect("stty is there").success());
    }

    /// The program's exit code; it must end by itself.
    pub(crate) fn end(mut self) -> Option<i32> {
        while self.screen.recv_timeout(PATIENCE).is_ok() {}
        self.child.wait().expect("it is our child").code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended already, or ends now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a command in a session of its own, so that it gets what the terminal's keys and changes of size give.
fn spawn(wanted: &Command, slave: OwnedFd) -> Child {
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait"]).arg(wanted.get_program()).args(wanted.get_args());
    let end = || Stdio::from(slave.try_clone().expect("a terminal can be cloned"));
    command.stdin(end()).stdout(end()).stderr(end());
    command.spawn().expect("util-linux is there")
}
