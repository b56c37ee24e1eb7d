# A ajuda da linha de comando. O inglês está no código, nos comentários de cada comando e opção.
#
# help-COMANDO: o comando; help-COMANDO--OPÇÃO: uma opção ou um argumento; help-COMANDO--OPÇÃO--VALOR: um valor.
# help--OPÇÃO vale para todos os comandos que não têm um texto próprio. help-value-NOME: o nome de um valor.

help = Arquiva tudo o que o ONS publica no portal SINtegre
help--config = O arquivo de configuração [ACERVO_CONFIG; padrão: acervo.toml, se existir]
help--listen = O endereço em que o serviço recebe conexões [ACERVO_LISTEN]
help--data_dir = A pasta do banco de dados, do acervo e do índice [ACERVO_DATA_DIR]
help--log = O nível do log: error, warn, info, debug ou trace [ACERVO_LOG]
help--log_format = O formato do log: text ou json [ACERVO_LOG_FORMAT]
help--set = Define uma chave qualquer da configuração, por exemplo fetch.concurrency=4; pode ser repetida
help--lang = O idioma da ajuda e das mensagens: en ou pt [ACERVO_LANG; padrão: o do sistema (LC_ALL, LC_MESSAGES, LANG)]
help--url = Consulta a instância neste endereço em vez do acervo desta máquina: search, get, diff, status, coverage [ACERVO_URL]
help--key = A chave dessa instância. Outros usuários desta máquina podem vê-la: prefira --key-file ou ACERVO_KEY
help--key_file = O arquivo com a chave dessa instância [ACERVO_KEY_FILE]
help--help = Mostra a ajuda
help--help-summary = Mostra a ajuda (mais detalhes com '--help')
help--help-long = Mostra a ajuda (resumo com '-h')
help--version = Mostra a versão
help--format = O formato da saída
help-help = Mostra a ajuda geral ou a de um comando

help-serve = Executa o serviço: recebe notificações, arquiva os arquivos e responde a consultas

help-demo = Executa uma demonstração: o serviço e um portal simulado nesta máquina
help-demo--exit = Termina depois do primeiro envio, em vez de continuar até Ctrl-C
help-demo--products = A quantidade de produtos no portal

help-simulate = Executa um portal SINtegre simulado ou aciona um dos seus botões
help--at = O endereço do portal
help-simulate--webhook = Para onde enviar as notificações
help-simulate--token = O token enviado com as notificações, sozinho em Authorization
help-simulate--username = O usuário enviado com as notificações (HTTP Basic)
help-simulate--password = A senha enviada com as notificações (HTTP Basic)
help-simulate--link_life = Por quanto tempo os links funcionam
help-simulate--products = A quantidade de produtos no catálogo
help-simulate--files = Publica os arquivos de uma pasta em vez do catálogo: cada arquivo é um produto; cada subpasta, um produto cujas versões são os arquivos dela
help-simulate--publish_every = Publica uma nova versão de um produto a cada intervalo
help-simulate-enviar = Envia a última versão de um produto
help-simulate-enviar--number = O número do produto
help-simulate-enviar-tudo = Envia a última versão de todos os produtos
help-simulate-reenviar-pendentes = Envia os produtos cujo último POST não recebeu 20x
help-simulate-publicar = Publica a próxima versão de um produto e a envia
help-simulate-publicar--number = O número do produto
help-simulate-detalhes = Mostra o resultado do último POST de cada produto ("Exibir Detalhes")
help-simulate-falhas = Faz os downloads falharem, conforme um JSON: '{"{"}"status":503,"times":10{"}"}'; '{"{"}{"}"}' encerra as falhas
help-simulate-falhas--faults = As falhas, em JSON

help-search = Pesquisa no acervo
help-search--place = Onde procurar as palavras
help-search--place--names = Em nomes, processos, nomes de arquivos e caminhos de arquivos internos
help-search--place--content = No texto dentro dos arquivos: PDFs, planilhas, CSV e outros textos, também dentro de zips
help-search--order = A ordem das linhas [padrão: relevance quando há palavras; senão, period]
help-search--order--relevance = Primeiro o que corresponde melhor; em caso de empate, o período mais recente
help-search--order--period = Primeiro o período mais recente
help-search--order--period-asc = Primeiro o período mais antigo
help-search--order--archived = Primeiro o que foi arquivado por último
help-search--order--archived-asc = Primeiro o que foi arquivado há mais tempo
help-search--order--received = Primeiro o que foi notificado por último
help-search--order--name = Por nome
help-search--order--size = Primeiro os maiores
help-search--color = Quando usar cores
help-search--color--auto = Em um terminal, a menos que NO_COLOR esteja definida
help-search--limit = O número máximo de linhas
help--text = Palavras procuradas, em qualquer ordem; a última pode estar incompleta. Datas e meses encontram pelo período: 20/11/2025, nov/2025, novembro
help-search--member = Lista os arquivos internos dos zips cujo caminho contém este texto ou segue um padrão como *vazoes*.dat
help-export--member = Só publicações cujo zip tem um arquivo interno com este texto no caminho ou com um padrão como *vazoes*.dat
help--process = Só processos cujo nome contém este texto
help--from = Só períodos que terminam neste dia ou depois (2025-02-20 ou 20/02/2025)
help--to = Só períodos que começam neste dia ou antes (2025-02-20 ou 20/02/2025)
help--status = Só estas situações: awaited (aguardando o arquivo), archived (arquivada), lost (perdida), purged (removida)
help--as_of = Mostra o acervo como era no fim de um dia em São Paulo (2025-02-20 ou 20/02/2025), em um horário de lá ("20/02/2025 14:30") ou em um instante (2025-02-20T12:00:00Z)

help-coverage = Mostra que produtos estão atrasados ou faltando
help-coverage--from = Só períodos que começam neste dia ou depois (2025-02-20 ou 20/02/2025) [padrão: 30 dias antes de --to]
help-coverage--to = Só períodos que começam neste dia ou antes (2025-02-20 ou 20/02/2025) [padrão: hoje]
help-coverage--product = Só produtos cujo nome contém este texto
help-coverage--state = Só períodos nestas situações
help-coverage--state--late = Atrasado, mas ainda pode ser publicado
help-coverage--state--missing = Atrasado há tanto tempo que dificilmente será publicado sem intervenção
help-coverage--state--lost = Notificado, mas o link expirou antes do download
help-coverage--state--arrived-late = Arquivado mais tarde do que o histórico do produto faz esperar

help-get = Baixa um arquivo do acervo
help-get--id = O id de uma revisão, ou o de uma publicação, que vale pela revisão mais recente
help-get--output = O arquivo de destino, ou - para a saída padrão [padrão: o nome publicado, na pasta atual]
help-get--member = Extrai este arquivo do zip; em um zip dentro de outro, externo.zip/interno.dat; ou o único que segue um padrão, por exemplo "dadger.rv?"
help-get--list = Lista os arquivos do zip, inclusive os de zips dentro dele
help-get--format = O formato da saída de --list
help-get--folder = Baixa para esta pasta os arquivos de todas as publicações encontradas, como produto/período/nome publicado. Os arquivos que já estão nela são mantidos, portanto um download interrompido pode ser repetido
help-get--search = Com -d: palavras procuradas, em qualquer ordem; a última pode estar incompleta
help-get--place = Onde procurar as palavras
help-get--place--names = Em nomes, processos, nomes de arquivos e caminhos de arquivos internos
help-get--place--content = No texto dentro dos arquivos: PDFs, planilhas, CSV e outros textos, também dentro de zips
help-get--force = Sobrescreve arquivos existentes cujo conteúdo é outro

help-diff = Mostra o que mudou entre duas revisões
help-diff--from = O id de uma revisão, ou o de uma publicação, que vale pela revisão mais recente
help-diff--to = O id da revisão com que comparar [padrão: a primeira é comparada com a revisão anterior a ela]
help-diff--search = Compara as duas últimas revisões do produto que estas palavras encontram
help-diff--as_of = Com --search: as duas últimas naquele momento (2025-02-20, 20/02/2025 ou 2025-02-20T12:00:00Z)
help-diff--member = Mostra, linha por linha, as mudanças deste arquivo do zip; do que segue um padrão, por exemplo "dadger.rv?"; ou de um zip dentro dele
help-diff--format--table = Uma linha para cada arquivo interno que difere; de textos e com --member, um diff unificado
help-diff--color = Quando usar cores
help-diff--color--auto = Em um terminal, a menos que NO_COLOR esteja definida

help-status = Mostra o estado do serviço: contagens, fila, links prestes a expirar, disco

help-import = Importa notificações de outro receptor ou arquivos que você já tem
help-import--paths = Arquivos com o corpo de uma notificação por linha (.ndjson, .gz, .zst); com --manifest, uma pasta ou um tar com os arquivos
help-import--manifest = Descreve os arquivos: CSV com cabeçalho ou NDJSON, com path, nome, dataProduto e outros campos (veja docs/import.pt-BR.md)
help-import--dry_run = Mostra o que seria importado, sem alterar nada
help-import--create = Cria o acervo se ele não existir, sem perguntar

help-retry = Devolve à fila notificações que falharam
help-retry--status = Só notificações nesta situação (failed, retrying, queued, expired); pode ser repetida
help-retry--product = Só produtos cujo nome contém este texto
help-retry--since = Só notificações recebidas desde este instante (2025-02-20T12:00:00Z) ou há no máximo este tempo (6h)

help-lost = Lista as publicações cujo arquivo se perdeu
help-lost--all = Lista também as que já foram reconhecidas
help-lost--limit = O número máximo de linhas

help-acknowledge = Registra que as perdas são conhecidas, o que encerra os alertas
help-acknowledge--ids = Os ids das publicações
help-acknowledge--all = Todas as publicações perdidas até agora

help-hold = Protege uma revisão contra a retenção
help-hold--id = O id da revisão
help-hold--reason = Por que a revisão deve ser mantida

help-release = Encerra a proteção de uma revisão
help-release--id = O id da revisão

help-hook = Lista os hooks e o que eles enviaram, e reenvia os eventos de que desistiram
help-hook-list = Lista os hooks: até onde cada um chegou e o que deu errado
help-hook-log = Lista as últimas tentativas, da mais recente para a mais antiga
help-hook-log--name = Só as deste hook
help-hook-log--limit = Quantas
help-hook-dead = Lista os eventos de que se desistiu, do mais recente para o mais antigo
help-hook-dead--name = Só os deste hook
help-hook-dead--limit = Quantos
help-hook-redeliver = Faz o serviço reenviar eventos de que o hook desistiu
help-hook-redeliver--name = O nome do hook
help-hook-redeliver--ids = Os ids dos eventos, como `acervo hook dead` os lista
help-hook-redeliver--all = Todos os eventos de que o hook desistiu
help-hook-enable = Faz voltar a enviar um hook cujo destino respondeu 410, ou tenta de novo imediatamente
help-hook-enable--name = O nome do hook
help-hook-test = Envia uma mensagem de teste agora
help-hook-test--name = O nome do hook

help-retention = Planeja, executa ou desfaz a retenção
help-retention-plan = Mostra o que as políticas removeriam, e por quê
help-retention-run = Aplica as políticas: marca revisões como removidas e exclui os arquivos cuja carência terminou
help--now = Planeja para este instante (RFC 3339) em vez de agora
help-retention-undo = Recupera o que uma execução removeu
help-retention-undo--run = O id da execução
help-retention-runs = Lista as últimas execuções

help-remove = Remove todos os arquivos de um produto, depois de uma confirmação
help-remove--product = O produto: o id ou o nome completo
help-remove--reason = Por que é removido, para o registro
help-remove--dry_run = Mostra o que seria removido, sem remover nada
help-remove--yes = Remove sem perguntar; repita o nome do produto
help-removals = Lista os produtos removidos: quem removeu, quando e por quê

help-verify = Relê o acervo e lista tudo o que está danificado
help-verify--sample = Verifica uma de T partes iguais do acervo: 1/30, 2/30, … 30/30 são o acervo inteiro
help-verify--max_rate = Lê no máximo isto por segundo, por exemplo "100 MiB"; "off" não impõe limite [padrão: verify.max_rate]
help-verify--repair = Repara o que puder: a partir de outro objeto do acervo, de --from ou de um link que ainda não expirou
help-verify--from = Repara a partir disto: a pasta de outro acervo, uma pasta com os arquivos ou o endereço de outro Acervo, cuja chave é lida de ACERVO_FROM_KEY; pode ser repetida
help-verify--restart = Começa de novo em vez de continuar uma verificação interrompida
help-verify--accept_empty = Verifica uma pasta de acervo sem nenhum objeto, como depois da perda de um disco: todos os arquivos faltam. Sem esta opção isso é um erro, pois provavelmente a pasta não está montada

help-compact = Recodifica os arquivos do acervo de forma densa
help-compact--rewrite = Recodifica também os arquivos que já são densos, com as codificações desta versão

help-export = Grava o acervo em pastas comuns com um manifesto, ou acrescenta o que há de novo
help-export--folder = A pasta de destino: nova, vazia ou a de uma exportação anterior com as mesmas opções
help-export--links = Exporta os links que não expiraram, para que uma instância restaurada possa baixar o que está pendente. Eles funcionam sem senha

help-restore = Cria uma instância a partir do que `acervo export` gravou
help-restore--folder = A pasta que `acervo export` gravou
help-restore--accept_missing = Restaura mesmo que faltem arquivos ou que haja arquivos errados: as revisões deles são marcadas como danificadas

help-backup = Copia o acervo em uso para outra pasta de dados, ou atualiza a cópia
help-backup--folder = A pasta de destino: nova, vazia ou a de um backup anterior
help-backup--prune = Remove do backup os arquivos que o acervo não tem mais
help-backup--copy = Copia todos os bytes, mesmo quando o sistema de arquivos poderia compartilhá-los com o acervo

help-migrate-to = Copia a instância para outro banco de dados e outro acervo: de uma máquina para várias, e de volta
help-migrate-to--database_url = O banco de dados de destino: postgres://… ou sqlite://…; deve estar vazio ou ter esta cópia em andamento
help-migrate-to--database_url_file = Um arquivo com esse endereço, que outros usuários desta máquina não possam ler
help-migrate-to--archive_url = O acervo de destino: s3://bucket/prefixo ou file:///…; deve estar vazio ou ter esta cópia em andamento
help-migrate-to--archive_dir = O mesmo, como pasta desta máquina
help-migrate-to--same_archive = Copia só o banco de dados: a cópia usa o acervo desta instância, que não deve mais ser usada
help-migrate-to--only_files = Copia só os arquivos, com o serviço em execução; depois de pará-lo, execute o comando de novo sem esta opção

help-reindex = Reconstrói o índice de busca

help-schema = Imprime o esquema GraphQL

help-init = Grava uma configuração com senhas e chaves novas e mostra o que preencher no formulário do portal
help-init--public_url = O endereço em que o portal acessa o serviço, por exemplo https://acervo.example.com
help-init--username = O usuário para o formulário do portal
help-init--token = O portal envia um token em vez de usuário e senha

help-config = Verifica a configuração, faz o serviço relê-la ou imprime os valores padrão
help-config-check = Aponta todos os problemas e explica o que as configurações significam
help-config-default = Imprime todas as configurações com os valores padrão
help-config-reload = Faz o serviço em execução reler a configuração

help-token = Cria, lista e revoga chaves da API
help-token-new = Mostra uma chave nova, uma única vez, e as linhas com o hash dela para acervo.toml
help-token-new--role = O papel: reader, operator ou admin
help-token-new--name = O nome da chave
help-token-new--expires = O último dia de validade, em São Paulo, por exemplo 2027-01-31; ou um instante
help-token-list = Lista as chaves: papéis, validade e último uso
help-token-revoke = Revoga uma chave: o serviço passa a recusá-la, mesmo que acervo.toml ainda a contenha
help-token-revoke--name = O nome da chave

help-value-address = ENDEREÇO
help-value-color = QUANDO
help-value-command = COMANDO
help-value-date = DATA
help-value-day = DIA
help-value-dir = PASTA
help-value-dir-url = PASTA|URL
help-value-duration = DURAÇÃO
help-value-faults = FALHAS
help-value-file = ARQUIVO
help-value-folder = PASTA
help-value-format = FORMATO
help-value-from = DE
help-value-id = ID
help-value-ids = IDS
help-value-instant = INSTANTE
help-value-key = CHAVE
help-value-key-value = CHAVE=VALOR
help-value-language = IDIOMA
help-value-level = NÍVEL
help-value-limit = N
help-value-n = N
help-value-n-t = N/T
help-value-name = NOME
help-value-number = NÚMERO
help-value-order = ORDEM
help-value-password = SENHA
help-value-path = CAMINHO
help-value-pattern = PADRÃO
help-value-place = LUGAR
help-value-process = TEXTO
help-value-product = PRODUTO
help-value-products = N
help-value-role = PAPEL
help-value-run = EXECUÇÃO
help-value-size = TAMANHO
help-value-state = SITUAÇÃO
help-value-status = SITUAÇÃO
help-value-text = TEXTO
help-value-to = COM
help-value-token = TOKEN
help-value-url = URL
help-value-username = USUÁRIO
help-value-words = PALAVRAS

# As palavras da própria ajuda e os erros de uso.

usage = Uso:
usage-commands = Comandos
usage-arguments = Argumentos
usage-options = Opções
usage-options-of-all = Opções de todos os comandos
usage-options-in-line = OPÇÕES
usage-default = [padrão: { $value }]
usage-values = [valores possíveis: { $values }]
usage-values-heading = Valores possíveis:
usage-error = erro: { $text }
usage-more = Para mais informações, use '--help'.
usage-similar = dica: você quis dizer { $names }?
usage-or = { $others } ou { $last }
usage-conflict = '{ $name }' não pode ser usado com { $other }
usage-conflict-any = outros argumentos informados
usage-repeated = '{ $name }' não pode ser usado mais de uma vez
usage-no-value = falta o valor de '{ $name }'
usage-invalid-value = o valor '{ $value }' não é válido para '{ $name }'
usage-invalid-value-why = o valor '{ $value }' não é válido para '{ $name }': { $why }
usage-unknown-command = o comando '{ $name }' não existe
usage-unknown-argument = o argumento '{ $name }' não existe
usage-missing = falta informar:
usage-missing-command = '{ $name }' precisa de um comando
usage-utf8 = um argumento não está em UTF-8
usage-number = não é um número inteiro
usage-range = { $value } não está em { $range }
