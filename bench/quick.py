"""Measures CPU time a request and memory of a release build, beside nginx `return 200`: started by bench/quick.
Standard library only; everything runs on 127.0.0.1 and ends by itself."""

import argparse
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time

from programs import (
    AUDIENCE, await_status, cpu_seconds, fail, folder, free_port, get, many_descriptors, own_kib, start, stop)

MOST_OF_NGINX = 1.10  # CPU time a request
IDLE_MIB = 6  # of its own (RssAnon), nobody connected
CONNECTED_MIB = 10  # on top of that, with this many idle connections
IDLE_CONNECTIONS = 1000

CONNECTIONS = 64  # of wrk
SERVER_CORE, LOAD_CORE = "0", "1"
TOKEN_BYTES = 900  # about what Access makes; reached by the length of the email

# What Traefik asks for a browser that came through Cloudflare: 20 lines with Host and the assertion.
LINES = {
    "Accept": "text/html",
    "Accept-Encoding": "gzip",
    "Accept-Language": "en",
    "Cdn-Loop": "cloudflare",
    "Cf-Connecting-Ip": "192.0.2.1",
    "Cf-Ipcountry": "NL",
    "Cf-Ray": "8f1e2d3c4b5a6978-AMS",
    "Cf-Visitor": '{"scheme":"https"}',
    "Priority": "u=0, i",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "none",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64)",
    "X-Forwarded-For": "192.0.2.1",
    "X-Forwarded-Host": "wiki.example.com",
    "X-Forwarded-Method": "GET",
    "X-Forwarded-Port": "443",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Uri": "/",
}

NGINX = """\
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
{tuning}  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; location / {{ return 200; }} }}
}}
"""

PLAIN = "nginx return 200"
script = folder / "headers.lua"


def load(port, seconds):
    """Requests that wrk got answered; all of them must be 2xx."""
    out = subprocess.run(
        ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script),
         f"http://127.0.0.1:{port}/auth/{AUDIENCE}"], capture_output=True, text=True, timeout=seconds + 60).stdout
    count = re.search(r"(\d+) requests in", out)
    if not count or "Non-2xx" in out or re.search(r"Socket errors: .*[1-9]", out):
        fail(f"the load went wrong:\n{out}")
    return int(count[1])


def micros(child, port, seconds):
    """CPU microseconds a request, and requests a second."""
    before, began = cpu_seconds(child.pid), time.monotonic()
    requests = load(port, seconds)
    return (cpu_seconds(child.pid) - before) * 1e6 / requests, requests / (time.monotonic() - began)


def lua(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def mint(port):
    """A token of about TOKEN_BYTES."""
    padding = 8
    for _ in range(8):
        status, token = get(port, f"/token?aud={AUDIENCE}&email={'a' * padding}@example.com")
        if status != 200:
            fail(f"the issuer answered {status}")
        token = token.strip()
        padding = max(1, min(240, padding + (TOKEN_BYTES - len(token)) * 3 // 8))
    return token


def serve(binary, issuer, *more, core=None):
    """A gateway that is ready: child, port."""
    port, admin = free_port(), free_port()
    child = start("gateway", [
        binary, "serve", "--issuer", issuer, "--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}", *more],
        core)
    await_status(child, admin, "/readyz", 200)
    return child, port


def start_nginx(name, tuning=""):
    """nginx that answers everything with an empty 200: child, port."""
    home, port = folder / name, free_port()
    home.mkdir()
    (home / "nginx.conf").write_text(NGINX.format(folder=home, port=port, tuning=tuning))
    binary = shutil.which("nginx") or "/usr/sbin/nginx"
    child = start(name, [binary, "-e", home / "nginx.log", "-p", home, "-c", home / "nginx.conf"], SERVER_CORE)
    await_status(child, port, "/", 200)
    return child, port


def weigh(binary, issuer, token):
    """MiB of its own (RssAnon) with default settings: idle, and with IDLE_CONNECTIONS that each asked once."""
    child, port = serve(binary, issuer)
    idle = own_kib(child.pid) / 1024
    request = f"GET /auth/{AUDIENCE} HTTP/1.1\r\nHost: a\r\nCf-Access-Jwt-Assertion: {token}\r\n\r\n".encode()
    clients = []
    try:
        for _ in range(IDLE_CONNECTIONS):
            client = socket.create_connection(("127.0.0.1", port), timeout=10)
            client.sendall(request)
            clients.append(client)
        for client in clients:
            if not client.recv(65536).startswith(b"HTTP/1.1 200"):
                fail("a connection was not answered with 200")
        connected = own_kib(child.pid) / 1024
    finally:
        for client in clients:
            client.close()
    stop(child)
    return idle, connected


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    options = parser.parse_args()
    if not 1 <= options.rounds <= 20 or not 1 <= options.seconds <= 30:
        fail("--rounds is 1 to 20, --seconds 1 to 30")
    if len(os.sched_getaffinity(0)) < 2:
        fail("two cores are needed, one for the server and one for the load")
    many_descriptors()

    issuer_port = free_port()
    issuer = f"http://127.0.0.1:{issuer_port}"
    child = start("issuer", [options.binary, "issuer", "--listen", f"127.0.0.1:{issuer_port}"], LOAD_CORE)
    await_status(child, issuer_port, "/cdn-cgi/access/certs", 200)
    token = mint(issuer_port)

    lines = {**LINES, "Cf-Access-Jwt-Assertion": token}
    script.write_text("".join(f"wrk.headers[{lua(name)}] = {lua(value)}\n" for name, value in lines.items()))
    head = f"GET /auth/{AUDIENCE} HTTP/1.1\r\nHost: 127.0.0.1:12345\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"

    gateway, gateway_port = serve(
        options.binary, issuer, "--event-loops", "1", "--verify-workers", "1", core=SERVER_CORE)
    servers = {
        "gateway": (gateway, gateway_port),
        PLAIN: start_nginx("plain"),
        "nginx, 4k buffer": start_nginx("tuned", "  client_header_buffer_size 4k;\n"),
    }

    good, _ = get(gateway_port, f"/auth/{AUDIENCE}", f"Cf-Access-Jwt-Assertion: {token}")
    bad, _ = get(gateway_port, f"/auth/{AUDIENCE}", f"Cf-Access-Jwt-Assertion: {token[:-8]}AAAAAAAA")
    if (good, bad) != (200, 401):
        fail(f"{good} for the good token and {bad} for a bad one: nothing to measure")

    print(f"a head of {len(head)} bytes in {len(lines) + 1} lines, a token of {len(token)} bytes, remembered; "
          f"{CONNECTIONS} connections kept alive; {options.rounds} rounds of {options.seconds} s each")
    results = {name: [] for name in servers}
    for name, (child, port) in servers.items():
        load(port, 1)  # warm
    for _ in range(options.rounds):
        for name, (child, port) in servers.items():
            results[name].append(micros(child, port, options.seconds))
    print(f"{'':18}{'CPU us/request':>16}{'min':>8}{'max':>8}{'requests/s':>12}")
    medians = {}
    for name, measured in results.items():
        costs = [cost for cost, _ in measured]
        medians[name] = statistics.median(costs)
        rate = statistics.median(rate for _, rate in measured)
        print(f"{name:18}{medians[name]:16.2f}{min(costs):8.2f}{max(costs):8.2f}{rate:12.0f}")
    ratio = medians["gateway"] / medians[PLAIN]
    for child, _ in servers.values():
        stop(child)
    idle, connected = weigh(options.binary, issuer, token)

    broken = 0
    for what, value, most, unit in (
            ("gateway / nginx", ratio, MOST_OF_NGINX, ""),
            ("idle memory (RssAnon), default settings", idle, IDLE_MIB, " MiB"),
            (f"{IDLE_CONNECTIONS} idle connections add", connected - idle, CONNECTED_MIB, " MiB")):
        verdict = "ok" if value <= most else "TOO MUCH"
        broken += value > most
        print(f"{what:34}{value:8.2f}{unit:5} at most {most:g}{unit}: {verdict}")
    return 1 if broken else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
