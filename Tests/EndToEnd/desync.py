"""Request A and a tail on one connection, written so that two readers may see different ends of A: what people try
against a chain of HTTP servers. Each payload has paths of its own, so that whoever is asked for them is known."""

import dataclasses


@dataclasses.dataclass
class Payload:
    """`first` is A with its head's end, `body` what A's framing may or may not cover, then the hidden request."""

    name: str
    first: bytes
    body: bytes = b""

    def __str__(self):
        return self.name


def payload(name, *lines, method="POST", version="HTTP/1.1", body=b"", host="Host: a"):
    top = [f"{method} /app/{{mark}} {version}".encode()] + ([host.encode()] if host else []) + [b"{assertion}"]
    return Payload(name, b"\r\n".join([*top, *(line.encode("latin-1") for line in lines)]) + b"\r\n\r\n", body)


END = b"0\r\n\r\n"  # a chunked body's end, or five bytes of something else
COVER = "Content-Length: {length}"  # of the hidden request

PAYLOADS = [
    payload("length, then chunks", "Content-Length: 5", "Transfer-Encoding: chunked", body=END),
    payload("chunks, then length", "Transfer-Encoding: chunked", "Content-Length: 5", body=END),
    payload("two lengths, the short one first", "Content-Length: 0", COVER),
    payload("two lengths, the short one last", COVER, "Content-Length: 0"),
    payload("one length twice", COVER, COVER),
    payload("a list of lengths", "Content-Length: 0, {length}"),
    payload("a space before the colon", "Content-Length : {length}"),
    payload("a length with a sign", "Content-Length: +{length}"),
    payload("an empty length", "Content-Length:"),
    payload("another coding", "Transfer-Encoding: gzip"),
    payload("a coding that is nearly chunked", "Transfer-Encoding: xchunked", COVER),
    payload("chunked twice", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=END),
    payload("chunked, then identity", "Transfer-Encoding: chunked, identity", body=END),
    payload("chunked behind a tab", "Transfer-Encoding:\tchunked", COVER, body=END),
    payload("chunked behind a vertical tab", "Transfer-Encoding:\x0bchunked", COVER, body=END),
    payload("chunked on a folded line", "Transfer-Encoding:", " chunked", COVER, body=END),
    payload("chunked with HTTP/1.0", "Transfer-Encoding: chunked", version="HTTP/1.0", body=END),
    payload("Transfer_Encoding", "Transfer_Encoding: chunked", COVER),
    payload("a line that starts with NUL", "\0X: y"),
    payload("NUL in a value", "X: y\0z"),
    payload("a folded line", "X: y", " " + COVER),
    payload("a bare CR before a length", "X: y\r" + COVER),
    payload("a bare LF before a length", "X: y\n" + COVER),
    payload("HEAD with a body", COVER, method="HEAD"),
    payload("GET with a body", COVER, method="GET"),
    payload("OPTIONS with a body", COVER, method="OPTIONS"),
    payload("TRACE with a body", COVER, method="TRACE"),
    payload("a chunk size in hexadecimal clothes", "Transfer-Encoding: chunked", body=b"0x5\r\nhello\r\n0\r\n\r\n"),
    payload("a chunk extension that ends in LF", "Transfer-Encoding: chunked", body=b"5;a\nhello\r\n0\r\n\r\n"),
    payload("a chunk without its end", "Transfer-Encoding: chunked", body=b"5\r\nhello0\r\n\r\n"),
    payload("a negative chunk", "Transfer-Encoding: chunked", body=b"-1\r\n\r\n"),
    payload("a length among the trailers", "Transfer-Encoding: chunked", body=b"0\r\nContent-Length: 50\r\n\r\n"),
    payload("another Expect", COVER, "Expect: 200-ok"),
    payload("CONNECT", method="CONNECT"),
    payload("two hosts", "Host: b", COVER),
    payload("no host", COVER, host=None),
    # In the lines that every proxy hands to the gateway:
    payload("NUL in a cookie", "Cookie: a=b\0c", method="GET"),
    payload("a bare CR in a cookie", "Cookie: a=b\rX: y", method="GET"),
    payload("a bare LF in a cookie", "Cookie: a=b\nContent-Length: {length}", method="GET"),
    payload("a folded cookie", "Cookie: a=b", " Content-Length: {length}", method="GET"),
    payload("a cookie of 8-bit bytes", "Cookie: a=\xe9\xff", COVER, method="GET"),
    payload("a cookie with an end of its own", "Cookie: a=b%0d%0a%0d%0aGET / HTTP/1.1", COVER, method="GET"),
]


def written(payload, mark, assertion):
    """The payload's bytes: /app/<mark> with the assertion, and behind it /hidden/<mark> with none."""
    hidden = b"GET /hidden/%d HTTP/1.1\r\nHost: a\r\n\r\n" % mark
    first = payload.first.replace(b"{mark}", b"%d" % mark).replace(b"{assertion}", assertion.encode())
    return first.replace(b"{length}", b"%d" % len(hidden)) + payload.body + hidden
