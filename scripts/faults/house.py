"""A gateway, its stand-in issuer and their figures, for load-faults and soak. Standard library only; everything runs on
127.0.0.1 and is ended by the ids that were started here."""

import atexit
import os
import pathlib
import re
import resource
import socket
import subprocess
import sys
import tempfile
import time

AUDIENCE = "4f" * 32
children = []
log = tempfile.NamedTemporaryFile(prefix="faults-", suffix=".log")


def fail(text):
    print(f"error: {text}", file=sys.stderr)
    sys.exit(1)


def stop_all():
    for child in reversed(children):
        stop(child)


atexit.register(stop_all)


def many_descriptors():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = 65536 if limit == resource.RLIM_INFINITY else min(limit, 65536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, limit))
    return wanted


def start(*arguments):
    child = subprocess.Popen(
        [str(a) for a in arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        env={k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_") and k != "CF_TEAMS_DOMAIN"})
    children.append(child)
    return child


def stop(child):
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    return child.returncode


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def head(target, *lines, method="GET", version="HTTP/1.1"):
    return "\r\n".join([f"{method} {target} {version}", "Host: a", *lines, "", ""]).encode()


def ask(port, target, *lines, method="GET"):
    """Status and body."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(head(target, *lines, method=method, version="HTTP/1.0"))
        told = b""
        while data := client.recv(65536):
            told += data
    top, _, body = told.partition(b"\r\n\r\n")
    return int(top.split(b" ")[1]), body.decode()


def await_status(child, port, target, status):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and child.poll() is None:
        try:
            if ask(port, target)[0] == status:
                return
        except OSError:
            pass
        time.sleep(0.05)
    log.flush()
    fail(f"no {status} from port {port}:\n{pathlib.Path(log.name).read_text()[-4000:]}")


def bearing(token):
    return f"Cf-Access-Jwt-Assertion: {token}"


class Issuer:
    def __init__(self, binary):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        await_status(
            start(binary, "issuer", "--listen", f"127.0.0.1:{self.port}"), self.port, "/cdn-cgi/access/certs", 200)

    def mint(self, who, audience=AUDIENCE):
        status, token = ask(self.port, f"/token?aud={audience}&email={who}@example.com")
        if status != 200:
            fail(f"the issuer answered {status}")
        return token.strip()

    def rotate(self):
        return ask(self.port, "/rotate", method="POST")[0]


class Gateway:
    def __init__(self, binary, issuer, *flags, descriptors=None):
        self.port, self.admin = free_port(), free_port()
        limit = ["bash", "-c", f'ulimit -n {descriptors}; exec "$0" "$@"'] if descriptors else []
        self.child = start(
            *limit, binary, "serve", "--issuer", issuer.url, "--listen", f"127.0.0.1:{self.port}", "--admin",
            f"127.0.0.1:{self.admin}", "--log-level", "error", *flags)
        await_status(self.child, self.admin, "/readyz", 200)

    def status(self, name):
        return int(re.search(rf"{name}:\s+(\d+)", pathlib.Path(f"/proc/{self.child.pid}/status").read_text())[1])

    @property
    def resident(self):
        """KiB."""
        return self.status("VmRSS")

    @property
    def descriptors(self):
        return len(os.listdir(f"/proc/{self.child.pid}/fd"))

    @property
    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def metrics(self):
        return ask(self.admin, "/metrics")[1]

    def metric(self, name):
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in self.metrics().splitlines()
            if line.startswith(name) and line[len(name)] in " {")
