use super::*;
use crate::scenario::load;

fn scenario(faults: &str) -> Scenario {
    let text = format!(
        "format = 1\ntitle = \"test\"\npeers = 20\nphases = {{ settle = \"10s\", faults = \"100s\" }}\n{faults}"
    );
    load(&text, "test.toml").unwrap_or_else(|error| panic!("{error}"))
}

fn steps(faults: &str) -> Vec<(u64, Deed)> {
    let script = compile(&scenario(faults)).unwrap();
    script.steps.into_iter().map(|step| (step.at.as_secs(), step.deed)).collect()
}

#[test]
fn a_crash_comes_after_settling_and_ends_when_it_says() {
    let steps = steps(
        "[[faults]]\nat = \"5s\"\nfor = \"20s\"\nfault = \"crash\"\npeers = [3, 4]\nlose-state = true",
    );
    let hosts = vec![3, 4];
    let stop = Deed::Stop { hosts: hosts.clone(), process_only: false };
    assert_eq!(steps, [(15, stop), (35, Deed::Start { hosts, lose_state: true })]);
}

#[test]
fn a_rolling_restart_takes_one_after_the_other() {
    let steps = steps(
        "[[faults]]\nat = \"0s\"\nfault = \"rolling-restart\"\npeers = [1, 2]\nevery = \"30s\"\ndown = \"5s\"",
    );
    let hosts: Vec<_> = steps
        .iter()
        .map(|(at, deed)| match deed {
            Deed::Stop { hosts, .. } => (*at, "stop", hosts.clone()),
            Deed::Start { hosts, .. } => (*at, "start", hosts.clone()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        hosts,
        [
            (10, "stop", vec![1]),
            (15, "start", vec![1]),
            (40, "stop", vec![2]),
            (45, "start", vec![2])
        ]
    );
}

#[test]
fn what_ends_makes_room_for_what_begins() {
    let part = |at| {
        format!("[[faults]]\nat = \"{at}s\"\nfor = \"20s\"\nfault = \"partition\"\nsides = [[1]]\n")
    };
    let steps = steps(&(part(20) + &part(0)));
    let kinds: Vec<_> = steps.iter().map(|(at, deed)| (*at, *deed == Deed::Unite)).collect();
    assert_eq!(kinds, [(10, false), (30, true), (30, false), (50, true)]);
}

#[test]
fn a_draw_takes_nobody_whom_another_fault_names_and_nobody_twice() {
    let drawn = scenario(
        "[[faults]]\nat = \"0s\"\nfor = \"50s\"\nfault = \"crash\"\npeers = 9\n\
         [[faults]]\nat = \"10s\"\nfault = \"pause\"\npeers = \"0..10\"\n",
    );
    for seed in 0..20 {
        let script = compile(&Scenario { seed, ..drawn.clone() }).unwrap();
        let Deed::Stop { hosts, .. } = &script.steps[0].deed else { panic!("{script:?}") };
        assert_eq!(hosts.len(), 9);
        assert!(hosts.iter().all(|host| *host >= 10), "{hosts:?}");
    }
}

#[test]
fn a_draw_does_not_depend_on_other_faults() {
    let cut = "[[faults]]\nat = \"0s\"\nfault = \"loss\"\npeers = 3\negress = 0.5\n";
    let alone = compile(&scenario(cut)).unwrap();
    let beside = compile(&scenario(&(cut.to_owned() + &cut.replace("0s", "7s")))).unwrap();
    assert_eq!(alone.steps[0], beside.steps[0]);
}

#[test]
fn a_pinned_scenario_does_the_same_under_every_seed() {
    let drawn = scenario(
        "groups = [{ name = \"far\", peers = \"20%\" }]\n\
         [[faults]]\nat = \"0s\"\nfault = \"crash\"\npeers = 4\n\
         [[faults]]\nat = \"1s\"\nfault = \"partition\"\nsides = [\"10%\", \"far\"]\n",
    );
    let pinned = pin(&drawn).unwrap();
    let before = compile(&drawn).unwrap();
    assert_eq!(compile(&Scenario { seed: 99, ..pinned }).unwrap(), before);
    assert_ne!(compile(&Scenario { seed: 99, ..drawn }).unwrap(), before);
}

#[test]
fn sessions_have_the_mean_that_was_asked_for() {
    let mut dice = Dice::new(3, "test", 0);
    let sum: Duration = (0..10_000).map(|_| exponential(&mut dice, Span::seconds(60))).sum();
    assert!((58..62).contains(&(sum / 10_000).as_secs()), "{sum:?}");
}
