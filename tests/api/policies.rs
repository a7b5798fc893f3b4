//! Validating admission policies, through kubectl.

use serde_json::Value;

use crate::wire::Served;

const DEPLOYMENT: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
spec:
  replicas: 2
  selector: {matchLabels: {a: b}}
  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}
"#;

/// A policy about some resources, its spec without `matchConstraints`, and the rest of its binding's spec.
fn policy(name: &str, (operations, resources): (&str, &str), spec: &str, binding: &str) -> String {
    format!(
        r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: {name}}}
spec:
  matchConstraints:
    resourceRules:
    - {{apiGroups: ['', apps], apiVersions: [v1], operations: [{operations}], resources: [{resources}]}}
{spec}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: {name}-here}}
spec:
  policyName: {name}
{binding}
"#
    )
}

fn map(name: &str, data: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{{data}}}\n")
}

async fn refused(served: &Served, manifest: &str, words: &str) {
    let said = served.kubectl_with(&["create", "-f", "-"], manifest).await;
    assert!(!said.ok && said.err.contains(words), "wanted {words}: {said:?}");
}

#[tokio::test]
async fn requests_are_held_to_policies() {
    let served = Served::start().await;
    let spec = r#"
  variables:
  - {name: size, expression: "has(object.data) ? object.data.size() : 0"}
  - {name: large, expression: variables.size > 2}
  validations:
  - {expression: "!variables.large", messageExpression: "'at most 2, not ' + string(variables.size)"}
  - {expression: "!has(object.data) || !('secret' in object.data)", message: no secrets here, reason: Forbidden}
  - {expression: "namespaceObject.metadata.name == request.namespace && request.userInfo.username == 'kubernetes-admin'"}
  matchConditions:
  - {name: not-spared, expression: object.metadata.name != 'spared'}
"#;
    let deny = "  validationActions: [Deny]";
    served.apply(&policy("maps", ("CREATE, UPDATE", "configmaps"), spec, deny)).await;
    let spec = "  validations: [{expression: oldObject.metadata.name != 'kept' && object == null}]";
    served.apply(&policy("kept", ("DELETE", "configmaps"), spec, deny)).await;

    let by_maps = "ValidatingAdmissionPolicy 'maps' with binding 'maps-here' denied request:";
    refused(&served, &map("a", "a: '', b: '', c: ''"), &format!("{by_maps} at most 2, not 3")).await;
    let forbidden = format!(
        "Error from server (Forbidden): error when creating \"STDIN\": configmaps \"a\" is forbidden: {by_maps} no secrets here"
    );
    refused(&served, &map("a", "secret: ''"), &forbidden).await;
    served.apply(&map("spared", "a: '', b: '', c: ''")).await;
    served.apply(&map("kept", "a: ''")).await;
    let patch = r#"{"data":{"b":"","c":""}}"#;
    let said = served.kubectl(&["patch", "configmap", "kept", "--type=merge", "-p", patch]).await;
    assert!(!said.ok && said.err.contains("at most 2, not 3"), "{said:?}");
    let dry = ["apply", "--server-side", "--dry-run=server", "-f", "-"];
    let said = served.kubectl_with(&dry, &map("kept", "secret: ''")).await;
    assert!(!said.ok && said.err.contains("no secrets here"), "{said:?}");
    for words in [&["delete", "configmap", "kept"][..], &["delete", "configmaps", "--all"]] {
        let said = served.kubectl(words).await;
        let told = "denied request: failed expression: oldObject.metadata.name != 'kept' && object == null";
        assert!(!said.ok && said.err.contains(told), "{said:?}");
    }
    served.out(&["delete", "validatingadmissionpolicybinding", "kept-here"]).await;
    served.out(&["delete", "configmap", "kept"]).await;
}

#[tokio::test]
async fn policies_warn_take_parameters_and_ask_for_rights() {
    let served = Served::start().await;
    let spec = r#"
  paramKind: {apiVersion: v1, kind: ConfigMap}
  validations:
  - {expression: "object.spec.replicas <= int(params.data.most)", messageExpression: "'at most ' + params.data.most"}
"#;
    let about = ("'*'", "deployments, deployments/scale");
    let bound = |reference: &str| format!("  paramRef: {{{reference}}}\n  validationActions: [Deny]");
    let named = bound("name: bounds, parameterNotFoundAction: Deny");
    served.apply(&policy("bounds", about, spec, &named)).await;
    let missing = "with binding 'bounds-here' denied request: failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction";
    refused(&served, DEPLOYMENT, missing).await;
    served.apply(&map("bounds", "most: '1'")).await;
    refused(&served, DEPLOYMENT, "denied request: at most 1").await;
    served.apply(&map("bounds", "most: '2'")).await;
    served.apply(DEPLOYMENT).await;
    let said = served.kubectl(&["scale", "deployment", "d", "--replicas=3"]).await;
    assert!(!said.ok && said.err.contains("ValidatingAdmissionPolicy 'bounds' with binding"), "{said:?}");
    let selected = bound("selector: {matchLabels: {kind: bounds}}, parameterNotFoundAction: Allow");
    served.apply(&policy("bounds", about, spec, &selected)).await;
    served.out(&["scale", "deployment", "d", "--replicas=3"]).await;
    served.out(&["label", "configmap", "bounds", "kind=bounds"]).await;
    let said = served.kubectl(&["scale", "deployment", "d", "--replicas=4"]).await;
    assert!(!said.ok && said.err.contains("at most 2"), "{said:?}");

    let spec = r#"
  failurePolicy: Ignore
  validations:
  - {expression: "authorizer.group('').resource('secrets').namespace('default').check('get').allowed()"}
  - {expression: "!authorizer.serviceAccount('default', 'default').group('').resource('secrets').check('get').allowed()"}
  - {expression: "object.metadata.labels.absent == ''", message: cannot be found out}
  - {expression: "authorizer.requestResource.check('create').allowed() && object.type != 'x'", message: the type is x}
"#;
    served.apply(&policy("secrets", ("CREATE", "secrets"), spec, "  validationActions: [Warn, Audit]")).await;
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ntype: x\n";
    let said = served.kubectl_with(&["create", "-f", "-"], secret).await;
    let words =
        "Warning: Validation failed for ValidatingAdmissionPolicy 'secrets' with binding 'secrets-here': the type is x";
    assert!(said.ok && said.err.trim() == words, "{said:?}");
}

#[tokio::test]
async fn expressions_of_policies_are_checked() {
    let served = Served::start().await;
    for (spec, words) in [
        (
            "  validations: [{expression: 'object.x ='}]",
            "spec.validations[0].expression: Invalid value: \"object.x =\": compilation failed: ERROR: <input>:1:10: Syntax error",
        ),
        (
            "  validations: [{expression: '1 + 1'}]",
            "spec.validations[0].expression: Invalid value: \"1 + 1\": must evaluate to bool but got int",
        ),
        ("  validations: [{expression: 'variables.x'}]", "undefined field 'x'"),
        ("  validations: [{expression: 'params.x'}]", "undeclared reference to 'params' (in container '')"),
        (
            "  validations: [{expression: 'true', messageExpression: 'authorizer.path(\"/\").check(\"get\").reason()'}]",
            "undeclared reference to 'authorizer'",
        ),
        ("  validations: [{expression: 'request.nothing == 1'}]", "undefined field 'nothing'"),
        (
            "  auditAnnotations: [{key: k, valueExpression: '1'}]",
            "must evaluate to one of [string null_type] but got int",
        ),
        (
            "  variables: [{name: 'for', expression: 'true'}]\n  validations: [{expression: 'true'}]",
            "spec.variables[0].name: Invalid value: \"for\": must be a valid CEL identifier",
        ),
        (
            "  failurePolicy: Odd\n  validations: [{expression: 'true'}]",
            "spec.failurePolicy: Unsupported value: \"Odd\": supported values: \"Fail\", \"Ignore\"",
        ),
        ("", "spec.validations: Required value: validations or auditAnnotations must contain at least one item"),
    ] {
        let manifest = policy("p", ("'*'", "pods"), spec, "");
        refused(&served, manifest.split("---").next().unwrap(), words).await;
    }
    let spec = "  validations: [{expression: 'true'}]";
    let both = policy("p", ("'*'", "pods"), spec, "  validationActions: [Deny, Warn]");
    refused(&served, &both, "must not contain both Deny and Warn").await;

    let spec = r#"
  variables: [{name: r, expression: object.spec.replicas}]
  validations:
  - {expression: "variables.r > '1'", messageExpression: "'got ' + object.spec.replicas"}
  - {expression: "object.spec.maxRetries < 10 && object.metadata.labels.a == 'b'"}
"#;
    let typed = policy("typed", ("'*'", "deployments"), spec, "  validationActions: [Audit]");
    served.apply(&typed.replace("['', apps]", "[apps]")).await;
    let told: Value = serde_json::from_str(
        &served.out(&["get", "validatingadmissionpolicy", "typed", "-o", "jsonpath={.status}"]).await,
    )
    .unwrap();
    assert_eq!(told["observedGeneration"], 1);
    let warnings = told["typeChecking"]["expressionWarnings"].as_array().unwrap();
    let fields: Vec<&Value> = warnings.iter().map(|one| &one["fieldRef"]).collect();
    assert_eq!(
        fields,
        ["spec.validations[0].expression", "spec.validations[0].messageExpression", "spec.validations[1].expression"]
    );
    assert_eq!(
        warnings[0]["warning"],
        "apps/v1, Kind=Deployment: ERROR: <input>:1:13: found no matching overload for '_>_' applied to '(int, string)'\n | variables.r > '1'\n | ............^\n"
    );
    assert!(warnings[2]["warning"].as_str().unwrap().contains("undefined field 'maxRetries'"), "{warnings:?}");
    served
        .out(&[
            "patch",
            "validatingadmissionpolicy",
            "typed",
            "--type=merge",
            "-p",
            r#"{"spec":{"variables":null,"validations":[{"expression":"object.spec.replicas > 1"}]}}"#,
        ])
        .await;
    let told = served
        .out(&[
            "get",
            "validatingadmissionpolicy",
            "typed",
            "-o",
            "jsonpath={.status.observedGeneration} {.status.typeChecking}",
        ])
        .await;
    assert_eq!(told, "2 {}");
}
