"""SPEC.md's "The question", "The answer" and "What is a valid assertion", seen from a plain socket. Tokens are minted by
PyJWT and cryptography, or byte by byte."""

import json
import time

import pytest

from minting import AUD, EMAIL, OTHER_AUD, Key, base64url
from running import eventually
from wire import IDENTITY, Wire, ask, asserted, cookie, get, head

AUTH = f"/auth/{AUD}"
REALM = 'Bearer realm="access-gateway"'


def assert_denied(reply, reason=None):
    """A 401 as SPEC.md has it. `reason` needs the gateway that tells."""
    assert reply.status == 401, reply
    challenge = reply["WWW-Authenticate"]
    line = {"missing": "Token is missing.", "expired": "Token is expired."}.get(reason, "Token is invalid.")
    if reason == "missing":
        assert challenge == REALM
    else:
        assert challenge.startswith(REALM) and 'error="invalid_token"' in challenge
    assert reply["Cache-Control"] == "no-store"
    if reason is not None:
        assert reply.line == line
        assert reply["X-Auth-Reason"] == reason
    for name in IDENTITY:
        assert name not in reply, "a denial names nobody"


def assert_allowed(reply, user=EMAIL, email=EMAIL, kind="user"):
    assert reply.status == 200, reply
    assert reply.body == b""
    assert reply["X-Auth-User"] == user
    assert reply["X-Auth-Email"] == email
    assert reply["X-Auth-Kind"] == kind
    for name in IDENTITY:
        assert len(reply.values(name)) == 1, f"every identity header, once, also when empty: {name}"


# The question


@pytest.mark.parametrize("name", ["Cf-Access-Jwt-Assertion", "cf-access-jwt-assertion", "CF-ACCESS-JWT-ASSERTION"])
def test_a_good_assertion_in_the_header_is_allowed_and_named(gateway, team, name):
    expires = int(time.time()) + 900
    token = team.mint(exp=expires, sub="subject-1")
    for _ in range(3):  # verified, then remembered
        reply = ask(gateway.port, AUTH, f"{name}: {token}")
        assert_allowed(reply)
        assert reply["X-Auth-Subject"] == "subject-1"
        assert reply["X-Auth-Expires"] == str(expires)
        assert "X-Auth-Reason" not in reply


@pytest.mark.parametrize("lines", [
    ("Cookie: CF_Authorization={}",),
    ("Cookie: a=b; CF_Authorization={}; c=d",),
    ("Cookie: a=b", "Cookie: CF_Authorization={}"),
    ("cookie: CF_AppSession=x; CF_Authorization={}",),
    ("Cookie: XCF_Authorization=x; CF_Authorization={}; cf_authorization=y",),
])
def test_a_good_assertion_in_the_cookie_is_allowed(gateway, team, lines):
    token = team.mint()
    assert_allowed(ask(gateway.port, AUTH, *(line.format(token) for line in lines)))


@pytest.mark.parametrize("behind", ["", "/", "/x", "/x?y", "?y", "/a/b/../c?d=%00", "?"])
def test_more_path_or_a_query_behind_the_audience_changes_nothing(gateway, team, behind):
    assert_allowed(ask(gateway.port, AUTH + behind, asserted(team.mint())))
    assert ask(gateway.port, AUTH + behind).status == 401


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "BREW"])
def test_any_method_is_answered(gateway, team, method):
    assert_allowed(ask(gateway.port, AUTH, asserted(team.mint()), method=method))
    assert ask(gateway.port, AUTH, method=method).status == 401


@pytest.mark.parametrize("audience", ["a", "A-Z.0_9~", "x" * 128])
def test_audiences_of_every_legal_form_are_judged(gateway, team, audience):
    assert_allowed(ask(gateway.port, f"/auth/{audience}", asserted(team.mint(aud=[audience]))))


@pytest.mark.parametrize("target", [
    "/", "/auth", "/auth/", "/Auth/x", "/authx/y", "/auth/%41", "/auth/a!b", "/auth/" + "x" * 129, "/livez/", "/metrics",
    "/.", "/auth?x", "/auth/?x",
])
def test_another_well_formed_target_is_not_found_and_told_what_to_use(gateway, team, target):
    reply = ask(gateway.port, target, asserted(team.mint()))
    assert reply.status == 404
    assert reply.line == "use: /auth/<audience>"
    assert not [name for name in IDENTITY if name in reply]


def test_an_asterisk_is_not_found_for_options(gateway):
    assert ask(gateway.port, "*", method="OPTIONS").status == 404


@pytest.mark.parametrize("lines, reason", [
    (("Cf-Access-Jwt-Assertion: {}", "Cf-Access-Jwt-Assertion: {}"), "ambiguous"),
    (("Cf-Access-Jwt-Assertion: {}", "cf-access-jwt-assertion: x"), "ambiguous"),
    (("Cf-Access-Jwt-Assertion: {}, {}",), "ambiguous"),
    (("Cookie: CF_Authorization={}; CF_Authorization={}x",), "ambiguous"),
    (("Cookie: CF_Authorization={}", "Cookie: CF_Authorization=x"), "ambiguous"),
    (('Cookie: CF_Authorization={}', 'Cookie: CF_Authorization="{}"'), "ambiguous"),
    (("Cookie: cf_authorization={}",), "missing"),
    (('Cookie: CF_Authorization="{}"',), "malformed"),
    (("Cf_Access_Jwt_Assertion: {}",), "missing"),
    (("Cf.Access.Jwt.Assertion: {}",), "missing"),
    (("Authorization: Bearer {}",), "missing"),
    (("Cf-Access-Jwt-Assertion: Bearer {}",), "malformed"),
    ((), "missing"),
])
def test_where_the_assertion_is_looked_for(telling, team, lines, reason):
    token = team.mint()
    assert_denied(ask(telling.port, AUTH, *(line.format(token, token) for line in lines)), reason)


@pytest.mark.parametrize("lines", [
    ("Cookie: CF_Authorization={}; CF_Authorization={}",), ("Cookie: a=b; CF_Authorization={}", "Cookie: CF_Authorization={} ;c=d"),
])
def test_a_cookie_that_comes_twice_with_the_same_bytes_is_one(telling, team, lines):
    token = team.mint()
    assert_allowed(ask(telling.port, AUTH, *(line.format(token, token) for line in lines)))


def test_an_invalid_header_is_not_saved_by_a_valid_cookie(telling, team):
    token = team.mint()
    assert_denied(ask(telling.port, AUTH, asserted("a.b.c"), cookie(token)), "malformed")
    assert_denied(ask(telling.port, AUTH, asserted(team.mint(aud=[OTHER_AUD])), cookie(token)), "audience")


def test_a_valid_header_decides_whatever_the_cookie_says(gateway, team):
    assert_allowed(ask(gateway.port, AUTH, asserted(team.mint()), cookie("a.b.c")))


# Refused tokens


@pytest.mark.parametrize("changes, reason", [
    ({"iss": "{issuer}/"}, "issuer"),
    ({"iss": "HTTP://127.0.0.1"}, "issuer"),
    ({"iss": None}, "issuer"),
    ({"aud": [OTHER_AUD]}, "audience"),
    ({"aud": []}, "audience"),
    ({"aud": AUD[:-1]}, "audience"),
    ({"aud": AUD + ","}, "audience"),
    ({"aud": [AUD, 1]}, "audience"),
    ({"aud": [[AUD]]}, "audience"),
    ({"aud": {"a": AUD}}, "audience"),
    ({"aud": None}, "audience"),
    ({"exp": None}, "expired"),
    ({"exp": 1}, "expired"),
    ({"exp": 0}, "expired"),
    ({"exp": -1}, "expired"),
    ({"exp": True}, "expired"),
    ({"exp": 2 ** 53}, "expired"),
    ({"exp": 9223372036854775808}, "expired"),
    ({"iat": None}, "issued_in_future"),
    ({"type": "org"}, "token_type"),
    ({"email": None}, "identity"),
    ({"email": ""}, "identity"),
    ({"email": "ada"}, "identity"),
    ({"email": "a@b@example.com"}, "identity"),
    ({"email": "a b@example.com"}, "identity"),
    ({"email": "a\nb@example.com"}, "identity"),
    ({"email": "a\0b@example.com"}, "identity"),
    ({"email": "a" * 243 + "@example.com"}, "identity"),
    ({"sub": 1}, "identity"),
])
def test_a_token_with_a_wrong_claim_is_denied_by_its_reason(telling, team, changes, reason):
    changes = {k: v.format(issuer=team.issuer) if k == "iss" and v else v for k, v in changes.items()}
    payload = json.dumps(team.claims(**changes)).encode()
    reply = ask(telling.port, AUTH, asserted(team.mint_bytes(payload=payload)))
    assert_denied(reply, reason)


@pytest.mark.parametrize("exp", [b'"1900000000"', b"1e400", b"1" * 30, b"null", b"[1900000000]", b"1e-400", b"-1e400"])
def test_an_exp_that_is_no_proper_number_is_expired(telling, team, exp):
    claims = json.dumps(team.claims(exp=None)).encode()
    payload = claims[:-1] + b',"exp":' + exp + b"}"
    assert_denied(ask(telling.port, AUTH, asserted(team.mint_bytes(payload=payload))), "expired")


@pytest.mark.parametrize("claim, seconds, reason", [
    ("exp", -60, "expired"), ("nbf", 60, "not_yet_valid"), ("iat", 60, "issued_in_future")])
def test_times_outside_the_leeway_are_denied(telling, team, claim, seconds, reason):
    token = team.mint(**{claim: int(time.time()) + seconds})
    assert_denied(ask(telling.port, AUTH, asserted(token)), reason)


@pytest.mark.parametrize("claim, seconds", [("exp", -5), ("nbf", 15), ("iat", 15)])
def test_times_inside_the_leeway_are_allowed(gateway, team, claim, seconds):
    assert_allowed(ask(gateway.port, AUTH, asserted(team.mint(**{claim: int(time.time()) + seconds}))))


def test_a_remembered_token_is_not_served_past_its_end(launch, team):
    gateway = launch.gateway(team.issuer, leeway="0s", expose_reason="on")
    token = team.mint(exp=int(time.time()) + 3)
    assert_allowed(ask(gateway.port, AUTH, asserted(token)))
    assert_allowed(ask(gateway.port, AUTH, asserted(token)))
    eventually(lambda: ask(gateway.port, AUTH, asserted(token)).status == 401, "the token expires")
    assert_denied(ask(gateway.port, AUTH, asserted(token)), "expired")


@pytest.mark.parametrize("header, reason", [
    ({"alg": "none"}, "algorithm"),
    ({"alg": "NONE"}, "algorithm"),
    ({"alg": "rs256"}, "algorithm"),
    ({"alg": "RS512"}, "algorithm"),
    ({"alg": "PS256"}, "algorithm"),
    ({"alg": "ES256"}, "algorithm"),
    ({"kid": "unknown"}, "key_unknown"),
    ({"kid": "../../dev/null"}, "key_unknown"),
    ({"kid": "x\ny"}, "key_unknown"),
    ({"kid": None, "alg": "none"}, "algorithm"),
    ({"kid": 1}, "malformed"),
    ({"crit": ["exp"]}, "malformed"),
    ({"crit": []}, "malformed"),
    ({"b64": False}, "malformed"),
    ({"zip": "DEF"}, "malformed"),
    ({"jwk": {"kty": "RSA"}}, "malformed"),
    ({"jku": "https://evil.test/"}, "malformed"),
    ({"x5u": "https://evil.test/"}, "malformed"),
    ({"typ": "at+jwt"}, "token_type"),
    ({"x": "y" * 1024}, "too_large"),
])
def test_a_token_with_a_wrong_header_is_denied_by_its_reason(telling, team, header, reason):
    whole = {"alg": "RS256", "kid": team.key.kid, **header}
    whole = {k: v for k, v in whole.items() if v is not None}
    token = team.mint_bytes(header=json.dumps(whole).encode())
    assert_denied(ask(telling.port, AUTH, asserted(token)), reason)


def test_a_public_key_is_no_secret_for_hs256(telling, team):
    assert_denied(ask(telling.port, AUTH, asserted(team.mint_hmac())), "algorithm")


def test_a_stranger_s_key_under_a_known_kid_does_not_sign(telling, team):
    assert_denied(ask(telling.port, AUTH, asserted(team.mint(key=Key(kid=team.key.kid)))), "signature")


def test_a_changed_payload_is_denied_also_after_the_good_one_was_allowed(telling, team):
    token = team.mint()
    assert_allowed(ask(telling.port, AUTH, asserted(token)))
    header, _, signature = token.split(".")
    other = base64url(json.dumps(team.claims(email="eve@example.com")).encode())
    assert_denied(ask(telling.port, AUTH, asserted(f"{header}.{other}.{signature}")), "signature")
    flipped = signature[:20] + ("A" if signature[20] != "A" else "B") + signature[21:]
    assert_denied(ask(telling.port, AUTH, asserted(f"{header}.{token.split('.')[1]}.{flipped}")), "signature")


def non_zero_trailing_bits(token):
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(token.split(".")[2]) % 4 == 2, "a signature of 256 bytes ends in a character with four spare bits"
    return token[:-1] + alphabet[alphabet.index(token[-1]) + 1]


@pytest.mark.parametrize("spoil", [
    lambda t: t + "=",
    lambda t: t + ".x",
    lambda t: t.rsplit(".", 1)[0],
    lambda t: t.rsplit(".", 1)[0] + ".",
    lambda t: "." + t.split(".", 1)[1],
    lambda t: t.replace(".", " .", 1),
    lambda t: t.replace("-", "+") + "+",
    lambda t: t + "%3D",
    non_zero_trailing_bits,
    lambda t: "x",
    lambda t: "..",
    lambda t: "",
], ids=range(12))
def test_a_token_has_one_spelling(telling, team, spoil):
    token = team.mint()
    assert_allowed(ask(telling.port, AUTH, asserted(token)))
    reply = ask(telling.port, AUTH, asserted(spoil(token)))
    assert reply.status == 401
    assert reply["X-Auth-Reason"] in ("malformed", "missing")
    assert spoil(token) == "" or reply["X-Auth-Reason"] == "malformed"


@pytest.mark.parametrize("payload", [
    b"", b"null", b"[]", b'"x"', b"{", b"{} x", b'{"a":1,}', b"{'a':1}", b"\xef\xbb\xbf{}", b'{"a":"\xff"}',
    b'{"a":"\\ud800"}', b'{"a":"\x01"}', b'{"a":' + b"[" * 16 + b"]" * 16 + b"}", b"[" * 3000,
    b"{" + b",".join(b'"m%d":1' % i for i in range(65)) + b"}", '{"a":1}'.encode("utf-16"),
], ids=range(16))
def test_a_payload_that_is_no_strict_json_object_is_malformed(telling, team, payload):
    reply = ask(telling.port, AUTH, asserted(team.mint_bytes(payload=payload)))
    assert_denied(reply, "malformed")


@pytest.mark.parametrize("twin", [b'"email":"eve@example.com"', b'"\\u0065mail":"eve@example.com"', b'"x":{"a":1,"a":2}'])
def test_duplicate_members_are_malformed(telling, team, twin):
    payload = json.dumps(team.claims()).encode()[:-1] + b"," + twin + b"}"
    assert_denied(ask(telling.port, AUTH, asserted(team.mint_bytes(payload=payload))), "malformed")


def test_a_token_of_more_than_eight_kib_is_too_large(telling, team):
    assert_denied(ask(telling.port, AUTH, asserted(team.mint(custom={"x": "y" * 8192}))), "too_large")


# The answer


@pytest.mark.parametrize("target, lines, status", [
    (AUTH, "good", 200), (AUTH, "none", 401), (AUTH, "bad", 401), ("/elsewhere", "good", 404)])
def test_head_gets_the_same_fields_and_no_body(gateway, team, target, lines, status):
    fields = {"good": [asserted(team.mint())], "none": [], "bad": [asserted("a.b.c")]}[lines]
    with Wire(gateway.port) as wire:
        for _ in range(3):
            wire.send(head(target, *fields, method="HEAD"))
            reply = wire.reply(head=True)
            assert reply.status == status
            wire.send(head(target, *fields))
            full = wire.reply()
            assert full.status == status
            assert {n.lower() for n, _ in reply.fields} == {n.lower() for n, _ in full.fields}
        assert wire.pending == b""


@pytest.mark.parametrize("lines", ["good", "none", "bad"])
def test_http_1_0_is_answered_and_the_connection_closes(gateway, team, lines):
    fields = {"good": [asserted(team.mint())], "none": [], "bad": [asserted("a.b.c")]}[lines]
    with Wire(gateway.port) as wire:
        wire.send(head(AUTH, *fields, version="HTTP/1.0"))
        assert wire.reply().status == (200 if lines == "good" else 401)
        wire.assert_closed()


def test_http_1_0_needs_no_host(gateway, team):
    with Wire(gateway.port) as wire:
        wire.send(head(AUTH, asserted(team.mint()), version="HTTP/1.0", host=None))
        assert wire.reply().status == 200


@pytest.mark.parametrize("connection", ["close", "Close", "close, te", "te, close"])
def test_connection_close_is_honoured(gateway, team, connection):
    token = team.mint()
    for _ in range(2):  # verified, then remembered
        with Wire(gateway.port) as wire:
            wire.send(head(AUTH, asserted(token), f"Connection: {connection}"))
            reply = wire.reply()
            assert reply.status == 200
            assert "close" in reply["Connection"].lower()
            wire.assert_closed()


def test_one_connection_serves_many_people_in_turn(gateway, team):
    people = [(f"person{i}@example.com", team.mint(email=f"person{i}@example.com")) for i in range(5)]
    with Wire(gateway.port) as wire:
        for _ in range(3):
            for email, token in people:
                assert_allowed(wire.send(head(AUTH, asserted(token))).reply(), email, email)
                assert wire.send(head(AUTH)).reply().status == 401
                assert wire.send(head(AUTH, asserted("a.b.c"))).reply().status == 401
                assert wire.send(head("/elsewhere")).reply().status == 404


def test_bytes_of_a_claim_that_no_field_may_hold_leave_escaped(gateway, team):
    token = team.mint(email="jürgen%@example.com", sub="a\r\nX-Evil: 1")
    reply = ask(gateway.port, AUTH, asserted(token))
    assert_allowed(reply, "j%C3%BCrgen%25@example.com", "j%C3%BCrgen%25@example.com")
    assert reply["X-Auth-Subject"] == "a%0D%0AX-Evil: 1"
    assert "X-Evil" not in reply


def test_the_end_of_a_token_is_floored(gateway, team):
    expires = int(time.time()) + 600
    payload = json.dumps(team.claims(exp=expires + 0.75)).encode()
    assert ask(gateway.port, AUTH, asserted(team.mint_bytes(payload=payload)))["X-Auth-Expires"] == str(expires)


def test_an_audience_may_be_a_bare_string(gateway, team):
    assert_allowed(ask(gateway.port, AUTH, asserted(team.mint(aud=AUD))))


def test_a_service_token_is_denied_by_default(telling, team):
    assert_denied(ask(telling.port, AUTH, asserted(team.mint_service())), "identity")


@pytest.mark.parametrize("require, user, service", [("identity", 200, 401), ("service", 401, 200), ("any", 200, 200)])
def test_require_says_who_may_pass(launch, team, require, user, service):
    gateway = launch.gateway(team.issuer, require=require)
    reply = ask(gateway.port, AUTH, asserted(team.mint()))
    assert reply.status == user
    reply = ask(gateway.port, AUTH, asserted(team.mint_service()))
    assert reply.status == service
    if service == 200:
        assert_allowed(reply, "e367826f93b8d71185e03fe518aff3b4.access", "", "service")
        assert reply["X-Auth-Subject"] == ""


def test_the_reason_is_not_told_by_default(gateway, team):
    assert "X-Auth-Reason" not in ask(gateway.port, AUTH, asserted(team.mint(aud=[OTHER_AUD])))
    assert "X-Auth-Reason" not in ask(gateway.port, AUTH)


@pytest.mark.parametrize("status", [None, 401, 403, 503])
def test_without_keys_it_cannot_decide_and_says_so(launch, status):
    team = launch.team()
    team.trouble = lambda handler: handler.answer(500)
    gateway = launch.gateway(team.issuer, ready=False, unavailable_status=status)
    reply = ask(gateway.port, AUTH, asserted(team.mint()))
    assert reply.status == (status or 503)
    assert int(reply["Retry-After"]) > 0
    assert len(reply.line) > 0
    assert not [name for name in IDENTITY if name in reply]
    # Checks that need no keys come first.
    assert ask(gateway.port, AUTH).status == 401
    assert ask(gateway.port, AUTH, asserted(team.mint(exp=1))).line == "Token is expired."
    assert ask(gateway.port, AUTH, asserted(team.mint(aud=[OTHER_AUD]))).status == 401


def test_what_the_proxy_says_about_the_request_never_changes_the_verdict(gateway, team):
    lines = (
        "X-Forwarded-Host: evil.test", f"X-Forwarded-Uri: /auth/{OTHER_AUD}", "X-Forwarded-Method: CONNECT",
        "X-Original-URL: /auth/x", "X-Auth-User: eve@example.com", "X-Auth-Kind: service", "User-Agent: GoogleHC/1.0")
    assert ask(gateway.port, AUTH, *lines).status == 401
    assert_allowed(ask(gateway.port, AUTH, asserted(team.mint()), *lines))


def test_the_program_s_own_issuer_works_with_it(launch, issuer):
    gateway = launch.gateway(issuer.url)
    status, token = get(issuer.port, f"/token?aud={AUD}&email=grace@example.com")
    assert status == 200
    assert_allowed(ask(gateway.port, AUTH, asserted(token.decode().strip())), "grace@example.com", "grace@example.com")
    status, token = get(issuer.port, f"/token?aud={AUD}&service=backup.access")
    assert status == 200
    assert ask(gateway.port, AUTH, asserted(token.decode().strip())).status == 401
    gateway = launch.gateway(issuer.url, require="any")
    assert_allowed(ask(gateway.port, AUTH, asserted(token.decode().strip())), "backup.access", "", "service")


def test_denials_are_logged_without_the_token(launch, team):
    gateway = launch.gateway(team.issuer, log_format="json")
    token = team.mint(aud=[OTHER_AUD])
    forged = token[:-40] + "A" * 40
    for tried in (token, forged):
        ask(gateway.port, AUTH, asserted(tried), "X-Forwarded-Host: wiki.test", "X-Forwarded-Uri: /a\\b\"c")
    eventually(lambda: "audience" in gateway.log() and "wiki.test" in gateway.log(), "the denial is logged")
    log = gateway.log()
    for part in token.split("."):
        assert part[:24] not in log and part[-24:] not in log, "no part of a token in the log"
    for line in log.splitlines():
        json.loads(line)
