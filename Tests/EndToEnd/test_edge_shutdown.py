"""How the program starts and ends: signals from the first moment on, nothing freed while something still hangs on it,
a drain that costs no processor time, and readiness that means that connections are taken."""

import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import time

import pytest

from minting import AUD, Key, certificate_authority, server_tls
from faults import ConnectProxy, FaultServer, hang
from running import BINARY, SANITIZED, Gateway, Process, clean_environment, eventually, free_port, listening, run
from test_edge_connections import activated, cpu_seconds, listening_socket, over_unix
from wire import Wire, ask, asserted, get, head, sample

AUTH = f"/auth/{AUD}"
ISSUER = "https://team.test"
FIRST = Key()

# The allocator writes over what is freed and keeps none of it at hand: whoever uses it afterwards does not get away with it.
PERTURBED = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0:glibc.malloc.perturb=165"}


# Nothing is used after it was freed


@pytest.mark.skipif(SANITIZED, reason="a sanitizer has an allocator of its own")
def test_an_end_by_sigterm_uses_nothing_that_was_freed(launch, team):
    gateway = launch.gateway(team.issuer, env=PERTURBED, state_dir=None)
    with Wire(gateway.port) as idle, Wire(gateway.port) as half:
        assert idle.send(head(AUTH, asserted(team.mint()))).reply().status == 200
        half.send(head(AUTH)[:20])
        assert gateway.stop() == 0, gateway.log()


@pytest.mark.skipif(SANITIZED, reason="a sanitizer has an allocator of its own")
def test_commands_that_fetch_keys_use_nothing_that_was_freed(team):
    told = run("explain", "--issuer", team.issuer, "--audience", AUD, team.mint(), env=PERTURBED)
    assert told.returncode == 0 and "ada@example.com" in told.stdout, told
    told = run("check", "--issuer", team.issuer, env=PERTURBED)
    assert told.returncode == 0, told


@pytest.mark.skipif(SANITIZED, reason="a sanitizer has an allocator of its own")
def test_keys_and_healthcheck_use_nothing_that_was_freed(gateway):
    admin = f"127.0.0.1:{gateway.admin_port}"
    for command in ("keys", "healthcheck"):
        told = run(command, "--admin", admin, env=PERTURBED)
        assert told.returncode == 0, told


# valgrind sees every read of freed memory, also in libraries, and takes ten seconds for it.
VALGRIND = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=no", "--undef-value-errors=no"]
SLOW = 300  # seconds; on a busy machine


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's program does not run under valgrind")
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="no valgrind here (scripts/test installs it)")
def test_valgrind_finds_no_invalid_access(launch, team):
    gateway = launch.keep(Gateway(
        team.issuer, prefix=VALGRIND, wait=False, event_loops="2", verify_workers="1", drain_timeout="60s"))
    eventually(lambda: listening(gateway.admin_port), "it has started", SLOW)
    eventually(lambda: get(gateway.admin_port, "/readyz")[0] == 200, "ready", SLOW)
    token = team.mint()
    for _ in range(3):
        assert ask(gateway.port, AUTH, asserted(token)).status == 200
        assert ask(gateway.port, AUTH).status == 401
        assert ask(gateway.port, "/nothing").status == 404
    reset = Wire(gateway.port)
    reset.send(head(AUTH, asserted(team.mint(email="reset@example.com"))) * 20)
    reset.reset()
    assert get(gateway.admin_port, "/metrics")[0] == 200
    for command in (["keys", "--admin", f"127.0.0.1:{gateway.admin_port}"],
                    ["explain", "--issuer", team.issuer, "--audience", AUD, token]):
        told = subprocess.run(
            [*VALGRIND, BINARY, *command], capture_output=True, text=True, timeout=SLOW, env=clean_environment())
        assert told.returncode == 0, told.stdout + told.stderr
    with Wire(gateway.port) as idle, Wire(gateway.port) as half:
        assert idle.send(head(AUTH, asserted(token))).reply().status == 200
        half.send(head(AUTH)[:20])
        gateway.signal(signal.SIGTERM)
        assert gateway.wait(SLOW) == 0, gateway.log()


# Signals


@pytest.mark.parametrize("command", ["serve", "demo", "issuer"])
def test_signals_are_blocked_before_anything_else(command):
    """Held in its first words, by a pipe that is full: a signal must wait for it already."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    while True:
        try:
            os.write(writer, b"x" * 4096)
        except BlockingIOError:
            break
    os.set_blocking(writer, True)
    wrong = {"serve": ["--leeway", "x", "--team-domain", "acme"], "demo": ["--listen", "x"], "issuer": ["--listen", "x"]}
    child = subprocess.Popen(
        [str(BINARY), command, *wrong[command]], stdin=subprocess.DEVNULL, stdout=writer, stderr=writer,
        env=clean_environment())
    try:
        def status(name):
            text = pathlib.Path(f"/proc/{child.pid}/status").read_text()
            return next(line.split(":")[1].strip() for line in text.splitlines() if line.startswith(name))

        def is_writing():
            return status("State").startswith("S") and pathlib.Path(f"/proc/{child.pid}/syscall").read_text().split()[:2] \
                in (["1", "0x1"], ["1", "0x2"])

        eventually(is_writing, "it writes its refusal")
        blocked = int(status("SigBlk"), 16)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            assert blocked >> (number - 1) & 1, f"{number!r} would kill it"
    finally:
        child.kill()
        child.wait()
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_command_that_only_asks_ends_at_a_signal(number):
    """The signals are blocked at first in every command; those that serve nothing let them through again."""
    listener, port = listening_socket()  # takes connections and says nothing
    child = Process("check", [BINARY, "check", "--issuer", f"http://127.0.0.1:{port}"])
    client, _ = listener.accept()
    child.signal(number)
    assert child.wait(4) == -number, "within the five seconds that the fetch may take"
    client.close()
    listener.close()
    child.discard()


# Drains


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_drain_with_sockets_of_systemd_does_not_spin(launch, team, tmp_path, kind):
    """Connections wait in the socket, which outlives the process: nobody may ask epoll about them again and again."""
    if kind == "tcp":
        shared, port = listening_socket()
        connect = lambda: Wire(port)  # noqa: E731
    else:
        path = tmp_path / "s"
        shared = socket.socket(socket.AF_UNIX)
        shared.bind(str(path))
        shared.listen(100)

        def connect():
            client = socket.socket(socket.AF_UNIX)
            client.connect(str(path))
            return client
    admin, admin_port = listening_socket()
    process = activated(
        launch, team.issuer, [shared, admin], "web:admin", event_loops="2", drain_timeout="30s", header_timeout="60s")
    eventually(lambda: get(admin_port, "/readyz")[0] == 200, "ready")
    half = connect()  # keeps it draining
    (half.socket if kind == "tcp" else half).sendall(head(AUTH)[:20])
    eventually(
        lambda: sample(get(admin_port, "/metrics")[1].decode(), "access_gateway_connections_open") >= 1, "it has that")
    process.signal(signal.SIGTERM)
    late = [connect() for _ in range(3)]  # wait in the queue for the next process

    def sockets_watched():
        inode = os.fstat(shared.fileno()).st_ino
        return [line for line in epoll_registrations(process.pid) if f"ino:{inode:x} " in line]

    eventually(lambda: inherited(process.pid, shared) == 1, "all but the one that the test's shell has left are closed")
    assert sockets_watched() == [], "each event on the socket would wake a loop, and none would take it"
    before = cpu_seconds(process)
    time.sleep(1)
    assert process.child.poll() is None, "it still drains"
    assert cpu_seconds(process) - before < 0.5, "it spins"
    assert len(late) == 3
    process.child.kill()
    for s in (shared, admin):
        s.close()


def inherited(pid, listener):
    """How many descriptors a process has of a socket."""
    inode, count = os.fstat(listener.fileno()).st_ino, 0
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            count += fd.stat().st_ino == inode and stat.S_ISSOCK(fd.stat().st_mode)
        except FileNotFoundError:
            pass
    return count


def epoll_registrations(pid):
    """Lines that name what epoll watches in a process (proc(5), fdinfo)."""
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        if os.readlink(fd) == "anon_inode:[eventpoll]":
            for line in pathlib.Path(f"/proc/{pid}/fdinfo/{fd.name}").read_text().splitlines():
                if line.startswith("tfd:"):
                    yield line


def stale_registrations(pid):
    """What epoll watches in a process and is no descriptor of it any more."""
    stale = []
    for line in epoll_registrations(pid):
        words = line.replace(":", " ").split()
        watched, inode = words[1], int(words[words.index("ino") + 1], 16)
        try:
            is_there = os.stat(f"/proc/{pid}/fd/{watched}").st_ino == inode
        except FileNotFoundError:
            is_there = False
        if not is_there:
            stale.append(line)
    return stale


def test_the_tunnel_to_the_key_server_leaves_no_registration_behind(launch, tmp_path):
    """The plain connection to the proxy becomes a TLS one, which must not be registered a second time."""
    tls, trusted = server_tls(tmp_path, certificate_authority(), ("keys.test",))
    server = FaultServer(launch.team(keys=[FIRST]), tls)
    proxy = ConnectProxy({"keys.test": ("127.0.0.1", server.port)})
    server.fault = hang
    try:
        gateway = launch.keep(Gateway(
            ISSUER, wait=False, env={"HTTPS_PROXY": proxy.url}, keys_url="https://keys.test/keys", ca_file=trusted))
        eventually(lambda: server.requests == 1, "the fetch is in its tunnel")
        assert stale_registrations(gateway.pid) == []
    finally:
        proxy.close()
        server.close()


# Ready


def test_ready_means_that_every_loop_accepts(launch, team):
    for _ in range(15):
        gateway = launch.keep(Gateway(team.issuer, wait=False, event_loops="8"))

        def ready():
            try:
                return get(gateway.admin_port, "/readyz")[0] == 200
            except ConnectionRefusedError:
                return False

        eventually(ready, "ready")
        ask(gateway.port, AUTH)  # refused where it does not listen yet
        sockets = pathlib.Path("/proc/net/tcp").read_text().splitlines()
        wanted = f"0100007F:{gateway.port:04X} 00000000:0000 0A"
        assert sum(wanted in line for line in sockets) == 8, "each loop's socket listens"
        gateway.child.kill()
        gateway.wait()
