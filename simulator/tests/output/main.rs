//! What is drawn of a run, checked on reports that no run was needed for.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a check fails by panicking"
)]

mod synthetic;

use plexmesh_simulator::output::{self, Style, svg};
use plexmesh_simulator::report::RunReport;
use synthetic::{broken, empty, eventful};

type Plot = fn(&RunReport) -> String;
const PLOTS: [(&str, Plot); 7] = [
    ("detection", svg::detection_cdf),
    ("convergence", svg::convergence),
    ("heartbeat-lag", svg::heartbeat_lag),
    ("bytes", svg::bytes),
    ("judgements", svg::judgements),
    ("latency-error", svg::latency_error),
    ("topology", svg::topology),
];
/// What a phone loads and draws without a pause.
const MOST_PAGE_BYTES: usize = 4_000_000;
/// The environment variable with the folder into which pages to look at are written.
const LOOK: &str = "PLEXMESH_SIM_LOOK";

fn table(report: &RunReport, style: Style) -> String {
    let mut text = Vec::new();
    output::table(report, &mut text, style).unwrap();
    String::from_utf8(text).unwrap()
}

/// Reports with something missing or too much of it.
fn odd_reports() -> Vec<(&'static str, RunReport)> {
    let mut one_sample = eventful(3, 1);
    one_sample.series.truncate(1);
    one_sample.latency_error.truncate(1);
    let mut not_numbers = eventful(20, 3);
    for sample in not_numbers.series.iter_mut().step_by(7) {
        sample.agreeing = f64::NAN;
        sample.sent_max = f64::INFINITY;
        sample.sent_mean = -1.0;
        sample.heartbeat_age_seconds = Some(f64::NEG_INFINITY);
    }
    not_numbers.detections[0].each_seconds = vec![f64::NAN, 0.0, f64::INFINITY];
    not_numbers.latency_error = vec![f64::NAN, 0.0, 0.0, f64::INFINITY];
    not_numbers.topology.places[0] = (f64::NAN, 7.0);
    not_numbers.topology.edges.push((0, 9_999, f64::NAN));
    not_numbers.detections[1].subject = 9_999;
    let mut nothing_sent = eventful(5, 0);
    nothing_sent.latency_error = vec![0.0; 101];
    for sample in &mut nothing_sent.series {
        (sample.sent_mean, sample.sent_max) = (0.0, 0.0);
        sample.judgements.clear();
    }
    let mut nobody_noticed = eventful(5, 1);
    nobody_noticed.detections[0].each_seconds.clear();
    nobody_noticed.detections[0].all_seconds = None;
    vec![
        ("empty", empty()),
        ("one sample", one_sample),
        ("not numbers", not_numbers),
        ("nothing sent", nothing_sent),
        ("nobody noticed", nobody_noticed),
        ("broken", broken(60, 5)),
        ("many crashes", eventful(200, 40)),
    ]
}

/// Parses a drawing, and looks for numbers that are none in it.
fn assert_well_drawn(name: &str, text: &str) {
    let document =
        roxmltree::Document::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    for node in document.descendants() {
        for attribute in node.attributes() {
            let (key, value) = (attribute.name(), attribute.value());
            if ["aria-label", "class", "role"].contains(&key) {
                continue;
            }
            assert!(
                !value.contains("NaN") && !value.contains("inf"),
                "{name}: {key} of {:?} is {value}",
                node.tag_name()
            );
            let length = ["width", "height", "r"].contains(&key);
            assert!(!(length && value.starts_with('-')), "{name}: {key} is {value}");
        }
    }
}

/// The drawings in a page.
fn drawings(page: &str) -> Vec<&str> {
    let parts = page.split("<svg ").skip(1);
    let ends = parts.map(|part| part.find("</svg>").unwrap() + "</svg>".len());
    let begins = page.match_indices("<svg ").map(|(index, _)| index);
    begins.zip(ends).map(|(begin, length)| &page[begin..begin + "<svg ".len() + length]).collect()
}

#[test]
fn every_drawing_of_every_report_is_whole_xml_with_real_numbers() {
    for (name, report) in odd_reports() {
        for (plot, draw) in PLOTS {
            assert_well_drawn(&format!("{plot} of {name}"), &draw(&report));
        }
        let page = output::html(&report);
        let drawings = drawings(&page);
        assert_eq!(drawings.len(), PLOTS.len(), "{name}");
        for drawing in drawings {
            assert_well_drawn(&format!("page of {name}"), drawing);
        }
        assert!(!table(&report, Style::default()).contains("NaN"), "{name}");
    }
}

#[test]
fn what_a_file_says_does_not_become_markup_nor_steer_a_terminal() {
    let evil = "<script>alert(1)</script>\"'&\u{1b}[31m";
    let mut report = broken(10, 2);
    report.name = evil.to_owned();
    report.scenario.title = evil.to_owned();
    report.scenario.description = evil.to_owned();
    report.topology.names = vec![evil.to_owned(); 10];
    report.happenings[0].what = evil.to_owned();
    report.checks[0].promise = evil.to_owned();
    report.checks[0].violations[0].detail = evil.to_owned();
    report.event_counts.insert(evil.to_owned(), 1);
    report.traffic.sent_by_channel.insert(evil.to_owned(), 1.0);
    report.series[5].judgements.insert(evil.to_owned(), 1);
    let page = output::html(&report);
    assert!(!page.contains("<script"), "a script got into the page");
    assert!(page.contains("&lt;script&gt;"), "the title is gone");
    for (plot, draw) in PLOTS {
        assert!(!draw(&report).contains("<script"), "{plot}");
        assert_well_drawn(plot, &draw(&report));
    }
    let text = table(&report, Style::default());
    assert!(!text.contains('\u{1b}'), "{text}");
    let command = text.lines().find(|line| line.starts_with("reproduce")).unwrap();
    assert!(command.contains(r"'<script>alert(1)</script>"), "not quoted: {command}");
}

#[test]
fn a_page_loads_nothing_from_elsewhere() {
    let page = output::html(&broken(60, 5));
    for word in ["http:", "https:", "src=", "href=", "url(", "@import", "<script", "<link"] {
        assert!(!page.contains(word), "the page has {word}");
    }
}

#[test]
fn a_crash_that_not_all_noticed_is_not_drawn_as_noticed_by_all() {
    // Enough crashes for a band; one of them was never known to everybody.
    let report = eventful(200, 40);
    let drawing = svg::detection_cdf(&report);
    let document = roxmltree::Document::parse(&drawing).unwrap();
    let class = |node: &roxmltree::Node<'_, '_>| node.attribute("class") == Some("line c1 faint");
    let slowest = document.descendants().find(class).unwrap().attribute("d").unwrap();
    let top = |path: &str| {
        let heights = path.split(['M', 'L', 'H']).filter_map(|point| point.split_once(' '));
        heights.map(|(_, y)| y.parse::<f64>().unwrap()).fold(f64::INFINITY, f64::min)
    };
    let class = |node: &roxmltree::Node<'_, '_>| node.attribute("class") == Some("line c0");
    let median = document.descendants().rfind(class).unwrap().attribute("d").unwrap();
    assert!(top(slowest) > top(median) + 30.0, "{slowest}");
}

#[test]
fn a_big_mesh_makes_a_page_that_can_be_loaded() {
    let mut report = eventful(10_000, 20);
    report.topology.edges.extend_from_within(..);
    let page = output::html(&report);
    assert!(page.len() < MOST_PAGE_BYTES, "{} bytes", page.len());
    assert!(page.contains("4,000 of 120,000 edges are drawn"), "the note is missing");
    for (plot, draw) in PLOTS {
        assert_well_drawn(plot, &draw(&report));
    }
}

#[test]
fn a_long_run_makes_a_page_that_can_be_loaded() {
    let mut report = eventful(50, 3);
    let last = report.series.last().unwrap().clone();
    report.series.extend((361..100_000).map(|second| {
        let mut sample = last.clone();
        sample.at_seconds = f64::from(second);
        sample.sent_mean = f64::from(second % 997);
        sample
    }));
    let page = output::html(&report);
    assert!(page.len() < MOST_PAGE_BYTES, "{} bytes", page.len());
}

#[test]
fn json_has_everything_and_reads_back() {
    let report = broken(60, 5);
    let whole = output::json(&report, true).unwrap();
    assert_eq!(serde_json::from_str::<RunReport>(&whole).unwrap(), report);
    let short = output::json(&report, false).unwrap();
    let value: serde_json::Value = serde_json::from_str(&short).unwrap();
    assert!(value["series"].is_null() && value.get("series").is_some());
    assert!(value["eventHash"].is_string());
    let read: RunReport = serde_json::from_str(&short).unwrap();
    assert_eq!(read, RunReport { series: Vec::new(), ..report });
}

#[test]
fn csv_has_one_row_a_second_and_a_column_for_each_state() {
    let report = eventful(30, 2);
    let text = output::csv(&report).unwrap();
    let mut lines = text.lines();
    let head = "atSeconds,running,digests,agreeing,sentMean,sentMax,heartbeatAgeSeconds,\
        judgements.down,judgements.suspect,judgements.up";
    assert_eq!(lines.next(), Some(head));
    assert_eq!(lines.count(), report.series.len());
    let first = text.lines().nth(1).unwrap();
    assert!(first.starts_with("0,30,"), "{first}");
    assert!(first.contains(",,"), "an age that was not measured must be empty: {first}");
}

#[test]
fn the_table_begins_with_the_verdict_and_ends_with_the_hash() {
    for (report, verdict) in
        [(eventful(60, 5), "✓ HELD"), (broken(60, 5), "✗ BROKEN"), (empty(), "■ INTERRUPTED")]
    {
        let text = table(&report, Style::default());
        assert!(text.starts_with(verdict), "{text}");
        let last = text.lines().last().unwrap();
        assert!(last.starts_with("event hash") && last.ends_with(&report.event_hash), "{last}");
        let again = format!("--seed {} --peers {}", report.scenario.seed, report.scenario.peers);
        assert!(text.contains(&again), "{text}");
    }
}

#[test]
fn the_table_tells_who_broke_a_promise_when() {
    let text = table(&broken(60, 5), Style::default());
    let line = text.lines().find(|line| line.contains("at 1:40")).unwrap();
    assert!(line.contains("observer 3 Nairobi") && line.contains("about 1 São Paulo"), "{line}");
    assert!(text.contains("and 7 more"), "{text}");
}

#[test]
fn colours_come_only_when_asked_for_and_change_no_width() {
    let report = broken(60, 5);
    let plain = table(&report, Style { color: false, width: Some(80) });
    let painted = table(&report, Style { color: true, width: Some(80) });
    assert!(!plain.contains('\u{1b}'));
    assert!(painted.contains('\u{1b}'));
    assert_eq!(anstream::adapter::strip_str(&painted).to_string(), plain);
}

/// Not a check: writes pages to look at into the folder that the variable names.
#[test]
fn pages_to_look_at_are_written_on_request() {
    let Some(folder) = std::env::var_os(LOOK).map(std::path::PathBuf::from) else { return };
    let reports = [
        ("held", eventful(490, 9)),
        ("broken", broken(60, 5)),
        ("many", eventful(1_000, 60)),
        ("few", eventful(12, 1)),
        ("empty", empty()),
    ];
    for (name, report) in reports {
        std::fs::write(folder.join(format!("{name}.html")), output::html(&report)).unwrap();
        std::fs::write(folder.join(format!("{name}.txt")), table(&report, Style::default()))
            .unwrap();
        for (plot, draw) in PLOTS {
            std::fs::write(folder.join(format!("{name}-{plot}.svg")), draw(&report)).unwrap();
        }
    }
}
