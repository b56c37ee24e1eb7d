"""Latency of `POST /webhook` beside hooks whose endpoints fail, hang, redirect to a private address and answer late, compared with a
service without hooks. Both run at the same time, each with an archive of its own; rounds alternate between them. Every notification
brings a file, so that each hook has something to send all the time. Needs a release build and Python 3.

    cargo build --release && python3 benches/hooks.py

ROUNDS and POSTS set the sizes, CONNECTIONS the clients at once; ACERVO_BIN names another binary.
"""
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROUNDS = int(os.environ.get("ROUNDS", 10))
POSTS = int(os.environ.get("POSTS", 1500))
CONNECTIONS = int(os.environ.get("CONNECTIONS", 8))
TARGET = os.environ.get("CARGO_TARGET_DIR", "target")
ACERVO = os.path.abspath(os.environ.get("ACERVO_BIN", f"{TARGET}/release/acervo"))
# Seconds until a late answer; longer than the time limit of the hooks is hanging.
LATE, TIMEOUT = 1.5, 2


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        """Clients give up on what hangs: that is meant."""


class Files(BaseHTTPRequestHandler):
    """A different small file at every path."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = f"arquivo {self.path.split('?')[0]}\n".encode() * 20
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Hooks(BaseHTTPRequestHandler):
    """What an endpoint does is in its path."""
    protocol_version = "HTTP/1.1"
    requests = {}

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        kind = self.path.strip("/")
        self.requests[kind] = self.requests.get(kind, 0) + 1
        if kind == "hangs":
            time.sleep(3600)
        if kind == "late":
            time.sleep(LATE)
        self.send_response({"fails": 500, "redirects": 302}.get(kind, 200))
        if kind == "redirects":
            self.send_header("Location", "http://10.0.0.1/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


def start(handler):
    server = Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Service:
    def __init__(self, folder, name, hooks):
        self.name, self.port, self.sent = name, free_port(), 0
        data = os.path.join(folder, name)
        os.makedirs(data)
        config = os.path.join(data, "acervo.toml")
        with open(config, "w") as file:
            for kind in hooks:
                file.write(
                    f'[[hook]]\nname = "{kind}"\nevents = ["archived"]\nurl = "http://127.0.0.1:{HOOKS}/{kind}"\n'
                    f'allow_private = true\ntimeout = "{TIMEOUT}s"\nretry_first = "1s"\nretry_max = "5s"\n'
                )
        environment = {
            **os.environ, "ACERVO_CONFIG": config, "ACERVO_DATA_DIR": os.path.join(data, "data"),
            "ACERVO_LISTEN": f"127.0.0.1:{self.port}", "ACERVO_RECEIVER_TOKEN": "bench", "ACERVO_API_TOKEN": "bench",
            "ACERVO_FETCH_ALLOW_PRIVATE": "true", "ACERVO_FETCH_ALLOWED_HOSTS": "127.0.0.1", "ACERVO_LOG": "error",
        }
        log = open(os.path.join(data, "log"), "w")
        self.process = subprocess.Popen([ACERVO, "serve"], env=environment, stderr=log)
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz").read()
                return
            except OSError:
                time.sleep(0.1)

    def query(self, query):
        body = json.dumps({"query": query}).encode()
        headers = {"Authorization": "Bearer bench", "Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/graphql", body, headers)
        return json.load(urllib.request.urlopen(request))["data"]

    def round(self, posts):
        """Seconds of each POST, from the connections together."""
        took, first = [], self.sent
        self.sent += posts

        def client(numbers):
            connection = http.client.HTTPConnection("127.0.0.1", self.port)
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for number in numbers:
                body = json.dumps({
                    "nome": f"Produto {number % 200}", "processo": "Carga", "macroProcesso": "Carga",
                    "dataProduto": f"{number % 28 + 1:02}/{number // 28 % 12 + 1:02}/{2000 + number // 336 % 25}",
                    "url": f"http://127.0.0.1:{FILES}/{number}.txt?token=bench",
                })
                headers = {"Authorization": "bench", "Content-Type": "application/json"}
                began = time.perf_counter()
                connection.request("POST", "/webhook", body, headers)
                response = connection.getresponse()
                response.read()
                took.append(time.perf_counter() - began)
                if response.status != 202:
                    sys.exit(f"{self.name} answered {response.status}")

        shares = [range(first + one, first + posts, CONNECTIONS) for one in range(CONNECTIONS)]
        threads = [threading.Thread(target=client, args=(share,)) for share in shares]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # What a round leaves to do would slow down the next one of the other service.
        while True:
            status = self.query("{ status { queued fetching unresolved indexLag content { lag } } }")["status"]
            if not any([status["queued"], status["fetching"], status["unresolved"], status["indexLag"], status["content"]["lag"]]):
                break
            time.sleep(0.1)
        return sorted(took)


def percentile(took, share):
    return took[min(len(took) - 1, int(len(took) * share))] * 1000


FILES, HOOKS = start(Files), start(Hooks)
KINDS = ["fails", "hangs", "redirects", "late"]
folder = tempfile.mkdtemp()
services = []
try:
    services = [Service(folder, "without", []), Service(folder, "with", KINDS)]
    for service in services:
        service.round(200)
    ratios, all_took = [], {"without": [], "with": []}
    for number in range(ROUNDS):
        # Each goes first as often as the other.
        order = services if number % 2 == 0 else services[::-1]
        found = {service.name: service.round(POSTS) for service in order}
        for name, took in found.items():
            all_took[name] += took
        p99 = {name: percentile(took, 0.99) for name, took in found.items()}
        ratios.append(p99["with"] / p99["without"])
        print(f"round {number + 1}: p99 {p99['without']:.1f} ms without, {p99['with']:.1f} ms with, ratio {ratios[-1]:.2f}")
    for name, took in all_took.items():
        took.sort()
        print(f"{name}: p50 {percentile(took, 0.5):.2f} ms, p99 {percentile(took, 0.99):.2f} ms of {len(took)}")
    ratio = percentile(all_took["with"], 0.99) / percentile(all_took["without"], 0.99)
    print(f"p99 of all: ratio {ratio:.2f}; median of the rounds {sorted(ratios)[len(ratios) // 2]:.2f}")
    print("requests at the endpoints:", Hooks.requests)
    hooks = services[1].query("{ hooks { name delivered failed lag } }")["hooks"]
    print("; ".join(f"{one['name']}: {one['delivered']} delivered, {one['failed']} failed, lag {one['lag']}" for one in hooks))
finally:
    for service in services:
        service.process.terminate()
    for service in services:
        service.process.wait()
    shutil.rmtree(folder)
