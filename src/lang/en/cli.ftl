files-count = { $count ->
    [one] { $count } file
   *[other] { $count } files
}

# Times.
cli-time-days = { $count ->
    [one] { $count } day
   *[other] { $count } days
}
cli-time-in = { $at } (in { $distance })
cli-time-ago = { $at } ({ $distance } ago)

# Shared by commands.
cli-error = error: { $text }
cli-warning = warning: { $text }
cli-nothing-found = nothing found
cli-nothing-found-in-names = nothing found in names; --in content looks for the words inside files
cli-none = none
cli-never = never
cli-not-a-day = `{ $text }` is not a valid day; expected one such as 2025-02-20 or 20/02/2025
cli-not-a-status = `{ $text }` is not a valid status; expected awaited, archived, lost or purged
cli-not-an-as-of = `{ $text }` is not a valid day or instant; expected 2025-02-20 or 20/02/2025, which means the end of that day in São Paulo, a time there such as "20/02/2025 14:30", or RFC 3339 such as 2025-02-20T12:00:00Z
cli-not-an-instant = `{ $text }` is not a valid instant; expected RFC 3339, such as 2025-02-20T12:00:00Z
cli-not-a-since = `{ $text }` is not a valid instant or duration; expected one such as 2025-02-20T12:00:00Z or 6h
cli-not-a-duration = `{ $text }` is not a valid duration; expected one such as 30s or 24h
cli-not-an-id = `{ $text }` is not a valid id; `acervo search` lists them
cli-not-a-revision-id = `{ $text }` is not a valid id of a revision; `acervo search` lists them
cli-not-a-lost-id = `{ $text }` is not a valid id of a publication; `acervo lost` lists them
cli-no-such-id = no revision or publication has the id { $id }; `acervo search` lists them
cli-negative = `{ $text }` is negative
cli-rows-of = { $count } of { $total }{ $more ->
    [yes] ; see --limit
   *[no] {""}
}
cli-local-only = --url is for search, coverage, get, diff and status; other commands work on the archive of this machine
cli-lang-of-variable = ACERVO_LANG: `{ $text }` is not a language of acervo; expected en or pt

# The columns of tables.
cli-column-name = name
cli-column-reference-date = reference date
cli-column-rev = rev
cli-column-status = status
cli-column-archived = archived
cli-column-file = file
cli-column-size = size
cli-column-revision-id = revision id
cli-column-member = member
cli-column-modified = modified
cli-column-path = path
cli-column-product = product
cli-column-process = process
cli-column-period = period
cli-column-state = state
cli-column-due = due
cli-column-late-by = late by
cli-column-role = role
cli-column-expires = expires
cli-column-last-used = last used
cli-column-publication-id = publication id
cli-column-lost = lost
cli-column-why = why
cli-column-acknowledged = acknowledged
cli-column-policy = policy
cli-column-frees = frees
cli-column-endpoint = endpoint
cli-column-events = events
cli-column-sent = sent
cli-column-failed = failed
cli-column-dead = dead
cli-column-at = at
cli-column-hook = hook
cli-column-event = event
cli-column-message = message
cli-column-attempt = attempt
cli-column-outcome = outcome
cli-column-error = error
cli-column-id = id
cli-column-attempts = attempts
cli-column-files = files
cli-column-dense = dense
cli-column-before = before
cli-column-after = after
cli-column-ratio = ratio
