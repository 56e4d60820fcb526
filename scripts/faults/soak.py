"""Mixed load with faults and key rotations, for as long as is asked: started by scripts/soak. Every verdict is checked;
memory and descriptors may not grow behind the warm-up."""

import argparse
import asyncio
import collections
import random
import re
import shutil
import struct
import socket
import subprocess
import sys
import time

from house import Gateway, Issuer, bearing, head
from programs import AUDIENCE, fail, many_descriptors

AUTH = f"/auth/{AUDIENCE}"
ROTATION = 8  # seconds
FETCHED = 3  # seconds until a rotation has reached the gateway, with keys_refresh at 1 s
problems = []
counts = collections.Counter()


def wrong(text):
    problems.append(text)
    if len(problems) > 20:
        finish_badly()


def finish_badly():
    for problem in problems[:20]:
        print(f"problem: {problem}", file=sys.stderr)
    sys.exit(1)


class Tokens:
    """What may be asked with, and what must come of it. The issuer publishes the current key and the one before it."""

    def __init__(self, issuer):
        self.issuer = issuer
        self.number = 0
        self.good = self.mint()
        self.ageing, self.dead = [], []

    def mint(self):
        self.number += 1
        return [self.issuer.mint(f"user{self.number}-{i}") for i in range(40)]

    async def rotate_forever(self):
        while True:
            await asyncio.sleep(ROTATION)
            # Those of the key that will leave are asked with no more, and once the gateway knows, they are dead.
            leaving, self.ageing = self.ageing, self.good
            await asyncio.sleep(0.5)
            await asyncio.to_thread(self.issuer.rotate)
            fresh = await asyncio.to_thread(self.mint)
            await asyncio.sleep(FETCHED)
            self.good = fresh
            self.dead = leaving
            counts["rotations"] += 1

    def pick(self):
        """A token and its status."""
        dice = random.random()
        if dice < 0.5:
            return random.choice(self.good), 200
        if dice < 0.75 and self.ageing:
            return random.choice(self.ageing), 200
        if dice < 0.8 and self.dead:
            return random.choice(self.dead), 401
        token = random.choice(self.good)
        if dice < 0.9:
            place = random.randrange(len(token) - 2)
            byte = "A" if token[place] != "A" else "B"
            return token[:place] + byte + token[place + 1:], 401
        return "", 401


class Client:
    def __init__(self, port):
        self.port, self.reader, self.writer = port, None, None

    async def open(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)

    def close(self, reset=False):
        if self.writer:
            if reset:
                self.writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.writer.transport.abort()
            self.writer = None

    async def send(self, data):
        if self.writer is None:
            await self.open()
        self.writer.write(data)

    async def reply(self):
        top = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 20)).decode()
        length = int(re.search(r"Content-Length: (\d+)", top)[1])
        await self.reader.readexactly(length)
        return int(top.split(" ")[1]), top


async def asking(port, tokens):
    """Good and bad tokens in turn on one connection, some pipelined."""
    client = Client(port)
    while True:
        batch = [tokens.pick() for _ in range(random.choice([1, 1, 1, 1, 5]))]
        try:
            await client.send(b"".join(head(AUTH, *([bearing(t)] if t else [])) for t, _ in batch))
            for token, status in batch:
                told, top = await client.reply()
                counts[told] += 1
                if told != status:
                    wrong(f"{told} instead of {status}")
                # A token says whose it is: the right verdict must be about the right person.
                if told == 200 and "X-Auth-User: user" not in top:
                    wrong(f"nobody is named: {top!r}")
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError) as error:
            wrong(f"a good connection broke: {error!r}")
            client.close()
        if random.random() < 0.02:
            client.close()
        await asyncio.sleep(random.random() * 0.004)


async def faulty(port, tokens):
    """Clients that do what they must not, or leave when they should not."""
    while True:
        client = Client(port)
        try:
            await client.open()
            whole = head(AUTH, bearing(random.choice(tokens.good)))
            kind = random.randrange(7)
            if kind == 0:
                await client.send(random.randbytes(random.randrange(1, 2000)))
            elif kind == 1:
                await client.send(whole[:random.randrange(len(whole))])
            elif kind == 2:
                await client.send(whole * random.randrange(1, 60))
            elif kind == 3:
                await client.send(whole + b"GET / HTTP/1.1\r\nContent-Length : 5\r\n\r\n" + whole)
            elif kind == 4:
                for byte in whole[:random.randrange(60)]:
                    await client.send(bytes([byte]))
                    await asyncio.sleep(0.01)
            elif kind == 5:
                await client.send(head(AUTH, "Content-Length: 100000", method="POST") + b"x" * random.randrange(100_000))
            else:
                await client.send(whole)
                client.writer.write_eof()
                if (await client.reply())[0] not in (200,):
                    wrong("a half-closed client was answered wrong")
            if random.random() < 0.5:
                await asyncio.sleep(random.random() * 0.1)
        except (OSError, asyncio.IncompleteReadError):
            pass
        counts["faults"] += 1
        client.close(reset=random.random() < 0.5)
        await asyncio.sleep(0.01)


async def idling(port):
    """Some who come, ask once, and stay for a while."""
    while True:
        client = Client(port)
        await client.send(head(AUTH))
        await client.reply()
        await asyncio.sleep(random.random() * 8)
        client.close()


def stress(port, seconds):
    """Volume without a token, by wrk: all of it must be denied."""
    if not shutil.which("wrk"):
        return None
    return subprocess.Popen(
        ["wrk", "-t1", "-c20", f"-d{seconds}s", "--timeout", "20s", f"http://127.0.0.1:{port}{AUTH}"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


async def run(gateway, issuer, seconds, warm_up):
    tokens = Tokens(issuer)
    tasks = [asyncio.create_task(tokens.rotate_forever())]
    tasks += [asyncio.create_task(asking(gateway.port, tokens)) for _ in range(20)]
    tasks += [asyncio.create_task(faulty(gateway.port, tokens)) for _ in range(10)]
    tasks += [asyncio.create_task(idling(gateway.port)) for _ in range(50)]
    volume = stress(gateway.port, seconds)
    began = time.monotonic()
    samples = []
    shown = 0
    while (now := time.monotonic() - began) < seconds:
        await asyncio.sleep(1)
        samples.append((now, gateway.resident, gateway.descriptors))
        if now - shown >= max(5, seconds / 20):
            shown = now
            print(f"{now:5.0f} s  {gateway.resident / 1024:6.1f} MiB  {gateway.descriptors:4} descriptors  "
                  f"{counts[200]} allowed, {counts[401]} denied, {counts['faults']} faults, "
                  f"{counts['rotations']} rotations", flush=True)
        for task in tasks:
            if task.done():
                wrong(f"a client gave up: {task.exception()!r}")
                finish_badly()
    while waiting := [task for task in tasks if not task.done()]:
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting, timeout=1)  # a cancellation may be lost in wait_for (Python before 3.12)
    if volume:
        out = volume.communicate(timeout=60)[0]
        requests = int(re.search(r"(\d+) requests in", out)[1])
        denied = int((re.search(r"Non-2xx or 3xx responses: (\d+)", out) or [0, 0])[1])
        counts["volume"] = requests
        if requests != denied or "Socket errors" in out:
            wrong(f"without a token, {requests - denied} of {requests} were not denied:\n{out}")
    return [sample for sample in samples if sample[0] >= warm_up]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--seconds", type=int, default=600)
    options = parser.parse_args()
    if not 15 <= options.seconds <= 86_400:
        fail("--seconds is 15 to 86400")
    many_descriptors()
    warm_up = min(60, options.seconds / 2)
    issuer = Issuer(options.binary)
    gateway = Gateway(
        # A small cache, which is full within the warm-up: what grows behind that is no cache.
        options.binary, issuer, "--keys-refresh", "1s", "--header-timeout", "1s", "--token-cache-bytes", "128KiB")
    quiet = gateway.descriptors
    samples = asyncio.run(run(gateway, issuer, options.seconds, warm_up))

    half = len(samples) // 2
    early, late = samples[:half], samples[half:]
    memory = [max(s[1] for s in part) / 1024 for part in (early, late)]
    descriptors = [max(s[2] for s in part) for part in (early, late)]
    print(f"behind {warm_up:.0f} s: at most {memory[0]:.1f} MiB and {descriptors[0]} descriptors in the first half, "
          f"{memory[1]:.1f} MiB and {descriptors[1]} in the second")
    if memory[1] > memory[0] * 1.05 + 1:
        wrong("memory grows")
    if descriptors[1] > descriptors[0] * 1.2 + 20:
        wrong("descriptors grow")
    deadline = time.monotonic() + 20
    while gateway.metric("access_gateway_connections_open") and time.monotonic() < deadline:
        time.sleep(0.2)
    print(f"when all have left: {gateway.metric('access_gateway_connections_open'):.0f} connections, "
          f"{gateway.descriptors} descriptors ({quiet} before anybody came), {gateway.resident / 1024:.1f} MiB")
    if gateway.metric("access_gateway_connections_open") or gateway.descriptors > quiet + 4:
        wrong("connections or descriptors are left")
    print(f"{counts[200]} allowed, {counts[401]} denied, {counts['volume']} denied in volume, {counts['faults']} faults, "
          f"{counts['rotations']} rotations, {gateway.cpu:.1f} s of CPU time")
    if not counts[200] or not counts[401] or not counts["rotations"]:
        wrong("nothing was tried")
    if problems:
        finish_badly()
    print(f"soak of {options.seconds} s: no wrong verdict")


if __name__ == "__main__":
    main()
