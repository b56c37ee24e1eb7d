# `acervo status`. Labels have at most 20 characters.
cli-status-service = service
cli-status-running = running{ $at }
cli-status-not-running = not running{ $at }; start it with `acervo serve`
cli-status-at = {" "}at { $address }
cli-status-starting = it is starting
cli-status-other-version = it is of another version; restart it
cli-status-ready = ready
cli-status-yes = yes
cli-status-no = no
cli-status-not-ready = no: { $why }
cli-status-times = times
cli-status-times-of = of São Paulo, now { $now }
cli-status-needs = needs a hand
cli-status-needs-nothing = nothing
cli-status-last-notification = last notification
cli-status-no-notification = none
cli-status-waiting = waiting
cli-status-waiting-counts = { $queued } queued, { $fetching } fetching, { $retrying } retrying
cli-status-oldest = oldest that waits
cli-status-received = received { $when }
cli-status-next-expiry = next link expires
cli-status-no-expiry = none
cli-status-settled = settled
cli-status-settled-counts = { $archived } archived, { $unchanged } unchanged
cli-status-not-settled = not settled
cli-status-not-settled-counts = { $expired } expired, { $failed } failed, { $rejected } rejected
cli-status-unresolved = not processed yet
cli-status-unresolved-counts = { $count ->
    [one] { $count } notification, the first received { $since }
   *[other] { $count } notifications, the first received { $since }
}
cli-status-warned = with a warning
cli-status-warned-counts = { $count } in the last 7 days, the last: { $last }
cli-status-paused-host = paused host
cli-status-until = { $host }, until { $when }
cli-status-wrong-keys = wrong API keys
cli-status-wrong-keys-counts = { $count }, the last { $last }
cli-status-lost = lost publications
cli-status-lost-acknowledged = , { $count } acknowledged (`acervo lost --all`)
cli-status-products = products
cli-status-publications = publications
cli-status-revisions = revisions
cli-status-files = files
cli-status-sizes = { $published } published, { $stored } stored
cli-status-disk = disk free
cli-status-disk-of = { $free } of { $size }
cli-status-unknown = unknown
cli-status-index-lag = index lag
cli-status-changes = { $count ->
    [one] { $count } change
   *[other] { $count } changes
}
cli-status-replica = replica { $name }
cli-status-replica-lag = index lag { $count }, version { $version }
cli-status-replica-gone = NOT HEARD OF since { $when }
cli-status-replica-leads = , runs the scheduled jobs
cli-status-content-lag = text index lag
cli-status-content-read = text of { $read } files, { $partly } of them in part, { $unreadable } unreadable
cli-status-damaged = damaged files
cli-status-revision = { $name } (revision { $id })
cli-status-hook = hook { $name }
cli-status-hook-dead = , { $count } events GIVEN UP: `acervo hook dead { $name }` lists them
cli-status-such-as = , such as { $name }
cli-status-helps-retrying = tried again by itself until the link expires
cli-status-helps-failed = correct what the reason names, then `acervo retry --status failed`, or "Enviar"
cli-status-helps-expired = press "Enviar" for the product on the portal
cli-status-verification = verification
cli-status-cycle-none = not complete yet
cli-status-cycle-complete = complete { $when }
cli-status-cycle-progress = , this cycle { $percent } %
cli-status-cycle-broken = , { $count } BROKEN: `acervo verify` lists them with the next step
cli-status-replay = last replay
cli-status-no-replay = none
cli-status-replay-counts = { $state ->
    [waiting] fetching
    [ended] done
   *[other] in progress
}, began { $when }: { $announced } announced ({ $known } known before), { $unchanged } unchanged, { $new } new, { $failed } failed, { $waiting } waiting, { $added } added
cli-status-source = source { $name }
cli-status-received-from = received { $when }
cli-status-never-received = never received
cli-status-silent = , SILENT for longer than its history makes likely
cli-status-denied = { $count ->
    [one] , { $count } login refused, the last { $when }
   *[other] , { $count } logins refused, the last { $when }
}
cli-status-job = job { $name }
cli-status-job-outcome = { $outcome } { $when }
cli-status-job-running = running since { $when }
cli-status-job-by-hand = no scheduled run yet; `acervo retention runs` lists those by hand
cli-status-job-never = no scheduled run yet
cli-status-job-unscheduled = no schedule
cli-status-job-next = next { $when }
cli-status-key = key
cli-status-key-use = { $name } ({ $role }) { $used }
cli-status-key-unused = never used
cli-status-key-used = last used { $when }
cli-status-key-expired = expired
cli-status-key-valid = valid
cli-status-key-revoked = revoked { $when }

# What needs a hand, and what helps.
cli-need-not-ready = the service is not ready: { $why }
cli-need-not-ready-helps = its log says more
cli-need-not-running = the service is not running
cli-need-not-running-helps = start it with `acervo serve`
cli-need-space = no file is fetched: { $why }
cli-need-space-helps = free some space, or give the archive a larger disk
cli-need-expiring = { $count ->
    [one] { $count } link expires soon, and its file is not fetched yet: { $names }
   *[other] { $count } links expire soon, and their files are not fetched yet: { $names }
}
cli-need-expiring-helps = see below why; once they have expired, press "Enviar" for these products on the portal
cli-need-expiring-there = { $count ->
    [one] { $count } link expires soon, and its file is not fetched yet
   *[other] { $count } links expire soon, and their files are not fetched yet
}
cli-need-expiring-there-helps = `acervo status` on that machine says why
cli-need-lost = { $count ->
    [one] { $count } publication is lost: { $names }
   *[other] { $count } publications are lost: { $names }
}
cli-need-lost-helps = press "Enviar" for these products on the portal, or `acervo acknowledge --all`; `acervo lost` lists them
cli-need-unresolved = { $count ->
    [one] { $count } notification is not processed yet
   *[other] { $count } notifications are not processed yet
}
cli-need-unresolved-helps = their `error` in GraphQL and the log say why
cli-need-damaged = { $count ->
    [one] { $count } file is damaged
   *[other] { $count } files are damaged
}
cli-need-damaged-helps = press "Enviar" for these products on the portal, or import the files again
cli-need-broken = { $count ->
    [one] { $count } item of the archive is broken
   *[other] { $count } items of the archive are broken
}
cli-need-broken-helps = `acervo verify` lists them with the next step
cli-need-dead = { $count ->
    [one] the hook { $name } gave up { $count } event
   *[other] the hook { $name } gave up { $count } events
}
cli-need-dead-helps = `acervo hook dead { $name }` lists them, `acervo hook redeliver { $name }` sends them again
cli-need-job = the scheduled job { $name } failed
cli-need-job-helps = the log says why; it runs again at its next time
cli-need-denied = logins of the source { $name } are refused
cli-need-denied-helps = compare { $keys } with the portal's form; they are what `POST { $path }` expects
cli-need-silent = the source { $name } is silent for longer than its history makes likely
cli-need-silent-helps = check the portal's "Exibir Detalhes", and whether the portal reaches this address

# `acervo status --url`
cli-status-version = { $address }, version { $version }
cli-status-dying = dying links
cli-status-fetching-waits = fetching waits
cli-status-host = host { $name }
cli-status-paused-until = paused until { $when }
cli-status-outcome-next = { $outcome }, next { $when }
cli-status-no-run = no run yet
