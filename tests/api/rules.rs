//! Rules in CEL: custom resources that are held to them, through kubectl.

use crate::wire::Served;

const DEFINITION: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: plans.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: plans, singular: plan, kind: Plan}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        x-kubernetes-validations:
        - {rule: "self.metadata.name.startsWith('p')", message: the name must begin with p}
        properties:
          spec:
            type: object
            x-kubernetes-validations:
            - rule: self.least <= self.replicas && self.replicas <= self.most
              messageExpression: "'%d is not within %d and %d'.format([self.replicas, self.least, self.most])"
              fieldPath: .replicas
            - {rule: "!has(self.key) || self.key != 'x'", message: no such key, reason: FieldValueForbidden}
            properties:
              least: {type: integer}
              most: {type: integer}
              replicas: {type: integer}
              key: {type: string}
              id:
                type: string
                maxLength: 20
                x-kubernetes-validations:
                - {rule: self == oldSelf, message: id is fixed}
              ports:
                type: array
                maxItems: 10
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items:
                  type: object
                  required: [name]
                  x-kubernetes-validations:
                  - {rule: self.port >= oldSelf.port}
                  properties: {name: {type: string, maxLength: 10}, port: {type: integer}}
          status:
            type: object
            properties:
              seen:
                type: integer
                x-kubernetes-validations:
                - {rule: "self >= oldSelf.orValue(0)", optionalOldSelf: true, message: nothing is unseen}
"#;

const PLAN: &str = r#"
apiVersion: example.com/v1
kind: Plan
metadata: {name: p}
spec: {least: 1, most: 3, replicas: 2, id: a, ports: [{name: b, port: 5}, {name: a, port: 1}]}
"#;

#[tokio::test]
async fn custom_resources_are_held_to_their_rules() {
    let served = Served::start().await;
    served.apply(DEFINITION).await;
    served.out(&["wait", "--for=condition=Established", "crd/plans.example.com", "--timeout=20s"]).await;
    served.apply(PLAN).await;

    let nameless = PLAN.replace("name: p}\n", "name: q}\n").replace("replicas: 2", "replicas: 7");
    let said = served.kubectl_with(&["create", "-f", "-"], &nameless).await;
    let words = "The Plan \"q\" is invalid: \n* <nil>: Invalid value: \"object\": the name must begin with p\n* spec.replicas: Invalid value: \"object\": 7 is not within 1 and 3";
    assert!(!said.ok && said.err.contains(words), "{said:?}");

    for (patch, words) in [
        (r#"{"spec":{"key":"x"}}"#, "spec: Forbidden: no such key"),
        (r#"{"spec":{"id":"b"}}"#, "spec.id: Invalid value: \"string\": id is fixed"),
        (
            r#"{"spec":{"least":null}}"#,
            "spec: Invalid value: \"object\": no such key: least evaluating rule: self.least <= self.replicas",
        ),
        (
            r#"{"spec":{"ports":[{"name":"a","port":0},{"name":"c","port":0}]}}"#,
            "spec.ports[0]: Invalid value: \"object\": failed rule: self.port >= oldSelf.port",
        ),
    ] {
        let said = served.kubectl(&["patch", "plan", "p", "--type=merge", "-p", patch]).await;
        assert!(!said.ok && said.err.contains(words), "{patch}: {said:?}");
    }
    served.out(&["patch", "plan", "p", "--type=merge", "-p", r#"{"spec":{"ports":[{"name":"c","port":0}]}}"#]).await;
    let applied =
        served.kubectl_with(&["apply", "--server-side", "-f", "-"], &PLAN.replace("most: 3", "most: 1")).await;
    assert!(!applied.ok && applied.err.contains("spec.replicas: Invalid value"), "{applied:?}");

    let status = |seen: &str| format!(r#"{{"status":{{"seen":{seen}}}}}"#);
    let patch = ["patch", "plan", "p", "--subresource=status", "--type=merge", "-p"];
    let said = served.kubectl(&[&patch[..], &[&status("-1")]].concat()).await;
    assert!(!said.ok && said.err.contains("status.seen: Invalid value: \"integer\": nothing is unseen"), "{said:?}");
    served.out(&[&patch[..], &[&status("3")]].concat()).await;
    let said = served.kubectl(&[&patch[..], &[&status("2")]].concat()).await;
    assert!(!said.ok && said.err.contains("nothing is unseen"), "{said:?}");
}

#[tokio::test]
async fn what_was_wrong_before_a_rule_came_is_told_and_kept() {
    let served = Served::start().await;
    served.apply(DEFINITION).await;
    served.out(&["wait", "--for=condition=Established", "crd/plans.example.com", "--timeout=20s"]).await;
    served.apply(PLAN).await;
    let stricter = "            - {rule: \"self.most < 3\"}\n            - {rule: \"!has(self.key)";
    served.apply(&DEFINITION.replace("            - {rule: \"!has(self.key)", stricter)).await;
    let label = |value: &str| format!(r#"{{"metadata":{{"labels":{{"a":"{value}"}}}}}}"#);
    let said = served.kubectl(&["patch", "plan", "p", "--type=merge", "-p", &label("b")]).await;
    assert!(
        said.ok && said.err.contains("Warning: spec: Invalid value: \"object\": failed rule: self.most < 3"),
        "{said:?}"
    );
    let said = served.kubectl(&["patch", "plan", "p", "--type=merge", "-p", r#"{"spec":{"replicas":3}}"#]).await;
    assert!(!said.ok && said.err.contains("failed rule: self.most < 3"), "{said:?}");
}

#[tokio::test]
async fn rules_that_cannot_hold_are_refused_with_their_definition() {
    let served = Served::start().await;
    let at = "spec.validation.openAPIV3Schema.properties[spec]";
    for (rule, words) in [
        ("self.z == 1", format!("{at}.x-kubernetes-validations[1].rule: Invalid value: apiextensions.ValidationRule{{Rule:\"self.z == 1\", Message:\"\"")),
        ("self.z == 1", "compilation failed: ERROR: <input>:1:5: undefined field 'z'\n | self.z == 1\n | ....^".to_owned()),
        ("self = 1", "Syntax error: token recognition error at: '= '".to_owned()),
        ("self.replicas", "cel expression must evaluate to a bool".to_owned()),
        ("self.key.matches('(')", "invalid matches argument".to_owned()),
        ("self.ports.all(a, self.ports.all(b, self.ports.all(c, a.name.contains(b.name + c.name + self.key))))", "estimated rule cost exceeds budget by factor of more than 100x (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)".to_owned()),
    ] {
        let definition = DEFINITION.replace("!has(self.key) || self.key != 'x'", rule).replace(", message: no such key", "");
        let said = served.kubectl_with(&["create", "-f", "-"], &definition).await;
        assert!(!said.ok && said.err.contains(&words), "{rule}: {said:?}");
    }
    for (from, to, words) in [
        (
            "fieldPath: .replicas",
            "fieldPath: .nothing",
            "x-kubernetes-validations[0].fieldPath: Invalid value: \".nothing\": must be a valid path",
        ),
        (
            "reason: FieldValueForbidden",
            "reason: Odd",
            "reason: Unsupported value: \"Odd\": supported values: \"FieldValueDuplicate\"",
        ),
        (
            "x-kubernetes-list-type: map",
            "x-kubernetes-list-type: atomic",
            "oldSelf cannot be used on the uncorrelatable portion of the schema within",
        ),
        (
            "rule: self == oldSelf,",
            "rule: self != 'b', optionalOldSelf: true,",
            "optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule",
        ),
    ] {
        let definition = DEFINITION.replace(from, to).replace(
            "x-kubernetes-list-type: atomic\n                x-kubernetes-list-map-keys: [name]",
            "x-kubernetes-list-type: atomic",
        );
        let said = served.kubectl_with(&["create", "-f", "-"], &definition).await;
        assert!(!said.ok && said.err.contains(words), "{to}: {said:?}");
    }
}
