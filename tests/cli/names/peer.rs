//! Serves this pod's name on 0.0.0.0:80, or asks the servers named for theirs. A program of its own, which the test compiles
//! as a static one.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words == ["serve"] {
        return serve();
    }
    words.iter().try_for_each(|name| ask(name))
}

fn serve() -> io::Result<()> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")?;
    for connection in TcpListener::bind("0.0.0.0:80")?.incoming() {
        // A probe only connects.
        let _ = connection?.write_all(name.as_bytes());
    }
    Ok(())
}

fn ask(name: &str) -> io::Result<()> {
    let mut answer = String::new();
    BufReader::new(TcpStream::connect((name, 80))?).read_line(&mut answer)?;
    println!("{name} {}", answer.trim_end());
    Ok(())
}
