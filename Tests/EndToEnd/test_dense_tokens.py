"""Tokens whose JSON takes more work than anybody deserves before a signature: their claims are judged behind it, and no
verdict that a signer can bring about changes by that."""

import json
import time

import pytest

from minting import AUD, EMAIL, Key
from test_attacks import sent
from wire import IDENTITY

LIMIT = 8192


def dense(team, key=None, dense_header=False, spoil=False, kid=None, fill=",1", **changes):
    """A token of almost 8 KiB, of a user unless the claims say otherwise."""
    key = key or team.key
    header = json.dumps({"alg": "RS256", "kid": kid or key.kid})
    if dense_header:
        header = header[:-1] + ',"x":[1' + ",1" * 250 + "]}"
    payload = json.dumps(team.claims(**changes))[:-1] + ',"x":[1'
    room = (LIMIT - 343 - 2) // 4 * 3 - len(header) - len(payload) - 8
    payload += fill * (room // len(fill)) + "]}"
    token = team.mint_bytes(header.encode(), payload.encode(), sign=key.sign)
    if spoil:
        at = len(token) - 30
        token = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1:]
    assert LIMIT - 80 <= len(token) <= LIMIT
    return token.encode()


FILLS = [",1", ',"\\u0041\\n"', ',{"\\u0061":[]}']


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("dense_header", [False, True])
def test_a_dense_token_with_a_good_signature_is_allowed_and_named(telling, team, fill, dense_header):
    expires = int(time.time()) + 700
    token = dense(team, fill=fill, dense_header=dense_header, exp=expires, sub="subject-2")
    for _ in range(3):  # verified, then remembered
        reply = sent(telling.port, token)
        assert reply.status == 200, reply
        values = {name: reply[name] for name in IDENTITY}
        assert values == {
            "X-Auth-User": EMAIL, "X-Auth-Email": EMAIL, "X-Auth-Kind": "user", "X-Auth-Subject": "subject-2",
            "X-Auth-Expires": str(expires)}
    assert sent(telling.port, dense(team, fill=fill, dense_header=dense_header, spoil=True))["X-Auth-Reason"] == "signature"


@pytest.mark.parametrize("changes, reason", [
    ({"iss": "https://evil.example"}, "issuer"), ({"aud": ["other"]}, "audience"), ({"exp": 1_000_000_000}, "expired"),
    ({"exp": None}, "expired"), ({"nbf": 4_000_000_000}, "not_yet_valid"), ({"iat": 4_000_000_000}, "issued_in_future"),
    ({"type": "org"}, "token_type"), ({"email": "a@b@c"}, "identity")])
@pytest.mark.parametrize("dense_header", [False, True])
def test_a_bad_claim_of_a_dense_token_is_denied_for_its_reason(telling, team, changes, reason, dense_header):
    token = dense(team, dense_header=dense_header, **changes)
    for _ in range(2):
        reply = sent(telling.port, token)
        assert (reply.status, reply["X-Auth-Reason"]) == (401, reason)
        assert not any(name in reply for name in IDENTITY)
    # Without a good signature nobody looks.
    reply = sent(telling.port, dense(team, dense_header=dense_header, spoil=True, **changes))
    assert (reply.status, reply["X-Auth-Reason"]) == (401, "signature")


@pytest.mark.parametrize("dense_header", [False, True])
def test_a_dense_list_is_a_list_and_a_dense_strangers_token_is_refused_at_once(telling, team, dense_header):
    token = dense(team, dense_header=dense_header)
    for at in (10, 1500, len(token) - 10, len(token) - 1):
        assert sent(telling.port, token[:at] + b"," + token[at + 1:])["X-Auth-Reason"] == "ambiguous"
    assert sent(telling.port, token[:4000] + b"," + token[:4000])["X-Auth-Reason"] == "ambiguous"
    stranger = dense(team, key=Key(), dense_header=dense_header)
    assert sent(telling.port, stranger)["X-Auth-Reason"] == "key_unknown"
    borrowed = dense(team, key=Key(), kid=team.key.kid, dense_header=dense_header)
    assert sent(telling.port, borrowed)["X-Auth-Reason"] == "signature"


def test_with_several_issuers_a_dense_token_asks_for_the_keys_of_all(launch):
    one, two = launch.team(), launch.team()
    gateway = launch.gateway(f"{one.issuer},{two.issuer}", expose_reason="on")

    def verdict(token):
        reply = sent(gateway.port, token)
        return reply.status if reply.status == 200 else reply["X-Auth-Reason"]

    assert verdict(dense(one)) == 200 and verdict(dense(two)) == 200
    # A key vouches for its own issuer alone.
    assert verdict(dense(one, key=two.key)) == "key_unknown"
    assert verdict(dense(one, iss="https://nobody.example")) == "issuer"
    # A key that only a dense token names is fetched.
    two.keys.append(Key())
    assert verdict(dense(two)) == 200, "the request waits for that"
