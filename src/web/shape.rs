//! The shapes of JSON in our own short words, and the schema each stands for (JSON Schema as in OpenAPI 3.1).

use serde_json::{Map, Value, json};

/// What a value looks like. Written as constants beside the routes.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    Text,
    /// A string of that pattern, of the whole.
    Like(&'static str),
    Word(&'static [&'static str]),
    /// RFC 3339, UTC.
    Time,
    /// RFC 3339 with any offset, or seconds since 1970: as requests may say it.
    Moment,
    /// `YYYY-MM-DD`.
    Date,
    /// An address of this daemon, from its root on.
    Link,
    /// A whole number, not negative.
    Count,
    Between(i64, i64),
    /// Not negative.
    Amount,
    /// With fractions.
    NumberBetween(i64, i64),
    Flag,
    /// One of these.
    Either(&'static [Self]),
    /// Or null.
    Maybe(&'static Self),
    List(&'static Self),
    /// An object of any names.
    Map(&'static Self),
    /// An object that tells what a part of the daemon knows of itself: for people, not promised.
    Open,
    /// `name?` may be absent.
    Fields(&'static [(&'static str, Self)]),
}

impl Shape {
    pub fn schema(self) -> Value {
        match self {
            Self::Text => json!({"type": "string"}),
            Self::Like(pattern) => json!({"type": "string", "pattern": pattern}),
            Self::Word(words) => json!({"type": "string", "enum": words}),
            Self::Time => json!({"type": "string", "format": "date-time"}),
            Self::Moment => json!({"anyOf": [Self::Time.schema(), Self::Amount.schema()]}),
            Self::Date => json!({"type": "string", "format": "date"}),
            Self::Link => json!({"type": "string", "format": "uri-reference"}),
            Self::Count => json!({"type": "integer", "minimum": 0}),
            Self::Between(low, high) => json!({"type": "integer", "minimum": low, "maximum": high}),
            Self::Amount => json!({"type": "number", "minimum": 0}),
            Self::NumberBetween(low, high) => json!({"type": "number", "minimum": low, "maximum": high}),
            Self::Flag => json!({"type": "boolean"}),
            Self::Either(shapes) => json!({"anyOf": shapes.iter().map(|shape| shape.schema()).collect::<Vec<_>>()}),
            Self::Maybe(inner) => json!({"anyOf": [inner.schema(), {"type": "null"}]}),
            Self::List(inner) => json!({"type": "array", "items": inner.schema()}),
            Self::Map(inner) => json!({"type": "object", "additionalProperties": inner.schema()}),
            Self::Open => json!({"type": "object", "additionalProperties": true}),
            Self::Fields(fields) => {
                let name = |field: &'static str| field.trim_end_matches('?');
                let properties: Map<_, _> =
                    fields.iter().map(|(field, shape)| (name(field).to_owned(), shape.schema())).collect();
                let required: Vec<_> = fields.iter().map(|(field, _)| *field).filter(|it| !it.ends_with('?')).collect();
                json!({"type": "object", "properties": properties, "required": required})
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_as_schemas() {
        let check = |shape: Shape, expected: Value| assert_eq!(shape.schema(), expected, "{shape:?}");
        check(Shape::Between(0, 23), json!({"type": "integer", "minimum": 0, "maximum": 23}));
        check(Shape::Maybe(&Shape::Text), json!({"anyOf": [{"type": "string"}, {"type": "null"}]}));
        check(
            Shape::Fields(&[("name", Shape::Text), ("device?", Shape::Text)]),
            json!({"type": "object", "required": ["name"],
                   "properties": {"name": {"type": "string"}, "device": {"type": "string"}}}),
        );
    }
}
