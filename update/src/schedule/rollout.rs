use pintle_verify::Percent;

use super::{MachineId, Purpose};

/// Whether a machine is among the first `rollout` percent that the release with this sequence is for.
///
/// A machine that is among the first N percent is among the first N + 1 too, however often it asks;
/// who the first are is another draw for each release. The sequence makes the draw, and not the
/// seal's digest: a seal that only raises the percentage has another digest.
pub fn includes(machine: &MachineId, sequence: u64, rollout: Percent) -> bool {
    machine.share(Purpose::Rollout(sequence)).is_among(rollout)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLEET: u32 = 20_000;

    fn machine(number: u32) -> MachineId {
        MachineId::from_bytes(u128::from(number).to_be_bytes())
    }

    fn percent(number: u8) -> Percent {
        Percent::try_from(number).unwrap()
    }

    fn included(sequence: u64, rollout: u8) -> Vec<u32> {
        let is_in = |number: &u32| includes(&machine(*number), sequence, percent(rollout));
        (0..FLEET).filter(is_in).collect()
    }

    #[test]
    fn nobody_and_everybody() {
        assert_eq!(included(7, 0).len(), 0);
        assert_eq!(included(7, 100).len(), FLEET as usize);
    }

    #[test]
    fn a_percentage_is_one_and_only_grows() {
        let mut before: Vec<u32> = Vec::new();
        for rollout in [1, 5, 20, 50, 99] {
            let now = included(7, rollout);
            let expected = (FLEET / 100 * u32::from(rollout)) as usize;
            // Five standard deviations of a binomial distribution at its widest.
            assert!(now.len().abs_diff(expected) < 354, "{rollout} %: {}", now.len());
            assert!(before.iter().all(|number| now.contains(number)), "{rollout} %");
            before = now;
        }
    }

    #[test]
    fn releases_begin_with_other_machines() {
        let (first, second) = (included(7, 20), included(8, 20));
        let both = first.iter().filter(|number| second.contains(number)).count();
        let expected = (FLEET / 25) as usize;
        assert!(both.abs_diff(expected) < 140, "{both} of {expected}");
    }
}
