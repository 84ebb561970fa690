//! What a client says while an answer streams: one control frame a message (protocol section 5.7).

use crate::{
    envelope::{
        CONTROL,
        frame::{FRAME_LEN, Frame},
    },
    error::Error,
};
use alloc::vec::Vec;

/// Control tags that a provider holds ahead.
pub const WINDOW: u32 = 32;

/// A control frame's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// Send these frames again.
    Nack {
        /// The first frame spoken of.
        base: u32,
        /// Bit k, most significant first: frame base + k is missing.
        missing: [u8; 32],
    },
    /// Stop the model.
    Cancel,
    /// All has arrived.
    Done {
        /// And its receipt verified, or none was asked for.
        ok: bool,
    },
    /// The client is still there.
    Keepalive,
}

impl Control {
    /// A NACK of these frames, as many as fit above the lowest; none when there are none.
    pub fn nack(frames: impl IntoIterator<Item = u32> + Clone) -> Option<Self> {
        let base = frames.clone().into_iter().min()?;
        let mut missing = [0u8; 32];
        for frame in frames {
            let k = frame.wrapping_sub(base);
            if let Some(byte) = missing.get_mut((k / 8) as usize) {
                *byte |= 0x80 >> (k % 8);
            }
        }
        Some(Self::Nack { base, missing })
    }

    /// The frames that a NACK speaks of, at most 256; none for other kinds.
    pub fn missing(&self) -> impl Iterator<Item = u32> {
        let (base, bits) = match self {
            Self::Nack { base, missing } => (*base, *missing),
            _ => (0, [0; 32]),
        };
        (0..256u32).filter_map(move |k| {
            let bit = bits.get((k / 8) as usize).is_some_and(|byte| byte & (0x80 >> (k % 8)) != 0);
            if bit { base.checked_add(k) } else { None }
        })
    }

    /// The data of its frame.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Nack { base, missing } => [&[1], &base.to_be_bytes()[..], missing].concat(),
            Self::Cancel => [2].into(),
            Self::Done { ok } => [4, u8::from(*ok)].into(),
            Self::Keepalive => [5].into(),
        }
    }

    /// Reads the data of a control frame.
    ///
    /// # Errors
    /// `Unsupported` for a voucher, `Malformed` for anything else that is not defined.
    pub fn decode(data: &[u8]) -> Result<Self, Error> {
        match data {
            [1, b0, b1, b2, b3, missing @ ..] => Ok(Self::Nack {
                base: u32::from_be_bytes([*b0, *b1, *b2, *b3]),
                missing: missing.try_into().map_err(|_| Error::malformed("nack"))?,
            }),
            [2] => Ok(Self::Cancel),
            [3, ..] => Err(Error::unsupported("voucher")),
            [4, ok @ 0..=1] => Ok(Self::Done { ok: *ok == 1 }),
            [5] => Ok(Self::Keepalive),
            _ => Err(Error::malformed("control")),
        }
    }
}

/// The message that carries a control frame.
pub fn encode_payload(frame: &Frame) -> Vec<u8> {
    [&[CONTROL], &frame.0[..]].concat()
}

/// The frame of a control message; none when it is no such message.
pub fn decode_payload(payload: &[u8]) -> Option<Frame> {
    match payload {
        [CONTROL, frame @ ..] => <&[u8; FRAME_LEN]>::try_from(frame).ok().map(Frame::from_bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn controls_survive_the_wire() {
        let nack = Control::nack([300, 7, 8, 262, 263]).unwrap();
        assert_eq!(nack.missing().collect::<Vec<_>>(), [7, 8, 262]);
        assert_eq!(Control::nack([]), None);
        for control in
            [nack, Control::Cancel, Control::Done { ok: true }, Control::Done { ok: false }, Control::Keepalive]
        {
            assert_eq!(Control::decode(&control.encode()), Ok(control));
        }
        for bad in [vec![], vec![0], vec![1, 0, 0, 0, 0], vec![2, 0], vec![4], vec![4, 2], vec![5, 0], vec![6]] {
            assert!(Control::decode(&bad).is_err(), "{bad:?}");
        }
        assert_eq!(Control::Nack { base: u32::MAX, missing: [0xff; 32] }.missing().count(), 1);
    }
}
