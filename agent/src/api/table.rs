//! All routes of the local socket in one table: the router, the text of errors about paths and the
//! OpenAPI document are made from it, so that none can promise what another does not know.

use std::sync::Arc;
use std::sync::LazyLock;

use axum::Extension;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::routing::{MethodRouter, get, post};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::audit;
use super::authority;
use super::guard::{self, Refusal};
use super::membership;
use super::routes::{self, Agent, Caller};
use super::schema::{
    AuthorityRequest, CertificateRequest, InviteRequest, Kind, Leave, RevokeRequest, ScrubRequest,
};

/// One route.
pub(super) struct Route {
    /// How it is asked.
    pub(super) method: Method,
    /// Where it is; what is in braces is a [`Parameter`].
    pub(super) path: &'static str,
    /// What it says or does, in one sentence.
    pub(super) help: &'static str,
    /// What it answers with.
    pub(super) answer: Answer,
    /// What it takes.
    pub(super) parameters: &'static [Parameter],
    /// The JSON that it takes as a body; `None` for none.
    pub(super) body: Option<fn(&mut SchemaGenerator) -> Schema>,
    /// Who may use it.
    pub(super) access: Access,
    serve: fn() -> MethodRouter<Arc<Agent>>,
}

/// How a route is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// To know something.
    Get,
    /// To change something.
    Post,
}

impl Method {
    /// The method as HTTP has it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// What a route answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A document of this kind.
    Document(Kind),
    /// A document of the first kind, or, if it is followed, a line with one of the second for each
    /// thing that happens.
    Followed(Kind, Kind),
    /// The metrics, as OpenMetrics text.
    Metrics,
    /// The description of all routes.
    OpenApi,
}

/// Who may use a route. Nobody else can open the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// The group of the socket, its owner and root.
    Read,
    /// Its owner and root; nothing is changed.
    Private {
        /// What others are told.
        refused: &'static str,
        /// What they may type in its place.
        instead: &'static str,
    },
    /// Its owner and root, and it is written to the audit log.
    Write {
        /// What others are told.
        refused: &'static str,
        /// What they may type in its place.
        instead: &'static str,
    },
}

/// Something that a route takes in its path or behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    /// Its name.
    pub(super) name: &'static str,
    /// Where it stands.
    pub(super) place: Place,
    /// What it may be.
    pub(super) form: Form,
    /// What a value stands for, as the list of paths shows it.
    pub(super) stands_for: &'static str,
    /// What it is for.
    pub(super) help: &'static str,
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the path; always.
    Path,
    /// Behind the question mark; may be left out.
    Query,
}

/// What a parameter may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A whole number from 0.
    Whole,
    /// Text.
    Text,
    /// `true` or `false`.
    Flag,
}

const PEER: Parameter = Parameter {
    name: "peer",
    place: Place::Path,
    form: Form::Text,
    stands_for: "{peer}",
    help: "Name or id of a peer, or the unambiguous beginning of one.",
};

const fn query(
    name: &'static str,
    form: Form,
    stands_for: &'static str,
    help: &'static str,
) -> Parameter {
    Parameter { name, place: Place::Query, form, stands_for, help }
}

const fn document(
    path: &'static str,
    kind: Kind,
    help: &'static str,
    serve: fn() -> MethodRouter<Arc<Agent>>,
) -> Route {
    read(path, Answer::Document(kind), help, serve)
}

const fn read(
    path: &'static str,
    answer: Answer,
    help: &'static str,
    serve: fn() -> MethodRouter<Arc<Agent>>,
) -> Route {
    let (method, access) = (Method::Get, Access::Read);
    Route { method, path, help, answer, parameters: &[], body: None, access, serve }
}

/// Every route.
pub(super) static ROUTES: [Route; 30] = [
    document("/livez", Kind::Liveness, "Whether the agent lives.", || get(routes::liveness)),
    document(
        "/readyz",
        Kind::Readiness,
        "Whether the agent has found its mesh since it was started; status 503 until then.",
        || get(routes::readiness),
    ),
    document("/v1/status", Kind::Status, "Is the mesh well, and what is wrong?", || {
        get(routes::status)
    }),
    document("/v1/peers", Kind::PeerList, "All peers with their states.", || get(routes::peers)),
    Route {
        parameters: &[PEER],
        ..document("/v1/peers/{peer}", Kind::Peer, "One peer in full.", || get(routes::peer))
    },
    Route {
        parameters: &[PEER],
        ..document("/v1/why/{peer}", Kind::Why, "Why a peer has its state.", || get(routes::why))
    },
    document("/v1/topology", Kind::Topology, "Who watches whom, and what they see.", || {
        get(routes::topology)
    }),
    Route {
        parameters: &[
            query("limit", Form::Whole, "N", "No more than so many peers; 512 at the most."),
            query(
                "peers",
                Form::Text,
                "PEER,PEER",
                "Only these peers: names or ids, or unambiguous beginnings, separated by commas.",
            ),
        ],
        ..document(
            "/v1/latency",
            Kind::Latency,
            "Round-trip times between peers, measured and estimated.",
            || get(routes::latency),
        )
    },
    Route {
        parameters: &[
            query("since", Form::Whole, "SEQUENCE", "Only events after this sequence number."),
            query("limit", Form::Whole, "N", "Only the latest so many."),
            query(
                "follow",
                Form::Flag,
                "true",
                "Go on with a line for each event as it happens; `limit` counts for those before.",
            ),
        ],
        ..read(
            "/v1/events",
            Answer::Followed(Kind::EventList, Kind::Event),
            "What happened, and what happens.",
            || get(routes::events),
        )
    },
    Route {
        access: Access::Private {
            refused: "this user may not read the audit log",
            instead: "sudo plexmesh events --audit",
        },
        parameters: &[
            query(
                "since",
                Form::Text,
                "SEQUENCE|TIME",
                "Only entries after this sequence number, or from this RFC 3339 time on.",
            ),
            query("limit", Form::Whole, "N", "Only the latest so many; 2000 at the most."),
        ],
        ..document("/v1/audit", Kind::AuditList, "Who changed what over the socket.", || {
            get(audit::audit)
        })
    },
    document("/v1/figures", Kind::Figures, "What the agent did and dropped.", || {
        get(routes::figures)
    }),
    document("/v1/integrity", Kind::Integrity, "The shards of all peers.", || {
        get(routes::integrity)
    }),
    Route {
        parameters: &[
            query(
                "verdict",
                Form::Text,
                "VERDICT,VERDICT",
                "Only shards with one of these verdicts, separated by commas.",
            ),
            query("id", Form::Text, "ID", "Only shards whose id begins so."),
            query("limit", Form::Whole, "N", "No more than so many; 100000 at the most."),
        ],
        ..document("/v1/shards", Kind::ShardList, "Shards of this peer, the worst first.", || {
            get(routes::shards)
        })
    },
    Route {
        parameters: &[query(
            "limit",
            Form::Whole,
            "N",
            "No more than so many; 100000 at the most.",
        )],
        ..document("/v1/backups", Kind::BackupList, "Backups of which pieces are here.", || {
            get(routes::backups)
        })
    },
    document("/v1/scrub", Kind::Scrub, "How the scrub of this peer gets on.", || {
        get(routes::scrub)
    }),
    Route {
        method: Method::Post,
        body: Some(ScrubRequest::json_schema),
        access: Access::Write {
            refused: "this user may not tell the scrub what to do",
            instead: "sudo plexmesh scrub start",
        },
        ..document(
            "/v1/scrub",
            Kind::Scrub,
            "Reads shards now, or takes them as they are for what they should be.",
            || post(routes::ask_scrub),
        )
    },
    document("/v1/invites", Kind::InviteList, "The tokens that let peers in.", || {
        get(membership::invites)
    }),
    Route {
        method: Method::Post,
        body: Some(InviteRequest::json_schema),
        access: Access::Write {
            refused: "this user may not let peers in",
            instead: "sudo plexmesh invite",
        },
        ..document("/v1/invites", Kind::Token, "Makes a token with which a peer joins.", || {
            post(membership::invite)
        })
    },
    document("/v1/revocations", Kind::RevocationList, "Memberships that were ended.", || {
        get(membership::revocations)
    }),
    Route {
        method: Method::Post,
        body: Some(RevokeRequest::json_schema),
        access: Access::Write {
            refused: "this user may not put peers out",
            instead: "sudo plexmesh revoke PEER",
        },
        ..document(
            "/v1/revocations",
            Kind::RevocationList,
            "Ends the membership of a peer that is not to be trusted any more.",
            || post(membership::revoke),
        )
    },
    Route {
        method: Method::Post,
        body: Some(RevokeRequest::json_schema),
        access: Access::Write {
            refused: "this user may not give peers up",
            instead: "sudo plexmesh forget PEER",
        },
        ..document(
            "/v1/forgotten",
            Kind::RevocationList,
            "Gives a peer up that is gone for good.",
            || post(membership::forget),
        )
    },
    document("/v1/keys", Kind::Keys, "Who holds which epoch of the mesh's secret.", || {
        get(membership::keys)
    }),
    Route {
        method: Method::Post,
        access: Access::Write {
            refused: "this user may not replace the secret of the mesh",
            instead: "sudo plexmesh keys rotate",
        },
        ..document("/v1/keys", Kind::Keys, "Gives all members a new secret of the mesh.", || {
            post(membership::rotate)
        })
    },
    document("/v1/certificate", Kind::Certificate, "The certificate of this peer.", || {
        get(membership::certificate)
    }),
    Route {
        method: Method::Post,
        body: Some(CertificateRequest::json_schema),
        access: Access::Write {
            refused: "this user may not replace the certificate",
            instead: "sudo plexmesh certificate --renew-with FILE",
        },
        ..document(
            "/v1/certificate",
            Kind::Certificate,
            "Takes over a renewed certificate of this peer.",
            || post(membership::install_certificate),
        )
    },
    document(
        "/v1/authorities",
        Kind::Authorities,
        "The keys whose certificates make members, and those that were replaced.",
        || get(authority::authorities),
    ),
    Route {
        method: Method::Post,
        body: Some(AuthorityRequest::json_schema),
        access: Access::Write {
            refused: "this user may not replace an authority key",
            instead: "sudo plexmesh authority replace --with FILE --new FILE",
        },
        ..document(
            "/v1/authorities",
            Kind::Authorities,
            "Takes over that an authority key was replaced by another one, and tells the mesh.",
            || post(authority::replace),
        )
    },
    read("/v1/metrics", Answer::Metrics, "The agent and its view of the mesh in figures.", || {
        get(routes::metrics)
    }),
    read("/v1/openapi.json", Answer::OpenApi, "This description of all paths.", || {
        get(routes::openapi)
    }),
    Route {
        method: Method::Post,
        body: Some(Leave::json_schema),
        access: Access::Write {
            refused: "this user may not take the peer out",
            instead: "sudo plexmesh leave",
        },
        ..document("/v1/leave", Kind::Left, "Takes this peer out of the mesh for good.", || {
            post(routes::leave)
        })
    },
];

impl Route {
    /// The route as axum has it; whoever may not use it is refused before it is asked, and what
    /// changes something is written to the audit log.
    pub(super) fn served(&'static self, agent: &Arc<Agent>) -> MethodRouter<Arc<Agent>> {
        let served = (self.serve)();
        let method = self.method.word();
        match self.access {
            Access::Read => served,
            Access::Private { refused, instead } => {
                let refusal = Refusal { refused, instead };
                served.route_layer(from_fn(
                    move |Extension(caller): Extension<Caller>, request: Request, next: Next| {
                        guard::owned(refusal, caller, request, next)
                    },
                ))
            }
            Access::Write { refused, instead } => {
                let refusal = Refusal { refused, instead };
                let agent = agent.clone();
                served.route_layer(from_fn(move |request: Request, next: Next| {
                    guard::audited(agent.clone(), refusal, method, request, next)
                }))
            }
        }
    }

    /// The parameters that stand behind the question mark.
    pub(super) fn query(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|parameter| parameter.place == Place::Query)
    }

    /// The route on one line: `GET /v1/latency?limit=N`.
    fn line(&self) -> String {
        let query: Vec<String> =
            self.query().map(|it| format!("{}={}", it.name, it.stands_for)).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{} {}{mark}{}", self.method.word(), self.path, query.join("&"))
    }
}

/// What there is, for whoever asked for something else.
pub(super) fn paths() -> &'static str {
    static PATHS: LazyLock<String> = LazyLock::new(|| {
        let lines: Vec<String> = ROUTES.iter().map(Route::line).collect();
        format!("the paths are: {}", lines.join(", "))
    });
    &PATHS
}
