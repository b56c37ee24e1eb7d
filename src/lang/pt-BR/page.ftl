# A moldura de todas as páginas.
nav-label = Principal
nav-search = Busca
nav-products = Produtos
skip-to-content = Ir para o conteúdo
pages = Páginas
page-previous = Anterior
page-next = Próxima
copy = Copiar
copied = Copiado

# Palavras do acervo.
product = Produto
process = Processo
macro-process = Macroprocesso
granularity = Periodicidade
extension = Extensão
status = Situação
period = Período
revision = Revisão
revision-of = { $number } de { $count }
size = Tamanho
arrived = Chegada
download = Baixar
download-of = Baixar { $name }
granularity-day = Diária
granularity-week = Semanal
granularity-month = Mensal
granularity-other = Outros períodos

# Há quanto tempo algo ocorreu.
ago-now = agora
ago-minutes = há { $count } min
ago-hours = há { $count } h
ago-days = { $count ->
    [one] há { $count } dia
   *[other] há { $count } dias
}
ago-months = { $count ->
    [one] há { $count } mês
   *[other] há { $count } meses
}
ago-years = { $count ->
    [one] há { $count } ano
   *[other] há { $count } anos
}

# A busca.
search-title = Busca
search-title-of = { $search } – Busca
search-label = Buscar produtos e arquivos
search-placeholder = decomp novembro 2025, carga, ipdo…
search-button = Buscar
search-more = Onde, período, data do acervo, ordem
search-in = Buscar em
search-in-names = nomes
search-in-content = texto dentro dos arquivos
search-narrow = Refinar
search-inside-files = Buscar dentro dos arquivos
search-by-name = Buscar por nome
found-line = linha { $number }
search-empty = Nada encontrado. Remova uma condição ou use menos palavras.
search-count = { $count ->
    [one] { $shown } publicação
   *[other] { $shown } publicações
}
suggested-product = produto
suggested-alias = nome anterior
suggested-process = processo
suggested-macro-process = macroprocesso
suggested-file = arquivo
period-in-words = Período
period-from = de
period-to = até
as-of = Como era em
as-of-help = O acervo como era no fim deste dia em São Paulo
order-by = Ordem
span-any = qualquer
span-today = hoje
span-yesterday = ontem
span-week = últimos 7 dias
span-days-30 = últimos 30 dias
span-month = este mês
span-last-month = mês passado
span-year = este ano
span-last-year = ano passado
order-period-desc = período mais recente
order-period-asc = período mais antigo
order-archived-desc = últimas arquivadas
order-archived-asc = primeiras arquivadas
order-name = por nome
order-size = maiores primeiro
order-relevance = mais relevantes
facets-label = Refinar
facet-more = { $count ->
    [one] mais { $count }
   *[other] mais { $count }
}
chosen-label = Condições escolhidas
chosen-remove = remover
chosen-from = desde { $day }
chosen-to = até { $day }
chosen-as-of = como era em { $at }
bad-parameter = O endereço tem o valor “{ $value }” para “{ $name }”, que não é válido. Corrija o endereço ou comece uma nova busca.

# Exportações e receitas.
take-title = Usar este resultado em outro lugar
take-xlsx = Planilha do Excel
take-csv-excel = CSV para Excel
take-files = Todos os arquivos (zip)
take-recipes = Receitas para copiar
take-key = Troque KEY pela sua chave da API.

# Erros.
error-bad-request = O pedido não é válido
error-unauthenticated = É preciso uma chave
error-unauthenticated-help = Este acervo é protegido. Peça uma chave da API a quem o opera.
error-forbidden = Não permitido
error-not-found = Não encontrado
error-not-found-help = Pode ter sido removido, ou o endereço está incompleto.
error-gone = Removido
error-unavailable = O serviço está ocupado
error-unavailable-help = Tente de novo em alguns segundos.
error-internal = Algo deu errado
error-internal-help = O log do serviço tem os detalhes.
error-details = Detalhes
error-to-search = Voltar à busca

# Produtos.
products-label = Nome do produto
products-all = Todos
products-late = Atrasados
products-missing = Faltando
products-lost = Perdidos
products-last-days = Últimos { $days } dias
products-none-in-state = Nenhum produto está nesta situação. Ótimo.
publications = Publicações
revisions = Revisões
size-published = Publicado
size-stored = Armazenado
list-path = Lista no portal
product-empty = Nada foi publicado ainda.
publications-all = { $count ->
    [one] { $shown } publicação
   *[other] Todas as { $shown } publicações
}
calendar = Histórico
calendar-older = Anos anteriores
calendar-noted = { $count ->
    [one] { $count } período pede atenção
   *[other] { $count } períodos pedem atenção
}
calendar-noted-help = Para obter um arquivo que falta ou foi perdido, aperte “Enviar” deste produto no portal; ele envia de novo a última versão.
due-at = esperada até { $at }
state-archived = Arquivada
state-late = Atrasada
state-awaited = Aguardada
state-missing = Faltando
state-lost = Perdida
state-purged = Removida
states-help = O que estas palavras significam
means-archived = O arquivo está no acervo.
means-late = O arquivo costuma ter chegado a esta hora. Ainda pode chegar.
means-awaited = Anunciada, ou ainda dentro do prazo: o arquivo não está aqui.
means-missing = O arquivo nunca chegou e passou demais do prazo para ainda ser esperado. Nenhuma notificação o anunciou.
means-lost = Foi anunciada, mas o link expirou ou falhou antes de o arquivo ser buscado. “Enviar”, no portal, manda de novo.
means-purged = A retenção removeu o arquivo. O que se sabe dele fica.
products-none-yet = Nenhum entre os produtos vistos até aqui. A próxima página continua procurando.
products-none-more = Não há mais.
aliases = Nomes ao longo do tempo
name = Nome
first-seen = Visto pela primeira vez
last-seen = Visto pela última vez
plots = Gráficos
plot-sizes = Tamanho de cada publicação
plot-sizes-said = { $count } publicações, a maior com { $max }
plot-arrivals = Quando os arquivos chegam (São Paulo)
plot-arrivals-said = A maioria chega na { $day } às { $hour } h
plot-stored = Bytes publicados e armazenados, somados
plot-stored-said = { $published } publicados (linha cheia), armazenados em { $stored } (linha tracejada)

# Publicações e suas revisões.
reference-date = Data do produto
last-notification = Última notificação
publication-empty = Foi anunciada, e nenhum arquivo foi arquivado ainda.
revisions-in-time = Revisões no tempo
revision-number = Revisão { $number }
archived = arquivada
superseded = substituída
latest = a mais recente
held = protegida
as-of-show = Mostrar
as-of-was = A revisão { $number } era a mais recente.
as-of-none = O acervo ainda não tinha um arquivo dela.
compare = Comparar
compare-title = O que mudou
compare-from = De
compare-to = Para
compare-button = Comparar
compare-last = O que mudou no último arquivo em relação ao anterior
compare-previous = Comparar com o arquivo anterior ({ $period })
compare-swap = Trocar os lados
compare-same = Os arquivos são iguais.
compare-binary = Os conteúdos diferem e não são texto.
compare-all-members = Todos os membros
members-added = { $count ->
    [one] { $shown } membro novo
   *[other] { $shown } membros novos
}
members-removed = { $count ->
    [one] { $shown } removido
   *[other] { $shown } removidos
}
members-renamed = { $count ->
    [one] { $shown } renomeado
   *[other] { $shown } renomeados
}
members-changed = { $count ->
    [one] { $shown } alterado
   *[other] { $shown } alterados
}
cells-changed = { $count ->
    [one] { $shown } célula
   *[other] { $shown } células
}
lines = linhas
lines-cut = São mostradas as primeiras { $count } de { $total } linhas.
member = Membro
members = Membros
change = Mudança
size-before = Tamanho antes
size-after = Tamanho depois
change-not-text = não é texto
renamed-from = antes:
kind-added = novo
kind-removed = removido
kind-changed = alterado
kind-renamed = renomeado
cells = Células
cell = Célula
sheet = Planilha
value-before = Antes
value-after = Depois

# Arquivos.
file-purged = A retenção removeu este arquivo em { $at }. O que se sabe dele permanece.
members-count = { $count ->
    [one] { $count } membro
   *[other] { $count } membros
}
members-matching = { $total ->
    [one] { $count } de { $total } membro
   *[other] { $count } de { $total } membros
}
members-more = { $count ->
    [one] Mais { $count } não é listado. Filtre para encontrá-lo.
   *[other] Mais { $count } não são listados. Filtre para encontrá-los.
}
members-filter = Parte do caminho
filter-button = Filtrar
filter-all = Mostrar todos
members-none = O zip não tem membros que possam ser listados. Baixe-o.
preview = Prévia
preview-cut = só o começo é mostrado
preview-unreadable = Este conteúdo não pode ser mostrado. Baixe-o.
preview-too-large = Planilhas com mais de { $max } não são mostradas. Baixe-a.
preview-binary = Este conteúdo não é texto, tabela nem imagem. Baixe-o.
download-member = Baixar este membro
open-pdf = Abrir o PDF
sheets = Planilhas
sheet-empty = Esta planilha está vazia.
note-same-content = Só o nome é outro: o conteúdo é o mesmo.
note-too-large = Este texto tem mais de { $mebibytes } MiB e, por isso, não é comparado linha a linha.
note-one-zip = Um dos arquivos é um zip e o outro não, portanto o conteúdo deles não é comparado.
note-same-members = Os arquivos dentro dos zips são os mesmos: só mudaram datas ou a forma de compactação.
note-files-too-large = Arquivos de mais de { $gibibytes } GiB não são comparados.
note-not-unpacked = Este conteúdo não pode ser descompactado e, por isso, não foi comparado.
note-first-no-zip = O primeiro arquivo não abre como zip.
note-second-no-zip = O segundo arquivo não abre como zip.
note-members-cut = Um zip tem mais membros do que são comparados: membros que só o outro arquivo tem não são listados.
note-changes-cut = Mais de { $count } membros diferem: os demais são contados e não listados.
note-unfinished = A comparação chegou ao limite de tempo ou de bytes: nem todos os membros foram descompactados e comparados.
note-encoding = A codificação mudou de { $before } para { $after }.
note-line-ends = Os fins de linha mudaram de { $before } para { $after }.
line-ends-none = nenhum
line-ends-mixed = LF e CRLF
note-sheets-added = Planilhas novas: { $sheets }
note-sheets-removed = Planilhas removidas: { $sheets }
note-sheets-renamed = Planilhas renomeadas: { $sheets }
note-too-many-lines = Este texto tem { $lines } linhas; até { $most } são comparadas.
note-unreadable = A pasta de trabalho não pode ser lida e, por isso, suas células não foram comparadas.
diff-cut = Há mais mudanças do que as mostradas aqui.
diff-no-end = sem fim de linha no fim do arquivo
