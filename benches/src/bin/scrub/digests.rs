//! What digests cost that records promise, in the same reading as BLAKE3.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::{Map, json};

use crate::cached::{MIB, listed, ours};
use crate::files;
use crate::runs::{Contender, compare};

/// The manifest at the root of a tree.
const MANIFEST: &str = "plexmesh-manifest.json";

pub(crate) fn run(dir: &Path, files: usize, rounds: usize) -> anyhow::Result<()> {
    let mut contenders = Vec::new();
    for (name, field, program) in [
        ("BLAKE3 alone", "", ""),
        ("BLAKE3 and SHA-256", "sha256", "sha256sum"),
        ("BLAKE3 and SHA-512", "sha512", "sha512sum"),
        ("BLAKE3 and BLAKE2b", "blake2b", "b2sum"),
    ] {
        let tree = dir.join(name.replace(' ', "-"));
        files::make(&tree, files, MIB)?;
        if !program.is_empty() {
            write_manifest(&tree, field, program)?;
        }
        contenders.push(Contender::new(name, ours(&tree, files)?));
    }
    let theirs = listed(&dir.join("BLAKE3-alone"), Path::new("sha256sum"), "-P2 -n100 \"$2\"");
    contenders.push(Contender::new("`xargs -P2 -n100 sha256sum`", theirs));
    compare(&mut contenders, rounds, (files * MIB) as u64, &|| Ok(()))
}

/// Writes what a program of the system says of all files.
fn write_manifest(tree: &Path, field: &str, program: &str) -> anyhow::Result<()> {
    let manifest = tree.join(MANIFEST);
    if manifest.exists() {
        return Ok(());
    }
    let output = listed(tree, Path::new(program), "-P2 -n100 \"$2\"").output()?;
    ensure!(output.status.success(), "{program} ended with {}", output.status);
    let mut shards = Map::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let (digest, file) = line.split_once("  ").context("a line without a digest")?;
        let id = Path::new(file).strip_prefix(tree)?.to_string_lossy().into_owned();
        shards.insert(id, json!({ "sizeBytes": MIB, field: digest }));
    }
    Ok(fs::write(manifest, json!({ "version": 1, "shards": shards }).to_string())?)
}
