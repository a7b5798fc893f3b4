//! Program, arguments and working directory of a container from its spec and its image. Pure.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::Container;

use super::ConfigError;
use super::expand::expand;
use crate::image::Image;

/// `command` replaces the entry point (and then the image's own command does not count), `args` the image's command.
pub(crate) fn argv(container: &Container, image: &Image, env: &[(String, String)]) -> Result<Vec<String>, ConfigError> {
    let lookup = |name: &str| {
        let found = env.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    };
    let filled = |list: &Option<Vec<String>>| -> Option<Vec<String>> {
        let list = list.as_ref().filter(|l| !l.is_empty())?;
        Some(list.iter().map(|text| expand(text, &lookup)).collect())
    };
    let (mut argv, rest) = match (filled(&container.command), filled(&container.args)) {
        (Some(command), args) => (command, args.unwrap_or_default()),
        (None, Some(args)) => (image.entrypoint.clone(), args),
        (None, None) => (image.entrypoint.clone(), image.command.clone()),
    };
    argv.extend(rest);
    if argv.is_empty() {
        return Err(ConfigError(format!(
            "no command specified: the image {} has none, and the container sets neither command nor args",
            image.name
        )));
    }
    Ok(argv)
}

/// The spec's working directory, else the image's, else `/`.
pub(crate) fn working_dir(container: &Container, image: &Image) -> PathBuf {
    let set = container.working_dir.as_deref().filter(|d| !d.is_empty());
    let dir = set.unwrap_or(&image.working_dir);
    PathBuf::from(if dir.is_empty() { "/" } else { dir })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn four_cases() {
        let strings = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect::<Vec<_>>();
        let image = Image { entrypoint: strings(&["entry"]), command: strings(&["cmd"]), ..Image::default() };
        for (spec, argv_wanted) in [
            (json!({"name": "c"}), strings(&["entry", "cmd"])),
            (json!({"name": "c", "args": ["$(A)"]}), strings(&["entry", "1"])),
            (json!({"name": "c", "command": ["x"]}), strings(&["x"])),
            (json!({"name": "c", "command": ["x"], "args": ["y"]}), strings(&["x", "y"])),
        ] {
            let container: Container = serde_json::from_value(spec.clone()).unwrap();
            let env = [("A".to_owned(), "1".to_owned())];
            assert_eq!(argv(&container, &image, &env).unwrap(), argv_wanted, "{spec}");
        }
        let bare: Container = serde_json::from_value(json!({"name": "c"})).unwrap();
        assert!(argv(&bare, &Image::default(), &[]).is_err());
    }
}
