"""Checks that the tools of docs/bi.md read the exports of a running service correctly. Argument: its address."""

import csv
import io
import os
import sys

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import requests
from gql import Client, gql
from gql.transport.requests import RequestsHTTPTransport

base = sys.argv[1]


def get(path, **parameters):
    response = requests.get(f"{base}/{path}", params=parameters, timeout=60)
    response.raise_for_status()
    return response


# Published names, including difficult ones, survive CSV.
names = {"=1+1; \"aspas\", vírgula", "Vazões – PDP"}
payloads = os.environ.get("ACERVO_TEST_PAYLOADS")
if payloads:
    with open(os.path.join(payloads, "products.csv"), encoding="utf-8", newline="") as file:
        names |= {row["nome"] for row in csv.DictReader(file)}
for name in names:
    body = {"nome": name, "dataProduto": "09/05/2025", "url": "http://127.0.0.1:9/x"}
    assert requests.post(f"{base}/webhook", json=body, timeout=60).status_code == 202, name
rows = list(csv.DictReader(io.StringIO(get("export/notifications.csv").content.decode("utf-8"), newline="")))
assert names <= {row["name"] for row in rows}, names - {row["name"] for row in rows}

# Parquet types: instants in UTC, wall-clock times without a zone, 64-bit sizes.
table = get("export/revisions.parquet").content
with open("revisions.parquet", "wb") as file:
    file.write(table)
schema = pq.read_schema(io.BytesIO(table))
expected = {
    "id": pa.string(),
    "number": pa.int32(),
    "periodStart": pa.timestamp("ms"),
    "size": pa.int64(),
    "archivedAt": pa.timestamp("ms", tz="UTC"),
    "held": pa.bool_(),
}
for name, kind in expected.items():
    assert schema.field(name).type == kind, (name, schema.field(name).type)
frame = pd.read_parquet(io.BytesIO(table))
assert len(frame) > 40 and str(frame["archivedAt"].dtype).endswith("UTC]"), frame.dtypes
assert frame["periodStart"].dt.tz is None and frame["size"].dtype == "int64", frame.dtypes
kinds = dict(duckdb.sql("DESCRIBE SELECT * FROM 'revisions.parquet'").project("column_name, column_type").fetchall())
assert kinds["archivedAt"] == "TIMESTAMP WITH TIME ZONE" and kinds["periodStart"].startswith("TIMESTAMP"), kinds
assert kinds["periodStart"] != "TIMESTAMP WITH TIME ZONE" and kinds["size"] == "BIGINT", kinds
[(count, size)] = duckdb.sql("SELECT count(*), sum(size) FROM 'revisions.parquet'").fetchall()
assert (count, size) == (len(frame), frame["size"].sum())

# The same rows over GraphQL. gql validates queries against the schema of the service.
transport = RequestsHTTPTransport(f"{base}/graphql")
client = Client(transport=transport, fetch_schema_from_transport=True)
query = gql(
    """query($after: String) { revisions(first: 1000, after: $after) {
    nodes { id sha256 size archivedAt periodStart } pageInfo { endCursor hasNextPage } } }"""
)
nodes, after = [], None
while True:
    page = client.execute(query, variable_values={"after": after})["revisions"]
    nodes += page["nodes"]
    after = page["pageInfo"]["endCursor"]
    if not page["pageInfo"]["hasNextPage"]:
        break
rows = pd.DataFrame(nodes).set_index("id").sort_index()
frame = frame.set_index("id").sort_index()
assert (rows["sha256"] == frame["sha256"]).all() and (rows["size"] == frame["size"]).all()
assert (pd.to_datetime(rows["archivedAt"]) == frame["archivedAt"]).all()
assert (pd.to_datetime(rows["periodStart"]) == frame["periodStart"]).all()
print(f"{len(rows)} revisions alike in pyarrow, pandas, DuckDB and gql; {len(names)} names through CSV and back")
