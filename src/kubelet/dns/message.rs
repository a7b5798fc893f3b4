//! DNS messages: a question in, an answer out, or the word that others have to answer. Pure.

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, PTR, SOA, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::names::{Data, Outcome, look_up};
use crate::container::files::CLUSTER_DOMAIN;
use crate::services::Table;

/// Names change as pods come and go.
const TTL: u32 = 5;
const SMALLEST_UDP: u16 = 512;

/// What becomes of a question.
#[derive(Debug)]
pub(super) enum Reply {
    Answer(Vec<u8>),
    /// Not ours: ask the machine's own servers.
    Forward,
    /// Not even a question.
    Nothing,
}

/// Answers a message; `largest` is what the transport carries, `None` without a limit.
pub(super) fn reply(table: &Table, packet: &[u8], udp: bool) -> Reply {
    let Ok(request) = Message::from_vec(packet) else {
        return Reply::Nothing;
    };
    if request.metadata.message_type != MessageType::Query {
        return Reply::Nothing;
    }
    let mut answer = Message::response(request.metadata.id, request.metadata.op_code);
    answer.metadata.recursion_desired = request.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.queries.clone_from(&request.queries);
    let [question] = request.queries.as_slice() else {
        return finish(answer, ResponseCode::FormErr, None);
    };
    if request.metadata.op_code != OpCode::Query {
        return finish(answer, ResponseCode::NotImp, None);
    }
    let text = question.name().to_lowercase().to_ascii();
    let name = text.trim_end_matches('.');
    let limit = udp.then(|| request.max_payload().max(SMALLEST_UDP));
    answer.metadata.authoritative = true;
    let code = match look_up(table, name) {
        Outcome::Elsewhere => return Reply::Forward,
        Outcome::NoSuchName => ResponseCode::NXDomain,
        Outcome::Nothing => ResponseCode::NoError,
        Outcome::Records(records) => {
            let fitting = records.into_iter().filter_map(|data| record(&data, question.query_type()));
            let made = fitting.map(|data| Record::from_rdata(question.name().clone(), TTL, data));
            answer.answers = made.collect();
            ResponseCode::NoError
        }
    };
    if answer.answers.is_empty() {
        answer.authorities.extend(authority());
    }
    finish(answer, code, limit)
}

/// An answer that says that nobody could be asked.
pub(super) fn failure(packet: &[u8]) -> Option<Vec<u8>> {
    let request = Message::from_vec(packet).ok()?;
    let mut answer = Message::response(request.metadata.id, request.metadata.op_code);
    answer.queries = request.queries;
    answer.metadata.response_code = ResponseCode::ServFail;
    answer.to_vec().ok()
}

fn finish(mut answer: Message, code: ResponseCode, limit: Option<u16>) -> Reply {
    answer.metadata.response_code = code;
    let Ok(bytes) = answer.to_vec() else {
        return Reply::Nothing;
    };
    match limit {
        Some(limit) if bytes.len() > usize::from(limit) => {
            let short = answer.truncate().to_vec();
            short.map_or(Reply::Nothing, Reply::Answer)
        }
        _ => Reply::Answer(bytes),
    }
}

fn record(data: &Data, wanted: RecordType) -> Option<RData> {
    let name = |text: &str| Name::from_ascii(format!("{text}.")).ok();
    let wants = |kind| wanted == kind || wanted == RecordType::ANY;
    match data {
        Data::Address(address) if wants(RecordType::A) => Some(RData::A(A(*address))),
        Data::Service { port, target } if wants(RecordType::SRV) => {
            Some(RData::SRV(SRV::new(0, 100, *port, name(target)?)))
        }
        Data::Pointer(target) if wants(RecordType::PTR) => Some(RData::PTR(PTR(name(target)?))),
        Data::Alias(target) => Some(RData::CNAME(CNAME(name(target)?))),
        _ => None,
    }
}

/// The authority record that lets resolvers remember what is not there, for a moment.
fn authority() -> Option<Record> {
    let zone = Name::from_ascii(format!("{CLUSTER_DOMAIN}.")).ok()?;
    let server = Name::from_ascii(format!("ns.dns.{CLUSTER_DOMAIN}.")).ok()?;
    let keeper = Name::from_ascii(format!("hostmaster.{CLUSTER_DOMAIN}.")).ok()?;
    let data = SOA::new(server, keeper, 1, 7200, 1800, 86_400, TTL);
    Some(Record::from_rdata(zone, TTL, RData::SOA(data)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::op::Query;
    use serde_json::json;

    fn ask(name: &str, kind: RecordType) -> Reply {
        let table = crate::services::tests::table(
            vec![
                json!({"metadata": {"namespace": "n", "name": "web"}, "spec": {"clusterIP": "10.96.0.7", "ports": [{"port": 80}]}}),
            ],
            vec![],
        );
        let mut question = Message::new(7, MessageType::Query, OpCode::Query);
        question.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        reply(&table, &question.to_vec().unwrap(), true)
    }

    fn answered(name: &str, kind: RecordType) -> Message {
        match ask(name, kind) {
            Reply::Answer(bytes) => Message::from_vec(&bytes).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn answers() {
        let answer = answered("WEB.n.svc.cluster.local.", RecordType::A);
        assert_eq!(answer.metadata.id, 7);
        assert_eq!(answer.answers[0].data, RData::A(A([10, 96, 0, 7].into())));
        let none = answered("web.n.svc.cluster.local.", RecordType::AAAA);
        assert_eq!((none.metadata.response_code, none.answers.len()), (ResponseCode::NoError, 0));
        let missing = answered("web.n.svc.cluster.local.n.svc.cluster.local.", RecordType::A);
        assert_eq!(missing.metadata.response_code, ResponseCode::NXDomain);
        assert_eq!(missing.authorities.len(), 1);
        assert!(matches!(ask("example.org.", RecordType::A), Reply::Forward));
        let empty = crate::services::tests::table(vec![], vec![]);
        assert!(matches!(reply(&empty, b"junk", true), Reply::Nothing));
    }
}
