# search, coverage, get, diff
cli-members-found = { $count ->
    [one] { $count } member{ $more }
   *[other] { $count } members{ $more }
}
cli-members-more = , and more; see --limit
cli-members-in-content = --member lists members by their paths: leave out --in content
cli-content-needs-words = --in content needs words to find
cli-content-archived = archived { $at }
cli-coverage-backwards = --to is { $to }, before --from, { $from }
cli-coverage-state-late = { $state } late
cli-coverage-summary = { $products } products, { $expected } periods: { $archived } archived ({ $arrived_late } of them late), { $late } late, { $missing } missing, { $lost } lost, { $awaited } awaited
cli-get-what = give the id of a revision or publication; or, for the files that --search and the other filters find, a folder: -d DIR
cli-get-filters = a file that is given by its id is not searched for; give filters with -d
cli-get-purged = the file of revision { $id } was removed by retention at { $at }
cli-get-no-name = the file has no name; give a path with -o
cli-get-no-file = the publication { $id } has no file yet: it is { $status }
cli-get-no-members = no members: the file is not a zip, or its members are not listed yet
cli-get-not-written = { $path }: not written: { $reason }
cli-get-added = { $count ->
    [one] { $count } file added, { $size } written
   *[other] { $count } files added, { $size } written
}
cli-get-present = { $count ->
    [one] { $count } file was there already
   *[other] { $count } files were there already
}
cli-get-replaced = { $count ->
    [one] { $count } file had other bytes and was replaced
   *[other] { $count } files had other bytes and were replaced
}
cli-get-other = { $count ->
    [one] { $count } path has something else, which was kept; it is named above
   *[other] { $count } paths have something else, which was kept; they are named above
}
cli-get-failed = { $count ->
    [one] { $count } file could not be read; it is named above; see `acervo verify --repair`
   *[other] { $count } files could not be read; they are named above; see `acervo verify --repair`
}
cli-get-missing = { $count ->
    [one] { $count } publication has no file; it is named above; --status archived leaves it out
   *[other] { $count } publications have no file; they are named above; --status archived leaves them out
}
cli-get-awaited = { $count ->
    [one] { $count } publication waits for its file
   *[other] { $count } publications wait for their file
}
cli-get-remote-no-id = { $address } has no revision or publication with the id { $id }; `acervo search` lists them
cli-get-broke-off = the download broke off
cli-get-other-bytes = what { $address } sent is not the file: its SHA-256 is not { $sha256 }; try again
cli-diff-what = give the id of a revision or publication, or words that find a product, such as --search "deck decomp"
cli-diff-from-to = from  { $from }
    to    { $to }
cli-diff-revision = { $name }, { $date }, revision { $number }, { $file }, { $id }
cli-diff-others = { $count ->
    [one] { $count } other product matches, such as { $names }; add words to choose one of them
   *[other] { $count } other products match, such as { $names }; add words to choose one of them
}

# Files that commands write.
cli-target-folder = `{ $path }` is a folder; name a file in it with -o
cli-target-exists = `{ $path }` exists already; --force replaces it
cli-target-broken-link = `{ $path }` is a broken symbolic link
cli-target-unwritable = `{ $path }` cannot be written
cli-target-not-a-file = `{ $path }` is not the path of a file; -o expects one, such as deck.zip
cli-target-no-folder = the folder `{ $path }` does not exist; create it first
cli-target-special = `{ $path }` is neither a file nor a pipe; nothing was written
cli-stdout-closed = standard output cannot be written

# A remote instance.
cli-remote-no-url = --key and --key-file are for a remote instance: give its --url too
cli-remote-key-file = the key file `{ $path }` cannot be read
cli-remote-key-lines = the key file `{ $path }` must have one line, the key
cli-remote-url = the URL of the instance { $problem ->
    [invalid] is not a valid URL
    [scheme] does not begin with https:// or http://
   *[more] has more than an address: give the key with --key-file or ACERVO_KEY
}; expected one such as https://acervo.example.com
cli-remote-unencrypted = the key is sent to { $address } unencrypted; use https
cli-remote-redirect = { $address } answers { $status }: give the address that it redirects to
cli-remote-needs-key = { $address } needs a key: give it with --key-file or ACERVO_KEY
cli-remote-wrong-key = { $address } does not accept the key{ $detail }
cli-remote-answers = { $address } answers { $status }{ $detail }
cli-remote-unreachable = { $address } cannot be reached
cli-remote-not-acervo = { $address } does not answer as an instance of acervo
