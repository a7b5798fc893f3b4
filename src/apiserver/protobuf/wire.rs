//! The wire form of protobuf: numbered fields, each a number or bytes. It must not know what they mean.

use super::ProtobufError;

/// A field as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read<'a> {
    /// A varint, or a fixed number's bits.
    Number(u64),
    /// Bytes: a text, a message, or a packed list.
    Bytes(&'a [u8]),
}

/// The fields of a message, in their order.
pub(super) fn fields(mut bytes: &[u8]) -> Result<Vec<(u64, Read<'_>)>, ProtobufError> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let read = match tag & 7 {
            0 => Read::Number(varint(&mut bytes)?),
            1 => Read::Number(fixed(take(&mut bytes, 8)?)),
            5 => Read::Number(fixed(take(&mut bytes, 4)?)),
            2 => {
                let length = varint(&mut bytes)?;
                let length = usize::try_from(length).map_err(|_| ProtobufError::Illegal)?;
                Read::Bytes(take(&mut bytes, length)?)
            }
            _ => return Err(ProtobufError::Illegal),
        };
        found.push((tag >> 3, read));
    }
    Ok(found)
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], ProtobufError> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or(ProtobufError::Illegal)?;
    *bytes = rest;
    Ok(taken)
}

fn fixed(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn varint(bytes: &mut &[u8]) -> Result<u64, ProtobufError> {
    let mut number = 0;
    for shift in (0..70).step_by(7) {
        let (first, rest) = bytes.split_first().ok_or(ProtobufError::Illegal)?;
        *bytes = rest;
        number |= u64::from(first & 0x7f).checked_shl(shift).unwrap_or(0);
        if first & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(ProtobufError::Illegal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_form_and_refuses_what_is_cut() {
        let bytes = [0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x1d, 1, 0, 0, 0];
        let read = fields(&bytes).unwrap();
        assert_eq!(read, [(1, Read::Number(150)), (2, Read::Bytes(b"hi")), (3, Read::Number(1))]);
        for end in [1, 2, 4, 6, 9] {
            assert_eq!(fields(&bytes[..end]), Err(ProtobufError::Illegal), "{end}");
        }
        assert_eq!(
            fields(&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            Err(ProtobufError::Illegal)
        );
    }
}
