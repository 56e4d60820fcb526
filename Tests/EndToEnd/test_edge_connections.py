"""Clients that leave at every moment, more of them than there is room for, and the sockets that they come in by."""

import os
import pathlib
import resource
import signal
import socket
import stat
import time

import pytest

from minting import AUD
from running import BINARY, Gateway, Process, eventually, free_port, run
from wire import Wire, ask, asserted, get, head, sample

AUTH = f"/auth/{AUD}"


def metric(gateway, name):
    return sample(get(gateway.admin_port, "/metrics")[1].decode(), name)


def descriptors(gateway):
    return len(os.listdir(f"/proc/{gateway.pid}/fd"))


def over_unix(path, data):
    """What comes back over a unix socket until its end."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(path))
        client.sendall(data)
        told = b""
        while more := client.recv(65536):
            told += more
    return told


# Leaving


@pytest.fixture
def steady(launch, team):
    """A gateway that must hold as many descriptors behind a test as before it, and still answer."""
    gateway = launch.gateway(team.issuer)
    assert ask(gateway.port, AUTH, asserted(team.mint())).status == 200
    eventually(lambda: metric(gateway, "access_gateway_connections_open") == 0, "nobody is connected")
    before = descriptors(gateway)
    yield gateway
    eventually(lambda: metric(gateway, "access_gateway_connections_open") == 0, "everybody's connection has ended")
    eventually(lambda: descriptors(gateway) <= before, "all descriptors are given back")
    assert ask(gateway.port, AUTH, asserted(team.mint())).status == 200


def fresh(team, count, prefix):
    """Tokens that nobody has seen: each waits for its own verification."""
    return [team.mint(email=f"{prefix}{i}@example.com") for i in range(count)]


def test_who_half_closes_before_during_or_after_a_verification_is_answered(steady, team):
    for token in fresh(team, 60, "half"):
        for _ in range(2):  # waits, then is remembered
            with Wire(steady.port) as wire:
                wire.send(head(AUTH, asserted(token))).finish()
                assert wire.reply().status == 200
                wire.assert_closed()


def test_who_half_closes_behind_many_requests_gets_all_the_answers(steady, team):
    requests = b"".join(
        head(AUTH, asserted(token)) + head("/elsewhere") for token in fresh(team, 30, "pipeline"))
    with Wire(steady.port) as wire:
        wire.send(requests).finish()
        for _ in range(30):
            assert wire.reply().status == 200
            assert wire.reply().status == 404
        wire.assert_closed()


def test_who_half_closes_within_a_head_is_told_nothing(steady):
    data = head(AUTH)
    for cut in range(len(data)):
        with Wire(steady.port) as wire:
            wire.send(data[:cut]).finish()
            wire.assert_closed()


def test_resets_at_every_moment_do_no_harm(steady, team):
    for i, token in enumerate(fresh(team, 120, "reset")):
        data = head(AUTH, asserted(token))
        wire = Wire(steady.port)
        kind = i % 6
        if kind == 0:  # before anything
            pass
        elif kind == 1:  # within the head
            wire.send(data[:len(data) // 2])
        elif kind == 2:  # while the verification runs
            wire.send(data)
        elif kind == 3:  # the same with more behind it
            wire.send(data * 20)
        elif kind == 4:  # within many replies
            wire.send(data + head("/elsewhere") * 400)
            wire.socket.recv(100)
        else:  # behind the last reply, while the gate lingers
            wire.send(b"nonsense\r\n\r\n")
            wire.reply()
        wire.reset()


def test_who_leaves_while_others_wait_for_the_same_verification_changes_nothing_for_them(steady, team):
    for token in fresh(team, 30, "shared"):
        data = head(AUTH, asserted(token))
        wires = [Wire(steady.port) for _ in range(6)]
        for wire in wires:
            wire.send(data)
        for wire in wires[::2]:
            wire.reset()
        for wire in wires[1::2]:
            assert wire.reply().status == 200
            wire.socket.close()


def test_a_client_that_reads_no_replies_is_cut_off(launch, team):
    gateway = launch.gateway(team.issuer)
    with Wire(gateway.port) as wire:
        wire.socket.settimeout(1)
        data = head("/elsewhere") * 1000
        with pytest.raises(OSError):  # the window closes: first nothing more is taken, then the connection ends
            for _ in range(10_000):
                wire.send(data)
        eventually(lambda: metric(gateway, "access_gateway_connections_open") == 0, "its deadline has come")
    assert ask(gateway.port, AUTH, asserted(team.mint())).status == 200


# More than there is room for


def test_an_idle_connection_makes_room_whichever_loop_it_is_on(launch, team):
    gateway = launch.gateway(team.issuer, max_connections="8", event_loops="4")
    wires = [Wire(gateway.port) for _ in range(8)]
    try:
        for wire in wires:
            assert wire.send(head(AUTH)).reply().status == 401
        token = team.mint()
        for _ in range(100):
            assert ask(gateway.port, AUTH, asserted(token)).status == 200
        assert metric(gateway, "access_gateway_connections_open") <= 8
    finally:
        for wire in wires:
            wire.socket.close()


def test_silent_connections_keep_nobody_out(launch, team):
    gateway = launch.gateway(team.issuer, max_connections="8", event_loops="4")
    wires = [Wire(gateway.port) for _ in range(40)]
    try:
        eventually(lambda: metric(gateway, "access_gateway_connections_accepted_total") >= 40, "the crowd is in")
        token = team.mint()
        for _ in range(100):
            assert ask(gateway.port, AUTH, asserted(token)).status == 200
    finally:
        for wire in wires:
            wire.socket.close()


def test_when_all_are_asking_a_new_one_gets_503_and_a_close(launch, team):
    gateway = launch.gateway(team.issuer, max_connections="8", header_timeout="60s")
    wires = [Wire(gateway.port) for _ in range(8)]
    try:
        for wire in wires:  # a whole head, and half of the next
            assert wire.send(head(AUTH) + b"GET ").reply().status == 401
        for _ in range(20):
            with Wire(gateway.port) as wire:
                reply = wire.reply()
                assert reply.status == 503 and reply["Connection"] == "close"
                wire.assert_closed()
        for wire in wires:
            assert wire.send(head(AUTH)[4:]).reply().status == 401
    finally:
        for wire in wires:
            wire.socket.close()


def test_out_of_descriptors_it_waits_says_so_once_a_second_and_recovers_by_itself(launch, team):
    gateway = launch.gateway(team.issuer)
    token = team.mint()
    assert ask(gateway.port, AUTH, asserted(token)).status == 200
    eventually(lambda: metric(gateway, "access_gateway_connections_open") == 0, "nobody is connected")
    before = resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE)
    # Taken away behind the gateway's back, so that its own bound on connections does not know of it.
    resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (descriptors(gateway) + 4, before[1]))
    wires = [Wire(gateway.port) for _ in range(20)]  # the kernel takes them in
    try:
        eventually(lambda: "accept_failed" in gateway.log(), "it says so")
        ticks = cpu_seconds(gateway)
        time.sleep(2)
        assert cpu_seconds(gateway) - ticks < 1, "it spins"
        assert gateway.log().count("accept_failed") <= 10, "a line a second and a loop"
    finally:
        for wire in wires:
            wire.socket.close()
    for _ in range(20):
        assert ask(gateway.port, AUTH, asserted(token)).status == 200, "others have left, so there is room"
    resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, before)


def cpu_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Limited(Gateway):
    """A gateway that was started with few descriptors."""

    def __init__(self, trusted, descriptors):
        self.port, self.admin_port = free_port(), free_port()
        Process.__init__(self, "gateway", [
            "bash", "-c", f'ulimit -n {descriptors}; exec "$0" "$@"', BINARY, "serve", "--issuer", trusted, "--listen",
            f"127.0.0.1:{self.port}", "--admin", f"127.0.0.1:{self.admin_port}"])
        self.await_port(self.admin_port)
        self.await_port(self.port)


def test_with_64_descriptors_a_crowd_keeps_nobody_out(launch, team):
    gateway = launch.keep(Limited(team.issuer, 64))
    token = team.mint()
    eventually(lambda: ask(gateway.port, AUTH, asserted(token)).status == 200, "ready")
    assert "connections_limited" in gateway.log(), "it says how many fit"
    crowd = [Wire(gateway.port) for _ in range(200)]
    try:
        for _ in range(50):
            assert ask(gateway.port, AUTH, asserted(token)).status == 200
        assert get(gateway.admin_port, "/readyz")[0] == 200, "nor the operator"
    finally:
        for wire in crowd:
            wire.socket.close()


def test_the_limit_of_descriptors_is_raised_to_what_is_granted(launch, team):
    gateway = launch.gateway(team.issuer)
    soft, hard = resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE)
    assert soft == hard


def test_what_requests_name_does_not_grow_the_metrics(launch, team):
    gateway = launch.gateway(team.issuer)
    ask(gateway.port, AUTH)
    before = len(get(gateway.admin_port, "/metrics")[1].splitlines())
    with Wire(gateway.port) as wire:
        for i in range(1000):
            wire.send(head(f"/auth/aud-{i}", f"X-Forwarded-Host: host{i}.example", f"X-Method-{i}: x", host=f"h{i}"))
        for i in range(1000):
            assert wire.reply().status == 401
    assert len(get(gateway.admin_port, "/metrics")[1].splitlines()) == before


# Sockets


def test_a_unix_socket_has_its_mode_and_owner_and_replaces_a_stale_one_only(launch, team, tmp_path):
    path, token = tmp_path / "gateway.sock", team.mint()
    own = f"{os.getuid()}:{os.getgid()}"

    def start():
        gateway = launch.keep(Gateway(
            team.issuer, wait=False, listen=f"unix:{path}", socket_mode="0606", socket_owner=own, event_loops="2"))
        gateway.await_port(gateway.admin_port)
        eventually(lambda: get(gateway.admin_port, "/readyz")[0] == 200, "ready")
        return gateway

    gateway = start()
    found = path.stat()
    assert stat.S_ISSOCK(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o606
    assert f"{found.st_uid}:{found.st_gid}" == own
    ask_once = head(AUTH, asserted(token), "Connection: close")
    for _ in range(20):
        assert over_unix(path, ask_once).startswith(b"HTTP/1.1 200 ")

    second = run("serve", "--issuer", team.issuer, "--listen", f"unix:{path}", "--admin", "off")
    assert second.returncode == 1 and str(path) in second.stderr, "a living one is not taken over"
    assert over_unix(path, ask_once).startswith(b"HTTP/1.1 200 ")

    gateway.signal(signal.SIGKILL)
    gateway.wait()
    assert path.exists(), "left behind by a process that had no time"
    start()
    assert over_unix(path, ask_once).startswith(b"HTTP/1.1 200 ")


def test_a_file_in_the_place_of_the_unix_socket_is_left_alone(team, tmp_path):
    path = tmp_path / "precious"
    path.write_text("precious")
    result = run("serve", "--issuer", team.issuer, "--listen", f"unix:{path}", "--admin", "off")
    assert result.returncode == 1 and str(path) in result.stderr
    assert path.read_text() == "precious"


def test_an_owner_that_is_not_there_is_said(team, tmp_path):
    result = run(
        "serve", "--issuer", team.issuer, "--listen", f"unix:{tmp_path}/s", "--admin", "off", "--socket-owner",
        "nobody-of-this-name")
    assert result.returncode == 78 and "nobody-of-this-name" in result.stderr, "systemd does not start it again"
    assert len(result.stderr.splitlines()) == 1 and "socket_owner" in result.stderr


@pytest.mark.parametrize("place, words", [
    ("nothing/s", "No such file or directory"), ("file/s", "Not a directory"), ("a" * 108, "at most 107 bytes")])
def test_why_a_unix_socket_cannot_be_bound_is_said_as_it_is(team, tmp_path, place, words):
    (tmp_path / "file").touch()
    result = run("serve", "--issuer", team.issuer, "--listen", f"unix:{tmp_path}/{place}", "--admin", "off")
    assert result.returncode in (1, 78) and words in result.stderr, result.stderr


def reachable(host, port):
    try:
        with Wire(port, host):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not pathlib.Path("/proc/net/if_inet6").exists(), reason="no IPv6 here")
def test_two_colons_alone_take_both_families(launch, team):
    port, token = free_port(), team.mint()
    gateway = launch.keep(Gateway(team.issuer, wait=False, listen=f"[::]:{port}"))
    gateway.await_port(port)
    for host in ("127.0.0.1", "::1"):
        with Wire(port, host) as wire:
            eventually(lambda: wire.send(head(AUTH, asserted(token))).reply().status == 200, f"ready by {host}")


@pytest.mark.skipif(not pathlib.Path("/proc/net/if_inet6").exists(), reason="no IPv6 here")
def test_each_family_may_have_an_address_of_its_own(launch, team):
    port = free_port()
    gateway = launch.keep(Gateway(team.issuer, wait=False, listen=f"[::1]:{port}", admin=f"127.0.0.1:{port}"))
    eventually(lambda: reachable("::1", port), "it listens")
    assert get(port, "/livez")[0] == 200, "IPv4 is the admin's"
    with Wire(port, "::1") as wire:
        assert wire.send(head("/metrics")).reply().status == 404
    assert gateway.child.poll() is None


def activated(launch, issuer, sockets, names="", **settings):
    """A gateway that is handed its listening sockets, as by systemd: descriptors from 3 on."""
    given = {"issuer": issuer, "listen": f"127.0.0.1:{free_port()}", "admin": f"127.0.0.1:{free_port()}", **settings}
    flags = [part for k, v in given.items() for part in ("--" + k.replace("_", "-"), v)]
    # High numbers first, so that none is overwritten before it is moved.
    moves = " ".join(f"{50 + i}<&{s.fileno()}" for i, s in enumerate(sockets))
    places = " ".join(f"{3 + i}<&{50 + i} {50 + i}<&-" for i in range(len(sockets)))
    script = (
        f'exec {moves}; exec {places}; export LISTEN_PID=$$ LISTEN_FDS={len(sockets)} LISTEN_FDNAMES={names}; '
        'exec "$0" "$@"')
    return launch.keep(Process(
        "gateway", ["bash", "-c", script, BINARY, "serve", *flags], pass_fds=[s.fileno() for s in sockets]))


def listening_socket():
    listener = socket.create_server(("127.0.0.1", 0))
    return listener, listener.getsockname()[1]


def test_it_serves_the_sockets_that_systemd_hands_over(launch, team, tmp_path):
    tcp, port = listening_socket()
    admin, admin_port = listening_socket()
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(tmp_path / "s"))
    unix.listen()
    token = team.mint()
    # A request that was there before the gateway was: it waits in the socket, and is answered.
    early = Wire(port)
    early.send(head(AUTH))
    process = activated(launch, team.issuer, [tcp, admin, unix], "web:admin:other", event_loops="2")
    assert early.reply().status in (401, 503)
    early.socket.close()
    eventually(lambda: get(admin_port, "/readyz")[0] == 200, "ready, on the admin's own")
    for _ in range(50):
        assert ask(port, AUTH, asserted(token)).status == 200
    assert over_unix(tmp_path / "s", head(AUTH, asserted(token), "Connection: close")).startswith(b"HTTP/1.1 200 ")
    # An upgrade: the socket outlives the process, and what comes meanwhile waits in it.
    assert process.stop() == 0
    late = Wire(port)
    late.send(head(AUTH, asserted(token)))
    activated(launch, team.issuer, [tcp, admin, unix], "web:admin:other")
    assert late.reply().status in (200, 503)
    late.socket.close()
    for s in (tcp, admin, unix):
        s.close()


def test_a_handed_over_descriptor_that_does_not_listen_is_said(launch, team):
    with socket.socket() as idle:
        process = activated(launch, team.issuer, [idle])
        assert process.wait() == 1
        assert "no listening stream socket" in process.log()
