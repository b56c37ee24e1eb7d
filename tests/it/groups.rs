//! Counts in groups, by every dimension, over an index whose segments lack values of some columns altogether.
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::{Duration, Instant};

use acervo::domain::{
    Granularity, LocalDateTime, Period, ProductId, PublicationId, PublicationStatus, RevisionId, TextMatch, fold,
    sao_paulo,
};
use acervo::leaves::index::{
    Bucket, Deadline, Dimension, FacetQuery, Filter, Groups, Index, IndexError, Order, Position, Product, Publication,
    Query, Revision, SearchIn, Target, Writer,
};
use jiff::Timestamp;
use jiff::civil::{Date, date};
use proptest::prelude::*;
use proptest::sample::subsequence;
use uuid::Uuid;

use crate::harness::polling::Polling;
use crate::harness::{Options, TestApp, process};

const DIMENSIONS: [Dimension; 12] = [
    Dimension::Product,
    Dimension::Process,
    Dimension::MacroProcess,
    Dimension::Status,
    Dimension::Extension,
    Dimension::Granularity,
    Dimension::Period(Bucket::Day),
    Dimension::Period(Bucket::Month),
    Dimension::Period(Bucket::Year),
    Dimension::Archived(Bucket::Day),
    Dimension::Archived(Bucket::Month),
    Dimension::Archived(Bucket::Year),
];

#[derive(Clone, Debug)]
enum Entry {
    Product(u128),
    Publication { id: u128, product: u128, start: Date, archived: Option<(i64, Option<String>)> },
}

/// Instants that are usual, at the calendar's edges, and around the epoch and changes of the clocks.
fn instants() -> impl Strategy<Value = i64> {
    prop_oneof![
        1_500_000_000_000i64..1_800_000_000_000,
        Just(Timestamp::MIN.as_second() * 1000),
        Just(Timestamp::MAX.as_second() * 1000),
        Just(0),
        -3i64..3,
        1_550_368_740_000i64..1_550_372_460_000,
    ]
}

fn days() -> impl Strategy<Value = Date> {
    prop_oneof![
        (2000i16..2030, 1i8..=12, 1i8..=28).prop_map(|(year, month, day)| date(year, month, day)),
        Just(date(1970, 1, 1)),
        Just(date(-9999, 1, 1)),
        Just(date(9999, 12, 31)),
        Just(date(1582, 10, 15)),
    ]
}

/// Few ids, so that later segments replace what earlier ones have, sometimes all of it.
fn entries() -> impl Strategy<Value = Entry> {
    let extension = prop_oneof![Just(None), Just(Some("zip".to_owned())), Just(Some("pdf".to_owned()))];
    let archived = prop_oneof![Just(None), (instants(), extension).prop_map(Some)];
    prop_oneof![
        1 => (1u128..4).prop_map(Entry::Product),
        4 => (10u128..30, 1u128..4, days(), archived)
            .prop_map(|(id, product, start, archived)| Entry::Publication { id, product, start, archived }),
    ]
}

fn segments() -> impl Strategy<Value = Vec<Vec<Entry>>> {
    proptest::collection::vec(proptest::collection::vec(entries(), 1..6), 1..6)
}

fn product(id: u128) -> Product {
    Product {
        id: ProductId(Uuid::from_u128(id)),
        name: format!("Produto {id}"),
        aliases: Vec::new(),
        process: String::new(),
        macro_process: String::new(),
        list_path: None,
        last_period_end: None,
        size: 0,
    }
}

fn publication(id: u128, product: u128, start: Date, archived: &Option<(i64, Option<String>)>) -> Publication {
    let revisions = archived.iter().map(|(at, extension)| Revision {
        id: RevisionId(Uuid::from_u128(id + 1000)),
        digest: acervo::domain::Digest::of(&id.to_be_bytes()),
        file_name: "a".to_owned(),
        extension: extension.clone(),
        member_names: Vec::new(),
        size: 7,
        stored_size: 5,
        received_at: Timestamp::UNIX_EPOCH,
        archived_at: Timestamp::from_millisecond(*at).expect("an instant"),
        superseded_at: None,
        purged: false,
    });
    let revisions: Vec<Revision> = revisions.collect();
    Publication {
        id: PublicationId(Uuid::from_u128(id)),
        product_id: ProductId(Uuid::from_u128(product)),
        name: format!("Produto {product}"),
        aliases: Vec::new(),
        process: format!("Processo {product}"),
        macro_process: String::new(),
        reference_date: "x".to_owned(),
        period: Period { start: LocalDateTime(start.at(0, 0, 0, 0)), end: LocalDateTime(start.at(23, 59, 59, 0)) },
        granularity: Granularity::Day,
        status: PublicationStatus::Awaited,
        received_at: Timestamp::UNIX_EPOCH,
        latest: revisions.first().map(|revision| revision.id),
        revision_count: i64::try_from(revisions.len()).expect("few"),
        revisions,
    }
}

fn bucket_of(day: Date, bucket: Bucket) -> String {
    let form = match bucket {
        Bucket::Day => "%Y-%m-%d",
        Bucket::Month => "%Y-%m",
        Bucket::Year => "%Y",
    };
    day.strftime(form).to_string()
}

fn naive(one: &Publication, dimension: Dimension) -> Option<String> {
    let latest = one.revisions.first();
    match dimension {
        Dimension::Product => Some(one.product_id.0.simple().to_string()),
        Dimension::Process => Some(one.process.clone()),
        Dimension::MacroProcess => Some(one.macro_process.clone()),
        Dimension::Status => Some(if latest.is_some() { "ARCHIVED" } else { "AWAITED" }.to_owned()),
        Dimension::Extension => latest?.extension.clone(),
        Dimension::Granularity => Some("DAY".to_owned()),
        Dimension::Period(bucket) => Some(bucket_of(one.period.start.0.date(), bucket)),
        Dimension::Archived(bucket) => Some(bucket_of(sao_paulo().to_datetime(latest?.archived_at).date(), bucket)),
    }
}

fn soon() -> Deadline {
    Deadline::at(Instant::now() + Duration::from_secs(60))
}

/// The number of publications of each group.
fn counted(groups: &Groups) -> BTreeMap<Vec<Option<String>>, u64> {
    let named = (0..groups.len()).map(|group| {
        let values = groups.value_indices(group).zip(&groups.values).map(|(index, values)| values[index].clone());
        (values.collect(), groups.sums(group).publications)
    });
    let all: BTreeMap<_, _> = named.collect();
    assert_eq!(all.len(), groups.len(), "a group is there once");
    all
}

/// A process that another test starts has the lock of the opening for the moment until it is the other program.
fn writer(index: &Index) -> Writer {
    let polling = Polling::start();
    loop {
        match index.writer() {
            Err(IndexError::InUse) => polling.pause_thread(|| "the index stays in use".to_owned()),
            opened => return opened.expect("a writer"),
        }
    }
}

/// An index with a segment for each list, and the publications that it has.
fn indexed(folder: &Path, segments: &[Vec<Entry>]) -> (Index, BTreeMap<u128, Publication>) {
    let index = Index::open(folder).expect("an index");
    let mut writer = writer(&index);
    let mut known = BTreeMap::new();
    for (number, entries) in (1..).zip(segments) {
        for entry in entries {
            match entry {
                Entry::Product(id) => writer.replace_product(&product(*id)).expect("space"),
                Entry::Publication { id, product, start, archived } => {
                    let one = publication(*id, *product, *start, archived);
                    writer.replace_publication(&one).expect("space");
                    known.insert(*id, one);
                }
            }
        }
        writer.commit(Position { feed: number, epoch: 0 }).expect("a commit");
    }
    (index, known)
}

fn check(segments: &[Vec<Entry>]) {
    let folder = tempfile::tempdir().expect("a folder");
    let (index, known) = indexed(folder.path(), segments);
    let by = |dimensions: &[Dimension]| {
        let mut expected: BTreeMap<Vec<Option<String>>, u64> = BTreeMap::new();
        for one in known.values() {
            *expected.entry(dimensions.iter().map(|dimension| naive(one, *dimension)).collect()).or_default() += 1;
        }
        let found = index.stats(None, SearchIn::Names, Filter::default(), dimensions, &soon()).expect("counts");
        assert_eq!(counted(&found), expected, "{dimensions:?}");
    };
    for dimension in DIMENSIONS {
        by(&[dimension]);
        by(&[Dimension::Status, dimension]);
    }
    by(&[Dimension::Archived(Bucket::Day), Dimension::Period(Bucket::Month), Dimension::Extension]);
}

proptest! {
    #![proptest_config(crate::harness::cases(60))]

    #[test]
    fn groups_are_counted_over_segments_that_lack_values(segments in segments()) {
        check(&segments);
    }
}

/// The values that may be chosen in each facet.
const FACETS: [(Dimension, [&str; 2]); 6] = [
    (Dimension::Product, ["00000000000000000000000000000001", "00000000000000000000000000000003"]),
    (Dimension::Process, ["Processo 2", "Processo 3"]),
    (Dimension::MacroProcess, ["", "Nenhum"]),
    (Dimension::Status, ["AWAITED", "ARCHIVED"]),
    (Dimension::Extension, ["zip", "pdf"]),
    (Dimension::Granularity, ["DAY", "WEEK"]),
];

fn chosen() -> impl Strategy<Value = [Vec<&'static str>; 6]> {
    let some = |at: usize| prop_oneof![3 => Just(Vec::new()), 2 => subsequence(FACETS[at].1.to_vec(), 1..=2)];
    [some(0), some(1), some(2), some(3), some(4), some(5)]
}

/// The filter that choosing these values means.
fn filter(chosen: &[Vec<&str>; 6]) -> Filter {
    let [product, process, macro_process, status, extension, granularity] =
        chosen.each_ref().map(|values| (!values.is_empty()).then_some(values));
    let texts = |values: &Vec<&str>| values.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let any = |values: &Vec<&str>| TextMatch { any_of: Some(texts(values)), ..TextMatch::default() };
    Filter {
        product_ids: product.map(|ids| ids.iter().map(|id| id.parse().expect("an id")).collect()),
        process: process.map(any),
        macro_process: macro_process.map(any),
        status: status.map(|all| all.iter().map(|one| one.parse().expect("a status")).collect()),
        extension: extension.map(texts),
        granularity: granularity.map(|all| all.iter().map(|one| one.parse().expect("a granularity")).collect()),
        ..Filter::default()
    }
}

/// Each value is counted as the search finds it when it is chosen instead of what is chosen in its own facet.
fn check_facets(index: &Index, chosen: &[Vec<&'static str>; 6], search: Option<&str>, as_of: Option<Timestamp>) {
    let facets = FACETS.iter().zip(chosen);
    let facets = facets.map(|((dimension, _), values)| (*dimension, values.iter().map(|text| fold(text)).collect()));
    let asked = FacetQuery {
        search: search.map(str::to_owned),
        search_in: SearchIn::Names,
        filter: Filter::default(),
        as_of,
        facets: facets.collect::<Vec<(Dimension, HashSet<String>)>>(),
    };
    let counted = index.facets(asked, &soon()).expect("facets");
    for (at, (dimension, _)) in FACETS.iter().enumerate() {
        let mut found = BTreeMap::new();
        for value in index.values(*dimension, &soon()).expect("values") {
            let mut instead: [Vec<&str>; 6] = chosen.clone();
            instead[at] = vec![&value];
            let query = Query {
                target: Target::Publications { as_of },
                search: search.map(str::to_owned),
                search_in: SearchIn::Names,
                scored: false,
                filter: filter(&instead),
                order: Order::Name,
                beyond: None,
                backwards: false,
                offset: 0,
                limit: 0,
            };
            let total = index.search(&query, &soon()).expect("hits").total as u64;
            found.extend((total > 0).then_some((value, total)));
        }
        assert_eq!(counted[at], found, "{dimension:?} of {chosen:?}, {search:?}, {as_of:?}");
    }
}

proptest! {
    #![proptest_config(crate::harness::cases(60))]

    #[test]
    fn facets_count_what_choosing_a_value_would_find(segments in segments(), chosen in chosen()) {
        let folder = tempfile::tempdir().expect("a folder");
        let (index, _) = indexed(folder.path(), &segments);
        let nothing: [Vec<&str>; 6] = Default::default();
        let at = Timestamp::from_second(1_600_000_000).expect("an instant");
        check_facets(&index, &nothing, None, None);
        check_facets(&index, &chosen, None, None);
        check_facets(&index, &chosen, Some("produto 2"), None);
        check_facets(&index, &chosen, None, Some(at));
    }
}

#[test]
fn segments_without_any_value_of_a_column_are_counted() {
    let awaited = |id| Entry::Publication { id, product: 1, start: date(2025, 2, 20), archived: None };
    let archived = |id| Entry::Publication {
        id,
        product: 1,
        start: date(2025, 2, 20),
        archived: Some((1_740_100_000_000, Some("zip".to_owned()))),
    };
    check(&[vec![awaited(10)]]);
    check(&[vec![Entry::Product(1)], vec![awaited(10), awaited(11)], vec![archived(12)]]);
    check(&[vec![Entry::Product(1)]]);
}

/// A first try of Acervo: imports an old log, whose links have expired, and queries a chart.
#[tokio::test]
async fn an_archive_without_a_file_has_its_charts() {
    let folder = std::sync::Arc::new(tempfile::tempdir().expect("a folder"));
    let log = folder.path().join("old.ndjson");
    let line = |n: u32| {
        let body = format!(
            r#"{{"nome": "Produto {n}", "dataProduto": "{:02}/05/2024", "url": "https://apps08.ons.org.br/ONS.Sintegre.Proxy/x{n}"}}"#,
            1 + n % 28
        );
        format!(r#"{{"receivedAt": "2024-05-{:02}T12:00:00Z", "body": {body}}}"#, 1 + n % 28)
    };
    std::fs::write(&log, (0..33).map(line).collect::<Vec<_>>().join("\n")).expect("a file");
    process::printed(folder.path(), &["import", "--create", log.to_str().expect("a path")]);
    let app = TestApp::with(Options { folder: Some(folder), ..Options::default() }).await;
    app.settled(33).await;
    for dimension in ["ARCHIVED_DAY", "ARCHIVED_MONTH", "PERIOD_DAY", "PERIOD_MONTH", "PERIOD_YEAR"] {
        let data =
            app.query(&format!("{{ publicationStats(groupBy: [{dimension}]) {{ bucket publications }} }}")).await;
        let rows = data["publicationStats"].as_array().expect("rows");
        let sum: i64 = rows.iter().filter_map(|row| row["publications"].as_i64()).sum();
        assert_eq!(sum, 33, "{dimension}: {data}");
    }
}
