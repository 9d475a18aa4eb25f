//! JSON held against its schema, as far as our own schemas go: a keyword this does not know fails the test.

use serde_json::{Value, json};

/// Faults with their place in the value. Stricter than JSON Schema: a field that the schema does not name is a fault,
/// so that no reply says more than its description.
pub fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, value, "", &mut found);
    found
}

fn check(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let mut fault = |why: String| found.push(format!("{at}: {why}: {value}"));
    for (keyword, rule) in schema.as_object().expect("a schema") {
        match keyword.as_str() {
            "type" if !is_of(value, rule.as_str().expect("one type")) => fault(format!("no {rule}")),
            "enum" if !rule.as_array().unwrap().contains(value) => fault(format!("none of {rule}")),
            "minimum" if value.as_f64() < rule.as_f64() => fault(format!("below {rule}")),
            "maximum" if value.as_f64() > rule.as_f64() => fault(format!("above {rule}")),
            "anyOf" if rule.as_array().unwrap().iter().all(|one| !faults(one, value).is_empty()) => {
                fault(format!("none of {rule}"));
            }
            "required" => {
                let missing = rule.as_array().unwrap().iter().find(|name| value.get(name.as_str().unwrap()).is_none());
                missing.into_iter().for_each(|name| fault(format!("lacks {name}")));
            }
            "format" => {
                let text = value.as_str().unwrap_or_default();
                let holds = match rule.as_str().unwrap() {
                    "date-time" => text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok(),
                    "uri-reference" => text.starts_with('/') && !text.contains([' ', '"', '<', '>']),
                    other => panic!("unknown format {other}"),
                };
                (!holds).then(|| fault(format!("no {rule}")));
            }
            "type" | "enum" | "minimum" | "maximum" | "anyOf" | "properties" | "items" | "additionalProperties" => {}
            other => panic!("unknown keyword {other}"),
        }
    }
    for (i, item) in value.as_array().into_iter().flatten().enumerate() {
        check(&schema["items"], item, &format!("{at}/{i}"), found);
    }
    // The fields of a choice are those of its members.
    if schema["anyOf"].is_null() {
        for (name, inner) in value.as_object().into_iter().flatten() {
            match (schema["properties"].get(name), &schema["additionalProperties"]) {
                (Some(rule), _) => check(rule, inner, &format!("{at}/{name}"), found),
                (None, Value::Bool(true)) => {}
                (None, rule @ Value::Object(_)) => check(rule, inner, &format!("{at}/{name}"), found),
                (None, _) => found.push(format!("{at}/{name}: is not described")),
            }
        }
    }
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("unknown type {other}"),
    }
}

/// The same but for one field.
pub fn with(body: &Value, name: &str, value: Value) -> Value {
    let mut body = body.clone();
    body[name] = value;
    body
}

/// What `PUT /api/settings` takes, and what it must refuse.
pub fn settings_bodies() -> (Value, Vec<Value>) {
    let webhook = json!({"url": "http://127.0.0.1:1/", "kinds": ["device_up"]});
    let good = json!({"detect": {"black_luma": 11}, "archive": {"retention_days": 300}, "transcode": {}, "notify": {"webhook": [webhook]}});
    let bad = [
        json!({"detect": {"x": 7.0}}),
        json!({"archive": {"window_hours": 25}}),
        json!({"archive": {"commit_seconds": 5}}),
        json!({"archive": [1]}),
        json!({"transcode": {"run_schedule": "noon"}}),
        json!({"transcode": {"enabled": false}}),
        json!({"notify": {"webhook": [{"id": "x"}]}}),
        json!({"archive": {}, "notify": {"webhook": [{"url": "file:///etc/passwd"}]}}),
    ];
    (good, bad.into())
}
