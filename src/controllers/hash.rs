//! Short names for templates: the same template has the same one, two of them seldom share one. Pure.

use serde_json::Value;

/// The name of a value; `collisions` makes another one of the same value.
pub(crate) fn of(value: &Value, collisions: Option<i32>) -> String {
    let mut hash: u32 = 0x811c_9dc5;
    let mut feed = |byte: u8| hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    value.to_string().bytes().for_each(&mut feed);
    if let Some(collisions) = collisions {
        collisions.to_le_bytes().into_iter().for_each(&mut feed);
    }
    safe(&hash.to_string())
}

/// Letters that spell no words, as `rand.SafeEncodeString` upstream.
fn safe(text: &str) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let letter = |byte: u8| char::from(LETTERS[usize::from(byte) % LETTERS.len()]);
    text.bytes().map(letter).collect()
}
