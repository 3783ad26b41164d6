//! Which peer a person means.

use super::problem::{Code, Problem};
use super::schema::PeerRef;

/// Most candidates that an ambiguous name is answered with: more than a screen of them helps
/// nobody.
const MAX_CANDIDATES: usize = 20;

/// Finds the one peer that `text` stands for: a full id or name first, else the beginning of ids
/// and names.
///
/// `peers` gives what is selected beside what it is called.
///
/// # Errors
/// A [`Problem`] if no peer matches, or several do; then it lists them.
pub fn select<T: Copy>(text: &str, peers: &[(T, PeerRef)]) -> Result<T, Problem> {
    let name_is = |peer: &PeerRef| peer.name.as_deref() == Some(text);
    let begins = |peer: &PeerRef| {
        peer.id.starts_with(text) || peer.name.as_ref().is_some_and(|name| name.starts_with(text))
    };
    let matching = |rule: &dyn Fn(&PeerRef) -> bool| -> Vec<&(T, PeerRef)> {
        peers.iter().filter(|(_, peer)| rule(peer)).collect()
    };
    if text.is_empty() {
        return Err(Problem::new(Code::BadRequest, "no peer was named").then("plexmesh peers"));
    }
    let rules: [&dyn Fn(&PeerRef) -> bool; 3] = [&|peer| peer.id == text, &name_is, &begins];
    for rule in rules {
        match matching(rule).as_slice() {
            [] => {}
            [(found, _)] => return Ok(*found),
            several => return Err(ambiguous(text, several)),
        }
    }
    Err(Problem::new(Code::NotFound, format!("no peer has a name or id that begins with `{text}`"))
        .because("it never joined this mesh, or its certificate has lapsed")
        .then("plexmesh peers"))
}

fn ambiguous<T>(text: &str, several: &[&(T, PeerRef)]) -> Problem {
    let message = format!("`{text}` may stand for any of {} peers", several.len());
    let candidates: Vec<PeerRef> =
        several.iter().take(MAX_CANDIDATES).map(|(_, peer)| peer.clone()).collect();
    let next = candidates.first().map(|peer| format!("plexmesh peer {}", peer.id));
    Problem {
        likely_cause: Some("several names or ids are equal or begin so".to_owned()),
        next_command: next,
        candidates,
        ..Problem::new(Code::Ambiguous, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers() -> Vec<(usize, PeerRef)> {
        let peers =
            [("12D3KooWAa", Some("alpha")), ("12D3KooWAb", Some("alphabet")), ("12D3KooWCc", None)]
                .map(|(id, name)| PeerRef { id: id.to_owned(), name: name.map(str::to_owned) });
        (0..).zip(peers).collect()
    }

    #[test]
    fn a_full_name_wins_over_a_longer_one_that_begins_so() {
        assert_eq!(select("alpha", &peers()), Ok(0));
        assert_eq!(select("alphab", &peers()), Ok(1));
    }

    #[test]
    fn ids_may_be_cut_short_while_they_stay_unambiguous() {
        assert_eq!(select("12D3KooWC", &peers()), Ok(2));
        let problem = select("12D3KooWA", &peers()).unwrap_err();
        assert_eq!(problem.code, Code::Ambiguous);
        let ids: Vec<_> = problem.candidates.iter().map(|peer| peer.id.as_str()).collect();
        assert_eq!(ids, ["12D3KooWAa", "12D3KooWAb"]);
    }

    #[test]
    fn an_unknown_name_is_not_found() {
        assert_eq!(select("omega", &peers()).unwrap_err().code, Code::NotFound);
        assert_eq!(select("", &peers()).unwrap_err().code, Code::BadRequest);
    }
}
