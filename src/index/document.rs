//! The values that are indexed, and how they become documents.
use std::collections::BTreeSet;

use jiff::Timestamp;
use tantivy::TantivyDocument;
use uuid::Uuid;

use super::calendar;
use super::schema::{Fields, Flag};
use crate::domain::{
    Digest, Granularity, Period, ProductId, PublicationId, PublicationStatus, RevisionId, dates_in_name, fold, millis,
    stem, words,
};

/// A product with its searchable values.
#[derive(Clone, Debug)]
pub struct Product {
    pub id: ProductId,
    pub name: String,
    pub aliases: Vec<String>,
    pub process: String,
    pub macro_process: String,
    pub list_path: Option<String>,
    pub last_period_end: Option<i64>,
    pub size: i64,
}

/// A publication with all its revisions.
#[derive(Clone, Debug)]
pub struct Publication {
    pub id: PublicationId,
    pub product_id: ProductId,
    pub name: String,
    pub aliases: Vec<String>,
    pub process: String,
    pub macro_process: String,
    pub reference_date: String,
    pub period: Period,
    pub granularity: Granularity,
    pub status: PublicationStatus,
    pub received_at: Timestamp,
    pub latest: Option<RevisionId>,
    pub revision_count: i64,
    pub revisions: Vec<Revision>,
}

#[derive(Clone, Debug)]
pub struct Revision {
    pub id: RevisionId,
    pub digest: Digest,
    pub file_name: String,
    pub extension: Option<String>,
    pub member_names: Vec<String>,
    pub size: i64,
    pub stored_size: i64,
    pub received_at: Timestamp,
    pub archived_at: Timestamp,
    pub superseded_at: Option<Timestamp>,
    pub purged: bool,
}

/// The term of an id.
pub(super) fn term(id: Uuid) -> String {
    id.simple().to_string()
}

struct Builder<'a> {
    fields: &'a Fields,
    doc: TantivyDocument,
    words: Vec<String>,
    dates: BTreeSet<String>,
}

impl Builder<'_> {
    fn flag(&mut self, flag: Flag) {
        self.doc.add_text(self.fields.flags, flag.as_str());
    }

    fn id(&mut self, id: Uuid) {
        let (high, low) = id.as_u64_pair();
        self.doc.add_u64(self.fields.id_high, high);
        self.doc.add_u64(self.fields.id_low, low);
    }

    fn names(&mut self, name: &str, aliases: &[String]) {
        let folded = fold(name);
        self.doc.add_text(self.fields.name_sort, &folded);
        let mut all: Vec<String> = aliases.iter().map(|alias| fold(alias)).chain([folded]).collect();
        all.sort();
        all.dedup();
        for name in all {
            self.named(&name);
            self.doc.add_text(self.fields.name, &name);
        }
    }

    fn processes(&mut self, process: &str, macro_process: &str) {
        self.doc.add_text(self.fields.process, fold(process));
        self.doc.add_text(self.fields.macro_process, fold(macro_process));
        self.doc.add_text(self.fields.process_unfolded, process);
        self.doc.add_text(self.fields.macro_process_unfolded, macro_process);
        self.words.extend(words(process));
        self.words.extend(words(macro_process));
    }

    /// The words and dates of a name.
    fn named(&mut self, name: &str) {
        self.words.extend(words(name));
        self.dated(name);
    }

    fn dated(&mut self, name: &str) {
        for date in dates_in_name(&fold(name)) {
            self.dates.extend([date.term(), date.month_term()]);
        }
    }

    fn build(mut self) -> TantivyDocument {
        for date in &self.dates {
            self.doc.add_text(self.fields.dates, date);
        }
        let stems: Vec<String> = self.words.iter().map(|word| stem(word)).collect();
        self.doc.add_text(self.fields.stems, stems.join(" "));
        self.doc.add_text(self.fields.text, self.words.join(" "));
        self.doc
    }
}

impl Product {
    /// The term of the product's own document. Publications have the product's id as well, so this one is put into the field
    /// `revision`.
    pub(super) fn own_term(&self) -> String {
        format!("product:{}", term(self.id.0))
    }

    pub(super) fn document(&self, fields: &Fields) -> TantivyDocument {
        let mut builder = Builder { fields, doc: TantivyDocument::new(), words: Vec::new(), dates: BTreeSet::new() };
        builder.flag(Flag::Product);
        builder.doc.add_text(fields.product, term(self.id.0));
        builder.doc.add_text(fields.revision, self.own_term());
        builder.id(self.id.0);
        builder.names(&self.name, &self.aliases);
        builder.processes(&self.process, &self.macro_process);
        if let Some(path) = &self.list_path {
            builder.doc.add_text(fields.list_path, fold(path));
        }
        // With these values every document has the columns, which tantivy then reads without an index of gaps.
        if let Some(end) = self.last_period_end {
            builder.doc.add_i64(fields.period_start, end);
            builder.doc.add_i64(fields.period_end, end);
        }
        builder.doc.add_i64(fields.revision_count, 0);
        builder.doc.add_u64(fields.revision_high, 0);
        builder.doc.add_u64(fields.revision_low, 0);
        builder.doc.add_u64(fields.digest_high, 0);
        builder.doc.add_i64(fields.size, self.size);
        builder.build()
    }
}

impl Publication {
    pub(super) fn documents(&self, fields: &Fields) -> Vec<TantivyDocument> {
        if self.revisions.is_empty() {
            return vec![self.document(fields, None)];
        }
        self.revisions.iter().map(|revision| self.document(fields, Some(revision))).collect()
    }

    fn document(&self, fields: &Fields, revision: Option<&Revision>) -> TantivyDocument {
        let mut builder = Builder { fields, doc: TantivyDocument::new(), words: Vec::new(), dates: BTreeSet::new() };
        builder.doc.add_text(fields.publication, term(self.id.0));
        builder.doc.add_text(fields.product, term(self.product_id.0));
        builder.id(self.id.0);
        builder.names(&self.name, &self.aliases);
        builder.processes(&self.process, &self.macro_process);
        builder.doc.add_text(fields.reference_date, fold(&self.reference_date));
        builder.doc.add_text(fields.granularity, self.granularity.as_str());
        builder.dated(&self.reference_date);
        builder.dates.extend(calendar::days_of(self.period));
        for term in calendar::of(self.period) {
            builder.doc.add_text(fields.calendar, term);
        }
        builder.doc.add_i64(fields.period_start, self.period.start.as_number());
        builder.doc.add_i64(fields.period_end, self.period.end.as_number());
        builder.doc.add_i64(fields.revision_count, self.revision_count);
        if revision.map(|revision| revision.id) == self.latest {
            builder.flag(Flag::Current);
        }
        match revision {
            Some(revision) => revision.add_to(&mut builder),
            None => {
                builder.doc.add_text(fields.status, self.status.as_str());
                builder.doc.add_i64(fields.received_at, millis(self.received_at));
                builder.doc.add_u64(fields.revision_high, 0);
                builder.doc.add_u64(fields.revision_low, 0);
                builder.doc.add_u64(fields.digest_high, 0);
            }
        }
        builder.build()
    }
}

impl Revision {
    fn add_to(&self, builder: &mut Builder<'_>) {
        let fields = builder.fields;
        builder.flag(Flag::Revision);
        let (high, low) = self.id.0.as_u64_pair();
        let doc = &mut builder.doc;
        doc.add_text(fields.revision, term(self.id.0));
        doc.add_u64(fields.revision_high, high);
        doc.add_u64(fields.revision_low, low);
        doc.add_u64(fields.digest_high, super::contents::high_of(self.digest));
        let status = if self.purged { PublicationStatus::Purged } else { PublicationStatus::Archived };
        doc.add_text(fields.status, status.as_str());
        doc.add_text(fields.file_name, fold(&self.file_name));
        if let Some(extension) = &self.extension {
            doc.add_text(fields.extension, extension);
        }
        doc.add_i64(fields.received_at, millis(self.received_at));
        doc.add_i64(fields.archived_at, millis(self.archived_at));
        doc.add_i64(fields.superseded_at, self.superseded_at.map_or(i64::MAX, millis));
        doc.add_i64(fields.size, self.size);
        doc.add_i64(fields.stored_size, self.stored_size);
        builder.named(&self.file_name);
        for name in &self.member_names {
            builder.dated(name);
            builder.doc.add_text(fields.member, fold(name));
        }
        let mut members: Vec<String> = self.member_names.iter().flat_map(|name| words(name)).collect();
        members.sort();
        members.dedup();
        builder.words.append(&mut members);
    }
}
