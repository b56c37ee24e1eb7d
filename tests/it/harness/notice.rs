//! A builder for the body of a notification, valid unless a test changes it.
use std::fmt;

use serde_json::{Map, Value, json};

/// A link to a port without a listener.
pub const NOWHERE: &str = "http://127.0.0.1:9/x";

/// A body with its keys in the portal's order.
#[derive(Clone, Debug)]
pub struct Notice(Map<String, Value>);

impl Notice {
    /// The required fields: a name, a reference date, and a link, which leads nowhere.
    pub fn new(name: impl Into<String>) -> Self {
        let body = json!({ "nome": name.into(), "dataProduto": "09/05/2025", "url": NOWHERE });
        Self(body.as_object().expect("an object").clone())
    }

    /// The same with all that the portal sends.
    pub fn full(name: impl Into<String>) -> Self {
        let body = json!({
            "nome": name.into(), "processo": "Acompanhamento", "dataProduto": "09/05/2025",
            "macroProcesso": "Programação", "periodicidade": "2025-05-09T00:00:00",
            "periodicidadeFinal": "2025-05-09T23:59:59", "url": format!("{NOWHERE}?token=a.b.c"),
        });
        Self(body.as_object().expect("an object").clone())
    }

    /// `dataProduto`.
    pub fn reference(self, date: impl Into<String>) -> Self {
        self.with("dataProduto", date.into())
    }

    /// `periodicidade` and `periodicidadeFinal`.
    pub fn period(self, start: impl Into<String>, end: impl Into<String>) -> Self {
        self.with("periodicidade", start.into()).with("periodicidadeFinal", end.into())
    }

    pub fn link(self, url: impl Into<String>) -> Self {
        self.with("url", url.into())
    }

    /// Any key, known or not.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    pub fn without(mut self, keys: &[&str]) -> Self {
        self.0.retain(|key, _| !keys.contains(&key.as_str()));
        self
    }

    pub fn json(&self) -> Value {
        Value::Object(self.0.clone())
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.json().fmt(f)
    }
}

/// A body as a URL-encoded form.
pub fn form(body: &Value) -> Vec<u8> {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (key, value) in body.as_object().expect("an object") {
        form.append_pair(key, value.as_str().expect("a text"));
    }
    form.finish().into_bytes()
}
