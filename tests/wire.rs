//! A server on a port of this machine, a kubeconfig for it, and kubectl.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::SystemTime;

use tempfile::TempDir;
use tinderbox_apiserver::auth::pki::Pki;
use tinderbox_apiserver::auth::token::Tokens;
use tinderbox_apiserver::{ApiServer, Config};
use tokio::net::TcpListener;
use tokio::process::Command;

/// A served API; dropping it ends it.
pub struct Served {
    /// The server behind it.
    pub server: ApiServer,
    /// Where certificates and the kubeconfig lie.
    pub folder: TempDir,
    /// `https://` and so on.
    pub address: String,
    /// The administrator's credentials.
    pub kubeconfig: PathBuf,
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    /// Whether it ended with success.
    pub ok: bool,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Served {
    /// Serves an empty store.
    ///
    /// # Panics
    /// When it cannot be served: the test is over.
    pub async fn start() -> Self {
        // Only the first one counts, and all are the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::open(&folder.path().join("pki"), "test-0", SystemTime::now()).unwrap();
        let mut config = Config::in_memory().unwrap();
        config.tokens = Arc::new(Tokens::from_pem(&pki.token_key().unwrap()).unwrap());
        let server = ApiServer::new(config).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let tls = pki.server_config().unwrap();
        tokio::spawn({
            let server = server.clone();
            async move { server.serve(listener, tls).await }
        });
        let admin = pki.admin().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let config = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": address, "certificate-authority": file("ca.crt", pki.ca_certificate())}}],
            "users": [{"name": "admin", "user": {"client-certificate": file("admin.crt", &admin.certificate), "client-key": file("admin.key", &admin.key)}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        });
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        Self { server, folder, address, kubeconfig }
    }

    /// Runs kubectl with these words.
    pub async fn kubectl(&self, words: &[&str]) -> Said {
        self.kubectl_with(words, "").await
    }

    /// Runs kubectl with words and something on its standard input.
    pub async fn kubectl_with(&self, words: &[&str], input: &str) -> Said {
        let path = self.folder.path().join("input");
        std::fs::write(&path, input).unwrap();
        let mut command = self.command(words);
        command.stdin(Stdio::from(std::fs::File::open(path).unwrap()));
        said(command.output().await.unwrap())
    }

    /// The command of kubectl with these words.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command
            .args(words)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", self.folder.path())
            .env("KUBECACHEDIR", self.folder.path().join("cache"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// What kubectl prints, which must succeed.
    pub async fn out(&self, words: &[&str]) -> String {
        let said = self.kubectl(words).await;
        assert!(said.ok, "kubectl {words:?}: {said:?}");
        said.out
    }

    /// Applies a manifest, which must succeed.
    pub async fn apply(&self, manifest: &str) -> String {
        let said = self.kubectl_with(&["apply", "-f", "-"], manifest).await;
        assert!(said.ok, "kubectl apply: {said:?}");
        said.out
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.shutdown();
    }
}

fn said(output: Output) -> Said {
    Said {
        ok: output.status.success(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
