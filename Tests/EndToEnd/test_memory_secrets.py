"""Whole tokens are in memory: the system may write them nowhere."""

import os
import re
import shutil

import pytest

from minting import AUD
from running import SANITIZED
from wire import ask, asserted

AUTH = f"/auth/{AUD}"
SOMEBODY = 65534


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv")
@pytest.mark.parametrize("switch, owner", [(None, 0), ("off", 0), ("on", SOMEBODY)])
def test_no_core_is_dumped_unless_a_setting_says_so(launch, team, switch, owner):
    """Of a process that may not be dumped, the kernel gives /proc/PID/environ to root (proc(5))."""
    somebody = ("setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups")
    gateway = launch.gateway(team.issuer, prefix=somebody, core_dumps=switch)
    assert ask(gateway.port, AUTH, asserted(team.mint())).status == 200
    assert os.stat(f"/proc/{gateway.pid}/environ").st_uid == owner


@pytest.mark.skipif(SANITIZED, reason="a sanitizer leaves its own memory out of dumps too")
def test_the_memory_of_tokens_is_left_out_of_dumps(launch, team):
    gateway = launch.gateway(team.issuer, event_loops="2", token_cache_bytes="64MiB")
    assert ask(gateway.port, AUTH, asserted(team.mint())).status == 200
    with open(f"/proc/{gateway.pid}/smaps") as file:
        text = file.read()
    sizes = [
        int(size) // 1024 for size, flags in re.findall(r"Size: +(\d+) kB\n(?:.+\n)*?VmFlags: (.*)\n", text)
        if "dd" in flags.split()]
    # The index has a share of the 64 MiB; the two runs of address space may lie side by side and be told as one.
    assert 56 <= sum(sizes) <= 64, sizes
