"""Keys under load: rotation while good requests come in, and floods of made-up key ids. Short rounds by default;
scripts/stress-keys runs the long ones and also holds the CPU time against a bound."""

import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time

import pytest

from minting import AUD, Key, base64url
from running import SANITIZED, eventually
from wire import Wire, ask, asserted, get, head, sample

AUTH = f"/auth/{AUD}"
STRESS = os.environ.get("STRESS") == "1"
ROTATION_SECONDS = int(os.environ.get("STRESS_ROTATION", "6" if SANITIZED else "15"))
KIDS = int(os.environ.get("STRESS_KIDS", "2000" if SANITIZED else "10000"))
PERIOD = 2.0

pytestmark = pytest.mark.skipif(shutil.which("wrk") is None, reason="no wrk")


def status(gateway, token):
    return ask(gateway.port, AUTH, asserted(token)).status


def metrics(gateway):
    return get(gateway.admin_port, "/metrics")[1].decode()


class Load:
    """wrk with one token, for some seconds, beside whatever the test does."""

    def __init__(self, gateway, token, seconds, connections=8):
        self.child = subprocess.Popen(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-H", asserted(token),
             f"http://127.0.0.1:{gateway.port}{AUTH}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def wait(self):
        """Requests that were answered; each with 200."""
        report, _ = self.child.communicate()
        assert self.child.returncode == 0 and "Non-2xx" not in report, report
        errors = re.search(r"Socket errors:.*", report)
        assert errors is None, report
        return int(re.search(r"(\d+) requests in", report)[1])


def test_rotation_under_load_refuses_no_good_request_and_keeps_no_dropped_key(launch):
    """Every two seconds the issuer publishes a key, signs with it from the next period on, and keeps it for one period
    after its last."""
    ring = [Key() for _ in range(6)]
    team = launch.team(keys=ring[:2])
    gateway = launch.gateway(team.issuer, keys_refresh="1s")
    refused, requests, dropped = [], 0, 0
    end = time.monotonic() + ROTATION_SECONDS
    number = 0
    while time.monotonic() < end:
        began = time.monotonic()
        # In the set: the previous, the current, the next.
        current = ring[number % 6]
        next_one = ring[(number + 1) % 6]
        previous = [ring[(number - 1) % 6]] if number else []
        gone = ring[(number - 2) % 6] if number > 1 else None
        team.keys = [*previous, current, next_one]
        token = team.mint(key=current)
        load = Load(gateway, token, int(PERIOD))
        tokens = [token] + [team.mint(key=key) for key in previous]
        old = team.mint(key=gone) if gone else None
        seen_gone = gone is None
        while time.monotonic() < began + PERIOD:
            for one in tokens:
                if status(gateway, one) != 200:
                    refused.append((number, one))
            if not seen_gone and gone.kid not in metrics(gateway):
                seen_gone = True
                dropped += 1
                assert status(gateway, old) == 401, "the next request under a dropped key is refused"
                assert status(gateway, remembered) == 401, "also one that was remembered"
            time.sleep(0.02)
        requests += load.wait()
        assert seen_gone, "the dropped key is gone within a period"
        remembered = tokens[-1]
        number += 1
    assert refused == []
    assert requests > 100 and (number < 3 or dropped == number - 2)
    text = metrics(gateway)
    assert sample(text, "access_gateway_unknown_kids_total") <= 3 * number


def made_up_tokens(team, count, start=0):
    """Tokens of the team with key ids that it never had; their signatures are nobody's."""
    payload = base64url(json.dumps(team.claims()).encode())
    signature = base64url(b"x" * 256)
    for number in range(start, start + count):
        top = base64url(json.dumps({"alg": "RS256", "kid": f"made-up-{number}", "typ": "JWT"}).encode())
        yield f"{top}.{payload}.{signature}"


def flood(gateway, team, count, start=0):
    """Sends that many made-up key ids over one connection, in batches; each is answered with 401."""
    answered = 0
    with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
        batch = []

        def send():
            nonlocal answered
            connection.sendall(b"".join(batch))
            got = b""
            while got.count(b"HTTP/1.1 401") < len(batch):
                more = connection.recv(1 << 20)
                assert more, got
                got += more
            assert b"HTTP/1.1 200" not in got
            answered += len(batch)
            batch.clear()

        for token in made_up_tokens(team, count, start):
            batch.append(head(AUTH, asserted(token)))
            if len(batch) == 20:
                send()
        if batch:
            send()
    return answered


def resident(gateway):
    return sample(metrics(gateway), "process_resident_memory_bytes")


def cpu_seconds(gateway):
    with open(f"/proc/{gateway.pid}/stat") as file:
        fields = file.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_flood_of_unknown_kids_is_few_fetches_and_no_memory(launch):
    team = launch.team()
    gateway = launch.gateway(team.issuer, event_loops="2")
    token = team.mint()
    assert status(gateway, token) == 200
    flood(gateway, team, 500)
    before = resident(gateway)
    fetches = team.fetches
    began = time.monotonic()
    load = Load(gateway, token, 3)
    assert flood(gateway, team, KIDS, start=1000) == KIDS
    assert load.wait() > 100
    took = time.monotonic() - began
    assert team.fetches - fetches <= 3 + took // 10 + 1
    if not SANITIZED:
        assert resident(gateway) - before < 4 << 20, "memory is flat"
    text = metrics(gateway)
    assert sample(text, "access_gateway_unknown_kids_total") == KIDS + 500
    assert sample(text, "access_gateway_unknown_kid_refetches_total") <= 4 + took // 10
    assert sample(text, "access_gateway_token_cache_entries") < 20, "the good token is remembered, and no other"
    assert status(gateway, token) == 200


@pytest.mark.skipif(not STRESS, reason="CPU time is for scripts/stress-keys")
def test_good_traffic_costs_little_more_cpu_during_a_flood(launch):
    team = launch.team()
    gateway = launch.gateway(team.issuer)
    token = team.mint()
    assert status(gateway, token) == 200

    def measured(work):
        before = cpu_seconds(gateway)
        count = work()
        return count, cpu_seconds(gateway) - before

    measured(lambda: Load(gateway, token, 2).wait())
    good, good_cpu = measured(lambda: Load(gateway, token, 10).wait())
    bad, bad_cpu = measured(lambda: flood(gateway, team, KIDS // 2))

    def both():
        counts = []
        thread = threading.Thread(target=lambda: counts.append(flood(gateway, team, KIDS, start=KIDS)))
        load = Load(gateway, token, 10)
        thread.start()
        requests = load.wait()
        thread.join()
        return requests, counts[0]

    (good_beside, bad_beside), cpu = measured(both)
    alone = good_cpu / good
    beside = (cpu - bad_cpu / bad * bad_beside) / good_beside
    print(f"good request: {alone * 1e6:.1f} us alone, {beside * 1e6:.1f} us beside a flood of {bad_beside} kids")
    assert beside <= 1.2 * alone
