//! Arguments of `plexmesh store`.

use clap::Subcommand;

use super::examples;

/// What to do with the databases of an agent that does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum StoreVerb {
    /// Read everything in them; exits with 1 if anything is damaged
    #[command(after_help = examples(
        "plexmesh store check",
        "sudo plexmesh --data-dir /var/lib/plexmesh store check -o json"
    ))]
    Check,
    /// Make damaged ones anew of what can be read; the old ones are kept beside them
    #[command(after_help = examples(
        "plexmesh store rebuild",
        "sudo systemctl stop plexmesh && sudo plexmesh store rebuild"
    ))]
    Rebuild,
    /// Copy them into files as small as can be; the agent does so by itself when they grow too large
    #[command(after_help = examples("plexmesh store compact", "plexmesh store compact -o json"))]
    Compact,
}
