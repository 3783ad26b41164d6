//! The description of all routes as an OpenAPI 3.1 document, made from the table of routes and the
//! schemas of the documents.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use schemars::{SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::schema::{API_VERSION, Kind};
use super::table::{Access, Answer, Form, Parameter, Place, ROUTES, Route};
use super::{json_schema, metrics};

/// Where OpenAPI keeps schemas.
const SCHEMAS: &str = "/components/schemas";

/// The OpenAPI document.
#[must_use]
pub fn document() -> Value {
    let mut generator = json_schema::generator(SCHEMAS);
    let mut schemas = Map::new();
    let mut paths = Map::new();
    for route in &ROUTES {
        let operation = operation(route, &mut generator, &mut schemas);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Value::Object(path) = path {
            path.insert(route.method.word().to_ascii_lowercase(), operation);
        }
    }
    schemas.append(&mut generator.take_definitions(true));
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "plexmesh agent",
            "version": API_VERSION,
            "description": "What an agent answers over its local socket. Within one version paths \
                            and keys are only added.",
        },
        "jsonSchemaDialect": json_schema::DIALECT,
        "servers": [{
            "url": "http://localhost",
            "description": "The Unix socket of an agent: curl --unix-socket agent.sock \
                            http://localhost/v1/status",
        }],
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

/// The document as it is served: made once.
#[must_use]
pub fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());
    &TEXT
}

fn operation(
    route: &Route,
    generator: &mut SchemaGenerator,
    schemas: &mut Map<String, Value>,
) -> Value {
    let access = match route.access {
        Access::Read => "the group of the socket, its owner and root",
        Access::Private { .. } | Access::Write { .. } => "the owner of the socket and root",
    };
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.help,
        "description": format!("For {access}."),
    });
    if let Value::Object(operation) = &mut operation {
        if !route.parameters.is_empty() {
            let parameters = route.parameters.iter().map(parameter).collect();
            operation.insert("parameters".to_owned(), Value::Array(parameters));
        }
        if let Some(body) = route.body {
            // What is read may leave out more than what is written.
            let settings = SchemaSettings::draft2020_12().for_deserialize();
            let mut reader = settings.with(|it| it.inline_subschemas = true).into_generator();
            let content = json!({ "application/json": { "schema": body(&mut reader) } });
            operation.insert("requestBody".to_owned(), json!({ "content": content }));
        }
        let problem = content("application/json", Kind::Error, generator, schemas);
        operation.insert(
            "responses".to_owned(),
            json!({
                "200": {
                    "description": "As asked.",
                    "content": answer(route.answer, generator, schemas),
                },
                "default": { "description": "What went wrong.", "content": problem },
            }),
        );
    }
    operation
}

/// A name for programs that make functions of paths: `getPeersByPeer`.
fn operation_id(route: &Route) -> String {
    let words = route.path.split(['/', '.']).filter(|word| !matches!(*word, "" | "v1"));
    let words = words.map(|word| match word.strip_prefix('{') {
        Some(name) => format!("By{}", capital(name.trim_end_matches('}'))),
        None => capital(word),
    });
    route.method.word().to_ascii_lowercase() + &words.collect::<String>()
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

fn parameter(parameter: &Parameter) -> Value {
    let (place, required) = match parameter.place {
        Place::Path => ("path", true),
        Place::Query => ("query", false),
    };
    let schema = match parameter.form {
        Form::Whole => json!({ "type": "integer", "minimum": 0 }),
        Form::Text => json!({ "type": "string" }),
        Form::Flag => json!({ "type": "boolean", "default": false }),
    };
    json!({
        "name": parameter.name,
        "in": place,
        "required": required,
        "description": parameter.help,
        "schema": schema,
    })
}

fn answer(
    answer: Answer,
    generator: &mut SchemaGenerator,
    schemas: &mut Map<String, Value>,
) -> Value {
    match answer {
        Answer::Document(kind) => content("application/json", kind, generator, schemas),
        Answer::Followed(list, line) => {
            let mut all = content("application/json", list, generator, schemas);
            let lines = content("application/x-ndjson", line, generator, schemas);
            if let (Value::Object(all), Value::Object(mut lines)) = (&mut all, lines) {
                all.append(&mut lines);
            }
            all
        }
        Answer::Metrics => json!({ metrics::CONTENT_TYPE: { "schema": { "type": "string" } } }),
        Answer::OpenApi => json!({ "application/json": { "schema": { "type": "object" } } }),
    }
}

/// A document of a kind, by reference.
fn content(
    media_type: &'static str,
    kind: Kind,
    generator: &mut SchemaGenerator,
    schemas: &mut Map<String, Value>,
) -> Value {
    let name = format!("{}Document", kind.word());
    let reference = json_schema!({ "$ref": format!("#{SCHEMAS}/{name}") });
    schemas.entry(name).or_insert_with(|| json_schema::document(kind, generator).to_value());
    json!({ media_type: { "schema": reference } })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::audit::AuditQuery;
    use super::super::contract::{assert_committed, assert_valid, pretty};
    use super::super::routes::{BackupsQuery, EventsQuery, LatencyQuery, ShardsQuery};
    use super::super::schema::One;
    use super::super::tests::MeshOfOne;
    use super::*;

    /// Every method of every path: path, method, operation.
    fn operations(document: &Value) -> Vec<(String, String, Value)> {
        let paths = document["paths"].as_object().unwrap();
        let all = paths.iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap();
            methods.iter().map(|(method, it)| (path.clone(), method.clone(), it.clone()))
        });
        all.collect()
    }

    /// Where to ask for it: with each parameter that does not make the answer endless.
    fn asked(path: &str, operation: &Value) -> String {
        let mut query = Vec::new();
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        for parameter in parameters.filter(|it| it["in"] == "query") {
            let value = match parameter["schema"]["type"].as_str().unwrap() {
                "integer" => "1",
                "boolean" => "false",
                _ if parameter["name"] == "verdict" => "ok,corrupt",
                _ if parameter["name"] == "since" => "1970-01-01T00:00:00Z",
                _ => "alpha",
            };
            query.push(format!("{}={value}", parameter["name"].as_str().unwrap()));
        }
        format!("{}?{}", path.replace("{peer}", "alpha"), query.join("&"))
    }

    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|it| references(it, found));
            }
            Value::Array(list) => list.iter().for_each(|it| references(it, found)),
            _ => {}
        }
    }

    #[test]
    fn the_committed_document_is_that_of_the_code() {
        assert_committed("openapi.json", &pretty(&document()));
    }

    #[test]
    fn each_route_is_in_the_document() {
        let described: BTreeSet<_> =
            operations(&document()).into_iter().map(|(path, method, _)| (path, method)).collect();
        let routes: BTreeSet<_> = ROUTES
            .iter()
            .map(|it| (it.path.to_owned(), it.method.word().to_ascii_lowercase()))
            .collect();
        assert_eq!(described, routes);
        assert_eq!(routes.len(), ROUTES.len(), "a route is in the table twice");
    }

    #[test]
    fn operations_have_names_of_their_own() {
        let all = operations(&document());
        let names: BTreeSet<_> =
            all.iter().map(|(_, _, it)| it["operationId"].to_string()).collect();
        assert_eq!(names.len(), all.len());
        assert!(names.contains("\"getPeersByPeer\""), "{names:?}");
    }

    #[test]
    fn whatever_the_document_refers_to_is_in_it() {
        let document = document();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.len() > 20, "{found:?}");
        for reference in found {
            let place = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(place).is_some(), "{reference}");
        }
    }

    #[test]
    fn parameters_of_the_table_are_those_that_are_read() {
        let read = |schema: schemars::Schema| -> BTreeSet<String> {
            schema.get("properties").unwrap().as_object().unwrap().keys().cloned().collect()
        };
        for route in &ROUTES {
            let told = route.query().map(|it| it.name.to_owned()).collect::<BTreeSet<_>>();
            let read = match route.path {
                "/v1/latency" => read(schemars::schema_for!(LatencyQuery)),
                "/v1/audit" => read(schemars::schema_for!(AuditQuery)),
                "/v1/events" => read(schemars::schema_for!(EventsQuery)),
                "/v1/shards" => read(schemars::schema_for!(ShardsQuery)),
                "/v1/backups" => read(schemars::schema_for!(BackupsQuery)),
                _ => BTreeSet::new(),
            };
            assert_eq!(told, read, "{}", route.path);
        }
    }

    /// What is posted; a revocation names somebody who was never seen.
    fn body_for(path: &str) -> String {
        if path != "/v1/revocations" {
            return "{}".to_owned();
        }
        let stranger = plexmesh_net::Identity::generate().public();
        serde_json::json!({ "peer": plexmesh_net::peer_id_text(&stranger) }).to_string()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_path_of_the_document_answers_as_it_says() {
        let mut mesh = MeshOfOne::start().await;
        let served: Value = mesh.client.document("/v1/openapi.json").await.unwrap();
        assert_eq!(served, document());
        let (changing, reading): (Vec<_>, Vec<_>) =
            operations(&served).into_iter().partition(|(_, method, _)| method == "post");
        // What changes something comes last: the agent leaves.
        for (path, method, operation) in reading.into_iter().chain(changing) {
            let at = asked(&path, &operation);
            let answer = match method.as_str() {
                "get" => mesh.client.get(&at).await.unwrap(),
                // In a mesh of one nobody is gone, and the certificate is the one that there is.
                _ if ["/v1/forgotten", "/v1/certificate", "/v1/authorities"]
                    .contains(&path.as_str()) =>
                {
                    let body = r#"{"peer":"nobody","certificate":""}"#;
                    let problem = mesh.client.post(&at, body.into()).await.unwrap_err();
                    assert_valid(&serde_json::to_value(One::problem(problem)).unwrap());
                    continue;
                }
                _ => mesh.client.post(&at, body_for(&path).into()).await.unwrap(),
            };
            let content = &operation["responses"]["200"]["content"];
            let schema = &content["application/json"]["schema"]["$ref"];
            let Some(name) =
                schema.as_str().and_then(|it| it.strip_prefix("#/components/schemas/"))
            else {
                continue;
            };
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            assert_eq!(format!("{}Document", answer["kind"].as_str().unwrap()), name, "{at}");
            assert_valid(&answer);
        }
    }
}
