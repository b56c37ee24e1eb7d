# init, demo, simulate, token, config
cli-demo-portal = portal  { $address }  ({ $count } products, simulated)
    acervo  { $url }
    {""}
    pressing "Enviar Tudo" …
cli-demo-archived = archived { $files } files of { $products } products in { $seconds } s: { $published } published, { $stored } stored
cli-demo-last = What was published last?
cli-demo-newave = NEWAVE decks: words in any order, without accents, the last one incomplete
cli-demo-members = Which files are in them?
cli-demo-hints = {""}
    ask      { $ask }
    publish  acervo simulate publicar { $product } --at { $portal }
    data     { $folder }  (removed at the end)
cli-demo-ends = {""}
    Ctrl-C ends it
cli-demo-not-accepted = { $count } of { $sent } notifications were not accepted
cli-demo-slow = { $done } of { $expected } were archived in { $seconds } s
cli-demo-no-products = `--products 0` is not valid; the portal needs at least one product
cli-demo-example-failed = the example failed: { $why }
cli-demo-loopback = listen: others can reach { $address }; the demo only runs on a loopback address
cli-demo-no-port = no free port
cli-demo-progress = archived
cli-demo-progress-index = { $size }  index { $lag } behind
cli-init-url = `{ $text }` is not a valid address; expected one such as https://acervo.example.com
cli-init-username = expected letters, digits, and - _ . @
cli-init-exists = `{ $path }` exists already and is not changed; remove it, or name another file with --config
cli-init-unwritable = `{ $path }` cannot be written
cli-init-folder = the current folder cannot be read
cli-init-user = {"  "}user      { $username }
    {"  "}password  { $password }
cli-init-token = {"  "}token     { $token }
cli-init-next = wrote { $path }, which only you can read
    {""}
    the portal's form (Meu Perfil → Configuração de webhook → Novo):
    {"  "}URL       { $url }/webhook
    { $form }
    {""}
    the key of the API, shown this once: { $key }
    {""}
    next:
    {"  "}acervo{ $config } config check
    {"  "}acervo{ $config } serve
    {"  "}acervo{ $config } status
cli-token-new = key (shown this once): { $key }
    {""}
    for acervo.toml:
    {""}
    { $lines }
cli-token-past = `{ $text }` is over: the key would be refused; give a later date
cli-token-name = the name is empty or has control characters; give one such as power-bi
cli-token-none = no keys; `acervo token new` makes one
cli-token-unknown = the configuration has no key `{ $name }`; it has { $names }
cli-token-unknown-of-none = the configuration has no key `{ $name }`; it has none
cli-token-refused = the running service refuses it
cli-token-no-service = no service runs on this data folder; a service refuses it once it runs
cli-token-refused-soon = the running service did not answer; it refuses the key within seconds
cli-token-revoked = `{ $name }` is revoked: { $effect }. This cannot be undone; `acervo token new` makes another key.
cli-token-remove = {""}
    to remove from the configuration:
    {""}
    { $lines }
cli-token-of-api = `api.token` or `api.token_file` in acervo.toml, or ACERVO_API_TOKEN or ACERVO_API_TOKEN_FILE
cli-simulate-started = simulated portal at { $address } with { $count } products, sending to { $webhook }
    {""}
    press its buttons from another terminal: acervo simulate enviar-tudo{ $at }
    its links point to this machine; to fetch them, start the service with
    acervo serve --set fetch.allowed_hosts={ $host } --set fetch.allow_private=true
cli-simulate-published = published a version of product { $number }: { $response }
cli-simulate-no-response = no response
cli-simulate-no-portal = there is no portal at { $address }; start one with `acervo simulate`
cli-simulate-answered = the portal answered { $status }: { $text }
cli-simulate-files = --files: { $path } cannot be read: { $why }
cli-simulate-listen = --at: cannot listen on { $address }
