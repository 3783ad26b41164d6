use plexmesh_proto::membership::frame::Frame;

use super::*;
use crate::dice::Chance;
use crate::links::{Rules, UniformLatency};

/// One-way latency of the path, in microseconds.
const LATENCY_US: u64 = 50 * MILLI;

/// Two hosts and a transport between them.
struct Bench {
    now: Time,
    links: Links,
    dice: Dice,
    queue: Queue<Happening>,
    meters: Vec<Meter>,
    transport: Transport,
    /// What arrived: when, where, and what.
    seen: Vec<(u64, usize, String)>,
}

impl Bench {
    fn new() -> Self {
        let model = UniformLatency::new(1, LATENCY_US..LATENCY_US + 1);
        let mut transport = Transport::default();
        for host in 0..2 {
            transport.add_host(Time(0));
            transport.switch_on(host);
        }
        Self {
            now: Time(0),
            links: Links::new(1, Box::new(model), Rules::of_jitter_and_loss(0, Chance::NEVER)),
            dice: Dice::new(1, "test", 0),
            queue: Queue::new(),
            meters: vec![Meter::default(); 2],
            transport,
            seen: Vec::new(),
        }
    }

    /// Two hosts with a connection that both want.
    fn connected() -> Self {
        let mut bench = Self::new();
        bench.act(|transport, sky| {
            transport.keep(sky, 0, BTreeSet::from([1]));
            transport.dial(sky, 0, 1);
        });
        bench.run_to(SECOND);
        bench.seen.clear();
        bench
    }

    fn act<T>(&mut self, act: impl FnOnce(&mut Transport, &mut Sky<'_>) -> T) -> T {
        let Self { now, links, dice, queue, meters, transport, .. } = self;
        act(transport, &mut Sky { now: *now, links, dice, queue, meters })
    }

    fn send(&mut self, from: usize, seq: u32) {
        let message = Message::Frame(Frame::Pong { seq, own_stream: false });
        self.act(|transport, sky| transport.send(sky, from, 1 - from, message));
    }

    fn run_to(&mut self, end: u64) {
        while let Some((at, Happening::Wire(event))) = self.queue.pop_until(Time(end)) {
            self.now = at;
            self.act(|transport, sky| transport.handle(sky, event));
            while let Some(Arrival { at: host, what, .. }) = self.transport.arrivals.pop_front() {
                let what = match what {
                    Arrived::Message {
                        message: Message::Frame(Frame::Pong { seq, .. }), ..
                    } => seq.to_string(),
                    other => format!("{other:?}"),
                };
                self.seen.push((at.0, host, what));
            }
        }
        self.now = Time(end);
    }

    fn seen_at(&self, host: usize) -> Vec<&str> {
        let there = self.seen.iter().filter(|(_, at, _)| *at == host);
        there.map(|(_, _, what)| what.as_str()).collect()
    }

    fn first(&self, host: usize, what: &str) -> Option<u64> {
        self.seen.iter().find(|(_, at, seen)| *at == host && seen == what).map(|(time, ..)| *time)
    }
}

#[test]
fn a_dial_takes_a_round_trip_and_half_of_one_more_at_the_other_end() {
    let mut bench = Bench::new();
    bench.act(|transport, sky| transport.dial(sky, 0, 1));
    bench.run_to(SECOND);
    assert_eq!(bench.first(0, "Connected"), Some(2 * LATENCY_US));
    assert_eq!(bench.first(1, "Connected"), Some(3 * LATENCY_US));
}

#[test]
fn two_dials_at_once_make_one_connection() {
    let mut bench = Bench::new();
    bench.act(|transport, sky| {
        for (from, to) in [(0, 1), (1, 0)] {
            transport.keep(sky, from, BTreeSet::from([to]));
            transport.dial(sky, from, to);
        }
    });
    bench.run_to(30 * SECOND);
    assert_eq!((bench.seen_at(0), bench.seen_at(1)), (vec!["Connected"], vec!["Connected"]));
    assert_eq!(bench.transport.epoch(0, 1), bench.transport.epoch(1, 0));
}

#[test]
fn a_dial_to_a_silent_host_fails_after_five_seconds_and_a_refused_one_after_a_round_trip() {
    for (refuses, expected) in [(false, 5 * SECOND), (true, 2 * LATENCY_US)] {
        let mut bench = Bench::new();
        bench.act(|transport, sky| {
            transport.switch_off(sky, 1, refuses);
            transport.dial(sky, 0, 1);
        });
        bench.run_to(10 * SECOND);
        assert_eq!(bench.first(0, "DialFailed"), Some(expected));
    }
}

#[test]
fn a_lost_frame_delays_those_behind_it_and_the_order_stays() {
    let mut bench = Bench::connected();
    bench.links.set_loss(Chance::new(1.0));
    bench.send(0, 1);
    bench.links.set_loss(Chance::NEVER);
    bench.send(0, 2);
    bench.run_to(3 * SECOND);
    assert_eq!(bench.seen_at(1), ["1", "2"]);
    // The second frame's acknowledgement shows the loss: 1.25 round trips, then the way there.
    let expected = SECOND + 2 * LATENCY_US + LATENCY_US / 2 + LATENCY_US;
    assert_eq!(bench.first(1, "1"), Some(expected));
    assert_eq!(bench.first(1, "2"), Some(expected));
}

#[test]
fn a_lost_frame_does_not_delay_one_on_a_stream_of_its_own() {
    let mut bench = Bench::connected();
    bench.links.set_loss(Chance::new(1.0));
    bench.send(0, 1);
    bench.links.set_loss(Chance::NEVER);
    let sent = bench.now.0;
    let alone = Message::Frame(Frame::Pong { seq: 2, own_stream: true });
    bench.act(|transport, sky| transport.send(sky, 0, 1, alone));
    bench.run_to(3 * SECOND);
    assert_eq!(bench.seen_at(1), ["2", "1"]);
    assert_eq!(bench.first(1, "2"), Some(sent + LATENCY_US));
}

#[test]
fn a_lost_frame_with_nothing_behind_it_follows_the_pings_of_the_probe_timeout() {
    let mut bench = Bench::connected();
    bench.links.set_loss(Chance::new(1.0));
    bench.send(0, 1);
    bench.links.set_loss(Chance::NEVER);
    bench.run_to(3 * SECOND);
    let timeout = probe_timeout_us(2 * LATENCY_US);
    assert_eq!(bench.first(1, "1"), Some(SECOND + timeout + 3 * LATENCY_US));
}

#[test]
fn a_lost_request_does_not_delay_frames() {
    let mut bench = Bench::connected();
    bench.links.set_loss(Chance::new(1.0));
    let request = Message::Request { id: RequestId(1), request: Box::default() };
    bench.act(|transport, sky| transport.send(sky, 0, 1, request));
    bench.links.set_loss(Chance::NEVER);
    bench.send(0, 2);
    bench.run_to(3 * SECOND);
    assert_eq!(bench.first(1, "2"), Some(SECOND + LATENCY_US));
    assert_eq!(bench.seen_at(1).len(), 2);
}

#[test]
fn under_a_one_way_cut_the_other_way_goes_on_until_the_deaf_end_gives_up() {
    let mut bench = Bench::connected();
    bench.links.cut(0, 1, bench.now);
    for second in 1..14 {
        bench.run_to(second * SECOND);
        bench.send(0, 0);
        bench.send(1, second as u32);
    }
    bench.run_to(14 * SECOND);
    assert_eq!(bench.seen_at(1), Vec::<&str>::new());
    assert_eq!(bench.seen_at(0).len(), 13);
    bench.run_to(20 * SECOND);
    let closed = bench.first(1, "Disconnected").unwrap();
    assert!((10 * SECOND..=16 * SECOND + SECOND / 2).contains(&closed), "{closed}");
    assert_eq!(bench.first(0, "Disconnected"), Some(closed + LATENCY_US));
}

#[test]
fn under_a_full_cut_both_ends_give_up_by_themselves_and_nothing_passes() {
    let mut bench = Bench::connected();
    bench.links.partition(&[&[0]], bench.now);
    bench.send(0, 1);
    bench.send(1, 1);
    bench.run_to(20 * SECOND);
    assert_eq!((bench.seen_at(0), bench.seen_at(1)), (vec!["Disconnected"], vec!["Disconnected"]));
}

#[test]
fn a_cut_that_heals_in_time_delivers_what_was_held_back() {
    let mut bench = Bench::connected();
    bench.links.partition(&[&[0]], bench.now);
    bench.send(0, 1);
    bench.run_to(5 * SECOND);
    bench.links.heal(bench.now);
    bench.run_to(9 * SECOND);
    assert_eq!(bench.seen_at(1), ["1"]);
    bench.run_to(60 * SECOND);
    assert_eq!(bench.seen_at(1), ["1"]);
}

#[test]
fn an_end_that_missed_the_close_learns_it_by_the_answer_to_its_next_message() {
    let mut bench = Bench::connected();
    bench.links.cut(1, 0, bench.now);
    bench.act(|transport, sky| transport.close(sky, 1, 0));
    bench.run_to(2 * SECOND);
    assert_eq!(bench.seen_at(0), Vec::<&str>::new());
    bench.links.heal(bench.now);
    bench.send(0, 1);
    bench.run_to(3 * SECOND);
    assert_eq!(bench.seen_at(0), ["Disconnected"]);
}

#[test]
fn a_connection_that_nobody_wants_closes_after_the_grace() {
    let mut bench = Bench::connected();
    bench.act(|transport, sky| transport.keep(sky, 0, BTreeSet::new()));
    bench.run_to(10 * SECOND);
    assert_eq!(bench.seen_at(0), Vec::<&str>::new());
    bench.run_to(12 * SECOND);
    assert_eq!((bench.seen_at(0), bench.seen_at(1)), (vec!["Disconnected"], vec!["Disconnected"]));
}

#[test]
fn a_quiet_connection_stays_for_its_keep_alives_even_at_heavy_loss() {
    let mut bench = Bench::connected();
    bench.links.set_loss(Chance::new(0.25));
    bench.run_to(600 * SECOND);
    assert!(bench.seen.is_empty(), "{:?}", bench.seen);
}

#[test]
fn a_process_that_refuses_ends_its_connections_at_once() {
    let mut bench = Bench::connected();
    bench.act(|transport, sky| transport.switch_off(sky, 1, true));
    bench.run_to(2 * SECOND);
    assert_eq!(bench.first(0, "Disconnected"), Some(SECOND + LATENCY_US));
}

#[test]
fn what_is_sent_and_received_is_counted() {
    let mut bench = Bench::connected();
    let bytes = Message::Frame(Frame::Pong { seq: 1, own_stream: false }).wire_bytes() as u64;
    bench.meters.iter_mut().for_each(|meter| meter.reset(Time(0)));
    bench.send(0, 1);
    bench.send(0, 2);
    bench.run_to(2 * SECOND);
    let frames = |host: usize| bench.meters[host].channel(Channel::Frame);
    assert_eq!((frames(0).sent, frames(1).received), (2 * bytes, 2 * bytes));
    let acknowledgements = 2 * ACK_BYTES as u64;
    assert_eq!((frames(1).sent, frames(0).received), (acknowledgements, acknowledgements));
}

#[test]
fn a_frame_on_a_stream_of_its_own_is_three_packets() {
    let mut bench = Bench::connected();
    let alone = Message::Frame(Frame::Pong { seq: 1, own_stream: true });
    let bytes = alone.wire_bytes() as u64 + ACK_BYTES as u64;
    bench.meters.iter_mut().for_each(|meter| meter.reset(Time(0)));
    bench.act(|transport, sky| transport.send(sky, 0, 1, alone));
    bench.run_to(2 * SECOND);
    let frames = |host: usize| bench.meters[host].channel(Channel::Frame);
    assert_eq!((frames(0).sent, frames(0).received), (bytes, 115));
    assert_eq!((frames(1).sent, frames(1).received), (115, bytes));
}

#[test]
fn a_quiet_connection_costs_a_keep_alive_each_five_seconds_at_each_end() {
    let mut bench = Bench::connected();
    bench.meters.iter_mut().for_each(|meter| meter.reset(Time(0)));
    bench.run_to(601 * SECOND);
    for meter in &bench.meters {
        let bytes = meter.channel(Channel::Connection);
        let expected = (600 / 5 * KEEP_ALIVE_BYTES) as u64;
        // What came since the last look is not counted yet, and a look rounds down.
        assert!((expected / 2..=expected).contains(&bytes.sent), "{bytes:?}");
        assert_eq!(bytes.sent, bytes.received);
    }
}

#[test]
fn what_is_sent_to_a_sleeping_host_comes_when_it_wakes_in_order() {
    let mut bench = Bench::connected();
    bench.send(0, 1);
    bench.act(|transport, sky| transport.sleep(1, sky.now));
    bench.send(0, 2);
    bench.run_to(4 * SECOND);
    // The first was on its way: it waits in the kernel, which the world around holds back.
    assert_eq!(bench.seen_at(1), ["1"]);
    bench.transport.wake(1);
    bench.run_to(9 * SECOND);
    assert_eq!(bench.seen_at(1), ["1", "2"]);
}

#[test]
fn a_host_that_slept_long_finds_its_connections_dead() {
    let mut bench = Bench::connected();
    bench.act(|transport, sky| transport.sleep(1, sky.now));
    bench.run_to(40 * SECOND);
    assert_eq!((bench.seen_at(0), bench.seen_at(1)), (vec!["Disconnected"], vec![]));
    bench.transport.wake(1);
    bench.send(1, 1);
    bench.run_to(41 * SECOND);
    assert_eq!(bench.seen_at(1), ["Disconnected"]);
}
