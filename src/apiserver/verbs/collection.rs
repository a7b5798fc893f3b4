//! Deletecollection: every object that a query means, each as a delete of its own.

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use super::delete::{DeleteOptions, remove};
use super::list;
use crate::call::Call;
use crate::error::ApiError;
use crate::respond::Reply;

/// How many deletes are under way at once.
const TOGETHER: usize = 16;

/// Deletes what the query means and answers with a list of it.
pub(crate) async fn delete(call: &Call, body: Value) -> Result<Reply, ApiError> {
    let options = DeleteOptions::of(call, &body)?;
    let found = list::find(call)?;
    let deleted: Vec<Option<Value>> = stream::iter(found.items.iter().cloned())
        .map(|item| {
            let options = &options;
            async move {
                // A list over all namespaces deletes in each of them.
                match remove(&call.in_namespace(&item.key.namespace), &item.key.name, options).await {
                    Ok((object, _)) => Ok(Some(object)),
                    Err(error) if error.code == 404 => Ok(None),
                    Err(error) => Err(error),
                }
            }
        })
        .buffered(TOGETHER)
        .try_collect()
        .await?;
    let items: Vec<Value> = deleted.into_iter().flatten().collect();
    Ok(Reply::Ready(crate::respond::json(
        200,
        &json!({
            "kind": *call.resource.list_kind,
            "apiVersion": call.resource.api_version(),
            "metadata": found.metadata(),
            "items": items,
        }),
    )))
}
