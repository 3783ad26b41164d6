//! Fuzzer of the target `admission`, see `tests/src/fuzz.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = plexmesh_tests::fuzz::run("admission", bytes);
});
