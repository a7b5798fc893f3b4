//! A whole life where nothing can be written outside the cache and the state folder, in a process namespace of its own, as an
//! ordinary user without `newuidmap`: afterwards there is no process, no mount, no open port and no file.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::process::Command;

use crate::machine;
use crate::program::{Cluster, program};

/// Makes every file system read-only but the folder that it is called in, and goes on as a user without any right.
const SEAL: &str = r#"
folder=$PWD
mount --bind "$folder" "$folder"
while read -r _ at kind options _; do
  case $kind in ext*|xfs|btrfs|zfs|overlay|tmpfs|devtmpfs|ramfs|virtiofs|9p|fuse*|nfs*) ;; *) continue ;; esac
  [ "$at" != "$folder" ] || continue
  flags=ro
  for flag in nosuid nodev noexec noatime nodiratime relatime; do
    case ",$options," in *",$flag,"*) flags=$flags,$flag ;; esac
  done
  # What lies under another mount cannot be reached either way.
  mount -o "remount,bind,$flags" "$at" 2>/dev/null || true
done < /proc/mounts
cd "$folder"
exec unshare --map-user=1000 --map-group=1000 sh -euc "$LIFE" sh "$@"
"#;

/// What a user does with a cluster.
const LIFE: &str = r#"
for folder in / /tmp /var/tmp /dev/shm /run; do
  ! touch $folder/tinderbox-probe 2>/dev/null || { echo "$folder is not sealed"; exit 1; }
done
cat /proc/self/mounts > mounts
"$@" doctor
"$@" up
"$@" run job.json
"$@" kubectl get pods
"$@" logs one
"$@" logs node
"$@" status -o json > status
"$@" export export.tar.gz
"$@" up
"$@" down
"$@" down
echo "== left in the home folder, and of clusters"
find user home 2>/dev/null || true
echo "== in the folder"
ls
echo "== mounts"
diff mounts /proc/self/mounts && echo the same
echo "== processes"
for process in /proc/[0-9]*; do
  read -r line < $process/stat
  case $line in *") Z "*) ;; *) echo "${process#/proc/} ${line%%)*})" ;; esac
done
"#;

const JOB: &str = r#"{"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "one"}, "spec": {"template": {"spec": {
    "restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox", "command": ["echo", "hello"]}]}}}}"#;

#[test]
fn a_life_writes_nowhere_else_and_leaves_nothing() {
    let cluster = Cluster::of_own_project("sealed");
    let folder = cluster.files();
    cluster.write("job.json", JOB);
    fs::create_dir(folder.join("user")).expect("made");
    // The ordinary user may not be able to reach the folder of the build.
    let own = folder.join("xtask");
    fs::copy(program(), &own).expect("copied");
    fs::set_permissions(folder.parent().expect("in a folder"), fs::Permissions::from_mode(0o755)).expect("set");

    let is_root = fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    let mut command = Command::new(if is_root { "setpriv" } else { "unshare" });
    if is_root {
        const NOBODY: u32 = 65_534;
        for path in [folder.clone(), folder.join("user"), folder.join("job.json")] {
            chown(path, Some(NOBODY), Some(NOBODY)).expect("given");
        }
        command.args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), "--clear-groups", "unshare"]);
    }
    command.args(["-Urmpf", "--mount-proc", "sh", "-euc", SEAL, "sh"]).arg(&own);
    cluster.aim(&mut command);
    command.env("LIFE", LIFE).env("TINDERBOX_HOME", folder.join("home")).env("HOME", folder.join("user"));
    command.env("XDG_CACHE_HOME", folder.join("cache")).env_remove("TMPDIR").env_remove("KUBECONFIG");
    let said = crate::program::Said::from(command.output().expect("it runs")).succeeded();

    let (life, left) =
        said.split_once("== left in the home folder, and of clusters\n").unwrap_or_else(|| panic!("{said}"));
    assert!(life.contains("all user ids in pods are this user's on the machine"), "{life}");
    assert!(life.contains("\nhello\n") && life.contains("job.json succeeded"), "{life}");
    insta::assert_snapshot!(left, @r"
        user
        == in the folder
        cache
        export.tar.gz
        job.json
        mounts
        status
        user
        xtask
        == mounts
        the same
        == processes
        1 1 (sh)
    ");
    let status = fs::read_to_string(folder.join("status")).expect("written");
    let server = status.split("https://127.0.0.1:").nth(1).and_then(|rest| rest.split('"').next());
    let port = server.and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("{status}"));
    assert!(!machine::listens(port), "port {port} is still open");
}
