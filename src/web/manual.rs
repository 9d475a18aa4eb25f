//! `/api/docs`: the OpenAPI document as a page for people. Plain HTML: no script, nothing from elsewhere.

use std::{fmt::Write, sync::LazyLock};

use actix_web::{HttpResponse, http::header};
use serde_json::{Map, Value};

use super::{openapi::DOCUMENT, ui};

/// `GET /api/docs`
pub async fn page() -> HttpResponse {
    static PAGE: LazyLock<String> = LazyLock::new(|| render(&DOCUMENT, &["css", "svg"].map(ui::file)));
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::CONTENT_SECURITY_POLICY, ui::POLICY))
        .body(PAGE.as_str())
}

/// With the style sheet and the icon, where there are any.
fn render(document: &Value, [style, icon]: &[Option<String>; 2]) -> String {
    let mut out = String::from("<!doctype html><html lang=en><head><meta charset=utf-8><title>Capstan: routes</title>");
    out += "<meta name=viewport content=\"width=device-width, initial-scale=1\"><meta name=color-scheme content=\"dark light\">";
    for (relation, address) in [("stylesheet", style), ("icon", icon)] {
        let link = address.iter().map(|address| format!("<link rel={relation} href=\"{address}\">"));
        out.extend(link);
    }
    let info = &document["info"];
    put(
        &mut out,
        format_args!("</head><body class=manual><header><h1>Capstan {}</h1></header>", text(&info["version"])),
    );
    put(
        &mut out,
        format_args!("<p>{} As JSON: <a href=/api/openapi.json>/api/openapi.json</a>.", text(&info["description"])),
    );
    for tag in document["tags"].as_array().into_iter().flatten() {
        put(&mut out, format_args!("<h2>{}</h2>", text(&tag["description"])));
        for (path, item) in members(&document["paths"]) {
            // What HEAD does follows from GET.
            let of_item = members(item).filter(|(method, _)| !["head", "parameters"].contains(method));
            for (method, operation) in of_item.filter(|(_, operation)| operation["tags"][0] == tag["name"]) {
                let method = method.to_uppercase();
                put(&mut out, format_args!("<details><summary><code>{method} {}</code>", escape(path)));
                let role = operation["x-role"].as_str().map(|role| format!(" · {role}")).unwrap_or_default();
                put(&mut out, format_args!(" {}{role}</summary>", text(&operation["summary"])));
                route(&mut out, item, operation);
                out += "</details>";
            }
        }
    }
    out + "</body></html>"
}

fn route(out: &mut String, item: &Value, operation: &Value) {
    let all = [item, operation].into_iter().filter_map(|it| it["parameters"].as_array()).flatten();
    // Conditions on bytes are said once, in the text.
    let parameters: Vec<_> = all.filter(|it| it["name"].is_string()).collect();
    if !parameters.is_empty() {
        *out += "<table><tr><th>parameter<th>in<th>form<th></tr>";
        for it in parameters {
            let (name, place, about) = (text(&it["name"]), text(&it["in"]), text(&it["description"]));
            let needed = if it["required"] == true { "" } else { "?" };
            let form = escape(&form(&it["schema"]));
            put(out, format_args!("<tr><td><code>{name}{needed}</code><td>{place}<td>{form}<td>{about}</tr>"));
        }
        *out += "</table>";
    }
    if let Some((kind, media)) = members(&operation["requestBody"]["content"]).next() {
        put(out, format_args!("<p>Takes {}:<pre>{}</pre>", escape(kind), escape(&form(&media["schema"]))));
    }
    *out += "<table><tr><th>status<th>type<th></tr>";
    for (status, reply) in members(&operation["responses"]) {
        let kinds: Vec<_> = members(&reply["content"]).map(|(kind, _)| escape(kind)).collect();
        let (kinds, about) = (kinds.join(", "), text(&reply["description"]));
        put(out, format_args!("<tr><td>{}<td>{kinds}<td>{about}</tr>", escape(status)));
    }
    *out += "</table>";
    let shape = &operation["responses"]["200"]["content"]["application/json"]["schema"];
    if !shape.is_null() {
        put(out, format_args!("<pre>{}</pre>", escape(&form(shape))));
    }
}

/// A schema in the words of `docs/api.md`.
fn form(schema: &Value) -> String {
    let words = |values: &[Value]| values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" | ");
    if let Some(choices) = schema["anyOf"].as_array() {
        return choices.iter().map(form).collect::<Vec<_>>().join(" | ");
    }
    if let Some(choices) = schema["enum"].as_array() {
        return words(choices);
    }
    match schema["type"].as_str().unwrap_or_default() {
        "array" => format!("[{}, …]", form(&schema["items"])),
        "object" if schema["properties"].is_object() => {
            let needed = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|it| it == name));
            let fields = members(&schema["properties"]).map(|(name, inner)| {
                let mark = if needed(name) { "" } else { "?" };
                format!("\n{name}{mark}: {}", form(inner)).replace('\n', "\n  ")
            });
            format!("{{{}\n}}", fields.collect::<String>())
        }
        "object" if schema["additionalProperties"].is_object() => {
            format!("{{name: {}, …}}", form(&schema["additionalProperties"]))
        }
        "object" => "{…}".into(),
        kind => match (&schema["format"], &schema["pattern"], &schema["minimum"], &schema["maximum"]) {
            (Value::String(format), ..) => format.clone(),
            (_, Value::String(pattern), ..) => pattern.clone(),
            (.., low, high) if !high.is_null() => format!("{low} to {high}"),
            _ => kind.into(),
        },
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter).map(|(name, value)| (name.as_str(), value))
}

/// What stands between backticks is code.
fn text(value: &Value) -> String {
    let pieces = value.as_str().unwrap_or_default().split('`').enumerate();
    let marked = |(i, piece): (usize, &str)| match i % 2 {
        0 => escape(piece),
        _ => format!("<code>{}</code>", escape(piece)),
    };
    pieces.map(marked).collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Writing into a string cannot fail.
fn put(out: &mut String, what: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::web::{routes::ROUTES, shape::Shape};

    #[test]
    fn the_page_names_every_route_and_carries_nothing_inline() {
        let page = render(&DOCUMENT, &["/assets/index.css", "/assets/icon.svg"].map(|it| Some(it.to_owned())));
        for entry in ROUTES {
            for (verb, ..) in entry.operations() {
                assert!(page.contains(&format!("<code>{} {}</code>", verb.name(), entry.path)), "{}", entry.path);
            }
        }
        for forbidden in ["<style", "style=", "<script", "http://", "https://"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn what_the_document_says_is_text_and_never_markup() {
        let operation = json!({"tags": ["t"], "summary": "<b>\"& `<s>`", "responses": {"<i>": {}}});
        let page = render(&json!({"tags": [{"name": "t"}], "paths": {"/<u>": {"get": operation}}}), &[None, None]);
        assert!(
            page.contains("&lt;b&gt;&quot;&amp; <code>&lt;s&gt;</code>")
                && page.contains("/&lt;u&gt;")
                && page.contains("&lt;i&gt;")
        );
        for markup in ["<b>", "<u>", "<i>", "<s>"] {
            assert!(!page.contains(markup), "{markup}");
        }
    }

    #[test]
    fn schemas_as_people_write_shapes() {
        let check = |shape: Shape, expected: &str| assert_eq!(form(&shape.schema()), expected);
        check(Shape::Word(&["a", "b"]), "a | b");
        check(Shape::Moment, "date-time | number");
        check(Shape::Between(0, 23), "0 to 23");
        check(Shape::Maybe(&Shape::Time), "date-time | null");
        check(Shape::Map(&Shape::Flag), "{name: boolean, …}");
        const INNER: Shape = Shape::Fields(&[("b?", Shape::Text)]);
        check(Shape::List(&INNER), "[{\n  b?: string\n}, …]");
    }
}
