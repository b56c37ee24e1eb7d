# import, export, restore, backup, verify, compact, retention, retry, reindex, lost, hold, hook, config
cli-progress-of = { $done } de { $total } { $what }
cli-progress-left = { $done } de { $total }, faltam { $seconds } s
cli-progress-eta = faltam { $eta }
cli-progress-files = { $done }/{ $total } arquivos, 
cli-progress-publications = publicações
cli-progress-rows = linhas
cli-progress-tables = tabelas comparadas
cli-progress-indexed = publicações indexadas

# import
cli-import-one-path = --manifest descreve uma única pasta ou tar; informe um só CAMINHO com ele
cli-import-unreadable = não é possível ler { $path }
cli-import-is-folder = { $path } é uma pasta; informe --manifest, que descreve os arquivos dela
cli-import-no-archive = não há acervo em { $path }: use --create para criar um ou indique a pasta do acervo com --data-dir ou ACERVO_DATA_DIR
cli-import-ask-create = Não há acervo em { $path }. Criar um? [s/N]
cli-import-files-read = { $count ->
    [1] { $count } arquivo lido
   *[other] { $count } arquivos lidos
}
cli-import-read = { $count ->
    [1] { $count } notificação lida
   *[other] { $count } notificações lidas
}
cli-import-archived = { $count ->
    [1] { $count } arquivado como revisão
   *[other] { $count } arquivados como revisões
}
cli-import-would-archive = { $count ->
    [1] { $count } seria arquivado como revisão
   *[other] { $count } seriam arquivados como revisões
}
cli-import-queued = { $count } na fila; `acervo serve` baixa os arquivos
cli-import-would-queue = { $count } iriam para a fila; `acervo serve` baixa os arquivos
cli-import-expired = { $count } com link expirado; "Enviar Tudo", no portal, reenvia as atuais
cli-import-would-expire = { $count } ficariam com link expirado; "Enviar Tudo", no portal, reenvia as atuais
cli-import-known = { $count ->
    [1] { $count } ignorado, pois já existe
   *[other] { $count } ignorados, pois já existem
}
cli-import-refused = { $count ->
    [1] { $count } recusado pelo motivo acima
   *[other] { $count } recusados pelos motivos acima
}
cli-import-stopped = interrompido antes do fim; importe de novo para continuar

# export, restore, backup
cli-export-left = { $path }: não exportado: { $reason }
cli-export-added = { $count ->
    [1] { $count } arquivo acrescentado, { $size } gravados
   *[other] { $count } arquivos acrescentados, { $size } gravados
}
cli-export-manifest = { $state ->
    [new] o manifesto é novo
   *[same] o manifesto não mudou
}
cli-export-removed = { $count ->
    [1] { $count } revisão não tem mais arquivo; veja acima e no manifesto
   *[other] { $count } revisões não têm mais arquivo; veja acima e no manifesto
}
cli-restore-missing-file = { $path }: não restaurado: { $reason }
cli-restore-resumed = continuou de onde a última restauração foi interrompida
cli-restore-files = { $count ->
    [1] { $count } arquivo armazenado, { $size }
   *[other] { $count } arquivos armazenados, { $size }
}
cli-restore-not-exported = { $count ->
    [1] { $count } arquivo não está na exportação e foi marcado como danificado
   *[other] { $count } arquivos não estão na exportação e foram marcados como danificados
}
cli-restore-missing = { $count ->
    [1] { $count } arquivo falta ou está errado; veja acima
   *[other] { $count } arquivos faltam ou estão errados; veja acima
}
cli-restore-incomplete = a instância não está completa: reponha os arquivos e repita o comando, ou use --accept-missing
cli-restore-rows = { $count ->
    [1] { $count } linha gravada, e o índice de busca construído
   *[other] { $count } linhas gravadas, e o índice de busca construído
}
cli-restore-ended = { $count ->
    [1] { $count } notificação aguardava um arquivo cujo link não está na exportação; "Enviar Tudo", no portal, reenvia as atuais
   *[other] { $count } notificações aguardavam arquivos cujos links não estão na exportação; "Enviar Tudo", no portal, reenvia as atuais
}
cli-backup-postgres = o banco de dados é PostgreSQL, que `acervo backup` não copia. Copie primeiro o banco (pg_dump --format=custom --file=acervo.dump) e depois a pasta do acervo, sem que a retenção seja executada nesse meio-tempo: veja "PostgreSQL" em docs/operations.pt-BR.md
cli-backup-missing-file = { $digest }: não está no backup: { $reason }
cli-backup-copied = { $count ->
    [1] { $count } arquivo copiado, { $size }
   *[other] { $count } arquivos copiados, { $size }
}
cli-backup-shared = { $count ->
    [1] { $count } arquivo compartilha os bytes com o acervo no mesmo disco, { $size }
   *[other] { $count } arquivos compartilham os bytes com o acervo no mesmo disco, { $size }
}
cli-backup-pruned = { $count ->
    [1] { $count } arquivo removido, que o acervo não tem mais
   *[other] { $count } arquivos removidos, que o acervo não tem mais
}
cli-backup-missing = { $count ->
    [1] { $count } arquivo falta no acervo; veja acima e `acervo verify --repair`
   *[other] { $count } arquivos faltam no acervo; veja acima e `acervo verify --repair`
}
cli-backup-database = o banco de dados foi copiado; o índice é construído pelo serviço que usar o backup

# migrate-to
cli-migrate-not-a-folder = `{ $path }` não é uma pasta válida; o esperado é um caminho como /srv/acervo/archive
cli-migrate-damaged-file = { $digest }: danificado aqui e, por isso, também na cópia: { $reason }
cli-migrate-complete-before = a cópia já estava completa e tem todas as linhas desta instância; nada foi copiado
cli-migrate-resumed = continuou de onde a última cópia foi interrompida
cli-migrate-present = { $count ->
    [1] { $count } arquivo já tinha sido copiado
   *[other] { $count } arquivos já tinham sido copiados
}
cli-migrate-removed = { $count ->
    [1] { $count } arquivo removido da cópia, que o acervo não tem mais
   *[other] { $count } arquivos removidos da cópia, que o acervo não tem mais
}
cli-migrate-damaged = { $count ->
    [1] { $count } arquivo está danificado; veja acima. Na cópia ele está marcado como danificado; veja `acervo verify --repair`
   *[other] { $count } arquivos estão danificados; veja acima. Na cópia eles estão marcados como danificados; veja `acervo verify --repair`
}
cli-migrate-rows = { $count ->
    [1] { $count } linha copiada; as { $tables } tabelas são iguais nos dois bancos de dados
   *[other] { $count } linhas copiadas; as { $tables } tabelas são iguais nos dois bancos de dados
}
cli-migrate-done = a cópia está completa: configure database_url e archive_url com os endereços dela e inicie o serviço lá. Não inicie este de novo
cli-migrate-only-files = só os arquivos foram copiados: pare o serviço e execute de novo sem --only-files
cli-migrate-stopped = interrompido antes do fim; execute o mesmo comando de novo para continuar

# verify, compact, reindex
cli-verify-continues = execute `acervo verify` de novo para continuar daqui
cli-verify-continued = continuação de uma verificação interrompida
cli-verify-next = o que fazer: { $step }
cli-verify-index = o índice de busca não foi verificado: está sendo construído, ainda não tem todas as mudanças ou não pode ser lido
cli-verify-repaired = reparados: { $count }; ainda danificados: { $left }
cli-verify-nothing = nada danificado
cli-verify-broken = danificados: { $count }
cli-verify-summary = { $files } arquivos verificados, { $size } em { $seconds } s ({ $rate } MB/s): { $broken }
cli-verify-file = arquivo { $digest }:{" "}
cli-verify-no-publication = uma publicação que não existe
cli-verify-needed = usado por { $product }, revisão { $number } ({ $revision }), publicação { $publication }: { $file }
cli-compact-continues = execute `acervo compact` de novo para continuar daqui
cli-compact-nothing = não há nada a compactar
cli-compact-all = total
cli-compact-damaged = { $count ->
    [1] { $count } arquivo não pôde ser lido e foi marcado como danificado; `acervo verify --repair` repara o que for possível
   *[other] { $count } arquivos não puderam ser lidos e foram marcados como danificados; `acervo verify --repair` repara o que for possível
}
cli-reindex-done = { $count ->
    [1] { $count } publicação indexada
   *[other] { $count } publicações indexadas
}
cli-reindex-requested = o serviço em execução reconstrói o índice; `acervo status` mostra o andamento

# retention, hold, retry, lost
cli-retention-not-deleted = { $count ->
    [1] { $count } arquivo não pôde ser excluído (veja o log); haverá nova tentativa
   *[other] { $count } arquivos não puderam ser excluídos (veja o log); haverá nova tentativa
}
cli-retention-restored = { $count ->
    [1] { $count } revisão recuperada
   *[other] { $count } revisões recuperadas
}
cli-retention-run = execução { $id }: { $count ->
    [1] { $count } revisão { $kind ->
        [dry] a remover
       *[done] removida
    }
   *[other] { $count } revisões { $kind ->
        [dry] a remover
       *[done] removidas
    }
}, { $size }; { $after }
cli-retention-undone = desfeita em { $at }
cli-retention-swept = exclusão definitiva em { $at }
cli-retention-sweep-after = exclusão definitiva depois de { $at }; até lá: acervo retention undo { $id }
cli-retention-unchanged = nada foi alterado
cli-retention-summary = { $keep } mantidas, { $remove } removidas, { $size } liberados
cli-retention-nothing = nada a remover: { $summary }
cli-hold-held = { $id } está protegida: { $reason }
cli-hold-released = { $id } não está mais protegida
cli-retry-counts = { $matched } encontradas, { $queued } de volta à fila, { $expired } com link expirado
cli-retry-expired = links expirados: use "Enviar" nesses produtos, no portal
cli-lost-none = nada se perdeu
cli-lost-acknowledged = { $count ->
    [1] { $count } perda reconhecida
   *[other] { $count } perdas reconhecidas
}
cli-lost-by = { $at } por { $by }

# hook
cli-hook-redelivered = { $count ->
    [1] o serviço reenviará { $count } evento; `acervo hook log { $name }` mostra o resultado
   *[other] o serviço reenviará { $count } eventos; `acervo hook log { $name }` mostra o resultado
}
cli-hook-enabled = o hook `{ $name }` voltou a enviar
cli-hook-answered = o destino de `{ $name }` respondeu { $status }
cli-hook-mailed = o servidor de e-mail de `{ $name }` aceitou a mensagem
cli-hook-begins = começa quando o serviço for iniciado
cli-hook-unknown-error = desconhecido
cli-hook-unconfigured = não está na configuração
cli-hook-disabled = DESATIVADO desde { $at }: { $error }; `acervo hook enable { $name }`
cli-hook-failing = FALHANDO desde { $since }, { $attempts } tentativas, próxima em { $next }: { $error }
cli-hook-last-sent = último envio em { $at }
cli-hook-nothing-sent = nada enviado ainda
cli-hook-sent-again = {" "}(será reenviado)

# config
cli-config-open = aberto a qualquer um que consiga se conectar
cli-config-credentials = com credenciais
cli-config-webhook = , { $address } só para o webhook
cli-config-keys = { $count ->
    [1] { $count } chave
   *[other] { $count } chaves
}
cli-config-reading-open = , a leitura não exige chave
cli-config-by-hand = manual
cli-config-policies = { $count ->
    [1] { $count } política
   *[other] { $count } políticas
}
cli-config-valid = a configuração é válida
    endereço   { $listen }
    dados      { $data }
    receptor   { $receiver }
    api        { $api }
    download   de { $hosts }
    retenção   { $retention }
    hooks      { $hooks }
cli-config-no-service = nenhum serviço usa { $path } agora
cli-config-not-taken = o serviço mantém a configuração atual: { $why }
cli-config-nothing-changed = nada mudou que um serviço em execução possa aplicar
cli-config-taken = aplicado: { $keys }
cli-config-restart = mudou e exige reinício: { $keys }
cli-config-would-remove = {"  "}removeria { $count } revisões agora
cli-config-policy = {""}
    política `{ $name }`: { $rules }
cli-config-matches = {"  "}os nomes dela correspondem a { $matched } de { $products } produtos
cli-config-unmatched = {"  "}aviso: `{ $pattern }` não corresponde a nenhum produto

# remove
cli-remove-extent = { $name } ({ $id }): { $publications } publicações, { $revisions } revisões, { $size } armazenados só para ele
cli-remove-held = revisões protegidas: { $count }; enquanto houver alguma, nada é removido
cli-remove-waiting = notificações que aguardam o arquivo: { $count }; ele será arquivado quando chegar
cli-remove-without-terminal = para remover o produto sem um terminal, use --yes "{ $name }"
cli-remove-ask = Para remover o produto, digite o nome dele:
cli-remove-no-id = não existe o produto { $id }; `acervo search` lista publicações
cli-remove-no-name = não existe produto com o nome `{ $name }`; informe o nome completo ou o id
cli-remove-several = vários produtos têm o nome `{ $name }`; informe o id de um deles: { $ids }
cli-remove-none = nenhum produto foi removido
cli-remove-undone = desfeita em { $at }
cli-remove-deleted = arquivos excluídos em { $at }
cli-remove-in-progress = em andamento
cli-remove-deleted-after = arquivos serão excluídos depois de { $at }; até lá: acervo retention undo { $id }
cli-remove-complete = concluída
cli-remove-record = { $at }: { $name } ({ $id }) por { $by }: { $reason }
    {"  "}revisões: { $count }, { $size }; { $state }

# Uma política de retenção em palavras: "das publicações com o nome A ou B mantém todas; das revisões delas, as 2 mais recentes".
policy-rules = das publicações com { $matches } mantém { $publications }; das revisões delas, { $revisions }
policy-or = {" ou "}
policy-and = {" e "}
policy-any = qualquer nome
policy-name = o nome
policy-process = o processo
policy-macro-process = o macroprocesso
policy-extension = a extensão
policy-larger = mais de { $size }
policy-all = todas
policy-within = aquelas cujo período terminou há no máximo { $span }
policy-daily = { $count ->
    [one] a última do dia mais recente em que começa um período
   *[other] a última de cada um dos { $count } dias mais recentes em que começa um período
}
policy-weekly = { $count ->
    [one] a última da semana mais recente em que começa um período
   *[other] a última de cada uma das { $count } semanas mais recentes em que começa um período
}
policy-monthly = { $count ->
    [one] a última do mês mais recente em que começa um período
   *[other] a última de cada um dos { $count } meses mais recentes em que começa um período
}
policy-yearly = { $count ->
    [one] a última do ano mais recente em que começa um período
   *[other] a última de cada um dos { $count } anos mais recentes em que começa um período
}
policy-latest = { $count ->
    [one] a mais recente
   *[other] as { $count } mais recentes
}
policy-superseded = as substituídas há no máximo { $span }

# Durações.
unit-zero = zero
unit-years = { $count ->
    [one] { $count } ano
   *[other] { $count } anos
}
unit-months = { $count ->
    [one] { $count } mês
   *[other] { $count } meses
}
unit-weeks = { $count ->
    [one] { $count } semana
   *[other] { $count } semanas
}
unit-days = { $count ->
    [one] { $count } dia
   *[other] { $count } dias
}
unit-hours = { $count ->
    [one] { $count } hora
   *[other] { $count } horas
}
unit-minutes = { $count ->
    [one] { $count } minuto
   *[other] { $count } minutos
}
unit-seconds = { $count ->
    [one] { $count } segundo
   *[other] { $count } segundos
}
