//! System calls that no crate of ours wraps, each in a safe function. Nothing that knows pods.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::sched::CloneFlags;

/// What [`fork`] returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forked {
    /// This is the new process.
    Child,
    /// The new process' id.
    Parent(i32),
}

/// Forks this process, which must have a single thread; the child starts in new namespaces as `flags` say.
pub(super) fn fork(flags: CloneFlags) -> io::Result<Forked> {
    let flags = libc::c_long::from(flags.bits()) | libc::c_long::from(libc::SIGCHLD);
    let none: libc::c_long = 0;
    // SAFETY: without CLONE_VM and with no stack given this is fork(2): the child goes on with a copy of everything, and
    // since the process has one thread no lock can be held by another. All pointers are null, which means unused.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, none, none, none, none) };
    match pid {
        0 => Ok(Forked::Child),
        pid if pid > 0 => Ok(Forked::Parent(pid as i32)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Ends this process at once, without running anything of the program it was forked from.
pub(super) fn leave(code: i32) -> ! {
    // SAFETY: _exit only ends the process.
    unsafe { libc::_exit(code) }
}

/// Makes a socket that is closed on exec.
pub(super) fn socket(family: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    // SAFETY: plain numbers in, a new descriptor or an error out.
    let fd = unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was made above and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// What [`set_mount`] changes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct MountChange {
    /// Make it read-only (other flags stay, so flags that are locked do not matter).
    pub(super) read_only: bool,
    /// Forget set-user-id bits and device nodes on it.
    pub(super) harmless: bool,
    /// `MS_PRIVATE` or the like; 0 leaves it.
    pub(super) propagation: u64,
    /// Everything below it too.
    pub(super) recursive: bool,
}

/// Changes the attributes of the mount that `mount` (from `open_tree`, or an open folder) is the top of.
pub(super) fn set_mount(mount: impl AsFd, change: MountChange) -> io::Result<()> {
    let mut set = 0;
    if change.read_only {
        set |= libc::MOUNT_ATTR_RDONLY;
    }
    if change.harmless {
        set |= libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    }
    let attributes: [u64; 4] = [set, 0, change.propagation, 0];
    let flags = libc::AT_EMPTY_PATH | if change.recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty C string and the attributes are a `struct mount_attr` (four u64), both alive during the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            attributes.as_ptr(),
            size_of_val(&attributes),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Resets every signal to its default and unblocks all, as a new program expects.
pub(super) fn reset_signals() -> io::Result<()> {
    for number in 1..=64 {
        // SAFETY: SIG_DFL is no handler of ours; numbers that cannot be set are refused without effect.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
    nix::sys::signal::SigSet::empty().thread_set_mask()?;
    Ok(())
}

/// Makes `terminal` the controlling terminal of this session.
pub(super) fn control_terminal(terminal: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: TIOCSCTTY takes a number.
    let result = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Tells a terminal its size.
pub(super) fn resize_terminal(terminal: BorrowedFd<'_>, columns: u16, rows: u16) -> io::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads one `winsize`, alive during the call.
    let result = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Puts `from` at descriptor number `to`, where it survives exec.
pub(super) fn place_descriptor(from: BorrowedFd<'_>, to: i32) -> io::Result<()> {
    // SAFETY: dup2 on a live descriptor; what was open at `to` is one of the standard streams, which nothing here owns.
    let result = if from.as_raw_fd() == to {
        // SAFETY: as above; clears close-on-exec, as dup2 would.
        unsafe { libc::fcntl(to, libc::F_SETFD, 0) }
    } else {
        // SAFETY: as above.
        unsafe { libc::dup2(from.as_raw_fd(), to) }
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Marks every descriptor from `first` on as closed on exec.
pub(super) fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: numbers only; descriptors stay open until exec.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Closes every descriptor from `first` on; nothing in this process may own one of them.
pub(super) fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: numbers only; the caller knows that nothing owns the descriptors.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads a small file without allocating; for the moment before `main`.
pub(super) fn read_start<'a>(path: &CStr, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    // SAFETY: a C string path and plain flags.
    let fd = unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    if fd < 0 {
        return None;
    }
    // SAFETY: the buffer is valid for its length, and the descriptor was opened above.
    let read = unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
    // SAFETY: opened above, closed once.
    unsafe { libc::close(fd) };
    buffer.get(..usize::try_from(read).ok()?)
}

/// Lets the kernel reap whatever this process inherits, and does nothing else until it is killed.
pub(super) fn adopt_for_ever() -> ! {
    // SAFETY: no memory is touched: descriptors are closed by number in a process that uses none of them from here on, an ignored
    // SIGCHLD makes the kernel reap children, and pause waits.
    unsafe {
        libc::prctl(libc::PR_SET_NAME, c"pause".as_ptr());
        libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0);
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
        loop {
            libc::pause();
        }
    }
}
