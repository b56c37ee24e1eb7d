files-count = { $count ->
    [1] { $count } arquivo
   *[other] { $count } arquivos
}

# Times.
cli-time-days = { $count } dias
cli-time-in = { $at } (daqui a { $distance })
cli-time-ago = { $at } (há { $distance })

# De vários comandos.
cli-error = erro: { $text }
cli-warning = aviso: { $text }
cli-nothing-found = nada encontrado
cli-nothing-found-in-names = nada encontrado nos nomes; --in content procura as palavras dentro dos arquivos
cli-none = nenhum
cli-never = nunca
cli-not-a-day = `{ $text }` não é um dia válido; use, por exemplo, 2025-02-20 ou 20/02/2025
cli-not-a-status = `{ $text }` não é uma situação válida; use awaited, archived, lost ou purged
cli-not-an-as-of = `{ $text }` não é um dia nem um instante válido; use 2025-02-20 ou 20/02/2025, que vale pelo fim desse dia em São Paulo, um horário de lá, por exemplo "20/02/2025 14:30", ou RFC 3339, por exemplo 2025-02-20T12:00:00Z
cli-not-an-instant = `{ $text }` não é um instante válido; use RFC 3339, por exemplo 2025-02-20T12:00:00Z
cli-not-a-since = `{ $text }` não é um instante nem uma duração válida; use, por exemplo, 2025-02-20T12:00:00Z ou 6h
cli-not-a-duration = `{ $text }` não é uma duração válida; use, por exemplo, 30s ou 24h
cli-not-an-id = `{ $text }` não é um id válido; `acervo search` lista os ids
cli-not-a-revision-id = `{ $text }` não é um id de revisão válido; `acervo search` lista os ids
cli-not-a-lost-id = `{ $text }` não é um id de publicação válido; `acervo lost` lista os ids
cli-no-such-id = nenhuma revisão ou publicação tem o id { $id }; `acervo search` lista os ids
cli-negative = `{ $text }` é negativo
cli-rows-of = { $count } de { $total }{ $more ->
    [yes] ; veja --limit
   *[no] {""}
}
cli-local-only = --url vale para search, coverage, get, diff e status; os outros comandos usam o acervo desta máquina
cli-lang-of-variable = ACERVO_LANG: o Acervo não fala `{ $text }`; use en ou pt

# As colunas das tabelas.
cli-column-name = nome
cli-column-reference-date = data do produto
cli-column-rev = rev
cli-column-status = situação
cli-column-archived = arquivado em
cli-column-file = arquivo
cli-column-size = tamanho
cli-column-revision-id = id da revisão
cli-column-member = arquivo interno
cli-column-modified = modificado em
cli-column-path = caminho
cli-column-product = produto
cli-column-process = processo
cli-column-period = período
cli-column-state = situação
cli-column-due = esperado até
cli-column-late-by = atraso
cli-column-role = papel
cli-column-expires = válida até
cli-column-last-used = último uso
cli-column-publication-id = id da publicação
cli-column-lost = perdida em
cli-column-why = motivo
cli-column-acknowledged = reconhecida
cli-column-policy = política
cli-column-frees = libera
cli-column-endpoint = destino
cli-column-events = eventos
cli-column-sent = enviados
cli-column-failed = falhas
cli-column-dead = desistências
cli-column-at = quando
cli-column-hook = hook
cli-column-event = evento
cli-column-message = mensagem
cli-column-attempt = tentativa
cli-column-outcome = resultado
cli-column-error = erro
cli-column-id = id
cli-column-attempts = tentativas
cli-column-files = arquivos
cli-column-dense = densos
cli-column-before = antes
cli-column-after = depois
cli-column-ratio = razão
