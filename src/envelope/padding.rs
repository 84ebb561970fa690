//! Size classes of requests and frame counts (protocol section 4): Padme leaks O(log log n) bits of a length, the
//! coarse classes of the `high` profile fewer still.

use crate::{error::Error, message::Profile};

/// Smallest class of a request's plaintext, in bytes.
pub const MIN_PLAINTEXT: usize = 2_048;

/// Largest class: with its envelope it stays below Waku's 150 KiB.
pub const MAX_PLAINTEXT: usize = 147_456;

/// The Padme length of `len`: the next multiple of 2^(E-S), E = log2(len), S = bits of E.
pub fn padme(len: usize) -> usize {
    let Some(exponent) = len.checked_ilog2() else { return len };
    let Some(bits) = exponent.checked_ilog2() else { return len };
    let mask = (1usize << (exponent - (bits + 1).min(exponent))) - 1;
    len.saturating_add(mask) & !mask
}

/// The smallest class of this profile that holds `len` bytes of plaintext.
///
/// # Errors
/// `TooLarge` over [`MAX_PLAINTEXT`].
pub fn class(len: usize, profile: Profile) -> Result<usize, Error> {
    if len > MAX_PLAINTEXT {
        return Err(Error::too_large("request"));
    }
    let len = len.max(MIN_PLAINTEXT);
    Ok(match profile {
        Profile::Balanced | Profile::Fast => padme(len),
        Profile::High => coarse(len),
    }
    .min(MAX_PLAINTEXT))
}

/// Whether a plaintext of this size is of any profile's class; all coarse classes are Padme lengths too.
pub fn is_class(len: usize) -> bool {
    (MIN_PLAINTEXT..=MAX_PLAINTEXT).contains(&len) && padme(len) == len
}

/// How many frames the `high` profile sends in all for `frames` with content: 19 classes up to 4,096.
pub fn frame_count(frames: u32) -> u32 {
    coarse(frames.max(8) as usize).try_into().unwrap_or(u32::MAX)
}

/// The next 2^k or 1.5 * 2^k.
fn coarse(len: usize) -> usize {
    let Some(power) = len.checked_next_power_of_two() else { return usize::MAX };
    let between = power / 4 * 3;
    if between >= len { between } else { power }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    #[test]
    fn padme_is_as_published() {
        for (len, padded) in
            [(9, 10), (100, 104), (1000, 1024), (10_000, 10_240), (100_000, 100_352), (0, 0), (1, 1), (2, 2), (3, 3)]
        {
            assert_eq!(padme(len), padded, "{len}");
        }
    }

    #[test]
    fn classes_are_few_and_hold_what_they_must() {
        let classes = |profile| {
            (1..=MAX_PLAINTEXT)
                .map(|len| {
                    let class = class(len, profile).unwrap();
                    assert!(class >= len && is_class(class));
                    class
                })
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(classes(Profile::Balanced).len(), 117);
        assert_eq!(classes(Profile::Fast).len(), 117);
        assert_eq!(classes(Profile::High).len(), 14);
        assert!(class(MAX_PLAINTEXT + 1, Profile::High).is_err());
        assert_eq!((1..=4096).map(frame_count).collect::<BTreeSet<_>>().len(), 19);
    }
}
