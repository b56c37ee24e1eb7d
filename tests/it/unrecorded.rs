use std::path::{Path, PathBuf};
use std::process::Command;

use acervo::domain::{Digest, Encoding, StoredFile, timestamp};
use acervo::leaves::record::RecordError;
use serde_json::json;

use crate::harness::burst::ask;
use crate::harness::database::{claims, fetched_file};
use crate::harness::links::FileServer;
use crate::harness::process::{Served, acervo, free_port};
use crate::harness::{Db, Options, TOKEN, TestApp, bytes_in, files_in, on_each_database, postgres, sha256, until};

/// An archive that several processes use one after the other.
struct ArchiveFolder {
    folder: tempfile::TempDir,
    database_url: Option<String>,
}

impl ArchiveFolder {
    fn new(db: Db) -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), database_url: postgres::database(db) }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, fault: &str) -> Command {
        let mut command = acervo(self.path());
        command.env("ACERVO_LISTEN", "127.0.0.1:0");
        command.envs(self.database_url.iter().map(|url| ("ACERVO_DATABASE_URL", url)));
        if !fault.is_empty() {
            command.env("FAILPOINTS", format!("{fault}=return"));
        }
        command
    }

    /// Whether the command succeeds, and what it prints.
    fn run(&self, args: &[&str], fault: &str) -> (bool, String) {
        let output = tokio::task::block_in_place(|| self.command(fault).args(args).output().expect("a binary"));
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn serve(&self, fault: &str) -> Served {
        let (command, log) = (self.command(fault), self.path().join("log.txt"));
        tokio::task::block_in_place(|| Served::spawn(command, log, free_port(), "info"))
    }

    fn objects(&self) -> Vec<PathBuf> {
        files_in(&self.path().join("data/archive"))
    }

    fn has(&self, bytes: &[u8]) -> bool {
        let digest = sha256(bytes);
        self.objects().iter().any(|path| path.display().to_string().contains(&digest))
    }

    async fn until_gone(&self, bytes: &[u8], what: &str) {
        until(&format!("{what}: the removal of bytes that were not recorded"), async || {
            (!self.has(bytes)).then_some(())
        })
        .await;
    }

    /// Everything that the database counts is stored, and nothing else.
    async fn until_all_counts(&self, served: &Served, revisions: u64) {
        let client = reqwest::Client::new();
        until("as many bytes stored as are counted, and the revisions", async || {
            let query = "{ status { storedSize } revisions { totalCount } }";
            let data = ask(&client, &served.url, query).await.expect("a response");
            let stored = bytes_in(&self.path().join("data/archive"));
            (data["status"]["storedSize"] == stored && data["revisions"]["totalCount"] == revisions).then_some(())
        })
        .await;
    }
}

on_each_database!(bytes_of_a_fetch_that_was_killed_before_it_recorded_them_are_removed, 2 threads);
async fn bytes_of_a_fetch_that_was_killed_before_it_recorded_them_are_removed(db: Db) {
    let (first, second) = (b"a primeira ".repeat(900), b"a segunda ".repeat(700));
    for crash_again in [false, true] {
        let archive = ArchiveFolder::new(db);
        let links = FileServer::start().await;
        let path = "/sites/9/1/Produtos/1/a.txt";
        links.offer_in_turn(path, &[&first, &second], "text/plain");
        let link = links.link(&json!({ "URL": path, "IsFile": "True" }));
        let mut served = archive.serve("fetch-before-record");
        let body = json!({ "nome": "Produto", "dataProduto": "01/02/2025", "url": link }).to_string();
        let posted = reqwest::Client::new().post(format!("{}/webhook", served.url)).header("authorization", TOKEN);
        let posted = posted.header("content-type", "application/json").body(body).send().await;
        assert_eq!(posted.expect("a response").status(), 202);
        tokio::task::block_in_place(|| served.ended());
        assert!(archive.has(&first), "{db:?}: it did not get so far");
        if crash_again {
            let (is_well, printed) = archive.run(&["serve"], "unrecorded-after-tombstone");
            assert!(!is_well, "{printed}");
            assert!(archive.has(&first));
        }
        let served = archive.serve("");
        archive.until_gone(&first, &format!("{db:?}")).await;
        // With PostgreSQL another replica could have the lease, which lasts a minute.
        if db == Db::Sqlite {
            archive.until_all_counts(&served, 1).await;
            assert!(archive.has(&second));
        }
    }
}

on_each_database!(bytes_of_an_import_that_was_killed_before_it_recorded_them_are_removed, 2 threads);
async fn bytes_of_an_import_that_was_killed_before_it_recorded_them_are_removed(db: Db) {
    let archive = ArchiveFolder::new(db);
    let files = archive.path().join("arquivos");
    std::fs::create_dir(&files).expect("a folder");
    let mut manifest = "path,nome,dataProduto,receivedAt\n".to_owned();
    let content = |day: u32| format!("conteúdo {day} ").repeat(300 * day as usize);
    for day in 1..=6 {
        std::fs::write(files.join(format!("{day}.txt")), content(day)).expect("a file");
        manifest += &format!("{day}.txt,Deck,{day:02}/01/2024,2024-01-{day:02}T12:00:00Z\n");
    }
    let list = archive.path().join("m.csv");
    std::fs::write(&list, manifest).expect("a file");
    let (files, list) = (files.display().to_string(), list.display().to_string());
    let import: [&str; 5] = ["import", &files, "--manifest", &list, "--create"];
    let killed = || {
        let (is_well, printed) = archive.run(&import, "import-before-record");
        assert!(!is_well, "{db:?}: {printed}");
        assert_eq!(archive.objects().len(), 6, "{db:?}: {printed}");
    };
    // The next sweep removes them.
    killed();
    let (is_well, printed) = archive.run(&["retention", "run"], "");
    assert!(is_well, "{db:?}: {printed}");
    assert_eq!(archive.objects(), Vec::<PathBuf>::new(), "{db:?}: {printed}");
    // So does the next start.
    killed();
    let mut served = archive.serve("");
    archive.until_gone(content(6).as_bytes(), &format!("{db:?}")).await;
    archive.until_all_counts(&served, 0).await;
    assert_eq!(tokio::task::block_in_place(|| served.terminate()), Some(0));
    // Imported before that, they are in use.
    killed();
    let (is_well, printed) = archive.run(&import, "");
    assert!(is_well, "{db:?}: {printed}");
    let (is_well, printed) = archive.run(&["retention", "run"], "");
    assert!(is_well, "{db:?}: {printed}");
    let served = archive.serve("");
    archive.until_all_counts(&served, 6).await;
    assert_eq!(archive.objects().len(), 6, "{db:?}");
    let left = files_in(&archive.path().join("data/tmp/unrecorded"));
    assert_eq!(left, Vec::<PathBuf>::new(), "{db:?}");
}

on_each_database!(a_file_that_is_being_recorded_cannot_rely_on_bytes_that_are_being_removed);
/// What one process does with a file between storing and recording it, while another one removes the same bytes.
async fn a_file_that_is_being_recorded_cannot_rely_on_bytes_that_are_being_removed(db: Db) {
    let options = Options { without_jobs: true, database_url: postgres::database(db), ..Options::default() };
    let app = TestApp::with(options).await;
    let record = acervo::leaves::record(&app.app);
    let now = app.app.clock.now();
    let claims = claims(&app, 4).await;
    let file = StoredFile { digest: Digest::of(b"x"), encoding: Encoding::Plain, base: None, size: 1, stored_size: 1 };
    let fetched = fetched_file(file);
    let at = |n: i64| timestamp(acervo::domain::millis(now) + n);
    // Found to be unrecorded: it has a tombstone before its bytes go.
    record.removals().set_tombstones_on_unused(&[file], at(1)).await.expect("a tombstone");
    let settle = |n: usize, confirmed| record.queue().settle(&claims[n], &fetched, now, confirmed);
    assert!(matches!(settle(0, &[]).await, Err(RecordError::FileGone)), "{db:?}");
    assert_eq!(record.removals().tombstones(9).await.expect("tombstones"), [file.locator()]);
    record.removals().clear(&[file.digest], &[], at(2)).await.expect("a removal");
    // The bytes are gone, or were stored again: the caller has to check.
    let Err(RecordError::RemovedBefore(seen)) = settle(0, &[]).await else { panic!("{db:?}") };
    // Removed once more before it is recorded: what was seen before that does not count.
    record.removals().set_tombstones_on_unused(&[file], at(3)).await.expect("a tombstone");
    assert!(matches!(settle(0, &seen).await, Err(RecordError::FileGone)), "{db:?}");
    record.removals().clear(&[file.digest], &[], at(4)).await.expect("a removal");
    let Err(RecordError::RemovedBefore(now_seen)) = settle(0, &seen).await else { panic!("{db:?}") };
    assert_ne!(seen, now_seen);
    // One that could not be removed has to be checked in the same way.
    record.removals().set_tombstones_on_unused(&[file], at(5)).await.expect("a tombstone");
    record.removals().clear(&[], &[file.digest], at(6)).await.expect("a failure");
    let Err(RecordError::RemovedBefore(failed)) = settle(0, &now_seen).await else { panic!("{db:?}") };
    assert_eq!(settle(0, &failed).await.expect("a settled claim").new_revisions.len(), 1, "{db:?}");
    // It is used now: nothing removes it, and there is nothing to check.
    record.removals().set_tombstones_on_unused(&[file], at(7)).await.expect("nothing");
    assert_eq!(record.removals().tombstones(9).await.expect("tombstones"), []);
    assert_eq!(settle(1, &[]).await.expect("a settled claim").new_revisions.len(), 1, "{db:?}");
    // Nor does a removal of the same bytes in another encoding change what the record says.
    let other = StoredFile { encoding: Encoding::Zstd, ..file };
    record.removals().set_tombstones_on_unused(&[other], at(8)).await.expect("nothing");
    assert_eq!(record.files().stored_file(file.digest).await.expect("a row"), Some(file), "{db:?}");
}
