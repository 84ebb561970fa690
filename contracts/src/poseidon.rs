//! Poseidon over BN254's scalar field with one to four inputs, as circomlib has it: what makes a member's commitment from
//! its secret. Constants are derived as the Poseidon paper's reference does (appendix E: Grain LFSR, Cauchy matrix), so
//! that there is no table to trust.

use alloy_primitives::{U256, uint};

/// BN254's scalar field.
const P: U256 = uint!(0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001_U256);
/// Bits of an element.
const BITS: u64 = 254;
/// Rounds in which every word meets x^5, half of them at each end.
const FULL: usize = 8;
/// Rounds in which one word does, for widths from 2 on.
const PARTIAL: [usize; 4] = [56, 57, 56, 60];

/// The hash for one number of inputs, its constants derived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poseidon {
    width: usize,
    /// A row a round.
    constants: Vec<U256>,
    /// Row by row.
    matrix: Vec<U256>,
}

impl Poseidon {
    /// For one to four inputs.
    #[must_use]
    pub fn new(inputs: usize) -> Option<Self> {
        let partial = *PARTIAL.get(inputs.checked_sub(1)?)?;
        let width = inputs + 1;
        let mut grain = Grain::new(width as u64, partial as u64);
        let constants = (0..width * (FULL + partial)).map(|_| grain.below_p()).collect();
        let points: Vec<U256> = (0..2 * width).map(|_| grain.bits() % P).collect();
        let (xs, ys) = points.split_at(width);
        let inverses = xs.iter().flat_map(|x| ys.iter().map(|y| x.add_mod(*y, P).inv_mod(P)));
        Some(Self { width, constants, matrix: inverses.collect::<Option<_>>()? })
    }

    /// The hash; none where another number of inputs comes, or one that is no element of the field.
    #[must_use]
    pub fn hash(&self, inputs: &[U256]) -> Option<U256> {
        if inputs.len() + 1 != self.width || inputs.iter().any(|input| *input >= P) {
            return None;
        }
        let mut state = vec![U256::ZERO];
        state.extend_from_slice(inputs);
        let rounds = self.constants.len() / self.width;
        for (round, constants) in self.constants.chunks(self.width).enumerate() {
            let full = round < FULL / 2 || round >= rounds - FULL / 2;
            for (index, (word, constant)) in state.iter_mut().zip(constants).enumerate() {
                *word = word.add_mod(*constant, P);
                if full || index == 0 {
                    let square = word.mul_mod(*word, P);
                    *word = word.mul_mod(square.mul_mod(square, P), P);
                }
            }
            let mixed = self.matrix.chunks(self.width).map(|row| {
                row.iter().zip(&state).fold(U256::ZERO, |sum, (m, word)| sum.add_mod(m.mul_mod(*word, P), P))
            });
            state = mixed.collect();
        }
        state.first().copied()
    }
}

/// The generator of the constants: an LFSR of 80 bits whose output is shrunk by itself.
struct Grain(u128);

impl Grain {
    fn new(width: u64, partial: u64) -> Self {
        // Prime field, x^5, then the sizes; 30 ones fill it up.
        let fields = [(1, 2), (0, 4), (BITS, 12), (width, 12), (FULL as u64, 10), (partial, 10), ((1 << 30) - 1, 30)];
        let state = fields.iter().fold(0, |state, (value, bits)| state << bits | u128::from(*value));
        let mut grain = Self(state);
        for _ in 0..160 {
            grain.clock();
        }
        grain
    }

    /// The first bit is the highest of the 80.
    fn clock(&mut self) -> bool {
        let bit = [62, 51, 38, 23, 13, 0].iter().fold(0, |bit, tap| bit ^ self.0 >> (79 - tap) & 1);
        self.0 = (self.0 << 1 | bit) & ((1 << 80) - 1);
        bit == 1
    }

    /// Of two bits the second counts where the first is set.
    fn bit(&mut self) -> bool {
        while !self.clock() {
            self.clock();
        }
        self.clock()
    }

    fn bits(&mut self) -> U256 {
        (0..BITS).fold(U256::ZERO, |number, _| number << 1 | U256::from(self.bit()))
    }

    fn below_p(&mut self) -> U256 {
        loop {
            let number = self.bits();
            if number < P {
                return number;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_element_or_too_many_is_refused() {
        assert_eq!(Poseidon::new(0), None);
        assert_eq!(Poseidon::new(5), None);
        let one = Poseidon::new(1).unwrap();
        assert_eq!(one.hash(&[P]), None);
        assert_eq!(one.hash(&[]), None);
        assert_eq!(one.hash(&[U256::ZERO; 2]), None);
        assert!(one.hash(&[P - U256::ONE]).is_some());
    }
}
