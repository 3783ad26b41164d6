//! Frames on the wire.

use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use thiserror::Error;

use crate::config::MAX_FRAME_BYTES;

const LENGTH_BYTES: usize = 2;

/// A frame that cannot be read.
#[derive(Debug, Error)]
pub(super) enum FrameError {
    #[error("frame of {0} bytes, at most {MAX_FRAME_BYTES} are allowed")]
    TooLong(usize),
    #[error("the stream broke off within a frame: {0}")]
    BrokenOff(#[from] io::Error),
}

/// Reads the next frame and gives the stream back. `None` when the stream ended between frames.
pub(super) async fn read<S>(mut stream: S) -> Result<Option<(S, Vec<u8>)>, FrameError>
where
    S: AsyncRead + Unpin,
{
    let (mut high, mut low) = ([0], [0]);
    // However it ends here, nothing is lost.
    if stream.read_exact(&mut high).await.is_err() {
        return Ok(None);
    }
    stream.read_exact(&mut low).await?;
    let ([high], [low]) = (high, low);
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_FRAME_BYTES {
        return Err(FrameError::TooLong(length));
    }
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame).await?;
    Ok(Some((stream, frame)))
}

/// Writes frames in one go, flushes, and gives the stream back.
pub(super) async fn write<S>(mut stream: S, frames: Vec<Vec<u8>>) -> io::Result<S>
where
    S: AsyncWrite + Unpin,
{
    let mut wire = Vec::with_capacity(frames.iter().map(|f| LENGTH_BYTES + f.len()).sum());
    for frame in &frames {
        let length = u16::try_from(frame.len()).map_err(io::Error::other)?;
        wire.extend_from_slice(&length.to_be_bytes());
        wire.extend_from_slice(frame);
    }
    stream.write_all(&wire).await?;
    stream.flush().await?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use futures::io::Cursor;

    use super::*;

    #[tokio::test]
    async fn frames_come_back_in_order() {
        let frames = vec![b"one".to_vec(), Vec::new(), vec![9; MAX_FRAME_BYTES]];
        let wire = write(Cursor::new(Vec::new()), frames.clone()).await.unwrap();
        let mut stream = Cursor::new(wire.into_inner());
        for frame in frames {
            let received;
            (stream, received) = read(stream).await.unwrap().unwrap();
            assert_eq!(received, frame);
        }
        assert!(read(stream).await.unwrap().is_none(), "a clean end");
    }

    #[tokio::test]
    async fn an_oversize_frame_is_refused() {
        let length = (MAX_FRAME_BYTES as u16 + 1).to_be_bytes();
        let error = read(Cursor::new(length.to_vec())).await.unwrap_err();
        assert!(matches!(error, FrameError::TooLong(_)), "{error}");
    }

    #[tokio::test]
    async fn a_frame_cut_short_anywhere_is_no_clean_end() {
        for wire in [&[0][..], &[0, 3], &[0, 3, 7, 7]] {
            let error = read(Cursor::new(wire.to_vec())).await.unwrap_err();
            assert!(matches!(error, FrameError::BrokenOff(_)), "{error}");
        }
    }
}
