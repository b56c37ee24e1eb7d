# search, coverage, get, diff
cli-members-found = { $count ->
    [1] { $count } arquivo interno{ $more }
   *[other] { $count } arquivos internos{ $more }
}
cli-members-more = , e há mais; veja --limit
cli-members-in-content = --member lista arquivos internos pelo caminho: não use --in content
cli-content-needs-words = --in content precisa de palavras
cli-content-archived = arquivado em { $at }
cli-coverage-backwards = --to é { $to }, anterior a --from, { $from }
cli-coverage-state-late = { $state } com atraso
cli-coverage-summary = { $products } produtos, { $expected } períodos: { $archived } arquivados (com atraso: { $arrived_late }), { $late } atrasados, { $missing } faltando, { $lost } perdidos, { $awaited } aguardando o arquivo
cli-get-what = informe o id de uma revisão ou publicação; ou, para os arquivos que --search e os outros filtros encontram, uma pasta: -d PASTA
cli-get-filters = um arquivo indicado pelo id não é pesquisado; use os filtros com -d
cli-get-purged = o arquivo da revisão { $id } foi removido pela retenção em { $at }
cli-get-no-name = o arquivo não tem nome; informe um caminho com -o
cli-get-no-file = a publicação { $id } ainda não tem arquivo: a situação dela é { $status }
cli-get-no-members = nenhum arquivo interno: o arquivo não é um zip, ou ainda não foi listado
cli-get-not-written = { $path }: não gravado: { $reason }
cli-get-added = { $count ->
    [1] { $count } arquivo baixado, { $size } gravados
   *[other] { $count } arquivos baixados, { $size } gravados
}
cli-get-present = { $count ->
    [1] { $count } arquivo já existia
   *[other] { $count } arquivos já existiam
}
cli-get-replaced = { $count ->
    [1] { $count } arquivo tinha outro conteúdo e foi substituído
   *[other] { $count } arquivos tinham outro conteúdo e foram substituídos
}
cli-get-other = { $count ->
    [1] { $count } caminho tem outro conteúdo, que foi mantido; veja acima
   *[other] { $count } caminhos têm outro conteúdo, que foi mantido; veja acima
}
cli-get-failed = { $count ->
    [1] { $count } arquivo não pôde ser lido; veja acima e `acervo verify --repair`
   *[other] { $count } arquivos não puderam ser lidos; veja acima e `acervo verify --repair`
}
cli-get-missing = { $count ->
    [1] { $count } publicação sem arquivo; veja acima; --status archived a deixa de fora
   *[other] { $count } publicações sem arquivo; veja acima; --status archived as deixa de fora
}
cli-get-awaited = { $count ->
    [1] { $count } publicação aguarda o arquivo
   *[other] { $count } publicações aguardam o arquivo
}
cli-get-remote-no-id = { $address } não tem revisão nem publicação com o id { $id }; `acervo search` lista os ids
cli-get-broke-off = o download foi interrompido
cli-get-other-bytes = o que { $address } enviou não é o arquivo: o SHA-256 não é { $sha256 }; tente de novo
cli-diff-what = informe o id de uma revisão ou publicação, ou palavras que encontrem um produto, por exemplo --search "deck decomp"
cli-diff-from-to = de    { $from }
    para  { $to }
cli-diff-revision = { $name }, { $date }, revisão { $number }, { $file }, { $id }
cli-diff-others = { $count ->
    [1] { $count } outro produto também corresponde: { $names }; acrescente palavras para escolher um
   *[other] { $count } outros produtos também correspondem, por exemplo { $names }; acrescente palavras para escolher um
}

# Arquivos que os comandos gravam.
cli-target-folder = `{ $path }` é uma pasta; indique um arquivo nela com -o
cli-target-exists = `{ $path }` já existe; --force o substitui
cli-target-broken-link = `{ $path }` é um link simbólico quebrado
cli-target-unwritable = não é possível gravar `{ $path }`
cli-target-not-a-file = `{ $path }` não é o caminho de um arquivo; em -o, informe um, por exemplo deck.zip
cli-target-no-folder = a pasta `{ $path }` não existe; crie-a primeiro
cli-target-special = `{ $path }` não é um arquivo nem um pipe; nada foi gravado
cli-stdout-closed = não é possível escrever na saída padrão

# Uma instância remota.
cli-remote-no-url = --key e --key-file valem para uma instância remota: informe também --url
cli-remote-key-file = não é possível ler o arquivo de chave `{ $path }`
cli-remote-key-lines = o arquivo de chave `{ $path }` deve ter uma única linha, a chave
cli-remote-url = a URL da instância { $problem ->
    [invalid] não é válida
    [scheme] não começa com https:// ou http://
   *[more] tem mais do que um endereço: informe a chave com --key-file ou ACERVO_KEY
}; use, por exemplo, https://acervo.example.com
cli-remote-unencrypted = a chave é enviada a { $address } sem criptografia; use https
cli-remote-redirect = { $address } responde { $status }: informe o endereço para o qual ele redireciona
cli-remote-needs-key = { $address } exige uma chave: informe-a com --key-file ou ACERVO_KEY
cli-remote-wrong-key = { $address } não aceita a chave{ $detail }
cli-remote-answers = { $address } responde { $status }{ $detail }
cli-remote-unreachable = não é possível acessar { $address }
cli-remote-not-acervo = { $address } não responde como uma instância do Acervo
