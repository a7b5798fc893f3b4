//! Birth and death of places: what is left when they end, in whatever way, and what many pods cost.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Instant;

use futures::future::try_join_all;

use super::kit::{Kit, Outcome, sandbox, shell, until};
use crate::sandbox::{ContainerSpec, Place, PlaceConfig, PlaceError};

const VICTIM: &str = "TINDERBOX_TEST_VICTIM";

fn nothing(pod: &str, id: &str) -> ContainerSpec {
    let mut spec = shell(pod, id, "");
    spec.argv = vec!["true".to_owned()];
    spec
}

/// The processes below one, itself included.
fn family(root: i32) -> HashSet<i32> {
    let mut found = HashSet::from([root]);
    loop {
        let before = found.len();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse::<i32>().ok());
            if parent.is_some_and(|parent| found.contains(&parent)) {
                found.insert(pid);
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

fn lives(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !matches!(stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next()), None | Some("Z" | "X"))
}

fn mounts() -> Result<HashSet<String>, std::io::Error> {
    Ok(fs::read_to_string("/proc/self/mounts")?.lines().map(str::to_owned).collect())
}

fn links() -> Result<HashSet<String>, std::io::Error> {
    let names = fs::read_dir("/sys/class/net")?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    Ok(names.collect())
}

/// Not a test by itself: the process that `a_killed_node_takes_its_pods_along` kills.
#[tokio::test]
async fn victim() -> Outcome {
    if std::env::var_os(VICTIM).is_none() {
        return Ok(());
    }
    let kit = Kit::start()?;
    let pod = kit.pod(1).await?;
    let _running = kit.place.start_container(shell(&pod, "c", "trap '' TERM; sleep 1000 & sleep 1000")).await?;
    let mut shared = sandbox(2);
    shared.share_processes = true;
    kit.place.create_pod(shared).await?;
    let _other = kit.place.start_container(shell("p2", "d", "sleep 1000 & sleep 1000")).await?;
    let mut out = std::io::stdout();
    std::io::Write::write_all(&mut out, format!("\nplace {}\n", kit.place.pid()).as_bytes())?;
    std::future::pending().await
}

#[tokio::test]
async fn a_killed_node_takes_its_pods_along() -> Outcome {
    let (mounts_before, links_before) = (mounts()?, links()?);
    let mut node = Command::new(std::env::current_exe()?)
        .args(["--exact", "sandbox::tests::life::victim", "--nocapture"])
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()?;
    let lines = BufReader::new(node.stdout.take().ok_or("no output")?).lines();
    let place = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("place ")?.parse::<i32>().ok());
    let place = place.ok_or("the node said nothing")?;
    until("the shells have started what they start", || family(place).len() >= 6).await?;
    let all = family(place);
    let start = Instant::now();
    node.kill()?;
    node.wait()?;
    until("all processes are gone", || !all.iter().any(|pid| lives(*pid))).await?;
    assert!(start.elapsed().as_secs() < 2, "{:?}", start.elapsed());
    assert_eq!(mounts()?, mounts_before);
    assert_eq!(links()?, links_before);
    Ok(())
}

#[tokio::test]
async fn stopping_and_dropping_end_everything() -> Outcome {
    for by_stop in [true, false] {
        let mut kit = Kit::start()?;
        let pod = kit.pod(1).await?;
        let _running = kit.place.start_container(shell(&pod, "c", "sleep 1000")).await?;
        let all = family(kit.place.pid());
        assert!(all.len() >= 2);
        if by_stop {
            kit.place.stop().await;
            assert!(!all.iter().any(|pid| lives(*pid)));
            assert!(matches!(kit.place.create_pod(sandbox(2)).await, Err(PlaceError::Gone)));
            assert_eq!(kit.exit("c").await?.code, 137);
        } else {
            drop(kit);
            until("all processes are gone", || !all.iter().any(|pid| lives(*pid))).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_place_that_dies_reports_its_containers_as_killed() -> Outcome {
    let mut kit = Kit::start()?;
    let pod = kit.pod(1).await?;
    let _running = kit.place.start_container(shell(&pod, "c", "sleep 1000")).await?;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(kit.place.pid()), nix::sys::signal::SIGKILL)?;
    assert_eq!(kit.exit("c").await?.code, 137);
    assert!(matches!(kit.place.create_pod(sandbox(2)).await, Err(PlaceError::Gone)));
    Ok(())
}

fn descriptors(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

#[tokio::test]
async fn two_hundred_pods_leave_nothing_behind() -> Outcome {
    let mut kit = Kit::start()?;
    let pod = kit.pod(250).await?;
    kit.run(nothing(&pod, "warm")).await?;
    let before = descriptors(kit.place.pid());
    for round in 0..10 {
        let numbers: Vec<u8> = (round * 20..round * 20 + 20).collect();
        let kit = &kit;
        let pods = numbers.into_iter().map(|number| async move {
            kit.pod(number).await?;
            let pod = format!("p{number}");
            let started = kit.place.start_container(nothing(&pod, &format!("c{number}"))).await?;
            super::kit::output(started).await?;
            kit.place.remove_pod(&pod).await?;
            Ok::<_, Box<dyn std::error::Error>>(())
        });
        try_join_all(pods).await?;
    }
    for number in 0..200 {
        let exited = super::kit::within(kit.exits.recv()).await?.ok_or("the place is gone")?;
        assert_eq!(exited.code, 0, "{number}: {exited:?}");
    }
    assert!(descriptors(kit.place.pid()) <= before, "{before} descriptors before");
    assert_eq!(family(kit.place.pid()).len(), 1);
    let mut host = sandbox(251);
    host.address = None;
    kit.place.create_pod(host).await?;
    let (links, _) = kit.run(shell("p251", "links", "ls /sys/class/net; ls /proc/self/mounts >/dev/null")).await?;
    assert_eq!(links.lines().filter(|name| name.starts_with("tb")).count(), 2, "{links}");
    Ok(())
}

#[tokio::test]
async fn ends_are_never_lost() -> Outcome {
    let mut kit = Kit::start()?;
    let pod = kit.pod(1).await?;
    let starts = (0..60).map(|number| kit.place.start_container(nothing(&pod, &number.to_string())));
    let _started = try_join_all(starts).await?;
    let mut seen = HashSet::new();
    while seen.len() < 60 {
        let exited = super::kit::within(kit.exits.recv()).await?.ok_or("the place is gone")?;
        assert_eq!(exited.code, 0);
        assert!(seen.insert(exited.id));
    }
    Ok(())
}

#[tokio::test]
async fn a_pod_and_a_container_take_milliseconds() -> Outcome {
    let mut kit = Kit::start()?;
    let mut times = Vec::new();
    for number in 0..20 {
        let start = Instant::now();
        let pod = kit.pod(number).await?;
        let id = format!("c{number}");
        let _started = kit.place.start_container(nothing(&pod, &id)).await?;
        let started = start.elapsed();
        kit.exit(&id).await?;
        kit.place.remove_pod(&pod).await?;
        times.push(started);
    }
    times.sort();
    assert!(times[10].as_millis() < 100, "{times:?}");
    Ok(())
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() -> Outcome {
    let refused = Place::start(PlaceConfig { binds: vec!["/no/such/folder".into()] });
    assert!(matches!(refused, Err(PlaceError::Failed { attempted, .. }) if attempted.contains("/no/such/folder")));
    Ok(())
}

/// All the other tests, without root's rights. Where the tests are run by an ordinary user, they have been just that.
#[test]
fn as_an_ordinary_user() -> Outcome {
    if !nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    // By descriptor: the folders above may be closed to others.
    let program = fs::File::open(std::env::current_exe()?)?;
    let folder = tempfile::tempdir()?;
    std::os::unix::fs::chown(folder.path(), Some(65534), Some(65534))?;
    nix::fcntl::fcntl(&program, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))?;
    let output = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
        .arg0("ordinary-user")
        .args(["sandbox::tests", "--skip", "as_an_ordinary_user"])
        .env("TMPDIR", folder.path())
        .current_dir("/")
        .uid(65534)
        .gid(65534)
        .output()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success() && text.contains(" passed"), "{text}");
    Ok(())
}
