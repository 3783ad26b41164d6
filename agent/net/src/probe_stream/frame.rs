//! Frames on the wire.

use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::config::MAX_FRAME_BYTES;

const LENGTH_BYTES: usize = 2;

/// Reads the next frame and gives the stream back.
///
/// # Errors
/// `InvalidData` when the frame is longer than a frame may be; otherwise the stream's own.
pub(super) async fn read<S>(mut stream: S) -> io::Result<(S, Vec<u8>)>
where
    S: AsyncRead + Unpin,
{
    let mut length = [0; LENGTH_BYTES];
    stream.read_exact(&mut length).await?;
    let length = usize::from(u16::from_be_bytes(length));
    if length > MAX_FRAME_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("frame of {length} bytes, at most {MAX_FRAME_BYTES} are allowed"),
        ));
    }
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame).await?;
    Ok((stream, frame))
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
            (stream, received) = read(stream).await.unwrap();
            assert_eq!(received, frame);
        }
        assert!(read(stream).await.is_err());
    }

    #[tokio::test]
    async fn an_oversize_frame_is_refused() {
        let length = (MAX_FRAME_BYTES as u16 + 1).to_be_bytes();
        let error = read(Cursor::new(length.to_vec())).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
