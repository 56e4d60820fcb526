"""SPEC.md's "The process": commands, settings and their mistakes, exit codes, the admin listener, signals."""

import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from minting import AUD, OTHER_AUD
from running import SANITIZED, Gateway, eventually, free_port, listening, run
from wire import Wire, ask, asserted, get, head, sample

AUTH = f"/auth/{AUD}"


# Commands and settings


def test_help_names_every_command():
    result = run("--help")
    assert result.returncode == 0
    for command in ("serve", "demo", "issuer", "token", "check", "explain", "healthcheck"):
        assert re.search(rf"\b{command}\b", result.stdout), command


SETTINGS = (
    "team-domain issuer keys-url token-types allow-http-keys listen listen-shared admin socket-mode socket-owner state-dir "
    "leeway require unavailable-status expose-reason keys-refresh keys-max-age unknown-kid-wait event-loops verify-workers max-partial-bytes max-connections max-head-bytes header-timeout idle-timeout drain-timeout "
    "token-cache-bytes core-dumps log-level log-format").split()


def test_help_names_every_setting():
    result = run("serve", "--help")
    assert result.returncode == 0
    for setting in SETTINGS:
        assert f"--{setting}" in result.stdout, setting


def test_version_is_one_line():
    result = run("--version")
    assert result.returncode == 0
    assert len(result.stdout.strip().splitlines()) == 1


@pytest.mark.parametrize("arguments", [["--no-such-flag"], ["serve", "--no-such-flag"], ["no-such-command"]])
def test_wrong_usage_exits_64(arguments):
    result = run(*arguments)
    assert result.returncode == 64
    assert result.stderr != ""


MISTAKES = [
    ("listen_shared", "on", "refuse"), ("max_partial_bytes", "1KiB", "1MiB"),
    ("leeway", "400s", "300"), ("leeway", "x", None), ("leeway", "-1s", None), ("leeway", "1w", None),
    ("require", "nobody", "identity"), ("unavailable_status", "200", "503"), ("expose_reason", "maybe", "on"),
    ("listen", "nowhere", None), ("listen", "127.0.0.1:99999", None), ("admin", "x:y", None),
    ("keys_url", "http://example.com/keys", "https"), ("keys_url", "ftp://127.0.0.1/keys", "https"),
    ("token_types", "a b", "at+jwt"), ("allow_http_keys", "maybe", "on"), ("ca_file", "/none/ca.pem", "No such file"),
    ("socket_mode", "660", "octal"), ("socket_owner", "a:b:c", "group"), ("issuer", "http://team.test", "https"),
    ("issuer", "https://team.test/?x", None), ("team_domain", "acme/x", None), ("event_loops", "0", None),
    ("verify_workers", "many", None), ("max_connections", "0", None), ("max_head_bytes", "1GiB", None),
    ("header_timeout", "0", None), ("token_cache_bytes", "64MB", "MiB"), ("log_level", "loud", "info"),
    ("log_format", "xml", "json"), ("keys_refresh", "soon", None), ("keys_max_age", "0", None),
]


@pytest.mark.parametrize("way", ["flag", "environment"])
@pytest.mark.parametrize("name, value, allowed", MISTAKES)
def test_a_wrong_setting_exits_78_with_one_line_that_says_which(way, name, value, allowed):
    fallback = {} if name in ("team_domain", "issuer") else {"GATEWAY_TEAM_DOMAIN": "acme"}
    if way == "flag":
        result = run("check", f"--{name.replace('_', '-')}={value}", env=fallback)
    else:
        result = run("check", env={**fallback, f"GATEWAY_{name.upper()}": value})
    assert result.returncode == 78, result
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert name in lines[0].replace("-", "_").lower()
    assert value in lines[0]
    assert allowed is None or allowed in lines[0]


def test_without_a_team_it_exits_78_and_names_the_setting():
    result = run("serve")
    assert result.returncode == 78
    assert len(result.stderr.strip().splitlines()) == 1
    assert "team_domain" in result.stderr.replace("-", "_").lower()


def test_flags_go_over_the_environment_and_an_empty_variable_is_unset(launch, team):
    gateway = launch.gateway(
        team.issuer, require="any", env={"GATEWAY_REQUIRE": "service", "GATEWAY_LEEWAY": "", "CF_TEAMS_DOMAIN": ""})
    assert ask(gateway.port, AUTH, asserted(team.mint())).status == 200


def test_the_environment_alone_is_enough(launch, team):
    port, admin = free_port(), free_port()
    gateway = launch.keep(Gateway(
        team.issuer, wait=False, issuer=None, listen=None, admin=None,
        env={
            "GATEWAY_ISSUER": team.issuer, "GATEWAY_LISTEN": f"127.0.0.1:{port}",
            "GATEWAY_ADMIN": f"127.0.0.1:{admin}"}))
    gateway.await_port(port)
    eventually(lambda: ask(port, AUTH, asserted(team.mint())).status == 200, "ready")


def test_the_published_image_s_variable_is_enough_to_check():
    result = run("check", env={"CF_TEAMS_DOMAIN": "acme.cloudflareaccess.com"}, timeout=60)
    assert result.returncode == 1, "the settings hold, the keys can't be had"
    assert "https://acme.cloudflareaccess.com" in result.stdout + result.stderr


def test_check_says_what_would_run_and_fetches_the_keys(team):
    fetches = team.fetches
    result = run("check", "--issuer", team.issuer)
    assert result.returncode == 0, result
    assert team.issuer in result.stdout
    assert team.fetches == fetches + 1


def test_check_fails_when_the_keys_can_t_be_had():
    result = run("check", "--issuer", f"http://127.0.0.1:{free_port()}")
    assert result.returncode == 1
    assert result.stderr != ""


def test_a_port_in_use_is_said_and_it_does_not_start(team):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run("serve", "--issuer", team.issuer, "--listen", f"127.0.0.1:{port}", "--admin",
                     f"127.0.0.1:{free_port()}")
        assert result.returncode in (1, 78)
        assert str(port) in result.stderr


@pytest.mark.parametrize("changes, audience, code, words", [
    ({}, AUD, 0, ["ada@example.com", "allow"]),
    ({"exp": 1}, AUD, 1, ["expired"]),
    ({}, OTHER_AUD, 1, ["audience"]),
])
@pytest.mark.parametrize("way", ["argument", "stdin"])
def test_explain_tells_the_verdict_and_its_reason(team, changes, audience, code, words, way):
    token = team.mint(**changes)
    arguments = ["explain", "--issuer", team.issuer, "--audience", audience]
    result = run(*arguments, token) if way == "argument" else run(*arguments, stdin=token + "\n")
    assert result.returncode == code, result
    for word in words:
        assert word in result.stdout, result.stdout


# The admin listener


def test_admin_answers_only_its_own_paths(gateway):
    assert get(gateway.admin_port, "/livez")[0] == 200
    assert get(gateway.admin_port, "/readyz")[0] == 200
    assert get(gateway.admin_port, "/nothing")[0] == 404
    assert get(gateway.admin_port, AUTH)[0] == 404


def test_metrics_are_well_formed_and_count(gateway, team):
    requests = "access_gateway_requests_total"
    before = sample(get(gateway.admin_port, "/metrics")[1].decode(), requests)
    token = team.mint()
    for _ in range(3):
        assert ask(gateway.port, AUTH, asserted(token)).status == 200
        assert ask(gateway.port, AUTH).status == 401
    eventually(
        lambda: sample(get(gateway.admin_port, "/metrics")[1].decode(), requests) >= before + 6, "requests are counted")
    text = get(gateway.admin_port, "/metrics")[1].decode()
    assert AUD not in text and "ada@" not in text, "label values are bounded: nothing of a request is in them"
    for topic in ("cache", "verif", "key", "refresh", "connections", "histogram"):
        assert topic in text, topic
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool here (Debian's prometheus package has it)")
    result = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_healthcheck_asks_whether_it_is_ready(gateway, launch):
    assert run("healthcheck", "--admin", f"127.0.0.1:{gateway.admin_port}").returncode == 0
    assert run("healthcheck", env={"GATEWAY_ADMIN": f"127.0.0.1:{gateway.admin_port}"}).returncode == 0
    assert run("healthcheck", "--admin", f"127.0.0.1:{free_port()}").returncode == 1
    waiting = launch.gateway(f"http://127.0.0.1:{free_port()}", ready=False)
    assert run("healthcheck", "--admin", f"127.0.0.1:{waiting.admin_port}").returncode == 1


# Memory


def status_kib(gateway, name):
    text = pathlib.Path(f"/proc/{gateway.pid}/status").read_text()
    return int(re.search(rf"^{name}:\s+(\d+) kB$", text, re.M)[1])


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's own memory hides that of the program")
def test_an_idle_gateway_has_little_memory_of_its_own(launch, team):
    """RssAnon is what a container pays for; pages of the program's file are the kernel's to take back."""
    gateway = launch.gateway(team.issuer, event_loops="2", verify_workers="2")
    own = status_kib(gateway, "RssAnon")
    assert own < 6 * 1024, f"{own} KiB are its own"


@pytest.mark.skipif(SANITIZED, reason="it waits for some seconds, and the plain round has seen it")
def test_tokens_whose_time_is_over_give_their_memory_back(launch, team):
    gateway = launch.gateway(team.issuer, leeway="0s")

    def entries():
        return sample(get(gateway.admin_port, "/metrics")[1].decode(), "access_gateway_token_cache_entries")

    assert ask(gateway.port, AUTH, asserted(team.mint(exp=int(time.time()) + 2))).status == 200
    assert entries() == 1
    eventually(lambda: entries() == 0, "the cache is empty")


def test_it_listens_on_unix_sockets_and_several_addresses(launch, team, tmp_path):
    path, first, second = tmp_path / "gateway.sock", free_port(), free_port()
    gateway = launch.keep(Gateway(
        team.issuer, wait=False, listen=f"127.0.0.1:{first},127.0.0.1:{second},unix:{path}"))
    for port in (first, second):
        gateway.await_port(port)
        eventually(lambda: ask(port, AUTH, asserted(team.mint())).status == 200, "ready")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(path))
        client.sendall(head(AUTH, asserted(team.mint()), "Connection: close"))
        assert client.recv(65536).startswith(b"HTTP/1.1 200")


# Signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_exits_0(launch, team, number):
    gateway = launch.gateway(team.issuer)
    token = team.mint()
    data = head(AUTH, asserted(token))
    with Wire(gateway.port) as half, Wire(gateway.port) as idle:
        assert idle.send(data).reply().status == 200
        half.send(data[:80])
        assert idle.send(data).reply().status == 200  # so the half head has arrived as well
        gateway.signal(number)
        eventually(lambda: not listening(gateway.port), "it accepts no more")
        assert gateway.child.poll() is None, "it waits for the head that it has half"
        reply = half.send(data[80:]).reply()
        assert reply.status == 200
        assert reply["Connection"].lower() == "close"
        half.assert_closed()
        idle.assert_closed()
        assert gateway.wait() == 0


def test_draining_ends_at_its_deadline(launch, team):
    gateway = launch.gateway(team.issuer, drain_timeout="1s", header_timeout="60s")
    with Wire(gateway.port) as half:
        half.send(head(AUTH)[:20])
        assert ask(gateway.port, AUTH).status == 401
        gateway.signal(signal.SIGTERM)
        assert gateway.wait() == 0


def test_it_goes_on_after_everything_a_stranger_sends(gateway, team):
    """Behind all the other tests of the session's gateway: still there, still right, nothing left open."""
    for _ in range(20):
        with Wire(gateway.port) as wire:
            wire.send(b"\r\n\0 nonsense\r\n\r\n")
            wire.rest()
    assert ask(gateway.port, AUTH, asserted(team.mint())).status == 200
    assert gateway.child.poll() is None
