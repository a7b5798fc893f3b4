//! The table of the language: an expression and what it comes to.

use serde_json::{Map, Value, json};

use super::*;

fn variables() -> Map<String, Value> {
    nest([
        ("inputs.parameters.count", json!("3")),
        ("inputs.parameters.a-b", json!("dashed")),
        ("steps.gen.outputs.result", json!(r#"[{"n":1},{"n":2}]"#)),
        ("steps.gen.status", json!("Succeeded")),
        ("item", json!({"name": "x", "size": 7})),
        ("list", json!([3, 1, 2])),
    ])
}

#[test]
fn what_expressions_come_to() {
    for (text, wanted) in [
        ("1 + 2 * 3", json!(7)),
        ("(1 + 2) * 3", json!(9)),
        ("7 / 2", json!(3.5)),
        ("7 % 4", json!(3)),
        ("2 ** 3 ** 2", json!(512.0)),
        ("-2 + 3", json!(1)),
        ("1_000", json!(1000)),
        ("0x1F", json!(31)),
        ("1.5e3", json!(1500.0)),
        ("'a' + \"b\" + `c`", json!("abc")),
        (r"'it\'s \u0041'", json!("it's A")),
        ("1 == 1.0", json!(true)),
        ("1 < 2 && 'a' < 'b'", json!(true)),
        ("true || missing", json!(true)),
        ("false && missing", json!(false)),
        ("not true or true", json!(true)),
        ("!(1 in [1, 2])", json!(false)),
        ("3 not in [1, 2]", json!(true)),
        ("'k' in {k: 1}", json!(true)),
        ("'hello' contains 'ell'", json!(true)),
        ("'hello' startsWith 'he' and 'hello' endsWith 'lo'", json!(true)),
        ("'abc1' matches '[0-9]$'", json!(true)),
        ("not ('abc' matches '^b')", json!(true)),
        ("1 > 2 ? 'a' : 2 > 1 ? 'b' : 'c'", json!("b")),
        ("nil ?? 'other'", json!("other")),
        ("missing.deep ?? 1", json!(1)),
        ("item?.none?.deeper ?? 4", json!(4)),
        ("1..4", json!([1, 2, 3, 4])),
        ("[1, 2, 3][-1]", json!(3)),
        ("[1, 2, 3, 4][1:3]", json!([2, 3])),
        ("'hello'[1:3]", json!("el")),
        ("{'a': [1, {'b': 2}]}.a[1].b", json!(2)),
        ("{a: 1, (1 > 0 ? 'x' : 'y'): 2}", json!({"a": 1, "x": 2})),
        ("let x = 2; let y = x * 2; x + y", json!(6)),
        ("map(list, # * 2)", json!([6, 2, 4])),
        ("filter(list, {# > 1})", json!([3, 2])),
        ("filter([{n: 1}, {n: 2}], .n > 1)", json!([{"n": 2}])),
        ("map([{n: 1}, {n: 2}], {.n})", json!([1, 2])),
        ("map(list, {'v': #})", json!([{"v": 3}, {"v": 1}, {"v": 2}])),
        ("all(list, # > 0) and none(list, # > 3) and one(list, # == 3)", json!(true)),
        ("count(list, # > 1)", json!(2)),
        ("find(list, # < 3)", json!(1)),
        ("findIndex(list, # == 2)", json!(2)),
        ("reduce(list, #acc + #)", json!(6)),
        ("reduce(list, #acc + #index, 10)", json!(13)),
        ("sum(list)", json!(6)),
        ("list | filter(# > 1) | map(# + 1) | len()", json!(2)),
        ("sort(list) | last()", json!(3)),
        ("sortBy([{n: 2}, {n: 1}], .n)[0].n", json!(1)),
        ("groupBy(['a', 'bb', 'c'], len(#))", json!({"1": ["a", "c"], "2": ["bb"]})),
        ("min(3, 1, 2) + max([4, 5])", json!(6)),
        ("join(['a', 'b'], ', ')", json!("a, b")),
        ("split('a,b,c', ',')", json!(["a", "b", "c"])),
        ("trim('  a ') + upper('b') + replace('xyx', 'x', 'z')", json!("aBzyz")),
        ("keys({b: 1})", json!(["b"])),
        ("toPairs({b: 1})", json!([["b", 1]])),
        ("fromJSON('{\"a\": 1}').a", json!(1)),
        ("toJson({a: [1, nil]})", json!("{\"a\":[1,null]}")),
        ("fromBase64(toBase64('hi'))", json!("hi")),
        ("asInt(inputs.parameters.count) + 1", json!(4)),
        ("asFloat('1.5') * 2", json!(3.0)),
        ("string(3) + string(1.5) + string(true)", json!("31.5true")),
        ("inputs.parameters['a-b']", json!("dashed")),
        ("inputs['parameters'].count == '3'", json!(true)),
        ("jsonpath(steps.gen.outputs.result, '$[1].n')", json!(2)),
        ("jsonpath(steps.gen.outputs.result, '$[*].n')", json!([1, 2])),
        ("toJson(map(fromJSON(steps.gen.outputs.result), {.n * 10}))", json!("[10,20]")),
        ("steps.gen.status == 'Succeeded'", json!(true)),
        ("item.name + '-' + string(item.size)", json!("x-7")),
        ("sprig.trim(' a ') + sprig.upper('b')", json!("aB")),
        ("sprig.add(1, 2, 3)", json!(6)),
        ("sprig.trimSuffix('.txt', 'a.txt')", json!("a")),
        ("sprig.default('d', '')", json!("d")),
        ("sprig.replace(' ', '-', 'a b')", json!("a-b")),
        ("sprig.trunc(3, 'abcdef') + sprig.trunc(-2, 'abcdef')", json!("abcef")),
        ("sprig.regexFind('[0-9]+', 'a12b')", json!("12")),
        ("sprig.join('-', sprig.list(1, 2))", json!("1-2")),
        ("sprig.int('7') + 1", json!(8)),
        ("sprig.b64dec(sprig.b64enc('x'))", json!("x")),
        ("sprig.ternary('yes', 'no', 1 == 1)", json!("yes")),
        ("sprig.snakecase('FirstName')", json!("first_name")),
        ("sprig.title('hello world')", json!("Hello World")),
        ("1 // the rest is silence", json!(1)),
    ] {
        let found = evaluate(text, &variables());
        let same = found
            .as_ref()
            .is_ok_and(|found| *found == wanted || found.as_f64().is_some() && found.as_f64() == wanted.as_f64());
        assert!(same, "{text} comes to {found:?} and not {wanted}");
    }
}

#[test]
fn what_is_wrong_is_told() {
    for (text, wanted) in [
        ("1 +", "unexpected end at 3 of '1 +'"),
        ("'abc", "a text that begins at 0"),
        ("missing", "unknown name missing"),
        ("nothing(1)", "unknown function nothing of 1 arguments"),
        ("'a' + 1", "invalid operation: + (mismatched types string and int)"),
        ("[1][3]", "index out of range: 3 (array length is 1)"),
        ("asInt('x')", "cannot make an integer of \"x\""),
        ("1 ? 2 : 3", "1 is neither true nor false"),
        ("nil.a", "cannot fetch a from nil"),
        ("1 % 0", "integer divide by zero"),
        ("a b", "unexpected b at 2 of 'a b'"),
        ("1..9999999999", "is too long"),
        ("#", "# is used outside of a predicate"),
    ] {
        let why = evaluate(text, &variables()).unwrap_err();
        assert!(why.contains(wanted), "{text}: {why}");
    }
    let deep = "(".repeat(5000);
    assert!(evaluate(&deep, &variables()).unwrap_err().contains("too deep"));
}

#[test]
fn variables_are_named_by_their_paths() {
    for (text, wanted) in [
        (
            "steps.a.status == 'x' && tasks['b-c'].outputs.result in list",
            vec!["steps.a.status", "tasks.b-c.outputs.result", "list"],
        ),
        ("let y = a.b; y.c + 1", vec!["a.b"]),
        ("map(steps, #.x)", vec!["steps"]),
        ("a[b.c]", vec!["a", "b.c"]),
    ] {
        assert_eq!(names(text).unwrap(), wanted, "{text}");
    }
}
