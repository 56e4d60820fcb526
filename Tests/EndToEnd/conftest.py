"""The fixtures: one team, one issuer and one gateway of each common kind for the whole session, and `launch` for tests
that need their own. A failed test shows the logs of every program that runs."""

import pytest

import running
from minting import Team
from running import BINARY, Gateway, Issuer


def pytest_sessionstart(session):
    if not BINARY.exists():
        pytest.exit(f"{BINARY} is not there: build first (scripts/test does), or set GATEWAY_BINARY", returncode=1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        for process in running.started:
            report.sections.append((f"log of {process.name}, process {process.pid}", process.log()[-8000:]))
    return report


def kept(process):
    yield process
    try:
        process.end() if isinstance(process, Gateway) else process.stop()
    finally:
        process.discard()


@pytest.fixture(scope="session")
def team():
    """Keys and tokens of PyJWT's making, served over plain HTTP on loopback."""
    team = Team()
    yield team
    team.close()


@pytest.fixture(scope="session")
def issuer():
    """The program's own stand-in for a team."""
    yield from kept(Issuer())


@pytest.fixture(scope="session")
def gateway(team):
    """A gateway with default settings that trusts `team`."""
    gateway = Gateway(team.issuer)
    await_ready(gateway)
    yield from kept(gateway)


@pytest.fixture(scope="session")
def telling(team):
    """The same with expose_reason on, so that a test sees why."""
    gateway = Gateway(team.issuer, expose_reason="on")
    await_ready(gateway)
    yield from kept(gateway)


@pytest.fixture
def launch():
    """Starts gateways, issuers, teams and other processes for one test, and ends them behind it."""
    launch = Launch()
    yield launch
    launch.close()


class Launch:
    def __init__(self):
        self.mine = []

    def keep(self, process):
        self.mine.append(process)
        return process

    def gateway(self, issuer, ready=True, **settings):
        gateway = self.keep(Gateway(issuer, **settings))
        if ready:
            await_ready(gateway)
        return gateway

    def issuer(self, port=None):
        return self.keep(Issuer(port))

    def team(self, tls=None, keys=None):
        return self.keep(Team(tls, keys))

    def close(self):
        problems = []
        for process in reversed(self.mine):
            try:
                if isinstance(process, Team):
                    process.close()
                elif isinstance(process, Gateway) and process.child.poll() is None:
                    process.end()
                else:
                    process.stop()
            except AssertionError as problem:
                problems.append(problem)
        for process in self.mine:
            if not isinstance(process, Team):
                process.discard()
        if problems:
            raise problems[0]


def await_ready(gateway):
    from wire import get

    running.eventually(lambda: get(gateway.admin_port, "/readyz")[0] == 200, "the gateway is ready")
