//! Reading input files: bounded, unpacked, and with the place of what is wrong.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::TopologyError;

/// Most bytes of an unpacked file: a matrix of the most rows that are accepted, with 15 characters
/// a value. It stops a packed file that unpacks to more than the memory holds.
const MAX_BYTES: u64 = 256 << 20;

/// A text and where it is from.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) file: PathBuf,
    pub(super) text: String,
}

impl Text {
    /// Reads a file; one whose name ends in `.gz` is unpacked.
    pub(super) fn read(source: &Path, base: &Path) -> Result<Self, TopologyError> {
        let file = base.join(source);
        let mut open = File::open(&file).map_err(|error| unreadable(&file, &error))?;
        if file.extension().is_some_and(|extension| extension == "gz") {
            Self::take(file, &mut MultiGzDecoder::new(open))
        } else {
            Self::take(file, &mut open)
        }
    }

    /// Unpacks what is built in.
    pub(super) fn unpack(name: &str, packed: &[u8]) -> Result<Self, TopologyError> {
        let file = PathBuf::from(format!("built-in {name}"));
        Self::take(file, &mut MultiGzDecoder::new(packed))
    }

    fn take(file: PathBuf, from: &mut impl Read) -> Result<Self, TopologyError> {
        let mut bytes = Vec::new();
        let read = from.take(MAX_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|error| unreadable(&file, &error))?;
        if bytes.len() as u64 > MAX_BYTES {
            let message = format!("it has more than {} MiB, unpacked", MAX_BYTES >> 20);
            return Err(TopologyError::Read { file, message });
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self { file, text }),
            Err(error) => {
                let good = error.utf8_error().valid_up_to();
                let before = error.as_bytes().get(..good).unwrap_or_default();
                let (line, column) = position(&String::from_utf8_lossy(before), usize::MAX);
                let message = "no UTF-8 text; is it packed without being named `.gz`, or binary?";
                Err(TopologyError::Content { file, line, column, message: message.into() })
            }
        }
    }

    /// An error at a line and column, both from 1.
    pub(super) fn wrong(
        &self,
        (line, column): (usize, usize),
        message: impl Into<Cow<'static, str>>,
    ) -> TopologyError {
        let message = message.into().into_owned();
        TopologyError::Content { file: self.file.clone(), line, column, message }
    }
}

/// Line and column, from 1, of a byte of a text.
pub(super) fn position(text: &str, byte: usize) -> (usize, usize) {
    let before: String = text
        .char_indices()
        .take_while(|(at, _)| *at < byte)
        .map(|(_, character)| character)
        .collect();
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|character| *character != '\n').count() + 1;
    (line, column)
}

fn unreadable(file: &Path, error: &io::Error) -> TopologyError {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => {
            "; names are relative to the scenario's folder, and `plexmesh-sim topologies` lists \
             what is built in"
        }
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            "; a file named `.gz` must be packed with gzip, whole"
        }
        _ => "",
    };
    TopologyError::Read { file: file.to_owned(), message: format!("{error}{hint}") }
}
