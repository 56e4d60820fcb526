"""An upgrade while proxies go on asking: a new process listens beside the old one, is ready, and the old one drains.
Nobody may notice."""

import re
import shutil
import signal
import subprocess
import time

import pytest

from minting import AUD, OTHER_AUD
from running import Gateway, eventually, free_port
from traefik import Traefik, traefik_binary
from wire import Wire, ask, asserted, get, head

AUTH = f"/auth/{AUD}"


class Load:
    """wrk until `end`, which says how many requests were answered; all of them must have been, with 2xx."""

    def __init__(self, url, token, *fields):
        headers = [part for field in (asserted(token), *fields) for part in ("-H", field)]
        self.child = subprocess.Popen(
            ["wrk", "-t1", "-c16", "-d300s", "--timeout", "20s", *headers, url],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def end(self):
        assert self.child.poll() is None, "the load went on all the time"
        self.child.send_signal(signal.SIGINT)
        out = self.child.communicate(timeout=60)[0]
        assert "Non-2xx" not in out and "Socket errors" not in out, out
        return int(re.search(r"(\d+) requests in", out)[1])


def ready(gateway):
    try:
        return get(gateway.admin_port, "/readyz")[0] == 200
    except ConnectionRefusedError:
        return False


@pytest.mark.skipif(shutil.which("wrk") is None, reason="no wrk here (scripts/test unpacks it)")
@pytest.mark.skipif(traefik_binary() is None, reason="no Traefik here (scripts/test installs it)")
def test_an_upgrade_behind_traefik_costs_no_request(tmp_path, launch, team):
    port = free_port()

    def start():
        gateway = launch.keep(Gateway(team.issuer, wait=False, listen=f"127.0.0.1:{port}"))
        eventually(lambda: ready(gateway), "ready")
        return gateway

    gateway = start()
    house = launch.keep(Traefik(tmp_path, port, free_port(), AUD, OTHER_AUD))
    load = Load(f"http://127.0.0.1:{house.port}/api/version", team.mint())
    time.sleep(1)
    for _ in range(3):
        old, gateway = gateway, start()
        old.end()
        time.sleep(0.5)
    assert load.end() > 100


@pytest.mark.skipif(shutil.which("wrk") is None, reason="no wrk here (scripts/test unpacks it)")
def test_no_new_connection_is_reset_as_the_old_process_closes_its_sockets(launch, team):
    """Each request on a connection of its own: whatever the kernel has queued at a socket that closes would be reset."""
    port = free_port()

    def start():
        gateway = launch.keep(Gateway(team.issuer, wait=False, listen=f"127.0.0.1:{port}"))
        eventually(lambda: ready(gateway), "ready")
        return gateway

    gateway = start()
    load = Load(f"http://127.0.0.1:{port}{AUTH}", team.mint(), "Connection: close")
    for _ in range(8):
        old, gateway = gateway, start()
        old.child.terminate()
        assert old.wait() == 0
    assert load.end() > 100


def test_what_is_in_flight_at_the_old_process_is_answered_by_it(launch, team):
    """A connection that is idle when the drain begins is left open for a moment: a request may be on its way to it."""
    port = free_port()
    old = launch.keep(Gateway(team.issuer, wait=False, listen=f"127.0.0.1:{port}", header_timeout="60s"))
    old.await_port(port)
    token = team.mint()
    eventually(lambda: ask(port, AUTH, asserted(token)).status == 200, "ready")
    data = head(AUTH, asserted(token))
    with Wire(port) as idle, Wire(port) as half:
        assert idle.send(data).reply().status == 200
        assert half.send(data + data[:50]).reply().status == 200
        new = launch.keep(Gateway(team.issuer, wait=False, listen=f"127.0.0.1:{port}"))
        eventually(lambda: ready(new), "ready")
        old.child.terminate()
        eventually(lambda: "draining" in old.log(), "the old one drains")
        time.sleep(0.2)  # its loops are told behind that line, and leave idle connections open for a second
        for wire, rest in ((idle, data), (half, data[50:])):
            reply = wire.send(rest).reply()
            assert reply.status == 200 and reply["Connection"] == "close"
            wire.assert_closed()
        assert old.wait() == 0
        for _ in range(50):
            assert ask(port, AUTH, asserted(token)).status == 200
        assert new.child.poll() is None
