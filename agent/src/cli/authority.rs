//! The verb about the keys whose certificates make members.

use std::sync::Arc;

use plexmesh_net::Identity;
use plexmesh_proto::record::{Authorities, AuthorityChange, AuthorityError, Certificate, MeshId};
use plexmesh_proto::types::PeerId;

use super::args::{AuthorityArgs, AuthorityVerb, ReplaceArgs};
use super::client::{Client, read_document};
use super::output::Output;
use super::verbs::{View, confirm};
use crate::api::problem::{Code, Problem};
use crate::api::schema::{AuthorityList, AuthorityRequest, One, OwnCertificate};
use crate::identity::NodeKeys;
use crate::mesh::authority::{self, ReplaceError, Replaced, Wish};
use crate::mesh::files::from_hex;
use crate::render;
use crate::text::hex;
use crate::time::{WallTime, span};

const PATH: &str = "/v1/authorities";
/// With these the agent says that nothing was changed.
const REFUSALS: [Code; 4] = [Code::BadRequest, Code::NotAudited, Code::NotPermitted, Code::Refused];

/// Shows the authority keys, or puts a new one in the place of a lost one. The keys are read and made here; the
/// agent sees only what was signed.
pub(super) async fn authority(
    args: AuthorityArgs,
    client: &mut Client,
    output: &Output,
) -> anyhow::Result<()> {
    let Some(AuthorityVerb::Replace(args)) = args.what else {
        View::new(PATH, None, render::authority::authorities).show(client, output).await?;
        return Ok(());
    };
    let known: One<AuthorityList> = client.document(PATH).await?;
    let own: One<OwnCertificate> = client.document("/v1/certificate").await?;
    let senseless = || Problem::new(Code::Failed, "the agent's answer makes no sense");
    let own = from_hex(&own.body.item.certificate)
        .and_then(|bytes| Certificate::parse(&bytes).ok())
        .ok_or_else(senseless)?;
    let known = Arc::new(read_list(&known.body.item, &own.mesh).ok_or_else(senseless)?);
    if !args.yes {
        confirm(&question(&args), "plexmesh authority replace --yes")?;
    }
    let lost = args.lost.as_deref().map(parse_key).transpose()?;
    let wish = Wish {
        with: &args.with,
        new: &args.new,
        lost,
        grace_s: args.grace.as_secs(),
        stolen: args.stolen,
    };
    let made = authority::replace(&wish, &known, &own, WallTime::now().ms() / 1_000);
    let Replaced { authorities, certificate } = made.map_err(refused)?;
    let request = AuthorityRequest {
        changes: authorities.changes().iter().map(|it| hex(&it.encode())).collect(),
        certificate: hex(&certificate.encode()),
    };
    let told = client.post(PATH, serde_json::to_vec(&request)?.into()).await;
    if let Err(problem) = &told
        && REFUSALS.contains(&problem.code)
    {
        // Nobody will ever know the key. After any other failure it may be an authority already.
        let _ = std::fs::remove_file(&args.new);
    }
    let document: One<AuthorityList> = read_document(&told?)?;
    output.document(&document, render::authority::authorities)?;
    Ok(())
}

fn question(args: &ReplaceArgs) -> String {
    let lost = if args.stolen { "stolen" } else { "lost" };
    let ends = if args.grace.is_zero() {
        "at once".to_owned()
    } else {
        format!("in {}", span(args.grace))
    };
    format!(
        "Replace the {lost} authority key for good? Certificates that hang on it end {ends}, \
         and there is no way back."
    )
}

fn parse_key(text: &str) -> Result<PeerId, Problem> {
    from_hex(text).and_then(|bytes| PeerId::from_slice(&bytes)).ok_or_else(|| {
        Problem::new(Code::Usage, format!("`{text}` is no authority key: 64 hexadecimal digits"))
            .then("plexmesh authority")
    })
}

fn read_list(list: &AuthorityList, mesh: &MeshId) -> Option<Authorities> {
    let founding: Option<Vec<PeerId>> =
        list.founding.iter().map(|text| PeerId::from_slice(&from_hex(text)?)).collect();
    let changes: Option<Vec<Vec<u8>>> = list.changes.iter().map(|text| from_hex(text)).collect();
    let changes = AuthorityChange::parse_all(&changes?).ok()?;
    let mut verifier = NodeKeys::new(Identity::generate());
    Authorities::from(founding?).of_chain(&mut verifier, mesh, &changes).ok()
}

fn refused(error: ReplaceError) -> anyhow::Error {
    let problem = Problem::new(Code::Refused, error.to_string());
    match error {
        ReplaceError::File(error) => error.into(),
        ReplaceError::Grace => Problem { code: Code::Usage, ..problem }.into(),
        ReplaceError::Ambiguous(_) => problem
            .because("the mesh has more than two authority keys")
            .then("plexmesh authority replace --lost KEY")
            .into(),
        ReplaceError::Chain(AuthorityError::UnknownSigner) => problem
            .because("the file holds the key of another mesh, or one that was replaced itself")
            .then("plexmesh authority")
            .into(),
        ReplaceError::Chain(_) => problem.then("plexmesh authority").into(),
    }
}
