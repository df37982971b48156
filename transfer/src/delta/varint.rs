//! Numbers as LEB128: seven bits a byte, the lowest first; signed ones with the sign in the lowest bit.

use super::Operation;

/// Seven bits each of 64.
const MAX_BYTES: usize = 10;

/// Takes a number off the front of `bytes`.
pub(super) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for at in 0..MAX_BYTES {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(first & 0x7f);
        value |= bits.checked_shl(7 * at as u32).filter(|shifted| shifted >> (7 * at) == bits)?;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Takes an operation off the front of `bytes`.
pub(super) fn take_operation(bytes: &mut &[u8]) -> Option<Operation> {
    let (copy, add, new, seek) = (take(bytes)?, take(bytes)?, take(bytes)?, take(bytes)?);
    let seek = (seek >> 1).cast_signed() ^ -((seek & 1).cast_signed());
    Some(Operation { copy, add, new, seek })
}

/// Puts a number at the end of `bytes`.
#[cfg(feature = "make")]
pub(super) fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Puts an operation at the end of `bytes`.
#[cfg(feature = "make")]
pub(super) fn put_operation(bytes: &mut Vec<u8>, operation: &Operation) {
    let Operation { copy, add, new, seek } = *operation;
    let seek = (seek << 1 ^ seek >> 63).cast_unsigned();
    [copy, add, new, seek].into_iter().for_each(|value| put(bytes, value));
}

#[cfg(all(test, feature = "make"))]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_what_is_none_does_not() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            assert_eq!(take(&mut bytes.as_slice()), Some(value));
            bytes.pop();
            assert_eq!(take(&mut bytes.as_slice()), None, "{value} without its end");
        }
        assert_eq!(take(&mut [0xff; 11].as_slice()), None);
        let one_bit_too_many = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2];
        assert_eq!(take(&mut one_bit_too_many.as_slice()), None);
    }

    #[test]
    fn operations_come_back() {
        for seek in [0, 1, -1, 4096, -4096, i64::MAX, i64::MIN] {
            let operation = Operation { copy: 1, add: 300, new: 0, seek };
            let mut bytes = Vec::new();
            put_operation(&mut bytes, &operation);
            assert_eq!(take_operation(&mut bytes.as_slice()), Some(operation));
        }
    }
}
