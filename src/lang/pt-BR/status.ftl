# `acervo status`. Os rótulos têm no máximo 20 caracteres.
cli-status-service = serviço
cli-status-running = em execução{ $at }
cli-status-not-running = parado{ $at }; inicie-o com `acervo serve`
cli-status-at = {" "}em { $address }
cli-status-starting = está iniciando
cli-status-other-version = é de outra versão; reinicie-o
cli-status-ready = pronto
cli-status-yes = sim
cli-status-no = não
cli-status-not-ready = não: { $why }
cli-status-times = horários
cli-status-times-of = de São Paulo, agora { $now }
cli-status-needs = exige ação
cli-status-needs-nothing = nada
cli-status-last-notification = última notificação
cli-status-no-notification = nenhuma
cli-status-waiting = em andamento
cli-status-waiting-counts = { $queued } na fila, { $fetching } em download, { $retrying } aguardando nova tentativa
cli-status-oldest = espera mais longa
cli-status-received = recebida em { $when }
cli-status-next-expiry = próximo link expira
cli-status-no-expiry = nenhum
cli-status-settled = concluídas
cli-status-settled-counts = { $archived } com arquivo novo, { $unchanged } sem mudança
cli-status-not-settled = sem arquivo
cli-status-not-settled-counts = { $expired } com link expirado, { $failed } com falha, { $rejected } rejeitadas
cli-status-unresolved = a processar
cli-status-unresolved-counts = { $count ->
    [1] { $count } notificação, recebida em { $since }
   *[other] { $count } notificações, a primeira recebida em { $since }
}
cli-status-warned = com aviso
cli-status-warned-counts = { $count } nos últimos 7 dias; o último: { $last }
cli-status-paused-host = host em pausa
cli-status-until = { $host }, até { $when }
cli-status-wrong-keys = chaves inválidas
cli-status-wrong-keys-counts = { $count }, a última em { $last }
cli-status-lost = publicações perdidas
cli-status-lost-acknowledged = , { $count } com perda já reconhecida (`acervo lost --all`)
cli-status-products = produtos
cli-status-publications = publicações
cli-status-revisions = revisões
cli-status-files = arquivos
cli-status-sizes = { $published } publicados, { $stored } armazenados
cli-status-disk = disco livre
cli-status-disk-of = { $free } de { $size }
cli-status-unknown = desconhecido
cli-status-index-lag = atraso do índice
cli-status-changes = { $count ->
    [1] { $count } mudança
   *[other] { $count } mudanças
}
cli-status-replica = réplica { $name }
cli-status-replica-lag = atraso do índice { $count }, versão { $version }
cli-status-replica-gone = SEM SINAL desde { $when }
cli-status-replica-leads = , executa os trabalhos agendados
cli-status-content-lag = atraso do texto
cli-status-content-read = texto de { $read } arquivos, { $partly } deles em parte; { $unreadable } ilegíveis
cli-status-damaged = arquivos danificados
cli-status-revision = { $name } (revisão { $id })
cli-status-hook = hook { $name }
cli-status-hook-dead = , DESISTIU de { $count ->
    [1] { $count } evento
   *[other] { $count } eventos
}: veja `acervo hook dead { $name }`
cli-status-such-as = , por exemplo { $name }
cli-status-helps-retrying = novas tentativas são feitas automaticamente até o link expirar
cli-status-helps-failed = corrija o que o motivo indica; depois, `acervo retry --status failed` ou "Enviar"
cli-status-helps-expired = use "Enviar" no produto, no portal
cli-status-verification = verificação
cli-status-cycle-none = ainda incompleta
cli-status-cycle-complete = completa em { $when }
cli-status-cycle-progress = , ciclo atual { $percent } %
cli-status-cycle-broken = , { $count } COM DANO: `acervo verify` lista cada caso e o que fazer
cli-status-replay = último reenvio
cli-status-no-replay = nenhum
cli-status-replay-counts = { $state ->
    [waiting] baixando
    [ended] concluído
   *[other] em andamento
}, iniciado em { $when }: { $announced } notificadas ({ $known } já conhecidas), { $unchanged } sem mudança, { $new } novas, { $failed } com falha, { $waiting } em espera, { $added } a mais
cli-status-source = fonte { $name }
cli-status-received-from = última em { $when }
cli-status-never-received = nunca enviou
cli-status-silent = , EM SILÊNCIO há mais tempo do que o histórico dela indica
cli-status-denied = , { $count ->
    [1] { $count } login recusado
   *[other] { $count } logins recusados
}, o último em { $when }
cli-status-job = tarefa { $name }
cli-status-job-outcome = { $outcome ->
    [succeeded] concluída
    [failed] FALHOU
   *[other] { $outcome }
} em { $when }
cli-status-job-running = em execução desde { $when }
cli-status-job-by-hand = nenhuma execução agendada ainda; `acervo retention runs` lista as manuais
cli-status-job-never = nenhuma execução agendada ainda
cli-status-job-unscheduled = sem agendamento
cli-status-job-next = próxima em { $when }
cli-status-key = chave
cli-status-key-use = { $name } ({ $role }) { $used }
cli-status-key-unused = nunca usada
cli-status-key-used = usada pela última vez em { $when }
cli-status-key-expired = expirada
cli-status-key-valid = válida
cli-status-key-revoked = revogada em { $when }

# O que exige ação e o que fazer.
cli-need-not-ready = o serviço não está pronto: { $why }
cli-need-not-ready-helps = veja o log do serviço
cli-need-not-running = o serviço está parado
cli-need-not-running-helps = inicie-o com `acervo serve`
cli-need-space = nenhum arquivo é baixado: { $why }
cli-need-space-helps = libere espaço ou use um disco maior para o acervo
cli-need-expiring = { $count ->
    [1] { $count } link está prestes a expirar, e o arquivo ainda não foi baixado: { $names }
   *[other] { $count } links estão prestes a expirar, e os arquivos ainda não foram baixados: { $names }
}
cli-need-expiring-helps = veja abaixo o motivo; depois que expirarem, use "Enviar" nesses produtos, no portal
cli-need-expiring-there = { $count ->
    [one] { $count } link expira em breve, e o arquivo ainda não foi baixado
   *[other] { $count } links expiram em breve, e os arquivos ainda não foram baixados
}
cli-need-expiring-there-helps = `acervo status` naquela máquina explica por quê
cli-need-lost = { $count ->
    [1] { $count } publicação perdida: { $names }
   *[other] { $count } publicações perdidas: { $names }
}
cli-need-lost-helps = use "Enviar" nesses produtos, no portal, ou `acervo acknowledge --all`; `acervo lost` lista todas
cli-need-unresolved = { $count ->
    [1] { $count } notificação ainda não foi processada
   *[other] { $count } notificações ainda não foram processadas
}
cli-need-unresolved-helps = o campo `error` delas no GraphQL e o log explicam por quê
cli-need-damaged = { $count ->
    [1] { $count } arquivo danificado
   *[other] { $count } arquivos danificados
}
cli-need-damaged-helps = use "Enviar" nesses produtos, no portal, ou importe os arquivos de novo
cli-need-broken = { $count ->
    [1] { $count } item danificado no acervo
   *[other] { $count } itens danificados no acervo
}
cli-need-broken-helps = `acervo verify` lista cada um e o que fazer
cli-need-dead = o hook { $name } desistiu de { $count ->
    [1] { $count } evento
   *[other] { $count } eventos
}
cli-need-dead-helps = `acervo hook dead { $name }` lista os eventos; `acervo hook redeliver { $name }` os reenvia
cli-need-job = a tarefa agendada { $name } falhou
cli-need-job-helps = o log explica por quê; ela será executada de novo no próximo horário
cli-need-denied = os logins da fonte { $name } são recusados
cli-need-denied-helps = compare { $keys } com o formulário do portal; é o que `POST { $path }` espera
cli-need-silent = a fonte { $name } não envia nada há mais tempo do que o histórico dela indica
cli-need-silent-helps = verifique "Exibir Detalhes" no portal e se o portal consegue acessar este endereço

# `acervo status --url`
cli-status-version = { $address }, versão { $version }
cli-status-dying = links a expirar
cli-status-fetching-waits = downloads parados
cli-status-host = host { $name }
cli-status-paused-until = em pausa até { $when }
cli-status-outcome-next = { $outcome ->
    [succeeded] concluída
    [failed] FALHOU
   *[other] { $outcome }
}, próxima em { $when }
cli-status-no-run = nenhuma execução ainda
