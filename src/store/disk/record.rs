//! Changes as bytes, in the payload of a frame: an operation, its revision, the key, and for a new version the object.

use std::str;
use std::sync::Arc;

use bytes::Bytes;

use crate::{Collection, Key, Stored};

const PUT: u8 = 1;
const DELETE: u8 = 2;
const END: u8 = 3;

/// A change as read back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// A new object or version.
    Put(Stored),
    /// A deletion.
    Delete { key: Key, revision: u64 },
    /// The end of a snapshot of so many objects.
    End { objects: u64 },
}

pub(crate) fn put(out: &mut Vec<u8>, object: &Stored) {
    out.push(PUT);
    number(out, object.revision);
    key(out, &object.key);
    bytes(out, &object.bytes);
}

pub(crate) fn delete(out: &mut Vec<u8>, object: &Stored) {
    out.push(DELETE);
    number(out, object.revision);
    key(out, &object.key);
}

pub(crate) fn end(out: &mut Vec<u8>, objects: u64) {
    out.push(END);
    number(out, objects);
}

fn key(out: &mut Vec<u8>, key: &Key) {
    let collection = &key.collection;
    for part in [&collection.group, &collection.resource, &key.namespace, &key.name] {
        bytes(out, part.as_bytes());
    }
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// LEB128: seven bits a byte, the lowest first.
fn number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes one record off the front of a payload.
pub(crate) fn take(payload: &mut &[u8]) -> Option<Record> {
    let operation = take_bytes(payload, 1)?[0];
    let number = take_number(payload)?;
    match operation {
        PUT => Some(Record::Put(Stored {
            key: take_key(payload)?,
            revision: number,
            bytes: Bytes::copy_from_slice(take_field(payload)?),
        })),
        DELETE => Some(Record::Delete { key: take_key(payload)?, revision: number }),
        END => Some(Record::End { objects: number }),
        _ => None,
    }
}

fn take_key(payload: &mut &[u8]) -> Option<Key> {
    let mut text = || -> Option<Arc<str>> {
        let field = take_field(payload)?;
        str::from_utf8(field).ok().map(Arc::from)
    };
    Some(Key { collection: Collection { group: text()?, resource: text()? }, namespace: text()?, name: text()? })
}

fn take_field<'a>(payload: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_number(payload)?).ok()?;
    take_bytes(payload, length)
}

fn take_bytes<'a>(payload: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = payload.split_at_checked(length)?;
    *payload = rest;
    Some(taken)
}

fn take_number(payload: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = take_bytes(payload, 1)?[0];
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str, revision: u64, bytes: &[u8]) -> Stored {
        Stored {
            key: Key {
                collection: Collection { group: Arc::from("apps"), resource: Arc::from("deployments") },
                namespace: Arc::from(""),
                name: Arc::from(name),
            },
            revision,
            bytes: Bytes::copy_from_slice(bytes),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let first = object("a", 2, b"{}");
        let second = object("b", u64::MAX, &[7; 300]);
        let mut payload = Vec::new();
        put(&mut payload, &first);
        delete(&mut payload, &second);
        put(&mut payload, &second);
        end(&mut payload, 127);
        let mut rest = &payload[..];
        let deleted = Record::Delete { key: second.key.clone(), revision: second.revision };
        assert_eq!(take(&mut rest), Some(Record::Put(first)));
        assert_eq!(take(&mut rest), Some(deleted));
        assert_eq!(take(&mut rest), Some(Record::Put(second)));
        assert_eq!(take(&mut rest), Some(Record::End { objects: 127 }));
        assert!(rest.is_empty());
    }

    #[test]
    fn nonsense_is_refused() {
        let mut whole = Vec::new();
        put(&mut whole, &object("name", 300, b"bytes"));
        for length in 0..whole.len() {
            assert_eq!(take(&mut &whole[..length]), None, "cut at {length}");
        }
        assert_eq!(take(&mut &[9, 0, 0][..]), None);
        assert_eq!(take_number(&mut &[0xff; 10][..]), None);
    }
}
