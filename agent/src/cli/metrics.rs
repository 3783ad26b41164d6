//! `plexmesh metrics`: to standard output, or into a file that a collector reads.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::Builder;

use super::args::{Format, MetricsArgs};
use super::client::Client;
use super::output::Output;
use crate::api::problem::{Code, Problem};

/// Mode of the file: collectors run as users of their own, and nothing in it is secret.
const FILE_MODE: u32 = 0o644;

/// Asks for the metrics and puts them where they are wanted. A file that is there already is left
/// as it is if the agent does not answer.
///
/// # Errors
/// [`Problem`] if no agent answers, another form is asked for, or the file cannot be written; what
/// standard output failed with.
pub async fn metrics(
    args: &MetricsArgs,
    client: &mut Client,
    output: &Output,
) -> anyhow::Result<()> {
    if !matches!(output.format(), Format::Table | Format::Wide) {
        let problem = Problem::new(Code::Usage, "metrics have a text form alone")
            .because("they are for programs that read OpenMetrics; the same is in other documents")
            .then("plexmesh status -o json");
        return Err(problem.into());
    }
    let text = client.get("/v1/metrics").await?;
    let Some(file) = &args.file else {
        output.text(&String::from_utf8_lossy(&text))?;
        return Ok(());
    };
    replace(file, &text).map_err(|error| {
        Problem::new(Code::Failed, format!("cannot write {}: {error}", file.display())).because(
            "its directory has to be there, and this user has to be allowed to make files in it",
        )
    })?;
    Ok(())
}

/// Puts a new file in the place of the old one, so that nobody reads half of one.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let mut file = Builder::new().prefix(".plexmesh-metrics-").tempfile_in(directory)?;
    file.write_all(bytes)?;
    // Past the umask, which may keep the collector out.
    file.as_file().set_permissions(Permissions::from_mode(FILE_MODE))?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::args::GlobalArgs;
    use super::*;
    use crate::api::socket::places;
    use crate::api::tests::MeshOfOne;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_gets_all_metrics_of_the_agent() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("plexmesh.prom");
        let args = MetricsArgs { file: Some(file.clone()) };
        let mut mesh = MeshOfOne::start().await;
        metrics(&args, &mut mesh.client, &Output::new(&GlobalArgs::default())).await.unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("# HELP ") && text.ends_with("# EOF\n"), "{text}");
    }

    #[tokio::test]
    async fn an_agent_that_does_not_answer_leaves_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("plexmesh.prom");
        std::fs::write(&file, "old").unwrap();
        let args = MetricsArgs { file: Some(file.clone()) };
        let mut client = Client::new(places(Some(&dir.path().join("agent.sock")), None, None));
        let output = Output::new(&GlobalArgs::default());
        let error = metrics(&args, &mut client, &output).await.unwrap_err();
        assert_eq!(Problem::from(error).code, Code::NoAgent);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "old");
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_may_be_read_by_everybody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plexmesh.prom");
        std::fs::write(&path, "a longer text than the new one").unwrap();
        let held = std::fs::File::open(&path).unwrap();
        replace(&path, b"new\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new\n");
        assert_eq!(io::read_to_string(held).unwrap(), "a longer text than the new one");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        // A directory cannot be replaced by a file.
        assert!(replace(dir.path(), b"new").is_err());
        assert!(replace(&dir.path().join("gone/plexmesh.prom"), b"new").is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
