//! Expressions and what they come to: the examples of Kubernetes' documentation, and the corners of its source.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::{Attributes, Decision, Decl, DeclKind, Environment, Error, ListKind, Rights, Type, Value, view};

/// The limit that Kubernetes gives one evaluation.
const LIMIT: u64 = 1_000_000;

fn lists(kind: ListKind) -> Decl {
    let item = Decl::object("item", [("name", Decl::simple(DeclKind::String)), ("port", Decl::simple(DeclKind::Int))]);
    Decl::simple(DeclKind::List(Arc::new(item), kind))
}

fn root() -> Decl {
    Decl::object(
        "object",
        [
            ("whole", Decl::simple(DeclKind::Int)),
            ("part", Decl::simple(DeclKind::Double)),
            ("text", Decl::simple(DeclKind::String)),
            ("flag", Decl::simple(DeclKind::Bool)),
            ("either", Decl::simple(DeclKind::Dyn)),
            ("at", Decl::simple(DeclKind::Timestamp)),
            ("day", Decl::simple(DeclKind::Date)),
            ("span", Decl::simple(DeclKind::Duration)),
            ("bytes", Decl::simple(DeclKind::Bytes)),
            ("numbers", Decl::list(Decl::simple(DeclKind::Int))),
            ("labels", Decl::map(Decl::simple(DeclKind::String))),
            ("absent", Decl::simple(DeclKind::String)),
            ("set", Decl::simple(DeclKind::List(Arc::new(Decl::simple(DeclKind::Int)), ListKind::Set))),
            ("ports", lists(ListKind::Map(vec!["name".to_owned()]))),
            ("others", lists(ListKind::Map(vec!["name".to_owned()]))),
        ],
    )
}

fn data() -> Json {
    json!({
        "whole": 3, "part": 2, "text": "héllo wörld", "flag": true, "either": "10%",
        "at": "2024-02-29T13:14:15.5Z", "day": "2024-02-29", "span": "1h30m", "bytes": "aGk=",
        "numbers": [3, 1, 2], "labels": {"a": "1", "b-c": "2"}, "set": [1, 2, 3],
        "ports": [{"name": "a", "port": 1}, {"name": "b", "port": 2}],
        "others": [{"name": "b", "port": 2}, {"name": "a", "port": 1}],
    })
}

fn environment(decl: &Decl) -> Environment {
    Environment::default().with("self", decl.cel_type()).with("any", Type::Dyn)
}

/// The value of an expression as text, or why it has none.
fn come_to(expression: &str) -> String {
    let (decl, json) = (root(), data());
    let program = match environment(&decl).compile(expression) {
        Ok(program) => program,
        Err(issues) => return issues.to_string(),
    };
    let variables = |name: &str| match name {
        "self" => Some(view(&json, &decl)),
        "any" => Some(view(&json, &Decl::DYN)),
        _ => None,
    };
    match program.run(&variables, LIMIT).value {
        Ok(Value::Bool(value)) => value.to_string(),
        Ok(Value::Int(value)) => value.to_string(),
        Ok(Value::String(text)) => text.to_string(),
        Ok(other) => format!("a {}", other.type_of()),
        Err(error) => error.to_string(),
    }
}

/// Expressions that are true.
fn all_true(expressions: &[&str]) {
    for expression in expressions {
        assert_eq!(come_to(expression), "true", "{expression}");
    }
}

#[test]
fn the_language() {
    all_true(&[
        "self.whole + 1 == 4 && self.whole * -2 == -6 && 7 / 2 == 3 && -7 % 3 == -1",
        "self.part == 2.0 && type(self.part) == double && type(self.whole) == int",
        "1 < 1.5 && 2u > 1 && 3 >= 3.0 && dyn(1) == 1.0",
        "has(self.text) && !has(self.absent) && has(any.labels.a) && !has(any.labels.x)",
        "false && self.absent == 'x' || true",
        "self.absent == 'x' || true",
        "true ? true : 1 / 0 == 1",
        "'a' in self.labels && !('z' in self.labels) && 3 in self.numbers && self.labels['b-c'] == '2'",
        "self.numbers.all(x, x > 0) && self.numbers.exists(x, x == 2) && self.numbers.exists_one(x, x > 2)",
        "self.numbers.map(x, x * 2) == [6, 2, 4] && self.numbers.filter(x, x > 1) == [3, 2]",
        "self.numbers.map(x, x > 1, x + 1) == [4, 3] && self.labels.all(k, k.size() > 0)",
        "size('héllo') == 5 && 'héllo'.size() == 5 && size(b'hé') == 3 && size({'a': 1}) == 1",
        "{'a': [1], 'b': [1, 2]} == {'b': [1, 2], 'a': [1]} && [1, 2] != [2, 1]",
        "type(self.either) == string && type([]) == list && type(null) == null_type && type(type(1)) == type",
        "int('12') == 12 && double('1.5') == 1.5 && string(1.0) == '1' && string(1e30) == '1e+30' && uint(3) == 3u",
        "bool('true') && string(b'hi') == 'hi' && bytes('hi') == self.bytes",
        "r'\\d' == '\\\\d' && '''a\n''' == 'a\\n' && '\\u00e9' == 'é'",
        // Two variables.
        "self.numbers.all(i, x, i < 3 && x > 0) && self.labels.exists(k, v, k == 'a' && v == '1')",
        "self.numbers.transformList(i, x, i * x) == [0, 1, 4] && {'a': 1}.transformMap(k, v, v + 1) == {'a': 2}",
        "{'a': 'x'}.transformMapEntry(k, v, {v: k}) == {'x': 'a'}",
        // Optionals.
        "self.?absent.orValue('none') == 'none' && self.?text.hasValue() && self.numbers[?5] == optional.none()",
        "self.labels[?'a'].optMap(x, x + '!').value() == '1!' && optional.of(1).or(optional.of(1 / 0)).value() == 1",
        "[?self.?absent, 'x'] == ['x'] && {?'k': self.?absent} == {} && optional.ofNonZeroValue('').hasValue() == false",
        "any.?labels.?x.orValue('y') == 'y' && [1, 2].last().value() == 2 && [].first() == optional.none()",
    ]);
}

#[test]
fn moments_and_spans() {
    all_true(&[
        "self.at.getFullYear() == 2024 && self.at.getMonth() == 1 && self.at.getDate() == 29",
        "self.at.getDayOfMonth() == 28 && self.at.getDayOfYear() == 59 && self.at.getDayOfWeek() == 4",
        "self.at.getHours() == 13 && self.at.getHours('-08:00') == 5 && self.at.getMilliseconds() == 500",
        "self.at - timestamp('2024-02-29T13:14:00Z') == duration('15.5s')",
        "self.at + self.span > self.at && string(self.span) == '5400s' && self.span.getMinutes() == 90",
        "self.day == timestamp('2024-02-29T00:00:00Z') && string(self.day) == '2024-02-29T00:00:00Z'",
        "duration('1h') == duration('60m') && duration('-1.5h').getSeconds() == -5400",
    ]);
}

#[test]
fn texts() {
    all_true(&[
        "self.text.startsWith('hé') && self.text.endsWith('ld') && self.text.contains('o w')",
        "self.text.charAt(1) == 'é' && self.text.indexOf('l') == 2 && self.text.lastIndexOf('l') == 9",
        "self.text.substring(6) == 'wörld' && self.text.substring(1, 3) == 'él' && ' a '.trim() == 'a'",
        "'a,b,c'.split(',') == ['a', 'b', 'c'] && 'a,b,c'.split(',', 2) == ['a', 'b,c'] && 'ab'.split('') == ['a', 'b']",
        "['a', 'b'].join('-') == 'a-b' && ['a', 'b'].join() == 'ab' && 'aaa'.replace('a', 'b', 2) == 'bba'",
        "'AbÉ'.lowerAscii() == 'abÉ' && 'ab'.upperAscii() == 'AB' && strings.quote('a\"b') == '\"a\\\\\"b\"'",
        "self.text.matches('^h.*d$') && 'abc 123 456'.find('[0-9]+') == '123'",
        "'1 22 333'.findAll('[0-9]+') == ['1', '22', '333'] && '1 22 333'.findAll('[0-9]+', 2) == ['1', '22']",
        "'%d %s %f'.format([1, 'abc', 1.0]) == '1 abc 1.000000' && '%.2f %x %X %o %b'.format([1234.5, 255, 'k', 8, 5]) == '1,234.50 ff 6B 10 101'",
        "'%s'.format([['a', 'b']]) == '[\"a\", \"b\"]' && '%s%%'.format([{'b': 1, 'a': 2}]) == '{\"a\":2, \"b\":1}%'",
        "'%e'.format([3.14]) == '3.140000×10⁰⁰'",
    ]);
}

#[test]
fn lists_and_sets() {
    all_true(&[
        "!self.numbers.isSorted() && [1, 2, 2].isSorted() && self.numbers.sum() == 6 && [1.5, 2.0].sum() == 3.5",
        "self.numbers.min() == 1 && self.numbers.max() == 3 && ['b', 'a'].max() == 'b' && [].sum() == 0",
        "self.numbers.indexOf(1) == 1 && [1, 2, 1].lastIndexOf(1) == 2 && self.numbers.indexOf(9) == -1",
        "sets.contains([1, 2, 3], [2]) && sets.equivalent([1, 1], [1]) && !sets.intersects([1], [2])",
        "self.set == [3, 2, 1] && self.set + [3, 4] == [1, 2, 3, 4]",
        "dyn(self.ports) == dyn(self.others) && (self.ports + self.ports).size() == 2",
    ]);
}

#[test]
fn what_only_kubernetes_has() {
    all_true(&[
        "quantity('1.5Gi').isLessThan(quantity('2Gi')) && quantity('50000000G').isInteger() && isQuantity('1.3Gi')",
        "quantity('50k').add(20).sub(quantity('20k')) == quantity('30020') && sign(quantity('-1')) == -1 && !isQuantity('1.3G1')",
        "quantity('200M').compareTo(quantity('0.2G')) == 0 && quantity('50k').asInteger() == 50000 && quantity('0.5').asApproximateFloat() == 0.5",
        "ip('127.0.0.1').isLoopback() && ip('::1').family() == 6 && ip.isCanonical('2001:db8::abcd') && !ip.isCanonical('2001:DB8::ABCD')",
        "isIP('10.0.0.1') && !isIP('::ffff:1.2.3.4') && ip('192.168.0.1').isGlobalUnicast() && string(ip('10.0.0.1')) == '10.0.0.1'",
        "cidr('192.168.0.0/24').containsIP('192.168.0.9') && cidr('192.168.0.0/24').containsCIDR(cidr('192.168.0.0/25'))",
        "cidr('192.168.1.5/24').masked() == cidr('192.168.1.0/24') && cidr('::1/128').ip() == ip('::1') && !isCIDR('10.0.0.1')",
        "url('https://user@example.com:80/a%20b?x=1&x=2#f').getHostname() == 'example.com' && url('https://[::1]:80/p').getHost() == '[::1]:80'",
        "url('https://example.com/a?k=1&k=b+c').getQuery() == {'k': ['1', 'b c']} && url('/a').getScheme() == '' && !isURL('example.com')",
        "url('https://example.com:8/a b').getEscapedPath() == '/a%20b' && url('https://example.com:8').getPort() == '8'",
        "semver('1.2.3').isLessThan(semver('1.10.0')) && semver('1.0.0-rc.1').compareTo(semver('1.0.0')) == -1 && !isSemver('v1.0')",
        "isSemver('v1.0', true) && semver('01.01.01', true).patch() == 1 && semver('1.2.3').major() == 1",
        "!format.dns1123Label().validate('my-name').hasValue() && format.dns1123Label().validate('My').hasValue()",
        "format.named('uuid').value().validate('x').value() == ['does not match the UUID format'] && !format.named('nothing').hasValue()",
    ]);
}

#[test]
fn failures() {
    let rows = [
        ("self.absent == 'x'", "no such key: absent"),
        ("self.labels['x'] == ''", "no such key: x"),
        ("self.numbers[7] == 1", "index out of bounds: 7"),
        ("9223372036854775807 + self.whole == 0", "integer overflow"),
        ("1 / (self.whole - 3) == 1", "division by zero"),
        ("any.whole > 'x'", "no such overload"),
        ("any.text + 1 == 1", "no such overload"),
        ("[1][0] + dyn('a') == 1", "no such overload"),
        ("optional.none().value() == 1", "optional.none() dereference"),
        ("[0].map(x, 1 / x)[0] == 0", "division by zero"),
        ("[].min() == 1", "min called on empty list"),
        ("semver('1').major() == 1", "No Major.Minor.Patch elements found"),
        (
            "quantity('x').sign() == 1",
            "ERROR: <input>:1:19: found no matching overload for 'sign' applied to 'kubernetes.Quantity.()'\n | quantity('x').sign() == 1\n | ..................^",
        ),
        (
            "ip('x') == ip('y')",
            "IP Address \"x\" parse error during conversion from string: ParseAddr(\"x\"): unable to parse IP",
        ),
    ];
    for (expression, told) in rows {
        assert_eq!(come_to(expression), told, "{expression}");
    }
}

#[test]
fn mistakes_are_told_before_anything_is_evaluated() {
    let rows = [
        ("self.z == 100", 5, "undefined field 'z'", 4),
        ("self.whole > '1'", 12, "found no matching overload for '_>_' applied to '(int, string)'", 11),
        ("'a' + self.whole", 5, "found no matching overload for '_+_' applied to '(string, int)'", 4),
        ("nothing == 1", 1, "undeclared reference to 'nothing' (in container '')", 0),
        ("self.text.shout()", 16, "undeclared reference to 'shout' (in container '')", 15),
        ("self.whole && true", 5, "expected type 'bool' but found 'int'", 4),
        ("[1, 'a'] == []", 5, "expected type 'int' but found 'string'", 4),
        ("self.text.matches(')')", 19, "invalid matches argument", 18),
        ("duration('x') == self.span", 10, "invalid duration argument", 9),
        (
            "self.whole.all(x, true)",
            5,
            "expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)",
            4,
        ),
        ("[1].all(x, x, true)", 12, "duplicate variable name: x", 11),
    ];
    for (expression, column, message, dots) in rows {
        let told = format!("ERROR: <input>:1:{column}: {message}\n | {expression}\n | {}^", ".".repeat(dots));
        assert_eq!(come_to(expression), told, "{expression}");
    }
    assert!(
        come_to("self = 42").starts_with("ERROR: <input>:1:6: Syntax error: token recognition error at: '= '"),
        "{}",
        come_to("self = 42")
    );
    for odd in ["", "(", "a.?", "{", "'\\x'", "1.", "for", "a.b.", "[?]", "\u{0}", "1 +"] {
        assert!(come_to(odd).starts_with("ERROR: "), "{odd:?}: {}", come_to(odd));
    }
    let long = format!("1{} == 1", " + 1".repeat(2_000));
    assert_eq!(come_to(&long).lines().next(), Some("ERROR: <input>:1:7203: expression is nested more than 200 deep"));
    let longest = "x".repeat(100_001);
    assert_eq!(
        come_to(&longest),
        "ERROR: <input>:0:1: expression code point size exceeds limit: size: 100001, limit 100000"
    );
}

#[test]
fn evaluation_stops_at_its_limit() {
    let json = json!(vec![20; 725]);
    let decl = Decl::list(Decl::simple(DeclKind::Int));
    let program = environment(&decl).compile("self.all(x, self.all(y, y == x))").unwrap();
    let run = program.run(&|_| Some(view(&json, &decl)), LIMIT);
    assert_eq!(run.value.err(), Some(Error::Cost));
    assert!(run.cost >= LIMIT, "{}", run.cost);
    let cheap = environment(&decl).compile("self.size() == 725").unwrap();
    let run = cheap.run(&|_| Some(view(&json, &decl)), LIMIT);
    assert!(matches!(run.value, Ok(Value::Bool(true))));
    assert_eq!(run.cost, 3);
}

/// Estimates that cel-go makes of the same expressions over the same sizes.
#[test]
fn costs_are_known_before() {
    let sized = |kind, max_elements| Decl { max_elements, ..Decl::simple(kind) };
    let text = || sized(DeclKind::String, 3_145_726);
    let list = sized(DeclKind::List(Arc::new(text()), ListKind::Atomic), 1_048_575);
    let numbers = sized(DeclKind::List(Arc::new(Decl::simple(DeclKind::Int)), ListKind::Atomic), 10);
    let rows = [
        ("self == 'x'", text(), 2),
        ("self.size() == 1", text(), 3),
        ("self.all(x, x > 0)", numbers.clone(), 52),
        ("self.isSorted()", numbers, 11),
        // The loop's 3, the name's 1 and going over 15 characters, 2, for each item; and what is around it.
        ("self.all(s, s == 'string constant')", list, 1_048_575 * 6 + 2),
        ("self.startsWith('abc')", text(), 2),
        ("self.contains('abc')", text(), 314_574),
    ];
    for (expression, decl, cost) in rows {
        let program = Environment::default().with("self", decl.cel_type()).compile(expression).unwrap();
        assert_eq!(program.cost(&decl), cost, "{expression}");
    }
}

struct Answers;

impl Rights for Answers {
    fn check(&self, asked: &Attributes) -> Decision {
        let account = asked.account.as_ref().map(|(namespace, name)| format!("{namespace}/{name}"));
        let reason = format!(
            "{} {} {}/{} in {} named {} {}",
            account.unwrap_or_default(),
            asked.verb,
            asked.group,
            asked.resource,
            asked.namespace,
            asked.name,
            asked.path
        );
        Decision { allowed: asked.verb == "get", reason, error: String::new() }
    }
}

#[test]
fn rights_can_be_asked_for() {
    let env = Environment::default().with("authorizer", Type::Named("kubernetes.authorization.Authorizer"));
    let rows = [
        (
            "string(authorizer.group('apps').resource('deployments').namespace('a').name('b').check('get').allowed())",
            "true",
        ),
        ("authorizer.group('').resource('pods').check('list').reason()", " list /pods in  named  "),
        ("authorizer.serviceAccount('ns', 'sa').path('/x').check('get').reason()", "ns/sa get / in  named  /x"),
        ("string(authorizer.path('/x').check('post').errored())", "false"),
        ("authorizer.path('').check('get').reason()", "path must not be empty"),
    ];
    for (expression, told) in rows {
        let program = env.compile(expression).unwrap();
        let run = program.run(&|_| Some(Ok(Value::authorizer(&Answers))), LIMIT);
        let found = match run.value {
            Ok(Value::String(text)) => text.to_string(),
            Ok(other) => format!("a {}", other.type_of()),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, told, "{expression}");
    }
    let program = env.compile("authorizer.path('/a').check('get').allowed() && authorizer.path('/b').check('get').allowed() && authorizer.path('/c').check('get').allowed()").unwrap();
    let run = program.run(&|_| Some(Ok(Value::authorizer(&Answers))), LIMIT);
    assert_eq!(run.value.err(), Some(Error::Cost), "three questions are one too many");
}
