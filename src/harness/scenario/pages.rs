//! What a service of the cluster answers. It is asked through the API, as anybody may who only has a cluster, again and again until
//! the answer is as it should be.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use super::Expression;
use crate::cluster::Cluster;

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(250);
/// How much of an answer that is not as it should be is told.
const TOLD: usize = 300;

/// A page of a service.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Page {
    /// The service, as `NAME:PORT`; the port by name or number.
    pub service: String,
    /// The path, with its query.
    pub path: String,
    /// What must become true: `page` is the answer, as JSON where it is any, else its text.
    pub that: Expression,
}

impl std::fmt::Display for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}: {}", self.service, self.path, self.that)
    }
}

impl Page {
    /// Asks until the answer is as it should be.
    ///
    /// # Errors
    /// What it was at last, when it is not in time.
    pub async fn verify(&self, cluster: &Cluster, namespace: &str, deadline: Instant) -> Result<(), String> {
        loop {
            let said = match self.ask(cluster, namespace).await {
                Ok(page) => match self.that.holds(vec![("page", page.clone())]) {
                    Ok(true) => return Ok(()),
                    Ok(false) => format!("the answer is {}", shortened(&page.to_string())),
                    Err(why) => format!("{why}; the answer is {}", shortened(&page.to_string())),
                },
                Err(error) => error.to_string(),
            };
            if Instant::now() + PAUSE >= deadline {
                return Err(format!("not in time; at last: {said}"));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn ask(&self, cluster: &Cluster, namespace: &str) -> Result<Value, kube::Error> {
        let text = cluster.ask_service(namespace, &self.service, &self.path).await?;
        Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(TOLD) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text.to_owned(),
    }
}
