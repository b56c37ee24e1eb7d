//! What other users of the machine can read of the archive: nothing.
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::process::{Served, acervo, free_port, in_shell};
use crate::harness::samples::{product, zip};
use crate::harness::{Db, portal, postgres};

fn widen(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a file of ours");
}

/// Everything below a folder, and the folder. What a service deletes in the meantime counts as absent.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    let mut next = 0;
    while let Some(path) = found.get(next).cloned() {
        next += 1;
        if path.is_dir() {
            found.extend(std::fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
    }
    found
}

#[track_caller]
fn assert_private(folder: &Path) {
    for path in tree(folder) {
        let Ok(found) = std::fs::symlink_metadata(&path) else { continue };
        let expected = if found.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(found.permissions().mode() & 0o777, expected, "{}", path.display());
    }
}

/// A command under the widest umask.
fn wide(command: &Command) -> Command {
    in_shell("umask 000; exec \"$0\" \"$@\"", command)
}

fn run_wide(command: &Command, args: &[&str]) {
    let mut command = wide(command);
    let output = tokio::task::block_in_place(|| command.args(args).output().expect("a shell"));
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

async fn walk_a_running_service(db: Db) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = acervo(folder.path());
    command.envs(postgres::database(db).map(|url| ("ACERVO_DATABASE_URL", url)));
    // Folders that others can read were there before.
    let archive = folder.path().join("objects");
    command.env("ACERVO_ARCHIVE_URL", format!("file://{}", archive.display()));
    let data = folder.path().join("data");
    for path in [&data, &archive, &folder.path().join("copy"), &folder.path().join("plain")] {
        std::fs::create_dir(path).expect("a folder");
        widen(path, 0o755);
    }
    let start = |log: &str| {
        let log = folder.path().join(log);
        tokio::task::block_in_place(|| Served::spawn(wide(&command), log, free_port(), "info"))
    };
    let mut served = start("first.log");
    let portal = portal(&format!("{}/webhook", served.url), Default::default()).await;
    portal.add(product(487, "Deck NEWAVE Preliminar", "deck.zip", zip(&[("SISTEMA.DAT", b"dados")])));
    portal.enviar(487).await;
    served.settled(1).await;
    served.indexed().await;
    assert_private(&data);
    assert_private(&archive);
    // Commands beside it, of which `get` leaves its file to the umask.
    let data_of = served.query("{ publications { nodes { id } } }").await;
    let id = data_of["publications"]["nodes"][0]["id"].as_str().expect("an id").to_owned();
    run_wide(&command, &["get", &id, "-o", "deck.zip"]);
    let mode = folder.path().join("deck.zip").metadata().expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
    run_wide(&command, &["export", "plain", "--links"]);
    assert_private(&folder.path().join("plain"));
    if db == Db::Sqlite {
        run_wide(&command, &["backup", "copy"]);
        assert_private(&folder.path().join("copy"));
        // A backup and an export that were opened since are closed by the next one.
        for path in tree(&folder.path().join("copy")) {
            widen(&path, if path.is_dir() { 0o755 } else { 0o644 });
        }
        run_wide(&command, &["backup", "copy"]);
        assert_private(&folder.path().join("copy"));
    }
    for path in tree(&folder.path().join("plain")) {
        widen(&path, if path.is_dir() { 0o755 } else { 0o644 });
    }
    run_wide(&command, &["export", "plain", "--links"]);
    assert_private(&folder.path().join("plain"));
    assert_private(&data);
    served.terminate();
    // A tree that was copied with other permissions, logs of the database included.
    std::fs::write(data.join("acervo.db-journal"), "").expect("a file");
    for path in [tree(&data), tree(&archive)].concat() {
        widen(&path, if path.is_dir() { 0o755 } else { 0o644 });
    }
    let _served = start("second.log");
    assert_private(&data);
    assert_private(&archive);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_running_service_is_open_to_others() {
    for db in Db::all() {
        walk_a_running_service(db).await;
    }
}
