//! Custom resources, from their definition to their end.

use crate::wire::Served;

const DEFINITION: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, shortNames: [wd], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.count, statusReplicasPath: .status.count}
    additionalPrinterColumns:
    - {name: Count, type: integer, jsonPath: .spec.count}
    - {name: Phase, type: string, jsonPath: .status.phase}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [count]
            properties:
              count: {type: integer, minimum: 1, description: How many.}
              colour: {type: string, default: red, enum: [red, blue]}
          status: {type: object, properties: {phase: {type: string}, count: {type: integer}}}
  - name: v1beta1
    served: true
    storage: false
    deprecated: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"#;

const WIDGET: &str = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\nspec: {count: 3}\n";

#[tokio::test]
async fn a_definition_serves_its_kind_and_takes_it_away() {
    let served = Served::start().await;
    served.apply(DEFINITION).await;
    served.out(&["wait", "--for=condition=Established", "crd/widgets.example.com", "--timeout=20s"]).await;
    served.apply(WIDGET).await;
    let table = served.out(&["get", "wd"]).await;
    assert_eq!(table.split_whitespace().collect::<Vec<_>>(), ["NAME", "COUNT", "PHASE", "w", "3"]);
    assert_eq!(served.out(&["get", "widget", "w", "-o", "jsonpath={.spec.colour}"]).await, "red");
    assert!(served.out(&["explain", "widget.spec.count"]).await.contains("How many."));
    served.out(&["scale", "widget", "w", "--replicas=5"]).await;
    let status = r#"{"status":{"phase":"Done"},"spec":{"count":9}}"#;
    served.out(&["patch", "widget", "w", "--subresource=status", "--type=merge", "-p", status]).await;
    let seen = served
        .out(&["get", "widget", "w", "-o", "jsonpath={.spec.count} {.status.phase} {.metadata.generation}"])
        .await;
    assert_eq!(seen, "5 Done 2");

    for (patch, words) in [
        (r#"{"spec":{"count":0}}"#, "spec.count in body should be greater than or equal to 1"),
        (r#"{"spec":{"colour":"green"}}"#, "Unsupported value: \"green\""),
        (r#"{"spec":{"count":"x"}}"#, "spec.count"),
    ] {
        let said = served.kubectl(&["patch", "widget", "w", "--type=merge", "-p", patch]).await;
        assert!(!said.ok && said.err.contains(words), "{said:?}");
    }
    let unknown = served.kubectl(&["patch", "widget", "w", "--type=merge", "-p", r#"{"spec":{"size":1}}"#]).await;
    assert!(unknown.ok && unknown.err.contains("unknown field \"spec.size\""), "{unknown:?}");
    let older = served.kubectl(&["get", "widgets.v1beta1.example.com", "w", "-o", "jsonpath={.apiVersion}"]).await;
    assert!(older.ok && older.out == "example.com/v1beta1" && older.err.contains("deprecated"), "{older:?}");

    let size = r#"[{"op":"add","path":"/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/size","value":{"type":"string","default":"small"}}]"#;
    served.out(&["patch", "crd", "widgets.example.com", "--type=json", "-p", size]).await;
    let read = served.out(&["get", "widgets", "-o", "jsonpath={.items[*].spec.size}"]).await;
    assert_eq!(read, "small", "what was stored before there was a default");

    served.out(&["patch", "widget", "w", "--type=merge", "-p", r#"{"metadata":{"finalizers":["a/b"]}}"#]).await;
    served.out(&["delete", "crd", "widgets.example.com", "--wait=false"]).await;
    let held = served.out(&["get", "crd", "widgets.example.com", "-o", "jsonpath={.metadata.finalizers}"]).await;
    assert_eq!(held, r#"["customresourcecleanup.apiextensions.k8s.io"]"#);
    served.out(&["patch", "widget", "w", "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#]).await;
    served.out(&["wait", "--for=delete", "crd/widgets.example.com", "--timeout=20s"]).await;
    let gone = served.kubectl(&["get", "--raw", "/apis/example.com/v1/widgets"]).await;
    assert!(!gone.ok, "{gone:?}");
}
