# The frame of every view.
nav-label = Main
nav-search = Search
nav-products = Products
skip-to-content = Skip to content
pages = Pages
page-previous = Previous
page-next = Next
copy = Copy
copied = Copied

# Words of the archive.
product = Product
process = Process
macro-process = Macro-process
granularity = Frequency
extension = Extension
status = Status
period = Period
revision = Revision
revision-of = { $number } of { $count }
size = Size
arrived = Arrived
download = Download
download-of = Download { $name }
granularity-day = Daily
granularity-week = Weekly
granularity-month = Monthly
granularity-other = Other periods

# How long ago something was.
ago-now = just now
ago-minutes = { $count } min ago
ago-hours = { $count } h ago
ago-days = { $count ->
    [one] { $count } day ago
   *[other] { $count } days ago
}
ago-months = { $count ->
    [one] { $count } month ago
   *[other] { $count } months ago
}
ago-years = { $count ->
    [one] { $count } year ago
   *[other] { $count } years ago
}

# The search.
search-title = Search
search-title-of = { $search } – Search
search-label = Search products and files
search-placeholder = decomp november 2025, load, ipdo…
search-button = Search
search-more = Where, period, date of the archive, order
search-in = Search in
search-in-names = names
search-in-content = text inside files
search-narrow = Narrow down
search-inside-files = Search inside files
search-by-name = Search by name
found-line = line { $number }
search-empty = Nothing matches. Remove a condition, or use fewer words.
search-count = { $count ->
    [one] { $shown } publication
   *[other] { $shown } publications
}
suggested-product = product
suggested-alias = former name
suggested-process = process
suggested-macro-process = macro-process
suggested-file = file
period-in-words = Period
period-from = from
period-to = to
as-of = As it was on
as-of-help = The archive as it was at the end of this day in São Paulo
order-by = Order
span-any = any
span-today = today
span-yesterday = yesterday
span-week = last 7 days
span-days-30 = last 30 days
span-month = this month
span-last-month = last month
span-year = this year
span-last-year = last year
order-period-desc = newest period first
order-period-asc = oldest period first
order-archived-desc = last archived first
order-archived-asc = first archived first
order-name = by name
order-size = largest first
order-relevance = best match first
facets-label = Narrow down
facet-more = { $count ->
    [one] { $count } more
   *[other] { $count } more
}
chosen-label = Chosen conditions
chosen-remove = remove
chosen-from = from { $day }
chosen-to = to { $day }
chosen-as-of = as it was on { $at }
bad-parameter = The address has the value “{ $value }” for “{ $name }”, which is not valid. Correct the address, or start a new search.

# Exports and recipes.
take-title = Use this result elsewhere
take-xlsx = Excel workbook
take-csv-excel = CSV for Excel
take-files = All files (zip)
take-recipes = Recipes to copy
take-key = Replace KEY with your API key.

# Errors.
error-bad-request = The request is not valid
error-unauthenticated = A key is needed
error-unauthenticated-help = This archive is protected. Ask its operator for an API key.
error-forbidden = Not allowed
error-not-found = Not found
error-not-found-help = It may have been removed, or the address is incomplete.
error-gone = Removed
error-unavailable = The service is busy
error-unavailable-help = Try again in a few seconds.
error-internal = Something went wrong
error-internal-help = The log of the service has the details.
error-details = Details
error-to-search = Back to the search

# Products.
products-label = Name of the product
products-all = All
products-late = Late
products-missing = Missing
products-lost = Lost
products-last-days = Last { $days } days
products-none-in-state = No product is in this state. Good.
publications = Publications
revisions = Revisions
size-published = Published
size-stored = Stored
list-path = List on the portal
product-empty = Nothing has been published yet.
publications-all = { $count ->
    [one] { $shown } publication
   *[other] All { $shown } publications
}
calendar = History
calendar-older = Older years
calendar-noted = { $count ->
    [one] { $count } period needs attention
   *[other] { $count } periods need attention
}
calendar-noted-help = To get a missing or lost file, press “Enviar” for this product on the portal; it sends the last version again.
due-at = due { $at }
state-archived = Archived
state-late = Late
state-awaited = Awaited
state-missing = Missing
state-lost = Lost
state-purged = Removed
states-help = What these words mean
means-archived = The file is in the archive.
means-late = The file has usually come by this time. It may still come.
means-awaited = Announced, or not due yet: the file is not here.
means-missing = The file never came, and is overdue for too long to be expected. No notification announced it.
means-lost = It was announced, but the link expired or failed before the file was fetched. “Enviar” on the portal sends it again.
means-purged = Retention removed the file. What is known of it stays.
products-none-yet = None among the products looked at so far. The next page goes on looking.
products-none-more = There are no more.
aliases = Names over time
name = Name
first-seen = First seen
last-seen = Last seen
plots = Figures
plot-sizes = Size of each publication
plot-sizes-said = { $count } publications, the largest { $max }
plot-arrivals = When files arrive (São Paulo)
plot-arrivals-said = Most arrive on { $day } at { $hour } h
plot-stored = Published and stored bytes, summed up
plot-stored-said = { $published } published (solid line), stored in { $stored } (dashed line)

# Publications and their revisions.
reference-date = Date as published
last-notification = Last notification
publication-empty = It was announced, and no file has been archived yet.
revisions-in-time = Revisions in time
revision-number = Revision { $number }
archived = archived
superseded = superseded
latest = latest
held = held
as-of-show = Show
as-of-was = Revision { $number } was the latest.
as-of-none = The archive had no file of it then.
compare = Compare
compare-title = What changed
compare-from = From
compare-to = To
compare-button = Compare
compare-last = What changed in the last file against the one before
compare-previous = Compare with the file before it ({ $period })
compare-swap = Swap both sides
compare-same = The files are the same.
compare-binary = The contents differ, and are not text.
compare-all-members = All members
members-added = { $count ->
    [one] { $shown } member added
   *[other] { $shown } members added
}
members-removed = { $count ->
    [one] { $shown } removed
   *[other] { $shown } removed
}
members-renamed = { $count ->
    [one] { $shown } renamed
   *[other] { $shown } renamed
}
members-changed = { $count ->
    [one] { $shown } changed
   *[other] { $shown } changed
}
cells-changed = { $count ->
    [one] { $shown } cell
   *[other] { $shown } cells
}
lines = lines
lines-cut = The first { $count } of { $total } lines are shown.
member = Member
members = Members
change = Change
size-before = Size before
size-after = Size after
change-not-text = not text
renamed-from = before:
kind-added = added
kind-removed = removed
kind-changed = changed
kind-renamed = renamed
cells = Cells
cell = Cell
sheet = Sheet
value-before = Before
value-after = After

# Files.
file-purged = Retention removed this file on { $at }. What is known of it stays.
members-count = { $count ->
    [one] { $count } member
   *[other] { $count } members
}
members-matching = { $total ->
    [one] { $count } of { $total } member
   *[other] { $count } of { $total } members
}
members-more = { $count ->
    [one] { $count } more is not listed. Filter to find it.
   *[other] { $count } more are not listed. Filter to find them.
}
members-filter = Part of the path
filter-button = Filter
filter-all = Show all
members-none = The zip has no members that can be listed. Download it.
preview = Preview
preview-cut = only the beginning is shown
preview-unreadable = This content cannot be shown. Download it.
preview-too-large = Workbooks of more than { $max } are not shown. Download it.
preview-binary = This content is neither text nor a table nor a picture. Download it.
download-member = Download this member
open-pdf = Open the PDF
sheets = Sheets
sheet-empty = This sheet is empty.
note-same-content = Only the name is another one: the content is the same.
note-too-large = This text has more than { $mebibytes } MiB, so it is not compared by line.
note-one-zip = One file is a zip and the other is not, so their contents are not compared.
note-same-members = The files in the zips are the same: only timestamps, or how the zips are packed, differ.
note-files-too-large = Files of more than { $gibibytes } GiB are not compared.
note-not-unpacked = This content cannot be unpacked, so it was not compared.
note-first-no-zip = The first file does not open as a zip.
note-second-no-zip = The second file does not open as a zip.
note-members-cut = A zip has more members than are compared: members that only the other file has are not listed.
note-changes-cut = More than { $count } members differ: the others are counted and not listed.
note-unfinished = The comparison reached its limits of time or bytes: not all members were unpacked and compared.
note-encoding = The encoding changed from { $before } to { $after }.
note-line-ends = The line ends changed from { $before } to { $after }.
line-ends-none = none
line-ends-mixed = LF and CRLF
note-sheets-added = Sheets added: { $sheets }
note-sheets-removed = Sheets removed: { $sheets }
note-sheets-renamed = Sheets renamed: { $sheets }
note-too-many-lines = This text has { $lines } lines; up to { $most } are compared.
note-unreadable = The workbook cannot be read, so its cells were not compared.
diff-cut = There are more changes than are shown here.
diff-no-end = no line end at the end of the file
