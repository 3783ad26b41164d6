use super::*;
use crate::scenario::load;

fn crash() -> Scenario {
    load(
        r#"
            format = 1
            title = "One of nine dies"
            peers = 9
            phases = { stagger = "2s", settle = "40s", faults = "30s", healed = "20s" }
            faults = [{ at = "5s", fault = "crash", peers = [3] }]
        "#,
        "crash.toml",
    )
    .unwrap()
}

fn around(at_s: u64, window_s: u64) -> Around {
    let [at, window] = [at_s, window_s].map(Duration::from_secs);
    Around { at, window, step: None, peer: None }
}

#[test]
fn a_crash_is_seen_lost_reported_and_known_in_this_order() {
    let replay = replay("crash", &crash(), Path::new(""), &around(50, 10)).unwrap();
    let crashed = replay.happenings.iter().find(|happened| happened.what.contains("crashed"));
    let crashed = crashed.unwrap().at_seconds;
    let told = |what: &str| {
        let hits = replay.events.iter().filter(|told| told.what.starts_with(what));
        hits.map(|told| (told.at_seconds, told.host)).collect::<Vec<_>>()
    };
    let lost = told("the edge to peer 3 is lost");
    let down = told("peer 3 is down");
    let report = replay.records.iter().find(|record| record.says.contains("lost 3")).unwrap();
    assert!(crashed < lost[0].0);
    assert!(lost[0].0 <= report.published_seconds.unwrap());
    assert!(report.published_seconds < report.first_seconds);
    assert!(report.first_seconds <= report.half_seconds);
    assert!(report.published_seconds.unwrap() <= down[0].0);
    let knowing: std::collections::BTreeSet<usize> = down.iter().map(|(_, host)| *host).collect();
    assert_eq!(knowing.len(), 8);
    let [before, at, after] = &replay.knowledge[..] else { panic!("{:?}", replay.knowledge) };
    assert!(before.subjects.is_empty(), "{before:?}");
    assert!(at.at_seconds > before.at_seconds);
    assert_eq!(after.subjects[0].says, [("down", 8)].into());
    let mut text = Vec::new();
    table(&replay, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let place = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what} in {text}"));
    assert!(place("peer 3 crashed") < place("the edge to peer 3 is lost"));
    assert!(place("the edge to peer 3 is lost") < place("8 say down"));
}

#[test]
fn one_peer_alone_can_be_asked_for_and_every_step() {
    let step = Some(Duration::from_millis(500));
    let around = Around { step, peer: Some(3), ..around(50, 2) };
    let replay = replay("crash", &crash(), Path::new(""), &around).unwrap();
    assert_eq!(replay.knowledge.len(), 9);
    assert!(replay.knowledge.iter().all(|knowledge| knowledge.subjects.len() == 1));
    assert!(replay.events.iter().all(|told| told.host == 3 || told.what.contains("peer 3")));
}

#[test]
fn what_is_not_in_the_run_is_refused() {
    let late = replay("crash", &crash(), Path::new(""), &around(91, 1));
    assert!(late.unwrap_err().to_string().contains("over after"));
    let nobody = Around { peer: Some(9), ..around(50, 1) };
    let nobody = replay("crash", &crash(), Path::new(""), &nobody);
    assert!(nobody.unwrap_err().to_string().contains("no peer 9"));
    let fine = Around { step: Some(Duration::from_micros(1)), ..around(50, 1) };
    let fine = replay("crash", &crash(), Path::new(""), &fine);
    assert!(fine.unwrap_err().to_string().contains("steps"));
}

#[test]
fn a_tap_changes_nothing() {
    let play = |tapped: bool| {
        let mut world = World::builder(3).nodes(8).loss(0.02).build();
        if tapped {
            let (from, until) = (Time(0), Time(u64::MAX));
            world.set_tap(TapFilter { from, until, about: None, events: true });
        }
        world.run_for(Duration::from_secs(30));
        world.crash(2);
        world.run_for(Duration::from_secs(20));
        (world.hash(), world.tap().map(|tap| tap.notes().len()))
    };
    let ((plain, none), (tapped, notes)) = (play(false), play(true));
    assert_eq!(plain, tapped);
    assert!(none.is_none() && notes.unwrap() > 100);
}
