//! Code generated from `schema/plexmesh/v1/*.proto`.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]

include!(concat!(env!("OUT_DIR"), "/plexmesh.v1.rs"));
