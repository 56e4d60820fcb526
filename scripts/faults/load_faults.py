"""Crowds that are slow, idle, rude or many, each with a good client beside it: started by scripts/load-faults."""

import argparse
import multiprocessing
import os
import random
import selectors
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import time

import forgeries
from house import Gateway, Issuer, bearing, head
from programs import AUDIENCE, fail, many_descriptors

AUTH = f"/auth/{AUDIENCE}"
PACE = 0.004  # seconds between the good client's requests
KIB_A_CONNECTION = 3.0
IDLE_MIB = 6  # of its own (RssAnon), nobody has asked yet
problems = []


def connect(port):
    client = socket.create_connection(("127.0.0.1", port), timeout=20)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


# The good client: a process of its own


def good_client(port, token, seconds, told):
    """Asks at an even pace, mostly on a connection that it keeps, now and then on a new one. A connection that ended
    while nothing was asked on it is opened anew: at the bound an idle one makes room."""
    request, client, times, wrong = head(AUTH, bearing(token)), None, [], []
    try:
        os.nice(-10)
    except PermissionError:
        pass
    until = time.monotonic() + seconds
    count = 0
    while (began := time.monotonic()) < until:
        count += 1
        if client is None or count % 20 == 0:
            if client:
                client.close()
            client = connect(port)
            began = time.monotonic()
        try:
            client.sendall(request)
            reply = client.recv(65536)
        except OSError as error:
            reply = b""
            if count % 20 == 0:
                wrong.append(str(error))
        times.append(time.monotonic() - began)
        if not reply and count % 20:
            client, reply = None, None
        elif not reply.startswith(b"HTTP/1.1 200 "):
            wrong.append(reply[:60].decode("latin-1"))
            client = None
        time.sleep(max(0, began + PACE - time.monotonic()))
    told.put((times, wrong))


def measure(gateway, token, seconds):
    """Milliseconds at the 50th and 99th percentile, and the number of requests."""
    told = multiprocessing.Queue()
    process = multiprocessing.Process(target=good_client, args=(gateway.port, token, seconds, told))
    process.start()
    times, wrong = told.get(timeout=seconds + 60)
    process.join()
    if wrong:
        problems.append(f"the good client was answered wrong {len(wrong)} times, as by {wrong[0]!r}")
    cuts = statistics.quantiles(times, n=100)
    return cuts[49] * 1000, cuts[98] * 1000, len(times)


# The crowds, each a process that runs until it is killed


def slow_heads(port, count, ready):
    """A byte a second each, over and over; who is closed comes again."""
    text = head(AUTH, "X-Slow: " + "y" * 200)
    clients = {}

    def arrive(number):
        clients[number] = [connect(port), 0]

    for number in range(count):
        arrive(number)
    ready.set()
    while True:
        began = time.monotonic()
        for number, state in list(clients.items()):
            try:
                state[0].send(text[state[1]:state[1] + 1], socket.MSG_DONTWAIT)
                state[1] = (state[1] + 1) % len(text)
            except OSError:
                state[0].close()
                try:
                    arrive(number)
                except OSError:
                    pass
            if number % 50 == 0:
                time.sleep(0.0005)
        time.sleep(max(0, began + 1 - time.monotonic()))


def idle(port, count, ready):
    """Each asks once, and then stays."""
    clients = []
    for _ in range(count):
        client = connect(port)
        client.sendall(head(AUTH))
        client.recv(65536)
        clients.append(client)
    ready.set()
    time.sleep(3600)


def churn(port, rate, ready):
    """Opened and dropped, every other one with RST."""
    ready.set()
    due = time.monotonic()
    number = 0
    while True:
        client = socket.socket()
        try:
            client.connect(("127.0.0.1", port))
            if number % 2:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        client.close()
        number += 1
        due += 1 / rate
        time.sleep(max(0, due - time.monotonic()))


def never_reading(port, count, ready):
    """They ask and ask, and read nothing."""
    data = head("/elsewhere") * 300
    clients = [connect(port) for _ in range(count)]
    ready.set()
    while True:
        for place, client in enumerate(clients):
            try:
                client.send(data, socket.MSG_DONTWAIT)
            except BlockingIOError:
                pass
            except OSError:
                client.close()
                clients[place] = connect(port)
        time.sleep(0.01)


def distinct(port, count, ready):
    """Each request names an audience and hosts that nobody has named before."""
    ready.set()
    client = connect(port)
    for start in range(0, count, 50):
        requests = [
            head(f"/auth/aud-{n}", f"X-Forwarded-Host: h{n}.example", f"X-Forwarded-Uri: /{n}")
            for n in range(start, start + 50)]
        client.sendall(b"".join(requests))
        told = b""
        while told.count(b"HTTP/1.1 401") < 50:
            told += client.recv(65536)


def polite(function, *arguments):
    try:
        os.nice(10)
    except PermissionError:
        pass
    random.seed(1)
    try:
        function(*arguments)
    except KeyboardInterrupt:
        pass


class Crowd:
    def __init__(self, function, port, size):
        ready = multiprocessing.Event()
        self.process = multiprocessing.Process(target=polite, args=(function, port, size, ready), daemon=True)
        self.process.start()
        if not ready.wait(120):
            fail(f"{function.__name__} did not get ready")

    def leave(self):
        self.process.terminate()
        self.process.join()


class Rows:
    """What is printed and judged: each figure beside the one of a quiet server."""

    def __init__(self, measure_quiet, strict):
        self.measure_quiet, self.strict = measure_quiet, strict
        self.quiet = measure_quiet()
        self.report("quiet", self.quiet)

    def report(self, name, figures, more=""):
        """How many times the quiet 99th percentile this one is."""
        median, p99, count = figures
        ratio = p99 / self.quiet[1]
        print(f"{name:44} {count:6} asked  p50 {median:6.2f} ms  p99 {p99:6.2f} ms  {ratio:5.1f} x quiet  {more}",
              flush=True)
        return ratio

    def hold(self, name, run):
        """Measures beside a crowd. What is too slow is measured once more, beside a quiet figure of the same minute:
        the machine's other programs have bad seconds too."""
        if self.report(name, *run()) <= 2 or not self.strict:
            return
        self.quiet = self.measure_quiet()
        self.report("quiet, again", self.quiet)
        ratio = self.report(f"{name}, again", *run())
        if ratio > 2:
            problems.append(f"{name}: p99 is {ratio:.1f} times the quiet one")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only-forgeries", action="store_true")
    options = parser.parse_args()
    small = options.small
    seconds = 1.5 if small else 8
    granted = many_descriptors()
    size = (lambda n: max(1, n // 20)) if small else (lambda n: min(n, granted - 500))

    issuer = Issuer(options.binary)
    forgeries.rows(
        Gateway(options.binary, issuer), issuer, [size(50), size(500), size(3_000)], 2 if small else 10, problems)
    if options.only_forgeries:
        conclude()
    token = issuer.mint("good")
    gateway = Gateway(options.binary, issuer)
    idle_mib = gateway.resident / 1024
    print(f"idle: {idle_mib:.1f} MiB")
    if idle_mib > IDLE_MIB:
        problems.append(f"{idle_mib:.1f} MiB before anybody came")
    measure(gateway, token, 0.5)
    rows = Rows(lambda: measure(gateway, token, seconds), strict=not small)

    def beside(function, count):
        before, cpu = gateway.resident, gateway.cpu
        crowd = Crowd(function, gateway.port, count)
        figures = measure(gateway, token, seconds)
        more = f"cpu {(gateway.cpu - cpu):.1f} s"
        grown = gateway.resident - before
        if function is idle:
            each = grown / count
            more += f", {each:.2f} KiB a connection"
            if each > KIB_A_CONNECTION and not small:
                problems.append(f"{each:.2f} KiB a connection")
        else:
            more += f", {grown / 1024:+.1f} MiB"
        crowd.leave()
        return figures, more

    for name, function, count in [
        # First, so that no memory is there yet that somebody else has left.
        ("idle connections", idle, size(10_000)),
        ("slow heads, a byte a second", slow_heads, size(5_000)),
        ("opened and dropped, a second", churn, size(2_000)),
        ("clients that never read", never_reading, size(400)),
    ]:
        rows.hold(f"{count} {name}", lambda: beside(function, count))

    def under_attack(flag):
        attack = subprocess.Popen(
            ["slowhttptest", flag, "-c", str(size(1000)), "-r", str(size(1000)), "-i", "1", "-l",
             str(int(seconds) + 3), "-u", f"http://127.0.0.1:{gateway.port}{AUTH}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1)
        figures = measure(gateway, token, seconds)
        attack.terminate()
        attack.wait()
        return figures, ""

    if shutil.which("slowhttptest"):
        for name, flag in [("slow heads", "-H"), ("slow bodies", "-B"), ("slow readers", "-X")]:
            rows.hold(f"slowhttptest {flag}, {name}, {size(1000)}", lambda: under_attack(flag))
    else:
        print("no slowhttptest here (Debian has it): left out")

    lines = len(gateway.metrics().splitlines())
    names = 5_000 if small else 100_000

    def naming():
        crowd = Crowd(distinct, gateway.port, names)
        figures = measure(gateway, token, seconds)
        crowd.process.join(120)
        return figures, ""

    rows.hold(f"{names} audiences and hosts", naming)
    if len(gateway.metrics().splitlines()) != lines:
        problems.append("the metrics have grown with what requests name")
    deadline = time.monotonic() + 30
    while gateway.metric("access_gateway_connections_open") > 0 and time.monotonic() < deadline:
        time.sleep(0.2)
    if left := gateway.metric("access_gateway_connections_open"):
        problems.append(f"{left:.0f} connections are left")

    few = Gateway(options.binary, issuer, descriptors=64)
    crowd = Crowd(never_leaving, few.port, 200)
    rows.report("ulimit -n 64, 200 silent connections", measure(few, token, seconds))
    crowd.leave()
    conclude()


def conclude():
    for problem in problems:
        print(f"problem: {problem}", file=sys.stderr)
    print("load faults: " + (f"{len(problems)} problems" if problems else "every good request was answered right"))
    sys.exit(bool(problems))


def never_leaving(port, count, ready):
    """Silent from the start, and back again when closed."""
    clients = selectors.DefaultSelector()

    def arrive():
        client = socket.create_connection(("127.0.0.1", port), timeout=20)
        clients.register(client, selectors.EVENT_READ)

    for _ in range(count):
        arrive()
    ready.set()
    while True:
        for key, _ in clients.select():
            clients.unregister(key.fileobj)
            key.fileobj.close()
            time.sleep(0.02)
            arrive()


if __name__ == "__main__":
    main()
