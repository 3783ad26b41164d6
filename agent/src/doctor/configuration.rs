//! Whether the configuration can be read.

use super::{DoctorArea, crit, first_few, ok};
use crate::api::schema::DoctorCheck;
use crate::config::Loaded;

const AREA: DoctorArea = DoctorArea::Configuration;
/// Flaws that are told; `config check` tells all.
const MAX_TOLD: usize = 3;

pub(super) fn checks(loaded: &Loaded) -> Vec<DoctorCheck> {
    let files: Vec<String> = loaded.files.iter().map(|it| it.display().to_string()).collect();
    let what = if files.is_empty() { "defaults".to_owned() } else { files.join(", ") };
    if loaded.flaws.is_empty() {
        let variables = loaded.variables.len();
        return vec![ok(AREA, what, format!("no errors; {variables} variables count"))];
    }
    let flaws = loaded.flaws.iter().map(|flaw| format!("{}: {}", flaw.origin, flaw.message));
    let found = first_few(flaws, MAX_TOLD);
    vec![crit(AREA, what, found).fixed_by("plexmesh config check")]
}
