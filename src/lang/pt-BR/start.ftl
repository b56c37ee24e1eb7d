# init, demo, simulate, token, config
cli-demo-portal = portal  { $address }  ({ $count } produtos, simulado)
    acervo  { $url }
    {""}
    acionando "Enviar Tudo" …
cli-demo-archived = { $files } arquivos de { $products } produtos arquivados em { $seconds } s: { $published } publicados, { $stored } armazenados
cli-demo-last = O que foi publicado por último?
cli-demo-newave = Decks do NEWAVE: palavras em qualquer ordem, sem acentos, a última incompleta
cli-demo-members = Que arquivos há neles?
cli-demo-hints = {""}
    consulte  { $ask }
    publique  acervo simulate publicar { $product } --at { $portal }
    dados     { $folder }  (apagados no fim)
cli-demo-ends = {""}
    Ctrl-C encerra
cli-demo-not-accepted = { $count } de { $sent } notificações não foram aceitas
cli-demo-slow = só { $done } de { $expected } foram arquivadas em { $seconds } s
cli-demo-no-products = `--products 0` não é válido; o portal precisa de ao menos um produto
cli-demo-example-failed = o exemplo falhou: { $why }
cli-demo-loopback = listen: outros podem acessar { $address }; a demonstração só usa um endereço de loopback
cli-demo-no-port = nenhuma porta livre
cli-demo-progress = arquivados
cli-demo-progress-index = { $size }  índice atrasado em { $lag }
cli-init-url = `{ $text }` não é um endereço válido; use, por exemplo, https://acervo.example.com
cli-init-username = use letras, dígitos e - _ . @
cli-init-exists = `{ $path }` já existe e não é alterado; remova-o ou indique outro arquivo com --config
cli-init-unwritable = não é possível gravar `{ $path }`
cli-init-folder = não é possível ler a pasta atual
cli-init-user = {"  "}usuário   { $username }
    {"  "}senha     { $password }
cli-init-token = {"  "}token     { $token }
cli-init-next = { $path } gravado; só você pode lê-lo
    {""}
    formulário do portal (Meu Perfil → Configuração de webhook → Novo):
    {"  "}URL       { $url }/webhook
    { $form }
    {""}
    chave da API, mostrada só desta vez: { $key }
    {""}
    a seguir:
    {"  "}acervo{ $config } config check
    {"  "}acervo{ $config } serve
    {"  "}acervo{ $config } status
cli-token-new = chave (mostrada só desta vez): { $key }
    {""}
    para acervo.toml:
    {""}
    { $lines }
cli-token-past = `{ $text }` já passou: a chave seria recusada; informe uma data posterior
cli-token-name = o nome está vazio ou tem caracteres de controle; informe um nome como power-bi
cli-token-none = nenhuma chave; `acervo token new` cria uma
cli-token-unknown = a configuração não tem a chave `{ $name }`; tem { $names }
cli-token-unknown-of-none = a configuração não tem a chave `{ $name }`; não tem nenhuma
cli-token-refused = o serviço em execução já a recusa
cli-token-no-service = nenhum serviço usa esta pasta de dados agora; quando for iniciado, ele a recusará
cli-token-refused-soon = o serviço em execução não respondeu; em poucos segundos ele recusará a chave
cli-token-revoked = `{ $name }` foi revogada: { $effect }. Isto não pode ser desfeito; `acervo token new` cria outra chave.
cli-token-remove = {""}
    remova da configuração:
    {""}
    { $lines }
cli-token-of-api = `api.token` ou `api.token_file` em acervo.toml, ou ACERVO_API_TOKEN ou ACERVO_API_TOKEN_FILE
cli-simulate-started = portal simulado em { $address } com { $count } produtos, enviando para { $webhook }
    {""}
    acione os botões dele em outro terminal: acervo simulate enviar-tudo{ $at }
    os links dele apontam para esta máquina; para baixá-los, inicie o serviço com
    acervo serve --set fetch.allowed_hosts={ $host } --set fetch.allow_private=true
cli-simulate-published = publicada uma versão do produto { $number }: { $response }
cli-simulate-no-response = sem resposta
cli-simulate-no-portal = não há portal em { $address }; inicie um com `acervo simulate`
cli-simulate-answered = o portal respondeu { $status }: { $text }
cli-simulate-files = --files: não é possível ler { $path }: { $why }
cli-simulate-listen = --at: não é possível receber conexões em { $address }
