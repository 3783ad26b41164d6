//! JSON schemas of the documents, made from the types that they are written with.
//!
//! A schema describes what is written: every key that is always there is required. It allows keys
//! that it does not name, because within one `apiVersion` keys are only added.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::problem::Problem;
use super::schema::{
    API_VERSION, AuditItems, AuthorityList, BackupItems, ConfigCheck, ConfigFile, ConfigKey,
    Database, Doctor, Envelope, Event, EventItems, Figures, IdentityTransfer, Integrity, Invite,
    Joined, Keys, Kind, Latency, Leave, Liveness, MadeMesh, MadeToken, Many, One, OwnCertificate,
    Peer, PeerDetail, Readiness, Revocation, Script, Scrub, ShardItems, Status, Topology, Waited,
    Why, Written,
};
use crate::demo::DemoReport;

/// The version of JSON Schema that all schemas are written in.
pub const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema of the documents of one kind, complete in itself.
#[must_use]
pub fn of(kind: Kind) -> Value {
    let mut generator = generator("/$defs");
    let mut schema = document(kind, &mut generator);
    let definitions = generator.take_definitions(true);
    schema.insert("$defs".to_owned(), Value::Object(definitions));
    let mut whole = json_schema!({ "$schema": DIALECT, "title": kind.word() });
    whole.ensure_object().append(schema.ensure_object());
    whole.to_value()
}

/// A generator of schemas of what is written, whose definitions lie at `place` of the whole.
pub(super) fn generator(place: &'static str) -> SchemaGenerator {
    SchemaSettings::draft2020_12()
        .for_serialize()
        .with(|settings| settings.definitions_path = place.into())
        .with_transform(PlainWords)
        .into_generator()
}

/// The schema of the documents of one kind; what it refers to is left in `generator`.
pub(super) fn document(kind: Kind, generator: &mut SchemaGenerator) -> Schema {
    let mut schema = match kind {
        Kind::AuditList => Envelope::<AuditItems>::json_schema(generator),
        Kind::Authorities => One::<AuthorityList>::json_schema(generator),
        Kind::BackupList => Envelope::<BackupItems>::json_schema(generator),
        Kind::Certificate => One::<OwnCertificate>::json_schema(generator),
        Kind::Config => Many::<ConfigKey>::json_schema(generator),
        Kind::ConfigCheck => One::<ConfigCheck>::json_schema(generator),
        Kind::ConfigFile => One::<ConfigFile>::json_schema(generator),
        Kind::DatabaseList => Many::<Database>::json_schema(generator),
        Kind::DemoReport => One::<DemoReport>::json_schema(generator),
        Kind::Doctor => One::<Doctor>::json_schema(generator),
        Kind::Error => One::<Problem>::json_schema(generator),
        Kind::Event => One::<Event>::json_schema(generator),
        Kind::EventList => Envelope::<EventItems>::json_schema(generator),
        Kind::Figures => One::<Figures>::json_schema(generator),
        Kind::IdentityExported | Kind::IdentityImported => {
            One::<IdentityTransfer>::json_schema(generator)
        }
        Kind::Integrity => One::<Integrity>::json_schema(generator),
        Kind::InviteList => Many::<Invite>::json_schema(generator),
        Kind::Joined => One::<Joined>::json_schema(generator),
        Kind::Keys => One::<Keys>::json_schema(generator),
        Kind::Latency => One::<Latency>::json_schema(generator),
        Kind::Left => One::<Leave>::json_schema(generator),
        Kind::Liveness => One::<Liveness>::json_schema(generator),
        Kind::MeshMade => One::<MadeMesh>::json_schema(generator),
        Kind::Peer => One::<PeerDetail>::json_schema(generator),
        Kind::PeerList => Many::<Peer>::json_schema(generator),
        Kind::Readiness => One::<Readiness>::json_schema(generator),
        Kind::RevocationList => Many::<Revocation>::json_schema(generator),
        Kind::Script => One::<Script>::json_schema(generator),
        Kind::Scrub => One::<Scrub>::json_schema(generator),
        Kind::ShardList => Envelope::<ShardItems>::json_schema(generator),
        Kind::Status => One::<Status>::json_schema(generator),
        Kind::Token => One::<MadeToken>::json_schema(generator),
        Kind::Topology => One::<Topology>::json_schema(generator),
        Kind::Wait => One::<Waited>::json_schema(generator),
        Kind::Why => One::<Why>::json_schema(generator),
        Kind::Written => One::<Written>::json_schema(generator),
    };
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for (key, value) in [("apiVersion", API_VERSION), ("kind", kind.word())] {
            properties.insert(key.to_owned(), json_schema!({ "const": value }).to_value());
        }
    }
    PlainWords.transform(&mut schema);
    schema
}

/// Stands for a map whose keys are words of `K`: the usual schema of a map takes any key.
pub(super) struct MapBy<K, V>(PhantomData<(K, V)>);

impl<K: JsonSchema, V: JsonSchema> JsonSchema for MapBy<K, V> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}By{}", V::schema_name(), K::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "propertyNames": generator.subschema_for::<K>(),
            "additionalProperties": generator.subschema_for::<V>(),
        })
    }
}

/// Makes descriptions, which are comments of the code, readable where there are no links to code.
#[derive(Clone, Debug)]
struct PlainWords;

impl Transform for PlainWords {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(Value::String(words)) = schema.get_mut("description") {
            *words = words
                .replace("[`", "`")
                .replace("`]", "`")
                .replace("Self::", "")
                .replace("\n\n", "\r")
                .replace('\n', " ")
                .replace('\r', "\n\n");
        }
        transform_subschemas(self, schema);
    }
}
