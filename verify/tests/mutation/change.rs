//! A change of some bytes at some place.

/// Removes, repeats, reverses or flips a few bytes, or inserts one of the odd ones.
pub(crate) fn mutate(bytes: &mut Vec<u8>, odd: &[u8], random: &mut Random) {
    let start = random.below(bytes.len() + 1);
    let end = bytes.len().min(start + random.below(33));
    match random.below(6) {
        0 => drop(bytes.drain(start..end)),
        1 => bytes.truncate(end),
        2 => bytes.extend_from_within(start..end),
        3 => bytes.insert(start, odd[random.below(odd.len())]),
        4 => bytes[start..end].reverse(),
        _ => bytes[start..end].iter_mut().take(1).for_each(|byte| *byte ^= 1 << random.below(8)),
    }
}

/// Marsaglia's xorshift64: the same numbers in every run and on every machine.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}
