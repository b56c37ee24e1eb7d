//! Which parts of a user name identify a person on their own.

/// Words that name a department, a model, a report or a plant, not a person: a company may subscribe with a shared mailbox, and
/// `carga@example.com.br` must not remove "Carga" from the names of products. Spelled as in mailboxes.
const SHARED: &[&str] = &[
    "acompanhamento",
    "acomph",
    "admin",
    "administrador",
    "agente",
    "agentes",
    "alerta",
    "alertas",
    "analise",
    "angra",
    "arquivo",
    "arquivos",
    "atendimento",
    "automacao",
    "bacia",
    "bacias",
    "balanco",
    "boletim",
    "boletins",
    "boletos",
    "brasil",
    "carga",
    "ccee",
    "cemig",
    "cenarios",
    "cesp",
    "chesf",
    "chuva",
    "chuvas",
    "clima",
    "comercial",
    "comercializacao",
    "comercializadora",
    "contato",
    "copel",
    "dados",
    "dadvaz",
    "deck",
    "decks",
    "decomp",
    "default",
    "dessem",
    "diaria",
    "diario",
    "distribuicao",
    "download",
    "downloads",
    "eletrobras",
    "eletronorte",
    "eletrosul",
    "email",
    "energetica",
    "energetico",
    "energia",
    "engenharia",
    "engie",
    "eolica",
    "estudos",
    "financeiro",
    "furnas",
    "geracao",
    "gevazp",
    "hidraulica",
    "hidrologia",
    "hidrologico",
    "info",
    "informacao",
    "informes",
    "infra",
    "intercambio",
    "ipdo",
    "itaipu",
    "jirau",
    "light",
    "limites",
    "link",
    "links",
    "mailbox",
    "medicao",
    "mensal",
    "mercado",
    "meteorologia",
    "middle",
    "modelagem",
    "modelo",
    "modelos",
    "newave",
    "noreply",
    "notas",
    "notificacao",
    "notificacoes",
    "operacao",
    "operacoes",
    "operador",
    "patamar",
    "petrobras",
    "planejamento",
    "portal",
    "prazo",
    "precipitacao",
    "preco",
    "precos",
    "previsao",
    "previsoes",
    "previvaz",
    "process",
    "processo",
    "produto",
    "produtos",
    "programacao",
    "receiver",
    "recepcao",
    "regulacao",
    "relatorio",
    "relatorios",
    "resultado",
    "resultados",
    "rios",
    "risco",
    "riscos",
    "robo",
    "satelite",
    "semanal",
    "server",
    "servico",
    "servicos",
    "sintegre",
    "sistema",
    "sistemas",
    "solar",
    "status",
    "suporte",
    "tecnica",
    "tecnico",
    "termica",
    "trading",
    "transmissao",
    "tucurui",
    "usina",
    "usinas",
    "vazao",
    "vazoes",
    "webhook",
    "webmaster",
];

/// The local part of an address, and the log-in name after a Windows domain, in lower case as the name is.
pub(super) fn personal_parts(name: &str) -> Vec<String> {
    let account = name.rsplit(['\\', '/']).next().unwrap_or(name);
    let local = account.rsplit_once('@').map_or(account, |(local, _)| local).trim_matches('"');
    let mut parts = vec![local.to_owned()];
    // `user+folder@…` reaches the same person as `user@…`.
    parts.extend(local.split_once('+').map(|(user, _)| user.to_owned()));
    parts.retain(|part| is_personal(part));
    parts
}

fn is_personal(part: &str) -> bool {
    part.chars().any(char::is_alphabetic) && !SHARED.contains(&part)
}

#[cfg(test)]
mod tests {
    use super::personal_parts;

    #[test]
    fn shared_mailboxes_and_numbers_are_not_persons() {
        assert_eq!(personal_parts("portal\\joao.canario"), ["joao.canario"]);
        assert_eq!(personal_parts("maria+ons@example.com.br"), ["maria+ons", "maria"]);
        for shared in ["carga@example.com.br", "2025@example.com.br", "previsao@x.br"] {
            assert_eq!(personal_parts(shared), Vec::<String>::new(), "{shared}");
        }
    }
}
