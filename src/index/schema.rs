//! The fields of a document.
use tantivy::schema::{FAST, Field, INDEXED, IndexRecordOption, STRING, Schema, TextFieldIndexing, TextOptions};

/// Incremented with every change to the fields or their content. An index of another version is rebuilt.
pub(super) const VERSION: u32 = 7;

/// The handles of the fields.
#[derive(Clone)]
pub(super) struct Fields {
    /// See [`Flag`].
    pub flags: Field,
    pub publication: Field,
    pub revision: Field,
    pub product: Field,
    /// The product's name and all its aliases, folded.
    pub name: Field,
    pub process: Field,
    pub macro_process: Field,
    pub file_name: Field,
    /// The paths of the zip's members, folded.
    pub member: Field,
    pub reference_date: Field,
    pub extension: Field,
    pub granularity: Field,
    pub status: Field,
    pub list_path: Field,
    /// Unfolded, for grouping.
    pub process_unfolded: Field,
    pub macro_process_unfolded: Field,
    /// The days of a short period, and the days and months that occur in names.
    pub dates: Field,
    /// All searchable words, folded.
    pub text: Field,
    /// The stems of these words.
    pub stems: Field,
    /// The id that breaks ties and is returned: of the publication, or in a product's document of the product.
    pub id_high: Field,
    pub id_low: Field,
    /// Zero if there is no revision.
    pub revision_high: Field,
    pub revision_low: Field,
    /// The first half of the bits of the file's digest; zero if there is no file.
    pub digest_high: Field,
    pub name_sort: Field,
    /// The months and years that the period overlaps.
    pub calendar: Field,
    /// Wall-clock seconds since 1970.
    pub period_start: Field,
    pub period_end: Field,
    /// Milliseconds since 1970.
    pub received_at: Field,
    pub archived_at: Field,
    /// `i64::MAX` for the latest revision.
    pub superseded_at: Field,
    pub size: Field,
    pub stored_size: Field,
    /// Number of revisions of the publication.
    pub revision_count: Field,
}

/// The kinds of a document; one can have several.
#[derive(Clone, Copy)]
pub(super) enum Flag {
    Product,
    /// Represents its publication at present.
    Current,
    /// Has a revision.
    Revision,
}

impl Flag {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Product => "product",
            Self::Current => "current",
            Self::Revision => "revision",
        }
    }
}

pub(super) fn build() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let words = TextFieldIndexing::default().set_tokenizer("whitespace").set_index_option(IndexRecordOption::WithFreqs);
    let fields = Fields {
        flags: schema.add_text_field("flags", STRING),
        publication: schema.add_text_field("publication", STRING),
        revision: schema.add_text_field("revision", STRING),
        product: schema.add_text_field("product", STRING | FAST),
        name: schema.add_text_field("name", STRING),
        process: schema.add_text_field("process", STRING),
        macro_process: schema.add_text_field("macro_process", STRING),
        file_name: schema.add_text_field("file_name", STRING),
        member: schema.add_text_field("member", STRING),
        reference_date: schema.add_text_field("reference_date", STRING),
        extension: schema.add_text_field("extension", STRING | FAST),
        granularity: schema.add_text_field("granularity", STRING | FAST),
        status: schema.add_text_field("status", STRING | FAST),
        list_path: schema.add_text_field("list_path", STRING),
        process_unfolded: schema.add_text_field("process_unfolded", TextOptions::default().set_fast("raw")),
        macro_process_unfolded: schema.add_text_field("macro_process_unfolded", TextOptions::default().set_fast("raw")),
        dates: schema.add_text_field("dates", STRING),
        text: schema.add_text_field("text", TextOptions::default().set_indexing_options(words.clone())),
        stems: schema.add_text_field("stems", TextOptions::default().set_indexing_options(words)),
        id_high: schema.add_u64_field("id_high", FAST),
        id_low: schema.add_u64_field("id_low", FAST),
        revision_high: schema.add_u64_field("revision_high", FAST),
        revision_low: schema.add_u64_field("revision_low", FAST),
        digest_high: schema.add_u64_field("digest_high", FAST),
        name_sort: schema.add_text_field("name_sort", TextOptions::default().set_fast("raw")),
        calendar: schema.add_text_field("calendar", STRING),
        period_start: schema.add_i64_field("period_start", FAST | INDEXED),
        period_end: schema.add_i64_field("period_end", FAST | INDEXED),
        received_at: schema.add_i64_field("received_at", FAST | INDEXED),
        archived_at: schema.add_i64_field("archived_at", FAST | INDEXED),
        superseded_at: schema.add_i64_field("superseded_at", FAST | INDEXED),
        size: schema.add_i64_field("size", FAST),
        stored_size: schema.add_i64_field("stored_size", FAST),
        revision_count: schema.add_i64_field("revision_count", FAST),
    };
    (schema.build(), fields)
}
