"""What a person gets wrong around the gateway, and is told: addresses in the proxy's configuration, other protocols on the
plain port, two processes on one port, long targets, probes; and what a crowd of half heads can do."""

import json
import pathlib
import re
import time

import pytest

from minting import AUD
from running import SANITIZED, Gateway, eventually, free_port, run
from wire import Wire, ask, asserted, get, head, sample

AUTH = f"/auth/{AUD}"


def lines(process, event):
    """The log's lines of one event."""
    found = []
    for line in process.log().splitlines():
        if f'"event":"{event}"' in line:
            found.append(json.loads(line))
    return found


# A line for each mistake


@pytest.mark.parametrize("target, words", [
    ("/auth/<aud1>", "placeholder"), ("/auth/{aud1}", "placeholder"), ("/auth/", "behind /auth/"),
    ("/verify", "/auth/<audience>"), ("/auth/" + "a" * 129, "128")])
def test_a_404_is_told_with_what_came_and_what_to_change(launch, team, target, words):
    gateway = launch.gateway(team.issuer)
    assert ask(gateway.port, target + "?secret=1").status == 404
    line = eventually(lambda: lines(gateway, "not_found"), "a line")[0]
    assert line["target"].startswith(target[:100]) and words in line["change"]
    assert "secret" not in gateway.log()


@pytest.mark.parametrize("data, status, words", [
    (b"GET /" + b"a" * 40000, 414, "max_head_bytes, 32768 now"),
    (b"GET /x HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 40000, 431, "max_head_bytes, 32768 now"),
    (b"GET /x HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 200, 431, "at most 128 header lines"),
    (bytes([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]), 400, "TLS"),
    (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "PROXY"),
    (b"\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c" + b"x" * 12, 400, "PROXY"),
])
def test_what_a_wrong_configuration_sends_is_told(launch, team, data, status, words):
    gateway = launch.gateway(team.issuer)
    with Wire(gateway.port) as wire:
        wire.send(data)
        assert wire.reply().status == status
    line = eventually(lambda: lines(gateway, "refused"), "a line")[0]
    assert words in line["change"], line


def test_lines_about_mistakes_are_limited_and_hold_no_token(launch, team):
    gateway = launch.gateway(team.issuer, event_loops="1")
    token = team.mint()
    with Wire(gateway.port) as wire:
        for _ in range(200):
            wire.send(head(f"/auth/x/../{token}".replace("/auth/x", "/elsewhere")))
            assert wire.reply().status == 404
        wire.send(head(f"/auth/{token}"))
        assert wire.reply().status == 404
    with Wire(gateway.port) as wire:
        wire.send(f"GET /{token} HTTP/1.1\r\nHost: a\r\n".encode() + b"X: y\r\n" * 200)
        assert wire.reply().status == 431
    time.sleep(0.3)
    assert 1 <= len(lines(gateway, "not_found")) <= 20
    assert token[:12] not in gateway.log() and token[20:32] not in gateway.log()


# Two processes on one port


def test_a_second_process_on_the_port_is_told(launch, team):
    port = free_port()
    first = launch.keep(Gateway(team.issuer, wait=False, listen=f"127.0.0.1:{port}"))
    first.await_port(port)
    assert not lines(first, "listen_shared")
    second = launch.keep(Gateway(team.issuer, wait=False, listen=f"127.0.0.1:{port}"))
    eventually(lambda: lines(second, "listen_shared"), "it says so")
    assert lines(second, "listen_shared")[0]["listen"] == f"127.0.0.1:{port}"
    third = run(
        "serve", "--issuer", team.issuer, "--listen", f"127.0.0.1:{port}", "--admin", "off", "--listen-shared", "refuse")
    assert third.returncode == 1 and f"127.0.0.1:{port}" in third.stderr and "listen_shared" in third.stderr


@pytest.mark.parametrize("command", ["serve", "issuer", "demo"])
def test_admin_issuer_and_demo_have_their_ports_alone(launch, team, issuer, command):
    gateway = launch.gateway(team.issuer)
    taken = f"127.0.0.1:{gateway.admin_port}"
    arguments = {
        "serve": ["--issuer", team.issuer, "--listen", f"127.0.0.1:{free_port()}", "--admin", taken],
        "issuer": ["--listen", f"127.0.0.1:{issuer.port}"],
        "demo": ["--listen", f"127.0.0.1:{gateway.port}", "--admin", f"127.0.0.1:{free_port()}", "--issuer",
                 f"127.0.0.1:{free_port()}"],
    }[command]
    told = run(command, *arguments)
    port = {"serve": gateway.admin_port, "issuer": issuer.port, "demo": gateway.port}[command]
    assert told.returncode == 1 and f"127.0.0.1:{port}" in told.stderr, told


# Long targets, probes


def test_a_target_may_take_the_whole_head(gateway, team):
    token = team.mint()
    for length in (8193, 20_000, 30_000):
        assert ask(gateway.port, AUTH + "/" + "a" * length, asserted(token)).status == 200
    assert ask(gateway.port, AUTH + "/" + "a" * 32_600, asserted(token)).status == 431
    assert ask(gateway.port, AUTH + "/" + "a" * 32_768, asserted(token)).status == 414


def test_probes_are_answered_where_requests_are_with_the_status_alone(launch, team):
    gateway = launch.gateway(team.issuer)
    for path in ("/livez", "/readyz", "/readyz?verbose"):
        for method in ("GET", "HEAD"):
            reply = ask(gateway.port, path, method=method)
            assert reply.status == 200 and reply.body == b"" and reply["Content-Length"] == "0"
    assert ask(gateway.port, "/livez", method="POST").status == 404
    waiting = launch.gateway(f"http://127.0.0.1:{free_port()}", ready=False)
    assert ask(waiting.port, "/livez").status == 200
    reply = ask(waiting.port, "/readyz")
    assert reply.status == 503 and reply.body == b"", "what is missing is for the operator alone"


# No room


@pytest.mark.parametrize("status", [401, 403, 503])
def test_one_connection_too_many_gets_the_status_of_the_setting(launch, team, status):
    gateway = launch.gateway(
        team.issuer, max_connections="4", event_loops="2", header_timeout="60s", unavailable_status=str(status))
    wires = [Wire(gateway.port) for _ in range(4)]
    try:
        for wire in wires:
            assert wire.send(head(AUTH) + b"GET ").reply().status == 401
        with Wire(gateway.port) as wire:
            reply = wire.reply()
            assert reply.status == status and int(reply["Retry-After"]) > 0
            assert ("WWW-Authenticate" in reply) == (status == 401)
            wire.assert_closed()
    finally:
        for wire in wires:
            wire.socket.close()


def test_who_lingers_behind_the_last_reply_keeps_nobody_out(launch, team):
    gateway = launch.gateway(team.issuer, max_connections="8", event_loops="2", header_timeout="60s")
    token = team.mint()
    wires = []
    try:
        for _ in range(8):
            wire = Wire(gateway.port)
            wires.append(wire)
            assert wire.send(head(AUTH, "Connection: close")).reply().status == 401
        for _ in range(4):
            assert ask(gateway.port, AUTH, asserted(token)).status == 200
    finally:
        for wire in wires:
            wire.socket.close()


def test_half_heads_do_not_lock_the_admin_listener(launch, team):
    gateway = launch.gateway(team.issuer)
    wires = []
    try:
        for _ in range(300):
            wire = Wire(gateway.admin_port)
            wires.append(wire)
            wire.send(b"GET /")
        for _ in range(20):
            assert get(gateway.admin_port, "/livez")[0] == 200
            assert get(gateway.admin_port, "/readyz")[0] == 200
    finally:
        for wire in wires:
            wire.socket.close()


def resident(gateway):
    text = pathlib.Path(f"/proc/{gateway.pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s+(\d+) kB$", text, re.M)[1]) / 1024


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's own memory hides that of the program")
def test_half_heads_are_bounded_together_and_their_memory_is_given_back(launch, team):
    gateway = launch.gateway(team.issuer, max_partial_bytes="8MiB", header_timeout="60s", event_loops="2")
    token = team.mint()
    assert ask(gateway.port, AUTH, asserted(token)).status == 200
    before = resident(gateway)
    half = head(AUTH)[:-2] + b"X: " + b"a" * 30_000
    wires = []
    try:
        for _ in range(1000):  # 29 MiB
            wire = Wire(gateway.port)
            wires.append(wire)
            wire.send(half)
        eventually(lambda: sample(
            get(gateway.admin_port, "/metrics")[1].decode(),
            'access_gateway_heads_refused_total{refusal="too_many_partial_heads"}') > 300, "the oldest are refused")
        assert resident(gateway) < before + 20, "8 MiB, what an allocator adds, and the connections"
        assert wires[0].reply().status == 503
        assert wires[-1].send(b"\r\n\r\n").reply().status == 401, "the newest stay"
        assert ask(gateway.port, AUTH, asserted(token)).status == 200
    finally:
        for wire in wires:
            wire.socket.close()
    eventually(lambda: resident(gateway) < before + 6, "the memory is given back")
