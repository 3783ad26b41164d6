use super::*;
use crate::scenario::load;

fn scenario(faults: &str) -> Scenario {
    let text = format!(
        r#"
            format = 1
            title = "Twelve peers"
            peers = 12
            phases = {{ stagger = "2s", settle = "40s", faults = "30s", healed = "20s" }}
            faults = [{faults}]
        "#
    );
    load(&text, "test.toml").unwrap()
}

fn ask(faults: &str, observer: usize, subject: usize, at_s: u64) -> Explanation {
    let question = Question { observer, subject, at: Duration::from_secs(at_s) };
    explain("test", &scenario(faults), Path::new(""), &question).unwrap()
}

fn check_chain(chain: &Chain, to: usize) {
    assert_eq!(chain.gap, None, "{chain:?}");
    let mut place = chain.origin.unwrap();
    let mut at = chain.published_seconds.unwrap();
    for hop in &chain.hops {
        assert_eq!(hop.from, place, "{chain:?}");
        assert!(hop.at_seconds > at, "{chain:?}");
        (place, at) = (hop.to, hop.at_seconds);
    }
    assert_eq!(place, to, "{chain:?}");
}

#[test]
fn every_report_of_a_loss_comes_by_a_connected_chain_from_its_observer() {
    for observer in 0..6 {
        let why = ask(r#"{ at = "5s", fault = "crash", peers = [7] }"#, observer, 7, 60);
        assert_eq!((why.state, why.subject_runs), (Some("down"), false));
        let lost: Vec<&Word> =
            why.observers.iter().filter(|word| word.status == Some("lost")).collect();
        assert!(lost.len() >= 3, "{why:?}");
        for word in lost {
            let chain = word.chain.as_ref().unwrap();
            assert_eq!(chain.origin, word.observer);
            assert!(chain.says.contains("lost 7"), "{chain:?}");
            assert!(chain.published_seconds.unwrap() > 45.0);
            assert!(word.evidence.is_some());
            check_chain(chain, observer);
        }
        check_chain(why.introduction.as_ref().unwrap(), observer);
        let mut text = Vec::new();
        table(&why, &mut text).unwrap();
        assert!(String::from_utf8(text).unwrap().contains("published by peer"));
    }
}

#[test]
fn a_farewell_is_followed_to_who_said_it() {
    let why = ask(r#"{ at = "5s", fault = "leave", peers = [7] }"#, 2, 7, 60);
    assert_eq!(why.state, Some("left"));
    let farewell = why.farewell.unwrap();
    assert_eq!(farewell.origin, Some(7));
    check_chain(&farewell, 2);
}

#[test]
fn who_thinks_nothing_is_told_why() {
    let off = ask(r#"{ at = "5s", fault = "crash", peers = [7] }"#, 7, 2, 60);
    assert_eq!((off.state, off.rule.contains("does not run")), (None, true), "{off:?}");
    let early = ask("", 0, 11, 1);
    assert_eq!((early.state, early.rule.contains("published nothing")), (None, true), "{early:?}");
}

#[test]
fn nobody_is_no_peer() {
    let question = Question { observer: 0, subject: 12, at: Duration::from_secs(5) };
    let refused = explain("test", &scenario(""), Path::new(""), &question).unwrap_err();
    assert!(refused.to_string().contains("no peer 12"), "{refused}");
}
