"""Keys and settings as people have them: spellings that are understood, mistakes that are told, and key servers that go away."""

import base64
import json
import socket
import threading

import jwt
import pytest

from faults import ConnectProxy, FaultServer, answering, http, reset
from minting import AUD, Key, base64url, certificate_authority, server_tls
from running import eventually, free_port, run
from wire import ask, asserted, get

AUTH = f"/auth/{AUD}"
ISSUER = "https://team.test"
FIRST, SECOND = Key(), Key()


def status(gateway, token):
    return ask(gateway.port, AUTH, asserted(token)).status


def nameless(team, key=None, **changes):
    """A token without kid."""
    return jwt.encode(team.claims(**changes), (key or team.key).private, algorithm="RS256", headers={})


@pytest.fixture
def serving(launch):
    """Makes a server of this very set: (team, server)."""
    made = []

    def make(*keys, tls=None):
        team = launch.team(keys=[FIRST])
        made.append(FaultServer(team, tls))
        made[-1].fault = answering(http(200, json.dumps({"keys": keys}).encode()))
        return team, made[-1]

    yield make
    for server in made:
        server.close()


# MARK: what is told


def test_a_refused_connection_is_told_as_such_and_counted_as_one(launch):
    url = f"https://localhost:{free_port()}/keys"
    result = run("check", "--issuer", ISSUER, "--keys-url", url)
    assert result.returncode == 1 and "Connection refused" in result.stderr and "TLS" not in result.stderr
    gateway = launch.gateway(ISSUER, ready=False, keys_url=url)
    eventually(lambda: 'outcome="connect"} 1' in get(gateway.admin_port, "/metrics")[1].decode(), "it is counted")
    assert 'outcome="tls"} 0' in get(gateway.admin_port, "/metrics")[1].decode()


@pytest.mark.parametrize("command", [["serve"], ["check"], ["check", "--offline"], ["explain", "--audience", AUD, "x"]])
@pytest.mark.parametrize("kind, words", [
    ("missing", "No such file"), ("empty", "certificate"), ("no certificate", "certificate"), ("a folder", ""),
])
def test_a_ca_file_of_no_use_ends_the_start(tmp_path, command, kind, words):
    path = tmp_path / "ca.pem"
    if kind == "a folder":
        path.mkdir()
    elif kind != "missing":
        path.write_text("" if kind == "empty" else "hello")
    result = run(*command, "--issuer", ISSUER, "--ca-file", path)
    assert result.returncode == 78, result
    assert len(result.stderr.splitlines()) == 1 and str(path) in result.stderr and "--ca-file" in result.stderr
    assert words in result.stderr and "handshake" not in result.stderr


def test_each_key_s_reason_is_told_where_none_is_usable(launch, serving, tmp_path):
    weak = Key(kid="weak", bits=1024)
    bad = [{**FIRST.jwk, "use": "enc"}, weak.jwk, {**SECOND.jwk, "alg": "RS512"}]
    team, server = serving(*bad)
    result = run("check", "--issuer", ISSUER, "--keys-url", server.url)
    assert result.returncode == 1
    for words in ("use is not sig", "(weak)", "2048", "none of the issuer's algorithms"):
        assert words in result.stderr, result.stderr
    gateway = launch.gateway(ISSUER, ready=False, keys_url=server.url)
    eventually(lambda: gateway.log().count('"key_skipped"') == len(bad), "each key is told")
    eventually(lambda: server.requests >= 4, "a second fetch", 20)
    assert gateway.log().count('"key_skipped"') == len(bad), "once"
    server.fault = answering(http(200, b'{"keys":[]}'))
    assert "It is empty" in run("check", "--issuer", ISSUER, "--keys-url", server.url).stderr


@pytest.mark.parametrize("moment", ["at once", "with a reset"])
@pytest.mark.parametrize("tls", [False, True])
def test_a_key_server_that_goes_away_ends_no_command_by_a_signal(moment, tls):
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            reset(connection) if moment == "with a reset" else connection.close()

    threading.Thread(target=serve, daemon=True).start()
    url = f"http{'s' if tls else ''}://localhost:{listener.getsockname()[1]}/keys"
    flags = ["--issuer", ISSUER, "--keys-url", url]
    token = jwt.encode(
        {"iss": ISSUER, "aud": AUD, "exp": 4e9, "iat": 1, "email": "a@b"}, FIRST.private, algorithm="RS256",
        headers={"kid": FIRST.kid})
    for _ in range(4):
        checked = run("check", *flags)
        assert checked.returncode == 1 and "no keys from" in checked.stderr, checked
        explained = run("explain", *flags, "--audience", AUD, stdin=token)
        assert explained.returncode == 1 and "keys_unavailable" in explained.stdout, explained
        if not tls:
            listed = run("keys", "--admin", f"127.0.0.1:{listener.getsockname()[1]}")
            assert listed.returncode == 1 and "access-gateway: keys: " in listed.stderr, listed
            minted = run("token", "--audience", AUD, "--issuer", url.removesuffix("/keys"))
            assert minted.returncode == 1 and "no token from" in minted.stderr, minted
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


# MARK: who serves keys


@pytest.mark.parametrize("names, common_name, is_good", [
    (("keys.sub.test",), None, True), (("*.sub.test",), None, True), ((), "keys.sub.test", False),
    (("k*.sub.test",), None, False), (("*s.sub.test",), None, False), (("other.test",), "keys.sub.test", False),
])
def test_a_key_server_s_name_is_in_subject_alternative_name_whole(launch, tmp_path, names, common_name, is_good):
    team = launch.team(keys=[FIRST])
    tls, trusted = server_tls(tmp_path, certificate_authority(), names, common_name=common_name)
    server = FaultServer(team, tls)
    proxy = ConnectProxy({"keys.sub.test": ("127.0.0.1", server.port)})
    result = run(
        "check", "--issuer", ISSUER, "--keys-url", "https://keys.sub.test/keys", "--ca-file", trusted,
        env={"HTTPS_PROXY": proxy.url})
    assert result.returncode == (0 if is_good else 1), result
    assert server.requests == (1 if is_good else 0)
    if not is_good:
        assert "TLS failed" in result.stderr
    proxy.close()
    server.close()


def test_a_proxy_is_told_user_and_password_and_nobody_else_is(launch, tmp_path):
    team = launch.team(keys=[FIRST])
    tls, trusted = server_tls(tmp_path, certificate_authority(), ("keys.test",))
    server = FaultServer(team, tls)
    proxy = ConnectProxy({"keys.test": ("127.0.0.1", server.port)})
    settings = {"keys_url": "https://keys.test/keys", "ca_file": trusted}
    gateway = launch.gateway(ISSUER, env={"HTTPS_PROXY": f"ada:l%40velace@127.0.0.1:{proxy.port}"}, **settings)
    assert status(gateway, team.mint(iss=ISSUER)) == 200
    expected = base64.b64encode(b"ada:l@velace")
    assert b"\r\nProxy-Authorization: Basic " + expected + b"\r\n" in proxy.asked[0]
    assert expected not in server.heads[0] and b"ada" not in server.heads[0]
    for secret in ("velace", expected.decode()):
        assert secret not in gateway.log()
    other = launch.gateway(ISSUER, ready=False, env={"HTTPS_PROXY": "socks5://u:velace@127.0.0.1:1"}, **settings)
    eventually(lambda: "socks5://" in other.log() and "HTTPS_PROXY" in other.log(), "the proxy is said")
    assert "velace" not in other.log()
    proxy.close()
    server.close()


def own_address():
    """An address of this machine that is not loopback, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = probe.getsockname()[0]
        return None if address.startswith("127.") else address


def test_keys_over_http_come_from_a_private_network_where_that_is_allowed(launch, serving):
    address = own_address()
    if address is None:
        pytest.skip("no address but loopback")
    team, server = serving(FIRST.jwk)
    listener = socket.create_server((address, 0))
    port = listener.getsockname()[1]

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            server.serve(connection)

    threading.Thread(target=serve, daemon=True).start()
    url = f"http://{address}:{port}/keys"
    refused = run("check", "--offline", "--issuer", ISSUER, "--keys-url", url)
    assert refused.returncode == 78 and "--allow-http-keys on" in refused.stderr
    gateway = launch.gateway(ISSUER, keys_url=url, allow_http_keys="on")
    assert status(gateway, team.mint(iss=ISSUER)) == 200
    line = next(line for line in gateway.log().splitlines() if "over http://" in line)
    assert json.loads(line)["level"] == "warning" and url in line
    public = run("check", "--issuer", ISSUER, "--keys-url", "http://8.8.8.8:1/keys", "--allow-http-keys", "on")
    assert public.returncode == 1 and "private network" in public.stderr, public
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


# MARK: keys and tokens


def test_tokens_without_kid_are_by_the_only_key(launch, serving):
    team, server = serving(FIRST.jwk)
    gateway = launch.gateway(ISSUER, keys_url=server.url, expose_reason="on")
    assert status(gateway, nameless(team, iss=ISSUER)) == 200
    stranger = ask(gateway.port, AUTH, asserted(nameless(team, SECOND, iss=ISSUER)))
    assert (stranger.status, stranger["X-Auth-Reason"]) == (401, "signature")
    team, server = serving(FIRST.jwk, SECOND.jwk)
    gateway = launch.gateway(ISSUER, keys_url=server.url, expose_reason="on")
    reply = ask(gateway.port, AUTH, asserted(nameless(team, iss=ISSUER)))
    assert (reply.status, reply["X-Auth-Reason"]) == (401, "malformed")
    cloudflare = "https://acme.cloudflareaccess.com"
    team, server = serving(FIRST.jwk)
    gateway = launch.gateway(cloudflare, keys_url=server.url, expose_reason="on")
    assert status(gateway, team.mint(iss=cloudflare)) == 200
    reply = ask(gateway.port, AUTH, asserted(nameless(team, iss=cloudflare)))
    assert (reply.status, reply["X-Auth-Reason"]) == (401, "malformed")


def without(jwk, *names):
    return {name: value for name, value in jwk.items() if name not in names}


PLAIN = {"kty": "RSA", "n": FIRST.jwk["n"], "e": "AQAB"}


@pytest.mark.parametrize("jwk", [
    PLAIN, without(FIRST.jwk, "kid"), without(FIRST.jwk, "alg", "use"), {**FIRST.jwk, "use": None, "alg": None, "d": None},
    {**FIRST.jwk, "kid": None}, {**FIRST.jwk, "n": base64url(b"\0" + FIRST.n), "e": base64url(b"\0\1\0\1")},
])
def test_a_key_as_people_publish_it_is_usable(launch, serving, jwk):
    team, server = serving(jwk)
    gateway = launch.gateway(ISSUER, keys_url=server.url)
    assert status(gateway, nameless(team, iss=ISSUER)) == 200
    assert status(gateway, team.mint(iss=ISSUER)) == 200


@pytest.mark.parametrize("types, good, bad", [
    (None, ["JWT", "jwt", "application/JWT"], ["at+jwt", "JOSE", ""]),
    ("at+jwt,application/JWT", ["AT+JWT", "application/at+jwt", "jwt"], ["JOSE"]),
])
def test_typ_is_one_of_the_token_types(launch, serving, types, good, bad):
    team, server = serving(FIRST.jwk)
    settings = {} if types is None else {"token_types": types}
    gateway = launch.gateway(ISSUER, keys_url=server.url, expose_reason="on", **settings)
    for typ in good:
        assert status(gateway, team.mint(iss=ISSUER, header={"typ": typ})) == 200, typ
    for typ in bad:
        whole = json.dumps({"alg": "RS256", "kid": FIRST.kid, "typ": typ}).encode()
        token = team.mint_bytes(header=whole, payload=json.dumps(team.claims(iss=ISSUER)).encode())
        reply = ask(gateway.port, AUTH, asserted(token))
        assert (reply.status, reply["X-Auth-Reason"]) == (401, "token_type"), typ


def test_an_issuer_with_a_slash_at_its_end_is_what_iss_must_be(launch):
    team = launch.team(keys=[FIRST])
    gateway = launch.gateway(team.issuer + "/")
    assert status(gateway, team.mint(iss=team.issuer + "/")) == 200
    assert status(gateway, team.mint()) == 401


def test_a_refresh_as_long_as_the_greatest_age_leaves_no_gap(launch):
    team = launch.team(keys=[FIRST])
    gateway = launch.gateway(team.issuer, keys_refresh="3s", keys_max_age="3s")
    token = team.mint()
    fetches = team.fetches
    while team.fetches < fetches + 3:
        assert status(gateway, token) == 200
    assert "keys_too_old" not in gateway.log()


# MARK: the stand-in, and what people paste


def test_the_stand_in_answers_for_loopback_names_alone(issuer):
    def said(host, target="/token?aud=demo"):
        lines = [] if host is None else [f"Host: {host}"]
        with socket.create_connection(("127.0.0.1", issuer.port), timeout=10) as connection:
            version = "1.0" if host is None else "1.1"
            connection.sendall("\r\n".join([f"GET {target} HTTP/{version}", *lines, "Connection: close", "", ""]).encode())
            return int(connection.makefile("rb").readline().split()[1])

    for host in (f"127.0.0.1:{issuer.port}", f"localhost:{issuer.port}", "LOCALHOST", "127.0.0.1", "localhost:1"):
        assert said(host) == 200, host
    for host in (f"evil.example:{issuer.port}", "evil.example", "127.0.0.2", "localhost.evil.example", "[::1]", None):
        assert said(host) == 403, host
        assert said(host, "/cdn-cgi/access/certs") == 403, host


@pytest.mark.parametrize("form", [
    "Cf-Access-Jwt-Assertion: {}", "Cookie: a=b; CF_Authorization={}; c=d", "Bearer {}", '  "{}"\n', "CF_Authorization={}",
])
def test_explain_takes_what_people_paste(team, form):
    pasted = form.format(team.mint())
    for result in (
        run("explain", "--issuer", team.issuer, "--audience", AUD, stdin=pasted),
        run("explain", "--issuer", team.issuer, "--audience", AUD, "--", pasted),
    ):
        assert result.returncode == 0 and "verdict: allow" in result.stdout, result
