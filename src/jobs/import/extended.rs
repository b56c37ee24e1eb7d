//! MongoDB's extended JSON, as `mongoexport` writes it: `{"$date": …}`, `{"$oid": …}`, `{"$numberLong": …}`.
use jiff::Timestamp;
use serde_json::{Map, Number, Value};

/// Whether a text may contain extended JSON.
pub(super) fn may_hold(text: &str) -> bool {
    text.contains("\"$")
}

/// Replaces extended values by plain ones at every level. Invalid ones are not changed.
pub(super) fn plain(value: Value) -> Value {
    match value {
        Value::Object(object) => match scalar(&object) {
            Some(scalar) => scalar,
            None => Value::Object(object.into_iter().map(|(key, value)| (key, plain(value))).collect()),
        },
        Value::Array(values) => Value::Array(values.into_iter().map(plain).collect()),
        other => other,
    }
}

fn scalar(object: &Map<String, Value>) -> Option<Value> {
    let mut entries = object.iter();
    let (Some((key, value)), None) = (entries.next(), entries.next()) else { return None };
    match key.as_str() {
        "$date" => date(value).map(|at| Value::String(at.to_string())),
        "$oid" | "$uuid" | "$symbol" | "$numberDecimal" => value.as_str().map(|text| Value::String(text.to_owned())),
        "$numberLong" | "$numberInt" => integer(value).map(Value::from),
        "$numberDouble" => value.as_str()?.parse().ok().and_then(Number::from_f64).map(Value::Number),
        _ => None,
    }
}

/// The instant of a `$date`: a text, or milliseconds since 1970 as a number or a `$numberLong`.
fn date(value: &Value) -> Option<Timestamp> {
    let millis = match value {
        Value::String(text) => return text.trim().parse().ok(),
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|float| float as i64)),
        Value::Object(object) => integer(object.get("$numberLong")?),
        _ => None,
    };
    Timestamp::from_millisecond(millis?).ok()
}

fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// When an object id was created: its first four bytes are seconds since 1970.
pub(super) fn created_at(object_id: &str) -> Option<Timestamp> {
    let is_id = object_id.len() == 24 && object_id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let seconds = is_id.then(|| i64::from_str_radix(&object_id[..8], 16).ok()).flatten()?;
    // An id of zeros, or one created in another way, has no time.
    (seconds > 1_000_000_000).then(|| Timestamp::from_second(seconds).ok()).flatten()
}
