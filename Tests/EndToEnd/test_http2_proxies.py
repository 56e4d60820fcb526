"""Real proxies that ask the gateway over TLS and HTTP/2: the configurations of deploy/ with the lines that docs/proxies.md
gives for that. Which protocol they speak, the gateway's own metrics say."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from backend import Echo
from conftest import Launch
from minting import EMAIL, certificate_authority
from proxies import PROXIES, Proxy, await_open, mint, visit
from running import eventually, run
from test_http2_tls import client_pair
from test_proxies import need
from wire import ask, sample


@pytest.fixture(scope="module")
def house(team, tmp_path_factory):
    """The pair of `tls-selfsigned`, a gateway that asks clients for no certificate, one that does, and a backend."""
    folder, launch, echo = tmp_path_factory.mktemp("house"), Launch(), Echo()
    pair = folder / "pair"
    assert run("tls-selfsigned", pair, "localhost", "127.0.0.1").returncode == 0
    authority = certificate_authority()
    (folder / "clients.pem").write_bytes(authority[1].public_bytes(serialization.Encoding.PEM))
    client = client_pair(folder, authority, x509.DNSName("traefik.example"))
    text = client.read_text()
    end = text.index("-----BEGIN CERTIFICATE")
    (folder / "client-key.pem").write_text(text[:end])
    (folder / "client-cert.pem").write_text(text[end:])

    class House:
        backend, ca, key, cert = echo.port, pair / "ca.pem", folder / "client-key.pem", folder / "client-cert.pem"
        open = launch.gateway(team.issuer, tls=pair)
        closed = launch.gateway(
            team.issuer, tls=pair, tls_client_ca=folder / "clients.pem", tls_client_names="dns:traefik.example")

    yield House
    launch.close()
    echo.close()


def figures(gateway):
    text = ask(gateway.admin_port, "/metrics").body.decode()
    names = ["http2_requests_total", *(f'connections_by_protocol_total{{protocol="{p}"}}' for p in ("h2c", "https/1.1", "h2"))]
    return [int(sample(text, "access_gateway_" + name)) for name in names]


def guard(kind, folder, gateway, port, backend, edit, team):
    """Starts the proxy, checks who is let in, and returns what the gateway has counted meanwhile."""
    launch, before = Launch(), figures(gateway)
    try:
        proxy = launch.keep(Proxy(kind, folder, port, backend, edit))
        await_open(proxy, team)
        for number in range(20):
            seen = visit(proxy, "/app", ("Cookie", "a=1; b=2"), token=mint(team, sub=str(number)))
            assert seen.status == 200 and seen.request["fields"], seen
            assert [value for name, value in seen.request["fields"] if name.lower() == "x-auth-email"] == [EMAIL]
            assert visit(proxy, "/app").status == 401
        cookie = f"first=1; CF_Authorization={mint(team)}; last=2"
        assert visit(proxy, "/app", ("Cookie", cookie)).status == 200
    finally:
        launch.close()
    return [now - then for now, then in zip(figures(gateway), before)]


def traefik_over_tls(tls):
    return lambda text: text.replace("http://127.0.0.1:8000", "https://127.0.0.1:8000").replace(
        "        # All that the decision needs;", f"        tls: {tls}\n        # All that the decision needs;")


@pytest.mark.parametrize("way", ["ca", "insecureSkipVerify", "client certificate"])
def test_traefik_asks_over_http2(house, team, tmp_path, way):
    gateway = house.closed if way == "client certificate" else house.open
    tls = {
        "ca": f"{{ca: {house.ca}}}", "insecureSkipVerify": "{insecureSkipVerify: true}",
        "client certificate": f"{{ca: {house.ca}, cert: {house.cert}, key: {house.key}}}"}[way]
    requests, clear, http1, http2 = guard(
        need(PROXIES["traefik"]), tmp_path, gateway, gateway.secure, house.backend, traefik_over_tls(tls), team)
    assert requests >= 41 and http2 == 1 and (clear, http1) == (0, 0), "one connection for all"


def test_traefik_without_its_certificate_lets_nobody_in(house, team, tmp_path, launch):
    kind = need(PROXIES["traefik"])
    proxy = launch.keep(Proxy(
        kind, tmp_path, house.closed.secure, house.backend, traefik_over_tls(f"{{ca: {house.ca}}}")))
    eventually(lambda: visit(proxy, "/app").status != 404, "Traefik has read its routes")
    assert visit(proxy, "/app", token=mint(team)).status == 500


def test_caddy_asks_over_h2c(house, team, tmp_path):
    edit = lambda text: text.replace("transport http {", "transport http {\n\t\t\tversions h2c 2", 1)
    requests, clear, _, _ = guard(
        need(PROXIES["caddy"]), tmp_path, house.open, house.open.port, house.backend, edit, team)
    assert requests >= 41 and clear >= 1


def test_caddy_asks_over_tls(house, team, tmp_path):
    edit = lambda text: text.replace("forward_auth 127.0.0.1:8000", "forward_auth https://127.0.0.1:8000", 1).replace(
        "transport http {", f"transport http {{\n\t\t\ttls_trust_pool file {house.ca}", 1)
    requests, _, _, http2 = guard(
        need(PROXIES["caddy"]), tmp_path, house.open, house.open.secure, house.backend, edit, team)
    assert requests >= 41 and http2 >= 1


HTTP2 = """\
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: {http2_protocol_options: {}}
"""
TLS = """\
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
          common_tls_context:
            alpn_protocols: [h2]
            validation_context: {trusted_ca: {filename: %s}}
"""


@pytest.mark.parametrize("secure", [False, True], ids=["h2c", "tls"])
def test_envoy_asks_over_http2(house, team, tmp_path, secure):
    def edit(text):
        at = text.index("      load_assignment:\n        cluster_name: gateway")
        start = text.rindex("    - name: gateway", 0, at)
        assert "HttpProtocolOptions" not in text[start:at], "the configuration has its own"
        return text[:at] + HTTP2 + (TLS % house.ca if secure else "") + text[at:]

    port = house.open.secure if secure else house.open.port
    requests, clear, _, http2 = guard(
        need(PROXIES["envoy"]), tmp_path, house.open, port, house.backend, edit, team)
    assert requests >= 41 and (http2 if secure else clear) >= 1


def test_nginx_asks_over_tls(house, team, tmp_path):
    edit = lambda text: text.replace("proxy_pass http://gateway", (
        f"proxy_ssl_trusted_certificate {house.ca};\n            proxy_ssl_verify on;\n"
        "            proxy_ssl_name localhost;\n            proxy_pass https://gateway"))
    _, _, http1, _ = guard(
        need(PROXIES["nginx"]), tmp_path, house.open, house.open.secure, house.backend, edit, team)
    assert http1 >= 1
