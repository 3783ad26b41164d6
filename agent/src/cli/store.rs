//! `plexmesh store`: the databases of an agent that does not run.

use std::path::Path;

use super::args::StoreVerb;
use super::output::Output;
use crate::api::problem::{Code, Problem};
use crate::api::schema::{Database, DatabaseName, Envelope, Items, Kind, Stamp};
use crate::render;
use crate::run::DirectoryLock;
use crate::store::care::{self, Cared, Which};
use crate::text::quoted;

/// Exit code of a check that found damage.
const DAMAGED: u8 = 1;

/// Cares for the databases in `dir`, and shows how they are. Gives the exit code.
///
/// # Errors
/// If there is no such directory, an agent runs there, or something cannot be read or written.
pub fn store(verb: StoreVerb, dir: &Path, output: &Output) -> anyhow::Result<u8> {
    if !dir.exists() {
        let message = format!("there is no directory {}", dir.display());
        return Err(Problem::new(Code::NotFound, message)
            .because("no agent ever ran with it, or its data lies elsewhere")
            .then("plexmesh --data-dir DIR store check")
            .into());
    }
    let _lock = DirectoryLock::take(dir).map_err(|error| {
        error.while_agent_runs(
            "it alone may use its databases; it copies them by itself when they grow",
            format!(
                "sudo systemctl stop plexmesh && plexmesh --data-dir {} store check",
                quoted(dir)
            ),
        )
    })?;
    let care = match verb {
        StoreVerb::Check => care::check,
        StoreVerb::Rebuild => care::rebuild,
        StoreVerb::Compact => care::compact,
    };
    let mut items = Vec::new();
    for which in Which::ALL {
        items.push(item(&care(dir, which).map_err(Problem::from)?));
    }
    let is_sound = items.iter().all(|item| item.sound);
    let document = Envelope::new(Kind::DatabaseList, Stamp::local(), Items { items });
    output.document(&document, render::store::databases)?;
    Ok(if is_sound { 0 } else { DAMAGED })
}

fn item(cared: &Cared) -> Database {
    let of_content = cared.content;
    Database {
        name: match cared.which {
            Which::View => DatabaseName::Store,
            Which::Inventory => DatabaseName::Inventory,
        },
        path: cared.path.display().to_string(),
        sound: cared.is_sound(),
        fault: cared.fault.clone(),
        entries: of_content.map(|it| it.entries),
        damaged_entries: of_content.map(|it| it.damaged),
        listed_whole: of_content.map(|it| it.is_whole),
        live_bytes: of_content.map(|it| it.live_bytes),
        file_bytes: cared.file_bytes,
        file_bytes_before: cared.file_bytes_before,
        set_aside: cared.set_aside.as_ref().map(|it| it.display().to_string()),
        refilled_by: cared.which.refill().to_owned(),
    }
}
