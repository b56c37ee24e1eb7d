# Os problemas que o HTTP responde (RFC 9457): títulos por status e os detalhes mais comuns.
title-400 = Requisição inválida
title-401 = Não autenticado
title-403 = Não permitido
title-404 = Não encontrado
title-405 = Método não permitido
title-406 = Formato não disponível
title-408 = A requisição demorou demais
title-410 = Não existe mais
title-412 = Condição não atendida
title-413 = Corpo grande demais
title-415 = Tipo de conteúdo não aceito
title-416 = Intervalo inválido
title-422 = Conteúdo inválido
title-429 = Requisições demais
title-500 = Erro interno
title-501 = Não disponível nesta instância
title-503 = Serviço indisponível
problem-no-key = é preciso uma chave: `Authorization: Bearer CHAVE`
problem-unknown-key = a chave não é conhecida aqui
problem-too-many-keys = chaves erradas demais vieram deste endereço; tente de novo daqui a pouco
problem-busy = há requisições demais em andamento; tente de novo em instantes
problem-no-page = não há nada neste endereço
problem-body-bytes = o corpo tem mais de { $bytes } bytes
problem-reading = há requisições demais sendo lidas ao mesmo tempo; envie de novo
problem-internal = erro interno; o log do serviço tem os detalhes
problem-stopping = o serviço está parando
problem-not-found = não existe { $what ->
    [revision] a revisão
    [publication] a publicação
    [product] o produto
    [file] o arquivo
    [member] o arquivo interno
    [hook] o hook
   *[other] { $what }
} { $id }
problem-no-member = não existe o arquivo interno `{ $path }` { $count ->
    [1] no arquivo da revisão { $revisions }
   *[other] nos arquivos das revisões { $revisions }
}; { $similar ->
    [none] GET /files/{ $id }/members lista os arquivos internos
   *[other] parecidos: { $similar }
}
problem-timeout = a consulta demorou mais de { $seconds } s; peça menos de uma vez
problem-overloaded = o serviço está ocupado com outras requisições; tente de novo em alguns segundos
problem-too-large = a resposta tem mais de { $mebibytes } MiB; peça menos de uma vez
problem-behind = este serviço mostra o feed até { $shown }, ainda não { $mark }, que `Acervo-Feed` exige; tente de novo ou permita uma espera maior com `Prefer: wait=SEGUNDOS`
problem-index-stopped = este serviço não está gravando o índice de busca agora, portanto nada de novo é encontrado; tente mais tarde
problem-not-a-file-id = `{ $id }` não é o id de uma revisão nem o SHA-256 de um arquivo
problem-purged = o arquivo foi removido pela retenção em { $at }: { $why }
problem-twice = `{ $name }` aparece duas vezes
problem-parameter = `{ $name }` não é um parâmetro desta exportação; ela tem { $known }
problem-origin = uma página de outra origem não pode fazer isto; inclua a origem dela em `api.cors_origins` ou defina `public_url` com o endereço por onde este serviço é acessado
problem-host = o Host da requisição não é um nome deste serviço: defina `public_url` ou acrescente o nome a `host_names` (ACERVO_HOST_NAMES)
