"""Starts real programs on free ports, waits for them with deadlines, ends them by the id it started, and keeps their
logs for the report of a failed test. Knows nothing of HTTP replies (wire.py) or tokens (minting.py)."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from processes import clean_environment, free_port  # noqa: E402, F401
from processes import stop as end  # noqa: E402

BINARY = pathlib.Path(os.environ.get("GATEWAY_BINARY", ROOT / ".build" / "debug" / "access-gateway"))
SANITIZED = any(part in (".build-asan", ".build-tsan") for part in BINARY.parts)
PATIENCE = 30.0  # seconds; every wait ends earlier when what it waits for happens

# What a sanitizer or the Swift runtime writes when something went wrong that no reply shows.
BAD_SIGNS = ("AddressSanitizer", "ThreadSanitizer", "LeakSanitizer", "Fatal error:", "runtime error:", "💣")

started = []  # every process of the running test session, for the report of a failed test


def eventually(condition, what, seconds=PATIENCE):
    """The first true value of `condition()`; a failed test after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)


def listening(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def run(*arguments, env=None, stdin="", timeout=PATIENCE):
    """Runs the program to its end: a subprocess.CompletedProcess with text."""
    return subprocess.run(
        [str(BINARY), *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=timeout,
        env=clean_environment(env))


class Process:
    """A program that runs until it is stopped."""

    def __init__(self, name, arguments, env=None, pass_fds=()):
        self.name = name
        self.log_file = tempfile.NamedTemporaryFile(prefix=f"{name}-", suffix=".log", delete=False)
        self.child = subprocess.Popen(
            [str(a) for a in arguments], stdin=subprocess.DEVNULL, stdout=self.log_file, stderr=subprocess.STDOUT,
            env=clean_environment(env), pass_fds=pass_fds)
        started.append(self)

    @property
    def pid(self):
        return self.child.pid

    def log(self):
        return pathlib.Path(self.log_file.name).read_text(errors="replace")

    def await_port(self, port):
        def up():
            assert self.child.poll() is None, f"{self.name} ended with {self.child.returncode}:\n{self.log()}"
            return listening(port)

        eventually(up, f"{self.name} listens on {port}")

    def signal(self, number):
        self.child.send_signal(number)

    def wait(self, seconds=PATIENCE):
        return self.child.wait(seconds)

    def stop(self):
        """SIGTERM, then SIGKILL; the exit code."""
        return end(self.child, patience=PATIENCE)

    def discard(self):
        self.stop()
        self.log_file.close()
        pathlib.Path(self.log_file.name).unlink(missing_ok=True)
        if self in started:
            started.remove(self)


class Gateway(Process):
    """`access-gateway serve` on ports of its own. Flags: `leeway="10s"` becomes `--leeway 10s`. `tls`, a folder that
    `tls-selfsigned` has filled, adds a TLS port, `secure`."""

    def __init__(self, trusted, env=None, wait=True, prefix=(), tls=None, **settings):
        self.port, self.admin_port = free_port(), free_port()
        given = {"issuer": trusted, "listen": f"127.0.0.1:{self.port}", "admin": f"127.0.0.1:{self.admin_port}"}
        if tls:
            self.secure = free_port()
            given["listen"] += f",tls://127.0.0.1:{self.secure}"
            given.update(tls_cert=tls / "server.pem", tls_key=tls / "server-key.pem")
        given.update(settings)
        flags = [part for k, v in given.items() if v is not None for part in ("--" + k.replace("_", "-"), v)]
        super().__init__("gateway", [*prefix, BINARY, "serve", *flags], env)
        if wait:
            self.await_port(self.admin_port)
            self.await_port(self.port)

    def end(self):
        """Stops it in the orderly way, which must always work."""
        code = self.stop()
        log = self.log()
        assert not [sign for sign in BAD_SIGNS if sign in log], log
        assert code == 0, f"exit code {code} after SIGTERM:\n{log}"


class Issuer(Process):
    """`access-gateway issuer`, the program's own stand-in for a team."""

    def __init__(self, port=None):
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__("issuer", [BINARY, "issuer", "--listen", f"127.0.0.1:{self.port}"])
        self.await_port(self.port)


def reload(process):
    process.signal(signal.SIGHUP)
