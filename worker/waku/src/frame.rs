//! Length-prefixed protobuf frames on a stream: an unsigned varint, then the message. Every Waku service protocol uses
//! them. Nothing is allocated on the peer's word: a body grows as its bytes arrive, up to a limit.

use std::{io, time::Duration};

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use prost::Message;
use tokio::time::timeout;

/// How long one frame may take once its first byte is there, and one answer to leave: nwaku's push timeout.
pub(crate) const FRAME_TIMEOUT: Duration = Duration::from_secs(20);

/// Bytes read at once: a few noise frames.
const CHUNK_BYTES: usize = 16 * 1024;

/// A varint longer than this says more than any limit.
const MAX_PREFIX_BYTES: u32 = 4;

/// Reads the length of the next frame; none at the end of the stream. Waits as long as the peer likes for the first
/// byte, because js-waku opens its streams before it needs them.
pub(crate) async fn read_length(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<usize>> {
    let mut byte = [0_u8; 1];
    if stream.read(&mut byte).await? == 0 {
        return Ok(None);
    }
    let rest = async {
        let mut length = 0_usize;
        for position in 0..MAX_PREFIX_BYTES {
            let [value] = byte;
            length |= usize::from(value & 0x7f) << (7 * position);
            if value & 0x80 == 0 {
                return Ok(length);
            }
            stream.read_exact(&mut byte).await?;
        }
        // Longer than 256 MiB: no limit is near, so the caller refuses it like any other long frame.
        Ok(usize::MAX)
    };
    in_time(rest).await.map(Some)
}

/// Reads a frame's body of `length` bytes, at most `limit`.
pub(crate) async fn read_body(
    stream: &mut (impl AsyncRead + Unpin),
    length: usize,
    limit: usize,
) -> io::Result<Vec<u8>> {
    if length > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "frame longer than its limit"));
    }
    in_time(async {
        let mut body = Vec::with_capacity(length.min(CHUNK_BYTES));
        let mut rest = stream.take(u64::try_from(length).unwrap_or(u64::MAX));
        rest.read_to_end(&mut body).await?;
        if body.len() == length { Ok(body) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    })
    .await
}

/// Reads and forgets at most `limit` bytes, so that a refusal arrives before the stream is reset.
pub(crate) async fn discard(stream: &mut (impl AsyncRead + Unpin), limit: usize) -> io::Result<()> {
    let drain = async {
        let mut rest = stream.take(u64::try_from(limit).unwrap_or(u64::MAX));
        futures::io::copy(&mut rest, &mut futures::io::sink()).await?;
        Ok(())
    };
    in_time(drain).await
}

/// Writes an encoded frame.
pub(crate) async fn write(stream: &mut (impl AsyncWrite + Unpin), encoded_frame: &[u8]) -> io::Result<()> {
    in_time(async {
        stream.write_all(encoded_frame).await?;
        stream.flush().await
    })
    .await
}

/// A message with its length before it.
pub(crate) fn encode(message: &impl Message) -> Vec<u8> {
    message.encode_length_delimited_to_vec()
}

async fn in_time<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(FRAME_TIMEOUT, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    use futures::io::Cursor;

    use super::*;

    #[tokio::test]
    async fn lengths() {
        let cases: [(&[u8], Option<usize>); 6] = [
            (&[], None),
            (&[0], Some(0)),
            (&[0x7f], Some(127)),
            (&[0xac, 0x02], Some(300)),
            (&[0xff, 0xff, 0xff, 0x7f], Some((1 << 28) - 1)),
            (&[0xff, 0xff, 0xff, 0xff, 0x01], Some(usize::MAX)),
        ];
        for (bytes, expected) in cases {
            let length = read_length(&mut Cursor::new(bytes)).await.unwrap();
            assert_eq!(length, expected, "{bytes:?}");
        }
        let cut = read_length(&mut Cursor::new(&[0x80][..])).await;
        assert_eq!(cut.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn bodies_are_bounded_and_whole() {
        let bytes = [7_u8; 100];
        let whole = read_body(&mut Cursor::new(bytes), 100, 100).await.unwrap();
        assert_eq!(whole, bytes);
        let long = read_body(&mut Cursor::new(bytes), 100, 99).await;
        assert_eq!(long.unwrap_err().kind(), io::ErrorKind::InvalidData);
        let cut = read_body(&mut Cursor::new(bytes), 101, 200).await;
        assert_eq!(cut.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
