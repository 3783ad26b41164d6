//! The commands of `plexmesh-sim`.

pub(crate) mod topologies;
