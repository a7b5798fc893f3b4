//! Asks a Prometheus through the API server's proxy of Services, as anybody may who only has a cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Request;
use kube::Client;
use serde::Deserialize;
use serde_json::Value;
use tinderbox_client::error::chain;

use super::{Choice, Dashboard, Window, fill};

/// The Service of the project's own Prometheus, as NAMESPACE/NAME:PORT.
pub const PROMETHEUS: &str = "monitoring/prometheus-operated:9090";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why Prometheus gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It cannot be reached: it is not there, or not ready, or one has no right to it.
    #[error("{}", chain(.0))]
    Unreachable(#[from] kube::Error),
    /// It refuses the question.
    #[error("{0}")]
    Refused(String),
    /// It did not answer in time, or not as Prometheus does.
    #[error("{0}")]
    NoAnswer(String),
}

/// A series within a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What tells it from others.
    pub labels: BTreeMap<String, String>,
    /// A value for each point of the window; nothing where there is no number.
    pub values: Vec<Option<f64>>,
}

impl Series {
    /// Some point is a number.
    #[must_use]
    pub fn has_numbers(&self) -> bool {
        self.values.iter().any(Option::is_some)
    }
}

/// A Prometheus behind the API.
#[derive(Clone)]
pub struct Prometheus {
    client: Client,
    path: String,
}

impl Prometheus {
    /// The one of a Service, as NAMESPACE/NAME:PORT; nothing when the text is not of this form.
    #[must_use]
    pub fn of(client: Client, service: &str) -> Option<Self> {
        let (namespace, name) = service.split_once('/')?;
        let path = format!("/api/v1/namespaces/{namespace}/services/{name}/proxy/api/v1");
        Some(Self { client, path })
    }

    /// Fills a dashboard's variables in, each with those before it; `wanted` has values for some of them.
    ///
    /// # Errors
    /// When Prometheus gives no answer.
    pub async fn choose(
        &self,
        dashboard: &Dashboard,
        wanted: &BTreeMap<String, Vec<String>>,
        window: Window,
    ) -> Result<Choice, AskError> {
        let mut choice = Choice::within(window);
        for variable in &dashboard.templating.list {
            let options = match variable.label_values() {
                Some((selector, label)) => {
                    self.label_values(&fill(selector, &choice.values).text, label, window).await?
                }
                None => variable.listed(),
            };
            let wanted = wanted.get(&variable.name).map(Vec::as_slice).unwrap_or_default();
            choice.take(variable, options, wanted);
        }
        Ok(choice)
    }

    async fn label_values(&self, selector: &str, label: &str, window: Window) -> Result<Vec<String>, AskError> {
        let Window { start, end, .. } = window;
        let query = form(&[("match[]", selector), ("start", &start.to_string()), ("end", &end.to_string())]);
        self.get(&format!("/label/{label}/values?{query}")).await
    }

    /// The series that a query gives within a window.
    ///
    /// # Errors
    /// When Prometheus gives no answer.
    pub async fn range(&self, query: &str, window: Window) -> Result<Vec<Series>, AskError> {
        let [start, end, step] = [window.start, window.end, window.step].map(|number| number.to_string());
        let asked = form(&[("query", query), ("start", &start), ("end", &end), ("step", &step)]);
        let matrix: Matrix = self.get(&format!("/query_range?{asked}")).await?;
        Ok(matrix.result.into_iter().map(|sampled| sampled.within(window)).collect())
    }

    async fn get<T: for<'de> Deserialize<'de>>(&self, rest: &str) -> Result<T, AskError> {
        let request = Request::get(format!("{}{rest}", self.path)).body(Vec::new());
        let request = request.map_err(kube::Error::HttpError)?;
        let said = match tokio::time::timeout(PATIENCE, self.client.request_text(request)).await {
            Ok(Ok(text)) => text,
            Ok(Err(kube::Error::Api(status))) if matches!(status.code, 400 | 422) => {
                return Err(AskError::Refused(refusal(&status.message)));
            }
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => {
                return Err(AskError::NoAnswer(format!("Prometheus gave no answer in {} s", PATIENCE.as_secs())));
            }
        };
        let read: Result<Answer<T>, _> = serde_json::from_str(&said);
        read.map(|answer| answer.data)
            .map_err(|error| AskError::NoAnswer(format!("this is not what Prometheus says: {error}")))
    }
}

/// What Prometheus says in a refusal, which may be within its own form.
fn refusal(message: &str) -> String {
    let own: Option<Value> = serde_json::from_str(message).ok();
    own.and_then(|own| own["error"].as_str().map(str::to_owned)).unwrap_or_else(|| message.to_owned())
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct Matrix {
    result: Vec<Sampled>,
}

#[derive(Deserialize)]
struct Sampled {
    metric: BTreeMap<String, String>,
    values: Vec<(f64, String)>,
}

impl Sampled {
    fn within(self, window: Window) -> Series {
        let mut values = vec![None; window.points()];
        for (time, text) in self.values {
            let at = usize::try_from((time as i64 - window.start) / window.step).ok();
            if let Some(value) = at.and_then(|at| values.get_mut(at)) {
                *value = text.parse().ok().filter(|number: &f64| number.is_finite());
            }
        }
        Series { labels: self.metric, values }
    }
}

/// Parameters of a URL.
fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_stand_at_their_points_and_only_numbers_count() {
        let window = Window { start: 100, end: 120, step: 5 };
        let said = r#"{"metric": {"a": "b"}, "values": [[100, "1"], [110, "NaN"], [115, "2.5"], [120, "+Inf"]]}"#;
        let sampled: Sampled = serde_json::from_str(said).unwrap();
        let series = sampled.within(window);
        assert_eq!(series.values, [Some(1.0), None, None, Some(2.5), None]);
        assert!(series.has_numbers());
        assert!(!Series { values: vec![None], ..series }.has_numbers());
    }

    #[test]
    fn questions_and_refusals_are_read_as_they_are_meant() {
        assert_eq!(form(&[("query", "a{b=\"c\"}"), ("step", "5")]), "query=a%7Bb%3D%22c%22%7D&step=5");
        assert_eq!(refusal(r#"{"status": "error", "error": "parse error"}"#), "parse error");
        assert_eq!(refusal("no"), "no");
    }
}
