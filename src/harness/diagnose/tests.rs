//! Cases in testdata: what there is in a cluster, what was said, and what is told of it.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::*;

/// A cause: what there is in a cluster, what was said, and what is told of it.
#[derive(Deserialize)]
struct Case {
    objects: Vec<Value>,
    /// Logs by pod and container, as in `pod/container`.
    #[serde(default)]
    logs: std::collections::BTreeMap<String, String>,
    /// The object that is asked about.
    about: String,
}

/// A line between a case and what is told of it.
const TOLD: &str = "\n---\n";

fn told(text: &str) -> String {
    let case: Case = serde_yaml::from_str(text).expect("a case");
    let mut world = World::default();
    let uid = |kind: &str, name: &str| format!("{}/{name}", kind.to_lowercase());
    for mut object in case.objects {
        let kind = object["kind"].as_str().expect("a kind").to_owned();
        let name = object["metadata"]["name"].as_str().expect("a name").to_owned();
        object["metadata"]["uid"] = uid(&kind, &name).into();
        object["metadata"]["namespace"] = "jobs".into();
        for owner in object["metadata"]["ownerReferences"].as_array_mut().into_iter().flatten() {
            owner["uid"] = uid(owner["kind"].as_str().unwrap(), owner["name"].as_str().unwrap()).into();
        }
        if kind == "Event" {
            let about = &mut object["involvedObject"];
            about["uid"] = uid(about["kind"].as_str().unwrap(), about["name"].as_str().unwrap()).into();
        }
        world.records.insert(uid(&kind, &name), Record::of(&kind, object));
    }
    let mut texts = Texts::new();
    for (whose, said) in &case.logs {
        let (pod, container) = whose.split_once('/').expect("pod/container");
        let key = (uid("pod", pod), container.to_owned(), 0);
        let text = Text::of(&world.records[&key.0], container, said);
        texts.insert(key, text);
    }
    let known = Known { world: &world, texts: &texts, now: "2026-01-31T12:00:00Z".parse().unwrap() };
    let concerned = crate::kin::Kin { uids: BTreeSet::from([case.about.clone()]), ..Default::default() }.all(&world);
    assert!(concerned.contains(&case.about), "there is no {}", case.about);
    diagnose(known, &concerned).map_or_else(
        || "well\n".to_owned(),
        |cause| {
            let parts = cause.parts().into_iter().map(|(title, lines)| format!("{title}:\n  {}\n", lines.join("\n  ")));
            format!("{:?}\n{}", cause.kind, parts.collect::<String>())
        },
    )
}

#[test]
fn each_cause_is_told_with_what_shows_it_and_what_to_change() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("diagnose/testdata");
    let mut kinds = BTreeSet::new();
    let mut wrong = Vec::new();
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let (case, wanted) = text.split_once(TOLD).unwrap_or((&text, ""));
        let told = told(case);
        kinds.insert(told.lines().next().unwrap_or_default().to_owned());
        if told != wanted {
            if std::env::var_os("BLESS").is_some() {
                fs::write(&file, format!("{}{TOLD}{told}", case.trim_end())).unwrap();
            }
            wrong.push(format!("{}:\n{told}", file.file_name().unwrap().display()));
        }
    }
    assert!(wrong.is_empty(), "{}\nif that is right, run this test again with BLESS=1", wrong.join("\n"));
    assert_eq!(kinds.len(), 21, "each kind of cause has a case, and so has what is well: {kinds:?}");
}
