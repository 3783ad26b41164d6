//! `plexmesh-sim topologies`: what latencies can come from, and how they look.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use plexmesh_simulator::scenario::{
    Latency, MatrixValues, Network, Region, Scenario, Shape, Span, Unit,
};
use plexmesh_simulator::topology::{self, BuiltinKind};

/// Peers of a previewed shape: enough to see it, few enough to tell them apart.
const SHOWN_PEERS: usize = 48;
/// Seed of a preview: any will do that is the same every time.
const SHOWN_SEED: u64 = 1;

/// What latencies can come from, and how they look
#[derive(Debug, Args)]
pub(crate) struct Topologies {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List what is built in (the same as without a command)
    List,
    /// Draw a topology as SVG: peers, what joins them, round trips
    Preview(Preview),
}

/// Options of a preview.
#[derive(Debug, Args)]
pub(crate) struct Preview {
    /// A name from `plexmesh-sim topologies`, or the file of a scenario
    #[arg(value_name = "NAME|SCENARIO")]
    what: String,
    /// Peers; without it as many as the topology has places, or the scenario says
    #[arg(long)]
    peers: Option<usize>,
    /// Seed of what is drawn; without it the scenario's, or 1
    #[arg(long)]
    seed: Option<u64>,
    /// File to write; without it standard output
    #[arg(short, long, value_name = "FILE.svg")]
    output: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn topologies(options: &Topologies, out: &mut impl Write) -> Result<()> {
    match &options.command {
        None | Some(Command::List) => list(out),
        Some(Command::Preview(options)) => preview(options, out),
    }
}

/// Lists what is built in.
pub(crate) fn list(out: &mut impl Write) -> Result<()> {
    let mut lines = Vec::new();
    for builtin in topology::builtins() {
        let (model, places) = match builtin.kind {
            BuiltinKind::Matrix(_) => ("matrix", "rows"),
            BuiltinKind::Graphml => ("graphml", "nodes"),
        };
        let size = format!("{} {places}", builtin.places);
        lines.push((builtin.name, model, size, builtin.about));
    }
    lines.push(("globe", "regions", "5 regions".into(), GLOBE));
    lines.push((
        "uniform",
        "uniform",
        "any".into(),
        "every pair has a latency of its own, 5 to 60 ms",
    ));
    for (name, size, about) in SHAPES {
        lines.push((name, "generated", size.into(), about));
    }
    writeln!(out, "{:<24} {:<10} {:<12} ABOUT", "NAME", "MODEL", "SIZE")?;
    for (name, model, size, about) in lines {
        writeln!(out, "{name:<24} {model:<10} {size:<12} {about}")?;
    }
    writeln!(out, "\nDraw one: plexmesh-sim topologies preview NAME -o NAME.svg").context(WRITE)
}

/// Draws a topology.
pub(crate) fn preview(options: &Preview, out: &mut impl Write) -> Result<()> {
    let what = Shown::find(&options.what, options.peers)?;
    let peers = options.peers.unwrap_or(what.peers);
    let seed = options.seed.unwrap_or(what.seed);
    let topology = topology::build(&what.network, peers, seed, &what.base)
        .with_context(|| format!("no topology from `{}`", options.what))?;
    let picture = topology::svg(&what.title, &topology);
    match &options.output {
        None => writeln!(out, "{picture}").context(WRITE),
        Some(file) => {
            fs::write(file, picture).with_context(|| format!("cannot write {}", file.display()))?;
            writeln!(out, "{} peers drawn in {}", peers, file.display()).context(WRITE)
        }
    }
}

const WRITE: &str = "cannot write to standard output";
const GLOBE: &str = "five regions by great circle, as an example of `model = \"regions\"`";

/// Shapes that can be made, with usual parameters.
const SHAPES: [(&str, &str, &str); 10] = [
    ("full", "any", "everybody next to everybody"),
    ("ring", "any", "a circle"),
    ("line", "any", "a chain"),
    ("star", "any", "everybody around the first"),
    ("tree", "any", "here with 3 children a node"),
    ("grid", "any", "a rectangle as square as it can be; the last row may be short"),
    (
        "small-world",
        "3 or more",
        "a ring with chords, some rewired; here 4 neighbours, 0.1 rewired",
    ),
    ("scale-free", "2 or more", "whoever has many links gets more; here 2 links a newcomer"),
    (
        "random-regular",
        "4 or more",
        "the same number of neighbours, drawn; here 3, or 2 of an odd mesh",
    ),
    (
        "clusters",
        "any",
        "full clusters in a row with one bridge between two; here 4, bridges of 80 ms",
    ),
];

/// What is drawn.
#[derive(Debug)]
struct Shown {
    title: String,
    network: Network,
    peers: usize,
    seed: u64,
    base: PathBuf,
}

impl Shown {
    fn find(what: &str, peers: Option<usize>) -> Result<Self> {
        if let Some(latency) = named(what, peers.unwrap_or(SHOWN_PEERS)) {
            let places = topology::builtin(what).map(|builtin| builtin.places);
            return Ok(Self {
                title: what.to_owned(),
                network: Network { latency, ..Network::default() },
                peers: places.unwrap_or(SHOWN_PEERS),
                seed: SHOWN_SEED,
                base: PathBuf::from("."),
            });
        }
        let file = Path::new(what);
        if !file.exists() {
            bail!(
                "`{what}` is no topology and no file; `plexmesh-sim topologies` lists the names, a \
                 scenario is a file like `my.toml`"
            );
        }
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {what}"))?;
        // The error of the parser has line, column and what was expected.
        let scenario: Scenario =
            toml::from_str(&text).with_context(|| format!("{what} is no scenario"))?;
        Ok(Self {
            title: scenario.title,
            network: scenario.network,
            peers: scenario.peers,
            seed: scenario.seed,
            base: file.parent().map(Path::to_owned).unwrap_or_default(),
        })
    }
}

/// The latencies that a name of the list stands for.
fn named(name: &str, peers: usize) -> Option<Latency> {
    if let Some(builtin) = topology::builtin(name) {
        return Some(match builtin.kind {
            BuiltinKind::Matrix(_) => Latency::Matrix {
                source: name.to_owned(),
                unit: None::<Unit>,
                values: MatrixValues::default(),
                symmetric: false,
            },
            BuiltinKind::Graphml => {
                Latency::Graphml { source: name.into(), access: Span::default() }
            }
        });
    }
    let shape = match name {
        "uniform" => return Some(Latency::default()),
        "globe" => return Some(Latency::Regions { regions: globe(), detour: 1.5 }),
        "full" => Shape::Full,
        "ring" => Shape::Ring,
        "line" => Shape::Line,
        "star" => Shape::Star,
        "tree" => Shape::Tree { branching: 3 },
        "grid" => Shape::Grid,
        "small-world" => Shape::SmallWorld { degree: 4, rewire: 0.1 },
        "scale-free" => Shape::ScaleFree { links: 2 },
        "random-regular" => Shape::RandomRegular { degree: 3 - peers % 2 },
        "clusters" => Shape::Clusters { clusters: 4, bridge: Span::millis(80) },
        _ => return None,
    };
    Some(Latency::Generated { shape, hop: Span::millis(10) })
}

fn globe() -> Vec<Region> {
    let region = |name: &str, latitude, longitude, weight| Region {
        name: name.to_owned(),
        latitude,
        longitude,
        weight,
        access: Span::millis(2),
    };
    vec![
        region("frankfurt", 50.11, 8.68, 3),
        region("virginia", 38.95, -77.45, 3),
        region("singapore", 1.35, 103.82, 2),
        region("sao-paulo", -23.55, -46.63, 1),
        region("sydney", -33.87, 151.21, 1),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(what: &str) -> Preview {
        Preview { what: what.into(), peers: None, seed: None, output: None }
    }

    #[test]
    fn whatever_is_listed_can_be_drawn() {
        let mut listed = Vec::new();
        list(&mut listed).unwrap();
        let listed = String::from_utf8(listed).unwrap();
        let names: Vec<&str> = listed
            .lines()
            .skip(1)
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert!(names.len() > 15, "{listed}");
        for name in names {
            let mut picture = Vec::new();
            preview(&options(name), &mut picture).unwrap();
            assert!(picture.starts_with(b"<svg"), "{name}");
        }
    }

    #[test]
    fn a_regular_graph_of_an_odd_mesh_is_drawn() {
        let odd = Preview { peers: Some(9), ..options("random-regular") };
        assert!(preview(&odd, &mut Vec::new()).is_ok());
    }

    #[test]
    fn a_scenario_is_drawn_with_files_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("two.csv"), "0,30\n40,0\n").unwrap();
        let scenario = "format = 1\ntitle = \"two hosts\"\npeers = 2\n\
                        network.latency = { model = \"matrix\", source = \"two.csv\", unit = \"ms\" }\n";
        let file = folder.path().join("two.toml");
        fs::write(&file, scenario).unwrap();
        let mut picture = Vec::new();
        preview(&options(file.to_str().unwrap()), &mut picture).unwrap();
        let picture = String::from_utf8(picture).unwrap();
        assert!(picture.contains("two hosts") && picture.contains("35.0 ms"), "{picture}");
    }

    #[test]
    fn a_name_that_is_nothing_is_refused() {
        let error = preview(&options("planetlub"), &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("no topology and no file"), "{error}");
    }
}
