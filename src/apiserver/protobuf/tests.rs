//! Bodies written by hand, as clients in Go write them.

use super::*;

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap());
}

fn bytes(number: u64, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(number << 3 | 2, &mut out);
    varint(u64::try_from(content.len()).unwrap(), &mut out);
    out.extend_from_slice(content);
    out
}

fn number(at: u64, value: i64) -> Vec<u8> {
    let mut out = Vec::new();
    varint(at << 3, &mut out);
    varint(value.cast_unsigned(), &mut out);
    out
}

fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let meta = [bytes(1, api_version.as_bytes()), bytes(2, kind.as_bytes())].concat();
    [MAGIC.to_vec(), bytes(1, &meta), bytes(2, raw), bytes(3, b""), bytes(4, b"")].concat()
}

#[test]
fn every_type_in_the_table_is_known() {
    assert!(MESSAGES.len() > 300);
    for (name, message) in &*MESSAGES {
        for field in message.fields.values() {
            let own = format!("{}.{}", message.package, field.kind);
            let known = matches!(field.kind, "i" | "d" | "b" | "s" | "y")
                || special(field.kind, &[]).is_some()
                || MESSAGES.contains_key(field.kind)
                || MESSAGES.contains_key(&own);
            assert!(known, "{name}: {field:?}");
        }
    }
}

#[test]
fn zeros_that_nobody_wrote_stay_out() {
    // metadata{name, "", creationTimestamp{}}, spec{replicas 0, template{spec{containers[name]}}, paused false}
    let metadata = [bytes(1, b"web"), bytes(3, b""), number(7, 0), bytes(8, b"")].concat();
    let container = [bytes(1, b"c"), bytes(2, b"")].concat();
    let pod = bytes(2, &container);
    let template = [bytes(1, &[]), bytes(2, &pod)].concat();
    let spec = [number(1, 0), bytes(3, &template), number(7, 0)].concat();
    let raw = [bytes(1, &metadata), bytes(2, &spec), bytes(3, &[])].concat();
    assert_eq!(
        decode(&body("apps/v1", "Deployment", &raw)).unwrap(),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"replicas": 0, "template": {"metadata": {}, "spec": {"containers": [{"name": "c"}]}}}, "status": {}})
    );
}

#[test]
fn special_types_have_their_json() {
    let entry = [bytes(1, b"k"), bytes(2, b"\x01\x02")].concat();
    let secret = bytes(2, &entry);
    assert_eq!(decode(&body("v1", "Secret", &secret)).unwrap()["data"], json!({"k": "AQI="}));
    let extra = [bytes(1, b"a"), bytes(2, &bytes(1, b"x"))].concat();
    let review = bytes(2, &bytes(5, &extra));
    let read = decode(&body("authorization.k8s.io/v1", "SubjectAccessReview", &review)).unwrap();
    assert_eq!(read["spec"]["extra"], json!({"a": ["x"]}));
    let target = [number(1, 1), bytes(3, b"http")].concat();
    let port = [number(3, 80), bytes(4, &target)].concat();
    let service = bytes(2, &bytes(1, &port));
    let read = decode(&body("v1", "Service", &service)).unwrap();
    assert_eq!(read["spec"]["ports"], json!([{"port": 80, "targetPort": "http"}]));
    let time = [number(1, 0), number(2, 5000)].concat();
    assert_eq!(special("MicroTime", &time), Some(Ok(json!("1970-01-01T00:00:00.000005Z"))));
    let source = bytes(2, &bytes(6, &bytes(1, b"s")));
    let volume = [bytes(1, b"v"), source].concat();
    let pod = bytes(2, &bytes(1, &volume));
    let read = decode(&body("v1", "Pod", &pod)).unwrap();
    assert_eq!(read["spec"]["volumes"], json!([{"name": "v", "secret": {"secretName": "s"}}]));
}

fn double(at: u64, value: f64) -> Vec<u8> {
    let mut out = Vec::new();
    varint(at << 3 | 1, &mut out);
    out.extend_from_slice(&value.to_le_bytes());
    out
}

#[test]
fn schemas_of_definitions_have_their_json() {
    let property = |name: &[u8], schema: &[u8]| bytes(29, &[bytes(1, name), bytes(2, schema)].concat());
    let limits = [bytes(5, b"number"), double(9, 10.0), double(11, 0.5), bytes(8, &bytes(1, b"{\"a\":[1]}"))].concat();
    let closed = [bytes(5, b"object"), bytes(30, &number(1, 0))].concat();
    let open = [bytes(5, b"object"), bytes(30, &[number(1, 1), bytes(2, &bytes(5, b"string"))].concat())].concat();
    let list = [bytes(24, &bytes(1, &bytes(5, b"string"))), bytes(20, &bytes(1, b"\"x\"")), bytes(20, &bytes(1, b"2"))];
    let ruled = [number(38, 1), number(39, 0), bytes(44, &[bytes(1, b"self > 1"), bytes(2, b"")].concat())].concat();
    let schema = [
        bytes(5, b"object"),
        property(b"limits", &limits),
        property(b"closed", &closed),
        property(b"open", &open),
        property(b"list", &list.concat()),
        property(b"ruled", &ruled),
    ];
    let version =
        [bytes(1, b"v1"), number(2, 1), number(3, 0), bytes(4, &bytes(1, &schema.concat())), bytes(5, &bytes(1, b""))];
    let raw = bytes(2, &[bytes(1, b"example.com"), bytes(7, &version.concat())].concat());
    let read = decode(&body("apiextensions.k8s.io/v1", "CustomResourceDefinition", &raw)).unwrap();
    let schema = json!({"type": "object", "properties": {
        "limits": {"type": "number", "maximum": 10, "minimum": 0.5, "default": {"a": [1]}},
        "closed": {"type": "object", "additionalProperties": false},
        "open": {"type": "object", "additionalProperties": {"type": "string"}},
        "list": {"items": {"type": "string"}, "enum": ["x", 2]},
        "ruled": {"x-kubernetes-preserve-unknown-fields": true, "x-kubernetes-validations": [{"rule": "self > 1"}]}}});
    let version = json!({"name": "v1", "served": true, "storage": false,
        "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}}});
    assert_eq!(read["spec"], json!({"group": "example.com", "versions": [version]}));
}

#[test]
fn what_is_no_such_body_is_refused() {
    assert_eq!(decode(b"{}"), Err(ProtobufError::Magic));
    assert_eq!(decode(b"k8s\0\x0a\xff"), Err(ProtobufError::Illegal));
    assert_eq!(decode(&body("example.com/v1", "X", b"")), Err(ProtobufError::Kind("X in example.com/v1".to_owned())));
}
