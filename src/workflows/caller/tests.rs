//! The program, against a listener of this test's own.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::thread;

use super::*;
use crate::outlet;
use crate::view::Answer;

/// Answers one request after the other, and gives what was asked.
fn answering(answers: Vec<String>) -> (String, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = thread::spawn(move || {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let value = line.strip_prefix("Content-Length: ");
                length = value.map_or(length, |value| value.trim().parse().unwrap());
                if line.trim().is_empty() {
                    break;
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            asked.push(format!("{head}\n{}", String::from_utf8(body).unwrap()).replace("\r\n", "\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        }
        asked
    });
    (address, asked)
}

/// Carries a request out as its pod does; the report, and what was printed.
fn carry_out(http: Value, secret: &str) -> (outlet::Report, String) {
    let http: Http = serde_json::from_value(http).unwrap();
    let (mut container, mut volumes, mut annotations) = (container(), Vec::new(), BTreeMap::new());
    stage(&http, &mut container, &mut volumes, &mut annotations).unwrap();
    let folder = std::env::temp_dir().join(format!("caller-{}-{:?}", std::process::id(), thread::current().id()));
    fs::create_dir_all(&folder).unwrap();
    let (request, message) = (folder.join("request"), folder.join("message"));
    fs::write(&request, &annotations[REQUEST]).unwrap();
    let mut command = Command::new("python3");
    let output =
        command.args(["-c", PROGRAM]).args([&request, &message]).env("ARGO_HEADER_0", secret).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (printed, message) = (String::from_utf8(output.stdout).unwrap(), fs::read_to_string(&message).unwrap());
    fs::remove_dir_all(&folder).unwrap();
    let report =
        if message.trim() == outlet::IN_LOG { outlet::read_log(&printed) } else { Some(outlet::read(&message)) };
    (report.unwrap(), printed)
}

#[test]
fn a_request_is_made_as_it_is_written_and_its_answer_reported() {
    let (address, asked) = answering(vec![
        "HTTP/1.1 201 Created\r\ncontent-type: text/plain\r\nx-one: 1\r\nx-one: 2\r\nContent-Length: 6\r\n\r\nmade\n\n"
            .to_owned(),
    ]);
    let (report, printed) = carry_out(
        json!({"method": "POST", "url": format!("{address}/a?b=c"), "body": "hello", "headers": [
            {"name": "X-Plain", "value": "p"},
            {"name": "Authorization", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        ]}),
        "Bearer t",
    );
    assert_eq!(report.outputs.result.as_deref(), Some("made\n\n"));
    let Some(Answer::Response { status_code, headers }) = report.answer else { panic!("no response: {printed}") };
    assert_eq!(
        (status_code, &headers["Content-Type"][..], &headers["X-One"][..]),
        (201, &["text/plain".to_owned()][..], &["1".to_owned(), "2".to_owned()][..])
    );
    let asked = asked.join().unwrap();
    assert!(asked[0].starts_with("POST /a?b=c HTTP/1.1\n") && asked[0].ends_with("\n\nhello"), "{asked:?}");
    for line in ["X-Plain: p\n", "Authorization: Bearer t\n"] {
        assert!(asked[0].contains(line), "{asked:?}");
    }
    assert!(!asked[0].contains("urllib") && !printed.contains("Bearer"), "{asked:?}");
}

#[test]
fn redirects_are_followed_and_large_answers_are_in_the_log() {
    let (address, asked) = answering(vec![
        "HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n{}", "x".repeat(9000)),
    ]);
    let (report, _) = carry_out(json!({"method": "POST", "url": address, "body": "hello"}), "");
    assert_eq!(report.outputs.result.map(|result| result.len()), Some(9000));
    assert!(asked.join().unwrap()[1].starts_with("GET /there HTTP/1.1\n"));
}

#[test]
fn what_does_not_answer_is_told() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for (url, timeout, why) in [
        (format!("http://{gone}"), 30, "connection refused"),
        (format!("http://{}", silent.local_addr().unwrap()), 1, "timeout: no answer within 1 s"),
        ("ftp://x".to_owned(), 30, "unsupported protocol scheme \"ftp\""),
    ] {
        let (report, _) = carry_out(json!({"url": url, "timeoutSeconds": timeout}), "");
        assert_eq!(report.answer, Some(Answer::Failure(format!("GET \"{url}\": {why}"))));
    }
}
