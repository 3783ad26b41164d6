//! The protocol's hot paths at the size of a large mesh.

use divan::Bencher;
use plexmesh_benches::{NOW_S, enrolments, mesh};
use plexmesh_proto::admission::Admissions;
use plexmesh_proto::exchange::message::ExchangeAnswer;
use plexmesh_proto::exchange::reconcile::riblt;
use plexmesh_proto::membership::state::evaluate;
use plexmesh_proto::roster::Roster;
use plexmesh_proto::view::{MemoryStore, View};
use plexmesh_proto::wire;

const MEMBERS: u64 = 1_000;

fn main() {
    divan::main();
}

#[divan::bench]
fn merge_all_records_of_1000_members(bencher: Bencher<'_, '_>) {
    let records = mesh(MEMBERS);
    bencher.bench_local(|| {
        let mut view = View::open(MemoryStore::default(), 1);
        for record in &records {
            view.merge(record, None, NOW_S);
        }
        view.digest()
    });
}

#[divan::bench]
fn judge_1000_members(bencher: Bencher<'_, '_>) {
    let mut view = View::open(MemoryStore::default(), 1);
    let mut roster = Roster::default();
    for record in mesh(MEMBERS) {
        view.merge(&record, None, NOW_S);
        roster.touch(record.origin());
    }
    roster.refresh(&view, &Admissions::default(), NOW_S, 0);
    bencher.bench_local(|| evaluate(&roster, 0));
}

/// With tokens for one peer each, and for fifty.
#[divan::bench(args = [1, 50])]
fn derive_who_is_barred_of_1000_members(bencher: Bencher<'_, '_>, uses: u32) {
    let mut view = View::open(MemoryStore::default(), 1);
    for record in mesh(MEMBERS).iter().chain(&enrolments(MEMBERS, uses)) {
        view.merge(record, None, NOW_S);
    }
    bencher.bench_local(|| Admissions::of_view(&view, NOW_S));
}

#[divan::bench(args = [64, 1_024])]
fn coded_symbols_of_2000_records(bencher: Bencher<'_, '_>, symbols: u32) {
    let items: Vec<[u8; 16]> = mesh(MEMBERS).iter().map(|record| record.item()).collect();
    bencher.bench_local(|| riblt::encode_range(items.iter(), 7, 0, symbols));
}

#[divan::bench]
fn decode_an_answer_of_64_records(bencher: Bencher<'_, '_>) {
    let answer = ExchangeAnswer { records: mesh(32), ..ExchangeAnswer::default() };
    let bytes = wire::encode_answer(&answer);
    bencher.bench_local(|| wire::decode_answer(&bytes));
}
