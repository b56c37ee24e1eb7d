//! From the fields of a body to an announcement: what each field must be, and how unusual values are read.
//!
//! The reader is lenient, with warnings: the file of a rejected notification is lost when the link expires, and a wrong period
//! can be corrected later.
mod period;

use std::cell::OnceCell;

use super::notification::{Announcement, Identity, ParsedNotification, Rejection};
use super::text::{FIELD_CHARS_MAX, NAME_CHARS_MAX, clean, first_chars, indexable_prefix, is_blank};
use super::{Claims, Link, LinkError, Secrets, fold, json};

/// Longer reference dates are truncated; the longest real one has 23 characters.
const REFERENCE_DATE_CHARS_MAX: usize = 200;

/// Of a message, the longest part that repeats a value.
const EXCERPT_CHARS_MAX: usize = 60;

const WARNINGS_MAX: usize = 20;

/// Every link of a body is removed. Copies elsewhere in the body are searched for this many.
const LINKS_MAX: usize = 4;

/// A field's value as sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    /// Not a string: its JSON.
    Other(String),
}

#[derive(Default)]
struct Field {
    value: Option<Value>,
    /// The field was there and blank.
    is_blank: bool,
    /// The text as it is stored, once it was asked for.
    cleaned: OnceCell<String>,
}

impl Field {
    /// The text as sent; the JSON of what is not a text.
    fn text(&self) -> Option<&str> {
        match self.value.as_ref()? {
            Value::Text(text) | Value::Other(text) => Some(text),
        }
    }
}

/// Collects the known fields of a body.
#[derive(Default)]
pub(super) struct BodyReader {
    name: Field,
    process: Field,
    macro_process: Field,
    reference_date: Field,
    period_start: Field,
    period_end: Field,
    link: Field,
    /// Every value of a link field, and how it was read.
    links: Vec<(String, Result<Link, LinkError>)>,
    secrets: Secrets,
    warnings: Vec<String>,
    /// The body describes an existing file and has no link.
    has_file: bool,
}

impl BodyReader {
    /// A reader for a body that describes an existing file, and so has no link.
    pub fn of_file() -> Self {
        Self { has_file: true, ..Self::default() }
    }

    /// Takes a field, if its name, in any case, is a known one.
    pub fn take(&mut self, key: &str, value: Value) {
        let known = key.trim().to_ascii_lowercase();
        let (name, field) = match known.as_str() {
            "nome" => ("nome", &mut self.name),
            "processo" => ("processo", &mut self.process),
            "macroprocesso" => ("macroProcesso", &mut self.macro_process),
            "dataproduto" => ("dataProduto", &mut self.reference_date),
            "periodicidade" => ("periodicidade", &mut self.period_start),
            "periodicidadefinal" => ("periodicidadeFinal", &mut self.period_end),
            "url" | "uri" => ("url", &mut self.link),
            _ => return,
        };
        let is_blank = match &value {
            Value::Text(text) => is_blank(text),
            Value::Other(json) => json == "null",
        };
        if is_blank {
            field.is_blank = true;
            return;
        }
        if name == "url" {
            let text = match &value {
                Value::Text(text) | Value::Other(text) => text,
            };
            if self.links.len() < LINKS_MAX {
                self.links.push((text.trim().to_owned(), Link::parse(text)));
            }
        }
        let differs = field.value.as_ref().is_some_and(|before| *before != value);
        // A string is not replaced by a value of another type.
        if field.value.is_none() || matches!(value, Value::Text(_)) {
            field.value = Some(value);
        }
        if differs {
            self.warn(format!("`{name}` occurs more than once, with different values; used the last text"));
        }
    }

    pub fn warn(&mut self, warning: String) {
        if self.warnings.len() < WARNINGS_MAX && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// What must be redacted in this body. To be called after all fields are taken.
    pub fn find_secrets(&mut self) -> Secrets {
        let texts = self.links.iter().map(|(text, _)| text).filter(|text| text.len() > 5);
        let mut secrets = Secrets::new(texts.cloned());
        self.links.iter().filter_map(|(_, link)| link.as_ref().ok()).for_each(|link| secrets.add(link.secrets()));
        self.secrets = secrets.clone();
        secrets
    }

    pub fn into_notification(mut self, body: Vec<u8>, claims: Option<Claims>) -> ParsedNotification {
        let parsed = match &self.link.value {
            Some(Value::Text(text)) => Some(self.link_of(text)),
            Some(Value::Other(_)) => Some(Err(LinkError::NotAbsolute)),
            None => None,
        };
        let link = parsed.as_ref().and_then(|parsed| parsed.clone().ok());
        let claims = claims.or_else(|| link.as_ref().map(Link::claims)).unwrap_or_default();
        let stored = |reader: &Self, field: &Field, chars_max: usize| match &field.value {
            Some(Value::Text(_)) => Some(indexable_prefix(reader.cleaned_field(field), chars_max).to_owned()),
            _ => None,
        };
        ParsedNotification {
            name: stored(&self, &self.name, NAME_CHARS_MAX),
            process: stored(&self, &self.process, NAME_CHARS_MAX),
            macro_process: stored(&self, &self.macro_process, NAME_CHARS_MAX),
            reference_date: stored(&self, &self.reference_date, REFERENCE_DATE_CHARS_MAX),
            outcome: self.parse(parsed.as_ref().map(Result::as_ref), &claims),
            warnings: self.warnings,
            body,
            link,
            claims,
        }
    }

    fn parse(&mut self, link: Option<Result<&Link, &LinkError>>, claims: &Claims) -> Result<Announcement, Rejection> {
        let name = self.name()?;
        match link {
            Some(Ok(_)) => {}
            None if self.has_file => {}
            Some(Err(why)) => return Err(Rejection(why.to_string())),
            None => return reject("`url` (or `Uri`) is missing: the link to the file"),
        }
        let reference_date = self.reference_date()?;
        let period = self.period(reference_date.as_deref())?;
        let process = std::mem::take(&mut self.process);
        let macro_process = std::mem::take(&mut self.macro_process);
        Ok(Announcement {
            process: self.optional("processo", &process)?,
            macro_process: self.optional("macroProcesso", &macro_process)?,
            reference_date: reference_date.unwrap_or_else(|| period.reference_date()),
            period,
            identity: Identity::of(claims.list_path.as_deref(), &name),
            name,
        })
    }

    fn name(&mut self) -> Result<String, Rejection> {
        let field = std::mem::take(&mut self.name);
        match &field.value {
            Some(Value::Text(text)) if !fold(text).is_empty() => self.bounded("nome", &field, NAME_CHARS_MAX),
            Some(Value::Other(json)) => reject(&format!("`nome` is `{}`, not a text", self.short(json))),
            _ => reject("`nome` is missing: the product's name"),
        }
    }

    fn reference_date(&mut self) -> Result<Option<String>, Rejection> {
        let field = std::mem::take(&mut self.reference_date);
        match &field.value {
            None => Ok(None),
            Some(Value::Text(_)) => self.bounded("dataProduto", &field, REFERENCE_DATE_CHARS_MAX).map(Some),
            Some(Value::Other(json)) => {
                let value = self.short(json);
                if !self.has_period_start() {
                    return reject(&format!("`dataProduto` is `{value}`, not a text"));
                }
                self.warn(format!("`dataProduto` is `{value}`, not a text; wrote it from the period"));
                Ok(None)
            }
        }
    }

    /// A string that may be missing. A number or a boolean counts as its text; other values are ignored.
    fn optional(&mut self, name: &str, field: &Field) -> Result<String, Rejection> {
        match &field.value {
            None => Ok(String::new()),
            Some(Value::Text(_)) => self.bounded(name, field, NAME_CHARS_MAX),
            Some(Value::Other(json)) if json.starts_with(['{', '[']) => {
                self.warn(format!("`{name}` is `{}`, not a text; left it empty", self.short(json)));
                Ok(String::new())
            }
            Some(Value::Other(json)) => {
                self.warn(format!("`{name}` is `{}`, not a text; read it as one", self.short(json)));
                self.bounded(name, field, NAME_CHARS_MAX)
            }
        }
    }

    /// A text within its limits: truncated with a warning above `chars_max`, rejected above `FIELD_CHARS_MAX`.
    fn bounded(&mut self, name: &str, field: &Field, chars_max: usize) -> Result<String, Rejection> {
        let (text, cleaned) = (field.text().unwrap_or_default(), self.cleaned_field(field));
        let chars = cleaned.chars().count();
        if chars > FIELD_CHARS_MAX {
            return reject(&format!("`{name}` has {chars} characters; at most {FIELD_CHARS_MAX} are accepted"));
        }
        if text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
            self.warn(format!("`{name}` holds control characters; removed them"));
        }
        if text.contains(char::REPLACEMENT_CHARACTER) {
            self.warn(format!("`{name}` holds characters that could not be decoded; they are shown as U+FFFD"));
        }
        let cut = indexable_prefix(cleaned, chars_max);
        if cut.len() < cleaned.len() {
            self.warn(format!("`{name}` has {chars} characters; only the first {} are stored", cut.chars().count()));
        }
        Ok(cut.to_owned())
    }

    /// A text as it is stored: redacted and cleaned.
    fn cleaned(&self, text: &str) -> String {
        // Redacted first: a control character within a secret becomes a blank.
        clean(&self.secrets.redact(text).unwrap_or_else(|| text.to_owned()))
    }

    fn cleaned_field<'a>(&self, field: &'a Field) -> &'a str {
        field.cleaned.get_or_init(|| self.cleaned(field.text().unwrap_or_default()))
    }

    /// The link of a value that was taken.
    fn link_of(&self, text: &str) -> Result<Link, LinkError> {
        let taken = self.links.iter().find(|(taken, _)| taken == text.trim());
        taken.map_or_else(|| Link::parse(text), |(_, link)| link.clone())
    }

    /// A value as a message repeats it.
    fn short(&self, text: &str) -> String {
        first_chars(&self.cleaned(text), EXCERPT_CHARS_MAX).to_owned()
    }
}

/// Warns of the changes that made a body valid for every parser.
pub(super) fn warn_of_changes(reader: &mut BodyReader, changes: &json::Changes) {
    if changes.lone_surrogates {
        reader.warn("the body holds half of a surrogate pair (\\ud800 to \\udfff); it is shown as U+FFFD".to_owned());
    }
    if changes.too_deep {
        reader.warn("the body is nested too deeply; the values below are stored as text".to_owned());
    }
    for number in changes.numbers.iter().take(3) {
        reader.warn(format!(
            "the body holds the number {}, which is too large for common parsers; it is stored as text",
            first_chars(number, EXCERPT_CHARS_MAX)
        ));
    }
    for key in changes.repeated_keys.iter().take(3) {
        reader.warn(format!("the body has the key `{}` more than once", first_chars(key, EXCERPT_CHARS_MAX)));
    }
}

fn reject<T>(reason: &str) -> Result<T, Rejection> {
    Err(Rejection(reason.to_owned()))
}
