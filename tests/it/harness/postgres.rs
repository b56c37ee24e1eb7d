//! The tests' PostgreSQL, started when first asked for.
use std::sync::OnceLock;

use sea_orm::{ConnectionTrait, Database};

use super::Db;
use super::cluster::Server;

/// The server, or why there is none: an error where `ACERVO_TEST_POSTGRES=required`, else a line.
pub fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(start).as_ref()
}

/// A new database's address; `None` where the test is to use SQLite.
pub fn database(db: Db) -> Option<String> {
    if db == Db::Sqlite {
        return None;
    }
    let server = server().expect("a PostgreSQL server");
    let name = format!("t{}", uuid::Uuid::now_v7().simple());
    let create = format!("CREATE DATABASE {name}");
    let admin = server.address("postgres");
    // A runtime of its own: the connection must not outlive the caller's.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let connection = Database::connect(admin).await.expect("the server's own database");
            connection.execute_unprepared(&create).await.expect("a new database");
            connection.close().await.expect("a closed connection");
        });
    })
    .join()
    .expect("a new database");
    Some(server.address(&name))
}

fn start() -> Option<Server> {
    let required = std::env::var("ACERVO_TEST_POSTGRES").is_ok_and(|value| value == "required");
    let server = Server::start();
    if server.is_none() {
        assert!(!required, "PostgreSQL is required and not installed");
        eprintln!("skipped on PostgreSQL: it is not installed");
    }
    server
}
