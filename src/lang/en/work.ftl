# import, export, restore, backup, verify, compact, retention, retry, reindex, lost, hold, hook, config
cli-progress-of = { $done } of { $total } { $what }
cli-progress-left = { $done } of { $total }, { $seconds } s left
cli-progress-eta = { $eta } left
cli-progress-files = { $done }/{ $total } files, 
cli-progress-publications = publications
cli-progress-rows = rows
cli-progress-tables = tables compared
cli-progress-indexed = publications indexed

# import
cli-import-one-path = --manifest describes one folder or tar; give one PATH with it
cli-import-unreadable = { $path } cannot be read
cli-import-is-folder = { $path } is a folder; give --manifest, which describes its files
cli-import-no-archive = there is no archive in { $path }: give --create to create one, or give the archive's folder with --data-dir or ACERVO_DATA_DIR
cli-import-ask-create = There is no archive in { $path }. Create one? [y/N]
cli-import-files-read = { $count ->
    [one] { $count } file read
   *[other] { $count } files read
}
cli-import-read = { $count ->
    [one] { $count } notification read
   *[other] { $count } notifications read
}
cli-import-archived = { $count } archived as revisions
cli-import-would-archive = { $count } would have been archived as revisions
cli-import-queued = { $count } queued; `acervo serve` fetches their files
cli-import-would-queue = { $count } would have been queued; `acervo serve` fetches their files
cli-import-expired = { $count } recorded as expired; "Enviar Tudo" on the portal sends the current ones again
cli-import-would-expire = { $count } would have been recorded as expired; "Enviar Tudo" on the portal sends the current ones again
cli-import-known = { $count } skipped because they exist already
cli-import-refused = { $count } refused for the reasons above
cli-import-stopped = stopped before the end; import again to continue

# export, restore, backup
cli-export-left = { $path }: not exported: { $reason }
cli-export-added = { $count ->
    [one] { $count } file added, { $size } written
   *[other] { $count } files added, { $size } written
}
cli-export-manifest = the manifest { $state ->
    [new] is new
   *[same] has not changed
}
cli-export-removed = { $count ->
    [one] { $count } revision has no file any more; it is named above and in the manifest
   *[other] { $count } revisions have no file any more; they are named above and in the manifest
}
cli-restore-missing-file = { $path }: not restored: { $reason }
cli-restore-resumed = continued where the last restore was interrupted
cli-restore-files = { $count ->
    [one] { $count } file stored, { $size }
   *[other] { $count } files stored, { $size }
}
cli-restore-not-exported = { $count ->
    [one] { $count } file is not in the export; it is marked as damaged
   *[other] { $count } files are not in the export; they are marked as damaged
}
cli-restore-missing = { $count ->
    [one] { $count } file is missing or wrong; it is named above
   *[other] { $count } files are missing or wrong; they are named above
}
cli-restore-incomplete = the instance is not complete: put the files back and run the same command again, or give --accept-missing
cli-restore-rows = { $count ->
    [one] { $count } row written, and the search index built
   *[other] { $count } rows written, and the search index built
}
cli-restore-ended = { $count ->
    [one] { $count } notification waited for a file whose link is not in the export; "Enviar Tudo" on the portal sends the current one again
   *[other] { $count } notifications waited for files whose links are not in the export; "Enviar Tudo" on the portal sends the current ones again
}
cli-backup-postgres = the database is PostgreSQL, which `acervo backup` does not copy. First copy the database (pg_dump --format=custom --file=acervo.dump), then the archive folder, and let no retention run meanwhile: see "PostgreSQL" in docs/export.md
cli-backup-missing-file = { $digest }: not in the backup: { $reason }
cli-backup-copied = { $count ->
    [one] { $count } file copied, { $size }
   *[other] { $count } files copied, { $size }
}
cli-backup-shared = { $count ->
    [one] { $count } file shares its bytes with the archive on the same disk, { $size }
   *[other] { $count } files share their bytes with the archive on the same disk, { $size }
}
cli-backup-pruned = { $count ->
    [one] { $count } file removed that the archive does not have any more
   *[other] { $count } files removed that the archive does not have any more
}
cli-backup-missing = { $count ->
    [one] { $count } file is missing in the archive; it is named above; see `acervo verify --repair`
   *[other] { $count } files are missing in the archive; they are named above; see `acervo verify --repair`
}
cli-backup-database = the database is copied; the index is built by the service that uses the backup

# migrate-to
cli-migrate-not-a-folder = `{ $path }` is not a valid folder; expected a path such as /srv/acervo/archive
cli-migrate-damaged-file = { $digest }: damaged here, and so in the copy: { $reason }
cli-migrate-complete-before = the copy was complete, and has all rows of this instance; nothing was copied
cli-migrate-resumed = continued where the last copy was interrupted
cli-migrate-present = { $count ->
    [one] { $count } file was copied before
   *[other] { $count } files were copied before
}
cli-migrate-removed = { $count ->
    [one] { $count } file removed from the copy that the archive does not have any more
   *[other] { $count } files removed from the copy that the archive does not have any more
}
cli-migrate-damaged = { $count ->
    [one] { $count } file is damaged; it is named above, and marked as damaged in the copy; see `acervo verify --repair`
   *[other] { $count } files are damaged; they are named above, and marked as damaged in the copy; see `acervo verify --repair`
}
cli-migrate-rows = { $count ->
    [one] { $count } row copied; all { $tables } tables are the same in both databases
   *[other] { $count } rows copied; all { $tables } tables are the same in both databases
}
cli-migrate-done = the copy is complete: set its database_url and archive_url, and start the service there. Do not start this one again
cli-migrate-only-files = only files were copied: stop the service, and run this again without --only-files
cli-migrate-stopped = stopped before the end; run the same command again to continue

# verify, compact, reindex
cli-verify-continues = `acervo verify` continues here when it is run again
cli-verify-continued = continued a run that was interrupted
cli-verify-next = next: { $step }
cli-verify-index = the search index was not verified: it is being built, does not have all changes yet, or cannot be read
cli-verify-repaired = repaired { $count }; { $left } still broken
cli-verify-nothing = nothing is broken
cli-verify-broken = { $count } broken
cli-verify-summary = verified { $files } files, { $size } in { $seconds } s ({ $rate } MB/s): { $broken }
cli-verify-file = the file { $digest }:{" "}
cli-verify-no-publication = a publication that does not exist
cli-verify-needed = needed by { $product }, revision { $number } ({ $revision }), publication { $publication }: { $file }
cli-compact-continues = `acervo compact` continues here when it is run again
cli-compact-nothing = there is nothing to compact
cli-compact-all = all
cli-compact-damaged = { $count ->
    [one] { $count } file could not be read and was marked as damaged; `acervo verify --repair` repairs what can be repaired
   *[other] { $count } files could not be read and were marked as damaged; `acervo verify --repair` repairs what can be repaired
}
cli-reindex-done = { $count ->
    [one] indexed { $count } publication
   *[other] indexed { $count } publications
}
cli-reindex-requested = the running service rebuilds its index; `acervo status` shows its progress

# retention, hold, retry, lost
cli-retention-not-deleted = { $count ->
    [one] { $count } file could not be deleted (see the log); it will be tried again
   *[other] { $count } files could not be deleted (see the log); they will be tried again
}
cli-retention-restored = { $count ->
    [one] restored { $count } revision
   *[other] restored { $count } revisions
}
cli-retention-run = run { $id }: { $kind ->
    [dry] would remove
   *[done] removed
} { $count } revisions, { $size }; { $after }
cli-retention-undone = undone at { $at }
cli-retention-swept = swept at { $at }
cli-retention-sweep-after = swept after { $at }; until then: acervo retention undo { $id }
cli-retention-unchanged = nothing was changed
cli-retention-summary = { $keep } kept, { $remove } removed, { $size } freed
cli-retention-nothing = nothing to remove: { $summary }
cli-hold-held = { $id } is held: { $reason }
cli-hold-released = { $id } is no longer held
cli-retry-counts = { $matched } matched, { $queued } queued again, { $expired } with expired links
cli-retry-expired = expired links: press "Enviar" for these products on the portal
cli-lost-none = nothing is lost
cli-lost-acknowledged = { $count } lost publications acknowledged
cli-lost-by = { $at } by { $by }

# hook
cli-hook-redelivered = { $count ->
    [one] { $count } event is sent again by the service; `acervo hook log { $name }` shows how it went
   *[other] { $count } events are sent again by the service; `acervo hook log { $name }` shows how it went
}
cli-hook-enabled = the hook `{ $name }` sends again
cli-hook-answered = the endpoint of `{ $name }` answered { $status }
cli-hook-mailed = the mail server of `{ $name }` has taken the mail
cli-hook-begins = begins when the service starts
cli-hook-unknown-error = unknown
cli-hook-unconfigured = not in the configuration
cli-hook-disabled = DISABLED since { $at }: { $error }; `acervo hook enable { $name }`
cli-hook-failing = FAILING since { $since }, { $attempts } attempts, next { $next }: { $error }
cli-hook-last-sent = last sent { $at }
cli-hook-nothing-sent = nothing sent yet
cli-hook-sent-again = {" "}(is sent again)

# config
cli-config-open = open to anyone who can connect
cli-config-credentials = with credentials
cli-config-webhook = , { $address } only for the webhook
cli-config-keys = { $count ->
    [one] { $count } key
   *[other] { $count } keys
}
cli-config-reading-open = , reading needs no key
cli-config-by-hand = by hand
cli-config-policies = { $count ->
    [one] { $count } policy
   *[other] { $count } policies
}
cli-config-valid = the configuration is valid
    listen     { $listen }
    data       { $data }
    receiver   { $receiver }
    api        { $api }
    fetch      from { $hosts }
    retention  { $retention }
    hooks      { $hooks }
cli-config-no-service = no service runs on { $path }
cli-config-not-taken = the service keeps its configuration: { $why }
cli-config-nothing-changed = nothing changed that a running service can take over
cli-config-taken = taken over: { $keys }
cli-config-restart = changed, and needs a restart: { $keys }
cli-config-would-remove = { $count ->
    [one] {"  "}it would remove { $count } revision now
   *[other] {"  "}it would remove { $count } revisions now
}
cli-config-policy = {""}
    policy `{ $name }`: { $rules }
cli-config-matches = {"  "}its names match { $matched } of { $products } products
cli-config-unmatched = {"  "}warning: `{ $pattern }` matches no product

# remove
cli-remove-extent = { $name } ({ $id }): { $publications } publications, { $revisions } revisions, { $size } stored for it alone
cli-remove-held = { $count ->
    [one] { $count } revision is held; while it is, nothing is removed
   *[other] { $count } revisions are held; while they are, nothing is removed
}
cli-remove-waiting = { $count ->
    [one] { $count } notification waits for its file, which is archived when it arrives
   *[other] { $count } notifications wait for their file, which is archived when it arrives
}
cli-remove-without-terminal = to remove the product without a terminal, give --yes "{ $name }"
cli-remove-ask = Type the name of the product to remove it:
cli-remove-no-id = there is no product { $id }; `acervo search` lists publications
cli-remove-no-name = there is no product with the name `{ $name }`; give its whole name, or its id
cli-remove-several = several products have the name `{ $name }`; give the id of one of them: { $ids }
cli-remove-none = no product was removed
cli-remove-undone = undone at { $at }
cli-remove-deleted = files deleted at { $at }
cli-remove-in-progress = in progress
cli-remove-deleted-after = files are deleted after { $at }; until then: acervo retention undo { $id }
cli-remove-complete = complete
cli-remove-record = { $at }: { $name } ({ $id }) by { $by }: { $reason }
    {"  "}{ $count } revisions, { $size }; { $state }

# A policy of retention in words: "of publications with the name A or B it keeps all; of their revisions the 2 latest".
policy-rules = of publications with { $matches } it keeps { $publications }; of their revisions { $revisions }
policy-or = {" or "}
policy-and = {", and "}
policy-any = any name
policy-name = the name
policy-process = the process
policy-macro-process = the macro-process
policy-extension = the extension
policy-larger = more than { $size }
policy-all = all
policy-within = those whose period ended within { $span }
policy-daily = the last of each of the { $count } newest days on which a period starts
policy-weekly = the last of each of the { $count } newest weeks on which a period starts
policy-monthly = the last of each of the { $count } newest months on which a period starts
policy-yearly = the last of each of the { $count } newest years on which a period starts
policy-latest = the { $count } latest
policy-superseded = those superseded within { $span }

# Durations.
unit-zero = zero
unit-years = { $count ->
    [one] { $count } year
   *[other] { $count } years
}
unit-months = { $count ->
    [one] { $count } month
   *[other] { $count } months
}
unit-weeks = { $count ->
    [one] { $count } week
   *[other] { $count } weeks
}
unit-days = { $count ->
    [one] { $count } day
   *[other] { $count } days
}
unit-hours = { $count ->
    [one] { $count } hour
   *[other] { $count } hours
}
unit-minutes = { $count ->
    [one] { $count } minute
   *[other] { $count } minutes
}
unit-seconds = { $count ->
    [one] { $count } second
   *[other] { $count } seconds
}
