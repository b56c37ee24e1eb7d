# Acesso.
login-title = Entrar
login-key = Chave da API
login-button = Entrar
login-help = Quem opera este acervo fornece as chaves (`acervo token new`). O navegador guarda uma sessão por algumas horas, não a chave.
login-wrong = A chave não é conhecida aqui.
login-ended = A chave expirou ou foi revogada. Peça uma nova.
login-too-many = Vieram chaves erradas demais deste endereço. Tente de novo mais tarde.
logged-in-as = Acesso com a chave
log-out = Sair
nav-operation = Operação
nav-query = Consulta

# A visão de quem opera.
operation-title = Operação
live-none = Recarregue para atualizar.
live-on = Ao vivo
live-off = Sem conexão: o que é mostrado pode estar desatualizado.
needs-title = Precisa de atenção
need-nothing = Nada.
need-disk = Nenhum arquivo é buscado, porque o disco está cheio demais.
need-disk-helps = Libere espaço ou dê ao acervo um disco maior.
need-expiring = { $count ->
    [one] { $count } link expira em breve, e o arquivo ainda não chegou.
   *[other] { $count } links expiram em breve, e os arquivos ainda não chegaram.
}
need-expiring-helps = A lista abaixo diz por quê. Depois que um link expira, pressione “Enviar” para o produto no portal.
need-lost = { $count ->
    [one] { $count } publicação está perdida.
   *[other] { $count } publicações estão perdidas.
}
need-lost-helps = Pressione “Enviar” para esses produtos no portal.
need-failed = { $count ->
    [one] { $count } notificação falhou.
   *[other] { $count } notificações falharam.
}
need-failed-helps = Corrija o que o motivo indica e tente de novo.
need-damaged = { $count ->
    [one] { $count } arquivo está danificado.
   *[other] { $count } arquivos estão danificados.
}
need-damaged-helps = Pressione “Enviar” para o produto no portal ou importe o arquivo de novo.
need-broken = { $count ->
    [one] { $count } item do acervo está com defeito.
   *[other] { $count } itens do acervo estão com defeito.
}
need-broken-helps = `acervo verify` lista todos com o próximo passo.
need-denied = Os acessos da origem { $source } são recusados.
need-denied-helps = Compare o token ou a senha do formulário do portal com a configuração.
need-silent = A origem { $source } está em silêncio por mais tempo do que seu histórico torna provável.
need-silent-helps = Veja “Exibir Detalhes” no portal e se o portal alcança este endereço.
need-hook = { $count ->
    [one] O hook { $hook } desistiu de { $count } evento.
   *[other] O hook { $hook } desistiu de { $count } eventos.
}
need-hook-helps = Estão na lista abaixo e podem ser enviados de novo.
need-job = A tarefa “{ $job }” falhou.
need-job-helps = O log diz por quê. Ela roda de novo no próximo horário.
state-title = Situação
tile-waiting = Aguardando arquivos
tile-waiting-more = { $fetching } em busca, { $retrying } a repetir
tile-next-expiry = Próximo link expira em
tile-expiring-soon = { $count } expiram em breve
tile-last = Última notificação
tile-lost = Publicações perdidas
tile-lost-more = { $count ->
    [one] e { $count } reconhecida
   *[other] e { $count } reconhecidas
}
tile-archive = Acervo em disco
tile-archive-more = { $revisions } revisões, { $size } como publicado
tile-disk = Livre no disco
tile-disk-of = de { $size }
links-title = Links que expiram primeiro
links-none = Nenhum arquivo é aguardado.
bursts-title = Rajadas (“Enviar Tudo”)
bursts-none = Ainda não houve rajada.
burst-arriving = chegando
burst-fetching = buscando arquivos
burst-done = concluída
burst-progress = { $settled } de { $announced } resolvidas
burst-detail = { $new } novas, { $unchanged } sem mudança, { $failed } com falha, { $known } já conhecidas, { $bytes } a mais
lost-title = Publicações perdidas
lost-none = Nenhuma publicação está perdida.
lost-advice = O link de cada uma expirou ou falhou antes de o arquivo chegar. No portal, pressione “Enviar” para o produto ou “Enviar Tudo” para todos. “Reenviar Pendentes” não ajuda: para o portal, essas notificações foram entregues.
lost-shown = São listadas as últimas { $shown } de { $total }.
press-enviar = Pressione “Enviar” para este produto no portal.
acknowledge = Reconhecer
acknowledge-all = Reconhecer todas
acknowledge-help = Uma perda reconhecida não gera mais alarme. O arquivo continua perdido até ser enviado de novo.
failed-title = Outras notificações sem arquivo
failed-none = Não há nenhuma.
failed-shown = As últimas { $shown } de { $total }.
helps-failed = Corrija o que o motivo indica e tente de novo, ou pressione “Enviar” para este produto no portal.
helps-rejected = O conteúdo não pôde ser usado. Só outra notificação ajuda.
reason = Motivo
retry = Tentar de novo
retry-now = Tentar agora
notification-queued = na fila
notification-fetching = em busca
notification-retrying = a repetir
notification-archived = arquivada
notification-unchanged = sem mudança
notification-expired = expirada
notification-failed = com falha
notification-rejected = rejeitada
means-queued = O arquivo será buscado assim que houver lugar.
means-fetching = O arquivo está sendo buscado agora.
means-retrying = Uma tentativa falhou. A próxima vem sozinha.
means-unchanged = O arquivo é o que o acervo já tem.
means-expired = O link expirou antes de o arquivo ser buscado.
means-failed = O portal recusou o arquivo, ou ele não pode ser guardado. Nada mais é tentado sozinho.
means-rejected = O corpo da notificação não pôde ser usado.
done-retry = { $count ->
    [one] { $count } notificação está na fila de novo.
   *[other] { $count } notificações estão na fila de novo.
}
done-retry-dead = { $count ->
    [one] O link expirou. Pressione “Enviar” para o produto no portal.
   *[other] { $count } links expiraram. Pressione “Enviar” para esses produtos no portal.
}
done-retry-none = Não há o que tentar de novo: o arquivo já chegou ou está a caminho.
done-acknowledge = { $count ->
    [one] { $count } perda foi reconhecida.
   *[other] { $count } perdas foram reconhecidas.
}
done-hold = A revisão está protegida da retenção.
done-release = A revisão não está mais protegida.
done-undo = O que a execução removeu está sendo restaurado.
done-redeliver = { $count ->
    [one] { $count } evento será enviado de novo.
   *[other] { $count } eventos serão enviados de novo.
}
sources-title = Origens
sources-none = Nenhuma origem enviou nada ainda.
source-ok = como de costume
source-silent = em silêncio
paused-host = { $host } falhou repetidamente e não recebe requisições até { $until }.
jobs-title = Tarefas agendadas
job-retention = retenção
job-index = conferência do índice
job-verify = verificação
job-compact = compactação
by-hand = manual
runs-last = Últimas execuções
outcome-succeeded = concluída
outcome-failed = falhou
outcome-interrupted = interrompida
outcome-running = em execução
plots-title = Movimento
plot-notifications = Notificações por dia
plot-bytes = Bytes arquivados por dia
plot-latency = Do recebimento até poder ser encontrado, desde o início do serviço
plot-most = no máximo { $value }
plot-numbers = Números
plan-title = Plano de retenção
plan-no-policies = Nenhuma política remove nada.
plan-make = Mostrar o que as políticas removeriam agora
plan-summary = { $keep } revisões ficam, { $remove } seriam removidas, { $bytes } seriam liberados.
retention-title = Execuções da retenção
retention-none = Ainda não houve execução.
run-running = em execução
run-dry = simulação
run-ended = concluída
run-undone = desfeita { $at }
run-swept = arquivos apagados { $at }
run-undo-until = pode ser desfeita até { $at }
undo = Desfazer
holds-title = Revisões protegidas
holds-none = Nenhuma revisão está protegida.
hold-id = Id da revisão
hold = Proteger
release = Liberar
hooks-title = Hooks
hooks-none = Nenhum hook está configurado.
hook-removed = não está mais na configuração
letters-title = Eventos que não foram entregues
redeliver = Enviar de novo
redeliver-all = Enviar todos de novo
redeliver-requested = será enviado de novo
event-archived = arquivada
event-lost = perdida
event-late = atrasada
event-silent = silêncio
event-burst-ended = fim de uma rajada
column-actions = Ações
column-at = Quando
column-attempts = Tentativas
column-button = O que traz de volta
column-date = Data do produto
column-day = Dia
column-dead = Desistências
column-denied = Acessos recusados
column-endpoint = Destino
column-error = Último erro
column-event = Evento
column-expires = Expira em
column-file = Arquivo
column-freed = Liberado
column-helps = O que ajuda
column-hook = Hook
column-job = Tarefa
column-lag = Atraso
column-last = Última notificação
column-last-run = Última execução
column-lost-at = Perdida
column-next-run = Próxima execução
column-reason = Motivo
column-received = Recebida
column-removed = Removidas
column-schedule = Agenda
column-since = Desde
column-source = Origem
column-started = Início
column-value = Valor
column-within = Em até

# O editor de consultas.
query-title = Consulta GraphQL
query-document = Consulta
query-variables = Variáveis (JSON)
query-help = Ctrl+Enter executa, Ctrl+Espaço completa, Esc fecha a lista, e um segundo Esc sai do campo.
query-run = Executar
query-copy-as = Copiar como
query-copied-as = Para
query-result = Resultado
query-shape = Forma do resultado
query-tree = Árvore
query-table = Tabela
query-text = JSON
query-docs = Documentação
query-docs-search = Buscar tipo ou campo
query-docs-path = Posição na documentação
query-running = Executando…
query-done = Concluída
query-failed = Falhou
query-wrong-variables = As variáveis não são um objeto JSON.
query-no-table = O resultado não tem uma lista de objetos.
query-completions = Sugestões
query-types = Tipos
query-your-key = SUA_CHAVE

# Os primeiros passos.
start-title = Primeiros passos
start-progress = { $done } de { $count } passos concluídos. Cada um fica verde sozinho.
step-done = concluído
step-open = a fazer
start-complete = O acervo está em operação.
start-to-search = Ir para a busca
start-address = O endereço deste serviço
start-address-is = O portal e os usuários o alcançam em
start-address-none = O portal só alcança um endereço público com HTTPS. Defina-o em `acervo.toml` e reinicie o serviço:
start-form = O formulário do portal
start-form-where = No SINtegre, abra
start-form-user = Usuário
start-form-password = Senha
start-form-token = Token
start-form-login = Autenticação
start-form-secret = o valor da configuração em
start-form-open = nenhuma: quem alcança o endereço pode enviar notificações
start-form-products = Produtos
start-form-all = os desejados; todos são algumas centenas de arquivos por dia
start-form-denied = { $count ->
    [one] O portal esteve aqui { $count } vez com credenciais erradas. Compare-as com a configuração.
   *[other] O portal esteve aqui { $count } vezes com credenciais erradas. Compare-as com a configuração.
}
start-test = O teste: “Enviar”
start-test-press = No portal, pressione “Enviar” para um produto. A notificação chega em segundos.
start-test-came = A última notificação chegou
start-file = O primeiro arquivo
start-file-waits = O arquivo da notificação é buscado em seguida.
start-file-here = { $count ->
    [one] { $count } revisão está no acervo.
   *[other] { $count } revisões estão no acervo.
}
start-file-failed = Um arquivo não pôde ser buscado. O motivo está em
start-all = Todos os produtos: “Enviar Tudo”
start-all-press = No portal, pressione “Enviar Tudo”. Ele envia a última versão de cada produto.
