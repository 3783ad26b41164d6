use super::*;

const AGES: Time = Time(100 * SECOND);

fn state(peer: usize, to: &str) -> Told {
    Told::State { peer, to: to.to_owned() }
}

/// Five agents that run since the beginning.
fn ledger() -> Ledger {
    let mut ledger = Ledger::new(5);
    (0..5).for_each(|host| ledger.runs(host, Time(0)));
    ledger.judge();
    ledger
}

fn open(_: usize, _: usize) -> Option<Time> {
    Some(Time(0))
}

fn held(ledger: &Ledger, promise: &str) -> bool {
    ledger
        .checks(Some(Duration::from_secs(5)))
        .iter()
        .find(|check| check.promise == promise)
        .unwrap()
        .held
}

#[test]
fn a_crash_is_known_to_all_when_the_last_survivor_says_so() {
    let mut ledger = ledger();
    ledger.crashed(4, AGES, &open);
    for (host, after) in [(0, 2), (1, 3), (2, 2)] {
        ledger.heard(host, AGES.plus(after * SECOND), &state(4, "down"), &open);
    }
    let detection = ledger.detections().remove(0);
    assert_eq!((detection.first_seconds, detection.all_seconds), (Some(2.0), None));
    assert!(!held(&ledger, "detection"));
    ledger.heard(3, AGES.plus(4 * SECOND), &state(4, "down"), &open);
    assert_eq!(ledger.detections().remove(0).all_seconds, Some(4.0));
    assert!(held(&ledger, "detection") && held(&ledger, "no-false-down"));
}

#[test]
fn who_runs_and_is_in_touch_must_not_be_called_down() {
    let mut ledger = ledger();
    let cut = |a: usize, b: usize| (a != 2 && b != 2).then_some(Time(0));
    ledger.heard(0, AGES, &state(2, "down"), &cut);
    ledger.heard(0, Time(SECOND), &state(1, "down"), &open);
    assert!(held(&ledger, "no-false-down"));
    ledger.heard(0, AGES, &state(1, "down"), &open);
    assert!(!held(&ledger, "no-false-down"));
}

#[test]
fn a_partition_has_to_be_named_on_both_sides() {
    let sides = [vec![0, 1]];
    for all in [false, true] {
        let mut ledger = ledger();
        ledger.parted(&sides, AGES);
        for host in 0..5 {
            let outside = if host < 2 { 3 } else { 2 };
            if all || host != 3 {
                ledger.heard(host, AGES.plus(9 * SECOND), &Told::Partition { outside }, &open);
            }
        }
        ledger.united(AGES.plus(60 * SECOND));
        assert_eq!(held(&ledger, "partition-named"), all);
    }
}

#[test]
fn news_counts_from_the_word_of_its_origin() {
    let mut ledger = ledger();
    ledger.tells(1, AGES, 1);
    for (host, after) in [(1, 2), (0, 3), (2, 3), (3, 3), (4, 4)] {
        ledger.heard(host, AGES.plus(after * SECOND), &Told::Shards { peer: 1, count: 1 }, &open);
    }
    let delivery = ledger.deliveries().remove(0);
    assert_eq!((delivery.listeners, delivery.all_seconds), (4, Some(2.0)));
}
