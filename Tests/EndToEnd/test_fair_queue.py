"""Requests that are put off (too many that must wait in one turn of the loop, connections that have failed lately) are
answered all the same: each once, in order, rightly."""

import signal

from minting import AUD, base64url
from wire import Wire, asserted, get, head, sample

AUTH = f"/auth/{AUD}"


def forged(team, number):
    signing_input = team.mint(email=f"forger-{number}@example.com").rsplit(".", 1)[0]
    return signing_input + "." + base64url(b"\0" + bytes([number % 256]) * 255)


def test_hundreds_of_new_tokens_in_one_turn_of_the_loop_are_all_answered(launch, team):
    """The process stands still while they come, so that it finds all of them at once; 64 may begin to wait in a turn."""
    gateway = launch.gateway(team.issuer, event_loops="1")
    wires = [Wire(gateway.port) for _ in range(200)]
    requests = [head(AUTH, asserted(team.mint(email=f"u{n}@example.com"))) for n in range(200)]
    gateway.signal(signal.SIGSTOP)
    try:
        for wire, request in zip(wires, requests):
            wire.send(request)
    finally:
        gateway.signal(signal.SIGCONT)
    for number, wire in enumerate(wires):
        reply = wire.reply()
        assert (reply.status, reply["X-Auth-Email"]) == (200, f"u{number}@example.com")
        # And the connection goes on.
        wire.send(requests[number])
        assert wire.reply()["X-Auth-Email"] == f"u{number}@example.com"
        wire.finish()
        wire.assert_closed()
    verified = sample(get(gateway.admin_port, "/metrics")[1].decode(), "access_gateway_verifications_total")
    assert verified == 200, "each was verified once"


def test_a_connection_that_has_failed_is_answered_in_order_all_the_same(launch, team):
    gateway = launch.gateway(team.issuer, event_loops="1", expose_reason="on")
    with Wire(gateway.port) as wire:
        for number in range(3):
            wire.send(head(AUTH, asserted(forged(team, number))))
            assert wire.reply()["X-Auth-Reason"] == "signature"
        # One after the other, at once, and byte by byte.
        for number in range(3):
            wire.send(head(AUTH, asserted(team.mint(email=f"a{number}@example.com"))))
            assert wire.reply()["X-Auth-Email"] == f"a{number}@example.com"
            wire.send(head(AUTH, asserted(forged(team, 10 + number))) * 2)
            assert [wire.reply().status for _ in range(2)] == [401, 401]
        together = [team.mint(email=f"b{number}@example.com") for number in range(40)]
        wire.send(b"".join(head(AUTH, asserted(token)) for token in together))
        for number in range(40):
            assert wire.reply()["X-Auth-Email"] == f"b{number}@example.com"
        for byte in head(AUTH, asserted(together[0])):
            wire.send(bytes([byte]))
        assert wire.reply().status == 200
    text = get(gateway.admin_port, "/metrics")[1].decode()
    failed = f'access_gateway_key_verifications_total{{issuer="{team.issuer}",kid="{team.key.kid}",result="failed"}}'
    assert sample(text, failed) >= 6, "forgeries are counted by the key that they claim"
