//! Values of columns as JSON: ids as text, digests in hexadecimal, bodies as the text that they are.
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sea_orm::sea_query::{ArrayType, Value};
use serde_json::{Value as Json, json};

use crate::engine::record::RecordError;

/// Whether the bytes of a column are text that was sent.
pub(super) fn is_text(column: &str) -> bool {
    column == "body"
}

pub(super) fn to_json(value: Value, is_text: bool) -> Result<Json, RecordError> {
    Ok(match value {
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::BigInt(value) => value.into(),
        Value::String(value) => value.into(),
        Value::Uuid(value) => value.map(|id| id.to_string()).into(),
        Value::Bytes(None) => Json::Null,
        Value::Bytes(Some(bytes)) if is_text => match String::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(e) => json!({ "base64": BASE64_STANDARD.encode(e.as_bytes()) }),
        },
        Value::Bytes(Some(bytes)) => hex::encode(bytes).into(),
        other => {
            return Err(RecordError::InvalidRow(format!(
                "a column of the type {:?} cannot be exported",
                other.array_type()
            )));
        }
    })
}

/// `None` if the JSON is not a value of that type.
pub(super) fn from_json(json: &Json, of: &ArrayType, is_text: bool) -> Option<Value> {
    let is_null = json.is_null();
    Some(match of {
        ArrayType::Bool => Value::Bool(unless(is_null, || json.as_bool())?),
        ArrayType::Int => Value::Int(unless(is_null, || json.as_i64()?.try_into().ok())?),
        ArrayType::BigInt => Value::BigInt(unless(is_null, || json.as_i64())?),
        ArrayType::String => Value::String(unless(is_null, || json.as_str().map(str::to_owned))?),
        ArrayType::Uuid => Value::Uuid(unless(is_null, || json.as_str()?.parse().ok())?),
        ArrayType::Bytes if is_text => Value::Bytes(unless(is_null, || match json.get("base64") {
            Some(encoded) => BASE64_STANDARD.decode(encoded.as_str()?).ok(),
            None => json.as_str().map(|text| text.as_bytes().to_vec()),
        })?),
        ArrayType::Bytes => Value::Bytes(unless(is_null, || hex::decode(json.as_str()?).ok())?),
        _ => return None,
    })
}

/// `Some(None)` for a null; otherwise `None` if there is no value.
fn unless<T>(is_null: bool, value: impl FnOnce() -> Option<T>) -> Option<Option<T>> {
    if is_null { Some(None) } else { value().map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_comes_back() {
        let values = [
            (Value::Bool(Some(true)), ArrayType::Bool, false),
            (Value::Int(Some(-3)), ArrayType::Int, false),
            (Value::BigInt(Some(i64::MAX)), ArrayType::BigInt, false),
            (Value::BigInt(None), ArrayType::BigInt, false),
            (Value::String(Some("Previsão \u{1F600}".to_owned())), ArrayType::String, false),
            (Value::Uuid(Some(uuid::Uuid::from_u128(7))), ArrayType::Uuid, false),
            (Value::Bytes(Some(vec![0, 255])), ArrayType::Bytes, false),
            (Value::Bytes(Some(b"{\"nome\": \"x\"}".to_vec())), ArrayType::Bytes, true),
            (Value::Bytes(Some(vec![0xff, 0, b'a'])), ArrayType::Bytes, true),
            (Value::Bytes(None), ArrayType::Bytes, true),
        ];
        for (value, of, is_text) in values {
            let json = to_json(value.clone(), is_text).expect("JSON");
            let line = serde_json::from_str(&json.to_string()).expect("a line");
            assert_eq!(from_json(&line, &of, is_text), Some(value), "{json}");
        }
        assert_eq!(from_json(&json!("x"), &ArrayType::BigInt, false), None);
        assert_eq!(from_json(&json!(1_i64 << 40), &ArrayType::Int, false), None);
        assert_eq!(from_json(&json!({ "base64": 1 }), &ArrayType::Bytes, true), None);
    }
}
