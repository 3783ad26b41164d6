//! No byte string makes decoding panic, or allocate beyond its cap.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use plexmesh_proto::wire;
use proptest::prelude::*;

/// Largest input of every decoder.
const MAX_INPUT: usize = wire::MAX_EXCHANGE_BYTES;

fn decode_all(bytes: &[u8]) {
    let _ = wire::decode_frame(bytes);
    let _ = wire::decode_request(bytes);
    let _ = wire::decode_answer(bytes);
    let _ = wire::decode_broadcast(bytes);
}

/// The most that decoding `bytes` in every way held at once, in bytes.
fn peak_bytes(bytes: &[u8]) -> u64 {
    allocation_counter::measure(|| decode_all(bytes)).bytes_max
}

/// `field` repeated with empty content, as often as it fits: the input that makes most of the least.
fn repeated_empty(field: u8, size: usize) -> Vec<u8> {
    [field << 3 | 2, 0].repeat(size / 2)
}

fn length_delimited(field: u8, content: &[u8]) -> Vec<u8> {
    let len = content.len();
    let varint = [(len & 0x7f | 0x80) as u8, (len >> 7 & 0x7f | 0x80) as u8, (len >> 14) as u8];
    [&[field << 3 | 2][..], &varint, content].concat()
}

#[test]
fn repeating_any_empty_field_stays_below_the_cap() {
    for field in 1..=15 {
        let peak = peak_bytes(&repeated_empty(field, MAX_INPUT));
        assert!(peak <= wire::MAX_DECODE_ALLOCATION, "field {field}: {peak} bytes");
    }
}

#[test]
fn records_full_of_empty_edges_stay_below_the_cap() {
    // A body of kind Links whose payload repeats empty edges, in a record, in as many records as fit.
    let edges = repeated_empty(1, 7_000);
    let body = [&[0x10, 2][..], &length_delimited(6, &edges)].concat();
    let record =
        [length_delimited(1, &[0; 32]), length_delimited(2, &body), length_delimited(3, &[0; 64])]
            .concat();
    let answer: Vec<u8> = length_delimited(6, &record).repeat(MAX_INPUT / (record.len() + 8));
    assert!(answer.len() <= MAX_INPUT);
    let peak = peak_bytes(&answer);
    assert!(peak <= wire::MAX_DECODE_ALLOCATION, "{peak} bytes");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_up_to_64_kib_panic_or_allocate_beyond_the_cap(
        bytes in proptest::collection::vec(any::<u8>(), 0..=MAX_INPUT)
    ) {
        prop_assert!(peak_bytes(&bytes) <= wire::MAX_DECODE_ALLOCATION);
    }

    #[test]
    fn bytes_that_look_like_fields_panic_or_allocate_no_more(
        fields in proptest::collection::vec(
            (1u8..12, proptest::collection::vec(any::<u8>(), 0..600)), 0..100)
    ) {
        let mut bytes: Vec<u8> =
            fields.iter().flat_map(|(field, content)| length_delimited(*field, content)).collect();
        bytes.truncate(MAX_INPUT);
        prop_assert!(peak_bytes(&bytes) <= wire::MAX_DECODE_ALLOCATION);
    }
}
