"""The questions of an analyst, each in one step, timed on a folder of published files with a folder for each series.

    cargo build --release && CORPUS=folder python3 benches/questions.py

The files are imported as if each had been received when its period began. Then a service runs, and each question is asked of it by
the command line with `--url` (start of the process included). REPEAT sets how often; ACERVO_BIN names another binary.
"""
import csv
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from datetime import date, timedelta

REPEAT = int(os.environ.get("REPEAT", 5))
TARGET = os.environ.get("CARGO_TARGET_DIR", "target")
ACERVO = os.path.abspath(os.environ.get("ACERVO_BIN", f"{TARGET}/release/acervo"))
CORPUS = os.path.abspath(os.environ["CORPUS"])
NAMES = {
    "decomp-ccee-weekly": "Deck DECOMP", "newave-ccee-monthly": "Deck NEWAVE", "newave-ons": "Deck NEWAVE ONS",
    "ccee-pdf": "Deck do PMO", "dessem": "Deck DESSEM", "ipdo-xlsx": "IPDO",
}


def written(day):
    return day.strftime("%d/%m/%Y")


def period(name, number):
    """The period of a file, as the portal writes it, and its first day."""
    if week := re.search(r"(20\d\d)(\d\d)-sem(\d)", name):
        year, month, n = map(int, week.groups())
        first = date(year, month, 1)
        # The operational week begins on a Saturday.
        start = first - timedelta((first.weekday() + 2) % 7) + timedelta(7 * (n - 1))
        return f"{written(start)} - {written(start + timedelta(6))}", start
    if day := re.match(r"(20\d\d)-(\d\d)-(\d\d)", name):
        start = date(*map(int, day.groups()))
        return written(start), start
    if month := re.search(r"(20\d\d)[-_]?(\d\d)", name):
        start = date(int(month[1]), min(max(int(month[2]), 1), 12), 1)
        return start.strftime("%m/%Y"), start
    start = date(2025, 1, 1) + timedelta(number)
    return written(start), start


def manifest(path):
    rows = []
    for series in sorted(os.listdir(CORPUS)):
        folder = os.path.join(CORPUS, series)
        files = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        for number, name in enumerate(files):
            text, start = period(name, number)
            rows.append([f"{series}/{name}", NAMES.get(series, series), text, "PMO", f"{start}T12:00:00Z"])
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "nome", "dataProduto", "processo", "receivedAt"])
        writer.writerows(rows)


class Endpoint(http.server.BaseHTTPRequestHandler):
    """The file of a notification, and the endpoint of a hook."""
    arrived = threading.Event()
    body = b""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.arrived.set()

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
threading.Thread(target=server.serve_forever, daemon=True).start()
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
url, own = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{server.server_port}"
folder = tempfile.mkdtemp()
HOOK = f'[[hook]]\nname = "decomp"\nevents = ["archived"]\nmatch = {{ name = ["*DECOMP*"] }}\nurl = "{own}"\nallow_private = true\n'
with open(f"{folder}/acervo.toml", "w") as file:
    file.write(HOOK)
environment = {
    **os.environ, "ACERVO_CONFIG": f"{folder}/acervo.toml", "ACERVO_DATA_DIR": f"{folder}/data",
    "ACERVO_LISTEN": f"127.0.0.1:{port}", "ACERVO_RECEIVER_TOKEN": "bench", "ACERVO_API_TOKEN": "bench",
    "ACERVO_FETCH_ALLOW_PRIVATE": "true", "ACERVO_FETCH_ALLOWED_HOSTS": "127.0.0.1", "ACERVO_LOG": "error",
    "ACERVO_LANG": "en", "COLUMNS": "200",
}


def acervo(*args):
    done = subprocess.run([ACERVO, *args], env=environment, cwd=folder, capture_output=True, text=True)
    if done.returncode not in (0, 1) or "error" in done.stderr:
        sys.exit(f"acervo {' '.join(args)}: {done.stderr}")
    return done.stdout


def status():
    body = json.dumps({"query": "{ status { ready indexLag content { lag } } }"}).encode()
    headers = {"Authorization": "Bearer bench", "Content-Type": "application/json"}
    try:
        answer = urllib.request.urlopen(urllib.request.Request(f"{url}/graphql", body, headers))
        return json.load(answer)["data"]["status"]
    except OSError:
        return None


def ask(question, *args, clean=None):
    took, lines = [], []
    for _ in range(REPEAT):
        if clean:
            shutil.rmtree(f"{folder}/{clean}", ignore_errors=True)
        began = time.perf_counter()
        lines = acervo(*args, "--url", url, "--key", "bench").strip().splitlines()
        took.append(time.perf_counter() - began)
    took.sort()
    print(f"{question}: {took[len(took) // 2] * 1000:.0f} ms ({took[0] * 1000:.0f} to {took[-1] * 1000:.0f})")
    print(f"  acervo {' '.join(args)}\n  {lines[0 if clean else -1] if lines else ''}")


service = None
try:
    manifest(f"{folder}/manifest.csv")
    service = subprocess.Popen([ACERVO, "serve"], env=environment, stderr=subprocess.DEVNULL)
    while not status():
        time.sleep(0.1)
    print(acervo("import", CORPUS, "--manifest", f"{folder}/manifest.csv").strip().splitlines()[-1])
    while (now := status()) and (now["indexLag"] or now["content"]["lag"]):
        time.sleep(0.2)
    ask("what changed between two weeks", "diff", "--search", "deck decomp")
    ask("all NEWAVE decks as of a date", "get", "--search", "deck newave", "--as-of", "2025-05-31", "-d", "decks", clean="decks")
    ask("which products were late", "coverage", "--from", "2025-03-01", "--to", "2025-03-31")
    ask("which files hold a word", "search", "fcmax", "--in", "content")
    ask("which zips hold a member", "search", "--member", "*vazoes*")
    took = []
    for number in range(REPEAT):
        Endpoint.arrived.clear()
        Endpoint.body = f"deck {number} {time.time()}".encode() * 100
        start = date(2025, 5, 3) + timedelta(7 * number)
        notification = {
            "nome": "Deck DECOMP", "dataProduto": f"{written(start)} - {written(start + timedelta(6))}", "url": f"{own}/{number}.zip?token=x",
        }
        headers = {"Authorization": "bench", "Content-Type": "application/json"}
        began = time.perf_counter()
        urllib.request.urlopen(urllib.request.Request(f"{url}/webhook", json.dumps(notification).encode(), headers))
        if not Endpoint.arrived.wait(60):
            sys.exit("the hook was not called")
        took.append(time.perf_counter() - began)
    took.sort()
    print(f"tell me when a DECOMP arrives: {took[len(took) // 2] * 1000:.0f} ms from the notification to the message ({took[0] * 1000:.0f} to {took[-1] * 1000:.0f})")
    print("  " + HOOK.replace("\n", "; ").replace(own, "https://…"))
finally:
    if service:
        service.terminate()
        service.wait()
    shutil.rmtree(folder)
