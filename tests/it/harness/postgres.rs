//! The PostgreSQL server of the suite: one for all tests, started by the first that needs it, with a database for each.
use std::sync::OnceLock;

use sea_orm::{ConnectionTrait, Database};

use super::Db;
use super::cluster::Server;

/// The address of a new database; `None` where the test is to use SQLite.
pub fn database(db: Db) -> Option<String> {
    match db {
        Db::Sqlite => None,
        Db::Postgres => Some(new_database()),
    }
}

/// The address of a new, empty PostgreSQL database.
pub fn new_database() -> String {
    static SERVER: OnceLock<Server> = OnceLock::new();
    let server = SERVER.get_or_init(|| Server::start(false));
    let name = format!("t{}", uuid::Uuid::now_v7().simple());
    let create = format!("CREATE DATABASE {name}");
    let admin = server.address("postgres");
    // On a separate runtime: the connection must not outlive the caller's.
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
    server.address(&name)
}
