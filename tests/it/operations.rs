//! The procedures of `docs/operations.md` that are more than a command of Acervo.
use std::path::Path;
use std::process::Command;

use crate::harness::process::{Served, acervo, free_port};
use crate::harness::samples::{product, zip};
use crate::harness::{portal, postgres};

const ROWS: &str = "{ publications(first: 50) { totalCount nodes { id name sha256 revisionNumber } } }";

/// The lines of a console that begin with one of these programs, in the order of the document.
fn lines(programs: &[&str]) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let text = std::fs::read_to_string(path).expect("the document");
    let commands = text.lines().filter_map(|line| line.strip_prefix("$ ")).map(str::to_owned);
    commands.filter(|command| programs.iter().any(|program| command.starts_with(program))).collect()
}

/// PostgreSQL's database and the archive, copied as the document says while notifications arrive, and restored as it says: the same
/// revisions, and every byte.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_backup_under_load_is_restored_as_the_document_says() {
    if std::env::var_os("ACERVO_TEST_POSTGRES").is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let (url, restored) = (postgres::new_database(), postgres::new_database());
    let data = at.join("data");
    let shell = |line: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(at).env("ACERVO_DATABASE_URL", &url).env("ACERVO_DATA_DIR", &data);
        let output = shell.env("RESTORED_DATABASE_URL", &restored).output().expect("a shell");
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let mut command = acervo(at);
    command.env("ACERVO_DATABASE_URL", &url);
    let served = tokio::task::block_in_place(|| Served::spawn(command, at.join("log.txt"), free_port(), "info"));
    let portal = portal(&format!("{}/webhook", served.url), Default::default()).await;
    for number in 1..=12 {
        let member = format!("dados {number}");
        portal.add(product(number, &format!("Deck {number}"), "deck.zip", zip(&[("A.DAT", member.as_bytes())])));
    }
    portal.enviar_tudo().await;
    served.settled(12).await;
    served.indexed().await;
    let before = served.query(ROWS).await;
    let commands = lines(&["pg_dump", "cp -a", "pg_restore", "mkdir"]);
    assert_eq!(commands.len(), 4, "{commands:?}");
    // The same products again while the copies are made: announcements that add nothing.
    let (_, ()) = tokio::join!(portal.enviar_tudo(), async {
        tokio::task::block_in_place(|| commands[..2].iter().for_each(|command| shell(command)));
    });
    drop(served);
    tokio::task::block_in_place(|| commands[2..].iter().for_each(|command| shell(command)));
    let mut command = acervo(at);
    command.env("ACERVO_DATABASE_URL", &restored).env("ACERVO_DATA_DIR", at.join("restored"));
    let second = tokio::task::block_in_place(|| Served::spawn(command, at.join("second.txt"), free_port(), "info"));
    second.indexed().await;
    let after = second.query(ROWS).await;
    assert_eq!(after, before);
    let mut verify = acervo(at);
    verify.env("ACERVO_DATABASE_URL", &restored).env("ACERVO_DATA_DIR", at.join("restored"));
    let output = tokio::task::block_in_place(|| verify.arg("verify").output().expect("a binary that starts"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
