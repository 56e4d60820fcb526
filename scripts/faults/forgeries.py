"""A crowd that sends tokens with forged signatures under a known `kid`, `iss` and audience, all of which are public, and a
good client beside it that brings a new token 20 times a second: the measurement behind scripts/load-faults' rows on
forgeries."""

import base64
import multiprocessing
import os
import random
import select
import socket
import statistics
import time

from house import bearing, head
from programs import AUDIENCE, fail

AUTH = f"/auth/{AUDIENCE}"
RATE = 20  # new tokens a second of the good client


def forged(token):
    """The same token under a signature of the right length that nobody has made."""
    signing_input, signature = token.rsplit(".", 1)
    count = len(base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)))
    # Below any modulus, so that it is refused for what it is and not for its size.
    made_up = b"\0" + random.randbytes(count - 1)
    return f"{signing_input}.{base64.urlsafe_b64encode(made_up).rstrip(b'=').decode()}"


def forgers(port, token, count, ready, answers):
    """Each connection sends the next forgery as soon as the last one is answered."""
    requests = [head(AUTH, bearing(forged(token))) for _ in range(4096)]
    poll, clients = select.epoll(), {}
    for number in range(count):
        client = socket.create_connection(("127.0.0.1", port), timeout=20)
        client.setblocking(False)
        clients[client.fileno()] = client
        poll.register(client, select.EPOLLIN)
        if number % 100 == 99:
            time.sleep(0.002)
    ready.set()
    sent = 0

    def ask(client):
        nonlocal sent
        client.send(requests[sent % len(requests)])
        sent += 1

    for client in clients.values():
        ask(client)
    while True:
        for descriptor, _ in poll.poll():
            client = clients[descriptor]
            reply = client.recv(65536)
            if not reply:
                fail("a forging connection was closed")
            status = reply[9:12].decode("latin-1")
            if status not in ("401", "503"):
                fail(f"a forgery was answered with {status}")
            with answers.get_lock():
                answers[0 if status == "401" else 1] += 1
            ask(client)


def good_client(port, tokens, told, fresh_connections):
    """Milliseconds and statuses of each new token, at an even pace, by the clock of when it was due to be asked."""
    try:
        os.nice(-10)
    except PermissionError:
        pass
    times, statuses, client = [], {}, None
    due = time.monotonic()
    for token in tokens:
        time.sleep(max(0, due - time.monotonic()))
        began = time.monotonic()
        if client is None or fresh_connections:
            if client:
                client.close()
            client = socket.create_connection(("127.0.0.1", port), timeout=20)
        client.sendall(head(AUTH, bearing(token)))
        status = client.recv(65536)[9:12].decode("latin-1")
        times.append((time.monotonic() - began) * 1000)
        statuses[status] = statuses.get(status, 0) + 1
        due += 1 / RATE
    told.put((times, statuses))


def polite(function, *arguments):
    try:
        os.nice(10)
    except PermissionError:
        pass
    function(*arguments)


def measure(gateway, issuer, count, seconds, fresh_connections=False):
    """The good client beside `count` forging connections (0: alone): its times in milliseconds, its answers by status, and
    what the crowd was answered a second, [401, 503]."""
    tokens = [issuer.mint(f"new-{count}-{number}-{time.monotonic_ns()}") for number in range(int(seconds * RATE))]
    crowd, answers = None, multiprocessing.Array("L", 2)
    if count:
        ready = multiprocessing.Event()
        crowd = multiprocessing.Process(
            target=polite, args=(forgers, gateway.port, issuer.mint("forger"), count, ready, answers), daemon=True)
        crowd.start()
        if not ready.wait(120):
            fail("the forgers did not get ready")
        time.sleep(0.5)
    before, began = list(answers), time.monotonic()
    told = multiprocessing.Queue()
    good = multiprocessing.Process(target=good_client, args=(gateway.port, tokens, told, fresh_connections))
    good.start()
    times, statuses = told.get(timeout=seconds + 120)
    good.join()
    took = time.monotonic() - began
    rates = [round((now - then) / took) for now, then in zip(answers, before)]
    if crowd:
        if not crowd.is_alive():
            fail("the forgers ended early")
        crowd.terminate()
        crowd.join()
    return times, statuses, rates


def rows(gateway, issuer, sizes, seconds, problems):
    """Prints a row a size, and adds to `problems` where the good client's new token was not let in."""
    for fresh_connections in (False, True):
        for count in [0, *sizes]:
            times, statuses, rates = measure(gateway, issuer, count, seconds, fresh_connections)
            cuts = statistics.quantiles(times, n=100)
            what = "a connection each" if fresh_connections else "one connection"
            name = f"{count} forging connections, new tokens, {what}"
            print(f"{name:58} {len(times):4} asked  p50 {cuts[49]:6.2f} ms  p99 {cuts[98]:6.2f} ms  "
                  f"good {statuses}  forged {rates[0]}/s 401, {rates[1]}/s 503", flush=True)
            refused = sum(number for status, number in statuses.items() if status != "200")
            if refused:
                problems.append(f"{name}: {refused} good new tokens were not let in: {statuses}")
