"""The target EnvoyAuthorization against Google's own protobuf, with Envoy's and gRPC's generated messages: what they write we
read, what we write they read, and what they refuse we refuse (Tests/EnvoyAuthorizationPipe)."""

import os
import random
import subprocess

import pytest

from running import BINARY, clean_environment

try:
    from envoy.config.core.v3 import base_pb2
    from envoy.service.auth.v3 import external_auth_pb2
    from google.protobuf import struct_pb2
    from google.protobuf.message import DecodeError
    from grpc_health.v1 import health_pb2
except ImportError as error:
    assert "EVERY_PROXY" not in os.environ, f"{error.name} is missing, and here it must not be"
    pytest.skip(f"no {error.name}", allow_module_level=True)

PIPE = BINARY.parent / "EnvoyAuthorizationPipe"
OVERWRITE = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
DENIALS = (3, 7, 13, 14, 16)


@pytest.fixture(scope="module")
def pipe():
    """Puts lines to the target and gets one answer each."""
    if not PIPE.exists():
        pytest.skip(f"{PIPE} is not built")

    def put(lines):
        done = subprocess.run(
            [PIPE], input="".join(line + "\n" for line in lines), capture_output=True, text=True,
            env=clean_environment())
        assert done.returncode == 0, done.stderr[-4000:]
        first, *answers = done.stdout.splitlines()
        assert first == "ready" and len(answers) == len(lines)
        return answers

    return put


def shown(text):
    return (text.encode() if isinstance(text, str) else text).hex() or "-"


def bytes_of(word):
    return b"" if word == "-" else bytes.fromhex(word)


def question(**http):
    """A request as Envoy makes it: with all that it fills in."""
    message = external_auth_pb2.CheckRequest()
    attributes = message.attributes
    attributes.source.address.socket_address.address = "192.0.2.7"
    attributes.source.address.socket_address.port_value = 40000
    attributes.source.principal = "spiffe://cluster/client"
    attributes.destination.address.socket_address.address = "10.0.0.1"
    attributes.destination.address.socket_address.port_value = 443
    attributes.request.time.seconds = 1_700_000_000
    attributes.request.time.nanos = 999_999_999
    attributes.metadata_context.filter_metadata["x"].fields["y"].string_value = "z"
    attributes.metadata_context.typed_filter_metadata["x"].type_url = "type.googleapis.com/x"
    attributes.tls_session.sni = "wiki.example.com"
    request = attributes.request.http
    request.id = "1234567890"
    request.method = http.pop("method", "GET")
    request.path = http.pop("path", "/x?y=z")
    request.host = http.pop("host", "wiki.example.com")
    request.scheme = http.pop("scheme", "https")
    request.protocol = http.pop("protocol", "HTTP/2")
    request.size = http.pop("size", -1)
    for name, value in http.pop("headers", {}).items():
        request.headers[name] = value
    for name, value in http.pop("header_map", []):
        request.header_map.headers.add(key=name, raw_value=value)
    for name, value in http.pop("context", {}).items():
        attributes.context_extensions[name] = value
    request.body = http.pop("body", "")
    request.raw_body = http.pop("raw_body", b"")
    assert not http
    return message


def expected(message):
    """What the target must say of a message."""
    http = message.attributes.request.http
    source = message.attributes.source.address
    headers = sorted((name.encode(), value.encode()) for name, value in http.headers.items())
    headers += sorted((header.key.encode(), header.raw_value or header.value.encode()) for header in http.header_map.headers)
    application = message.attributes.context_extensions
    return {
        "method": shown(http.method), "path": shown(http.path), "host": shown(http.host), "scheme": shown(http.scheme),
        "protocol": shown(http.protocol), "source": shown(source.socket_address.address),
        "headers": sorted(f"{shown(name)}:{shown(value)}" for name, value in headers),
        "application": shown(application["application"]) if "application" in application else "none"}


def said(answer):
    pairs = [word.split("=", 1) for word in answer.split(" ")]
    words = dict(pair for pair in pairs if pair[0] != "header")
    words["headers"] = sorted(value for name, value in pairs if name == "header")
    return words


def arbitrary(chance):
    """A question of any shape within our limits."""
    def text(longest=40):
        return "".join(chr(chance.choice((chance.randrange(0x20, 0x7F), chance.randrange(0xA0, 0x2000))))
                       for _ in range(chance.randrange(longest)))

    return question(
        method=text(10), path="/" + text(200), host=text(), scheme=text(5), protocol=text(9),
        size=chance.choice((-1, 0, 2**63 - 1)), body=text(500), raw_body=chance.randbytes(chance.randrange(300)),
        headers={f"x-{index}{text(10)}": text(300) for index in range(chance.randrange(60))},
        header_map=[(f"y-{chance.randrange(9)}", chance.randbytes(chance.randrange(200))) for _ in range(chance.randrange(60))],
        context={f"{index}" if index else "application": text() for index in range(chance.randrange(16))})


def test_what_protobuf_writes_is_read_as_protobuf_reads_it(pipe):
    chance = random.Random(16)
    messages = [question(), external_auth_pb2.CheckRequest()]
    messages[1].attributes.request.http.SetInParent()
    messages += [arbitrary(chance) for _ in range(150)]
    answers = pipe([f"read {shown(message.SerializeToString())}" for message in messages])
    for message, answer in zip(messages, answers):
        assert said(answer) == expected(message)


def test_values_that_envoy_has_joined_arrive_with_their_comma(pipe):
    joined = question(headers={"cf-access-jwt-assertion": "a.b.c,d.e.f", "cookie": "CF_Authorization=a; x=y,CF_Authorization=b"})
    raw = question(header_map=[("cf-access-jwt-assertion", b"a.b.c"), ("cf-access-jwt-assertion", b"\xff")])
    first, second = pipe([f"read {shown(message.SerializeToString())}" for message in (joined, raw)])
    assert shown("a.b.c,d.e.f") in first
    name = shown("cf-access-jwt-assertion")
    assert said(second)["headers"] == sorted([f"{name}:{shown('a.b.c')}", f"{name}:ff"])


def test_what_protobuf_cannot_read_is_refused(pipe):
    """And where we read a broken message at all, we read it as protobuf does."""
    chance = random.Random(17)
    # In one order of their maps, so that each run breaks the same messages.
    whole = [arbitrary(chance).SerializeToString(deterministic=True) for _ in range(60)]
    broken = []
    for _ in range(600):
        message = bytearray(chance.choice(whole))
        if chance.random() < 0.2:
            del message[chance.randrange(len(message)):]
        elif chance.random() < 0.9:
            message[chance.randrange(len(message))] = chance.randrange(256)
        broken.append(bytes(message))
    answers = pipe([f"read {shown(message)}" for message in broken])
    refused = agreed = 0
    for message, answer in zip(broken, answers):
        if answer.startswith("fault "):
            refused += 1
            continue
        parsed = external_auth_pb2.CheckRequest()
        try:
            parsed.ParseFromString(message)
        except (DecodeError, UnicodeDecodeError):
            # Text that is not UTF-8, or what lies in a field that we step over, is all that we take and it does not.
            continue
        ours, theirs = said(answer), expected(parsed)
        # A map keeps one of two equal names; we keep both, and whoever looks for one finds several.
        assert set(theirs["headers"]) <= set(ours["headers"])
        if len(theirs["headers"]) != len(ours["headers"]):
            continue
        if ours["application"] == "several":
            ours["application"] = theirs["application"]
        assert ours == theirs
        agreed += 1
    assert refused > 100 and agreed > 100, (refused, agreed)


def written(answer):
    """Whether the answer is as decided, and the message behind a good prefix as protobuf reads it."""
    as_decided, word = answer.split(" ")
    framed = bytes_of(word)
    assert framed[0] == 0 and int.from_bytes(framed[1:5], "big") == len(framed) - 5
    response = external_auth_pb2.CheckResponse()
    response.ParseFromString(framed[5:])
    assert response.SerializeToString() is not None and response.HasField("status")
    return as_decided == "true", response


def answer_line(code, status=401, body=b"", headers=(), metadata=(), capacity=65536):
    pairs = ",".join(f"{shown(name)}:{shown(value)}" for name, value in headers)
    fields = ",".join(f"{shown(name)}#{value}" if isinstance(value, (int, float)) else f"{shown(name)}:{shown(value)}"
                      for name, value in metadata)
    return f"answer {capacity} {code} {status} {shown(body)} {pairs} {fields}"


def test_an_allow_is_read_by_protobuf_as_one(pipe):
    headers = [("X-Auth-User", "lea@acme.com"), ("X-Auth-Email", ""), ("X-Auth-Kind", "user"), ("X-Auth-Expires", "1700000000")]
    metadata = [("user", "lea@acme.com"), ("kind", "user"), ("application", "wiki"), ("policy", ""), ("expires", 1700000000)]
    (answer,) = pipe([answer_line(0, headers=headers, metadata=metadata)])
    as_decided, response = written(answer)
    assert as_decided and response.status.code == 0 and response.WhichOneof("http_response") == "ok_response"
    options = response.ok_response.headers
    assert [(option.header.key, option.header.value) for option in options] == headers
    assert all(option.append_action == OVERWRITE for option in options)
    assert [option.keep_empty_value for option in options] == [False, True, False, False]
    assert list(response.ok_response.headers_to_remove) == ["X-Auth-Email"]
    wanted = struct_pb2.Struct()
    wanted.update(dict(metadata))
    assert response.dynamic_metadata == wanted


@pytest.mark.parametrize("code", DENIALS)
def test_a_denial_is_read_by_protobuf_as_one(pipe, code):
    headers = [("WWW-Authenticate", 'Bearer realm="access-gateway"'), ("Cache-Control", "no-store")]
    answers = pipe([answer_line(code, status, "Zurück.\n", headers) for status in (302, 401, 403, 503)])
    for status, answer in zip((302, 401, 403, 503), answers):
        as_decided, response = written(answer)
        assert as_decided and response.status.code == code
        denied = response.denied_response
        assert response.WhichOneof("http_response") == "denied_response"
        assert denied.status.code == status and denied.body == "Zurück.\n"
        assert [(option.header.key, option.header.value) for option in denied.headers] == headers


def test_no_denial_is_ever_read_as_an_allow(pipe):
    chance = random.Random(18)

    def raw(longest):
        return chance.randbytes(chance.randrange(longest))

    cases = []
    for _ in range(1500):
        tame = chance.random() < 0.6
        name = (lambda: f"x-{chance.randrange(10**6)}".encode()) if tame else (lambda: raw(20))
        text = (lambda: f"{chance.random()} {'a' * chance.randrange(300)}".encode()) if tame else (lambda: raw(200))
        cases.append((
            chance.choice((0, 0, 0) + DENIALS),
            dict(status=chance.randrange(300, 600), body=text(), headers=[(name(), text()) for _ in range(chance.randrange(6))],
                 metadata=[(name(), text()) for _ in range(chance.randrange(4))], capacity=chance.randrange(16, 3000))))
    answers = pipe([answer_line(code, **rest) for code, rest in cases])
    whole = 0
    for (code, _), answer in zip(cases, answers):
        as_decided, response = written(answer)
        whole += as_decided
        assert response.status.code == (code if as_decided else 13)
        assert (response.WhichOneof("http_response") == "ok_response") == (code == 0 and as_decided)
    assert 150 < whole < 1350, whole


@pytest.mark.parametrize("service, said_of_it", [
    ("", "server"), ("envoy.service.auth.v3.Authorization", "authorization"), ("envoy.service.auth.v2.Authorization", "unknown")])
def test_health_is_asked_by_grpc_s_own_message(pipe, service, said_of_it):
    message = health_pb2.HealthCheckRequest(service=service).SerializeToString()
    assert pipe([f"health {shown(message)}"]) == [said_of_it]


@pytest.mark.parametrize("status", ["SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"])
def test_health_is_answered_by_grpc_s_own_message(pipe, status):
    value = health_pb2.HealthCheckResponse.ServingStatus.Value(status)
    (answer,) = pipe([f"healthy {value}"])
    framed = bytes_of(answer)
    wanted = health_pb2.HealthCheckResponse(status=value).SerializeToString()
    assert framed == b"\0" + len(wanted).to_bytes(4, "big") + wanted


def test_a_frame_is_taken_whole_or_refused_with_grpc_s_status(pipe):
    message = question().SerializeToString()
    prefix = len(message).to_bytes(4, "big")
    bodies = [b"\0" + prefix + message, b"\1" + prefix + message, b"\2" + prefix + message, b"\0" + prefix + message[:-1],
              (b"\0" + prefix + message) * 2, b"\0" + (65537).to_bytes(4, "big"), b""]
    assert pipe([f"frame {shown(body)}" for body in bodies]) == [
        f"message {shown(message)}", "refused compressed 12", "refused bad_flag 13", "refused truncated 13",
        "refused several_messages 13", "refused too_large 8", "refused truncated 13"]
