"""The state folder: a start needs no network, a file that cannot be trusted is worth nothing, a folder that cannot be
written is nobody's trouble, and whatever ends the process leaves the file whole."""

import hashlib
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import time

import pytest

from minting import AUD, Key
from running import SANITIZED, eventually, free_port, reload, run
from wire import ask, asserted, get, sample

AUTH = f"/auth/{AUD}"
FIRST, SECOND = Key(), Key()
KILLS = int(os.environ.get("STRESS_KILLS", "10"))


def status(gateway, token):
    return ask(gateway.port, AUTH, asserted(token)).status


def faults(gateway):
    return sample(get(gateway.admin_port, "/metrics")[1].decode(), "access_gateway_key_state_faults_total")


def state_name(issuer):
    return "keys-" + hashlib.sha256(issuer.encode()).hexdigest()[:32]


def state_bytes(issuer, source, keys, fetched=None, version="1", digest=None):
    """A state file as the program's own description of the format has it, made without the program."""
    body = json.dumps(keys).encode()
    fetched = int(time.time()) if fetched is None else fetched
    top = f"access-gateway keys {version}\nissuer {issuer}\nfrom {source}\nfetched {fetched}\nlength {len(body)}\n".encode()
    digest = digest or hashlib.sha256(top + body).hexdigest()
    return top + f"sha256 {digest}\n\n".encode() + body


def write_state(folder, issuer, source, keys, **changes):
    path = folder / state_name(issuer)
    path.write_bytes(state_bytes(issuer, source, keys, **changes))
    path.chmod(0o600)
    return path


def read_state(path):
    """The parts of a state file that must be whole."""
    raw = path.read_bytes()
    top, _, rest = raw.partition(b"sha256 ")
    digest, _, body = rest.partition(b"\n\n")
    assert hashlib.sha256(top + body).hexdigest() == digest.decode(), "the sum does not match"
    lines = dict(line.split(" ", 1) for line in top.decode().splitlines() if not line.startswith("seen "))
    assert int(lines["length"]) == len(body)
    return lines, json.loads(body)


@pytest.fixture
def away():
    """An issuer that nobody answers for."""
    return f"http://127.0.0.1:{free_port()}"


def source(issuer):
    return issuer + "/cdn-cgi/access/certs"


def test_the_last_good_set_outlives_a_restart_without_the_issuer(launch, tmp_path):
    team = launch.team(keys=[FIRST])
    folder = tmp_path / "state"
    gateway = launch.gateway(team.issuer, state_dir=folder)
    token = team.mint()
    path = folder / state_name(team.issuer)
    eventually(path.exists, "the state is written")
    gateway.end()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(folder.stat().st_mode) == 0o700
    lines, keys = read_state(path)
    assert lines["issuer"] == team.issuer and lines["from"] == source(team.issuer)
    assert abs(int(lines["fetched"]) - time.time()) < 60
    assert [key["kid"] for key in keys["keys"]] == [team.key.kid]
    team.close()
    again = launch.gateway(team.issuer, state_dir=folder)
    assert status(again, token) == 200
    readiness = json.loads(get(again.admin_port, "/readyz")[1])
    assert readiness["issuers"][0]["restored"] is True
    listed = run("keys", "--state-dir", folder)
    assert listed.returncode == 0 and team.key.kid in listed.stdout and team.issuer in listed.stdout
    assert any(line.split()[3:4] != ["-"] for line in listed.stdout.splitlines() if team.key.kid in line)


def test_the_first_request_after_a_start_is_answered_by_the_state(launch, tmp_path, away):
    team = launch.team(keys=[FIRST])
    write_state(tmp_path, away, source(away), {"keys": [team.key.jwk]})
    token = team.mint(iss=away)
    for _ in range(5):
        gateway = launch.gateway(away, ready=False, wait=False, state_dir=tmp_path)

        def first():
            try:
                return status(gateway, token)
            except OSError:
                return None

        assert eventually(first, "the first answer") == 200, "no request is refused for want of keys"
        gateway.end()


def spoil(name, folder, issuer, keys, path):
    """Makes the good file bad; returns further settings."""
    url = source(issuer)
    now = int(time.time())
    other = folder / "other"
    match name:
        case "empty": path.write_bytes(b"")
        case "cut": path.write_bytes(path.read_bytes()[:-1])
        case "longer": path.write_bytes(path.read_bytes() + b" ")
        case "garbage": path.write_bytes(os.urandom(2000))
        case "huge": path.write_bytes(path.read_bytes() + b" " * 400_000)
        case "another sum": write_state(folder, issuer, url, keys, digest="0" * 64)
        case "another version": write_state(folder, issuer, url, keys, version="2")
        case "another issuer": path.write_bytes(state_bytes("https://evil.test", url, keys))
        case "another keys_url": write_state(folder, issuer, "https://evil.test/k", keys)
        case "from the future": write_state(folder, issuer, url, keys, fetched=now + 3600)
        case "too old": write_state(folder, issuer, url, keys, fetched=now - 7 * 86_400)
        case "no usable key": write_state(folder, issuer, url, {"keys": [{"kty": "oct", "kid": "a", "k": "YQ"}]})
        case "writable by others": path.chmod(0o602)
        case "writable by the group": path.chmod(0o620)
        case "a link":
            path.rename(other)
            path.symlink_to(other)
        case "a FIFO":
            path.unlink()
            os.mkfifo(path, 0o600)
        case "a folder":
            path.unlink()
            path.mkdir()
        case "another user's":
            if os.geteuid() != 0:
                pytest.skip("only root can give a file away")
            os.chown(path, 12345, 12345)


BAD = [
    "empty", "cut", "longer", "garbage", "huge", "another sum", "another version", "another issuer",
    "another keys_url", "from the future", "too old", "no usable key", "writable by others", "writable by the group",
    "a link", "a FIFO", "a folder", "another user's"]


def test_a_bad_file_is_ignored_with_one_warning_and_replaced_by_the_next_set(launch, tmp_path):
    running = []
    for name in BAD:
        port = free_port()
        issuer = f"http://127.0.0.1:{port}"
        team = launch.team(keys=[FIRST])
        folder = tmp_path / name.replace(" ", "-").replace("'", "")
        folder.mkdir()
        path = write_state(folder, issuer, source(issuer), {"keys": [team.key.jwk]})
        spoil(name, folder, issuer, {"keys": [team.key.jwk]}, path)
        gateway = launch.gateway(issuer, ready=False, state_dir=folder, event_loops="1", verify_workers="1")
        assert status(gateway, team.mint(iss=issuer)) == 503, name
        code, body = get(gateway.admin_port, "/readyz")
        assert code == 503 and issuer in body.decode(), name
        warnings = [line for line in gateway.log().splitlines() if "state_file_ignored" in line]
        assert len(warnings) == 1, (name, gateway.log())
        assert faults(gateway) == 1
        gateway.end()
        running.append(name)
    assert running == BAD


def test_a_bad_file_is_replaced_by_the_next_good_set(launch, tmp_path):
    team = launch.team(keys=[FIRST])
    path = write_state(tmp_path, team.issuer, source(team.issuer), {"keys": []}, digest="0" * 64)
    gateway = launch.gateway(team.issuer, state_dir=tmp_path)
    assert status(gateway, team.mint()) == 200
    gateway.end()
    assert read_state(path)[1]["keys"][0]["kid"] == team.key.kid


def test_the_age_of_a_restored_set_counts_from_when_it_was_fetched(launch, tmp_path, away):
    team = launch.team(keys=[FIRST])
    write_state(tmp_path, away, source(away), {"keys": [team.key.jwk]}, fetched=int(time.time()) - 3600 + 4)
    gateway = launch.gateway(away, state_dir=tmp_path, keys_max_age="1h", keys_refresh="1h")
    assert status(gateway, team.mint(iss=away)) == 200
    eventually(lambda: status(gateway, team.mint(iss=away)) == 503, "the set is too old", 10)
    assert get(gateway.admin_port, "/readyz")[0] == 503
    assert "keys_too_old" in gateway.log()


def serves_without_writing(launch, team, gateway):
    assert status(gateway, team.mint()) == 200
    eventually(lambda: faults(gateway) >= 1, "the fault is counted")
    team.keys.append(SECOND)
    for _ in range(3):
        before = faults(gateway)
        reload(gateway)
        eventually(lambda: faults(gateway) > before, "the next write fails, too")
    assert status(gateway, team.mint()) == 200
    assert get(gateway.admin_port, "/readyz")[0] == 200
    assert gateway.log().count("state_file_not_written") == 1


@pytest.mark.parametrize("folder", ["/proc", "/sys/kernel", "/proc/none/deeper", "/dev/null"])
def test_a_folder_that_takes_no_file_is_one_warning_and_serving_goes_on(launch, folder):
    team = launch.team(keys=[FIRST])
    serves_without_writing(launch, team, launch.gateway(team.issuer, state_dir=folder))


@pytest.mark.skipif(SANITIZED, reason="the thread sanitizer's own memory is a file, and limited with the others")
def test_a_write_that_fails_in_the_middle_leaves_the_old_file(launch, tmp_path):
    team = launch.team(keys=[FIRST])
    path = write_state(tmp_path, team.issuer, source(team.issuer), {"keys": [team.key.jwk]})
    before = path.read_bytes()
    pad = " " * 200_000
    team.trouble = lambda h: h.answer(200, json.dumps({"keys": [k.jwk for k in team.keys], "pad": pad}).encode())
    # 100 blocks of 512 bytes; the signal that would end the process is ignored, so that write(2) fails.
    limited = ["sh", "-c", "trap '' XFSZ; ulimit -f 100; exec \"$@\"", "sh"]
    serves_without_writing(launch, team, launch.gateway(team.issuer, state_dir=tmp_path, prefix=limited))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


def test_a_full_disk_leaves_the_old_file_and_serving_goes_on(launch, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("tmpfs can't be mounted here")
    try:
        team = launch.team(keys=[FIRST])
        gateway = launch.gateway(team.issuer, state_dir=disk)
        path = disk / state_name(team.issuer)
        eventually(path.exists, "the state is written")
        before = path.read_bytes()
        filler = disk / "filler"
        try:
            filler.write_bytes(b"x" * (1 << 20))
        except OSError:
            pass
        reload(gateway)
        serves_without_writing(launch, team, gateway)
        assert path.read_bytes() == before
        filler.unlink()
        reload(gateway)
        eventually(lambda: path.read_bytes() != before, "writing works again")
        eventually(lambda: "state_file_written" in gateway.log(), "and is said to")
        gateway.end()
    finally:
        subprocess.run(["umount", "-l", disk], check=False)


FAILING_DISK = """
#include <errno.h>
#include <unistd.h>
/* A disk that fails while the file FAULT is there: data that was written can't be made to stay. */
int fsync(int descriptor) {
  (void)descriptor;
  if (access(FAULT, F_OK) == 0) { errno = EIO; return -1; }
  return 0;
}
"""


@pytest.mark.skipif(SANITIZED, reason="the sanitizer must be loaded before any other library")
def test_an_input_output_error_leaves_the_old_file_and_serving_goes_on(launch, tmp_path):
    compiler = shutil.which("clang") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to make a failing disk with")
    fault, library, source = tmp_path / "fault", tmp_path / "disk.so", tmp_path / "disk.c"
    source.write_text(FAILING_DISK)
    subprocess.run([compiler, "-shared", "-fPIC", f'-DFAULT="{fault}"', "-o", library, source], check=True)
    state = tmp_path / "state"
    team = launch.team(keys=[FIRST])
    gateway = launch.gateway(team.issuer, state_dir=state, env={**os.environ, "LD_PRELOAD": str(library)})
    path = state / state_name(team.issuer)
    eventually(path.exists, "the state is written")
    before = path.read_bytes()
    fault.touch()
    reload(gateway)
    serves_without_writing(launch, team, gateway)
    assert "Input/output error" in gateway.log()
    assert path.read_bytes() == before
    assert [entry.name for entry in state.iterdir()] == [path.name], "no half-written file stays"
    fault.unlink()
    reload(gateway)
    eventually(lambda: path.read_bytes() != before, "writing works again")


def test_kill_9_at_any_moment_leaves_the_file_whole(launch, tmp_path):
    team = launch.team(keys=[FIRST])
    folder = tmp_path / "state"
    path = folder / state_name(team.issuer)
    pad = " " * 150_000
    team.trouble = lambda h: h.answer(200, json.dumps({"keys": [k.jwk for k in team.keys], "pad": pad}).encode())
    token = team.mint()
    for round_number in range(KILLS):
        gateway = launch.gateway(team.issuer, ready=False, wait=False, state_dir=folder, event_loops="1")
        if round_number:
            answered = lambda: ask_or_none(gateway, token)  # noqa: E731
            assert eventually(answered, "an answer") == 200, "the state is used"
        else:
            eventually(path.exists, "the first state is written")
        end = time.monotonic() + random.uniform(0.0, 0.15)
        while time.monotonic() < end:
            reload(gateway)
            time.sleep(0.003)
        gateway.signal(signal.SIGKILL)
        gateway.wait()
        read_state(path)
    assert len(os.listdir(folder)) <= 2, "at most one temporary file is left"
    shutil.rmtree(folder)


def ask_or_none(gateway, token):
    try:
        return status(gateway, token)
    except OSError:
        return None


def test_two_gateways_may_share_a_folder(launch, tmp_path):
    team = launch.team(keys=[FIRST])
    both = [launch.gateway(team.issuer, state_dir=tmp_path, event_loops="1") for _ in range(2)]
    for _ in range(30):
        for gateway in both:
            reload(gateway)
    path = tmp_path / state_name(team.issuer)
    for gateway in both:
        gateway.end()
    read_state(path)
    assert os.listdir(tmp_path) == [path.name]
    assert not [gateway for gateway in both if "state_file_not_written" in gateway.log()]
