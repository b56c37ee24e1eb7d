# Problems that HTTP answers (RFC 9457): titles by status, and the details that clients meet most.
title-400 = Bad Request
title-401 = Unauthorized
title-403 = Forbidden
title-404 = Not Found
title-405 = Method Not Allowed
title-406 = Not Acceptable
title-408 = Request Timeout
title-410 = Gone
title-412 = Precondition Failed
title-413 = Payload Too Large
title-415 = Unsupported Media Type
title-416 = Range Not Satisfiable
title-422 = Unprocessable Entity
title-429 = Too Many Requests
title-500 = Internal Server Error
title-501 = Not Implemented
title-503 = Service Unavailable
problem-no-key = a key is needed: `Authorization: Bearer KEY`
problem-unknown-key = the key is not known here
problem-too-many-keys = too many wrong keys came from this address; try again in a while
problem-busy = too many requests are in progress; try again in a moment
problem-no-page = there is nothing at this address
problem-body-bytes = the body has more than { $bytes } bytes
problem-reading = too many requests are being read at once; send it again
problem-internal = internal error; the log of the service has the details
problem-stopping = the service is stopping
problem-not-found = there is no { $what } { $id }
problem-no-member = there is no member `{ $path }` in { $count ->
    [1] the file of revision { $revisions }
   *[other] the files of revisions { $revisions }
}; { $similar ->
    [none] GET /files/{ $id }/members lists its members
   *[other] similar: { $similar }
}
problem-timeout = the query took more than { $seconds } s; request less at once
problem-overloaded = the service is busy with other requests; try again in a few seconds
problem-too-large = the response has more than { $mebibytes } MiB; request less at once
problem-behind = this service shows the feed up to { $shown }, not yet { $mark }, which `Acervo-Feed` requires; try again, or allow a longer wait with `Prefer: wait=SECONDS`
problem-index-stopped = the search index is not written by this service now, so nothing new is found; try again later
problem-not-a-file-id = `{ $id }` is not the id of a revision or the SHA-256 of a file
problem-purged = the file was removed by retention at { $at }: { $why }
problem-twice = `{ $name }` is given twice
problem-parameter = `{ $name }` is not a parameter of this export; it has { $known }
problem-origin = a page of another origin must not do this; list its origin in `api.cors_origins`, or set `public_url` to the address this service is reached by
problem-host = the Host of the request is not a name of this service: set `public_url`, or add the name to `host_names` (ACERVO_HOST_NAMES)
