//! The tour, as CI takes it: every chapter happens, and nothing stays.

use serde_json::Value;

use crate::output::{compare, documented};
use crate::program::Cluster;

#[test]
fn the_tour_goes_through_every_chapter_and_leaves_nothing() {
    let cluster = Cluster::new("tour");
    let refused = cluster.run(&["demo"]).failed(2);
    assert!(refused.contains("hint: add `--yes`"), "{refused}");
    let report = cluster.run(&["demo", "--yes", "-o", "json"]).json(0);
    compare("demo", &documented()["demo"], &report);
    let chapters = report["chapters"].as_array().expect("chapters");
    let text = |chapter: &Value, field: &str| chapter[field].as_str().unwrap_or_default().to_owned();
    let told: Vec<String> = chapters.iter().map(|chapter| text(chapter, "outcome")).collect();
    assert!(told[0].starts_with("the console is at http://127.0.0.1:"), "{told:?}");
    assert!(
        told[5].starts_with("the cluster had the change ") && told[5].ends_with(" ms after it was saved"),
        "{told:?}"
    );
    assert!(told[6].starts_with("nightly-flights runs next at 20"), "{told:?}");
    let (queries, link) = told[7].split_once(" queries of the dashboards have data: ").expect("dashboards");
    assert!(queries.parse::<usize>().is_ok_and(|count| count > 40) && link.ends_with("/#/dashboards"), "{told:?}");
    assert_eq!(
        [&told[1..5], &told[8..]].concat(),
        [
            "hello-argo-workflows succeeded, with 4 pods",
            "hello-spark-operator succeeded, with 3 pods",
            "too-big waits for a node that has so many",
            "the template hello-argo-workflow-template is back",
            "the cluster is gone",
        ]
    );
    assert_eq!(chapters[3]["inquiry"]["subjects"][0]["cause"]["kind"], "no-node-fits");
    assert_eq!(cluster.left(), Vec::<String>::new());
}
