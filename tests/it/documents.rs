use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::harness::endpoint::{Answer, Endpoint};
use crate::harness::polling::Polling;
use crate::harness::process::{Served, acervo, free_port, in_shell};
use crate::harness::samples::{product, replace, zip};
use crate::harness::{KEY, TestApp, files_in};

/// Everything that people read: both READMEs and the pages of `docs/`.
fn documents() -> Vec<String> {
    let docs = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).expect("a folder");
    let pages = docs.map(|entry| format!("docs/{}", entry.expect("a page").file_name().to_string_lossy()));
    let mut all: Vec<String> = pages.filter(|page| page.ends_with(".md")).collect();
    all.extend(["README.md".to_owned(), "README.pt-BR.md".to_owned()]);
    all.sort();
    all
}

/// Patterns for names of products, in documents and in the default configuration, match products that ONS publishes.
#[test]
fn patterns_match_products() {
    let names: Vec<String> =
        acervo::portal::builtin(44, jiff::Timestamp::now()).into_iter().map(|product| product.name).collect();
    let mut texts: Vec<(String, String)> = documents()
        .into_iter()
        .map(|page| {
            let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&page)).expect("a document");
            (page, text)
        })
        .collect();
    texts.push(("default.toml".to_owned(), acervo::config::DEFAULTS.to_owned()));
    let mut patterns = 0;
    for (page, text) in &texts {
        for list in text.split("match = { name = [").skip(1).filter_map(|rest| rest.split(']').next()) {
            for pattern in list.split('"').skip(1).step_by(2) {
                let glob = acervo::domain::Glob::new(pattern);
                assert!(names.iter().any(|name| glob.matches(&acervo::domain::fold(name))), "{page}: {pattern}");
                patterns += 1;
            }
        }
    }
    assert!(patterns > 10, "{patterns}");
}

/// The commands that a document names: the lines of its consoles, and the whole commands in its sentences.
fn commands(document: &str) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).expect("a document");
    let mut found: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("$ acervo "))
        .map(|line| line.split("  #").next().unwrap_or(line).trim().to_owned())
        .collect();
    let in_sentences = text.split('`').skip(1).step_by(2).filter_map(|code| code.strip_prefix("acervo "));
    found.extend(in_sentences.filter(|code| !code.contains('\n')).map(str::to_owned));
    found.retain(|command| !is_a_name(command));
    found
}

/// A sentence may name a command without the arguments that it needs.
fn is_a_name(command: &str) -> bool {
    matches!(
        command,
        "token new"
            | "import"
            | "get"
            | "diff"
            | "acknowledge"
            | "hold"
            | "release"
            | "retention"
            | "retention undo"
            | "export"
            | "restore"
            | "backup"
            | "migrate-to"
            | "simulate"
            | "init"
            | "token revoke"
            | "serve"
            | "demo"
    )
}

/// A shell that finds the binary, in a folder with the files that the documents mention.
fn shell(app: &TestApp, folder: &Path, line: &str) -> Command {
    let own = acervo(app.folder.path());
    let binary = Path::new(own.get_program()).parent().expect("a folder");
    let path = std::env::join_paths(
        std::iter::once(binary.to_owned()).chain(std::env::split_paths(&std::env::var_os("PATH").expect("a path"))),
    );
    let mut shell = in_shell(line, &own);
    shell.current_dir(folder).env("PATH", path.expect("a path"));
    shell
}

/// The hook that the commands of a document name.
fn prepare_hook(folder: &Path, endpoint: &Endpoint) {
    let hook = format!(
        "[[hook]]\nname = \"decks\"\nevents = [\"archived\"]\nurl = \"{}\"\nallow_private = true\n",
        endpoint.url
    );
    std::fs::write(folder.join("acervo.toml"), hook).expect("a file");
}

fn prepare(folder: &Path) {
    let body = json!({ "nome": "Antigo", "dataProduto": "20/02/2024", "url": "https://apps08.ons.org.br/x?token=y" });
    let line = json!({ "receivedAt": "2024-02-20T12:00:00Z", "body": body }).to_string();
    let files = folder.join("srv/sintegre");
    std::fs::create_dir_all(&files).expect("a folder");
    std::fs::create_dir_all(folder.join("my-folder")).expect("a folder");
    std::fs::create_dir_all(folder.join("minha-pasta")).expect("a folder");
    std::fs::create_dir_all(folder.join("srv/backup")).expect("a folder");
    std::fs::write(files.join("a.txt"), "antigo").expect("a file");
    std::fs::write(folder.join("srv/acervo.key"), KEY).expect("a file");
    let make = "printf '%s\\n' \"$LINE\" > webhooks.ndjson \
        && printf '%s\\n' \"$LINE\" | gzip > webhooks.ndjson.gz && cp webhooks.ndjson.gz webhooks-2024.ndjson.gz \
        && printf 'path,nome,dataProduto,receivedAt\\na.txt,Arquivo,20/02/2024,2024-02-20T12:00:00Z\\n' > manifesto.csv \
        && printf '{\"path\":\"a.txt\",\"nome\":\"Arquivo\",\"dataProduto\":\"20/02/2019\",\"receivedAt\":\"2019-02-20T12:00:00Z\"}\\n' > 2019.ndjson \
        && tar -C srv/sintegre -cf sintegre-2019.tar a.txt";
    let made = Command::new("sh").args(["-c", make]).env("LINE", line).current_dir(folder).status().expect("a shell");
    assert!(made.success());
    let tar = std::fs::read(folder.join("sintegre-2019.tar")).expect("a tar");
    let packed = zstd::encode_all(&tar[..], 3).expect("a frame");
    std::fs::write(folder.join("sintegre-2019.tar.zst"), packed).expect("a file");
}

/// Every command in a document runs as written, except for ids, ports and paths.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_the_documents_run() {
    let app = TestApp::start().await;
    app.portal.add(product(487, "Deck NEWAVE Preliminar", "deck.zip", zip(&[("SISTEMA.DAT", b"dados")])));
    app.archive(487).await;
    app.portal.change(487, |product| replace(product, zip(&[("SISTEMA.DAT", b"outros dados")])));
    let end = app.archive(487).await;
    let revision = end["revision"]["id"].as_str().expect("an id").to_owned();
    for number in 0..2 {
        let deck = zip(&[(format!("dadger.rv{number}").as_str(), format!("UH  {number}\r\n").as_bytes())]);
        if number == 0 {
            app.portal.add(product(490, "Deck DECOMP", "deck.zip", deck));
        } else {
            app.portal.change(490, |product| replace(product, deck));
        }
        app.archive(490).await;
    }
    app.portal.add(product(491, "Produto de teste", "teste.txt", "teste"));
    app.archive(491).await;
    let portal = app.portal.address().trim_start_matches("http://").to_owned();
    // The configuration that the service of this test reads again is the one that it has.
    let settings = app.app.settings.clone();
    app.app.access.set_loader(move || Ok(settings.clone()));
    let endpoint = Endpoint::start(Answer::Status(200)).await;
    let mut ran = 0;
    for document in documents() {
        let folder = tempfile::tempdir().expect("a folder");
        prepare(folder.path());
        for command in commands(&document) {
            if command.starts_with("hook ") {
                prepare_hook(folder.path(), &endpoint);
            }
            let mut line = format!("acervo {command}").replace("/srv/", "srv/").replace("019b…", &revision);
            line = line.replace("https://acervo.example.com", &app.url);
            if command.starts_with("retention undo") {
                let runs = app.query("{ retentionRuns(first: 1) { nodes { id } } }").await;
                let run = runs["retentionRuns"]["nodes"][0]["id"].as_str().map(str::to_owned);
                line = line.replace("019a…", &run.expect("a run before its undoing"));
            }
            line = line.replace("019a…", &revision);
            let served = serves(&command);
            if command.starts_with("simulate") {
                let at = if served { "127.0.0.1:0" } else { &portal };
                line = line.replace("--at 127.0.0.1:9081", "") + " --at " + at;
            }
            if command.starts_with("serve") {
                let data = folder.path().join("own-data");
                line = format!("{line} --listen 127.0.0.1:0 --data-dir {}", data.display());
            }
            let command = shell(&app, folder.path(), &line);
            let outcome = tokio::task::block_in_place(|| if served { start(command) } else { finish(command) });
            assert!(outcome.is_ok(), "{document}: {line}: {}", outcome.unwrap_err());
            ran += 1;
        }
    }
    assert!(ran > 50, "only {ran} commands were found");
    app.leaves_work_unsettled("some commands leave work to the service");
}

/// A process that is ended with the test, however that goes.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether a command stays up until it is ended.
fn serves(command: &str) -> bool {
    let buttons = ["enviar", "reenviar", "publicar", "detalhes", "falhas"];
    command.starts_with("serve")
        || (command.starts_with("simulate") && !buttons.iter().any(|button| command.contains(button)))
}

fn finish(mut command: Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().expect("a shell");
    // `status` says by its exit code that something needs a hand, such as a publication that another command has lost.
    let is_status = command.get_args().any(|arg| arg.to_string_lossy().starts_with("acervo status"));
    if output.status.success() || is_status && output.status.code() == Some(1) && output.stderr.is_empty() {
        return Ok(());
    }
    Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// Runs it until it reports that it has started.
fn start(command: Command) -> Result<(), String> {
    use std::io::BufRead;
    // One pipe for its output and its log.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let line = command.get_args().nth(1).expect("a line").to_string_lossy().into_owned();
    let mut child = Command::new("sh")
        .args(["-c", &format!("exec {line}")])
        .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .current_dir(command.get_current_dir().expect("a folder"))
        .stdout(writer.try_clone().expect("a pipe"))
        .stderr(writer)
        .stdin(Stdio::null())
        .spawn()
        .expect("a shell");
    let mut printed = String::new();
    let mut lines = std::io::BufReader::new(reader).lines().map_while(Result::ok);
    let is_up = lines.by_ref().any(|line| {
        printed.push_str(&line);
        line.contains("serving") || line.contains("simulated portal at")
    });
    let _ = child.kill();
    let _ = child.wait();
    if is_up { Ok(()) } else { Err(printed) }
}

/// The code of a document, block by block, without what may differ between languages: comments, printed lines, the name of a folder.
fn code(document: &str) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).expect("a document");
    let blocks = text.split("\n```").skip(1).step_by(2).map(|block| block.split_once('\n').expect("a block"));
    let without_comments = |(kind, block): (&str, &str)| {
        let lines = block.lines().filter(|line| kind != "console" || line.starts_with("$ ") || line.starts_with("# "));
        let lines = lines.filter(|line| kind == "console" || !line.starts_with("# ") && !line.starts_with("-- "));
        let lines =
            lines.map(|line| line.split("  #").next().unwrap_or(line).trim_end().replace("minha-pasta", "my-folder"));
        // The output of a demo has a line that looks like the prompt of root.
        let lines = lines.filter(|line| !line.contains("NEWAVE:") && !line.contains("NEWAVE decks:"));
        format!("{kind}\n{}", lines.collect::<Vec<_>>().join("\n"))
    };
    blocks.map(without_comments).collect()
}

/// The headings, table rows and items of a document, without their words.
fn outline(document: &str) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).expect("a document");
    let texts = text.split("\n```").step_by(2);
    let lines = texts.flat_map(str::lines).filter_map(|line| match line.split_once(' ')? {
        (mark, _) if mark.starts_with('#') => Some(mark.to_owned()),
        ("|", cells) => Some(format!("| {}", cells.matches(" |").count())),
        ("-" | "1." | "2." | "3." | "4.", _) => Some("item".to_owned()),
        _ => None,
    });
    lines.collect()
}

/// What is in both languages has the same parts, commands, requests and programs; those of the English pages are run by tests.
#[test]
fn documents_in_portuguese_have_what_the_english_ones_have() {
    let both: Vec<(String, String)> = documents()
        .into_iter()
        .filter_map(|page| Some((page.strip_suffix(".pt-BR.md")?.to_owned() + ".md", page)))
        .collect();
    let names: Vec<&str> = both.iter().map(|(english, _)| english.as_str()).collect();
    assert_eq!(
        names,
        ["README.md", "docs/bi.md", "docs/import.md", "docs/operations.md", "docs/retention.md", "docs/scale.md"]
    );
    for (english, portuguese) in &both {
        let (ours, theirs) = (code(english), code(portuguese));
        assert!(!ours.is_empty(), "{english} has no code");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs, "{portuguese}");
        }
        assert_eq!(ours.len(), theirs.len(), "{portuguese}");
        assert_eq!(outline(english), outline(portuguese), "{portuguese}");
    }
}

/// Links of documents to other files lead to files that exist, and each page leads to the one in the other language.
#[test]
fn links_of_documents_lead_to_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for document in documents() {
        let path = root.join(&document);
        let text = std::fs::read_to_string(&path).expect("a document");
        let prose = text.split("\n```").step_by(2).collect::<String>();
        for link in prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or(link);
            if file.is_empty() || file.contains("://") || file.contains(char::is_whitespace) {
                continue;
            }
            count += 1;
            assert!(path.parent().expect("a folder").join(file).exists(), "{document}: {link}");
        }
        let file = path.file_name().expect("a name").to_string_lossy().into_owned();
        if let Some(name) = file.strip_suffix(".pt-BR.md") {
            assert!(text.contains(&format!("*[English]({name}.md)*")), "{document}");
            let english = std::fs::read_to_string(path.with_file_name(format!("{name}.md"))).expect("a document");
            assert!(english.contains(&format!("*[Português]({file})*")), "{document}");
        }
    }
    assert!(count > 50, "{count}");
}

/// The walk through the simulated portal, word for word but for the ports: a file is archived.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_walk_without_the_portal_archives_files() {
    for document in ["README.md", "README.pt-BR.md"] {
        let folder = tempfile::tempdir().expect("a folder");
        let all = commands(document);
        let starting = |start: &str| {
            let found = all.iter().find(|command| command.starts_with(start));
            found.unwrap_or_else(|| panic!("{document} has no `acervo {start}`")).clone()
        };
        // Only what the document says: none of the settings of other tests.
        let bare = |words: &str| {
            let mut command = Command::new(acervo(folder.path()).get_program());
            for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ACERVO_")) {
                command.env_remove(name);
            }
            command.current_dir(folder.path()).env("LC_ALL", "C").args(words.split_whitespace());
            command
        };
        let (listen, at) = (free_port(), free_port());
        let serve = starting("serve");
        let serve = bare(serve.strip_prefix("serve").expect("the command"));
        let service = tokio::task::block_in_place(|| Served::spawn(serve, folder.path().join("log"), listen, "info"));
        let webhook = format!("--webhook {}/webhook --at 127.0.0.1:{at}", service.url);
        let mut portal = bare(&format!("{} {webhook}", starting("simulate --publish-every")));
        let _portal = Ended(portal.stdout(Stdio::null()).spawn().expect("a binary that starts"));
        let polling = Polling::start();
        let press = format!("{} --at 127.0.0.1:{at}", starting("simulate enviar-tudo"));
        while !tokio::task::block_in_place(|| bare(&press).output().expect("a binary that starts").status.success()) {
            polling.pause(|| format!("{document}: no portal answers")).await;
        }
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let query = json!({ "query": "{ status { revisions } failed: notifications(filter: { status: [FAILED] }) { totalCount } }" });
        loop {
            let request = client.post(format!("{}/graphql", service.url)).json(&query);
            let response: serde_json::Value = request.send().await.expect("a response").json().await.expect("JSON");
            assert_eq!(response["data"]["failed"]["totalCount"], 0, "{document}: {response}");
            if response["data"]["status"]["revisions"] == 44 {
                break;
            }
            polling.pause(|| format!("{document}: {response}")).await;
        }
    }
}

/// The commands that the demo suggests work as printed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hints_of_the_demo_run() {
    use std::io::BufRead;
    let folder = tempfile::tempdir().expect("a folder");
    let mut demo = acervo(folder.path());
    demo.args(["demo", "--listen", "127.0.0.1:0", "--products", "3"]).stdout(Stdio::piped());
    let mut demo = Ended(demo.spawn().expect("a binary that starts"));
    let printed = std::io::BufReader::new(demo.0.stdout.take().expect("a pipe"));
    let app = TestApp::start().await;
    let mut hints = Vec::new();
    for line in printed.lines().map_while(Result::ok).take_while(|line| !line.contains("Ctrl-C")) {
        let hint = line.strip_prefix("ask ").or_else(|| line.strip_prefix("publish "));
        hints.extend(hint.map(|hint| hint.trim().to_owned()));
    }
    assert_eq!(hints.len(), 2, "{hints:?}");
    for hint in &hints {
        let outcome = tokio::task::block_in_place(|| finish(shell(&app, folder.path(), hint)));
        assert!(outcome.is_ok(), "{hint}: {}", outcome.unwrap_err());
    }
    drop(demo);
    let left: Vec<PathBuf> = std::fs::read_dir(folder.path()).expect("a folder").flatten().map(|e| e.path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The functions and modules of this suite, which include its tests.
fn names_of_tests() -> Vec<String> {
    let sources = files_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it"));
    let texts = sources.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    let names = texts.flat_map(|text| {
        let words: Vec<&str> = text.split_whitespace().collect();
        let named = words.windows(2).filter(|pair| matches!(pair[0], "fn" | "mod")).map(|pair| pair[1].to_owned());
        named.collect::<Vec<_>>()
    });
    names.map(|name| name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()).collect()
}

#[test]
fn tests_that_documents_name_exist() {
    let names = names_of_tests();
    let mut documents = documents();
    documents.push("CONTRIBUTING.md".to_owned());
    let mut missing = Vec::new();
    let mut count = 0;
    for document in documents {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&document)).expect("a document");
        let filters = text.split("--test it ").skip(1).filter_map(|rest| rest.split([' ', '`', '\n']).next());
        let filters = filters.map(|filter| filter.trim_end_matches("::"));
        // Settings of PostgreSQL have long names too.
        let is_test = |word: &&str| word.matches('_').count() > 3 && !word.ends_with("_timeout");
        let in_sentences =
            text.split('`').skip(1).step_by(2).filter(is_test).filter(|_| document.contains("reliability"));
        for wanted in filters.chain(in_sentences).filter(|word| word.chars().all(|c| c.is_alphanumeric() || c == '_')) {
            count += 1;
            if !names.iter().any(|name| name.contains(wanted)) {
                missing.push(format!("{document}: {wanted}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
    assert!(count > 15, "{count}");
}
