//! Requests with notifications as the portal sends them, rendered at almost no cost: a template in which digits and dates are
//! overwritten, inside the link's token as well.
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// What the notifications announce, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Each a new publication of one of 280 products.
    NewPublications,
    /// 6,000 publications again and again.
    KnownPublications,
    /// Each the first publication of a product.
    NewProducts,
}

impl Kind {
    /// The product, and the day of its publication.
    fn publication(self, n: u64) -> (u64, u64) {
        match self {
            Self::NewPublications => (n % 280, n / 280),
            Self::KnownPublications => (n % 200, n % 6_000 / 200),
            Self::NewProducts => (n % 1_000_000, n / 1_000_000),
        }
    }

    /// The number in the file's name: the same for the same publication.
    fn file(self, n: u64) -> u64 {
        if self == Self::KnownPublications { n % 6_000 } else { n }
    }
}

/// Days on which something is published, from 2000 on.
const DAYS: usize = 20_000;

const NAME: &str = "Arquivos dos modelos de previsão de vazões diárias - PDP";

/// What is overwritten, by its text in the template. Those that also occur in the token have a length that is a multiple of
/// three and such a position, so that they can be overwritten in base64.
const FIELDS: &[(&str, Field)] = &[
    ("PPPPPP", Field::Product),
    ("FFFFFFFFF", Field::File),
    ("SSSSSSSSS", Field::Serial),
    ("BBBBBBBBBB", Field::ReferenceDate),
    ("IIIIIIIIII", Field::Date),
];

#[derive(Clone, Copy)]
enum Field {
    Product,
    File,
    /// Makes each body distinct.
    Serial,
    ReferenceDate,
    Date,
}

#[derive(Clone, Copy)]
struct Slot {
    at: usize,
    field: Field,
    is_encoded: bool,
}

/// A request that is rendered again and again. Clones share the calendar.
#[derive(Clone)]
pub struct Template {
    kind: Kind,
    bytes: Vec<u8>,
    slots: Vec<Slot>,
    /// `2000-01-01` and `01/01/2000`, and so on.
    days: Rc<Vec<(String, String)>>,
}

impl Template {
    /// Links begin with `links`, such as `http://127.0.0.1:9`.
    pub fn new(kind: Kind, links: &str) -> Self {
        let now = jiff::Timestamp::now().as_second();
        let claims = format!(
            "{{\"URL\":\"https://sintegre.ons.org.br/sites/9/113/82/Produtos/PPPPPP/Modelos_Chuva_Vazao_FFFFFFFFF.txt\",\
             \"username\":\"usuario@example.com.br\",\"nomeProduto\":\"{NAME} PPPPPP\",\"IsFile\":\"True\",\
             \"iss\":\"http://local.ons.org.br\",\"aud\":\"http://local.ons.org.br\",\"exp\":{},\"nbf\":{}}}",
            now + 86_640,
            now - 1
        );
        let token = [r#"{"typ":"JWT","alg":"HS256"}"#, &claims, "SSSSSSSSS: assinatura de 32 bytes"]
            .map(|part| URL_SAFE_NO_PAD.encode(part))
            .join(".");
        let body = format!(
            "{{\"nome\": \"{NAME} PPPPPP\", \"processo\": \"Previsão de Vazões Diárias - PDP\", \"dataProduto\": \"BBBBBBBBBB\", \
             \"macroProcesso\": \"Programação da Operação\", \"periodicidade\": \"IIIIIIIIIIT00:00:00\", \
             \"periodicidadeFinal\": \"IIIIIIIIIIT23:59:59\", \"url\": \"{links}/ONS.Sintegre.Proxy/webhook?token={token}\"}}"
        );
        let bytes = super::common::post("/webhook", &body);
        let slots = FIELDS.iter().flat_map(|(text, field)| slots(&bytes, text, *field)).collect::<Vec<_>>();
        assert_eq!(slots.len(), 8, "a field is not where it can be overwritten");
        let first = jiff::civil::date(2000, 1, 1);
        let days = (0..DAYS as i64)
            .map(|n| first.saturating_add(jiff::Span::new().days(n)))
            .map(|day| (day.to_string(), day.strftime("%d/%m/%Y").to_string()))
            .collect();
        Self { kind, bytes, slots, days: Rc::new(days) }
    }

    /// The request with the `n`th notification.
    pub fn render(&mut self, n: u64) -> &[u8] {
        let (product, day) = self.kind.publication(n);
        let (date, reference_date) = &self.days[day as usize % DAYS];
        let (product, file, serial) = (digits::<6>(product), digits::<9>(self.kind.file(n)), digits::<9>(n));
        for slot in &self.slots {
            let value: &[u8] = match slot.field {
                Field::Product => &product,
                Field::File => &file,
                Field::Serial => &serial,
                Field::ReferenceDate => reference_date.as_bytes(),
                Field::Date => date.as_bytes(),
            };
            let target = &mut self.bytes[slot.at..];
            if slot.is_encoded {
                URL_SAFE_NO_PAD.encode_slice(value, target).expect("space in the token");
            } else {
                target[..value.len()].copy_from_slice(value);
            }
        }
        &self.bytes
    }
}

/// Where a field occurs, as text and in base64.
fn slots(bytes: &[u8], text: &str, field: Field) -> Vec<Slot> {
    [(text.to_owned(), false), (URL_SAFE_NO_PAD.encode(text), true)]
        .into_iter()
        .flat_map(|(wanted, is_encoded)| {
            let found: Vec<_> = memchr::memmem::find_iter(bytes, wanted.as_bytes()).collect();
            found.into_iter().map(move |at| Slot { at, field, is_encoded })
        })
        .collect()
}

fn digits<const LENGTH: usize>(mut n: u64) -> [u8; LENGTH] {
    let mut digits = [b'0'; LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (n % 10) as u8;
        n /= 10;
    }
    digits
}
