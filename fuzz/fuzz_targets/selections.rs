//! GraphQL documents with fragments, aliases, repeated selections and conditions: the writer of rows, the field resolvers and a
//! direct implementation of the specification give the same result.
#![no_main]
use std::sync::OnceLock;

use acervo::app::{App, Role};
use acervo::config::{self, Overrides};
use acervo::graphql::{Caller, CheckedSchema, FieldByField, TakesJson, to_json};
use acervo::query::{Flat, PublicationRow, Queries, RevisionRow, StatsRow};
use acervo::leaves::record::Notification;
use async_graphql::{Executor, Request, Variables};
use drawn::{Drawn, Types};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

#[path = "../../tests/it/merging/drawn.rs"]
mod drawn;
#[path = "../../benches/common/history.rs"]
mod history;

struct Service {
    runtime: Runtime,
    schema: CheckedSchema,
    types: Types,
    data: Value,
    _folder: tempfile::TempDir,
}

impl Service {
    fn start() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let values = vec![
            ("data_dir".to_owned(), folder.path().display().to_string()),
            ("api.token".to_owned(), "chave".to_owned()),
        ];
        let settings = config::load(&Overrides { config: None, values }, &|_| None).expect("sound settings");
        let schema = runtime.block_on(async {
            let app = App::open(settings, Role::Server, Default::default()).await.expect("an archive");
            history::fill(&folder.path().join("acervo.db"), &history::products(3), 12).await;
            assert!(acervo::jobs::rebuild(&app, &|_, _| {}).await.expect("an index"));
            acervo::graphql::schema(&app, &Queries::new(app.clone()))
        });
        let names = [names::<PublicationRow>(), names::<RevisionRow>(), names::<Notification>(), names::<StatsRow>()];
        let mut service =
            Self { runtime, schema, types: Types::new(names), data: Value::Null, _folder: folder };
        let all = service.answer(request(&service.types.everything(), &json!({})).data(FieldByField));
        assert!(all["data"]["publications"]["nodes"].as_array().is_some_and(|rows| !rows.is_empty()), "{all}");
        service.data = all["data"].clone();
        service
    }

    fn answer(&self, request: Request) -> Value {
        let answer = self.runtime.block_on(self.schema.execute(request));
        let json = to_json(&answer).expect("JSON");
        let read: Value = serde_json::from_slice(&json).expect("JSON");
        assert_eq!(read.to_string().len(), json.len(), "a name is written twice: {read}");
        read
    }
}

fn names<Row: Flat>() -> Vec<&'static str> {
    // Of a notification the two ids are in the exports alone.
    let is_shown = |name: &&str| Row::column("attempts").is_none() || !["publicationId", "revisionId"].contains(name);
    Row::COLUMNS.iter().map(|column| column.name).filter(is_shown).collect()
}

fn request(text: &str, variables: &Value) -> Request {
    let caller = Caller { may_operate: true, may_administer: true, name: "fuzz".into() };
    Request::new(text).variables(Variables::from_json(variables.clone())).data(caller)
}

static SERVICE: OnceLock<Service> = OnceLock::new();

fuzz_target!(|data: &[u8]| {
    let service = SERVICE.get_or_init(Service::start);
    let drawn = Drawn::new(&service.types, data);
    let (text, variables) = (drawn.text(), drawn.variables());
    let slow = service.answer(request(&text, &variables).data(FieldByField));
    if slow["errors"][0]["extensions"]["code"] == "TOO_COMPLEX" || slow["errors"].to_string().contains("too ") {
        return;
    }
    assert_eq!(slow, json!({ "data": drawn.answer(&service.data) }), "field by field: {text}");
    assert_eq!(service.answer(request(&text, &variables).data(TakesJson)), slow, "written flat: {text}");
    assert_eq!(service.answer(request(&text, &variables)), slow, "as values: {text}");
});
