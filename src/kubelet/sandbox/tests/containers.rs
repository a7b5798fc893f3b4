//! One container: its program, environment, rights and end.

use super::kit::{Kit, Outcome, address, sandbox, shell};
use crate::sandbox::{HostIds, PlaceError};

#[tokio::test]
async fn a_script_runs_prints_and_exits() -> Outcome {
    let mut kit = Kit::start()?;
    let pod = kit.pod(1).await?;
    let (output, code) = kit.run(shell(&pod, "c", "echo hello; echo bad >&2; exit 3")).await?;
    assert_eq!((output.as_str(), code), ("hello\nbad\n", 3));
    kit.place.remove_pod(&pod).await?;
    kit.place.stop().await;
    Ok(())
}

#[tokio::test]
async fn environment_folder_and_user_are_as_asked_for() -> Outcome {
    let mut kit = Kit::start()?;
    let pod = kit.pod(1).await?;
    let mut spec =
        shell(&pod, "c", "echo $GREETING $HOME $(id -u):$(id -g) $(pwd); touch mine && stat -c %u:%g mine; hostname");
    spec.env = vec![("GREETING".to_owned(), "hi there".to_owned()), ("HOME".to_owned(), "/h".to_owned())];
    (spec.uid, spec.gid) = (185, 185);
    spec.cwd = "/opt/made/on/the/way".into();
    let (output, code) = kit.run(spec).await?;
    assert_eq!((output.as_str(), code), ("hi there /h 185:185 /opt/made/on/the/way\n185:185\npod-1\n", 0));
    let mut spec = shell(&pod, "d", "echo $HOME; echo again > /dev/stdout");
    (spec.uid, spec.gid) = (185, 0);
    assert_eq!(kit.run(spec).await?, ("/opt/spark\nagain\n".to_owned(), 0));
    Ok(())
}

#[tokio::test]
async fn groups_are_set_or_the_lack_is_said() -> Outcome {
    let mut kit = Kit::start()?;
    let pod = kit.pod(1).await?;
    let mut spec = shell(&pod, "c", "id -G");
    (spec.uid, spec.gid, spec.groups) = (185, 100, vec![2000]);
    let started = kit.place.start_container(spec.clone()).await?;
    let is_ordinary = matches!(kit.place.ids(), HostIds::Single { .. });
    assert_eq!(started.warnings.iter().any(|warning| warning.contains("2000")), is_ordinary);
    spec.id = "d".to_owned();
    let (output, _) = kit.run(spec).await?;
    assert!(output.starts_with("100"), "{output}");
    assert_eq!(output.contains("2000"), !is_ordinary);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_started_is_said_in_the_words_of_runtimes() -> Outcome {
    let kit = Kit::start()?;
    let pod = kit.pod(1).await?;
    let mut said = Vec::new();
    for (number, program) in ["surely-missing", "/no/such/file", "/etc/passwd", "/usr"].into_iter().enumerate() {
        let mut spec = shell(&pod, &number.to_string(), "");
        spec.argv = vec![program.to_owned()];
        match kit.place.start_container(spec).await {
            Err(PlaceError::Start { message }) => said.push(message),
            other => return Err(format!("{program}: {other:?}").into()),
        }
    }
    assert_eq!(
        said,
        [
            "exec: \"surely-missing\": executable file not found in $PATH",
            "exec: \"/no/such/file\": stat /no/such/file: no such file or directory",
            "exec: \"/etc/passwd\": permission denied",
            "exec: \"/usr\": is a directory",
        ]
    );
    let mut spec = shell("nowhere", "c", "");
    assert!(matches!(kit.place.start_container(spec.clone()).await, Err(PlaceError::Unknown { .. })));
    spec.pod = pod;
    spec.capabilities = vec!["FLY".to_owned()];
    let refused = kit.place.start_container(spec).await.map(drop).map_err(|error| error.to_string());
    assert_eq!(refused, Err("unknown capability \"CAP_FLY\"".to_owned()));
    Ok(())
}

#[tokio::test]
async fn signals_end_it_and_handlers_see_them() -> Outcome {
    let mut kit = Kit::start()?;
    let pod = kit.pod(1).await?;
    let script = "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.01; done";
    let started = kit.place.start_container(shell(&pod, "polite", script)).await?;
    let mut reader = std::io::BufReader::new(std::fs::File::from(started.stdout));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut reader, &mut line)?;
    assert_eq!(line, "ready\n");
    kit.place.signal("polite", libc::SIGTERM).await?;
    assert_eq!(kit.exit("polite").await?.code, 7);

    let _running = kit.place.start_container(shell(&pod, "stubborn", "sleep 1000 & sleep 1000")).await?;
    kit.place.signal("stubborn", libc::SIGKILL).await?;
    let exited = kit.exit("stubborn").await?;
    assert_eq!((exited.code, exited.signal), (137, Some(libc::SIGKILL)));
    assert!(matches!(kit.place.signal("stubborn", libc::SIGKILL).await, Err(PlaceError::Unknown { .. })));
    Ok(())
}

#[tokio::test]
async fn it_sees_its_own_processes_alone() -> Outcome {
    let mut kit = Kit::start()?;
    let pod = kit.pod(1).await?;
    let _other = kit.place.start_container(shell(&pod, "other", "sleep 1000")).await?;
    let (output, _) = kit.run(shell(&pod, "c", "cd /proc; echo $$ [0-9]*")).await?;
    assert_eq!(output, "1 1\n");
    Ok(())
}

#[tokio::test]
async fn containers_share_processes_when_asked_to() -> Outcome {
    let mut kit = Kit::start()?;
    let mut spec = sandbox(1);
    spec.share_processes = true;
    let pod = spec.id.clone();
    kit.place.create_pod(spec).await?;
    let _first = kit.place.start_container(shell(&pod, "first", "sleep 1000 & exec sleep 2000")).await?;
    let script = "
        for what in sleep.1000 sleep.2000; do
            until grep -qsa $what /proc/[0-9]*/cmdline; do :; done
        done
        cat /proc/1/comm";
    assert_eq!(kit.run(shell(&pod, "c", script)).await?.0, "pause\n");
    kit.place.signal("first", libc::SIGKILL).await?;
    kit.exit("first").await?;
    let script = "while grep -qs sleep /proc/[0-9]*/comm; do :; done; echo gone";
    assert_eq!(kit.run(shell(&pod, "d", script)).await?.0, "gone\n");
    kit.place.remove_pod(&pod).await?;
    Ok(())
}

#[tokio::test]
async fn it_has_no_power_over_the_machine() -> Outcome {
    let mut kit = Kit::start()?;
    let pod = kit.pod(1).await?;
    let script = "
        mount -t tmpfs none /tmp 2>/dev/null && echo mounted
        unshare -U true 2>/dev/null && echo unshared
        unshare -n true 2>/dev/null && echo unshared
        ls -A /home /root 2>/dev/null
        ls / | tr '\\n' ' '
        echo 1 2>/dev/null > /proc/sys/kernel/panic && echo wrote
        cat /proc/kcore 2>/dev/null | head -c 1
        grep -E '^(NoNewPrivs|Seccomp|CapInh|CapAmb):' /proc/self/status | tr -d '\\t' | tr '\\n' ' '
        ls /proc/self/fd | tr '\\n' ' '
        true";
    for (id, user) in [("root", 0), ("user", 185)] {
        let mut spec = shell(&pod, id, script);
        spec.uid = user;
        let (output, code) = kit.run(spec).await?;
        assert_eq!(code, 0);
        let rights = "CapInh:0000000000000000 CapAmb:0000000000000000 NoNewPrivs:1 Seccomp:2 ";
        let expected = format!("bin dev etc lib lib64 proc sbin sys tmp usr {rights}0 1 2 3 ");
        assert_eq!(output, expected);
    }
    Ok(())
}

#[tokio::test]
async fn capabilities_are_those_of_the_list() -> Outcome {
    let mut kit = Kit::start()?;
    let pod = kit.pod(1).await?;
    let script = "grep -E '^Cap(Prm|Eff|Bnd)' /proc/self/status | tr -d '\\t'";
    let mut spec = shell(&pod, "root", script);
    spec.capabilities = vec!["CHOWN".to_owned(), "NET_RAW".to_owned()];
    let list = "0000000000002001";
    assert_eq!(kit.run(spec.clone()).await?.0, format!("CapPrm:{list}\nCapEff:{list}\nCapBnd:{list}\n"));
    (spec.id, spec.uid) = ("user".to_owned(), 185);
    let none = "0000000000000000";
    assert_eq!(kit.run(spec).await?.0, format!("CapPrm:{none}\nCapEff:{none}\nCapBnd:{list}\n"));
    Ok(())
}

#[tokio::test]
async fn a_read_only_root_is_one_and_its_volumes_are_not() -> Outcome {
    let mut kit = Kit::start()?;
    let pod = kit.pod(1).await?;
    let mut spec = shell(
        &pod,
        "c",
        "touch /x /tmp/x /etc/x 2>&1 | grep -c 'Read-only'; touch /dev/shm/x && echo fine; echo x > /dev/null && echo fine",
    );
    spec.read_only_root = true;
    assert_eq!(kit.run(spec).await?.0, "3\nfine\nfine\n");
    Ok(())
}

#[tokio::test]
async fn what_it_uses_is_measured() -> Outcome {
    let mut kit = Kit::start()?;
    let pod = kit.pod(1).await?;
    // Until the kernel has counted some of its time.
    let script = "until read -r a b c d e f g h i j k l m used rest < /proc/$$/stat && [ $used -gt 0 ]; do
        n=0; while [ $n -lt 20000 ]; do n=$((n+1)); done; done; echo; sleep 1000";
    let started = kit.place.start_container(shell(&pod, "c", script)).await?;
    std::io::Read::read_exact(&mut std::fs::File::from(started.stdout), &mut [0])?;
    let (_, usage) = kit.place.usage(vec!["c".to_owned()], false).await?.remove(0);
    assert!(usage.memory > 100 << 10 && usage.processes >= 1 && !usage.cpu.is_zero(), "{usage:?}");
    kit.place.remove_pod(&pod).await?;
    assert_eq!(kit.exit("c").await?.code, 137);
    assert_eq!(kit.place.usage(vec!["c".to_owned()], false).await?, []);
    Ok(())
}

#[tokio::test]
async fn a_pod_at_a_taken_name_is_refused_and_an_address_comes_back() -> Outcome {
    let kit = Kit::start()?;
    let pod = kit.pod(1).await?;
    assert!(matches!(kit.place.create_pod(sandbox(1)).await, Err(PlaceError::Exists { .. })));
    kit.place.remove_pod(&pod).await?;
    assert!(matches!(kit.place.remove_pod(&pod).await, Err(PlaceError::Unknown { .. })));
    kit.pod(1).await?;
    let listener = kit.place.listen_tcp(std::net::SocketAddrV4::new(address(1), 80)).await;
    assert!(listener.is_err(), "a pod's address is not the place's");
    Ok(())
}

#[tokio::test]
async fn a_container_may_share_the_processes_of_another() -> Outcome {
    let mut kit = Kit::start()?;
    let pod = kit.pod(1).await?;
    kit.place.start_container(shell(&pod, "main", "exec sleep 1000")).await?;
    let script = "ls -d /proc/[0-9]* | wc -l; tr '\\0' ' ' < /proc/1/cmdline";
    let (alone, _) = kit.run(shell(&pod, "alone", script)).await?;
    assert!(alone.contains("sh -c"), "{alone}");
    let mut guest = shell(&pod, "guest", script);
    guest.processes_of = Some("main".to_owned());
    let (seen, code) = kit.run(guest).await?;
    assert!(code == 0 && seen.ends_with("sleep 1000 "), "{seen}");
    Ok(())
}
