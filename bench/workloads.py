"""The workloads (a) to (j) and the process's own figures: what is asked of which server, round by round. A workload
yields `Cell`s; run.py measures them, alternating between servers, and report.py prints them."""

import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import time

from measuring import BUILD, LOAD_CORE, NEW_TOKENS, PATH, SERVER_CORE, Wrong, ask, head, head_file, load
from programs import cpu_seconds, fail, folder, free_port, own_kib, start, stop
import servers

CONNECTIONS = 64
FLOORS = ("nginx", "epoll", "evhttp")
DECIDING = ("gateway", "envoy-cached", "envoy", "njs", "go", "hummingbird", "flask-memory", "flask-fetching")


@dataclasses.dataclass
class Cell:
    """One row of a workload's table: `once()` measures it one time."""

    row: str
    once: object
    samples: list = dataclasses.field(default_factory=list)
    trouble: str = ""


class Bench:
    """Options, tokens and the servers that run; a server is started when first asked for."""

    def __init__(self, options, tokens):
        self.options, self.tokens = options, tokens
        self.running, self.absent = {}, {}

    def server(self, name, make=None):
        """The running server of that name, checked; None if it could not be had."""
        if name in self.absent:
            return None
        if name not in self.running:
            try:
                server = (make or servers.ALL[name])(self.tokens)
                server.check(self.tokens)
                self.running[name] = server
            except Wrong as error:
                if name.startswith("gateway"):
                    fail(str(error))
                self.absent[name] = str(error)
                print(f"left out: {error}", flush=True)
                return None
        return self.running[name]

    def chosen(self, names):
        peers = self.options.peers
        return [s for s in (self.server(n) for n in names if not peers or n in peers or n == "gateway") if s]

    def cell(self, server, text=None, row=None, **more):
        """A cell that loads one server."""
        given = {"seconds": self.options.seconds, "connections": CONNECTIONS, "warm": self.options.seconds / 10, **more}
        text = text or head()
        return Cell(row or server.name, lambda: load(server.port, text, pids=server.pids, **given))

    def one_token(self):
        return {"tokens": self.tokens.good(1), "limit": 1}


def wrk_cell(bench, server):
    """The same as (a) by wrk, an independent load generator."""
    script = folder / "wrk.lua"
    text = head(bench.tokens.first()).split("\r\n")[1:-2]
    lua = "".join(
        "wrk.headers[{}] = {}\n".format(*(json.dumps(part) for part in line.split(": ", 1))) for line in text
        if not line.startswith("Host:"))
    script.write_text(lua)

    def once():
        seconds = max(1, round(bench.options.seconds))
        pids = server.pids
        before, began = sum(map(cpu_seconds, pids)), time.monotonic()
        out = subprocess.run(
            ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script),
             f"http://127.0.0.1:{server.port}{PATH}"], capture_output=True, text=True, timeout=seconds + 60).stdout
        count = re.search(r"(\d+) requests in", out)
        if not count or "Non-2xx" in out:
            raise Wrong(f"wrk: {out}")
        spent, requests = sum(map(cpu_seconds, pids)) - before, int(count[1])
        return {"cpu_us": spent * 1e6 / requests, "rate": requests / (time.monotonic() - began)}

    return Cell(f"{server.name}, by wrk", once)


def a(bench):
    chosen = bench.chosen((*FLOORS, *DECIDING))
    cells = [bench.cell(s, **bench.one_token()) for s in chosen]
    if not bench.options.quick:
        cells += [wrk_cell(bench, s) for s in chosen if s.name in ("gateway", "nginx return 200")]
    return cells


def b(bench):
    cells = []
    for server in bench.chosen(("nginx", *DECIDING)):
        if server.name in ("gateway", "Envoy, token cache"):  # all of them are known before the first round
            load(server.port, head(), tokens=bench.tokens.good(10_000), limit=10_000, requests=10_200, seconds=60)
        cells.append(bench.cell(server, tokens=bench.tokens.good(10_000), limit=10_000))
        if server.name == "gateway":
            cells.append(bench.cell(server, row="gateway, one token (a)", **bench.one_token()))
    return cells


def c(bench):
    """A cache of 1 MiB holds fewer than the tokens that come round, so the oldest is always gone; the misses are counted."""
    make = lambda tokens: servers.gateway(tokens, "gateway, 1 MiB cache", token_cache_bytes="1MiB")
    cells = []
    tokens = {"tokens": bench.tokens.good(NEW_TOKENS), "limit": NEW_TOKENS}
    for server in [bench.server("gateway, 1 MiB cache", make),
                   *bench.chosen(("stub", *[n for n in DECIDING if n not in ("gateway", "envoy-cached")]))]:
        cell = bench.cell(server, **tokens)
        if server.admin:
            def asked(server=server):
                return [server.metric(f"access_gateway_token_cache_{what}_total") for what in ("hits", "misses")]

            def once(server=server, place=[0]):
                # Begins well behind the place where the round before ended: those last tokens are still remembered.
                hits, misses = asked()
                result = load(server.port, head(), pids=server.pids, seconds=bench.options.seconds, connections=CONNECTIONS,
                              warm=bench.options.seconds / 10, offset=place[0], **tokens)
                hits, misses = (after - before for after, before in zip(asked(), (hits, misses)))
                place[0] = (place[0] + int(hits + misses) + NEW_TOKENS // 4) % NEW_TOKENS
                if hits > result["requests"] / 1000:
                    raise Wrong(f"{hits:.0f} of {result['requests']} tokens were remembered: they were to be new")
                return result

            cell.once = once
            cell.row = "gateway"
        cells.append(cell)
    return cells


def d(bench):
    return [bench.cell(s, new=True, **bench.one_token()) for s in bench.chosen((*FLOORS, *DECIDING))]


def e(bench):
    cells = []
    for what, more in (
            ("no token", {"text": head(None)}),
            ("expired", {"tokens": bench.tokens.expired()}),
            ("bad signature", {"tokens": bench.tokens.spoiled(), "limit": NEW_TOKENS})):
        cells += [bench.cell(s, row=f"{s.name}: {what}", expect=(401,), **more) for s in bench.chosen(DECIDING)]
    return cells


def f(bench):
    """Traefik, the server that it asks, the backend and the load share both cores; nothing is pinned."""
    backend = bench.server("backend", lambda tokens: servers.floor("backend", tokens, "epoll"))
    os.sched_setaffinity(backend.child.pid, range(os.cpu_count()))
    asked = [None]
    if not bench.options.peers or "nginx" in bench.options.peers:
        asked.append(bench.server("nginx, unpinned", lambda t: servers.nginx(t, core=None)))
    asked.append(bench.server("gateway, unpinned", lambda t: servers.gateway(t, core=None)))
    for name in ("envoy-cached", "go"):
        if not bench.options.peers or name in bench.options.peers:
            def make(tokens, name=name):
                made = servers.ALL[name](tokens)
                for pid in made.pids:
                    for task in os.listdir(f"/proc/{pid}/task"):
                        os.sched_setaffinity(int(task), range(os.cpu_count()))
                return made

            asked.append(bench.server(name + ", unpinned", make))
    cells = []
    for auth in (s for s in asked if s or s is None):
        try:
            key = f"traefik asking {auth.name if auth else 'nobody'}"
            front = bench.server(key, lambda t, auth=auth: unchecked(servers.traefik(t, backend.port, auth)))
        except Wrong as error:
            print(f"left out: {error}", flush=True)
            continue
        for connections in (32, 256):
            row = f"{auth.name if auth else 'no auth'}, {connections} clients"
            pids = [*front.pids, *(auth.pids if auth else ())]
            cell = Cell(row, lambda front=front, pids=pids, connections=connections: load(
                front.port, head(path="/"), pids=pids, connections=connections, seconds=bench.options.seconds,
                warm=bench.options.seconds / 5, core=None, **bench.one_token()))
            cells.append(cell)
    return sorted(cells, key=lambda cell: int(cell.row.split()[-2]))


def unchecked(server):
    """Traefik was checked when it was started."""
    server.check = lambda tokens: None
    return server


def g(bench):
    """Half of what each server did in a closed loop just before; timed from when a request was due."""
    cells = []
    for server in bench.chosen((*FLOORS, *DECIDING)):
        capacity = load(
            server.port, head(), pids=server.pids, seconds=bench.options.seconds, warm=0.1, **bench.one_token())["rate"]
        cells.append(bench.cell(
            server, row=f"{server.name}, {capacity / 2:.0f}/s", rate=capacity / 2, **bench.one_token()))
    return cells


def h(bench):
    cells = []
    for connections in (1000,) if bench.options.quick else (1000, 10_000):
        # with the keys fetched each time, 10,000 first answers would take a minute of each round
        names = [n for n in (*FLOORS, *DECIDING) if connections == 1000 or n != "flask-fetching"]
        cells += [bench.cell(s, row=f"{s.name}, {connections}", connections=connections, **bench.one_token())
                  for s in bench.chosen(names)]
    return cells


def i(bench):
    """Nothing is pinned here: one loop or two, and the load, share two cores. With 64 connections a loop of two has so
    little to do in a turn that the figure is that of switching between it and the load; with 256 it is the loop's."""
    cells = []
    for name, make in (
            ("gateway, 1 loop", lambda t: servers.gateway(t, core=None)),
            ("gateway, 2 loops", lambda t: servers.gateway(t, core=None, loops=2)),
            ("nginx, 1 worker", lambda t: servers.nginx(t, core=None)),
            ("nginx, 2 workers", lambda t: servers.nginx(t, core=None, workers=2))):
        server = bench.server(f"{name}, unpinned", make)
        if server:
            cells.append(bench.cell(server, row=name, core=None, connections=256, **bench.one_token()))
    return cells


def j(bench):
    server = bench.server(
        "gateway, large cache", lambda t: servers.gateway(t, "gateway, large cache", token_cache_bytes="2048MiB"))
    cells = []
    sizes = (10, 100, 1000, 10_000) if bench.options.quick else (10, 100, 1000, 10_000, 100_000, 1_000_000)
    for size in sizes:
        tokens = {"tokens": bench.tokens.good(size), "limit": size}
        load(server.port, head(), requests=size + 200, seconds=300, **tokens)
        cells.append(bench.cell(server, row=f"{size} tokens", **tokens))
    return cells


def process(bench):
    """The process's own figures, with default settings: memory and the time from exec to the first answer."""
    tokens = bench.tokens
    figures = []
    server = servers.gateway(tokens, core=None, loops=None, verify_workers=None, max_connections=None)
    server.stop()
    server = servers.gateway(tokens, core=None, loops=None, verify_workers=None, max_connections=None)

    def weigh():
        return sum(map(own_kib, server.pids)) / 1024

    def serve_some():
        """The first requests fill buffers that all later ones use."""
        load(server.port, head(), requests=1000, connections=8, seconds=60, **bench.one_token())

    figures.append(("memory (RssAnon), idle", weigh(), "MiB"))
    serve_some()
    served = weigh()
    figures.append(("memory (RssAnon), after 1,000 requests", served, "MiB"))
    load(server.port, head(), tokens=tokens.good(10_000), limit=10_000, requests=10_000, connections=8, seconds=60)
    figures.append(("10,000 tokens remembered add", weigh() - served, "MiB"))
    server.stop()

    count = 1000 if bench.options.quick else 10_000
    server = servers.gateway(tokens, core=None, loops=None, verify_workers=None, max_connections=None)
    serve_some()
    served = weigh()
    holder = subprocess.Popen(
        [str(BUILD / "load"), "-a", "-c", str(count), "-d", "0.01", "-t", str(tokens.good(1)), "-k", "1",
         str(server.port), str(head_file(head()))], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    holder.stdout.readline()
    figures.append((f"{count:,} idle connections add", weigh() - served, "MiB"))
    holder.communicate()
    server.stop()
    figures.append((*start_milliseconds(bench), "ms"))
    return figures


def start_milliseconds(bench):
    """What was measured, and the median of starts in milliseconds. No key server is in reach: keys come from the state
    folder, or from a file where this build keeps no state."""
    state, port, admin = folder / "state", free_port(), free_port()
    state.mkdir(mode=0o700, exist_ok=True)
    keys = servers.nginx(bench.tokens, "key server", LOAD_CORE)
    url = f"http://127.0.0.1:{keys.port}/cdn-cgi/access/certs"
    server = servers.gateway(bench.tokens, keys_url=url, state_dir=str(state))
    deadline = time.monotonic() + 2
    while not any(state.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    server.stop()
    keys.stop()
    kept = any(state.iterdir())
    source = ["--keys-url", url, "--state-dir", state] if kept else ["--keys-url", f"file:{bench.tokens.keys}"]
    text, taken = head(bench.tokens.first()), []
    for _ in range(11):
        began = time.monotonic()
        child = start(
            "gateway, start", [os.environ["BENCH_GATEWAY"], "serve", "--issuer", servers.ISSUER, *source, "--listen",
                               f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}"], SERVER_CORE)
        while True:
            try:
                if ask(port, text) == 200:  # it may say 503 until the keys are read
                    break
            except (ConnectionRefusedError, socket.timeout):
                pass
            time.sleep(0.0002)
            if time.monotonic() - began > 10:
                raise Wrong("no answer within 10 s")
        taken.append((time.monotonic() - began) * 1000)
        stop(child, signal.SIGTERM)
    what = "exec to the first 200, keys in " + ("the state folder" if kept else "a file")
    return what, sorted(taken)[len(taken) // 2]


ALL = {
    "a": ("keep-alive, one token", a),
    "b": ("keep-alive, 10,000 tokens, all remembered", b),
    "c": ("every token new", c),
    "d": ("a new connection a request", d),
    "e": ("denials", e),
    "f": ("through Traefik", f),
    "g": ("fixed rate, half of capacity", g),
    "h": ("1,000 and 10,000 connections", h),
    "i": ("both cores", i),
    "j": ("cache size", j),
}
