//! The views of products, publications, files and changes.
use acervo::portal::{Content, Periodicity, Product};
use serde_json::json;

use super::{EN, PT, Shown, check_view, hostile_names, show};
use crate::harness::notice::Notice;
use crate::harness::samples::{product, replace, zip};
use crate::harness::{Db, TestApp, on_each_database, sha256};

/// The ids of the only product, its only publication and its latest revision.
struct Ids {
    product: String,
    publication: String,
    revision: String,
}

async fn ids(app: &TestApp) -> Ids {
    let data = app.query("{ publications { nodes { id productId revisionId } } }").await;
    let row = &data["publications"]["nodes"][0];
    let text = |name: &str| row[name].as_str().expect("an id").to_owned();
    Ids { product: text("productId"), publication: text("id"), revision: text("revisionId") }
}

/// One product whose only publication has these contents as its revisions.
async fn with_revisions(db: Db, name: &str, file_name: &str, contents: &[Vec<u8>]) -> (TestApp, Vec<String>) {
    let app = TestApp::on(db).await;
    let mut revisions = Vec::new();
    for (at, content) in contents.iter().enumerate() {
        match at {
            0 => _ = app.portal.add(product(1, name, file_name, content.clone())),
            _ => app.portal.change(1, |product| replace(product, content.clone())).expect("the product"),
        }
        let ended = app.archive(1).await;
        revisions.push(ended["revision"]["id"].as_str().expect("an id").to_owned());
    }
    (app, revisions)
}

async fn view(app: &TestApp, path: &str) -> Shown {
    for (headers, lang) in [(&EN, "en"), (&PT, "pt-BR")] {
        let shown = show(app, path, headers).await;
        check_view(&shown, path, lang);
        if lang == "pt-BR" {
            return shown;
        }
    }
    panic!("both languages are asked for")
}

on_each_database!(every_view_leads_to_the_next);
async fn every_view_leads_to_the_next(db: Db) {
    let deck = |value: &str| zip(&[("dadger.rv0", format!("UH  1  {value}\r\n").as_bytes()), ("hidr.dat", b"\0\x01")]);
    let (app, revisions) = with_revisions(db, "Decomp", "deck.zip", &[deck("1"), deck("2")]).await;
    let found = view(&app, "/").await;
    let publication = found.links("/publications/").remove(0);
    let shown = view(&app, &publication).await;
    assert!(
        shown.words().contains("Revisão 2 deck.zip") && shown.words().contains("a mais recente"),
        "{}",
        shown.words()
    );
    let product = shown.links("/products/").remove(0);
    let product = view(&app, &product).await;
    assert!(
        product.words().contains("Histórico")
            && product.words().contains("Arquivada 1")
            && product.words().contains("Quando os arquivos chegam"),
        "{}",
        product.words()
    );
    assert!(product.links("/publications/").contains(&publication));
    let listed = view(&app, "/products").await;
    assert!(listed.words().contains("Decomp"), "{}", listed.words());
    let file = shown.links("/revisions/").remove(0);
    assert_eq!(file, format!("/revisions/{}", revisions[1]));
    let file = view(&app, &file).await;
    assert!(file.words().contains("2 membros") && file.words().contains(&sha256(&deck("2"))), "{}", file.words());
    let member = file.links("/revisions/").into_iter().find(|link| link.contains("dadger")).expect("a link");
    let member = view(&app, member.trim_end_matches("#preview")).await;
    assert!(member.text.contains("UH  1  2\n") || member.text.contains("UH  1  2<"), "{}", member.text);
    let download = member.links("/files/").into_iter().find(|link| link.ends_with("/members/dadger.rv0"));
    assert_eq!(app.get(&download.expect("a link")).await.text().await.expect("text"), "UH  1  2\r\n");
}

#[tokio::test]
async fn a_search_inside_files_shows_where_the_words_are() {
    let deck = zip(&[("pmo/dadger.rv0", b"CADASTRO\r\nUSINA DE FURNAS  1\r\n"), ("hidr.dat", b"\0\x01")]);
    let (app, revisions) = with_revisions(Db::Sqlite, "Decomp", "deck.zip", &[deck]).await;
    app.until("{ publications(search: \"furnas\", in: CONTENT) { totalCount } }", |data| {
        data["publications"]["totalCount"] == 1
    })
    .await;
    let by_name = view(&app, "/?search=furnas").await;
    assert!(by_name.words().contains("0 publicação Buscar dentro dos arquivos"), "{}", by_name.words());
    let inside = view(&app, &by_name.links("/?search=furnas&in=CONTENT").remove(0)).await;
    assert!(inside.words().contains("pmo/dadger.rv0 , linha 2 USINA DE FURNAS 1"), "{}", inside.words());
    assert!(inside.text.contains("<mark>"), "{}", inside.text);
    let file = view(&app, &inside.links(&format!("/revisions/{}?member=", revisions[0])).remove(0)).await;
    assert!(file.words().contains("USINA DE FURNAS"), "{}", file.words());
}

/// However long ago its period was.
#[tokio::test]
async fn a_loss_is_listed_and_says_what_to_press() {
    let app = TestApp::start().await;
    app.notify(&Notice::full("Vento").to_string()).await;
    app.until("{ status { retrying } }", |data| data["status"]["retrying"] == 1).await;
    app.app.clock.advance(std::time::Duration::from_secs(100 * 86_400));
    let data = app
        .until("{ status { indexLag } publications { nodes { id status } } }", |data| {
            data["publications"]["nodes"][0]["status"] == "LOST" && data["status"]["indexLag"] == 0
        })
        .await;
    let lost = data["publications"]["nodes"][0]["id"].as_str().expect("an id").to_owned();
    let products = view(&app, "/products?state=LOST").await;
    assert!(products.words().contains("Vento"), "{}", products.words());
    assert!(products.words().contains("Perdida 1"), "{}", products.words());
    let shown = view(&app, &format!("/publications/{lost}")).await;
    assert!(shown.words().contains("Pressione “Enviar” para este produto no portal."), "{}", shown.words());
    let missing = view(&app, "/products?state=MISSING").await;
    assert!(!missing.words().contains("Vento"), "one publication makes no other expected: {}", missing.words());
}

on_each_database!(what_changed_is_shown_by_member_and_by_line);
async fn what_changed_is_shown_by_member_and_by_line(db: Db) {
    let deck = |value: &str, name: &str| {
        let text = format!("UH  1  {value}\r\nsame\r\n");
        zip(&[("a/dadger.dat", text.as_bytes()), (name, b"one\r\ntwo\r\n"), ("same.dat", b"same")])
    };
    let contents = [deck("<b>1</b>", "old name.txt"), deck("2", "other.csv")];
    let (app, revisions) = with_revisions(db, "Decomp", "deck.zip", &contents).await;
    let path = format!("/compare?from={}&to={}", revisions[0], revisions[1]);
    let shown = view(&app, &path).await;
    let words = shown.words();
    assert!(words.contains("alterado a/dadger.dat +1 −1 linhas") && !words.contains("same.dat"), "{words}");
    let member = shown.links("/compare?").into_iter().find(|link| link.contains("dadger")).expect("a link");
    let lines = view(&app, &member).await;
    assert!(lines.text.contains("<del>-UH  1  &lt;b&gt;1&lt;/b&gt;</del>"), "{}", lines.text);
    assert!(lines.text.contains("<ins>+UH  1  2</ins>"), "{}", lines.text);
    let same = view(&app, &format!("/compare?from={0}&to={0}", revisions[0])).await;
    assert!(same.words().contains("Os arquivos são iguais."), "{}", same.words());
    for wrong in ["/compare", "/compare?from=1&to=2"] {
        assert_eq!(show(&app, wrong, &PT).await.status, 400, "{wrong}");
    }
    let none = "/compare?from=00000000-0000-7000-8000-000000000000&to=00000000-0000-7000-8000-000000000000";
    assert_eq!(show(&app, none, &PT).await.status, 404);
}

#[tokio::test]
async fn a_product_leads_to_what_changed_in_its_last_file() {
    let (app, _) = with_revisions(Db::Sqlite, "Carga", "carga.txt", &[b"velho\n".to_vec()]).await;
    let Ids { product, .. } = ids(&app).await;
    let path = format!("/products/{product}");
    assert_eq!(view(&app, &path).await.links("/compare?"), Vec::<String>::new());
    let next = |product: &mut Product| {
        let mut next = product.versions[0].clone();
        next.period = Periodicity::Daily.period_of(jiff::civil::date(2025, 2, 21));
        next.content = Content::Bytes("novo\n".into());
        product.versions.push(next);
    };
    app.portal.change(1, next).expect("the product");
    app.archive(1).await;
    let link = view(&app, &path).await.links("/compare?").remove(0);
    let words = view(&app, &link).await.words();
    assert!(words.contains("De 20/02/2025") && words.contains("Para 21/02/2025"), "{words}");
    assert!(words.contains("-velho +novo"), "{words}");
}

#[tokio::test]
async fn the_revision_of_an_instant_is_named() {
    let (app, _) = with_revisions(Db::Sqlite, "Carga", "carga.txt", &[b"1".to_vec(), b"2".to_vec()]).await;
    let Ids { publication, .. } = ids(&app).await;
    let data = app.query("{ revisions(orderBy: ARCHIVED_ASC) { nodes { archivedAt } } }").await;
    let first = data["revisions"]["nodes"][0]["archivedAt"].as_str().expect("an instant");
    let at = |text: &str| format!("/publications/{publication}?asOf={text}");
    assert!(view(&app, &at(first)).await.words().contains("A revisão 1 era a mais recente."));
    assert!(view(&app, &at("2999-12-31")).await.words().contains("A revisão 2 era a mais recente."));
    assert!(view(&app, &at("2001-01-01")).await.words().contains("ainda não tinha"));
    assert_eq!(show(&app, &at("ontem"), &PT).await.status, 400);
}

#[tokio::test]
async fn texts_tables_workbooks_and_pictures_are_previewed() {
    let mut workbook = rust_xlsxwriter::Workbook::new();
    let sheet = workbook.add_worksheet().set_name("Carga <b>").expect("a sheet");
    sheet.write_string(0, 0, "<script>célula</script>").expect("a cell");
    sheet.write_number(1, 2, 34.5).expect("a cell");
    workbook.add_worksheet().set_name("Vazia").expect("a sheet");
    let xlsx = workbook.save_to_buffer().expect("a workbook");
    let long = "linha de texto\n".repeat(60_000);
    let latin = encoding_rs::WINDOWS_1252.encode("Vazão média à foz: ação, não há\r\n").0.into_owned();
    let png: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    let deck = zip(&[
        ("tabela.csv", "usina;vazão\r\nA;1,5\r\n\"<i>B</i>\";2\r\n".as_bytes()),
        ("pasta/latin.txt", &latin),
        ("pasta/fixo.dat", b"  1   0.5\r\n 22   0.75\r\n"),
        ("planilha.xlsx", &xlsx),
        ("longo.txt", long.as_bytes()),
        ("figura.png", png),
        ("doc.pdf", b"%PDF-1.4 nothing"),
        ("nada.bin", &[0, 1, 2, 3]),
        ("falsa.png", b"<html><script>alert(1)</script>"),
    ]);
    let (app, revisions) = with_revisions(Db::Sqlite, "Deck", "deck.zip", &[deck]).await;
    let member = async |path: &str| view(&app, &format!("/revisions/{}?member={path}", revisions[0])).await;
    let table = member("tabela.csv").await;
    assert!(
        table.text.contains("<th scope=\"col\"><bdi>vazão</bdi></th>") && table.words().contains("UTF-8"),
        "{}",
        table.text
    );
    assert!(table.text.contains("<td><bdi>&lt;i&gt;B&lt;/i&gt;</bdi></td>"), "{}", table.text);
    let latin = member("pasta/latin.txt").await;
    assert!(
        latin.words().contains("Vazão média à foz: ação, não há") && latin.words().contains("Windows-1252"),
        "{}",
        latin.words()
    );
    assert!(member("pasta/fixo.dat").await.text.contains("  1   0.5\n 22   0.75"));
    let sheet = member("planilha.xlsx").await;
    assert!(sheet.words().contains("<script>célula</script>") && sheet.words().contains("34.5"), "{}", sheet.words());
    assert!(sheet.words().contains("Carga <b>"), "{}", sheet.words());
    let empty = view(&app, &format!("/revisions/{}?member=planilha.xlsx&sheet=1", revisions[0])).await;
    assert!(empty.words().contains("Esta planilha está vazia."), "{}", empty.words());
    let long = member("longo.txt").await;
    assert!(long.words().contains("só o começo é mostrado") && long.text.len() < 400_000, "{}", long.text.len());
    assert!(member("nada.bin").await.words().contains("não é texto, tabela nem imagem"));
    assert!(member("figura.png").await.text.contains("<img class=\"picture\" src=\"/revisions/"));
    assert!(member("doc.pdf").await.words().contains("Abrir o PDF"));
    let forged = member("falsa.png").await;
    assert!(forged.text.contains("&lt;html&gt;") && !forged.text.contains("class=\"picture\""), "{}", forged.text);
    assert_eq!(show(&app, &format!("/revisions/{}?member=nenhum", revisions[0]), &PT).await.status, 404);
}

#[tokio::test]
async fn published_pages_and_pictures_with_scripts_never_run_on_our_origin() {
    const HTML: &[u8] = b"<!doctype html><script>document.title = 'run'</script>";
    const SVG: &[u8] = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
    let deck = zip(&[
        ("pagina.html", HTML),
        ("figura.svg", SVG),
        ("doc.pdf", b"%PDF-1.4 x"),
        ("foto.jpg", b"\xff\xd8\xff\xe0 x"),
    ]);
    let (app, revisions) = with_revisions(Db::Sqlite, "Deck", "deck.zip", &[deck]).await;
    let id = &revisions[0];
    for member in ["pagina.html", "figura.svg"] {
        let download = app.get(&format!("/files/{id}/members/{member}")).await;
        let header =
            |name: &str| download.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
        assert!(header("content-disposition").starts_with("attachment"), "{member}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{member}");
        assert!(header("content-security-policy").contains("sandbox"), "{member}");
        // Shown as text, and not at all as itself.
        let shown = view(&app, &format!("/revisions/{id}?member={member}")).await;
        assert!(shown.words().contains("<script>"), "{}", shown.words());
        assert_eq!(app.get(&format!("/revisions/{id}/inline?member={member}")).await.status(), 415, "{member}");
    }
    for (member, media, policy) in
        [("doc.pdf", "application/pdf", "object-src 'self'"), ("foto.jpg", "image/jpeg", "sandbox")]
    {
        let shown = app.get(&format!("/revisions/{id}/inline?member={member}")).await;
        assert_eq!((shown.status().as_u16(), shown.headers()["content-type"].to_str().expect("text")), (200, media));
        assert_eq!(shown.headers()["x-content-type-options"], "nosniff");
        let policies = shown.headers()["content-security-policy"].to_str().expect("text");
        assert!(policies.starts_with("default-src 'none'") && policies.contains(policy), "{policies}");
    }
    // A file that is a page itself.
    let mut page = product(2, "Página", "pagina.html", HTML);
    page.is_file = true;
    app.portal.add(page);
    app.archive(2).await;
    let data = app.query("{ publications(filter: { extension: [\"html\"] }) { nodes { fileUrl } } }").await;
    if let Some(url) = data["publications"]["nodes"][0]["fileUrl"].as_str() {
        let download = app.get(url).await;
        assert!(download.headers()["content-disposition"].to_str().expect("text").starts_with("attachment"));
        assert!(download.headers()["content-security-policy"].to_str().expect("text").contains("sandbox"));
    }
}

#[tokio::test]
async fn hostile_names_of_files_and_members_are_shown_in_every_view() {
    let names = hostile_names();
    let file_name = "\"><script>alert(1)</script>.zip";
    let members: Vec<(String, Vec<u8>)> =
        names.iter().enumerate().map(|(at, name)| (format!("pasta/{name}{at}.txt"), vec![b'x'; at + 1])).collect();
    let members: Vec<(&str, &[u8])> = members.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
    let contents = [zip(&members), zip(&members[1..])];
    let (app, revisions) = with_revisions(Db::Sqlite, &names[0], file_name, &contents).await;
    let Ids { product, publication, revision } = ids(&app).await;
    let listed = app
        .query_with(
            "query($id: ID!) { revision(id: $id) { members { nodes { path } } } }",
            json!({ "id": revisions[0] }),
        )
        .await;
    let mut paths = vec![
        "/".to_owned(),
        "/products".to_owned(),
        format!("/products/{product}"),
        format!("/publications/{publication}"),
        format!("/revisions/{revision}"),
        format!("/compare?from={}&to={}", revisions[0], revisions[1]),
    ];
    for member in listed["revision"]["members"]["nodes"].as_array().expect("a list") {
        let pairs = [("member", member["path"].as_str().expect("a path"))];
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        paths.push(format!("/revisions/{}?{query}", revisions[0]));
        paths.push(format!("/compare?from={}&to={}&{query}", revisions[0], revisions[1]));
    }
    assert_eq!(paths.len(), 6 + 8);
    for path in &paths {
        let shown = view(&app, path).await;
        assert_eq!(shown.status, 200, "{path}");
        for raw in ["<script>", "<img src=x", "\u{202e}", "\u{200f}"] {
            assert!(!shown.text.contains(raw), "{path} has {raw:?}");
        }
    }
}

#[tokio::test]
async fn what_does_not_exist_is_said_in_a_page() {
    let app = TestApp::start().await;
    let id = "00000000-0000-7000-8000-000000000000";
    for path in ["products", "publications", "revisions"]
        .map(|kind| [format!("/{kind}/{id}"), format!("/{kind}/x")])
        .as_flattened()
    {
        let shown = view(&app, path).await;
        assert_eq!(shown.status, 404, "{path}");
        assert!(shown.words().contains("Não encontrado"), "{}", shown.words());
    }
}
