"""Revocations and reloads under POLICIES.md: in force within 2 s on every connection, remembered tokens included; what is
bad changes nothing; what is lost opens nothing."""

import os
import signal
import time

import pytest

from minting import AUD, EMAIL, OTHER_AUD
from running import Gateway, eventually, run
from wire import Wire, ask, asserted, get, head

WIKI = ["X-Forwarded-Method: GET", "X-Forwarded-Host: wiki.acme.com", "X-Forwarded-Uri: /"]


def settings(policies="[{name: all, action: allow, include: {everyone: true}}]", revoked=None, more=""):
    revocation = f"revocation: {{file: {revoked}}}\n" if revoked else ""
    return (f"version: 1\n{revocation}{more}applications:\n  wiki:\n    audience: {AUD}\n"
            f"    hosts: [wiki.acme.com]\n    policies: {policies}\n")


NOBODY = "[{name: none, action: allow, include: {emails: [nobody@example.com]}}]"


class House:
    """A gateway with a settings file and a revocation file."""

    def __init__(self, launch, team, folder, revoked="revoked: []\n", **flags):
        self.revoked = folder / "revoked.yaml"
        self.revoked.write_text(revoked)
        self.file = folder / "gateway.yaml"
        self.file.write_text(settings(revoked=self.revoked))
        self.gateway = launch.gateway(
            team.issuer, env={"GATEWAY_CONFIG": str(self.file)}, expose_reason="on", event_loops="2", **flags)

    def everywhere(self, token):
        """The statuses and reasons of connections to both loops, of which eight meet all but surely both."""
        found = set()
        for _ in range(8):
            reply = ask(self.gateway.port, "/auth/wiki", token, *WIKI)
            found.add((reply.status, reply.values("X-Auth-Reason")[0] if reply.status != 200 else None))
        return found

    def await_all(self, token, *expected):
        eventually(lambda: self.everywhere(token) == {expected}, f"{expected} on every loop")

    def metric(self, name):
        page = get(self.gateway.admin_port, "/metrics")[1].decode()
        return next((float(line.split()[1]) for line in page.splitlines() if line.startswith(name + " ")), None)


@pytest.fixture
def house(launch, team, tmp_path):
    return House(launch, team, tmp_path)


def replace(file, text):
    new = file.with_suffix(".new")
    new.write_text(text)
    os.rename(new, file)


@pytest.mark.parametrize("entry", [f"email: {EMAIL.upper()}", "subject: s-1", "nonce: n-1", "token_sha256: {digest}"])
def test_a_revocation_stops_a_remembered_token_and_only_it(house, team, entry):
    import hashlib

    token = team.mint(sub="s-1", identity_nonce="n-1")
    other = asserted(team.mint(email="bob@example.com", sub="s-2", identity_nonce="n-2"))
    house.await_all(asserted(token), 200, None)
    house.await_all(other, 200, None)
    replace(house.revoked, f"revoked: [{{{entry.format(digest=hashlib.sha256(token.encode()).hexdigest())}}}]\n")
    house.await_all(asserted(token), 403, "revoked")
    assert house.everywhere(other) == {(200, None)}
    assert house.metric("access_gateway_revocation_entries") == 1
    house.revoked.write_text("revoked: []\n")  # in place, too
    house.await_all(asserted(token), 200, None)


def test_a_bad_revocation_file_keeps_the_last_good_list(house, team):
    token = asserted(team.mint())
    replace(house.revoked, f"revoked: [{{email: {EMAIL}}}]\n")
    house.await_all(token, 403, "revoked")
    for text in ("revoked: [{email: }]\n", "revoked: [{mail: a@b.c}]\n", ":"):
        replace(house.revoked, text)
        eventually(lambda: house.metric("access_gateway_revocation_last_reload_successful") == 0, "it is seen as bad")
        assert house.everywhere(token) == {(403, "revoked")}
        replace(house.revoked, f"revoked: [{{email: {EMAIL}}}]\n")
        eventually(lambda: house.metric("access_gateway_revocation_last_reload_successful") == 1, "it is good again")
    os.unlink(house.revoked)
    eventually(lambda: house.metric("access_gateway_revocation_last_reload_successful") == 0, "it is missed")
    assert house.everywhere(token) == {(403, "revoked")}


def test_a_bad_revocation_file_at_the_start_ends_it_with_78(team, tmp_path):
    (tmp_path / "gateway.yaml").write_text(settings(revoked=tmp_path / "revoked.yaml"))
    ended = run("serve", "--issuer", team.issuer, env={"GATEWAY_CONFIG": str(tmp_path / "gateway.yaml")})
    assert ended.returncode == 78 and "revoked.yaml:1:1: 'no such file' is refused" in ended.stderr, ended


@pytest.mark.parametrize("way", ["change", "signal", "link"])
def test_new_policies_hold_for_remembered_tokens(launch, team, tmp_path, way):
    if way == "link":  # as Kubernetes exchanges a ConfigMap
        real = tmp_path / "..1"
        real.mkdir()
        (tmp_path / "..data").symlink_to(real)
        house = House(launch, team, real)
        house.gateway.end()
        linked = tmp_path / "gateway.yaml"
        linked.symlink_to("..data/gateway.yaml")
        house.gateway = launch.gateway(
            team.issuer, env={"GATEWAY_CONFIG": str(linked)}, expose_reason="on", event_loops="2")
    else:
        house = House(launch, team, tmp_path)
    token = asserted(team.mint())
    house.await_all(token, 200, None)
    before = house.metric("access_gateway_config_last_reload_success_timestamp_seconds")
    if way == "link":
        new = tmp_path / "..2"
        new.mkdir()
        (new / "gateway.yaml").write_text(settings(NOBODY, house.revoked))
        (tmp_path / "..new").symlink_to(new)
        os.rename(tmp_path / "..new", tmp_path / "..data")
    else:
        replace(house.file, settings(NOBODY, house.revoked))
        if way == "signal":
            house.gateway.signal(signal.SIGHUP)
    house.await_all(token, 403, "not_allowed")
    assert house.metric("access_gateway_config_last_reload_successful") == 1
    assert house.metric("access_gateway_config_last_reload_success_timestamp_seconds") >= before > 0


@pytest.mark.parametrize("text", [
    "version: 1\nteam_domain: acme\n", "", ":", settings("[]"), settings(more="unknown: 1\n"), settings(),
    settings(more="leeway: 900s\n")], ids=["no applications", "empty", "broken", "no policies", "unknown key",
                                           "no revocation file", "bad setting"])
def test_a_bad_file_changes_nothing_and_says_why_in_one_line(house, team, text):
    good, nobody = asserted(team.mint()), asserted(team.mint(exp=1))
    house.await_all(good, 200, None)
    replace(house.file, text)
    eventually(lambda: house.metric("access_gateway_config_last_reload_successful") == 0, "it is seen as bad")
    assert house.everywhere(good) == {(200, None)}
    assert house.everywhere(nobody) == {(401, "expired")}
    # An audience that was never an application stays unknown: the house has not gone back to any valid token.
    assert ask(house.gateway.port, f"/auth/{OTHER_AUD}", asserted(team.mint(aud=[OTHER_AUD]))).status == 403
    assert house.gateway.log().count("reload_failed") == 1
    replace(house.file, settings(NOBODY, house.revoked))
    house.await_all(good, 403, "not_allowed")


def test_an_audience_that_leaves_the_file_takes_its_remembered_tokens_along(house, team):
    token = asserted(team.mint())
    house.await_all(token, 200, None)
    replace(house.file, settings(revoked=house.revoked).replace(AUD, OTHER_AUD))
    house.await_all(token, 401, "audience")


def test_settings_that_a_reload_may_change_and_those_that_it_may_not(house, team):
    late = asserted(team.mint(exp=int(time.time()) - 10))
    house.await_all(late, 200, None)  # leeway: 30s
    replace(house.file, settings(revoked=house.revoked, more="leeway: 0s\nidle_timeout: 9s\n"))
    house.await_all(late, 401, "expired")
    assert "restart_needed" in house.gateway.log() and "idle_timeout" in house.gateway.log()


def test_reloads_lose_and_misjudge_no_request(house, team):
    """Good and bad files by turns, under requests without a pause: no answer but that of a whole file."""
    token = asserted(team.mint())
    house.await_all(token, 200, None)
    two = "[{name: one, action: deny, include: {emails: [x@y.z]}}, {name: all, action: allow, include: {everyone: true}}]"
    files = [settings(two, house.revoked), ":", settings(revoked=house.revoked)]
    request = head("/auth/wiki", token, *WIKI)
    with Wire(house.gateway.port) as wire:
        for turn in range(12):
            replace(house.file, files[turn % 3])
            house.gateway.signal(signal.SIGHUP)
            for _ in range(100):
                assert wire.send(request).reply().status == 200
