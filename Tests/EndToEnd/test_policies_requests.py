"""POLICIES.md on the wire: which application a path means, what is believed of the original request, and what a client
that lies about it gets. Each attack of the contract is a request here."""

import os
import socket

import pytest

from minting import AUD, EMAIL, OTHER_AUD
from running import BINARY, eventually
from wire import IDENTITY, Wire, ask, asserted, get, head

FILE = f"""
version: 1
decision_log: all
headers: {{X-Auth-Country: {{claim: country}}}}
applications:
  wiki:
    audiences: [{AUD}, {"ab" * 32}]
    hosts: [wiki.acme.com]
    preflight: allow
    headers: {{X-Groups: {{claim: custom.groups, join: ","}}, X-Fixed: {{value: yes}}}}
    policies:
      - {{name: no deletes, action: deny, match: {{methods: [DELETE]}}}}
      - {{name: album, action: bypass, match: {{methods: [GET, HEAD], paths: ["/share/**"]}}}}
      - {{name: office, action: bypass, match: {{client_ip: [10.0.0.0/8], paths: ["/lan/**"]}}}}
      - {{name: engineers, action: allow, include: {{claims: {{groups: [eng]}}}}}}
  trial:
    audience: {OTHER_AUD}
    hosts: [trial.acme.com]
    mode: report
    policies:
      - {{name: nobody, action: allow, include: {{emails: [nobody@example.com]}}}}
  own:
    audience: {"cd" * 32}
    hosts: [own.acme.com]
    metadata: request
    policies:
      - {{name: readers, action: allow, match: {{methods: [GET], paths: ["/v1/**"]}}, include: {{everyone: true}}}}
"""


@pytest.fixture(scope="module")
def house(team, tmp_path_factory):
    from conftest import await_ready, kept
    from running import Gateway

    folder = tmp_path_factory.mktemp("policies")
    file = folder / "gateway.yaml"
    file.write_text(FILE)
    gateway = Gateway(team.issuer, env={"GATEWAY_CONFIG": str(file)}, expose_reason="on")
    await_ready(gateway)
    yield from kept(gateway)


def forwarded(method="GET", host="wiki.acme.com", path="/", client="203.0.113.9"):
    fields = {"Method": method, "Host": host, "Uri": path, "For": client}
    return [f"X-Forwarded-{name}: {value}" for name, value in fields.items() if value is not None]


def engineer(team, **changes):
    return asserted(team.mint(custom={"groups": ["eng", "a,b"]}, country="CH", **changes))


def assert_reason(reply, status, reason):
    assert (reply.status, reply["X-Auth-Reason"]) == (status, reason), reply
    for name in IDENTITY:
        assert name not in reply


def assert_nobody(reply):
    assert reply.status == 200, reply
    for name in IDENTITY:
        assert reply.values(name) == [""], f"{name} leaves empty: {reply}"


def test_name_and_audience_mean_the_same_application_and_any_of_its_audiences_will_do(house, team):
    for segment in ("wiki", AUD):
        for audience in (AUD, "ab" * 32):
            for _ in range(2):  # verified, then remembered
                reply = ask(house.port, f"/auth/{segment}", engineer(team, aud=[audience]), *forwarded())
                assert reply.status == 200, reply
                assert reply["X-Auth-User"] == EMAIL
                assert reply["X-Auth-Country"] == "CH"
                assert reply["X-Groups"] == "eng,a%2Cb"
                assert reply["X-Fixed"] == "yes"
    assert_reason(ask(house.port, "/auth/wiki", engineer(team, aud=["ee" * 32]), *forwarded()), 401, "audience")
    assert_reason(ask(house.port, "/auth/wiki", engineer(team, aud=["wiki"]), *forwarded()), 401, "audience")


def test_an_unknown_application_is_403_whatever_the_token(house, team):
    for segment in ("nobody", "ee" * 32, "WIKI"):
        assert_reason(ask(house.port, f"/auth/{segment}", engineer(team), *forwarded()), 403, "unknown_application")


def test_a_remembered_token_of_one_application_is_none_of_another(house, team):
    token = engineer(team)
    assert ask(house.port, "/auth/wiki", token, *forwarded()).status == 200
    assert_reason(ask(house.port, "/auth/trial", token, *forwarded(host="trial.acme.com")), 401, "audience")


def test_no_policy_that_holds_denies_with_the_name_in_the_log(house, team):
    other = asserted(team.mint(custom={"groups": ["sales"]}))
    for _ in range(2):
        assert_reason(ask(house.port, "/auth/wiki", other, *forwarded()), 403, "not_allowed")
    # A deny before a bypass needs the token, and with it denies by name.
    assert_reason(
        ask(house.port, "/auth/wiki", engineer(team), *forwarded(method="DELETE")), 403, "not_allowed")
    eventually(lambda: '"policy":"no deletes"' in house.log(), "the denial's line names its policy")
    assert '"application":"wiki"' in house.log()


@pytest.mark.parametrize("lines", [
    forwarded(host="evil.example"), forwarded(host=None), forwarded() + ["X-Forwarded-Host: wiki.acme.com"],
    forwarded(host="wiki.acme.com, evil.example"), forwarded(host="wiki.acme.com@evil.example")])
def test_a_host_that_is_none_of_the_applications_opens_nothing(house, team, lines):
    assert_reason(ask(house.port, "/auth/wiki", engineer(team), *lines), 403, "wrong_host")
    share = [line.replace("X-Forwarded-Uri: /", "X-Forwarded-Uri: /share/x") for line in lines]
    assert_reason(ask(house.port, "/auth/wiki", *share), 401, "missing")


@pytest.mark.parametrize("host", ["wiki.acme.com", "WIKI.acme.com:443", "wiki.acme.com."])
def test_a_bypass_needs_no_token_and_forged_identity_leaves_empty(house, host):
    forged = ["X-Auth-User: root@acme.com", "X-Auth-Email: root@acme.com", "X-Auth-Kind: user",
              "X-Auth-Subject: 1", "X-Auth-Expires: 9", "X-Groups: eng", "X-Auth-Country: CH"]
    reply = ask(house.port, "/auth/wiki", *forged, *forwarded(path="/share/a?b=/../", host=host))
    assert_nobody(reply)
    assert reply["X-Groups"] == reply["X-Auth-Country"] == ""
    assert reply["X-Fixed"] == "yes"


@pytest.mark.parametrize("path", [
    "/share/../admin", "/share/..", "/share/./x", "/share//x", "/share/%2e%2e/admin", "/share/%2Fx", "/share/a%5cb",
    "/share/%zz", "/share/%00", "/share/%ff", "/share", "share/x", "", "http://wiki.acme.com/share/x",
    "/%73hare%2f..%2fadmin"])
def test_a_path_that_two_programs_could_read_differently_opens_nothing(house, path):
    assert_reason(ask(house.port, "/auth/wiki", *forwarded(path=path)), 401, "missing")


def test_a_hostile_path_denies_a_good_token_and_leaves_a_bad_one_401(house, team):
    for path in ("/share/%2e%2e/x", "/a%2fb", "/.."):
        assert_reason(ask(house.port, "/auth/wiki", engineer(team), *forwarded(path=path)), 403, "not_allowed")
        assert_reason(ask(house.port, "/auth/wiki", engineer(team, exp=1), *forwarded(path=path)), 401, "expired")


@pytest.mark.parametrize("lines", [
    forwarded(method="POST", path="/share/x"), forwarded(method=None, path="/share/x"), forwarded(path=None),
    forwarded(path="/share/x") + ["X-Forwarded-Uri: /share/x"],
    forwarded(path="/share/x") + ["X-Forwarded-Method: GET"],
    forwarded(path="/") + ["X-Original-URL: /share/x", "X-Rewrite-URL: /share/x", "X-Original-Method: GET"],
    forwarded(method="get", path="/share/x"),
    ["X-Forwarded-Host: wiki.acme.com"], []])
def test_fields_that_are_missing_doubled_or_of_no_family_open_no_bypass(house, lines):
    assert_reason(ask(house.port, "/auth/wiki/share/x", *lines), 401, "missing")


def test_a_deny_that_may_hold_wants_the_token(house, team):
    # Without a method nobody can say that it is no DELETE.
    lines = [line for line in forwarded(path="/share/x") if "Method" not in line]
    assert_reason(ask(house.port, "/auth/wiki", engineer(team), *lines), 403, "not_allowed")


@pytest.mark.parametrize("client, more, opens", [
    ("10.1.2.3", [], True), ("10.1.2.3, 127.0.0.1", [], True), ("203.0.113.9", [], False),
    ("10.1.2.3, 203.0.113.9", [], False), ("127.0.0.1", [], False), (None, [], False), ("10.1.2.3:80", [], False),
    ("10.1.2.3", ["X-Forwarded-For: 10.1.2.3"], False), ("::ffff:10.1.2.3", [], True),
    ("10.1.2.3", ["Cf-Connecting-Ip: 10.1.2.3"], False), ("10.1.2.3", ["Cf-Ray: 1-ZRH"], False),
    (None, ["X-Real-Ip: 10.1.2.3"], False), (None, ["Forwarded: for=10.1.2.3"], False)])
def test_the_office_opens_by_address_and_not_through_a_tunnel(house, client, more, opens):
    reply = ask(house.port, "/auth/wiki", *forwarded(path="/lan/x", client=client), *more)
    assert_nobody(reply) if opens else assert_reason(reply, 401, "missing")


def test_a_preflight_is_options_with_both_fields_on_a_host_of_the_application(house):
    both = ["Origin: https://a.example", "Access-Control-Request-Method: PUT"]
    assert_nobody(ask(house.port, "/auth/wiki", *both, *forwarded(method="OPTIONS")))
    for lines in (both[1:], both[:1], []):
        assert_reason(ask(house.port, "/auth/wiki", *lines, *forwarded(method="OPTIONS")), 401, "missing")
    assert_reason(ask(house.port, "/auth/wiki", *both, *forwarded(method="GET")), 401, "missing")
    assert_reason(
        ask(house.port, "/auth/wiki", *both, *forwarded(method="OPTIONS", host="evil.example")), 401, "missing")
    # The request to the gateway itself may be OPTIONS, whatever the original was.
    assert_reason(ask(house.port, "/auth/wiki", *both, *forwarded(), method="OPTIONS"), 401, "missing")
    assert_reason(
        ask(house.port, "/auth/trial", *both, *forwarded(method="OPTIONS", host="trial.acme.com")), 401, "missing")


def test_report_lets_in_whom_policies_deny_and_never_softens_a_401(house, team):
    good = asserted(team.mint(aud=[OTHER_AUD]))
    for host in ("trial.acme.com", "evil.example"):
        reply = ask(house.port, "/auth/trial", good, *forwarded(host=host))
        assert (reply.status, reply["X-Auth-User"]) == (200, EMAIL)
    host = forwarded(host="trial.acme.com")
    assert_reason(ask(house.port, "/auth/trial", *host), 401, "missing")
    assert_reason(ask(house.port, "/auth/trial", asserted(team.mint(aud=[OTHER_AUD], exp=1)), *host), 401, "expired")
    bad = team.mint(aud=[OTHER_AUD])
    bad = bad[:-8] + ("AAAAAAAA" if not bad.endswith("AAAAAAAA") else "BBBBBBBB")
    assert_reason(ask(house.port, "/auth/trial", asserted(bad), *host), 401, "signature")
    page = get(house.admin_port, "/metrics")[1].decode()
    for reason in ("not_allowed", "wrong_host"):
        assert (
            f'access_gateway_decisions_total{{application="trial",policy="-",verdict="report",reason="{reason}"}} '
            in page)


def test_the_request_family_believes_the_request_alone(house, team):
    def own(target, *lines, method="GET", host="own.acme.com"):
        with Wire(house.port) as wire:
            wire.send(head(target, token, *lines, method=method, host=host))
            return wire.reply()

    token = asserted(team.mint(aud=["cd" * 32]))
    assert own("/auth/own/v1/x?y").status == 200
    lies = ["X-Forwarded-Method: GET", "X-Forwarded-Uri: /v1/x", "X-Forwarded-Host: own.acme.com"]
    assert_reason(own("/auth/own/admin", *lies), 403, "not_allowed")
    assert_reason(own("/auth/own/v1/x", *lies, method="POST"), 403, "not_allowed")
    assert_reason(own("/auth/own/v1/x", *lies, host="evil.example"), 403, "wrong_host")
    assert_reason(own("/auth/own", *lies), 403, "not_allowed")
    assert_reason(own("/auth/own/v1/../admin", *lies), 403, "not_allowed")


def test_decisions_are_counted_and_logged_without_query_or_token(house, team):
    token = team.mint(custom={"groups": ["eng"]}, email="lea@example.com")
    assert ask(house.port, "/auth/wiki", asserted(token), *forwarded(path="/page?secret=1")).status == 200
    line = eventually(
        lambda: next((line for line in house.log().splitlines() if "lea@example.com" in line), None), "a decision")
    for part in ('"event":"decision"', '"application":"wiki"', '"policy":"engineers"', '"verdict":"allow"',
                 '"reason":"-"', '"kind":"user"', '"method":"GET"', '"host":"wiki.acme.com"', '"path":"/page"',
                 '"client":"203.0.113.9"', '"request_id":"'):
        assert part in line, line
    assert "secret" not in line and token not in house.log()
    page = get(house.admin_port, "/metrics")[1].decode()
    assert 'decisions_total{application="wiki",policy="engineers",verdict="allow",reason="-"}' in page
