//! Templates in both languages, in a table each.

use serde_json::json;

use super::*;

fn parameters() -> Parameters {
    let value = json!({
        "name": "shop", "count": 3, "ratio": 0.5, "on": true, "off": false, "empty": "", "path.basename": "b",
        "path": {"path": "apps/My_App", "basename": "My_App", "segments": ["apps", "My_App"]},
        "sizes": [{"n": "s"}, {"n": "l"}], "labels": {"b": "2", "a": "1"}, "with-dash": "d",
    });
    value.as_object().cloned().expect("an object")
}

#[test]
fn simple_templates_leave_what_nobody_knows() {
    for (text, expected) in [
        ("{{name}}-{{ name }}", "shop-shop"),
        ("{{path.basename}}", "b"),
        ("{{unknown}} {{}}", "{{unknown}} {{}}"),
        // Only texts are filled in.
        ("{{count}}", "{{count}}"),
        ("{{name", "{{name"),
        ("no variables", "no variables"),
    ] {
        assert_eq!(Language::Simple.fill(text, &parameters()).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn go_templates() {
    let language = Language::Go(Missing::Nothing);
    for (text, expected) in [
        ("{{.name}}-{{ $.name }}", "shop-shop"),
        ("{{.path.basename | lower | replace \"_\" \"-\"}}", "my-app"),
        ("{{index .path.segments 0}}", "apps"),
        ("{{index .labels \"b\"}}{{index . \"with-dash\"}}", "2d"),
        ("{{.missing}}", "<no value>"),
        ("{{.missing | default \"x\"}}", "x"),
        ("{{default .name .empty}}", "shop"),
        ("{{printf \"%s-%03d-%.1f%%\" .name .count .ratio}}", "shop-003-0.5%"),
        ("{{printf \"%5s|%-5s|%q|%v\" \"a\" \"b\" \"c\" .on}}", "    a|b    |\"c\"|true"),
        ("{{normalize .path.basename}}", "my-app"),
        ("{{slugify 10 false \"a long name with words\"}}", "a-long-nam"),
        ("{{slugify 10 \"a long name with words\"}}", "a-long"),
        ("{{slugify \"My_App v1.2\"}}", "my-app-v1-2"),
        ("{{.name | upper | quote}}", "\"SHOP\""),
        ("{{trimPrefix \"sh\" .name}}{{trimSuffix \"op\" .name}}", "opsh"),
        ("{{dig \"path\" \"basename\" \"none\" .}} {{dig \"path\" \"none\" \"none\" .}}", "My_App none"),
        ("{{if .on}}yes{{else}}no{{end}} {{if .off}}yes{{else if eq .count 3}}three{{else}}no{{end}}", "yes three"),
        ("{{if and .on (not .off) (gt .count 2)}}all{{end}}{{if or .off .empty}}one{{end}}", "all"),
        ("{{with .path}}{{.basename}}{{end}}{{with .empty}}x{{else}} none{{end}}", "My_App none"),
        ("{{range .sizes}}{{.n}},{{end}}{{range .labels}}{{.}}{{end}}{{range .missing}}x{{else}}-{{end}}", "s,l,12-"),
        ("a {{- /* a comment */ -}} b {{- .name -}} c", "abshopc"),
        ("{{`raw \"}}\" text`}}{{\"\\\"}}\\\"\"}}", "raw \"}}\" text\"}}\""),
        ("{{.count}} {{.ratio}} {{.labels}} {{.path.segments}}", "3 0.5 map[a:1 b:2] [apps My_App]"),
        ("{{toJson .labels}} {{toYaml .sizes}}", "{\"a\":\"1\",\"b\":\"2\"} - n: s\n- n: l"),
        ("{{(index .sizes 1).n}} {{len .sizes}} {{(fromYaml \"a: 1\").a}}", "l 2 1"),
        ("no variables", "no variables"),
    ] {
        assert_eq!(language.fill(text, &parameters()).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_wrong_with_go_templates_is_told() {
    for (text, missing, expected) in [
        (
            "{{.missing}}",
            Missing::Error,
            "failed to execute go template {{.missing}}: map has no entry for key \"missing\"",
        ),
        ("{{.missing.below}}", Missing::Nothing, "nil pointer evaluating interface {}.below"),
        ("{{.name.below}}", Missing::Nothing, "can't evaluate field below in shop"),
        ("{{.name", Missing::Nothing, "failed to parse template {{.name: unclosed action"),
        ("{{if .on}}", Missing::Nothing, "{{if}} has no {{end}}"),
        ("{{end}}", Missing::Nothing, "unexpected {{end}}"),
        (
            "{{nosuch .name}}",
            Missing::Nothing,
            "error calling nosuch: function \"nosuch\" of 1 arguments is not served here",
        ),
        ("{{$x := .name}}", Missing::Nothing, "variables are not served here: only $ itself"),
        ("{{template \"x\"}}", Missing::Nothing, "{{template}} is not served here"),
        ("{{index .sizes 7}}", Missing::Nothing, "error calling index: index out of range: 7"),
        ("{{(.name}}", Missing::Nothing, "unclosed left paren"),
        ("{{.name | }}", Missing::Nothing, "missing value for command"),
        ("{{printf \"%d\"}}", Missing::Nothing, "%d has no argument"),
    ] {
        let error = Language::Go(missing).fill(text, &parameters()).expect_err(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
    assert!(Language::of(true, &["missingkey=error".to_owned()]).is_ok());
    assert!(Language::of(true, &["sometimes".to_owned()]).is_err());
}

#[test]
fn keys_are_filled_in_as_values_are() {
    let value = json!({"{{.name}}": ["{{.count}}", 1, {"a": "{{.on}}"}]});
    let filled = Language::Go(Missing::Nothing).fill_all(&value, &parameters()).expect("filled");
    assert_eq!(filled, json!({"shop": ["3", 1, {"a": "true"}]}));
}
