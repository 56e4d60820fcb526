"""Milliseconds from exec to the first 200 of a gateway that has a good state file and no network. Run by cold-start."""

import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Tests" / "EndToEnd"))

from minting import AUD, Team  # noqa: E402
from running import BINARY, clean_environment, free_port  # noqa: E402
from test_keys_state import source, write_state  # noqa: E402
from wire import asserted, head  # noqa: E402

ROUNDS = 20
BOUND = 50.0


def first_answer(port, question, began):
    """Asks until somebody listens. Milliseconds since `began`, and the answer's first line."""
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(question)
                answer = connection.recv(4096)
            return (time.perf_counter() - began) * 1000, answer.split(b"\r\n")[0].decode()
        except ConnectionRefusedError:
            assert time.perf_counter() - began < 10


def main():
    team = Team()
    took = []
    with tempfile.TemporaryDirectory() as folder:
        issuer = f"http://127.0.0.1:{free_port()}"
        write_state(pathlib.Path(folder), issuer, source(issuer), {"keys": [team.key.jwk]})
        question = head(f"/auth/{AUD}", asserted(team.mint(iss=issuer)))
        for _ in range(ROUNDS):
            port = free_port()
            command = [
                str(BINARY), "serve", "--issuer", issuer, "--listen", f"127.0.0.1:{port}", "--admin", "off",
                "--state-dir", folder]
            began = time.perf_counter()
            child = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=clean_environment())
            milliseconds, line = first_answer(port, question, began)
            child.terminate()
            child.wait()
            assert line.startswith("HTTP/1.1 200"), line
            took.append(milliseconds)
    team.close()
    took.sort()
    print(f"exec to first 200, {ROUNDS} starts: median {statistics.median(took):.1f} ms, worst {took[-1]:.1f} ms")
    return 0 if statistics.median(took) <= BOUND else 1


sys.exit(main())
