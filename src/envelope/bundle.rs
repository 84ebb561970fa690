//! Frames of many clients in one message: shuffled, and filled up with dummies to a power of two, so that who gets how
//! many cannot be told (protocol sections 4 and 6.2).

use crate::{
    envelope::{
        BUNDLE,
        frame::{FRAME_LEN, Frame},
    },
    error::Error,
};
use alloc::vec::Vec;
use rand_core::CryptoRng;

/// Most frames of one bundle: 32 KB.
pub const MAX_FRAMES: usize = 64;

/// Puts at most [`MAX_FRAMES`] frames into one message.
///
/// # Errors
/// `TooLarge` when there are none or too many.
pub fn encode(mut frames: Vec<Frame>, rng: &mut (impl CryptoRng + ?Sized)) -> Result<Vec<u8>, Error> {
    if frames.is_empty() || frames.len() > MAX_FRAMES {
        return Err(Error::too_large("frame bundle"));
    }
    while !frames.len().is_power_of_two() {
        // Frames look uniformly random, so random bytes look like frames.
        let mut dummy = [0; FRAME_LEN];
        rng.fill_bytes(&mut dummy);
        frames.push(Frame(dummy));
    }
    for last in (1..frames.len()).rev() {
        frames.swap(last, below(last + 1, rng));
    }
    let mut payload = Vec::with_capacity(1 + frames.len() * FRAME_LEN);
    payload.push(BUNDLE);
    frames.iter().for_each(|frame| payload.extend_from_slice(&frame.0));
    Ok(payload)
}

/// The frames of a message, untrusted.
///
/// # Errors
/// `Malformed` when it is no bundle of an allowed size.
pub fn decode(payload: &[u8]) -> Result<impl Iterator<Item = Frame> + '_, Error> {
    const WRONG: Error = Error::malformed("frame bundle");
    let (BUNDLE, frames) = payload.split_first().map(|(first, rest)| (*first, rest)).ok_or(WRONG)? else {
        return Err(WRONG);
    };
    let (frames, rest) = frames.as_chunks::<FRAME_LEN>();
    if !rest.is_empty() || frames.len() > MAX_FRAMES || !frames.len().is_power_of_two() {
        return Err(WRONG);
    }
    Ok(frames.iter().map(Frame::from_bytes))
}

/// A uniform number below `bound`, which is at most [`MAX_FRAMES`].
fn below(bound: usize, rng: &mut (impl CryptoRng + ?Sized)) -> usize {
    let mask = bound.next_power_of_two() - 1;
    loop {
        let number = rng.next_u32() as usize & mask;
        if number < bound {
            return number;
        }
    }
}
