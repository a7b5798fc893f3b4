//! Processes inside running containers, and terminals.

use std::fs::File;
use std::io::Write;

use super::kit::{Kit, Outcome, output, shell, text};
use crate::sandbox::{ExecSpec, PlaceError};

fn exec(id: &str, script: &str) -> ExecSpec {
    ExecSpec {
        container: "c".to_owned(),
        id: id.to_owned(),
        argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
        ..ExecSpec::default()
    }
}

#[tokio::test]
async fn it_is_the_containers_user_in_the_containers_world() -> Outcome {
    let mut kit = Kit::start()?;
    let pod = kit.pod(1).await?;
    let mut spec = shell(&pod, "c", "echo mine > /tmp/file; echo; exec sleep 1000");
    (spec.uid, spec.gid) = (185, 185);
    spec.env = vec![("A".to_owned(), "1".to_owned()), ("B".to_owned(), "2".to_owned())];
    spec.cwd = "/tmp".into();
    let started = kit.place.start_container(spec).await?;
    std::io::Read::read_exact(&mut File::from(started.stdout), &mut [0])?;
    let script = "cat file; id -u; hostname; echo $A $B; cat /proc/1/comm; grep -E '^(NoNewPrivs|Seccomp|CapEff):' /proc/self/status | cut -f2; exit 4";
    let mut spec = exec("e", script);
    spec.env = vec![("B".to_owned(), "3".to_owned())];
    let (text, errors) = output(kit.place.exec(spec).await?).await?;
    assert_eq!((text.as_str(), errors.as_str()), ("mine\n185\npod-1\n1 3\nsleep\n0000000000000000\n1\n2\n", ""));
    assert_eq!(kit.exit("e").await?.code, 4);
    Ok(())
}

#[tokio::test]
async fn input_is_passed_on_and_closed() -> Outcome {
    let mut kit = Kit::start()?;
    let pod = kit.pod(1).await?;
    let _running = kit.place.start_container(shell(&pod, "c", "sleep 1000")).await?;
    let mut spec = exec("e", "wc -c");
    spec.stdin = true;
    let mut started = kit.place.exec(spec).await?;
    let input = started.stdin.take().ok_or("no input")?;
    let reader = text(started.stdout);
    let long = vec![b'x'; 1 << 20];
    tokio::task::spawn_blocking(move || File::from(input).write_all(&long)).await??;
    assert_eq!(reader.await?.trim(), (1 << 20).to_string());
    assert_eq!(kit.exit("e").await?.code, 0);
    Ok(())
}

#[tokio::test]
async fn a_terminal_is_one_and_knows_its_size() -> Outcome {
    let mut kit = Kit::start()?;
    let pod = kit.pod(1).await?;
    let mut spec = shell(&pod, "c", "exec sleep 1000");
    (spec.uid, spec.gid) = (185, 185);
    let _running = kit.place.start_container(spec).await?;
    let mut spec = exec("e", "tty; echo $TERM; read line; stty size; echo got $line; echo err >&2");
    (spec.tty, spec.stdin) = (true, true);
    let mut started = kit.place.exec(spec).await?;
    assert!(started.stderr.is_none());
    kit.place.resize("e", 111, 42).await?;
    File::from(started.stdin.take().ok_or("no input")?).write_all(b"word\n")?;
    let printed = text(started.stdout).await?;
    assert_eq!(kit.exit("e").await?.code, 0);
    let lines: Vec<_> = printed.lines().map(str::trim_end).filter(|line| *line != "word").collect();
    assert_eq!(lines, ["/dev/pts/0", "xterm", "42 111", "got word", "err"]);
    assert!(matches!(kit.place.resize("c", 1, 1).await, Err(PlaceError::Unknown { .. })));
    Ok(())
}

#[tokio::test]
async fn a_terminal_of_a_container_passes_interrupts_on() -> Outcome {
    let mut kit = Kit::start()?;
    let pod = kit.pod(1).await?;
    let mut spec = shell(&pod, "c", "trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 0.01; done");
    (spec.tty, spec.stdin) = (true, true);
    let started = kit.place.start_container(spec).await?;
    let mut terminal = File::from(started.stdout);
    let mut seen = Vec::new();
    while !seen.ends_with(b"ready\r\n") {
        let mut byte = [0];
        std::io::Read::read_exact(&mut terminal, &mut byte)?;
        seen.extend(byte);
    }
    terminal.write_all(&[3])?;
    assert_eq!(kit.exit("c").await?.code, 5);
    Ok(())
}

#[tokio::test]
async fn without_a_container_or_a_program_there_is_none() -> Outcome {
    let mut kit = Kit::start()?;
    let pod = kit.pod(1).await?;
    assert!(matches!(kit.place.exec(exec("e", "true")).await, Err(PlaceError::Unknown { .. })));
    let _running = kit.place.start_container(shell(&pod, "c", "sleep 1000")).await?;
    let mut spec = exec("e", "");
    spec.argv = vec!["surely-missing".to_owned()];
    let refused = kit.place.exec(spec).await.map(drop).map_err(|error| error.to_string());
    assert_eq!(refused, Err("exec: \"surely-missing\": executable file not found in $PATH".to_owned()));
    let _started = kit.place.exec(exec("f", "sleep 1000 & sleep 1000")).await?;
    kit.place.signal("f", libc::SIGKILL).await?;
    assert_eq!(kit.exit("f").await?.code, 137);
    let _started = kit.place.exec(exec("g", "sleep 1000")).await?;
    kit.place.signal("c", libc::SIGKILL).await?;
    assert_eq!(kit.exit("g").await?.code, 137);
    Ok(())
}
