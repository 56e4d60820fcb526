"""What tests, benches and fault rounds share about the programs that they start: free ports, a clean environment, an end by
the id that was started. Standard library only; importing it does nothing."""

import os
import signal
import socket
import subprocess

_given = set()


def free_port():
    """A TCP port of 127.0.0.1 that nothing listens on, and that was not given out before in this process."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port


def clean_environment(extra=None):
    """The environment without settings of the gateway that the person at the keyboard may have; a crash of a Swift program
    ends it at once."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_") and k != "CF_TEAMS_DOMAIN"}
    return {**kept, "SWIFT_BACKTRACE": "enable=no", **(extra or {})}


def stop(child, number=signal.SIGTERM, patience=30):
    """Ends a subprocess.Popen by a signal, by SIGKILL after `patience` seconds; its exit code."""
    if child.poll() is None:
        child.send_signal(number)
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    return child.returncode
