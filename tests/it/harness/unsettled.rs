//! What a service has left to do, read from outside of it: its own connections belong to the runtime of the test, which does
//! not run while a value is dropped.
use acervo::app::App;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use secrecy::ExposeSecret;

/// Notifications that are queued, leased or to be tried again.
const OPEN: &str = "SELECT COUNT(*) FROM notifications WHERE next_attempt_at IS NOT NULL OR lease_until IS NOT NULL";

/// The number of the last change.
const HEAD: &str = "SELECT COALESCE(MAX(number), 0) FROM changes";

/// What is left to do, in words; nothing where all is settled.
pub fn work(app: &App) -> Vec<String> {
    let settings = &app.settings;
    let file = || format!("sqlite://{}?mode=ro", settings.data_dir.join("acervo.db").display());
    let url = settings.database_url.as_ref().map_or_else(file, |url| url.expose_secret().to_owned());
    let counted = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let connection = Database::connect(url).await.expect("the database");
            let counted = (count(&connection, OPEN).await, count(&connection, HEAD).await);
            connection.close().await.expect("a closed connection");
            counted
        })
    });
    let (open, head) = counted.join().expect("the database can be read");
    let indexed = acervo::leaves::index(app).position().map_or(0, |position| position.feed);
    let mut left = Vec::new();
    if open > 0 {
        left.push(format!("{open} notifications are not settled"));
    }
    if indexed < head {
        left.push(format!("{} changes are not indexed", head - indexed));
    }
    left
}

async fn count(connection: &DatabaseConnection, sql: &str) -> i64 {
    let statement = sea_orm::Statement::from_string(connection.get_database_backend(), sql);
    let row = connection.query_one_raw(statement).await.expect("a response");
    row.expect("a row").try_get_by_index(0).expect("a number")
}
