//! The kubeconfig of a cluster by kind: where its API is, and one context under our name.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;

use crate::Error;
use crate::folder::replace;

/// URL of the API.
pub(super) fn server(path: &Path) -> Result<String, Error> {
    let config = read(path)?;
    Ok(config["clusters"][0]["cluster"]["server"].as_str().unwrap_or_default().to_owned())
}

/// Writes it with one name for cluster, user and context, for its owner alone.
pub(super) fn write(path: &Path, text: &[u8], name: &str) -> Result<(), Error> {
    let fail = |source| Error::File { act: "write", path: path.to_owned(), source };
    let mut config: Value = serde_yaml::from_slice(text).map_err(|error| fail(io::Error::other(error)))?;
    for list in ["clusters", "users", "contexts"] {
        config[list][0]["name"] = name.into();
    }
    config["contexts"][0]["context"]["cluster"] = name.into();
    config["contexts"][0]["context"]["user"] = name.into();
    config["current-context"] = name.into();
    let text = serde_yaml::to_string(&config).map_err(|error| fail(io::Error::other(error)))?;
    replace(path, text.as_bytes()).map_err(fail)
}

fn read(path: &Path) -> Result<Value, Error> {
    let fail = |source| Error::File { act: "read", path: path.to_owned(), source };
    let text = fs::read_to_string(path).map_err(fail)?;
    serde_yaml::from_str(&text).map_err(|error| fail(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn one_name_for_all_and_the_owners_alone() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let text = "apiVersion: v1\nkind: Config\nclusters: [{name: kind-x, cluster: {server: 'https://127.0.0.1:1'}}]\n\
                    users: [{name: kind-x, user: {client-key-data: a}}]\n\
                    contexts: [{name: kind-x, context: {cluster: kind-x, user: kind-x}}]\ncurrent-context: kind-x\n";
        write(file.path(), text.as_bytes(), "tinderbox-local").expect("written");
        let config = read(file.path()).expect("readable");
        assert_eq!(config["contexts"][0]["context"]["user"], "tinderbox-local");
        assert_eq!(config["users"][0]["user"]["client-key-data"], "a");
        assert!(!fs::read_to_string(file.path()).expect("readable").contains("kind-x"));
        assert_eq!(server(file.path()).expect("there"), "https://127.0.0.1:1");
        let mode = fs::metadata(file.path()).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
