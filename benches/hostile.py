"""The client of hostile.sh: fills the tables of an archive, and runs the most expensive allowed queries."""
import asyncio
import base64
import collections
import hashlib
import json
import os
import sqlite3
import struct
import sys
import time
import uuid

AREAS = ["Sudeste/Centro-Oeste", "Sul", "Nordeste", "Norte", "SIN", "Bacia do Grande", "Bacia do Paranaíba"]
THEMES = ["Carga por Patamar", "Geração Eólica Prevista", "Vazões Diárias Observadas", "Energia Armazenada", "Deck DECOMP"]
DAY_MS = 86_400_000


def day_of(ms):
    return time.strftime("%Y-%m-%d", time.gmtime(ms / 1000))


def fill(path, publications):
    """Daily publications of 280 products up to today, with a notification each."""
    base = sqlite3.connect(path)
    base.execute("PRAGMA synchronous = OFF")
    products = []
    for n in range(280):
        name = f"{THEMES[n % len(THEMES)]} – {AREAS[n // len(THEMES) % len(AREAS)]} – Caso {n}"
        products.append((uuid.uuid4().bytes, name))
        base.execute(
            "INSERT INTO products (id, identity, name, process, macro_process, publication_count, revision_count, size,"
            " stored_size) VALUES (?, ?, ?, ?, ?, 0, 0, 0, 0)",
            (products[n][0], f"name:{name.lower()}", name, f"Processo {n % 12}", "Programação da Operação"),
        )
    first = int(time.time() * 1000) - publications // 280 * DAY_MS
    for n in range(publications):
        at = first + n // 280 * DAY_MS + n % 280
        product, name = products[n % 280]
        day = day_of(at)
        own, revision, notification = (uuid.uuid4().bytes for _ in range(3))
        digest = hashlib.sha256(revision).digest()
        wall = day[8:] + "/" + day[5:7] + "/" + day[:4]
        base.execute(
            "INSERT INTO publications (id, product_id, process, macro_process, reference_date, period_start, period_end,"
            " granularity, status, announced_at, received_at, latest_revision_id, revision_count)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, 'DAY', 'ARCHIVED', ?, ?, ?, 1)",
            (own, product, f"Processo {n % 12}", "Programação da Operação", wall, day + "T00:00:00", day + "T23:59:59",
             at, at, revision),
        )
        base.execute(
            "INSERT INTO revisions (id, publication_id, number, notification_id, digest, file_name, extension,"
            " announced_at, announced_by, received_at, archived_at, held, warnings)"
            " VALUES (?, ?, 1, ?, ?, ?, 'zip', ?, ?, ?, ?, 0, '[]')",
            (revision, own, notification, digest, f"{name}_{day}.zip", at, notification, at, at),
        )
        base.execute("INSERT INTO files (digest, size, stored_size, encoding, stored_at) VALUES (?, ?, ?, 'zstd', ?)",
                     (digest, 20_000 + n % 900_000, 10_000 + n % 500_000, at))
        body = json.dumps({"nome": name, "dataProduto": wall, "url": "[redacted]", "observacao": "x" * 600}).encode()
        base.execute(
            "INSERT INTO notifications (id, source, received_at, status, attempts, announced_at, priority, name,"
            " name_folded, process, macro_process, reference_date, body, body_digest, product_id, publication_id,"
            " revision_id) VALUES (?, 'default', ?, 'ARCHIVED', 1, ?, 0, ?, ?, 'Processo', 'Programação', ?, ?, ?, ?, ?, ?)",
            (notification, at, at, name, name.lower(), wall, body, digest, product, own, revision),
        )
    base.commit()
    base.close()


def aliased(count, field):
    return "{ " + " ".join(f"a{n}: {field}" for n in range(count)) + " }"


COLUMNS = ("id productId name process macroProcess referenceDate periodStart periodEnd granularity status revisionId "
           "revisionCount fileName size storedSize receivedAt fileUrl sha256")
QUESTIONS = [
    # The maximum number of rows per document, with flat columns and with resolvers.
    aliased(10, "publications(first: 1000) { nodes { %s } }" % COLUMNS),
    aliased(25, "publications(first: 1000) { nodes { id } }"),
    aliased(6, "publications(first: 1000) { nodes { id name @skip(if: false) product { name aliases { name } } } }"),
    aliased(3, "publications(first: 1000, offset: 90000) { edges { cursor node { id name fileName revisions { id } } } }"),
    aliased(4, "publicationStats(groupBy: [PRODUCT, PERIOD_DAY], limit: 10000) { product bucket publications size }"),
    aliased(60, 'notifications(first: 10, filter: { name: { contains: "zzz" } }) { totalCount nodes { id } }'),
    aliased(4, "notifications(first: 1000) { nodes { id name body } }"),
    aliased(60, 'publications(search: "carga patamar nordestw", first: 20) { totalCount nodes { id score } }'),
    aliased(50, 'suggest(prefix: "c", limit: 50) { text publications }'),
    aliased(5, "retentionPlan { keep lines(first: 1000) { nodes { name reason } } }"),
]
EXPORTS = ["publications.parquet", "revisions.csv", "notifications.parquet", "publications.ndjson", "revisions.parquet"]


class Client:
    def __init__(self, port):
        self.port = port
        self.counts = collections.Counter()
        self.codes = collections.Counter()

    async def open(self):
        return await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)

    @staticmethod
    async def answer(reader, keep=False):
        """The status of a response, and its body if requested."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status, kept = int(head.split()[1]), bytearray()
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        if "content-length" in fields:
            left = int(fields["content-length"])
            while left > 0:
                piece = await reader.read(min(left, 1 << 16))
                if not piece:
                    raise ConnectionError("cut off")
                left -= len(piece)
                kept += piece if keep else b""
        elif fields.get("transfer-encoding") == "chunked":
            while size := int(await reader.readline(), 16):
                piece = await reader.readexactly(size + 2)
                kept += piece[:-2] if keep else b""
            await reader.readline()
        return status, bytes(kept)

    def note(self, kind, status):
        self.counts[f"{kind} {status}"] += 1

    async def ask(self, n):
        """One of the 64 connections: queries over HTTP."""
        while True:
            try:
                reader, writer = await self.open()
                while True:
                    query = QUESTIONS[n % len(QUESTIONS)]
                    n += 1
                    body = json.dumps({"query": query}).encode()
                    writer.write(b"POST /graphql HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer bench\r\n"
                                 b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
                    status, text = await self.answer(reader, keep=True)
                    if text[:12] == b'{"errors":[{' or b'"errors"' in text[-2000:]:
                        for code in ("TOO_COMPLEX", "TIMEOUT", "INTERNAL", "BAD_USER_INPUT", "FORBIDDEN"):
                            if code.encode() in text:
                                self.codes[code] += 1
                    self.note("query", status)
                    await asyncio.sleep(0.2 if status == 503 else 0)
            except (OSError, asyncio.IncompleteReadError, ConnectionError) as e:
                self.note("query", type(e).__name__)
                await asyncio.sleep(0.5)

    async def export(self, n):
        """One of the 64: exports, some of which are read slowly or not at all."""
        while True:
            try:
                reader, writer = await self.open()
                writer.write(f"GET /export/{EXPORTS[n % len(EXPORTS)]} HTTP/1.1\r\nhost: 127.0.0.1\r\n"
                             "authorization: Bearer bench\r\n\r\n".encode())
                if n % 2:
                    await asyncio.sleep(20)
                    self.note("export", "unread")
                    writer.close()
                    continue
                status, _ = await self.answer(reader)
                self.note("export", status)
                writer.close()
                await asyncio.sleep(0.2 if status == 503 else 0)
            except (OSError, asyncio.IncompleteReadError, ConnectionError) as e:
                self.note("export", type(e).__name__)
                await asyncio.sleep(0.5)

    async def socket(self, n):
        """One of the 64 connections: a WebSocket with forty queries and as many subscriptions."""
        def frame(value):
            payload = json.dumps(value).encode()
            size = struct.pack("!BBH", 0x81, 0xFE, len(payload)) if len(payload) > 125 else struct.pack(
                "!BB", 0x81, 0x80 | len(payload))
            return size + bytes(4) + payload

        while True:
            try:
                reader, writer = await self.open()
                writer.write(b"GET /graphql/ws HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
                             b"sec-websocket-version: 13\r\nsec-websocket-protocol: graphql-transport-ws\r\n"
                             b"authorization: Bearer bench\r\nsec-websocket-key: "
                             + base64.b64encode(os.urandom(16)) + b"\r\n\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                if b" 101 " not in head:
                    self.note("socket", head.split()[1].decode())
                    await asyncio.sleep(0.5)
                    continue
                writer.write(frame({"type": "connection_init"}))
                for i in range(40):
                    query = QUESTIONS[(n + i) % len(QUESTIONS)]
                    writer.write(frame({"id": f"q{i}", "type": "subscribe", "payload": {"query": query}}))
                    listen = "subscription { notificationReceived { id name body } }"
                    writer.write(frame({"id": f"s{i}", "type": "subscribe", "payload": {"query": listen}}))
                began = time.monotonic()
                while time.monotonic() - began < 15:
                    first = await reader.readexactly(2)
                    size = first[1] & 0x7F
                    if size == 126:
                        size = struct.unpack("!H", await reader.readexactly(2))[0]
                    elif size == 127:
                        size = struct.unpack("!Q", await reader.readexactly(8))[0]
                    while size > 0:
                        piece = await reader.read(min(size, 1 << 16))
                        if not piece:
                            raise ConnectionError("cut off")
                        size -= len(piece)
                    self.note("socket", "message" if first[0] == 0x81 else f"frame {first[0]:#x}")
                writer.close()
            except (OSError, asyncio.IncompleteReadError, ConnectionError) as e:
                self.note("socket", type(e).__name__)
                await asyncio.sleep(0.5)

    async def portal(self, seconds, lanes=4, rate=40):
        """The portal: notifications at a steady rate; how long each waited for its answer."""
        took, refused = [], 0

        async def lane(k):
            nonlocal refused
            reader, writer = await self.open()
            began = time.monotonic()
            for n in range(k, int(seconds * rate), lanes):
                due = began + n / rate
                await asyncio.sleep(max(0, due - time.monotonic()))
                body = json.dumps({"nome": f"Produto do ensaio {n % 50}", "dataProduto": "09/05/2025",
                                   "url": f"https://127.0.0.1:9/{uuid.uuid4()}"}).encode()
                writer.write(b"POST /webhook HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: bench\r\n"
                             b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
                status, _ = await self.answer(reader)
                took.append(time.monotonic() - due)
                refused += status != 202
        await asyncio.gather(*(lane(k) for k in range(lanes)))
        took.sort()
        return took, refused


def memory(pid):
    fields = {}
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            name, _, value = line.partition(":")
            if name in ("VmRSS", "RssAnon", "RssFile"):
                fields[name] = int(value.split()[0]) / 1024
    return fields


async def run(port, pid, connections, seconds):
    # The portal runs as a separate process because this one is busy reading responses.
    client = Client(port)

    async def measured(name):
        portal = await asyncio.create_subprocess_exec(
            sys.executable, __file__, "portal", str(port), str(seconds), stdout=asyncio.subprocess.PIPE)
        peak = collections.Counter()
        waiting = asyncio.create_task(portal.wait())
        while not waiting.done():
            for field, mib in memory(pid).items():
                peak[field] = max(peak[field], mib)
            await asyncio.sleep(0.05)
        text = (await portal.stdout.read()).decode().strip()
        print(f"{name}: webhook {text}; peak RSS {peak['VmRSS']:.0f} MiB "
              f"(own {peak['RssAnon']:.0f}, files {peak['RssFile']:.0f})", flush=True)

    await measured("nothing else")
    tasks = []
    for n in range(connections):
        work = client.socket if n % 8 == 7 else client.export if n % 8 in (3, 5) else client.ask
        tasks.append(asyncio.create_task(work(n)))
    await measured(f"{connections} connections")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(5)
    print(f"after: RSS {memory(pid)['VmRSS']:.0f} MiB")
    print("answers:", dict(sorted(client.counts.items())), "errors:", dict(client.codes))


async def portal(port, seconds):
    took, refused = await Client(port).portal(seconds)
    at = lambda share: took[int((len(took) - 1) * share)] * 1000
    print(f"p50 {at(.5):.1f} ms, p99 {at(.99):.1f} ms, max {at(1):.1f} ms, {refused} of {len(took)} refused")


match sys.argv[1:]:
    case ["fill", path, publications]:
        fill(path, int(publications))
    case ["run", port, pid, connections, seconds]:
        asyncio.run(run(int(port), int(pid), int(connections), float(seconds)))
    case ["portal", port, seconds]:
        asyncio.run(portal(int(port), float(seconds)))
