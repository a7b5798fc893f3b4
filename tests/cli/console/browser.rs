//! A headless Chromium, driven by the DevTools protocol. It knows nothing of the page that it opens.

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::{Message, WebSocket};

/// How long a page may take to show what is waited for, in milliseconds.
const PATIENCE: u32 = 120_000;

/// A browser with one page.
pub(crate) struct Browser {
    chromium: Child,
    socket: WebSocket<TcpStream>,
    session: Option<String>,
    last: u64,
    /// What the page's scripts complained of.
    pub(crate) complaints: Vec<String>,
    _profile: TempDir,
}

impl Browser {
    /// Starts it; nothing where there is none, which is said.
    #[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
    pub(crate) fn start() -> Option<Self> {
        let profile = TempDir::new().expect("a temporary folder");
        let Some(program) = ["chromium", "google-chrome"].into_iter().find(|name| is_there(name)) else {
            eprintln!("skipped: there is no chromium on PATH that could open the console");
            return None;
        };
        let mut command = Command::new(program);
        command.args(["--headless", "--no-sandbox", "--disable-dev-shm-usage", "--remote-debugging-port=0"]);
        command.arg(format!("--user-data-dir={}", profile.path().display())).arg("about:blank");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut chromium = command.spawn().expect("it is there");
        let mut stderr = BufReader::new(chromium.stderr.take().expect("piped"));
        let mut line = String::new();
        let url = loop {
            line.clear();
            assert!(stderr.read_line(&mut line).expect("it is text") > 0, "chromium ended");
            if let Some((_, url)) = line.split_once("listening on ") {
                break url.trim().to_owned();
            }
        };
        // Nobody reads on: what it says later must not stop it.
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        let address = url.strip_prefix("ws://").and_then(|rest| rest.split('/').next()).expect("an address");
        let stream = TcpStream::connect(address).expect("chromium listens");
        let (socket, _) = tungstenite::client(&url, stream).expect("chromium speaks");
        let (session, complaints) = (None, Vec::new());
        let mut browser = Self { chromium, socket, session, last: 0, complaints, _profile: profile };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.call(domain, json!({}));
        }
        Some(browser)
    }

    /// Asks it to do something, and waits for the answer.
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut asked = json!({"id": self.last, "method": method, "params": params});
        if let Some(session) = &self.session {
            asked["sessionId"] = json!(session);
        }
        self.socket.send(Message::text(asked.to_string())).expect("chromium reads");
        loop {
            let Message::Text(text) = self.socket.read().expect("chromium answers") else { continue };
            let mut told: Value = serde_json::from_str(&text).expect("JSON");
            if told["id"] == self.last {
                assert_eq!(told.get("error"), None, "{method}");
                return told["result"].take();
            }
            match told["method"].as_str() {
                Some("Runtime.exceptionThrown") => {
                    let thrown = &told["params"]["exceptionDetails"];
                    self.complaints.push(format!("{}: {}", thrown["text"], thrown["exception"]["description"]));
                }
                Some("Log.entryAdded") if told["params"]["entry"]["level"] == "error" => {
                    let entry = &told["params"]["entry"];
                    self.complaints.push(format!("{} {}", entry["text"], entry["url"]));
                }
                _ => {}
            }
        }
    }

    /// Sets the size of the page.
    pub(crate) fn resize(&mut self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// Opens a page.
    pub(crate) fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({"url": url}));
    }

    /// The value of an expression on the page.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let told = self.call("Runtime.evaluate", asked);
        assert_eq!(told.get("exceptionDetails"), None, "{expression}");
        told["result"]["value"].clone()
    }

    /// Waits until an expression is true on the page; its value.
    pub(crate) fn until(&mut self, expression: &str) -> Value {
        let look = format!(
            "new Promise((done, fail) => {{
                const end = performance.now() + {PATIENCE};
                const look = () => {{
                    let value;
                    try {{ value = ({expression}); }} catch {{}}
                    if (value) done(value);
                    else if (performance.now() > end) fail(document.body.innerText);
                    else requestAnimationFrame(look);
                }};
                look();
            }})"
        );
        self.value(&look)
    }

    /// Waits until a text is on the page.
    pub(crate) fn shows(&mut self, text: &str) {
        self.until(&format!("document.body.innerText.includes({})", json!(text)));
    }

    /// Presses a key, as a user of the keyboard does.
    pub(crate) fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Enter" => (13, "\r"),
            "Tab" => (9, ""),
            "ArrowLeft" => (37, ""),
            other => panic!("no key is called {other}"),
        };
        for what in ["keyDown", "keyUp"] {
            let mut event = json!({"type": what, "key": key, "code": key, "windowsVirtualKeyCode": code});
            if what == "keyDown" && !text.is_empty() {
                event["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Goes on with the Tab key until the text of the element in focus begins so; gives up after a hundred.
    pub(crate) fn tab_to(&mut self, text: &str) {
        let mut met = Vec::new();
        for _ in 0..100 {
            self.press("Tab");
            let now = self.value("document.activeElement.textContent.trim()");
            if now.as_str().is_some_and(|now| now.starts_with(text)) {
                return;
            }
            met.push(now.to_string().chars().take(40).collect::<String>());
        }
        panic!("the keyboard never comes to {text:?}, but to {met:?}");
    }

    /// A picture of the page.
    pub(crate) fn picture(&mut self) -> Vec<u8> {
        let told = self.call("Page.captureScreenshot", json!({}));
        BASE64_STANDARD.decode(told["data"].as_str().expect("a picture")).expect("it is base64")
    }
}

/// Whether a program is on PATH.
fn is_there(name: &str) -> bool {
    Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.chromium.kill();
        let _ = self.chromium.wait();
    }
}
