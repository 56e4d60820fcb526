"""The systemd units: that they are valid, start what there is, and start it again when it ends by itself."""

import configparser
import shutil
import subprocess

import pytest

from running import BINARY, ROOT, run

DEPLOY = ROOT / "deploy"


def unit(name):
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(DEPLOY / name)
    return parser


def test_the_service_is_started_again_but_not_into_the_same_mistake():
    service = unit("access-gateway.service")["Service"]
    assert service["Restart"] == "on-failure"
    assert "78" in service["RestartPreventExitStatus"].split()


def test_the_service_s_command_is_one_that_the_program_takes():
    flags = unit("access-gateway.service")["Service"]["ExecStart"].split()[2:]
    result = run("check", "--issuer", "http://127.0.0.1:1", *flags)
    assert result.returncode != 64 and result.returncode != 78, result


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_finds_no_fault_with_the_units(tmp_path):
    for name in ("access-gateway.service", "access-gateway.socket"):
        text = (DEPLOY / name).read_text().replace("/usr/local/bin/access-gateway", str(BINARY))
        (tmp_path / name).write_text(text)
    result = subprocess.run(
        ["systemd-analyze", "verify", *sorted(map(str, tmp_path.iterdir()))], capture_output=True, text=True)
    complaints = [line for line in result.stderr.splitlines() if "access-gateway" in line]
    assert complaints == [], complaints
