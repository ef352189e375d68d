"""Traces, policies, lists of certificates and vectors."""

import base64
import json

from .wire import REPOSITORY, be

TRACE = b'{"schema":"svsm-migration/trace/1","side":"source"}\n'


def trace(*lines):
    return TRACE + b"".join(lines)


def members(count, value):
    """A line of many members."""
    return b"{" + b",".join(b'"%d":%d' % (key, value) for key in range(count)) + b"}\n"


def nested(depth, count, value):
    """A line of arrays in arrays, the innermost of many numbers."""
    inner = b",".join([b"%d" % value] * count)
    return b'{"a":' + b"[" * depth + inner + b"]" * depth + b"}\n"


def der(tag, *parts):
    """A value of ASN.1, of these parts."""
    body = b"".join(parts)
    size = (len(body).bit_length() + 7) // 8
    length = be(size, len(body))
    return bytes([tag]) + (bytes([0x80 | size]) if len(body) > 127 else b"") + length + body


def revocations(count):
    """A revocation list of many serial numbers, of an issuer with the name of a model root; nobody has
    signed it."""
    algorithm = der(0x30, der(6, bytes.fromhex("2a8648ce3d040303")))
    issuer = der(0x30, der(0x31, der(0x30, der(6, bytes.fromhex("550403")), der(12, b"nobody"))))
    date = der(0x17, b"240101000000Z")
    revoked = b"".join(der(0x30, der(2, be(4, number | 1 << 28)), date) for number in range(count))
    listed = der(0x30, der(2, b"\1"), algorithm, issuer, date, der(0x17, b"490101000000Z"),
                 der(0x30, revoked))
    return der(0x30, listed, algorithm, der(3, b"\0" + der(0x30, der(2, b"\1"), der(2, b"\1"))))


def thim(size):
    """Azure's answer with as many certificates as fit, all of one authority."""
    body = base64.encodebytes((REPOSITORY / "Fixtures/model-platform/ask.der").read_bytes()).decode()
    pem = f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n"
    count = size // len(json.dumps(pem)) - 1
    return json.dumps({"vcekCert": pem, "certificateChain": pem * count}).encode()


def vector(recipe, given="golden/mixed/stream.mig", more=()):
    """A vector of a recipe."""
    lines = ["svsm-migration vector 1", "name: long", "what: a costly file", "subject: recipe",
             f"input: {given}", *more, "verdict: refused", "code: RECIPE-SYNTAX", "recipe:"]
    return ("\n".join(lines + ["  " + line for line in recipe]) + "\n").encode()
