//! The command line in Portuguese: the choice of the language, help, errors, messages; and what is the same in every language.
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use secrecy::ExposeSecret;

use crate::harness::notice::Notice;
use crate::harness::process::acervo;
use crate::harness::samples::{product, replace, zip};
use crate::harness::{KEY, TestApp, files_in};

/// The binary as on a machine that is set up in Brazil.
fn brazilian(folder: &Path) -> Command {
    let mut command = acervo(folder);
    command.env_remove("LC_ALL").env_remove("LC_MESSAGES").env("LANG", "pt_BR.UTF-8");
    command
}

fn output(mut command: Command, args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command.args(args).output().expect("a binary that starts");
    (status.code(), String::from_utf8(stdout).expect("text") + &String::from_utf8(stderr).expect("text"))
}

#[test]
fn the_language_is_that_of_the_system_unless_another_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let help = |command: Command, args: &[&str]| output(command, args).1;
    let portuguese = help(brazilian(folder), &["--help"]);
    for part in ["Uso: acervo [OPÇÕES] <COMANDO>", "Comandos:", "  search ", "Pesquisa no acervo", "--config <ARQUIVO>"]
    {
        assert!(portuguese.contains(part), "{part}: {portuguese}");
    }
    assert!(!portuguese.contains("Usage") && !portuguese.contains("Options"), "{portuguese}");
    let english = help(acervo(folder), &["--help"]);
    assert!(english.contains("Usage: acervo [OPTIONS] <COMMAND>") && !english.contains("Uso"), "{english}");
    // An option beats a variable, and that the locale.
    let with = |name: &str, value: &str| {
        let mut command = acervo(folder);
        command.env(name, value);
        command
    };
    let mut english_variable = brazilian(folder);
    english_variable.env("ACERVO_LANG", "en");
    assert_eq!(help(english_variable, &["--help"]), english);
    assert_eq!(help(brazilian(folder), &["--help", "--lang", "en"]), english);
    assert_eq!(help(brazilian(folder), &["--lang=en", "help"]), english);
    assert_eq!(help(with("ACERVO_LANG", "pt"), &["--help"]), portuguese);
    assert_eq!(help(with("LC_ALL", "pt_BR.UTF-8"), &["help"]), portuguese);
    assert_eq!(help(acervo(folder), &["--lang", "pt-BR", "--help"]), portuguese);
    let search = help(brazilian(folder), &["help", "search"]);
    for part in ["Argumentos:", "[TEXTO]...", "[padrão: 50]", "Valores possíveis:", "- period-asc: Primeiro o período"]
    {
        assert!(search.contains(part), "{part}: {search}");
    }
    for (command, args) in
        [(acervo(folder), ["status", "--lang", "de"]), (with("ACERVO_LANG", "de"), ["status", "--format", "json"])]
    {
        let (code, text) = output(command, &args);
        assert!(code == Some(2) && text.contains("en or pt"), "{code:?}: {text}");
    }
}

#[test]
fn errors_are_in_portuguese() {
    let folder = tempfile::tempdir().expect("a folder");
    let cases: [(&[&str], &str); 22] = [
        (&["nada"], "erro: o comando 'nada' não existe"),
        (&["serch", "x"], "ou 'search'?"),
        (&["search", "--nada"], "erro: o argumento '--nada' não existe"),
        (&["search", "--limit", "0"], "'0' não é válido para '--limit <LIMIT>'"),
        (&["search", "--limit", "0"], "0 não está em 1..=1000"),
        (&["search", "--limit", "x"], "não é um número inteiro"),
        (&["search", "--order", "x"], "[valores possíveis: relevance, period,"),
        (&["search", "--from", "24/13/2025"], "`24/13/2025` não é um dia válido"),
        (&["search", "--as-of"], "falta o valor de '--as-of <INSTANTE>'"),
        (&["retry"], "erro: falta informar:"),
        (&["acknowledge"], "Uso: acervo acknowledge"),
        (&["get", "xyz"], "`xyz` não é um id válido"),
        (&["search", "--key", "a", "--key-file", "b"], "não pode ser usado com '--key"),
        (&["search", "x", "--key", "a"], "informe também --url"),
        (&["search", "x"], "não há acervo em "),
        // What inner modules say in English.
        (
            &["config", "check", "--set", "fetch.concurrency=x"],
            "erro: a configuração tem problemas:\n  fetch.concurrency: `x` não é um número válido",
        ),
        (
            &["config", "check", "--set", "fetch.concurency=4"],
            "é uma chave desconhecida; você quis dizer `fetch.concurrency`?",
        ),
        (&["config", "check", "--set", "x"], "problemas:\n  --set: não é válido; use CHAVE=VALOR"),
        (&["token", "new", "--role", "x"], "`x` não é um destes: reader, operator, admin"),
        (&["token", "new", "--role", "reader", "--expires", "2020-01-31"], "`2020-01-31` já passou"),
        (&["token", "new", "--role", "reader", "--name", " "], "o nome está vazio"),
        (&["verify", "--sample", "3/2"], "`3/2` não é uma amostra válida"),
    ];
    for (args, expected) in cases {
        let (code, text) = output(brazilian(folder.path()), args);
        let expected = expected.replace("<LIMIT>", "<N>");
        assert!(code == Some(2) && text.contains(&expected), "{args:?}: {code:?}: {text}");
        assert!(!text.contains("error:") && !text.contains("Usage"), "{args:?}: {text}");
    }
}

/// The ids of messages: none of them is a word that a command prints.
fn ids() -> BTreeSet<String> {
    let files = files_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lang"));
    let texts = files.iter().filter(|path| path.extension().is_some_and(|end| end == "ftl"));
    let texts = texts.map(|path| std::fs::read_to_string(path).expect("messages"));
    let lines: Vec<String> = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let ids = lines.iter().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
    ids.filter_map(|line| Some(line.split_once(" =")?.0.to_owned())).filter(|id| id.contains('-')).collect()
}

/// Commands that people run often, and what each prints in Portuguese.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_speak_portuguese() {
    let app = TestApp::start().await;
    for number in 0..2 {
        let deck = zip(&[(format!("dadger.rv{number}").as_str(), &b"UH\r\n"[..])]);
        if number == 0 {
            app.portal.add(product(490, "Deck DECOMP", "deck.zip", deck));
        } else {
            app.portal.change(490, |product| replace(product, deck));
        }
        app.archive(490).await;
    }
    app.leaves_work_unsettled("a link leads nowhere");
    assert_eq!(app.notify(&Notice::full("Aguardada").to_string()).await.0, 202);
    app.until("{ status { retrying } }", |data| data["status"]["retrying"] == 1).await;
    app.app.clock.advance(std::time::Duration::from_secs(2 * 86_400));
    app.until("{ status { lost indexLag } }", |data| data["status"]["lost"] == 1 && data["status"]["indexLag"] == 0)
        .await;
    let folder = app.folder.path().to_owned();
    let revision = app.query("{ revisions(first: 1) { nodes { id } } }").await["revisions"]["nodes"][0]["id"].clone();
    let revision = revision.as_str().expect("an id").to_owned();
    let url = app.app.settings.database_url.clone();
    let ids = ids();
    assert!(ids.len() > 300, "{}", ids.len());
    let cases: Vec<(Vec<&str>, &[&str])> = vec![
        (
            vec!["status"],
            &[
                "exige ação           ",
                "1 publicação perdida: Aguardada",
                "última notificação",
                " (há ",
                "publicações perdidas 1",
            ],
        ),
        (vec!["search", "deck"], &["data do produto", "id da revisão", "1 de 1"]),
        (vec!["search", "xyzzy"], &["nada encontrado"]),
        (vec!["search", "decomp", "--member", "*dadger*"], &["arquivo interno", "1 arquivo interno"]),
        (vec!["coverage"], &["produtos", "períodos", "aguardando o arquivo"]),
        (vec!["get", &revision, "--list"], &["modificado em", "dadger.rv1"]),
        (vec!["get", &revision, "-o", "um.zip"], &["um.zip"]),
        (vec!["get", &revision, "-o", "um.zip"], &["erro: `um.zip` já existe; --force o substitui"]),
        (vec!["get", "--search", "decomp", "-d", "pasta"], &["1 arquivo baixado", "0 arquivos já existiam"]),
        (vec!["get", "019a0000-0000-7000-8000-000000000000"], &["nenhuma revisão ou publicação tem o id"]),
        (vec!["diff", "--search", "decomp"], &["de    Deck DECOMP", "revisão 2"]),
        (vec!["lost"], &["data do produto", "Aguardada", "o link expirou antes de o arquivo ser baixado"]),
        (vec!["acknowledge", "--all"], &["1 perda reconhecida"]),
        (vec!["lost"], &["nada se perdeu"]),
        (vec!["lost", "--all"], &["perdida em", " por "]),
        (vec!["hold", &revision, "--reason", "auditoria"], &["está protegida: auditoria"]),
        (vec!["release", &revision], &["não está mais protegida"]),
        (vec!["retry", "--product", "deck"], &["2 encontradas, 0 de volta à fila"]),
        (vec!["retention", "plan"], &["nada a remover: 2 mantidas"]),
        (vec!["retention", "run"], &["0 revisões removidas, 0 B; exclusão definitiva depois de "]),
        (vec!["verify"], &["arquivos verificados, ", " MB/s): nada danificado"]),
        (vec!["compact"], &["total"]),
        (vec!["compact"], &["não há nada a compactar"]),
        (vec!["export", "saida"], &["arquivos acrescentados", "o manifesto é novo"]),
        (vec!["token", "list"], &["papel", "último uso"]),
        (vec!["token", "revoke", "nenhuma"], &["a configuração não tem a chave `nenhuma`"]),
        (vec!["token", "new", "--role", "reader"], &["chave (mostrada só desta vez): acervo_"]),
        (vec!["hook", "list"], &["nenhum"]),
        (vec!["hook", "log", "nada"], &["erro: o hook `nada` não existe"]),
        (vec!["hook", "test", "nada"], &["erro: a configuração não tem o hook `nada`"]),
        (vec!["retention", "undo", "nada"], &["erro: a execução nada não existe"]),
        (
            vec!["get", &revision, "--member", "nada", "-o", "-"],
            &["erro: não existe arquivo interno `nada` no arquivo da revisão "],
        ),
        (vec!["backup", "data"], &["fica na própria pasta do acervo"]),
        (vec!["export", "/dev/null/x"], &["erro: não é possível criar /dev/null/x: não é uma pasta"]),
        (
            vec!["import", "data", "--manifest", "nada"],
            &["erro: não é possível ler o manifesto nada: arquivo ou pasta não encontrado"],
        ),
        (vec!["remove", "nada", "--dry-run"], &["nada"]),
        (vec!["serve"], &["erro: outro acervo já está em execução em "]),
        (
            vec!["config", "check"],
            &[
                "a configuração é válida",
                "receptor   com credenciais",
                "1 chave",
                "0 políticas",
                "retention.grace = 7 dias",
            ],
        ),
        (vec!["reindex"], &["o serviço em execução reconstrói o índice"]),
        (vec!["import", "nada.ndjson"], &["erro: não é possível ler nada.ndjson"]),
        (
            vec!["init", "https://acervo.example.com", "--config", "novo.toml"],
            &["novo.toml gravado", "  usuário   ons", "a seguir:"],
        ),
        (vec!["simulate", "enviar-tudo", "--at", "127.0.0.1:1"], &["erro: não há portal em 127.0.0.1:1"]),
        (vec!["search", "x", "--url", "http://127.0.0.1:1"], &["erro: não é possível acessar http://127.0.0.1:1"]),
    ];
    for (args, expected) in cases {
        let mut command = brazilian(&folder);
        command.envs(url.iter().map(|url| ("ACERVO_DATABASE_URL", url.expose_secret())));
        let (_, text) = tokio::task::block_in_place(|| output(command, &args));
        for part in expected {
            assert!(text.contains(part), "{args:?}: {part}: {text}");
        }
        let shown: Vec<&str> = text.split_whitespace().filter(|word| ids.contains(*word)).collect();
        assert!(shown.is_empty(), "{args:?}: {shown:?}: {text}");
    }
}

/// What programs read is the same in every language.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_programs_read_is_the_same_in_every_language() {
    let app = TestApp::start().await;
    app.portal.add(product(490, "Deck DECOMP", "deck.zip", zip(&[("dadger.rv0", b"UH\r\n")])));
    app.archive(490).await;
    let folder = app.stop().await;
    let folder = folder.path().to_owned();
    for args in [
        vec!["search", "deck", "--format", "json"],
        vec!["search", "deck", "--format", "csv"],
        vec!["coverage", "--format", "json"],
        vec!["coverage", "--format", "csv", "--from", "2026-01-01"],
        vec!["status", "--format", "json"],
        vec!["token", "list", "--format", "json"],
        vec!["lost", "--format", "json"],
        vec!["hook", "list", "--format", "json"],
        vec!["retention", "plan", "--format", "csv"],
        vec!["retention", "plan", "--format", "json", "--now", "2026-01-01T00:00:00Z"],
        vec!["schema"],
        vec!["config", "default"],
    ] {
        let (english, portuguese) =
            tokio::task::block_in_place(|| (output(acervo(&folder), &args), output(brazilian(&folder), &args)));
        // The free space of the disk changes between the two.
        let settled = |text: &str| {
            let lines = text.lines().filter(|line| !line.contains("\"diskFree\""));
            lines.collect::<Vec<_>>().join("\n")
        };
        assert_eq!((english.0, settled(&english.1)), (portuguese.0, settled(&portuguese.1)), "{args:?}");
    }
}

#[test]
fn the_demo_speaks_portuguese() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, text) =
        output(brazilian(folder.path()), &["demo", "--exit", "--listen", "127.0.0.1:0", "--products", "3"]);
    assert_eq!(code, Some(0), "{text}");
    for part in [
        "(3 produtos, simulado)",
        "acionando \"Enviar Tudo\"",
        "3 arquivos de 3 produtos arquivados em ",
        "publicados, ",
        "\nconsulte  curl",
        "(apagados no fim)",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// Problems of HTTP: in Portuguese for a client that prefers it, with the same members for programs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn problems_are_in_the_language_of_the_client() {
    let app = TestApp::start().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let problem = async |path: &str, key: Option<&str>, languages: Option<&str>| {
        let mut request = client.get(format!("{}{path}", app.url));
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        if let Some(languages) = languages {
            request = request.header("accept-language", languages);
        }
        let response = request.send().await.expect("a response");
        let language = response.headers()["content-language"].to_str().expect("text").to_owned();
        (language, response.json::<serde_json::Value>().await.expect("JSON"))
    };
    let id = "019a0000-0000-7000-8000-000000000000";
    let file = format!("/files/{id}");
    for (path, key, status, title, detail, english) in [
        ("/nada", Some(KEY), 404, "Não encontrado", "não há nada neste endereço", "there is nothing at this address"),
        (&file, Some(KEY), 404, "Não encontrado", "não existe a revisão 019a", "there is no revision 019a"),
        ("/files/x", Some(KEY), 404, "Não encontrado", "`x` não é o id de uma revisão", "`x` is not the id"),
        (&file, None, 401, "Não autenticado", "é preciso uma chave", "a key is needed"),
        (&file, Some("errada"), 401, "Não autenticado", "a chave não é conhecida", "the key is not known"),
        (
            "/export/publications.csv?nada=1",
            Some(KEY),
            400,
            "Requisição inválida",
            "`nada` não é um parâmetro",
            "`nada` is not",
        ),
        (
            "/export/publications.csv?limit=x",
            Some(KEY),
            400,
            "Requisição inválida",
            "`limit` é `x`, que não é válido: use um número de linhas",
            "`limit` is `x`, which is not a valid number of rows",
        ),
        (
            "/export/publications.csv?filter=x",
            Some(KEY),
            400,
            "Requisição inválida",
            "`filter` não é JSON",
            "`filter` is not JSON",
        ),
        (
            "/export/nada.csv",
            Some(KEY),
            404,
            "Não encontrado",
            "existem publications, revisions, notifications",
            "there are publications, revisions, notifications",
        ),
    ] {
        let (language, body) = problem(path, key, Some("pt-BR,pt;q=0.9,en;q=0.8")).await;
        assert_eq!(
            (language.as_str(), &body["title"], &body["status"]),
            ("pt-BR", &title.into(), &status.into()),
            "{body}"
        );
        assert!(body["detail"].as_str().expect("text").contains(detail), "{path}: {body}");
        for languages in [None, Some("en"), Some("de, en;q=0.5, pt;q=0.1")] {
            let (language, other) = problem(path, key, languages).await;
            assert_eq!((language.as_str(), &other["type"], &other["status"]), ("en", &body["type"], &body["status"]));
            assert!(other["detail"].as_str().expect("text").contains(english), "{path}: {other}");
        }
    }
}
