//! What is written into groups and read from them, in folders that stand for both versions.

use super::*;

fn read(path: PathBuf) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

const LIMITS: Limits = Limits { memory: Some(64 << 20), cpu_millis: Some(500), cpu_request_millis: 250 };

#[test]
fn version_1() {
    let dir = tempfile::tempdir().unwrap();
    let folders = v1::Hierarchies {
        memory: dir.path().join("memory"),
        cpu: dir.path().join("cpu"),
        cpuacct: dir.path().join("cpu"),
    };
    folders.all().iter().for_each(|path| fs::create_dir(path).unwrap());
    let groups = Arc::new(Groups { kind: Kind::V1(folders.clone()), leaving: Mutex::default() });
    let group = groups.add("a", &LIMITS).unwrap();
    assert_eq!(read(folders.memory.join("a/memory.limit_in_bytes")), "67108864");
    assert_eq!(read(folders.cpu.join("a/cpu.shares")), "256");
    assert_eq!(read(folders.cpu.join("a/cpu.cfs_quota_us")), "50000");
    fs::write(folders.memory.join("a/memory.oom_control"), "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n").unwrap();
    fs::write(folders.memory.join("a/memory.usage_in_bytes"), "3000\n").unwrap();
    fs::write(folders.memory.join("a/memory.stat"), "cache 1\ninactive_file 5\ntotal_inactive_file 1000\n").unwrap();
    fs::write(folders.cpu.join("a/cpuacct.usage"), "1500000000\n").unwrap();
    assert_eq!(group.oom_kills(), 2);
    assert_eq!(group.used(), Some(Used { cpu: Duration::from_millis(1500), memory: 2000 }));
}

#[test]
fn version_2() {
    let dir = tempfile::tempdir().unwrap();
    let groups = Arc::new(Groups { kind: Kind::V2(dir.path().to_owned()), leaving: Mutex::default() });
    // The files are there before a limit is written to them, as the kernel has it.
    fs::create_dir(dir.path().join("with-cpu")).unwrap();
    fs::write(dir.path().join("with-cpu/cpu.max"), "max 100000").unwrap();
    v2::limit(&dir.path().join("with-cpu"), &LIMITS).unwrap();
    assert_eq!(read(dir.path().join("with-cpu/cpu.max")), "50000 100000");
    assert_eq!(read(dir.path().join("with-cpu/cpu.weight")), "10");
    let group = groups.add("a", &LIMITS).unwrap();
    let folder = dir.path().join("a");
    assert_eq!(read(folder.join("memory.max")), "67108864");
    assert_eq!(read(folder.join("memory.oom.group")), "1");
    fs::write(folder.join("memory.events"), "low 0\noom 3\noom_kill 1\n").unwrap();
    fs::write(folder.join("memory.current"), "3000\n").unwrap();
    fs::write(folder.join("memory.stat"), "anon 1\ninactive_file 1000\n").unwrap();
    fs::write(folder.join("cpu.stat"), "usage_usec 1500000\nuser_usec 1\n").unwrap();
    assert_eq!(group.oom_kills(), 1);
    assert_eq!(group.used(), Some(Used { cpu: Duration::from_millis(1500), memory: 2000 }));
}

#[test]
fn what_was_noted_is_cleared() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, other) = (dir.path().join("tinderbox-1/a"), dir.path().join("other"));
    fs::create_dir_all(&ours).unwrap();
    fs::create_dir(&other).unwrap();
    let noted = [dir.path().join("tinderbox-1"), other.clone()].map(|path| path.display().to_string());
    fs::write(record(dir.path()), noted.join("\n")).unwrap();
    clear(dir.path());
    assert!(!dir.path().join("tinderbox-1").exists() && !record(dir.path()).exists() && other.exists());
}
