//! `dashboards import`: the project's dashboards into a Grafana that runs somewhere, by its HTTP API.
//! Upstream: <https://grafana.com/docs/grafana/latest/developers/http_api/dashboard/>.

use std::path::Path;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::Error;
use crate::event::{Event, Talk};
use crate::manifest;
use crate::project::Project;

/// How long Grafana may take for one answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A Grafana and who one is there.
#[derive(Clone)]
pub struct Grafana {
    url: Url,
    login: Login,
}

#[derive(Clone)]
enum Login {
    Nobody,
    /// A token of a service account.
    Token(String),
    Password(String, String),
}

impl Grafana {
    /// The one at `url`, which may name user and password (`http://admin:secret@localhost:3000`) and a path below which Grafana is served;
    /// `token` is one of a service account that may write dashboards, and comes first.
    ///
    /// # Errors
    /// When the URL is none of HTTP.
    pub fn new(url: &str, token: Option<String>) -> Result<Self, Error> {
        let wrong = |why: String| Error::Usage {
            // It may hold a password.
            message: format!("the URL of Grafana is wrong: {why}"),
            hint: Some("it looks like http://localhost:3000".to_owned()),
        };
        let mut url: Url = url.parse().map_err(|error| wrong(format!("{error}")))?;
        if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
            return Err(wrong("it does not begin with http:// or https://".to_owned()));
        }
        let user = (!url.username().is_empty())
            .then(|| Login::Password(plain(url.username()), plain(url.password().unwrap_or_default())));
        // Cannot fail where there is a host.
        let _ = url.set_username("").and_then(|()| url.set_password(None));
        let path = format!("{}/", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url.set_query(None);
        Ok(Self { url, login: token.map(Login::Token).or(user).unwrap_or(Login::Nobody) })
    }

    fn ask(&self, request: RequestBuilder) -> RequestBuilder {
        let request = request.timeout(PATIENCE).header(ACCEPT, "application/json");
        match &self.login {
            Login::Nobody => request,
            Login::Token(token) => request.bearer_auth(token),
            Login::Password(user, password) => request.basic_auth(user, Some(password)),
        }
    }

    fn at(&self, path: &str) -> Result<Url, Error> {
        self.url.join(path).map_err(|error| Error::Internal(format!("{path}: {error}")))
    }
}

/// Part of a URL without its escapes.
fn plain(part: &str) -> String {
    percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned()
}

/// What became of the dashboards.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportReport {
    /// The Grafana, without credentials.
    pub grafana: String,
    /// Each dashboard.
    pub dashboards: Vec<Imported>,
}

impl ImportReport {
    /// Whether Grafana took all of them.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.dashboards.iter().all(|one| one.why.is_none())
    }
}

/// What became of one dashboard.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// Its title.
    pub title: String,
    /// Its page, if it was taken.
    pub url: Option<String>,
    /// The version that it has there now.
    pub version: Option<i64>,
    /// Why it was not taken, in Grafana's words.
    pub why: Option<String>,
}

/// Brings the project's dashboards into a Grafana, over what it has of the same uid. One that it refuses does not keep the others away.
///
/// # Errors
/// When a file cannot be read, or Grafana does not answer or lets nobody in.
pub async fn import(project: &Project, grafana: &Grafana, talk: &Talk) -> Result<ImportReport, Error> {
    let folder = project.root.join("manifests/platform/monitoring/dashboards");
    let files = manifest::files_in(&folder, &["json"]).map_err(Error::file("read", &folder))?;
    let dashboards = files.iter().map(|file| read(file)).collect::<Result<Vec<Value>, Error>>()?;
    let http = Client::builder().build().map_err(|error| Error::Internal(error.to_string()))?;
    talk.tell(Event::Step(format!("importing {} dashboards into {}", dashboards.len(), grafana.url)));
    let mut report = ImportReport { grafana: grafana.url.to_string(), dashboards: Vec::new() };
    for dashboard in dashboards {
        report.dashboards.push(send(&http, grafana, dashboard).await?);
    }
    Ok(report)
}

fn read(file: &Path) -> Result<Value, Error> {
    let text = std::fs::read_to_string(file).map_err(Error::file("read", file))?;
    serde_json::from_str(&text).map_err(|error| Error::Document {
        place: format!("{}:{}:{}", file.display(), error.line(), error.column()),
        message: error.to_string(),
    })
}

async fn send(http: &Client, grafana: &Grafana, mut dashboard: Value) -> Result<Imported, Error> {
    let title = dashboard["title"].as_str().unwrap_or_default().to_owned();
    // Grafana finds it by its uid, and counts ids itself.
    dashboard["id"] = Value::Null;
    let wish = json!({"dashboard": dashboard, "overwrite": true, "message": "cargo xtask dashboards import"});
    let request =
        http.post(grafana.at("api/dashboards/db")?).header(CONTENT_TYPE, "application/json").body(wish.to_string());
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Api {
        act: format!("import dashboards into {}", grafana.url),
        source,
    };
    let response = grafana.ask(request).send().await.map_err(|error| failed(error.without_url().into()))?;
    let status = response.status();
    let text = response.text().await.map_err(|error| failed(error.without_url().into()))?;
    let answer: Value = serde_json::from_str(&text).unwrap_or_default();
    let words = answer["message"].as_str().map_or_else(|| status.to_string(), |said| format!("{status}: {said}"));
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let needed = "GRAFANA_TOKEN has to be the token of a service account that may write dashboards";
            Err(failed(format!("{words}; {needed}").into()))
        }
        StatusCode::OK if answer["uid"].is_string() => Ok(Imported {
            title,
            url: answer["url"].as_str().and_then(|path| grafana.url.join(path).ok()).map(String::from),
            version: answer["version"].as_i64(),
            why: None,
        }),
        StatusCode::OK | StatusCode::NOT_FOUND => Err(failed(format!("there is no Grafana: {words}").into())),
        _ => Ok(Imported { title, url: None, version: None, why: Some(words) }),
    }
}
