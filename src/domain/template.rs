//! Templates of messages, in the language of Jinja.
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, escape_formatter};
use serde_json::Value;

use super::sao_paulo;

/// The one template of an environment.
const NAME: &str = "template";

/// Steps of a template, and units of its output, at most: a loop that was not meant ends.
const FUEL: u64 = 500_000;

/// The longest text that a template makes.
const BYTES_MAX: usize = 256 << 10;

/// What a template makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateFormat {
    Text,
    /// Values are escaped as the inside of a JSON string needs it, and the result must be JSON.
    Json,
}

/// A template. A name that is not defined is an error when it is filled in.
#[derive(Clone)]
pub struct Template {
    environment: Arc<Environment<'static>>,
    format: TemplateFormat,
}

impl Template {
    pub fn parse(source: &str, format: TemplateFormat) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.add_filter("local", local);
        environment.add_filter("bytes", |bytes: u64| bytesize::ByteSize(bytes).to_string());
        match format {
            TemplateFormat::Text => environment.set_auto_escape_callback(|_| AutoEscape::None),
            TemplateFormat::Json => {
                environment.set_auto_escape_callback(|_| AutoEscape::Custom("json".into()));
                environment.set_formatter(write_in_json);
            }
        }
        environment.add_template_owned(NAME, source.to_owned()).map_err(|e| message(&e))?;
        Ok(Self { environment: Arc::new(environment), format })
    }

    pub fn render(&self, values: &Value) -> Result<String, String> {
        let template = self.environment.get_template(NAME).map_err(|e| message(&e))?;
        let text = template.render(minijinja::Value::from(Serde(values))).map_err(|e| message(&e))?;
        if text.len() > BYTES_MAX {
            return Err(format!("the template makes {} bytes; at most {BYTES_MAX} are sent", text.len()));
        }
        if self.format == TemplateFormat::Json {
            let parsed: Result<serde::de::IgnoredAny, _> = serde_json::from_str(&text);
            parsed.map_err(|e| format!("the template does not make valid JSON: {e}"))?;
        }
        Ok(text)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The source may contain a secret.
        write!(f, "Template({:?})", self.format)
    }
}

/// The error with its line. It names variables, and no values.
fn message(error: &Error) -> String {
    let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    let line = error.line().map(|line| format!("line {line}: ")).unwrap_or_default();
    format!("{line}{}{detail}", error.kind())
}

/// Writes a text as the inside of a JSON string, and anything else as JSON.
fn write_in_json(out: &mut Output, state: &mut State, value: &minijinja::Value) -> Result<(), Error> {
    if value.is_undefined() || value.is_safe() {
        return match value.is_undefined() {
            true => Err(ErrorKind::UndefinedError.into()),
            false => Ok(out.write_str(&value.to_string())?),
        };
    }
    let failed = |e: serde_json::Error| Error::new(ErrorKind::BadSerialization, e.to_string());
    if !matches!(state.auto_escape(), AutoEscape::Custom(_)) {
        return escape_formatter(out, state, value);
    }
    let json = serde_json::to_string(value).map_err(failed)?;
    let inside = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    Ok(out.write_str(inside.unwrap_or(&json))?)
}

/// An instant in São Paulo as `20/02/2025 14:05`, or the day of a local time as `20/02/2025`.
fn local(text: String) -> Result<String, Error> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(sao_paulo().to_datetime(at).strftime("%d/%m/%Y %H:%M").to_string());
    }
    match text.parse::<DateTime>() {
        Ok(at) => Ok(at.strftime("%d/%m/%Y").to_string()),
        Err(_) => Err(Error::new(ErrorKind::InvalidOperation, "`local` needs an instant or a local time")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Template, TemplateFormat};

    fn rendered(source: &str, format: TemplateFormat) -> Result<String, String> {
        let values = json!({ "name": "Deck \"A\"\nB", "at": "2025-02-20T17:05:00.000Z", "size": 2048, "no": null,
            "day": "2025-02-20T00:00:00", "list": ["a\"b", "c"] });
        Template::parse(source, format)?.render(&values)
    }

    #[test]
    fn values_are_escaped_inside_of_json() {
        let json = |source: &str| rendered(source, TemplateFormat::Json);
        assert_eq!(json(r#"{"text": "{{ name }}"}"#).as_deref(), Ok(r#"{"text": "Deck \"A\"\nB"}"#));
        assert_eq!(json(r#"{"n": {{ size }}, "no": {{ no|tojson }}}"#).as_deref(), Ok(r#"{"n": 2048, "no": null}"#));
        assert_eq!(json(r#"[{{ list|tojson }}]"#).as_deref(), Ok(r#"[["a\"b", "c"]]"#));
        let broken = json(r#"{"text": {{ name }}}"#).expect_err("an error");
        assert!(broken.contains("valid JSON"), "{broken}");
    }

    #[test]
    fn texts_show_times_of_sao_paulo() {
        let text = |source: &str| rendered(source, TemplateFormat::Text);
        assert_eq!(
            text("{{ at|local }} {{ day|local }} {{ size|bytes }}").as_deref(),
            Ok("20/02/2025 14:05 20/02/2025 2.0 KiB")
        );
        assert_eq!(text("{{ name }}").as_deref(), Ok("Deck \"A\"\nB"));
        for wrong in ["{{ nome }}", "{{ name", "{{ name|local }}", "{% for i in range(1000000) %}x{% endfor %}"] {
            let error = text(wrong).expect_err("an error");
            assert!(!error.contains("Deck"), "{error}");
        }
    }
}
