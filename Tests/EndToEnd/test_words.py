"""What a person reads: log lines without tokens, why somebody was denied, commands that say what is wrong."""

import json
import os
import pathlib
import re
import socket
import subprocess
import urllib.parse

import pytest
from cryptography.hazmat.primitives import serialization

from minting import AUD, EMAIL, OTHER_AUD, certificate_authority
from running import eventually, free_port, run
from wire import ask, asserted

AUTH = f"/auth/{AUD}"
ROOT = pathlib.Path(__file__).parent.parent.parent


def lines(gateway, event, count=1):
    """The log's lines of an event, when there are `count` at least."""
    def found():
        return [line for line in map(json.loads, gateway.log().splitlines()) if line["event"] == event]

    eventually(lambda: len(found()) >= count, f"{count} lines of {event}")
    return found()


@pytest.fixture
def logging(launch, team):
    return launch.gateway(team.issuer, log_format="json")


# No token in the log


def pieces(token, size=16):
    return [token[at:at + size] for at in range(0, len(token) - size, size // 2)]


CARRIERS = [
    "X-Forwarded-Uri: /x/{}", "X-Forwarded-Uri: /x/{}/page", "X-Forwarded-Uri: /cb;CF_Authorization={}",
    "X-Forwarded-Uri: /cb%3Ft%3D{}", "X-Forwarded-Uri: /cb?t={}", "X-Forwarded-Uri: /cb%253ft={}",
    "X-Forwarded-Uri: {}", "X-Forwarded-Host: {}", "X-Forwarded-Host: {}.example.com", "X-Forwarded-For: {}",
    "X-Forwarded-For: 203.0.113.7, {}", "Cf-Ray: {}", "X-Request-Id: {}", "X-Forwarded-Uri: /a,{}",
]


def encoded(text, every=False):
    return "".join(f"%{ord(c):02x}" for c in text) if every else text.replace(".", "%2E")


@pytest.mark.parametrize("carrier", CARRIERS)
def test_no_part_of_a_token_is_in_the_log_or_the_reply_whoever_carries_it(logging, team, carrier):
    token = team.mint()
    parts = token.split(".")
    forms = [token, encoded(token), encoded(encoded(token)), encoded(token, every=True), urllib.parse.quote(token),
             *parts, parts[2][:60], parts[1][20:64], ".".join(parts[1:])]
    replies = [ask(logging.port, AUTH, carrier.format(form)) for form in forms]
    assert all(reply.status == 401 for reply in replies)
    lines(logging, "denied", len(forms))
    log = logging.log() + "".join(str(vars(reply)) for reply in replies)
    for form in (token, encoded(token, every=True)):
        for piece in pieces(form):
            assert piece not in log, f"{piece} in {log}"


@pytest.mark.parametrize("path", ["/auth/{}", "/auth/{}/x", "/{}", "/x?{}"])
def test_no_part_of_a_token_in_the_path_is_in_the_log_or_the_reply(logging, team, path):
    token = team.mint(custom={"x": "y" * 10})
    for part in [token[:120], token.split(".")[2][:120], token]:
        reply = ask(logging.port, path.format(part))
        assert reply.status in (401, 404)
        assert not [piece for piece in pieces(part) if piece in str(vars(reply))]
    ask(logging.port, AUTH)
    lines(logging, "denied")
    for piece in pieces(token):
        assert piece not in logging.log()


@pytest.mark.parametrize("variable", ["GATEWAY_TEAM_DOMAIN", "GATEWAY_ISSUER", "GATEWAY_LEEWAY"])
def test_a_token_in_the_wrong_variable_is_not_repeated(team, variable):
    token = team.mint()
    result = run("check", env={variable: token, "CF_TEAMS_DOMAIN": "acme"})
    assert result.returncode == 78
    assert variable in result.stderr and "allowed: " in result.stderr
    for piece in pieces(token):
        assert piece not in result.stderr + result.stdout


# Why was a person denied?


def test_a_denial_s_line_says_what_the_token_claims(logging, team):
    service = {"email": None, "sub": "", "common_name": "backup.access"}
    cases = [
        (team.mint(aud=[OTHER_AUD]), {"reason": "audience", "claimed_email": EMAIL, "token_aud": OTHER_AUD}),
        (team.mint(aud=[OTHER_AUD, "two"]), {"token_aud": f"{OTHER_AUD},two"}),
        (team.mint(exp=1_700_000_000), {"reason": "expired", "claimed_email": EMAIL, "token_aud": AUD}),
        (team.mint(iss="https://other.example"), {"reason": "issuer", "token_iss": "https://other.example"}),
        (team.mint(**service), {"reason": "identity", "claimed_name": "backup.access", "claimed_email": None}),
        (team.mint(header={"typ": "dpop+jwt"}), {"reason": "token_type", "claimed_email": EMAIL}),
        (team.mint_hmac(), {"reason": "algorithm", "claimed_email": EMAIL}),
        (team.mint()[:-40] + "A" * 38 + "AA", {"claimed_email": EMAIL, "token_iss": team.issuer}),
        (team.mint(email="a\nb\"\u00e9@x" + "y" * 500), {"reason": "identity"}),
        ("a.b.c", {"reason": "malformed", "claimed_email": None, "token_aud": None}),
    ]
    for number, (token, wanted) in enumerate(cases):
        reply = ask(logging.port, AUTH, asserted(token), "Cf-Ray: 8c1f2a3b4d5e6f70-IAD", "X-Forwarded-Host: wiki.test")
        assert reply.status == 401
        line = lines(logging, "denied", number + 1)[number]
        assert line["cf_ray"] == "8c1f2a3b4d5e6f70-IAD"
        for name, value in wanted.items():
            assert line.get(name) == value, (name, line)
        assert all(len(str(value)) <= 300 for value in line.values())
    # As JSON reads it; in the line itself it is escaped.
    assert lines(logging, "denied")[8]["claimed_email"].startswith("a\nb\"\u00e9@xyyy")


def test_nothing_is_claimed_where_nothing_was_judged(logging, team):
    ask(logging.port, AUTH)
    ask(logging.port, AUTH, asserted(team.mint()), asserted(team.mint_service()))
    for line in lines(logging, "denied", 2):
        assert not [name for name in line if name.startswith(("claimed_e", "claimed_n", "token_"))]


@pytest.mark.parametrize("kind", ["none", "junk", "forged"])
def test_reply_and_line_of_a_denial_have_a_reference_in_common(logging, team, kind):
    token = {"none": [], "junk": ["a.b.c"], "forged": [team.mint()[:-40] + "A" * 40]}[kind]
    fields = [asserted(t) for t in token]
    own = ask(logging.port, AUTH, *fields, "X-Request-Id: 5f3c1b9e-7c7e-4f6c-9a55-0d8f3f6f1c2b")
    made = [ask(logging.port, AUTH, *fields) for _ in range(2)]
    references = [reply.values("x-request-id") for reply in (own, *made)]
    assert references[0] == ["5f3c1b9e-7c7e-4f6c-9a55-0d8f3f6f1c2b"]
    assert all(len(r) == 1 and re.fullmatch("[0-9a-f]{16}", r[0]) for r in references[1:])
    assert references[1] != references[2]
    assert [line["request_id"] for line in lines(logging, "denied", 3)] == [r[0] for r in references]


@pytest.mark.parametrize("fields, is_own", [
    (["X-Request-Id: a"], True), (["X-Request-Id: " + "a" * 64], True), (["x-request-id: !#$%&'*+-.^_`|~09azAZ"], True),
    (["X-Request-Id:"], False), (["X-Request-Id: " + "a" * 65], False), (["X-Request-Id: a b"], False),
    (["X-Request-Id: a,b"], False), (["X-Request-Id: a;b"], False), (["X-Request-Id: a\"b"], False),
    (["X-Request-Id: a", "X-Request-Id: b"], False), (["X-Request-Id: eyJhbGciOiJSUzI1NiJ9"], False),
])
def test_only_a_plain_reference_is_sent_back(gateway, fields, is_own):
    reply = ask(gateway.port, AUTH, *fields)
    sent = reply.values("x-request-id")
    assert len(sent) == 1
    assert (sent[0] == fields[0].split(":", 1)[1].strip()) == is_own
    assert is_own or re.fullmatch("[0-9a-f]{16}", sent[0])


def test_an_allow_carries_no_reference(gateway, team):
    assert ask(gateway.port, AUTH, asserted(team.mint()), "X-Request-Id: a").values("x-request-id") == []


# Commands


def test_healthcheck_says_where_its_address_comes_from():
    port = free_port()
    for arguments, env, words in [
        (["--admin", f"127.0.0.1:{port}"], {}, "--admin must be what the gateway was started with"),
        ([], {"GATEWAY_ADMIN": f"127.0.0.1:{port}"}, "that of GATEWAY_ADMIN"),
    ]:
        result = run("healthcheck", *arguments, env=env)
        assert result.returncode == 1
        assert len(result.stderr.strip().splitlines()) == 1
        assert words in result.stderr and f"127.0.0.1:{port}" in result.stderr
        assert "refused" in result.stderr


def test_healthcheck_asks_a_unix_socket_too(launch, team, tmp_path):
    launch.gateway(team.issuer, admin=f"unix:{tmp_path}/admin", ready=False, wait=False)
    eventually(lambda: run("healthcheck", "--admin", f"unix:{tmp_path}/admin").returncode == 0, "ready")
    result = run("healthcheck", "--admin", f"unix:{tmp_path}/other")
    assert result.returncode == 1 and f"unix:{tmp_path}/other" in result.stderr


def check(team, **settings):
    given = {"issuer": team.issuer, "listen": f"127.0.0.1:{free_port()}", "admin": f"127.0.0.1:{free_port()}", **settings}
    return run("check", *[part for k, v in given.items() for part in ("--" + k.replace("_", "-"), v)])


def test_check_tries_what_serve_would_and_leaves_nothing(team, tmp_path):
    (tmp_path / "ca.pem").write_bytes(certificate_authority()[1].public_bytes(serialization.Encoding.PEM))
    (tmp_path / "state").mkdir(mode=0o700)
    result = check(team, state_dir=tmp_path / "state", ca_file=tmp_path / "ca.pem", listen=f"unix:{tmp_path}/socket")
    assert result.returncode == 0, result
    assert not list((tmp_path / "state").iterdir())
    assert not (tmp_path / "socket").exists()
    assert check(team, state_dir=tmp_path / "not-yet").returncode == 0
    assert not (tmp_path / "not-yet").exists()


def test_check_says_what_serve_would_fail_on(team, tmp_path):
    (tmp_path / "file").write_text("")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for settings, words in [
            ({"state_dir": tmp_path / "file"}, ["state_dir", f"{tmp_path}/file"]),
            ({"state_dir": tmp_path / "a" / "b"}, ["state_dir", f"{tmp_path}/a"]),
            ({"state_dir": "/proc/state"}, ["state_dir", "/proc/state"]),
            ({"ca_file": tmp_path / "no.pem"}, ["--ca-file", f"{tmp_path}/no.pem", "No such file"]),
            ({"listen": f"127.0.0.1:{port}"}, [f"127.0.0.1:{port}", "in use"]),
            ({"admin": f"127.0.0.1:{port}"}, [f"127.0.0.1:{port}", "in use"]),
            ({"socket_owner": "nobody-has-this-name"}, ["socket_owner", "nobody-has-this-name"]),
        ]:
            result = check(team, **settings)
            assert result.returncode in (1, 78), (settings, result)
            for word in words:
                assert word in result.stderr, (settings, result.stderr)


@pytest.mark.parametrize("env, words", [
    ({"GATEWAY_TEAM_DOMAN": "acme"}, ["'GATEWAY_TEAM_DOMAN'", "GATEWAY_TEAM_DOMAIN", "CF_TEAMS_DOMAIN"]),
    ({"GATEWAY_TEAM_DOMAIN": ""}, ["GATEWAY_TEAM_DOMAIN is empty"]),
    ({"CF_TEAM_DOMAIN": "acme"}, ["is CF_TEAMS_DOMAIN meant?"]),
])
def test_beside_the_missing_team_stands_what_was_meant_by_it(env, words):
    for command in (["serve"], ["check"], []):
        result = run(*command, env=env)
        assert result.returncode == 78
        assert len(result.stderr.strip().splitlines()) == 1
        for word in words:
            assert word in result.stderr


@pytest.mark.parametrize("arguments", [["--yes"], ["--once", "--yes"], []])
def test_the_demo_without_swift_says_so_and_leaves_nothing(tmp_path, arguments):
    """A PATH with the usual tools and neither Swift nor a way to get it."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in "bash cat cut date dirname env grep head id mktemp printf rm sed sleep sort tail tr uname".split():
        found = next((p for p in (f"/usr/bin/{tool}", f"/bin/{tool}") if os.path.exists(p)), None)
        if found:
            (tools / tool).symlink_to(found)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    result = subprocess.run(
        [str(ROOT / "scripts" / "demo"), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        env={"PATH": str(tools), "HOME": str(tmp_path), "TMPDIR": str(temporary)})
    assert result.returncode == 1, result
    assert "unbound variable" not in result.stderr + result.stdout
    assert "error: " in result.stderr and "Swift" in result.stderr + result.stdout
    assert not list(temporary.iterdir())
