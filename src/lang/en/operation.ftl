# Log-in.
login-title = Log in
login-key = API key
login-button = Log in
login-help = Whoever operates this archive gives out keys (`acervo token new`). The browser keeps a session for some hours, not the key.
login-wrong = The key is not known here.
login-ended = The key has expired or was revoked. Ask for a new one.
login-too-many = Too many wrong keys came from this address. Try again in a while.
logged-in-as = Logged in as
log-out = Log out
nav-operation = Operation
nav-query = Query

# The operator's view.
operation-title = Operation
live-none = Reload to update.
live-on = Live
live-off = Not connected: what is shown may be old.
needs-title = Needs a hand
need-nothing = Nothing.
need-disk = No file is fetched, because the disk is too full.
need-disk-helps = Free some space, or give the archive a larger disk.
need-expiring = { $count ->
    [one] { $count } link expires soon, and its file is not here yet.
   *[other] { $count } links expire soon, and their files are not here yet.
}
need-expiring-helps = The list below says why. Once a link has expired, press “Enviar” for its product on the portal.
need-lost = { $count ->
    [one] { $count } publication is lost.
   *[other] { $count } publications are lost.
}
need-lost-helps = Press “Enviar” for these products on the portal.
need-failed = { $count ->
    [one] { $count } notification failed.
   *[other] { $count } notifications failed.
}
need-failed-helps = Correct what the reason names, then try again.
need-damaged = { $count ->
    [one] { $count } file is damaged.
   *[other] { $count } files are damaged.
}
need-damaged-helps = Press “Enviar” for its product on the portal, or import the file again.
need-broken = { $count ->
    [one] { $count } item of the archive is broken.
   *[other] { $count } items of the archive are broken.
}
need-broken-helps = `acervo verify` lists them with the next step.
need-denied = Log-ins of the source { $source } are refused.
need-denied-helps = Compare the token or password in the portal's form with the configuration.
need-silent = The source { $source } is silent for longer than its history makes likely.
need-silent-helps = Check “Exibir Detalhes” on the portal, and whether the portal reaches this address.
need-hook = { $count ->
    [one] The hook { $hook } gave up { $count } event.
   *[other] The hook { $hook } gave up { $count } events.
}
need-hook-helps = They are listed below and can be sent again.
need-job = The job “{ $job }” failed.
need-job-helps = The log says why. It runs again at its next time.
state-title = State
tile-waiting = Waiting for files
tile-waiting-more = { $fetching } being fetched, { $retrying } to be retried
tile-next-expiry = Next link expires in
tile-expiring-soon = { $count } expire soon
tile-last = Last notification
tile-lost = Lost publications
tile-lost-more = { $count ->
    [one] and { $count } acknowledged
   *[other] and { $count } acknowledged
}
tile-archive = Archive on disk
tile-archive-more = { $revisions } revisions, { $size } as published
tile-disk = Free on the disk
tile-disk-of = of { $size }
links-title = Links that expire next
links-none = No file is waited for.
bursts-title = Bursts (“Enviar Tudo”)
bursts-none = There was no burst yet.
burst-arriving = arriving
burst-fetching = fetching files
burst-done = done
burst-progress = { $settled } of { $announced } settled
burst-detail = { $new } new, { $unchanged } unchanged, { $failed } failed, { $known } known before, { $bytes } added
lost-title = Lost publications
lost-none = No publication is lost.
lost-advice = The link of each expired or failed before its file was here. On the portal, press “Enviar” for the product, or “Enviar Tudo” for all. “Reenviar Pendentes” does not help: the portal takes these notifications for delivered.
lost-shown = The last { $shown } of { $total } are listed.
press-enviar = Press “Enviar” for this product on the portal.
acknowledge = Acknowledge
acknowledge-all = Acknowledge all
acknowledge-help = An acknowledged loss raises no alarm any more. The file stays lost until it is sent again.
failed-title = Other notifications without a file
failed-none = There are none.
failed-shown = The last { $shown } of { $total }.
helps-failed = Correct what the reason names and try again, or press “Enviar” for this product on the portal.
helps-rejected = Its body could not be used. Nothing helps but another notification.
reason = Reason
retry = Try again
retry-now = Try now
notification-queued = queued
notification-fetching = being fetched
notification-retrying = to be retried
notification-archived = archived
notification-unchanged = unchanged
notification-expired = expired
notification-failed = failed
notification-rejected = rejected
means-queued = Its file is to be fetched as soon as there is a free place.
means-fetching = Its file is being fetched now.
means-retrying = An attempt failed. The next one follows by itself.
means-unchanged = The file is the one that the archive has already.
means-expired = The link expired before the file was fetched.
means-failed = The portal refused the file, or it cannot be kept. Nothing more is tried by itself.
means-rejected = The body of the notification could not be used.
done-retry = { $count ->
    [one] { $count } notification is queued again.
   *[other] { $count } notifications are queued again.
}
done-retry-dead = { $count ->
    [one] The link has expired. Press “Enviar” for the product on the portal.
   *[other] { $count } links have expired. Press “Enviar” for these products on the portal.
}
done-retry-none = There is nothing to try again: the file is already here, or on its way.
done-acknowledge = { $count ->
    [one] { $count } loss is acknowledged.
   *[other] { $count } losses are acknowledged.
}
done-hold = The revision is protected from retention.
done-release = The revision is no longer protected.
done-undo = What the run removed is being restored.
done-redeliver = { $count ->
    [one] { $count } event is sent again.
   *[other] { $count } events are sent again.
}
sources-title = Sources
sources-none = No source has sent anything yet.
source-ok = as usual
source-silent = silent
paused-host = { $host } failed repeatedly and gets no requests until { $until }.
jobs-title = Scheduled jobs
job-retention = retention
job-index = check of the index
job-verify = verification
job-compact = compaction
by-hand = by hand
runs-last = Last runs
outcome-succeeded = succeeded
outcome-failed = failed
outcome-interrupted = interrupted
outcome-running = running
plots-title = Traffic
plot-notifications = Notifications per day
plot-bytes = Bytes archived per day
plot-latency = From received to found, since the start of the service
plot-most = at most { $value }
plot-numbers = Numbers
plan-title = Retention plan
plan-no-policies = No policy removes anything.
plan-make = Show what the policies would remove now
plan-summary = { $keep } revisions stay, { $remove } would be removed, { $bytes } would be freed.
retention-title = Runs of retention
retention-none = There was no run yet.
run-running = running
run-dry = dry run
run-ended = done
run-undone = undone { $at }
run-swept = files deleted { $at }
run-undo-until = can be undone until { $at }
undo = Undo
holds-title = Protected revisions
holds-none = No revision is protected.
hold-id = Id of the revision
hold = Protect
release = Release
hooks-title = Hooks
hooks-none = No hook is configured.
hook-removed = not in the configuration any more
letters-title = Events that were given up
redeliver = Send again
redeliver-all = Send all again
redeliver-requested = is sent again
event-archived = archived
event-lost = lost
event-late = late
event-silent = silence
event-burst-ended = end of a burst
column-actions = Actions
column-at = When
column-attempts = Attempts
column-button = What brings it back
column-date = Reference date
column-day = Day
column-dead = Given up
column-denied = Refused log-ins
column-endpoint = Endpoint
column-error = Last error
column-event = Event
column-expires = Expires in
column-file = File
column-freed = Freed
column-helps = What helps
column-hook = Hook
column-job = Job
column-lag = Behind
column-last = Last notification
column-last-run = Last run
column-lost-at = Lost
column-next-run = Next run
column-reason = Reason
column-received = Received
column-removed = Removed
column-schedule = Schedule
column-since = Since
column-source = Source
column-started = Began
column-value = Value
column-within = Within

# The editor of queries.
query-title = GraphQL query
query-document = Query
query-variables = Variables (JSON)
query-help = Ctrl+Enter runs the query, Ctrl+Space completes, Esc closes the list, and a second Esc leaves the field.
query-run = Run
query-copy-as = Copy as
query-copied-as = For
query-result = Result
query-shape = Form of the result
query-tree = Tree
query-table = Table
query-text = JSON
query-docs = Documentation
query-docs-search = Find a type or field
query-docs-path = Position in the documentation
query-running = Running…
query-done = Done
query-failed = Failed
query-wrong-variables = The variables are not a JSON object.
query-no-table = The result has no list of objects.
query-completions = Completions
query-types = Types
query-your-key = YOUR_KEY

# The first steps.
start-title = First steps
start-progress = { $done } of { $count } steps are done. Each turns green by itself.
step-done = done
step-open = to do
start-complete = The archive is running.
start-to-search = To the search
start-address = The address of this service
start-address-is = The portal and the users reach it at
start-address-none = The portal reaches only a public address over HTTPS. Set it in `acervo.toml` and restart the service:
start-form = The portal's form
start-form-where = On SINtegre, open
start-form-user = User
start-form-password = Password
start-form-token = Token
start-form-login = Authentication
start-form-secret = the value in the configuration under
start-form-open = none: anybody who reaches the address can send notifications
start-form-products = Products
start-form-all = those you want; all of them are a few hundred files a day
start-form-denied = { $count ->
    [one] The portal was here { $count } time with wrong credentials. Compare them with the configuration.
   *[other] The portal was here { $count } times with wrong credentials. Compare them with the configuration.
}
start-test = The test: “Enviar”
start-test-press = On the portal, press “Enviar” for one product. Its notification arrives within seconds.
start-test-came = The last notification came
start-file = The first file
start-file-waits = The file of the notification is fetched at once.
start-file-here = { $count ->
    [one] { $count } revision is in the archive.
   *[other] { $count } revisions are in the archive.
}
start-file-failed = A file could not be fetched. The reason is in
start-all = All products: “Enviar Tudo”
start-all-press = On the portal, press “Enviar Tudo”. It sends the last version of every product.
