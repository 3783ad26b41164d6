//! What fuzzers do with bytes: each decoder of the program, and what must hold of whatever it takes.
//!
//! A target takes any bytes and says whether the decoder accepted them. It panics if a promise is
//! broken. The fuzzers of `tests/fuzz` and the test that replays their corpora call the same
//! functions.

mod files;
mod requests;
mod wire;

/// A decoder under test.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: that of its fuzzer and of its corpus.
    pub name: &'static str,
    /// Gives it bytes; whether it accepted them. Panics if what must hold does not.
    pub run: fn(&[u8]) -> bool,
    /// Most that a run may hold at once, in bytes; `None` where other threads work too.
    pub most_bytes: Option<u64>,
}

/// A decoder of the protocol and what the test does with it: the message is decoded three times
/// and encoded twice.
const WIRE_BYTES: u64 = 4 * plexmesh_proto::wire::MAX_DECODE_ALLOCATION;
/// Reading a small file of text, or one record of a manifest: hundreds of times what any takes.
const TEXT_BYTES: u64 = 64 * 1024 * 1024;

/// All targets.
pub const TARGETS: [Target; 12] = [
    Target { name: "broadcast", run: wire::broadcast, most_bytes: Some(WIRE_BYTES) },
    Target { name: "request", run: wire::request, most_bytes: Some(WIRE_BYTES) },
    Target { name: "answer", run: wire::answer, most_bytes: Some(WIRE_BYTES) },
    Target { name: "frame", run: wire::frame, most_bytes: Some(WIRE_BYTES) },
    Target { name: "certificate", run: wire::certificate, most_bytes: Some(WIRE_BYTES) },
    Target { name: "admission", run: wire::admission, most_bytes: Some(WIRE_BYTES) },
    Target { name: "sketch", run: wire::sketch, most_bytes: Some(WIRE_BYTES) },
    Target { name: "token", run: wire::token, most_bytes: Some(WIRE_BYTES) },
    Target { name: "manifest", run: files::manifest, most_bytes: Some(TEXT_BYTES) },
    Target { name: "config", run: files::config, most_bytes: Some(TEXT_BYTES) },
    Target { name: "data_dir", run: files::data_dir, most_bytes: Some(TEXT_BYTES) },
    Target { name: "http", run: requests::http, most_bytes: None },
];

/// Runs a target by its name; `false` if there is none.
#[must_use]
pub fn run(name: &str, bytes: &[u8]) -> bool {
    TARGETS.iter().find(|target| target.name == name).is_some_and(|target| (target.run)(bytes))
}
