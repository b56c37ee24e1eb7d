//! What the page says about what is wrong, missing or not shown: to people in their language, to programs as before.
use std::sync::Arc;

use serde_json::Value;

use super::{EN, PT, check_view, show};
use crate::harness::notice::Notice;
use crate::harness::samples::{RawMember, product, raw_zip, replace, zip};
use crate::harness::{Db, Options, TestApp, on_each_database, process};

const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");

#[tokio::test]
async fn an_address_that_leads_nowhere_is_a_page_for_browsers_and_a_problem_for_programs() {
    let app = TestApp::start().await;
    let id = "00000000-0000-7000-8000-000000000000";
    let paths = [
        "/nada".to_owned(),
        "/products/x/y?lang=pt".to_owned(),
        "/assets".to_owned(),
        format!("/files/{id}"),
        format!("/files/{id}/members/a.txt"),
        format!("/files/{id}/diff/{id}"),
        "/export/nada.csv".to_owned(),
    ];
    for path in &paths {
        for (language, lang, words) in [(PT[0], "pt-BR", "Não encontrado"), (EN[0], "en", "Not found")] {
            if path.contains("lang=") && lang == "en" {
                continue;
            }
            let shown = show(&app, path, &[BROWSER, language]).await;
            assert_eq!(shown.status, 404, "{path}");
            check_view(&shown, path, lang);
            assert!(shown.words().contains(words), "{path}: {}", shown.words());
        }
        for accept in ["*/*", "application/json", "application/json, text/html;q=0.5"] {
            let answer = show(&app, path, &[("accept", accept), EN[0]]).await;
            assert_eq!(answer.status, 404, "{path}");
            assert_eq!(answer.header("content-type"), "application/problem+json", "{path} {accept}");
            let problem: Value = serde_json::from_str(&answer.text).expect("JSON");
            assert_eq!(problem["status"], 404, "{path}: {problem}");
        }
    }
    // Caches keep both apart, and what is not read changes nothing.
    let response = app.get_with("/nada", &[BROWSER]).await;
    let vary = response.headers().get_all("vary").iter().map(|value| value.to_str().expect("text"));
    assert!(vary.collect::<Vec<_>>().contains(&"accept"), "{:?}", response.headers());
    let posted = app.client.post(format!("{}/nada", app.url)).header(BROWSER.0, BROWSER.1).send().await;
    let posted = posted.expect("a response");
    assert_eq!(posted.headers()["content-type"], "application/problem+json");
    // Somebody who is known keeps the menu.
    let known = show(&app, &format!("/files/{id}"), &[BROWSER, PT[0]]).await;
    assert!(known.links("/operation").contains(&"/operation".to_owned()), "{}", known.text);
    // Whoever has no key is challenged for it, also by a browser.
    let nobody = app.client.get(format!("{}/files/{id}", app.url)).header(BROWSER.0, BROWSER.1).send().await;
    assert_eq!(nobody.expect("a response").status(), 401);
}

/// Where a state is shown, its meaning is on the page as text.
#[tokio::test]
async fn states_are_explained_where_they_are_shown() {
    let app = TestApp::start().await;
    app.notify(&Notice::full("Vento").to_string()).await;
    app.until("{ status { retrying } }", |data| data["status"]["retrying"] == 1).await;
    app.app.clock.advance(std::time::Duration::from_secs(2 * 86_400));
    let data = app
        .until("{ status { indexLag } publications { nodes { id productId status } } }", |data| {
            data["publications"]["nodes"][0]["status"] == "LOST" && data["status"]["indexLag"] == 0
        })
        .await;
    let id = |name: &str| data["publications"]["nodes"][0][name].as_str().expect("an id").to_owned();
    let lost = [
        "Foi anunciada, mas o link expirou ou falhou antes de o arquivo ser buscado.",
        "It was announced, but the link expired or failed before the file was fetched.",
    ];
    let late = ["O arquivo costuma ter chegado a esta hora.", "The file has usually come by this time."];
    let missing = ["O arquivo nunca chegou", "The file never came"];
    for (path, meanings) in [
        ("/".to_owned(), vec![lost]),
        (format!("/publications/{}", id("id")), vec![lost]),
        (format!("/products/{}?years=10", id("productId")), vec![lost]),
        ("/products".to_owned(), vec![lost, late, missing]),
        ("/products?state=LOST".to_owned(), vec![lost]),
        ("/products?state=LATE".to_owned(), vec![late]),
        ("/products?state=MISSING".to_owned(), vec![missing]),
    ] {
        for (at, (headers, lang)) in [(&PT, "pt-BR"), (&EN, "en")].into_iter().enumerate() {
            let shown = show(&app, &path, headers).await;
            check_view(&shown, &path, lang);
            for meaning in &meanings {
                assert!(shown.words().contains(meaning[at]), "{path}: {}", shown.words());
            }
        }
    }
}

on_each_database!(members_are_filtered_by_a_part_of_their_path);
async fn members_are_filtered_by_a_part_of_their_path(db: Db) {
    let app = TestApp::on(db).await;
    // More than are listed.
    let names: Vec<String> = (1..=3_050).map(|number| format!("Pasta/Caso_{number:04}.DAT")).collect();
    let mut members: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"1"[..])).collect();
    members.push(("100%.txt", b"2"));
    app.portal.add(product(1, "Casos", "casos.zip", zip(&members)));
    let revision = app.archive(1).await["revision"]["id"].as_str().expect("an id").to_owned();
    let view = async |parameters: &str| {
        let path = format!("/revisions/{revision}{parameters}");
        let shown = show(&app, &path, &PT).await;
        check_view(&shown, &path, "pt-BR");
        shown
    };
    let all = view("").await;
    assert!(all.words().contains("3.051 membros Parte do caminho Filtrar"), "{}", &all.words()[..600]);
    assert!(all.words().contains("Mais 51 não são listados. Filtre para encontrá-los."));
    assert!(!all.text.contains("Caso_3050"));
    let few = view("?match=caso_305").await;
    assert!(few.words().contains("1 de 3.051 membros") && few.text.contains("Caso_3050"), "{}", few.words());
    assert!(!few.text.contains("Caso_0001") && few.words().contains("Mostrar todos"), "{}", few.words());
    // A member that is chosen stays so, and the filter too.
    let link = few.links("/revisions/").into_iter().find(|link| link.contains("member=")).expect("a link");
    let chosen = view(link.trim_end_matches("#preview").trim_start_matches(&format!("/revisions/{revision}"))).await;
    assert!(chosen.words().contains("1 de 3.051 membros"), "{}", chosen.words());
    assert!(chosen.text.contains("name=\"member\" value=\"Pasta/Caso_3050.DAT\""), "{}", chosen.text);
    let literal = view("?match=0%25.").await;
    assert!(literal.words().contains("1 de 3.051 membros 100%.txt") || literal.text.contains("100%.txt"));
    assert!(!literal.text.contains("Caso_"), "{}", literal.words());
    let none = view("?match=%3Cnada%3E").await;
    assert!(
        none.words().contains("0 de 3.051 membros") && none.words().contains("Nada encontrado"),
        "{}",
        none.words()
    );
}

#[tokio::test]
async fn notes_of_a_comparison_are_in_the_language_of_the_page() {
    let app = TestApp::start().await;
    let plain = RawMember::stored(b"cifrado.txt", b"conteudo um");
    let secret = |member: RawMember<'static>| RawMember { flags: 1, crc: 0, ..member };
    let long = ["a", "b"].map(|end| format!("{}{end}\n", "x\n".repeat(400_001)));
    let latin = encoding_rs::WINDOWS_1252.encode("vazão média\r\nnão\r\n").0.into_owned();
    let before = raw_zip(&[
        secret(plain),
        RawMember::stored(b"codigo.txt", &latin),
        RawMember::stored(b"longo.txt", long[0].as_bytes()),
        RawMember::stored(b"velho.txt", b"o mesmo\n"),
    ]);
    let after = raw_zip(&[
        secret(RawMember::stored(b"cifrado.txt", b"conteudo 22")),
        RawMember::stored(b"codigo.txt", "vazão média\nsim\n".as_bytes()),
        RawMember::stored(b"longo.txt", long[1].as_bytes()),
        RawMember::stored(b"novo.txt", b"o mesmo\n"),
    ]);
    app.portal.add(product(1, "Deck", "deck.zip", before));
    let from = app.archive(1).await["revision"]["id"].as_str().expect("an id").to_owned();
    app.portal.change(1, |product| replace(product, after.clone())).expect("a product");
    let to = app.archive(1).await["revision"]["id"].as_str().expect("an id").to_owned();
    let path = format!("/compare?from={from}&to={to}");
    let shown = show(&app, &path, &PT).await;
    check_view(&shown, &path, "pt-BR");
    for note in [
        "Este conteúdo não pode ser descompactado e, por isso, não foi comparado.",
        "A codificação mudou de Windows-1252 para UTF-8.",
        "Os fins de linha mudaram de CRLF para LF.",
        "Este texto tem 400.002 linhas; até 400.000 são comparadas.",
        "Só o nome é outro: o conteúdo é o mesmo.",
    ] {
        assert!(shown.words().contains(note), "{note}: {}", shown.words());
    }
    // So is what the reader of the zip says.
    let reason = "o arquivo interno `cifrado.txt` está criptografado; baixe o zip inteiro";
    assert!(shown.words().contains(reason) && !shown.text.contains("<span lang="), "{}", shown.text);
    let english = show(&app, &path, &EN).await;
    check_view(&english, &path, "en");
    assert!(english.words().contains("The encoding changed from Windows-1252 to UTF-8."), "{}", english.words());
    let lines = show(&app, &format!("{path}&member=codigo.txt"), &PT).await;
    let words = lines.words();
    assert!(words.contains("A codificação mudou de Windows-1252 para UTF-8.") && words.contains("+sim"), "{words}");
    // The diff is that of the API, without what is said in other words.
    assert!(!words.contains("encoding changed") && !words.contains("revision 1 of"), "{words}");
    let text = app.get_with(&format!("/files/{from}/diff/{to}?member=codigo.txt"), &[("accept", "text/plain")]).await;
    let text = text.text().await.expect("text");
    assert!(text.starts_with("# the encoding changed from Windows-1252 to UTF-8\n# the line ends"), "{text}");
}

#[tokio::test]
async fn facets_count_searches_inside_files_and_days_of_the_past() {
    let app = TestApp::start().await;
    for (number, name, file, text) in
        [(1, "Carga", "a.csv", "furnas;1"), (2, "Vento", "b.txt", "usina de furnas"), (3, "Vazões", "c.txt", "itaipu")]
    {
        app.portal.add(product(number, name, file, text));
        app.archive(number).await;
    }
    app.until("{ publications(search: \"furnas\", in: CONTENT) { totalCount } }", |data| {
        data["publications"]["totalCount"] == 2
    })
    .await;
    let inside = show(&app, "/?search=furnas&in=CONTENT", &PT).await;
    check_view(&inside, "/", "pt-BR");
    let words = inside.words();
    assert!(words.contains(".csv 1") && words.contains(".txt 1") && !words.contains("Vazões"), "{words}");
    let narrowed = show(&app, &inside.links("/?search=furnas&in=CONTENT&extension=txt").remove(0), &PT).await;
    let words = narrowed.words();
    assert!(words.contains("1 publicação") && words.contains(".csv 1") && !words.contains("Carga 1"), "{words}");
    let then = show(&app, "/?asOf=2999-12-31", &PT).await;
    assert!(then.words().contains(".txt 2") && then.words().contains("Arquivada 3"), "{}", then.words());
    let narrowed = show(&app, &then.links("/?asOf=2999-12-31&extension=txt").remove(0), &PT).await;
    assert!(narrowed.words().contains("2 publicações"), "{}", narrowed.words());
    let before = show(&app, "/?asOf=2001-01-01", &PT).await;
    assert!(!before.text.contains("class=\"facet\""), "{}", before.text);
}

/// More products than a filter takes ids: all are listed, page by page.
#[tokio::test]
async fn losses_of_any_number_of_products_are_listed() {
    const PRODUCTS: usize = 5_050;
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let log = folder.path().join("old.ndjson");
    let line = |n: usize| {
        let link = format!("https://apps08.ons.org.br/ONS.Sintegre.Proxy/x{n}");
        let body = serde_json::json!({ "nome": format!("Produto {n:05}"), "dataProduto": "01/05/2024", "url": link });
        serde_json::json!({ "receivedAt": "2024-05-01T12:00:00Z", "body": body }).to_string()
    };
    std::fs::write(&log, (1..=PRODUCTS).map(line).collect::<Vec<_>>().join("\n")).expect("a file");
    process::printed(folder.path(), &["import", "--create", log.to_str().expect("a path")]);
    let app = TestApp::with(Options { folder: Some(folder), ..Options::default() }).await;
    app.settled(PRODUCTS as u64).await;
    let mut path = "/products?state=LOST".to_owned();
    let mut names: Vec<String> = Vec::new();
    for _ in 0..3 {
        let shown = show(&app, &path, &PT).await;
        assert_eq!(shown.status, 200, "{}", shown.words());
        let titles = shown.text.split("data-row><bdi>").skip(1).filter_map(|rest| rest.split_once("</bdi>"));
        names.extend(titles.map(|(name, _)| name.to_owned()));
        let next = shown.links("/products?state=LOST&after=").into_iter().find(|link| !link.contains("lang="));
        path = next.expect("a next page");
    }
    assert_eq!(names, (1..=300).map(|n| format!("Produto {n:05}")).collect::<Vec<_>>());
    let named = show(&app, "/products?state=LOST&name=produto+05050", &PT).await;
    assert!(named.words().contains("Produto 05050") && named.words().contains("Perdida 1"), "{}", named.words());
}
