"""SPEC.md's "Keys": a request whose `kid` is unknown waits for the fetch that it causes or meets. So a rotation that nobody
announced refuses nobody, and a flood of junk holds 128 requests at most."""

import threading
import time

import pytest

from minting import AUD, Key
from running import SANITIZED, eventually, reload
from wire import Wire, ask, asserted, get, head, sample

AUTH = f"/auth/{AUD}"
PERIOD = 5
ROTATIONS = 4


def status(gateway, token):
    return ask(gateway.port, AUTH, asserted(token)).status


def metric(gateway, name):
    return sample(get(gateway.admin_port, "/metrics")[1].decode(), f"access_gateway_{name}")


class Hanging:
    """A key server's trouble: answers when it is let go, and then with what the team has at that moment or had before."""

    def __init__(self):
        self.asked = threading.Event()
        self.let_go = threading.Event()
        self.body = None

    def __call__(self, handler):
        self.asked.set()
        self.let_go.wait(60)
        handler.answer(200, self.body)


def junk(team, number):
    return team.mint(header={"kid": f"made-up-{number}"})


def test_rotating_every_five_seconds_refuses_not_one_good_request(launch):
    """Several clients at once, each request with a token of its own under the newest key."""
    team = launch.team()
    gateway = launch.gateway(team.issuer, event_loops="2")
    ring = [Key() for _ in range(ROTATIONS)]
    refused, answered, over = [], [0], threading.Event()
    pause = 0.05 if SANITIZED else 0.01

    def client(name):
        number = 0
        with Wire(gateway.port) as wire:
            while not over.is_set():
                number += 1
                token = team.mint(email=f"{name}-{number}@example.com")
                wire.send(head(AUTH, asserted(token)))
                reply = wire.reply()
                answered[0] += 1
                if reply.status != 200:
                    refused.append((name, number, reply))
                time.sleep(pause)

    clients = [threading.Thread(target=client, args=(f"c{n}",)) for n in range(4)]
    for one in clients:
        one.start()
    for key in ring:
        # The old key goes at once, and nobody knew of the new one.
        team.keys = [team.keys[-1], key]
        time.sleep(PERIOD)
    over.set()
    for one in clients:
        one.join()
    assert refused == []
    assert answered[0] > 100
    assert metric(gateway, "unknown_kid_waits_total") >= ROTATIONS


def test_junk_just_before_a_rotation_refuses_nobody(launch):
    team = launch.team()
    gateway = launch.gateway(team.issuer)
    for number in range(2):
        assert status(gateway, junk(team, number)) == 401
    team.keys.append(Key())
    assert status(gateway, team.mint()) == 200


def test_a_fetch_that_was_answered_before_the_rotation_is_followed_by_another(launch):
    import json

    team = launch.team()
    gateway = launch.gateway(team.issuer)
    trouble = Hanging()
    trouble.body = json.dumps({"keys": [key.jwk for key in team.keys]}).encode()
    team.trouble = trouble
    reload(gateway)
    assert trouble.asked.wait(20)
    team.keys.append(Key())
    with Wire(gateway.port) as wire:
        wire.send(head(AUTH, asserted(team.mint())))
        eventually(lambda: metric(gateway, "unknown_kid_waits_total") == 1, "the request waits")
        team.trouble = None
        trouble.let_go.set()
        assert wire.reply().status == 200


def test_the_places_are_bounded_and_everybody_is_answered(launch):
    """Two hundred junk kids on connections of their own while the key server hangs."""
    team = launch.team()
    gateway = launch.gateway(team.issuer, event_loops="2", unknown_kid_wait="10s")
    good = team.mint()
    assert status(gateway, good) == 200
    trouble = Hanging()
    trouble.body = b"no keys"
    team.trouble = trouble
    wires = [Wire(gateway.port) for _ in range(200)]
    for number, wire in enumerate(wires):
        wire.send(head(AUTH, asserted(junk(team, number))))
    eventually(
        lambda: metric(gateway, 'requests_total{verdict="deny",reason="key_unknown"}') == 72,
        "all beyond the places are denied at once")
    assert metric(gateway, "unknown_kid_waits_total") == 128
    for _ in range(20):
        assert status(gateway, good) == 200, "a remembered token waits for nobody"
        assert status(gateway, team.mint()) == 200, "nor does a new one under a known key"
    trouble.let_go.set()
    for wire in wires:
        assert wire.reply().status == 401
        wire.socket.close()
    # The places are free again.
    team.trouble = None
    reload(gateway)
    team.keys.append(Key())
    eventually(lambda: status(gateway, team.mint()) == 200, "SIGHUP fetches, whatever the bucket says")


def test_a_wait_ends_with_its_time(launch):
    team = launch.team()
    gateway = launch.gateway(team.issuer, unknown_kid_wait="1s", expose_reason="on")
    trouble = Hanging()
    team.trouble = trouble
    trouble.body = b"no keys"
    reply = ask(gateway.port, AUTH, asserted(junk(team, 1)))
    assert (reply.status, reply["X-Auth-Reason"]) == (401, "key_unknown")
    assert metric(gateway, "unknown_kid_waits_total") == 1
    trouble.let_go.set()


@pytest.mark.parametrize("leaves", ["finish", "reset"])
def test_a_client_that_leaves_while_it_waits_costs_nothing_more(launch, leaves):
    team = launch.team()
    gateway = launch.gateway(team.issuer)
    trouble = Hanging()
    team.trouble = trouble
    trouble.body = b"no keys"
    wire = Wire(gateway.port)
    wire.send(head(AUTH, asserted(junk(team, 1))))
    eventually(lambda: metric(gateway, "unknown_kid_waits_total") == 1, "the request waits")
    getattr(wire, leaves)()
    trouble.let_go.set()
    if leaves == "finish":
        assert wire.reply().status == 401, "half a close is no leaving"
    eventually(lambda: metric(gateway, "connections_open") == 0, "the connection is gone")


def test_switched_off_nobody_waits(launch):
    team = launch.team()
    gateway = launch.gateway(team.issuer, unknown_kid_wait="0s")
    trouble = Hanging()
    team.trouble = trouble
    trouble.body = b"no keys"
    assert status(gateway, junk(team, 1)) == 401
    assert metric(gateway, "unknown_kid_waits_total") == 0
    trouble.let_go.set()


def test_sighup_fetches_although_the_bucket_is_empty(launch):
    team = launch.team()
    gateway = launch.gateway(team.issuer)
    for number in range(5):
        assert status(gateway, junk(team, number)) == 401
    team.keys.append(Key())
    assert status(gateway, team.mint()) == 401, "the bucket is empty"
    reload(gateway)
    eventually(lambda: status(gateway, team.mint()) == 200, "SIGHUP fetches at once")
