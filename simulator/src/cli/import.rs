//! `plexmesh-sim import`: a scenario from what a live mesh measured.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Args;
use plexmesh_simulator::import;

use super::Failure;

/// Most bytes of a document: the matrix of the most members, with 12 characters a value, and their
/// edges.
const MAX_BYTES: u64 = 512 << 20;

/// Make a scenario from what a live mesh measured
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// What `plexmesh topology -o json` or `plexmesh latency -o json` printed; `-` is standard
    /// input. Several files of one mesh are put together
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// File of the scenario; its matrix is written beside it. Without it, standard output gets a
    /// scenario with all latencies in itself
    #[arg(long, value_name = "FILE.toml")]
    out: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(options: &Import, out: &mut impl Write) -> Result<ExitCode, Failure> {
    let texts = options.files.iter().map(|file| read(file).map_err(Failure::Input));
    let texts = texts.collect::<Result<Vec<_>, _>>()?;
    let texts: Vec<(&str, &str)> =
        texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let input = |error| Failure::Input(anyhow::Error::from(error));
    let mesh = import::read(&texts).map_err(input)?;
    match &options.out {
        None => {
            let text = mesh.scenario_file(None).map_err(input)?;
            out.write_all(text.as_bytes())
                .context("cannot write to standard output")
                .map_err(Failure::Machine)?;
        }
        Some(file) => {
            let matrix = file.with_extension("tsv");
            let name =
                matrix.file_name().and_then(|name| name.to_str()).filter(|_| *file != matrix);
            let name = name.ok_or_else(|| {
                let file = file.display();
                Failure::Input(anyhow!("--out {file}: expected a name such as mesh.toml"))
            })?;
            let text = mesh.scenario_file(Some(name)).map_err(input)?;
            if mesh.knows_latencies() {
                write(&matrix, &mesh.matrix()).map_err(Failure::Machine)?;
            }
            write(file, &text).map_err(Failure::Machine)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Name and text of a document.
fn read(file: &Path) -> anyhow::Result<(String, String)> {
    let from_input = file == Path::new("-");
    let name = if from_input { "standard input".into() } else { file.display().to_string() };
    let mut text = String::new();
    let cannot = || format!("cannot read {name}");
    let taken = if from_input {
        io::stdin().lock().take(MAX_BYTES).read_to_string(&mut text)
    } else {
        let open = fs::File::open(file).with_context(cannot)?;
        open.take(MAX_BYTES).read_to_string(&mut text)
    };
    taken.with_context(cannot)?;
    Ok((name, text))
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
