//! The OpenAPI document: that it has all that is served and nothing else, and that what a bridge answers fits it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use lantime2mqtt::simulator::{Action, Clock};
use serde_json::{Value, json};

use crate::scene::{Scene, setup};
use crate::support::etcd::Etcd;
use crate::support::http::get;
use crate::support::site::Entry;
use crate::support::wait;

const DOCUMENT: &str = include_str!("../../src/web/assets/openapi.json");

fn document() -> Value {
    serde_json::from_str(DOCUMENT).expect("it is JSON")
}

/// `GET /api/bridge` and so on, of all routes in the sources below this folder.
fn routes(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("it is there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            routes(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let code = fs::read_to_string(&path).expect("it is text");
            let code = code.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
            for route in code.split(".route(").skip(1) {
                let (path, handlers) = route.split_once("\",").expect("a path and its handlers");
                let path = path.trim().trim_start_matches('"');
                let handlers = handlers.split(".route(").next().unwrap_or_default();
                let handlers = handlers
                    .split(['\n', '}', ';'])
                    .find(|line| line.contains('('))
                    .unwrap_or_default();
                for method in ["get", "post", "put", "patch", "delete"] {
                    if handlers.contains(&format!("{method}(")) {
                        found.insert(format!("{} {path}", method.to_uppercase()));
                    }
                }
            }
        }
    }
}

#[test]
fn it_has_every_route_and_no_other() {
    let mut served = BTreeSet::new();
    routes(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/web")),
        &mut served,
    );
    let is_of_page = |route: &String| route == "GET /" || route.starts_with("GET /assets/");
    served.retain(|route| !is_of_page(route));
    let mut described = BTreeSet::new();
    for (path, item) in document()["paths"].as_object().expect("paths") {
        let methods = item.as_object().expect("methods").keys();
        let methods = methods.filter(|key| *key != "parameters");
        described.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
    }
    assert_eq!(described, served);
    assert!(served.len() > 12, "the sources were read: {served:?}");
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_used() {
    let document = document();
    let mut used = BTreeSet::new();
    references(&document, &mut used);
    for reference in &used {
        let pointer = reference.trim_start_matches('#');
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    for schema in document["components"]["schemas"]
        .as_object()
        .expect("schemas")
        .keys()
    {
        let reference = format!("#/components/schemas/{schema}");
        assert!(used.contains(&reference), "nothing is of {schema}");
    }
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn what_a_bridge_answers_fits_it() {
    let scene = Scene::of(setup(1).site(|site| {
        site.with("sparkplug.enabled", true)
            .with("snmp.traps.listen", "127.0.0.1:0")
            .with("snmp.communities", vec!["public"])
    }))
    .await;
    scene
        .device(1)
        .apply(&Action::LoseSync(Clock::Clk1))
        .expect("it has that clock");
    wait::until("the fault", async || {
        scene.json("/api/devices/sim-1").await["slots"]["io3"]["relays"]["a"]["position"] == "NC"
    })
    .await;
    let served = scene.json("/api/openapi.json").await;
    assert_eq!(served, document());
    let device = "/api/devices/{device}";
    let events = "/api/devices/{device}/{slot}/relay/{relay}/events";
    let (ok, failed) = ("200", "4XX");
    for (method, path, at, body, status) in [
        (
            "post",
            events,
            "/api/devices/sim-1/io4/relay/a/events",
            r#"{"add":["antenna-faulty"]}"#,
            ok,
        ),
        (
            "post",
            events,
            "/api/devices/sim-1/io4/relay/a/events",
            r#"{"add":["no-such-event"]}"#,
            failed,
        ),
        (
            "post",
            events,
            "/api/devices/nobody/io4/relay/a/events",
            "{}",
            failed,
        ),
        (
            "post",
            "/api/devices/{device}/http/sessions",
            "/api/devices/sim-1/http/sessions",
            r#"{"enabled":true}"#,
            ok,
        ),
        (
            "post",
            "/api/devices/{device}/refresh",
            "/api/devices/sim-1/refresh",
            "{}",
            ok,
        ),
        (
            "post",
            "/api/dead-letters/drop",
            "/api/dead-letters/drop",
            "{}",
            failed,
        ),
        (
            "post",
            "/api/dead-letters/handled",
            "/api/dead-letters/handled",
            r#"{"ids":[],"by":""}"#,
            failed,
        ),
    ] {
        let answer = scene.post(at, body).await;
        fits_response(method, path, status, &answer.json());
    }
    wait::until("a session", async || {
        scene.json("/api/devices/sim-1/http/sessions").await["sessions"][0].is_object()
    })
    .await;
    let dead_letters = scene.json("/api/dead-letters").await;
    let dead_letter = dead_letters[0]["id"].as_str().expect("an id").to_owned();
    let of_dead_letter = format!("/api/dead-letters/{dead_letter}");
    for (path, at) in [
        ("/healthz", "/healthz"),
        ("/readyz", "/readyz"),
        ("/api/bridge", "/api/bridge"),
        ("/api/devices", "/api/devices"),
        (device, "/api/devices/sim-1"),
        (
            "/api/devices/{device}/http/sessions",
            "/api/devices/sim-1/http/sessions",
        ),
        ("/api/dead-letters", "/api/dead-letters"),
        ("/api/history", "/api/history"),
        ("/api/history", "/api/history?limit=1"),
        ("/api/timeline", "/api/timeline?device=sim-1"),
        ("/api/availability", "/api/availability?device=sim-1"),
        ("/api/faults", "/api/faults?limit=1"),
        ("/api/dead-letters/{id}", &of_dead_letter),
    ] {
        fits_response("get", path, ok, &scene.json(at).await);
    }
    let answer = scene.post(&format!("{of_dead_letter}/replay"), "").await;
    fits_response("post", "/api/dead-letters/{id}/replay", failed, &answer.json());
    let nobody = Value::String("00000000-0000-0000-0000-000000000000".to_owned());
    let mark = json!({ "ids": [dead_letter, nobody], "by": "anna" }).to_string();
    let marked = scene.post("/api/dead-letters/handled", &mark).await.json();
    assert_eq!(marked, json!({ "marked": 1, "missing": [nobody] }));
    fits_response("post", "/api/dead-letters/handled", ok, &marked);
    let dead_letters = scene.json("/api/dead-letters").await;
    fits_response("get", "/api/dead-letters", ok, &dead_letters);
    let listed = dead_letters.as_array().expect("a list").iter();
    let listed = listed
        .filter(|one| one["id"] == dead_letter.as_str())
        .collect::<Vec<_>>();
    assert_eq!(listed[0]["handled"]["by"], "anna");
    assert_eq!(listed[0]["replayed"]["ok"], false);
    let ids = json!({ "ids": [dead_letter, nobody] }).to_string();
    let dropped = scene.post("/api/dead-letters/drop", &ids).await.json();
    assert_eq!(dropped, json!({ "dropped": 1, "missing": [nobody] }));
    fits_response("post", "/api/dead-letters/drop", ok, &dropped);
}

#[tokio::test]
async fn what_a_bridge_answers_of_an_unreachable_device_fits_it() {
    let unreachable = [Entry::new("unreachable", "http://127.0.0.1:1").slot("io3", ["clk1", "clk2", "rsc"])];
    let scene = Scene::of(setup(1).site(|site| site.devices(&unreachable))).await;
    for (path, at) in [
        ("/api/devices/{device}", "/api/devices/unreachable"),
        ("/api/devices", "/api/devices"),
    ] {
        fits_response("get", path, "200", &scene.json(at).await);
    }
    let incidents = scene.json("/api/incidents").await;
    assert_eq!(incidents[0]["kind"], "poll");
    fits_response("get", "/api/incidents", "200", &incidents);
    let dead_letters = scene.json("/api/dead-letters").await;
    assert_eq!(dead_letters[0]["operation"], "poll");
    fits_response("get", "/api/dead-letters", "200", &dead_letters);
    let answer = get(scene.http(), "/api/devices/nobody")
        .await
        .expect("it answers");
    fits_response("get", "/api/devices/{device}", "404", &answer.json());
}

#[tokio::test]
async fn what_a_bridge_of_a_cluster_answers_fits_it() {
    let etcd = Etcd::start();
    let setup = setup(1).site(|site| {
        site.with("mqtt.version", "5")
            .with("cluster.name", "test")
            .with("cluster.endpoints", etcd.endpoints())
            .with("cluster.url", "https://b.example/")
    });
    let scene = Scene::of(setup).await;
    wait::until("it owns the shard", async || {
        scene.json("/api/cluster").await["shards"][0]["own"] == true
    })
    .await;
    scene.site.ready().await;
    for path in ["/api/cluster", "/healthz", "/readyz", "/api/bridge"] {
        fits_response("get", path, "200", &scene.json(path).await);
    }
    let drain = "/api/cluster/drain";
    let head = "Content-Type: application/json\r\n";
    let refused = scene.post_with(drain, head, r#"{"drain":true}"#).await;
    assert_eq!(refused.status, 401, "{refused:?}");
    fits_response("post", drain, "4XX", &refused.json());
    for wrong in ["{}", r#"{"drain":1}"#, r#"{"drain":true,"more":1}"#] {
        let refused = scene.post(drain, wrong).await;
        assert_eq!(refused.status, 400, "{wrong}: {refused:?}");
        fits_response("post", drain, "4XX", &refused.json());
    }
    assert_eq!(scene.json("/api/cluster").await["members"][0]["intent"], "stay");
    let drained = scene.post(drain, r#"{"drain":true}"#).await;
    fits_response("post", drain, "200", &drained.json());
    assert_eq!(drained.json()["members"][0]["intent"], "drain");
}

/// Panics where `value` is no answer of that status.
fn fits_response(method: &str, path: &str, status: &str, value: &Value) {
    let document = document();
    let response = &document["paths"][path][method]["responses"][status];
    let response = resolved(&document, response);
    let schema = &response["content"]["application/json"]["schema"];
    assert!(!schema.is_null(), "{method} {path}: no schema for {status}");
    if let Err(problem) = fits(&document, schema, value, "") {
        panic!("{method} {path}: {problem} in {value}");
    }
}

fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value["$ref"].as_str() {
        Some(reference) => document
            .pointer(reference.trim_start_matches('#'))
            .expect("it is there"),
        None => value,
    }
}

/// Whether `value` is what `schema` says: of JSON Schema what the document uses. Members that it does not know are a
/// problem, as are words of a schema that are not known here.
fn fits(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let schema = resolved(document, schema);
    let wrong = |what: &str| Err(format!("{at}: {what}, found {value}"));
    let alternatives = |of: &Value| {
        let of = of.as_array().expect("alternatives").iter();
        of.map(|schema| fits(document, schema, value, at))
            .filter(Result::is_ok)
            .count()
    };
    for (word, said) in schema.as_object().expect("a schema") {
        match word.as_str() {
            "description" | "properties" | "additionalProperties" | "format" => {}
            "const" if said != value => return wrong(&format!("not {said}")),
            "enum" if !said.as_array().expect("values").contains(value) => {
                return wrong(&format!("none of {said}"));
            }
            "const" | "enum" => {}
            "anyOf" if alternatives(said) == 0 => return wrong("no alternative"),
            "oneOf" if alternatives(said) != 1 => return wrong("not one alternative"),
            "anyOf" | "oneOf" => {}
            "type" if !is_of_type(said.as_str().expect("a type"), value) => {
                return wrong(&format!("no {said}"));
            }
            "type" => {}
            "required" => {
                let names = said.as_array().expect("names").iter().filter_map(Value::as_str);
                let missing: Vec<_> = names.filter(|name| value.get(name).is_none()).collect();
                if !missing.is_empty() {
                    return wrong(&format!("without {missing:?}"));
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    fits(document, said, item, &format!("{at}[{index}]"))?;
                }
            }
            other => panic!("{at}: {other} is not known here"),
        }
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let at = format!("{at}.{name}");
        match (schema["properties"].get(name), &schema["additionalProperties"]) {
            (Some(schema), _) | (None, schema @ Value::Object(_)) => fits(document, schema, member, &at)?,
            (None, Value::Bool(true)) => {}
            _ if schema["type"] != "object" => {}
            _ => return Err(format!("{at}: not in the document")),
        }
    }
    Ok(())
}

fn is_of_type(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        other => panic!("{other} is no type"),
    }
}

#[test]
fn what_does_not_fit_is_found() {
    let document = document();
    let fits = |schema: &str, value: Value| {
        let reference = json!({ "$ref": format!("#/components/schemas/{schema}") });
        fits(&document, &reference, &value, "")
    };
    assert!(fits("SessionsResult", json!({"enabled":true,"max_count":1})).is_ok());
    for (schema, wrong) in [
        ("SessionsResult", json!({"enabled":true})),
        ("SessionsResult", json!({"enabled":"yes","max_count":1})),
        ("SessionsResult", json!({"enabled":true,"max_count":1,"more":1})),
        ("Position", json!("open")),
        ("RelayEvents", json!({"events":5,"confirmed":true,"since":"x"})),
        ("Drop", json!({})),
        (
            "Refusal",
            json!({"ok":true,"error":{"kind":"busy","message":"","remedy":""}}),
        ),
    ] {
        assert!(fits(schema, wrong.clone()).is_err(), "{schema}: {wrong}");
    }
}
