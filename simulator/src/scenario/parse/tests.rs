use proptest::prelude::*;

use super::super::*;
use super::*;

const HEAD: &str = "format = 1\ntitle = \"test\"\npeers = 20\n";

fn refused(text: &str) -> ScenarioError {
    load(text, "test.toml").expect_err(text)
}

/// What is wrong, in which line, and a part of what is said of it.
const WRONG: &[(&str, usize, &str)] = &[
    ("peers = = 1", 4, "no TOML"),
    ("peeers = 3", 4, "did you mean `peers`"),
    ("phases = { setle = \"1s\" }", 4, "did you mean `settle`"),
    ("phases = { settle = 60 }", 4, "a length of time in quotes"),
    ("phases = { settle = \"60\" }", 4, "no length of time"),
    ("phases = { settle = \"-5s\" }", 4, "no length of time"),
    ("phases = { settle = \"9999999h\" }", 4, "longer than a year"),
    ("phases = { settle = \"5s\", stagger = \"6s\" }", 4, "still start after 6s"),
    (
        "phases = { settle = \"0s\", stagger = \"0s\", faults = \"0s\", healed = \"0s\" }",
        4,
        "any length",
    ),
    ("seed = -1", 4, "a whole number from 0"),
    ("start = \"wram\"", 4, "did you mean `warm`"),
    ("network = { conditions = { loss = 1.5 } }", 4, "a probability from 0 to 1"),
    ("network = { conditions = { loss = nan } }", 4, "a finite number"),
    ("network = { conditions = { up-kbps = 0 } }", 4, "1 kbit/s or more"),
    ("network = { conditions = { up_kbps = 9 } }", 4, "did you mean `up-kbps`"),
    ("network = { latency = { min = \"1ms\", max = \"2ms\" } }", 4, "`model` is missing"),
    ("network = { latency = { model = \"unifrom\" } }", 4, "did you mean `uniform`"),
    ("network = { latency = { model = \"uniform\", min = \"1ms\" } }", 4, "`max` is missing"),
    (
        "network = { latency = { model = \"uniform\", min = \"2ms\", max = \"1ms\" } }",
        4,
        "more than min",
    ),
    ("network = { latency = { model = \"regions\", regions = [] } }", 4, "at least one region"),
    ("network = { links = [{ from = 0, to = 20, latency = \"1ms\" }] }", 4, "no peer 20"),
    ("groups = [{ name = \"5%\", peers = 1 }]", 4, "cannot name a group"),
    ("groups = [{ name = \"a\", peers = \"b\" }]", 4, "a group is made of peers"),
    (
        "groups = [{ name = \"a\", peers = [1] }, { name = \"b\", peers = [1] }]",
        4,
        "in the group `a` too",
    ),
    ("[[faults]]\nat = \"1s\"", 4, "`fault` is missing"),
    ("[[faults]]\nat = \"1s\"\nfault = \"crahs\"", 6, "did you mean `crash`"),
    ("[[faults]]\nat = \"1s\"\nfault = \"crash\"", 4, "`peers` is missing"),
    (
        "[[faults]]\nat = \"1s\"\nfault = \"crash\"\npeers = 1\nlose_state = true",
        8,
        "did you mean `lose-state`",
    ),
    ("[[faults]]\nat = \"1s\"\nfault = \"crash\"\npeers = \"7 %%\"", 7, "is no share"),
    ("[[faults]]\nat = \"1s\"\nfault = \"crash\"\npeers = 0", 7, "no peers at all"),
    ("[[faults]]\nat = \"1s\"\nfault = \"crash\"\npeers = [20]", 7, "no peer 20"),
    ("[[faults]]\nat = \"1s\"\nfault = \"crash\"\npeers = \"10..21\"", 7, "no peer 20"),
    ("[[faults]]\nat = \"1s\"\nfault = \"crash\"\npeers = 21", 7, "at most 20"),
    ("[[faults]]\nat = \"1s\"\nfault = \"crash\"\npeers = \"rack\"", 7, "no group `rack`"),
    ("[[faults]]\nat = \"4m\"\nfault = \"crash\"\npeers = 1", 5, "behind the fault phase"),
    (
        "[[faults]]\nat = \"3m\"\nfor = \"61s\"\nfault = \"crash\"\npeers = 1",
        6,
        "when the fault phase ends",
    ),
    ("[[faults]]\nat = \"3m\"\nfor = \"1s\"\nfault = \"leave\"\npeers = 1", 6, "cannot be undone"),
    (
        "[[faults]]\nat = \"0s\"\nfault = \"leave\"\npeers = [1]\n[[faults]]\nat = \"1m\"\nfault = \"lie\"\nlie = \"equivocator\"\npeers = [1]",
        12,
        "away from then on",
    ),
    (
        "[[faults]]\nat = \"0s\"\nfor = \"9s\"\nfault = \"crash\"\npeers = [1]\n[[faults]]\nat = \"5s\"\nfault = \"pause\"\npeers = \"all\"",
        12,
        "already taken",
    ),
    ("[[faults]]\nat = \"0s\"\nfault = \"partition\"\nsides = [[1, 2], [2, 3]]", 7, "on two sides"),
    (
        "[[faults]]\nat = \"0s\"\nfault = \"rolling-restart\"\npeers = \"all\"\nevery = \"1m\"\ndown = \"1s\"",
        8,
        "after the fault phase",
    ),
    ("[[faults]]\nat = \"0s\"\nfault = \"join\"\ncount = 9981", 7, "10000 peers at most"),
    (
        "[[faults]]\nat = \"9s\"\nfault = \"join\"\ncount = 1\n[[faults]]\nat = \"5s\"\nfault = \"crash\"\npeers = [20]",
        11,
        "joins only 4s later",
    ),
    (
        "[[faults]]\nat = \"0s\"\nfault = \"lie\"\npeers = 1\nlie = \"forgre\"",
        8,
        "did you mean `forger`",
    ),
    (
        "phases = { faults = \"0s\" }\n[churn]\npeers = 1\nsession = \"9s\"\nabsence = \"9s\"",
        4,
        "without length",
    ),
    ("[churn]\npeers = 1\nsession = \"9ms\"\nabsence = \"9s\"", 6, "1s or more"),
];

#[test]
fn what_is_wrong_is_said_with_its_line_and_what_was_expected() {
    let unlike = |(text, line, said): &&(&str, usize, &str)| {
        let shown = refused(&format!("{HEAD}{text}\n")).to_string();
        !shown.contains(said) || !shown.starts_with(&format!("test.toml:{line}:"))
    };
    let unlike: Vec<_> = WRONG.iter().filter(unlike).collect();
    let shown = |text: &str| refused(&format!("{HEAD}{text}\n")).to_string();
    let shown: Vec<_> = unlike.iter().map(|(text, ..)| (text, shown(text))).collect();
    assert!(unlike.is_empty(), "{shown:#?}");
}

#[test]
fn a_number_of_peers_that_cannot_be_is_refused() {
    for peers in ["0", "10001", "-1", "\"all\"", "1.5"] {
        let error = refused(&HEAD.replace("20", peers));
        assert_eq!(error.place.map(|(line, _)| line), Some(3), "{error}");
    }
    assert!(refused(&HEAD.replace("format = 1", "format = 2")).what.contains("format 2"));
    assert!(refused("").what.contains("missing"));
}

#[test]
fn every_built_in_scenario_survives_being_written_and_read() {
    for builtin in builtins() {
        let scenario = builtin.load().unwrap_or_else(|error| panic!("{error}"));
        assert!(scenario.description.len() > 100, "{} teaches nothing", builtin.name);
        let written = scenario.to_toml().unwrap();
        assert_eq!(load(&written, "written.toml").unwrap(), scenario, "{written}");
    }
}

fn spans() -> impl Strategy<Value = Span> {
    (1_u64..90_000_000).prop_map(|micros| Span(Duration::from_micros(micros)))
}

fn sets() -> impl Strategy<Value = Who> {
    prop_oneof![
        (1_usize..4).prop_map(Who::Count),
        proptest::sample::subsequence((0..40_usize).collect::<Vec<_>>(), 1..5)
            .prop_map(Who::Listed),
        (1_u32..90).prop_map(|share| Who::Named(format!("{share}%"))),
        (0_usize..30).prop_map(|from| Who::Named(format!("{from}..{}", from + 5))),
        Just(Who::Named("all".to_owned())),
        Just(Who::Named("far".to_owned())),
    ]
}

fn conditions() -> impl Strategy<Value = Conditions> {
    let share = || proptest::option::of(0.0..1.0_f64);
    let burst = (spans(), spans(), 0.0..1.0_f64).prop_map(|(every, lasts, loss)| Burst {
        every,
        lasts,
        loss,
    });
    let reorder = (0.0..1.0_f64, spans()).prop_map(|(share, by)| Reorder { share, by });
    let kbps = || proptest::option::of(1..100_000_u64);
    (
        proptest::option::of(spans()),
        share(),
        proptest::option::of(burst),
        share(),
        proptest::option::of(reorder),
        kbps(),
        kbps(),
    )
        .prop_map(|(jitter, loss, burst, duplicate, reorder, up_kbps, down_kbps)| {
            let jitter = jitter.or(Some(Span::millis(1)));
            Conditions { jitter, loss, burst, duplicate, reorder, up_kbps, down_kbps }
        })
}

fn faults() -> impl Strategy<Value = Fault> {
    let lie = prop_oneof![Just(crate::Lie::FalseObserver), Just(crate::Lie::Flooder)];
    let way = prop_oneof![Just(Direction::In), Just(Direction::Out), Just(Direction::Both)];
    let turn = || (10_u64..9_000).prop_map(Span::millis);
    prop_oneof![
        (sets(), any::<bool>(), any::<bool>()).prop_map(|(peers, process_only, lose_state)| {
            Fault::Crash { peers, process_only, lose_state }
        }),
        (sets(), turn(), spans(), any::<bool>()).prop_map(|(peers, every, down, lose_state)| {
            Fault::RollingRestart { peers, every, down, lose_state }
        }),
        sets().prop_map(|peers| Fault::Pause { peers }),
        sets().prop_map(|peers| Fault::Sleep { peers }),
        (sets(), spans()).prop_map(|(peers, delay)| Fault::Slow { peers, delay }),
        (sets(), turn(), turn()).prop_map(|(peers, run, stall)| Fault::Starve {
            peers,
            run,
            stall
        }),
        (sets(), sets()).prop_map(|(from, to)| Fault::Cut { from, to }),
        (sets(), sets()).prop_map(|(between, and)| Fault::NoPath { between, and }),
        (sets(), way, turn(), turn()).prop_map(|(peers, direction, off, on)| Fault::FlipFlop {
            peers,
            direction,
            off,
            on
        }),
        (sets(), 0.01..1.0_f64, 0.0..1.0_f64).prop_map(|(peers, ingress, egress)| Fault::Loss {
            peers,
            ingress,
            egress
        }),
        (sets(), conditions()).prop_map(|(peers, conditions)| Fault::Degrade { peers, conditions }),
        proptest::collection::vec(sets(), 1..3).prop_map(|sides| Fault::Partition { sides }),
        (sets(), 1_i64..100_000)
            .prop_map(|(peers, jump_ms)| Fault::Clock { peers, jump_ms: -jump_ms }),
        (sets(), lie).prop_map(|(peers, lie)| Fault::Lie { peers, lie }),
        (1_usize..9).prop_map(|count| Fault::Join { count }),
        sets().prop_map(|peers| Fault::Leave { peers }),
        sets().prop_map(|peers| Fault::Corrupt { peers }),
    ]
}

fn latencies() -> impl Strategy<Value = Latency> {
    let region = ("[a-z]{1,9}", -90.0..90.0_f64, -180.0..180.0_f64, 1_u64..9, spans()).prop_map(
        |(name, latitude, longitude, weight, access)| Region {
            name,
            latitude,
            longitude,
            weight,
            access,
        },
    );
    let shape = prop_oneof![
        Just(Shape::Grid),
        (1_usize..5).prop_map(|branching| Shape::Tree { branching }),
        (2_usize..5, 0.0..1.0_f64)
            .prop_map(|(degree, rewire)| Shape::SmallWorld { degree, rewire }),
        (1_usize..5, spans()).prop_map(|(clusters, bridge)| Shape::Clusters { clusters, bridge }),
    ];
    prop_oneof![
        spans().prop_map(|min| Latency::Uniform { min, max: Span(min.0 * 2) }),
        ("[a-z./\"\\\\ ]{1,12}", any::<bool>()).prop_map(|(source, symmetric)| Latency::Matrix {
            source,
            unit: Some(Unit::Ms),
            values: MatrixValues::OneWay,
            symmetric,
        }),
        (proptest::collection::vec(region, 1..4), 1.0..3.0_f64)
            .prop_map(|(regions, detour)| Latency::Regions { regions, detour }),
        (shape, spans()).prop_map(|(shape, hop)| Latency::Generated { shape, hop }),
    ]
}

fn scenarios() -> impl Strategy<Value = Scenario> {
    let entry =
        (0_u64..200, proptest::option::of(1_u64..40), faults()).prop_map(|(at, lasts, fault)| {
            let lasts = lasts.filter(|_| fault.ends()).map(Span::seconds);
            Entry { at: Span::seconds(at), lasts, fault }
        });
    let links = (0_usize..20, 20_usize..40, spans()).prop_map(|(from, to, latency)| LinkChange {
        from,
        to,
        latency,
    });
    let network = (latencies(), conditions(), proptest::collection::vec(links, 0..3))
        .prop_map(|(latency, conditions, links)| Network { latency, conditions, links });
    let group =
        (conditions(), proptest::option::of(spans())).prop_map(|(conditions, sleep_grace)| {
            let peers = Who::Listed(vec![30, 31]);
            Group { name: "far".to_owned(), peers, conditions, sleep_grace }
        });
    let churn =
        (1_u64..500, 1_u64..500, 0.0..1.0_f64).prop_map(|(session, absence, lose_state)| {
            let (session, absence) = (Span::seconds(session), Span::seconds(absence));
            Churn { peers: Who::Count(1), session, absence, lose_state }
        });
    let promises = (proptest::option::of(spans()), proptest::option::of(any::<u64>())).prop_map(
        |(detection, mean_bytes_per_second)| Promises {
            detection,
            mean_bytes_per_second,
            ..Promises::default()
        },
    );
    (
        any::<u64>(),
        any::<String>(),
        network,
        group,
        proptest::collection::vec(entry, 0..4),
        proptest::option::of(churn),
        promises,
    )
        .prop_map(|(seed, title, network, group, faults, churn, promises)| Scenario {
            format: FORMAT,
            description: title.clone(),
            title,
            peers: 40,
            seed,
            start: Start::Warm,
            phases: Phases::default(),
            network,
            groups: vec![group],
            faults,
            churn,
            promises,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_written_is_read_back(scenario in scenarios()) {
        let written = scenario.to_toml().unwrap();
        match (scenario.validate(), load(&written, "written.toml")) {
            (Ok(()), read) => prop_assert_eq!(read, Ok(scenario), "{}", written),
            (Err(problem), Err(error)) => {
                prop_assert_eq!(&problem.what, &error.what, "{}", written);
                prop_assert!(error.place.is_some());
            }
            (Err(problem), Ok(_)) => prop_assert!(false, "{problem} was read:\n{written}"),
        }
    }

    #[test]
    fn no_text_stops_the_reader(text in any::<String>()) {
        let _either = load(&text, "any.toml");
    }

    #[test]
    fn no_damage_stops_the_reader(
        which in 0..builtins().len(),
        at in any::<prop::sample::Index>(),
        put in "[\\[\\]{}=\"0-9a-z.%\n-]{0,4}",
    ) {
        let text = builtins()[which].text;
        let mut places: Vec<usize> = text.char_indices().map(|(place, _)| place).collect();
        places.push(text.len());
        let place = places[at.index(places.len())];
        let damaged = format!("{}{put}{}", &text[..place], text.get(place + put.len()..).unwrap_or(""));
        let _either = load(&damaged, "damaged.toml");
    }
}
