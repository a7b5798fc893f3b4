//! Machines that lack something: namespaces, Java, Python, space. Simulated in namespaces of the command's own, so that nobody
//! else on the machine notices.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::program::{Cluster, Said, program};

/// Runs a shell script as root of namespaces of its own. The program and its arguments are the script's `"$@"`.
pub(crate) fn in_own_namespaces(cluster: &Cluster, script: &str, set: &[(&str, &Path)]) -> Said {
    let mut command = Command::new("unshare");
    command.args(["-Urm", "sh", "-euc", script, "sh"]).arg(program());
    cluster.aim(&mut command);
    command.envs(set.iter().copied());
    command.output().expect("unshare runs").into()
}

#[test]
fn refused_namespaces_are_told_with_the_remedy() {
    let cluster = Cluster::new("refused");
    let told = |verb: &str| {
        let script = format!("echo 0 > /proc/sys/user/max_user_namespaces\nexec \"$@\" {verb}");
        in_own_namespaces(&cluster, &script, &[])
    };
    insta::assert_snapshot!(cluster.tidy(&told("up").failed(3)), @r"
        starting cluster NAME
        error: cannot make the place where pods run
          because: cannot set up a place for pods on this machine: create a user namespace
          because: No space left on device (os error 28)
        hint: user namespaces are switched off: sudo sysctl -w user.max_user_namespaces=65536
    ");
    cluster.assert_gone();
    let doctor = told("doctor");
    assert_eq!(doctor.code, Some(3), "{doctor:?}");
    let lines: Vec<&str> = doctor.out.lines().take(2).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
        LACK  namespaces for pods: cannot make a place where pods could run: cannot set up a place for pods on this machine: create a user namespace: No space left on device (os error 28)
              to mend it: user namespaces are switched off: sudo sysctl -w user.max_user_namespaces=65536
    ");
    assert_eq!(doctor.out.lines().last(), Some("something needed is lacking"));
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    let cluster = Cluster::new("closed");
    let closed = cluster.files().join("closed");
    fs::create_dir(&closed).expect("made");
    let home = closed.join("home");
    let told = |verb: &str| {
        let script = format!("mount -t tmpfs -o ro tmpfs {}\nexec \"$@\" -q {verb}", closed.display());
        in_own_namespaces(&cluster, &script, &[("TINDERBOX_HOME", &home)])
    };
    let up = cluster.tidy(&told("up").failed(3));
    let wanted = "error: cannot make the folder DIR/files/closed/home\n  because: Read-only file system (os error 30)";
    assert_eq!(up, wanted);
    let doctor = told("doctor");
    assert_eq!(doctor.code, Some(3), "{doctor:?}");
    let out = cluster.tidy(&doctor.out);
    let lack = "LACK  disk space for the cluster: cannot write in DIR/files/closed: Read-only file system";
    let mend = "to mend it: sudo chown $(id -un) DIR/files/closed, or set TINDERBOX_HOME to a folder of your own";
    assert!(out.contains(lack) && out.contains(mend), "{out}");
}

/// Hides this machine's Java and Python, and offers what is in a folder.
const HIDDEN: &str = r#"
[ ! -d /usr/lib/jvm ] || mount -t tmpfs tmpfs /usr/lib/jvm
for python in /usr/bin/python3*; do [ ! -x $python ] || mount --bind /dev/null $python; done
PATH=$LANGUAGES
"#;

fn script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("in a folder")).expect("made");
    fs::write(path, format!("#!/bin/sh\n{text}")).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("set");
}

#[test]
fn a_java_or_python_that_is_missing_or_too_new_is_told() {
    let cluster = Cluster::of_own_project("languages");
    let (none, new) = (cluster.files().join("none"), cluster.files().join("new"));
    script(&new.join("bin/java"), "exit 1\n");
    fs::write(new.join("release"), "JAVA_VERSION=\"25.0.1\"\n").expect("written");
    script(&new.join("bin/python3"), "printf '3\\n14\\n/pythons/3.14\\n'\n");
    let doctor = |languages: &Path| {
        let said = in_own_namespaces(&cluster, &format!("{HIDDEN}exec \"$@\" doctor"), &[("LANGUAGES", languages)]);
        assert_eq!(said.code, Some(3), "{said:?}");
        let lines: Vec<&str> = said.out.lines().skip_while(|line| !line.contains("Java: ")).take(4).collect();
        cluster.tidy(&lines.join("\n"))
    };
    insta::assert_snapshot!(doctor(&none), @r"
        LACK  Java: Spark 4.0 cannot run: it needs Java 17 or 21, and there is none
              to mend it: sudo apt install openjdk-17-jre-headless, or set JAVA_HOME to a full Java 17 or 21
        LACK  Python 3: Spark 4.0 cannot run: it needs Python 3.9 to 3.13, and there is none
              to mend it: sudo apt install python3, or put a python3 of a fitting version on the PATH
    ");
    insta::assert_snapshot!(doctor(&new.join("bin")), @r"
        LACK  Java: Spark 4.0 cannot run: it needs Java 17 or 21, and there is only 25.0.1 in DIR/files/new
              to mend it: sudo apt install openjdk-17-jre-headless, or set JAVA_HOME to a full Java 17 or 21
        LACK  Python 3: Spark 4.0 cannot run: it needs Python 3.9 to 3.13, and there is only 3.14 at /pythons/3.14/bin/python3.14
              to mend it: sudo apt install python3, or put a python3 of a fitting version on the PATH
    ");

    // And what a pod of such an image says.
    cluster.write(
        "pod.json",
        r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "spark"}, "spec": {"restartPolicy": "Never",
        "containers": [{"name": "main", "image": "apache/spark:4.0.1", "command": ["true"]}]}}"#,
    );
    let life = format!("{HIDDEN}\"$@\" -q up\ncode=0\n\"$@\" -q run pod.json || code=$?\n\"$@\" -q down\nexit $code");
    let said = in_own_namespaces(&cluster, &life, &[("LANGUAGES", &none)]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let why = "could not make image docker.io/apache/spark:4.0.1: it needs Java 17 or 21, and there is none (install OpenJDK 17 or \
               21, or set JAVA_HOME to one)";
    assert!(said.out.contains(why), "{}", said.out);
    cluster.assert_gone();
}

/// Serves one package of 3 MiB to everybody who asks, as long as the test runs.
fn package_index() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || listener.incoming().flatten().for_each(answer));
    address
}

fn answer(mut stream: TcpStream) {
    let mut lines = BufReader::new(stream.try_clone().expect("cloned")).lines().map_while(Result::ok);
    let path = lines.next().unwrap_or_default();
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let list = format!("<a href=\"../../files/thing-1.0.tar.gz#sha256={}\">thing-1.0.tar.gz</a>", "0".repeat(64));
    let body = if path.contains("/files/") { vec![0; 3 << 20] } else { list.into_bytes() };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // Whoever asked may have gone, or have no space for more.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}

#[test]
fn a_disk_that_is_full_of_downloads_is_told() {
    let cluster = Cluster::of_own_project("download");
    let index = format!("http://{}/simple/", package_index());
    cluster.write("tinderbox.yaml", "images: [{name: described:1, from: python:3, pip: [thing==1.0]}]\n");
    cluster.write(
        "pod.json",
        r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": {"restartPolicy": "Never",
        "containers": [{"name": "main", "image": "described:1", "command": ["true"]}]}}"#,
    );
    let cache = cluster.files().join("cache");
    fs::create_dir(&cache).expect("made");
    let life = "mount -t tmpfs -o size=1m tmpfs \"$XDG_CACHE_HOME\"\n\"$@\" -q up\ncode=0\n\"$@\" -q run pod.json || code=$?\n\
                \"$@\" -q down\nexit $code";
    let said = in_own_namespaces(&cluster, life, &[("XDG_CACHE_HOME", &cache), ("PIP_INDEX_URL", Path::new(&index))]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let part = cache.join("tinderbox/downloads/thing-1.0.tar.gz.part");
    let told = format!("no space left for {}: ", part.display());
    let (_, rest) = said.out.split_once(&told).unwrap_or_else(|| panic!("{}", said.out));
    let advice = " more bytes are needed there (free space on that disk, or set XDG_CACHE_HOME to another one; the next try continues)";
    let number = rest.split_once(advice).unwrap_or_else(|| panic!("{rest}")).0;
    assert!(number.parse::<u64>().is_ok_and(|needed| needed > 1 << 20), "{number}");
    cluster.assert_gone();
}

#[test]
fn a_disk_that_is_full_of_objects_fails_the_write_and_nothing_else() {
    let cluster = Cluster::new("objects");
    fs::create_dir(cluster.home()).expect("made");
    let life = r#"
mount -t tmpfs -o size=16m tmpfs "$TINDERBOX_HOME"
fill() { dd if=/dev/zero of="$TINDERBOX_HOME/filler" bs=64k 2>/dev/null || true; }
head -c 400000 /dev/zero | tr '\0' x > large
fill
echo "up on a full disk"
"$@" -q up || echo "code $?"
ls "$TINDERBOX_HOME"
rm "$TINDERBOX_HOME/filler"
"$@" -q up > up
"$@" kubectl create configmap before --from-file=large
fill
echo "a write on a full disk"
"$@" kubectl create configmap during --from-file=large || echo "code $?"
"$@" kubectl get configmap during || echo "code $?"
rm "$TINDERBOX_HOME/filler"
echo "a write after that"
"$@" kubectl create configmap after --from-file=large
"$@" kubectl get configmap before after -o name
"$@" -q down > down
ls "$TINDERBOX_HOME"
"#;
    let said = in_own_namespaces(&cluster, &format!("exec 2>&1\n{life}"), &[]).succeeded();
    insta::assert_snapshot!(cluster.tidy(&said), @r#"
        up on a full disk
        error: cannot write DIR/home/NAME/state.json
          because: No space left on device (os error 28)
        hint: free some space on that file system
        code 3
        filler
        configmap/before created
        a write on a full disk
        error: failed to create configmap: Internal error occurred: could not write to the log of the store: No space left on device (os error 28)
        code 1
        Error from server (NotFound): configmaps "during" not found
        code 1
        a write after that
        configmap/after created
        configmap/before
        configmap/after
    "#);
}
