//! Images have a tag that stays, or a digest. Pure.

use serde_json::Value;

use super::{Fault, Seen, pods};

/// What is wrong with the images of an object.
pub(super) fn check(seen: &Seen<'_>) -> Vec<Fault> {
    let value = &seen.object.value;
    let mut images: Vec<(String, &str)> = Vec::new();
    for pod in pods::of(value) {
        for (path, container) in pod.containers() {
            images.extend(container["image"].as_str().map(|image| (format!("{path}.image"), image)));
        }
    }
    for (path, spec) in [("spec", &value["spec"]), ("spec.template", &value["spec"]["template"])] {
        let is_spark = matches!(seen.kind(), "SparkApplication" | "ScheduledSparkApplication");
        images.extend(image(spec).filter(|_| is_spark).map(|image| (format!("{path}.image"), image)));
    }
    let wrong = images.into_iter().filter_map(|(path, image)| Some((path, wrong(image)?)));
    wrong.map(|(path, message)| seen.fault(&path, "pinned", message)).collect()
}

fn image(spec: &Value) -> Option<&str> {
    spec["image"].as_str()
}

fn wrong(image: &str) -> Option<String> {
    // What a parameter says is known when somebody runs it.
    if image.contains("{{") || image.contains("@sha256:") {
        return None;
    }
    let name = image.rsplit('/').next().unwrap_or(image);
    match name.split_once(':') {
        None | Some((_, "")) => Some(format!("the image {image:?} has no tag: it is another one tomorrow")),
        Some((_, "latest")) => Some(format!("the image {image:?} is another one tomorrow: name a version")),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays() {
        for good in ["a:1", "r.example:5000/a/b:1.2", "a@sha256:00", "{{inputs.parameters.image}}"] {
            assert_eq!(wrong(good), None, "{good}");
        }
        for bad in ["a", "r.example:5000/a", "a:latest", "a:"] {
            assert!(wrong(bad).is_some(), "{bad}");
        }
    }
}
