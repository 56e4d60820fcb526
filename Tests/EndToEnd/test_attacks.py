"""Each attack on a token, twice: against the rooms Token and Verification themselves (Tests/RoomJudge, no HTTP), and over
HTTP against one running program, which must still be the same process at the end. A good token beside each is allowed."""

import json
import os
import random
import subprocess
import time

import pytest

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from attacks import Forge, attacks, other_algorithms
from minting import AUD
from running import BINARY, clean_environment
from wire import ASSERTION, Wire, ask, asserted, head

AUTH = f"/auth/{AUD}"
ROOM = BINARY.parent / "RoomJudge"
WHOLE = os.environ.get("ATTACKS") == "all"  # every byte of the mutations over HTTP, too: minutes


@pytest.fixture(scope="module")
def room(team, tmp_path_factory):
    """The rooms, as a function from tokens to verdicts at a time."""
    if not ROOM.exists():
        pytest.skip(f"{ROOM} is not built")
    keys = tmp_path_factory.mktemp("room") / "keys.json"
    keys.write_text(json.dumps({"keys": [key.jwk for key in team.keys]}))

    return lambda tokens, now: verdicts_of(team.issuer, keys, "RS256", tokens, now)


def verdicts_of(issuer, keys, algorithms, tokens, now):
    lines = "".join(f"{now} {AUD} {token.hex() or '-'}\n" for token in tokens)
    done = subprocess.run(
        [ROOM, issuer, keys, "identity", algorithms], input=lines, capture_output=True, text=True, check=True,
        env=clean_environment())
    first, *verdicts = done.stdout.splitlines()
    assert first == "ready" and len(verdicts) == len(tokens)
    return verdicts


@pytest.fixture(scope="module")
def table(team):
    now = int(time.time())
    return now, attacks(team, now), Forge(team, now).token()


def test_each_attack_is_refused_by_the_room_for_its_reason(room, table):
    now, rows, good = table
    tokens = [token for row in rows for token in (row.token, good)]
    verdicts = room(tokens, now)
    wrong = [
        f"{row.name}: {verdict}, not {row.reason}" for row, verdict in zip(rows, verdicts[::2]) if verdict != row.reason]
    assert not wrong, "\n".join(wrong)
    assert set(verdicts[1::2]) == {"allowed"}, "the good token beside them"
    print(f"attacks against the room: {len(rows)}")
    assert len(rows) >= 390


def test_each_attack_is_refused_over_http_for_its_reason(telling, team, table):
    _, rows, good = table
    pid, wrong = telling.pid, []
    for row in rows:
        expected = row.http or row.reason
        reply = sent(telling.port, row.token)
        if expected == "allowed":
            outcome = "allowed" if reply.status == 200 else reply["X-Auth-Reason"]
        elif isinstance(expected, int):
            outcome = reply.status
        else:
            outcome = reply["X-Auth-Reason"] if reply.status == 401 else reply.status
        if outcome != expected:
            wrong.append(f"{row.name}: {outcome}, not {expected}")
        assert not any(name.startswith("X-Auth-User") for name, _ in reply.fields) or expected == "allowed", row.name
        beside = sent(telling.port, good)
        assert beside.status == 200 and beside["X-Auth-User"] == "ada@example.com", f"the good token beside {row.name}"
    assert not wrong, "\n".join(wrong)
    assert telling.child.poll() is None and telling.pid == pid
    print(f"attacks over HTTP: {len(rows)}")


def test_a_bad_header_is_not_saved_by_a_good_cookie_for_any_attack(telling, table):
    _, rows, good = table
    for row in rows[::7]:
        if row.http is None:
            line = f"{ASSERTION}: ".encode() + row.token
            with Wire(telling.port) as wire:
                wire.send(f"GET {AUTH} HTTP/1.1\r\nHost: a\r\n".encode() + line + b"\r\nCookie: CF_Authorization=" + good + b"\r\n\r\n")
                assert wire.reply().status == 401, row.name


def test_each_attack_on_other_algorithms_is_refused_by_the_room_and_over_http(launch, tmp_path):
    private = {
        "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "PS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "PS384": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "ES256": ec.generate_private_key(ec.SECP256R1()), "ES384": ec.generate_private_key(ec.SECP384R1()),
        "ES512": ec.generate_private_key(ec.SECP521R1()), "Ed25519": ed25519.Ed25519PrivateKey.generate(),
        "Ed448": ed448.Ed448PrivateKey.generate()}
    makers = {"R": RSAAlgorithm, "P": RSAAlgorithm, "S": ECAlgorithm, "d": OKPAlgorithm}
    jwks = []
    for alg, key in private.items():
        maker = makers[alg[0] if alg[0] in "RP" else alg[1]]
        jwk = maker.to_jwk(key.public_key(), as_dict=True)
        jwk.pop("key_ops", None)
        jwks.append({**jwk, "kid": alg, "alg": "EdDSA" if alg.startswith("Ed") else alg, "use": "sig"})
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": jwks}))
    issuer, now = "https://keys.example", int(time.time())
    rows, good = other_algorithms(private, issuer, now)
    names = ["RS256", "PS256", "PS384", "ES256", "ES384", "ES512", "EdDSA"]
    if ROOM.exists():
        verdicts = verdicts_of(issuer, keys, ",".join(names), [*good, *(row.token for row in rows)], now)
        assert set(verdicts[:len(good)]) == {"allowed"}
        wrong = [f"{row.name}: {v}" for row, v in zip(rows, verdicts[len(good):]) if v != row.reason]
        assert not wrong, "\n".join(wrong)
    gateway = launch.gateway(issuer, keys_url=f"file:{keys}", algorithms="+".join(names), expose_reason="on")
    pid, wrong = gateway.pid, []
    for number, row in enumerate(rows):
        reply = sent(gateway.port, row.token)
        if reply.status != 401 or reply["X-Auth-Reason"] != row.reason:
            wrong.append(f"{row.name}: {reply}")
        assert sent(gateway.port, good[number % len(good)]).status == 200, f"the good token beside {row.name}"
    assert not wrong, "\n".join(wrong)
    assert gateway.child.poll() is None and gateway.pid == pid
    assert len(rows) >= 140 and len(good) == len(private) + 3


def sent(port, token):
    """The reply to a token as its bytes are, on a connection of its own."""
    with Wire(port) as wire:
        wire.send(f"GET {AUTH} HTTP/1.1\r\nHost: gateway.test\r\n{ASSERTION}: ".encode() + token + b"\r\n\r\n")
        return wire.reply()


def test_the_longest_identity_leaves_whole_escaped_and_remembered(gateway, team):
    """A token of almost 8 KiB whose subject grows threefold on its way into the reply."""
    subject = "é%\\r\\n" * 700
    token = Forge(team, int(time.time())).token(payload=Forge(team, int(time.time())).claims(sub=f'"{subject}"'))
    assert 6000 < len(token) <= 8192
    for _ in range(3):
        reply = sent(gateway.port, token)
        assert reply.status == 200
        assert reply["X-Auth-Subject"] == "%C3%A9%25%0D%0A" * 700


# Mutations


def mutations(token, whole):
    """Each single-byte change that a header may hold, or a few of them at each place, and every truncation."""
    legal = [byte for byte in range(0x21, 0x100) if byte != 0x7F]
    choice = random.Random(1)
    for at in range(len(token)):
        yield token[:at]
        others = [byte for byte in legal if byte != token[at]]
        alphabet = [byte for byte in others if chr(byte).isascii() and (chr(byte).isalnum() or byte in b"-_")]
        for byte in others if whole else [*choice.sample(alphabet, 3), choice.choice(others)]:
            yield token[:at] + bytes([byte]) + token[at + 1:]


def test_changes_of_a_byte_and_every_truncation_are_refused_over_http(gateway, table):
    _, _, good = table
    assert sent(gateway.port, good).status == 200
    pid, count = gateway.pid, 0
    batch = []

    def flush(wire):
        # Pipelined; the good token is the last of each batch, so a reply that slips shows.
        wire.send(b"".join(f"GET {AUTH} HTTP/1.1\r\nHost: a\r\n{ASSERTION}: ".encode() + t + b"\r\n\r\n" for t in [*batch, good]))
        for token in batch:
            assert wire.reply().status == 401, token
        assert wire.reply().status == 200
        batch.clear()

    with Wire(gateway.port) as wire:
        for token in mutations(good, WHOLE):
            batch.append(token)
            count += 1
            if len(batch) == 40:
                flush(wire)
        flush(wire)
    assert gateway.child.poll() is None and gateway.pid == pid
    assert count >= len(good) * 5
    print(f"mutations over HTTP: {count}")


def test_changes_of_a_byte_and_every_truncation_are_refused_by_the_room(room, table):
    # All 255 changes at each place are in scripts/differential, which has an optimized build.
    now, _, good = table
    tokens = list(mutations(good, False))
    verdicts = room([*tokens, good], now)
    assert verdicts.pop() == "allowed"
    assert "allowed" not in verdicts
    assert len(tokens) >= len(good) * 5
