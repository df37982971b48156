//! The twelve cases of "Taming the many EdDSAs" (Chalkias, Garillot, Nikolaenko; eprint 2020/1244),
//! constructed from the conditions of its table.
//!
//! Verification by the strict rules refuses all of them but case 3, whose points are of mixed order
//! but neither small nor non-canonical.

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as B, EIGHT_TORSION};
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::traits::IsIdentity;
use curve25519_dalek::{EdwardsPoint, Scalar};
use sha2::{Digest as _, Sha512};

use super::PublicKey;
use crate::{Error, Weakness};

#[test]
fn of_the_twelve_cases_the_strict_rules_accept_only_case_3() {
    let accepted: Vec<usize> = (0..12).filter(|number| case(*number).is_accepted()).collect();
    assert_eq!(accepted, [3]);
}

#[test]
fn each_case_meets_the_conditions_of_the_table() {
    use Order::{Mixed, Prime, Small};
    let table = [
        // order of A, order of R, 8SB = 8R + 8hA, SB = R + hA
        (Small, Small, true, true),
        (Small, Mixed, true, true),
        (Mixed, Small, true, true),
        (Mixed, Mixed, true, true),
        (Mixed, Mixed, true, false),
        (Mixed, Prime, true, false),
        (Prime, Prime, true, true),
        (Prime, Prime, true, true),
        (Mixed, Small, true, true),
        (Mixed, Small, true, true),
        (Small, Mixed, true, true),
        (Small, Mixed, true, true),
    ];
    for (number, conditions) in table.into_iter().enumerate() {
        assert_eq!(case(number).conditions(), conditions, "case {number}");
    }
}

#[test]
fn keys_of_small_order_or_not_canonical_are_not_enrolled() {
    for point in EIGHT_TORSION {
        assert_eq!(weakness(point.compress().0), Weakness::SmallOrder);
    }
    for excess in 0..19 {
        let mut bytes = Y_IS_P;
        bytes[0] += excess;
        // y = 0 and y = 1 are of small order; of the others some are the y of a point.
        let is_small = excess < 2;
        assert_eq!(weakness(bytes) == Weakness::SmallOrder, is_small, "y = p + {excess}");
        bytes[31] |= 0x80;
        assert_eq!(weakness(bytes) == Weakness::SmallOrder, is_small, "y = p + {excess}, negative");
    }
    let mut no_point = [0; 32];
    no_point[0] = 2;
    assert_eq!(weakness(no_point), Weakness::NoPoint);
    let mut three_by_another_name = Y_IS_P;
    three_by_another_name[0] += 3;
    assert_eq!(weakness(three_by_another_name), Weakness::NotCanonical);
}

fn weakness(bytes: [u8; 32]) -> Weakness {
    match PublicKey::try_from(bytes) {
        Err(Error::WeakKey(weakness)) => weakness,
        other => panic!("{bytes:?}: {other:?}"),
    }
}

/// y = p, another encoding of y = 0, which is a point of order 4.
const Y_IS_P: [u8; 32] = {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xed;
    bytes[31] = 0x7f;
    bytes
};

/// Case 0 to 11 of the table.
fn case(number: usize) -> Case {
    use Hashed::{AsSent, Reduced};
    let torsion = EIGHT_TORSION[1];
    let (small, mixed_a, mixed_r) = (half(0, torsion), half(5, torsion), half(7, torsion));
    let (prime_a, prime_r) = (half(5, EIGHT_TORSION[0]), half(7, EIGHT_TORSION[0]));
    // What a point of order 4 can cancel is of order 4 or less.
    let quartic_r = half(7, EIGHT_TORSION[2]);
    let odd = Half { encoding: Y_IS_P, secret: Scalar::ZERO };
    match number {
        0 => make(small, small, AsSent, Case::cancels),
        1 => make(small, mixed_r, AsSent, Case::cancels),
        2 => make(mixed_a, small, AsSent, Case::cancels),
        3 => make(mixed_a, mixed_r, AsSent, Case::cancels),
        4 => make(mixed_a, mixed_r, AsSent, Case::leaves_rest),
        5 => make(mixed_a, prime_r, AsSent, Case::leaves_rest_when_prereduced),
        6 => make(prime_a, prime_r, AsSent, Case::cancels).with_order_added(1),
        7 => make(prime_a, prime_r, AsSent, Case::cancels).with_order_added(14),
        8 => make(mixed_a, odd, Reduced, Case::cancels),
        9 => make(mixed_a, odd, AsSent, Case::cancels),
        10 => make(odd, quartic_r, Reduced, Case::cancels),
        _ => make(odd, quartic_r, AsSent, Case::cancels),
    }
}

/// A or R: how it is sent, and the multiple of B in it that its maker knows.
#[derive(Clone, Copy)]
struct Half {
    encoding: [u8; 32],
    secret: Scalar,
}

fn half(secret: u64, torsion: EdwardsPoint) -> Half {
    let secret = Scalar::from(secret) * -Scalar::from(1u64 << 63);
    Half { encoding: (secret * B + torsion).compress().0, secret }
}

impl Half {
    fn point(&self) -> EdwardsPoint {
        CompressedEdwardsY(self.encoding).decompress().unwrap()
    }

    fn hashed(&self, how: Hashed) -> [u8; 32] {
        match how {
            Hashed::AsSent => self.encoding,
            Hashed::Reduced => self.point().compress().0,
        }
    }
}

/// Whether the maker hashes A and R as they are sent, or reduced to their canonical encodings.
#[derive(Clone, Copy)]
enum Hashed {
    AsSent,
    Reduced,
}

#[derive(Debug, PartialEq)]
enum Order {
    Small,
    Mixed,
    Prime,
}

impl Order {
    fn of(point: EdwardsPoint) -> Self {
        match (point.is_small_order(), point.is_torsion_free()) {
            (true, _) => Self::Small,
            (false, false) => Self::Mixed,
            (false, true) => Self::Prime,
        }
    }
}

/// A signature (R, S) by the key A over a message, and the hash that its maker meant.
struct Case {
    a: Half,
    r: Half,
    s: [u8; 32],
    message: [u8; 8],
    h: Scalar,
}

/// Tries messages until the parts of small order do what is wanted: one in eight, or seven in eight.
fn make(a: Half, r: Half, hashed: Hashed, wanted: fn(&Case) -> bool) -> Case {
    let case = |number: u64| {
        let message = number.to_le_bytes();
        let hash = Sha512::new().chain_update(r.hashed(hashed)).chain_update(a.hashed(hashed));
        let h = Scalar::from_bytes_mod_order_wide(&hash.chain_update(message).finalize().into());
        Case { a, r, s: (r.secret + h * a.secret).to_bytes(), message, h }
    };
    (0..).map(case).find(wanted).unwrap()
}

impl Case {
    fn is_accepted(&self) -> bool {
        // Past enrolment, which refuses the small keys, to the verification itself.
        let key = ed25519_dalek::VerifyingKey::from_bytes(&self.a.encoding).unwrap();
        PublicKey(key).has_signed(&self.message, &(self.r.encoding, self.s))
    }

    fn conditions(&self) -> (Order, Order, bool, bool) {
        let cofactored = self.rest().mul_by_cofactor().is_identity();
        let cofactorless = self.cancels();
        (Order::of(self.a.point()), Order::of(self.r.point()), cofactored, cofactorless)
    }

    fn cancels(&self) -> bool {
        self.rest().is_identity()
    }

    fn leaves_rest(&self) -> bool {
        !self.cancels()
    }

    /// 8h modulo L is no multiple of 8 any more: who multiplies A by it keeps A's small part.
    fn leaves_rest_when_prereduced(&self) -> bool {
        let small_part = self.a.point() - self.a.secret * B;
        let kept = Scalar::from(8u8) * self.h * small_part;
        self.leaves_rest() && !kept.is_identity()
    }

    /// SB - R - hA.
    fn rest(&self) -> EdwardsPoint {
        let s = Scalar::from_bytes_mod_order(self.s);
        s * B - self.r.point() - self.h * self.a.point()
    }

    /// The same signature with `times` L added to S.
    fn with_order_added(mut self, times: usize) -> Self {
        (0..times).for_each(|_| add_order(&mut self.s));
        self
    }
}

/// Adds L, the order of B, which is one more than the largest scalar.
fn add_order(s: &mut [u8; 32]) {
    let largest = (-Scalar::ONE).to_bytes();
    let mut carry = 1;
    for (to, from) in s.iter_mut().zip(largest) {
        let sum = u16::from(*to) + u16::from(from) + carry;
        *to = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0, "S fits 32 bytes");
}
