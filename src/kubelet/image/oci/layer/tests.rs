//! Layers of archives, honest and hostile, into folders.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

use super::tree::{Found, Tree};
use super::*;

/// An archive under construction; names go in as they are, however wrong.
#[derive(Default)]
struct Archive(Vec<u8>);

impl Archive {
    fn put(mut self, kind: u8, name: &str, mode: u32, link: &str, content: &[u8]) -> Self {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_mode(mode);
        header.set_uid(1000);
        header.set_gid(1001);
        header.set_mtime(1_000_000_000);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn folder(self, name: &str, mode: u32) -> Self {
        self.put(b'5', name, mode, "", b"")
    }

    fn file(self, name: &str, content: &[u8]) -> Self {
        self.put(b'0', name, 0o644, "", content)
    }

    fn link(self, name: &str, to: &str) -> Self {
        self.put(b'2', name, 0o777, to, b"")
    }

    fn hard(self, name: &str, to: &str) -> Self {
        self.put(b'1', name, 0o644, to, b"")
    }

    fn pax(self, record: &str) -> Self {
        let mut length = record.len() + 3;
        while format!("{length} {record}\n").len() != length {
            length += 1;
        }
        self.put(b'x', "pax", 0o644, "", format!("{length} {record}\n").as_bytes())
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// A folder for layers, and a canary beside them.
struct Yard(tempfile::TempDir);

impl Yard {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("canary"), "alive").expect("written");
        Self(dir)
    }

    fn unpack_with(&self, name: &str, archive: &[u8], below: &[&str], limits: &Limits) -> Result<PathBuf, Problem> {
        let into = self.0.path().join(name);
        fs::create_dir(&into).expect("made");
        let below: Vec<PathBuf> = below.iter().map(|name| self.0.path().join(name)).collect();
        let ids = HostIds::of_this_process();
        let sum = unpack(archive, archive.len() as u64, &into, &below, ids, limits)?;
        assert_eq!(sum, Digest::of(archive));
        Ok(into)
    }

    fn unpack(&self, name: &str, archive: &[u8], below: &[&str]) -> PathBuf {
        self.unpack_with(name, archive, below, &Limits::USUAL).expect("unpacked")
    }

    /// Why an archive is refused; nothing outside its folder has changed.
    fn refused(&self, name: &str, archive: &[u8]) -> String {
        let problem = match self.unpack_with(name, archive, &[], &Limits::USUAL) {
            Err(Problem::Archive(problem)) => problem,
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(fs::read_to_string(self.0.path().join("canary")).expect("still there"), "alive");
        crate::image::remove_tree(&self.0.path().join(name)).expect("removed");
        let left: Vec<_> =
            fs::read_dir(self.0.path()).expect("read").flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left, ["canary"], "{name}");
        problem
    }

    fn tree(&self, layers: &[&str]) -> Tree {
        let paths: Vec<PathBuf> = layers.iter().map(|name| self.0.path().join(name)).collect();
        Tree::of_paths(&paths).expect("opened")
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("there").mode() & 0o7777
}

#[test]
fn files_folders_and_links_are_as_the_archive_says() {
    let yard = Yard::new();
    let archive = Archive::default()
        .folder("./", 0o755)
        .folder("tmp/", 0o1777)
        .file("bin/tool", b"tool")
        .put(b'0', "bin/su", 0o4755, "", b"su")
        .hard("bin/same", "bin/tool")
        .hard("bin/also", "/bin/tool")
        .link("bin/relative", "tool")
        .link("bin/absolute", "/bin/tool")
        .put(b'6', "pipe", 0o600, "", b"")
        .put(b'3', "device", 0o600, "", b"")
        .file("twice", b"first")
        .file("twice", b"second")
        .folder("closed/", 0o500)
        .file("closed/inner", b"x")
        .pax("SCHILY.xattr.user.kind=good")
        .file("marked", b"x")
        .pax("SCHILY.xattr.user.overlay.redirect=/etc")
        .file("sly", b"x")
        .pax(&format!("path={}/end", "long/".repeat(60)))
        .file("short", b"far")
        .end();
    let at = yard.unpack("a", &archive, &[]);
    let read = |path: &str| fs::read_to_string(at.join(path)).expect(path);
    assert_eq!(
        (read("bin/tool").as_str(), read("bin/relative").as_str(), read("twice").as_str()),
        ("tool", "tool", "second")
    );
    assert_eq!((mode(&at.join("tmp")), mode(&at.join("bin/su")), mode(&at.join("bin/tool"))), (0o1777, 0o4755, 0o644));
    assert_eq!(fs::read_link(at.join("bin/absolute")).expect("a link"), Path::new("/bin/tool"));
    let tool = fs::metadata(at.join("bin/tool")).expect("there");
    assert_eq!((tool.nlink(), tool.mtime()), (3, 1_000_000_000));
    assert!(fs::metadata(at.join("pipe")).expect("there").file_type().is_fifo());
    assert!(!at.join("device").exists());
    assert_eq!(read("closed/inner"), "x");
    assert_eq!(read(&format!("{}end", "long/".repeat(60))), "far");
    let mut value = [0; 16];
    let length = rustix::fs::getxattr(at.join("marked"), "user.kind", &mut value).expect("there");
    assert_eq!(&value[..length], b"good");
    assert!(rustix::fs::getxattr(at.join("sly"), "user.overlay.redirect", &mut value).is_err());
    match HostIds::of_this_process() {
        ids @ HostIds::Range { .. } => assert_eq!((tool.uid(), tool.gid()), (ids.uid(1000), ids.gid(1001))),
        HostIds::Single { uid, .. } => assert_eq!(tool.uid(), uid),
    }
}

#[test]
fn upper_layers_hide_and_replace_what_is_below() {
    let yard = Yard::new();
    let low = Archive::default()
        .folder("tmp/", 0o1777)
        .file("kept", b"low")
        .file("gone", b"low")
        .file("dir/a", b"low")
        .file("dir/b", b"low")
        .file("opaque/old", b"low")
        .file("again/old", b"low")
        .file("becomes-file/x", b"low")
        .file("becomes-dir", b"low")
        .folder("run/", 0o755)
        .link("var/run", "/run")
        .end();
    let high = Archive::default()
        .file(".wh.gone", b"")
        .file("dir/.wh.a", b"")
        .file("opaque/new", b"high")
        .file("opaque/.wh..wh..opq", b"")
        .file(".wh.again", b"")
        .file("again/new", b"high")
        .file("becomes-file", b"high")
        .folder("becomes-dir/", 0o755)
        .file("becomes-dir/x", b"high")
        .file("var/run/pid", b"high")
        .file("tmp/x", b"high")
        .hard("linked", "kept")
        .file("dir/.wh..wh.plnk", b"")
        .end();
    yard.unpack("low", &low, &[]);
    let high = yard.unpack("high", &high, &["low"]);
    let tree = yard.tree(&["high", "low"]);
    let read = |path: &str| {
        let content = tree.read(Path::new(path), 100).expect(path);
        content.map(|bytes| String::from_utf8(bytes).expect("text"))
    };
    for (path, content) in [
        ("kept", Some("low")),
        ("gone", None),
        ("dir/a", None),
        ("dir/b", Some("low")),
        ("opaque/old", None),
        ("opaque/new", Some("high")),
        ("again/old", None),
        ("again/new", Some("high")),
        ("becomes-file", Some("high")),
        ("becomes-dir/x", Some("high")),
        ("run/pid", Some("high")),
        ("var/run/pid", Some("high")),
        ("tmp/x", Some("high")),
        ("linked", Some("low")),
    ] {
        assert_eq!(read(path).as_deref(), content, "{path}");
    }
    // A link of a lower layer is written through, not covered; a folder in between looks as it does below.
    assert!(!high.join("var").exists());
    assert_eq!(mode(&high.join("tmp")), 0o1777);
    assert!(matches!(tree.find(Path::new("var/run"), false), Ok((_, Found::Link(to))) if to == Path::new("/run")));
}

#[test]
fn archives_that_try_to_leave_the_root_are_refused() {
    let yard = Yard::new();
    let archive = Archive::default;
    for (name, bytes, problem) in [
        ("parent", archive().file("../canary", b"dead").end(), "entry ../canary leads out of the image"),
        ("deeper", archive().file("a/../../canary", b"dead").end(), "entry a/../../canary leads out of the image"),
        ("absolute", archive().file("/canary", b"dead").end(), "entry /canary leads out of the image"),
        ("pax", archive().pax("path=../canary").file("x", b"dead").end(), "entry ../canary leads out of the image"),
        ("hard", archive().hard("x", "../canary").end(), "entry x: its target ../canary leads out of the image"),
        ("hard-out", archive().hard("x", "/etc/hostname").end(), "entry x: its target /etc/hostname is not there"),
        (
            "through-hard",
            archive().link("up", "..").hard("x", "up/canary").end(),
            "entry x: its target up/canary is not there",
        ),
        ("file-as-folder", archive().file("a", b"").file("a/b", b"").end(), "entry a/b: Not a directory (os error 20)"),
        (
            "loop",
            archive().link("a", "b").link("b", "a").file("a/x", b"").end(),
            "entry a/x: Too many levels of symbolic links (os error 40)",
        ),
        ("whiteout", archive().file(".wh...", b"").end(), "entry .wh...: Invalid argument (os error 22)"),
        ("strange", archive().put(b'Z', "x", 0o644, "", b"").end(), "entry x: entries of type 'Z' are not read"),
        (
            "sizes",
            archive().pax("size=9").file("x", b"y").end(),
            "entry x: its two sizes differ: files over 8 GiB are not read",
        ),
    ] {
        assert_eq!(yard.refused(name, &bytes), problem, "{name}");
    }
}

#[test]
fn links_out_of_the_root_stay_within() {
    let yard = Yard::new();
    let out = format!("{}/canary", yard.0.path().display());
    let up = "../".repeat(30);
    let archive = Archive::default()
        .link("file", &out)
        .file("file", b"dead")
        .link("absolute", "/")
        .file("absolute/a", b"in")
        .link("up", &up)
        .file("up/b", b"in")
        .link("deep", "up/deeper")
        .file("deep/c", b"in")
        .end();
    let at = yard.unpack("a", &archive, &[]);
    assert_eq!(fs::read_to_string(yard.0.path().join("canary")).expect("still there"), "alive");
    for path in ["a", "b", "deeper/c"] {
        assert_eq!(fs::read_to_string(at.join(path)).expect(path), "in");
    }
    assert_eq!(fs::read_to_string(at.join("file")).expect("replaced"), "dead");
    assert!(fs::symlink_metadata(at.join("file")).expect("there").is_file());
    // Only what the archive says is in a folder that somebody may have opened for all.
    fs::set_permissions(&at, fs::Permissions::from_mode(0o755)).expect("set");
}

#[test]
fn sizes_have_limits() {
    let yard = Yard::new();
    let zeros = Archive::default().file("zeros", &vec![0; 1 << 20]).end();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    io::Write::write_all(&mut gz, &zeros).expect("packed");
    let bomb = gz.finish().expect("packed");
    let limits = Limits { free: 100_000, ratio: 20, ..Limits::USUAL };
    let refused = |name: &str, archive: &[u8], limits: &Limits| match yard.unpack_with(name, archive, &[], limits) {
        Err(Problem::Archive(problem)) => problem,
        other => panic!("{other:?}"),
    };
    let most = (bomb.len() as u64 * 20).max(100_000);
    let problem = format!("entry zeros: it unpacks to more than {most} bytes, which no honest layer does");
    assert_eq!(refused("bomb", &bomb, &limits), problem);
    let many = Archive::default().file("a", b"").file("b", b"").file("c", b"").end();
    assert_eq!(refused("many", &many, &Limits { entries: 2, ..Limits::USUAL }), "it has more than 2 entries");
    let mut long = Archive::default().put(b'L', "name", 0o644, "", b"").end();
    let header = tar::Header::from_byte_slice(&long[..512]).clone();
    let mut header = header;
    header.set_size(2 << 20);
    header.set_cksum();
    long[..512].copy_from_slice(header.as_bytes());
    assert_eq!(refused("long", &long, &Limits::USUAL), "a header of 2097152 bytes is longer than 1048576");
}

#[test]
fn what_is_cut_off_is_told() {
    let yard = Yard::new();
    let archive = Archive::default().file("a", &[1; 5000]).end();
    assert_eq!(yard.refused("cut", &archive[..2000]), "it is cut off in entry a");
    assert_eq!(yard.refused("header", &archive[..300]), "failed to read entire block");
}
