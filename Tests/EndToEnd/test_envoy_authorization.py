"""The real Envoy before the target EnvoyAuthorization: a gRPC server of grpcio hands Envoy's own messages to the target
(Tests/EnvoyAuthorizationPipe) and answers with the very bytes that it writes. What Envoy does with them is what is checked."""

import concurrent.futures
import http.client
import json
import os

import pytest

from backend import Echo, Seen
from proxies import PROXIES
from running import PATIENCE, Process, free_port
from test_envoy_messages import answer_line, bytes_of, expected, external_auth_pb2, pipe, said, shown  # noqa: F401

grpc = pytest.importorskip("grpc")
USER = "lea@acme.com"
IDENTITY = [("X-Auth-User", USER), ("X-Auth-Subject", "")]


class Authorization:
    """Answers each `Check` with `answer`, a line for the pipe or raw bytes, and keeps what it was asked."""

    def __init__(self, pipe):
        self.asked, self.answer = [], b""

        def check(message, context):
            self.asked.append(message)
            if isinstance(self.answer, bytes):
                return self.answer
            (answer,) = pipe([self.answer])
            return bytes_of(answer.split(" ")[1])[5:]  # grpcio writes the prefix itself

        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(
            "envoy.service.auth.v3.Authorization", {"Check": grpc.unary_unary_rpc_method_handler(check)})])
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()


def configuration(port, authorization, backend, **filter_settings):
    """Envoy's, as JSON: one application behind ext_authz by gRPC."""
    def cluster(name, port, **more):
        return {"name": name, "type": "STATIC", "connect_timeout": "1s", **more, "load_assignment": {
            "cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}]}}

    def address(port):
        return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

    def typed(name, kind, **settings):
        return {"name": name, "typed_config": {"@type": f"type.googleapis.com/envoy.extensions.{kind}", **settings}}

    h2c = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}}}}
    route = {
        "match": {"prefix": "/"}, "route": {"cluster": "app"},
        "request_headers_to_add": [{
            "header": {"key": "x-from-metadata", "value": "%DYNAMIC_METADATA(envoy.filters.http.ext_authz:user)%"}}],
        "typed_per_filter_config": {"envoy.filters.http.ext_authz": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
            "check_settings": {"context_extensions": {"application": "wiki"}}}}}
    manager = typed(
        "envoy.filters.network.http_connection_manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager", stat_prefix="web",
        http_filters=[
            typed("envoy.filters.http.ext_authz", "filters.http.ext_authz.v3.ExtAuthz", transport_api_version="V3",
                  grpc_service={"envoy_grpc": {"cluster_name": "gateway"}, "timeout": "10s"}, **filter_settings),
            typed("envoy.filters.http.router", "filters.http.router.v3.Router")],
        route_config={"virtual_hosts": [{"name": "app", "domains": ["*"], "routes": [route]}]})
    return json.dumps({"static_resources": {
        "listeners": [{"name": "web", "address": address(port), "filter_chains": [{"filters": [manager]}]}],
        "clusters": [cluster("gateway", authorization, typed_extension_protocol_options=h2c), cluster("app", backend)]}})


class Guarded:
    """A backend behind Envoy behind the authorization."""

    def __init__(self, pipe, folder, **filter_settings):
        kind = PROXIES["envoy"]
        if not kind.program:
            assert "EVERY_PROXY" not in os.environ, "envoy is missing, and here it must not be"
            pytest.skip("no envoy")
        self.backend, self.authorization, self.port = Echo(), Authorization(pipe), free_port()
        (folder / "envoy.yaml").write_text(
            configuration(self.port, self.authorization.port, self.backend.port, **filter_settings))
        self.envoy = Process("envoy", kind.command(kind.program, folder))
        self.envoy.await_port(self.port)

    def visit(self, *fields, path="/x?y"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
            for name, value in [("Host", "wiki.example.com"), *fields]:
                connection.putheader(name, value)
            connection.endheaders()
            reply = connection.getresponse()
            return Seen(reply.status, reply.headers, reply.read())
        finally:
            connection.close()

    def close(self):
        self.envoy.stop()
        self.envoy.discard()
        self.authorization.server.stop(None).wait()
        self.backend.close()


@pytest.fixture(scope="module", params=[False, True], ids=["closed", "failure_mode_allow"])
def guarded(request, pipe, tmp_path_factory):  # noqa: F811
    guarded = Guarded(pipe, tmp_path_factory.mktemp("envoy"), failure_mode_allow=request.param)
    guarded.lets_failures_in = request.param
    yield guarded
    guarded.close()


@pytest.fixture(scope="module")
def raw(pipe, tmp_path_factory):  # noqa: F811
    guarded = Guarded(pipe, tmp_path_factory.mktemp("envoy"), encode_raw_headers=True)
    yield guarded
    guarded.close()


def last_question(guarded, pipe):  # noqa: F811
    """Envoy's last message as protobuf reads it, once the target has read the same."""
    message = external_auth_pb2.CheckRequest.FromString(guarded.authorization.asked[-1])
    (answer,) = pipe([f"read {shown(guarded.authorization.asked[-1])}"])
    assert said(answer) == expected(message)
    return message, said(answer)


def test_envoy_s_own_question_is_read(guarded, pipe):  # noqa: F811
    guarded.authorization.answer = answer_line(0)
    guarded.visit(("Cf-Access-Jwt-Assertion", "a.b.c"), ("Cookie", "CF_Authorization=d.e.f"))
    message, read = last_question(guarded, pipe)
    assert read["method"] == shown("GET") and read["path"] == shown("/x?y") and read["host"] == shown("wiki.example.com")
    assert read["source"] == shown("127.0.0.1") and read["application"] == shown("wiki")
    assert f"{shown('cf-access-jwt-assertion')}:{shown('a.b.c')}" in read["headers"]
    assert f"{shown('cookie')}:{shown('CF_Authorization=d.e.f')}" in read["headers"]
    assert not message.attributes.request.http.header_map.headers


def test_two_lines_of_one_name_arrive_joined(guarded, pipe):  # noqa: F811
    guarded.authorization.answer = answer_line(0)
    guarded.visit(("Cf-Access-Jwt-Assertion", "a.b.c"), ("Cf-Access-Jwt-Assertion", "d.e.f"))
    _, read = last_question(guarded, pipe)
    assert f"{shown('cf-access-jwt-assertion')}:{shown('a.b.c,d.e.f')}" in read["headers"]


def test_two_lines_of_one_name_arrive_as_two_in_the_header_map(raw, pipe):  # noqa: F811
    raw.authorization.answer = answer_line(0)
    assert raw.visit(("Cf-Access-Jwt-Assertion", "a.b.c"), ("Cf-Access-Jwt-Assertion", b"\xff")).status == 200
    message, read = last_question(raw, pipe)
    assert not message.attributes.request.http.headers
    name = shown("cf-access-jwt-assertion")
    assert {f"{name}:{shown('a.b.c')}", f"{name}:ff"} <= set(read["headers"])


def test_an_allow_reaches_the_backend_with_our_headers_and_none_of_the_client_s(guarded):
    guarded.authorization.answer = answer_line(0, headers=IDENTITY, metadata=[("user", USER), ("expires", 1700000000)])
    seen = guarded.visit(("X-Auth-User", "root"), ("X-Auth-User", "root2"), ("X-Auth-Subject", "forged"))
    assert seen.status == 200
    assert seen.at_backend("X-Auth-User") == [USER]
    assert seen.at_backend("X-Auth-Subject") == [], "empty: removed, and the client's own with it"
    assert seen.at_backend("X-From-Metadata") == [USER]


@pytest.mark.parametrize("code, status", [(16, 401), (7, 403), (14, 503), (3, 400)])
def test_a_denial_reaches_the_client_whatever_the_failure_mode(guarded, code, status):
    before = len(guarded.backend.asked)
    guarded.authorization.answer = answer_line(code, status, "Token is missing.\n", [("WWW-Authenticate", "Bearer")])
    seen = guarded.visit()
    assert (seen.status, seen.body, seen.fields["WWW-Authenticate"]) == (status, b"Token is missing.\n", "Bearer")
    assert len(guarded.backend.asked) == before


@pytest.mark.parametrize("line", [
    answer_line(0, headers=IDENTITY, capacity=16), answer_line(0, headers=[("X-Auth-User", "a\r\nb")]),
    answer_line(16, 401, b"\xff")], ids=["no room", "a line end in a value", "a body that is not UTF-8"])
def test_what_could_not_be_written_is_denied_whatever_the_failure_mode(guarded, line):
    before = len(guarded.backend.asked)
    guarded.authorization.answer = line
    assert guarded.visit().status == 500
    assert len(guarded.backend.asked) == before


def test_why_an_answer_must_say_what_it_is(guarded):
    """What the writer guards against: a message of no bytes is an allow, and with failure_mode_allow garbage is, too."""
    guarded.authorization.answer = b""
    assert guarded.visit().status == 200
    guarded.authorization.answer = b"\xff"
    assert guarded.visit().status == (200 if guarded.lets_failures_in else 403)
