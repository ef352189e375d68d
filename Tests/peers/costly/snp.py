"""SNP streams, some by a host that adds to them."""

import hashlib

from .wire import END, REPOSITORY, be, name, section
from .memory import far_pages


def machine(count):
    """A golden stream whose machine has many sections, in front of its seal."""
    whole = (REPOSITORY / "Fixtures/golden/tiny/stream.mig").read_bytes()
    place = whole.find(b"\x08snp-vcpu") - 5
    entries = b"".join(
        bytes([4, 1, len(f"d{k}"), 0]) + be(4, k + 1000) + be(4, 0) + be(4, 1) + be(4, 0)
        + f"d{k}".encode() for k in range(count))
    entries += b"".join(
        bytes([k, 3, 3, 0]) + be(4, 2) + be(4, 0) + be(4, 4) + be(4, 0) + b"ram" for k in (1, 2, 3))
    body = be(2, 1) + be(2, 1) + be(4, count + 3) + be(4, 0) * 3 + entries
    sections = section(4, 0x500000, "snp-machine", 0, 1, be(4, len(body)) + body)
    sections += b"".join(section(4, 0x1000000 + k, f"d{k}") for k in range(count))
    return whole[:place] + sections + whole[place:]


def extended(parts, size=None, before_token=True):
    """A golden stream with more parts in its first epoch, and with another size of its RAM block."""
    whole = (REPOSITORY / "Fixtures/golden/tiny/stream.mig").read_bytes()
    block = whole.find(b"\x03ram" + be(4, 0) + be(4, 4)) + 12
    assert whole[block + 8:block + 15] == name("pc.ram")
    if size:
        whole = whole[:block] + be(8, size | 4) + whole[block + 8:block + 15] + be(8, size) + \
            whole[block + 23:]
    tokens = whole.find(name("snp-epochs")) + len(name("snp-epochs")) + 8 + 128 + 5
    token = whole.find(be(1, 2) + be(4, 5), tokens)
    place = token if before_token else tokens
    return whole[:place] + parts + whole[place:]


def far_shared(count):
    """An SNP stream with shared pages that are far from each other."""
    return extended(section(2, 2, body=far_pages(count) + END), count << 21)


def many_epochs(count, regions):
    """An SNP stream of many epochs, all but the last forged, in two of which many pages are sent."""
    def token(epoch):
        return section(2, 5, body=be(4, epoch) + bytes(12) + be(8, 1) + bytes(104))
    pages = section(2, 2, body=far_pages(regions) + END)
    return extended(token(1) + pages + token(2) + pages
                    + b"".join(token(epoch) for epoch in range(3, count)), regions << 21, False)


def tree_root(leaves):
    """The root of the hash tree of a seal."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + tree_root(leaves[:half]) + tree_root(leaves[half:])).digest()


# The generator of P-384, which is the public key to the private key 1, and its order.
POINT = bytes.fromhex(
    "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7"
    "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f")
ORDER = int("ffffffffffffffffffffffffffffffffffffffffffffffff"
            "c7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16)


def sealed_by_host(whole):
    """The same SNP stream, sealed with the private key 1, which its session names as its source's."""
    key = whole.find(name("snp-session")) + 12 + 8 + 209
    start, signer = whole.rfind(b"SVSMSEAL"), b"\4" + POINT
    covered = whole[:key] + signer + whole[key + 97:start]
    leaves = [hashlib.sha256(b"\0" + covered[at:at + (256 << 10)]).digest()
              for at in range(0, start, 256 << 10)]
    fixed = (whole[start:start + 24] + be(8, start) + be(8, len(leaves)) + tree_root(leaves)
             + whole[start + 72:start + 112] + signer + bytes(7))
    digest = hashlib.sha384(b"svsm-migration v1 seal\0" + fixed).digest()
    # The random number of the signature is 1, too: r is the point's x.
    r = int.from_bytes(POINT[:48], "big")
    s = (int.from_bytes(digest, "big") + r) % ORDER
    old = int.from_bytes(whole[start + 32:start + 40], "big")
    return (covered + fixed + b"".join(leaves) + be(48, r) + be(48, min(s, ORDER - s))
            + whole[start + 216 + 32 * old + 96:])


def records_in_turn(count):
    """An SNP stream with shared pages of which every second one names its block: no two are alike."""
    pair = be(8, 2) + name("pc.ram") + b"\0" + be(8, 0x22) + b"\0"
    return sealed_by_host(extended(section(2, 2, body=pair * count + END)))


def parts_in_turn(count):
    """An SNP stream with parts of its shared memory of which every second one holds a page."""
    empty, one = section(2, 2, body=END), section(2, 2, body=be(8, 2) + name("pc.ram") + b"\0" + END)
    return sealed_by_host(extended((empty + one) * count))


def pages_apart(count):
    """An SNP stream with private pages that are far from each other, and have parts of its shared memory
    between them; a third of the pages comes again."""
    between, first = section(2, 2, body=END), 2 * count // 3
    return sealed_by_host(extended(b"".join(
        section(2, 4, body=be(8, 2 + i) + be(8, i % first + 1 << 21) + be(4, 1)
                + bytes([1 + i // first, 0, 1, 0, 0, 0, 0, 15])
                + be(4, 4096) + bytes(16 + 4096)) + between for i in range(count))))


def final_sections(count, size):
    """A golden stream with services in front of its commit that nobody has sealed."""
    whole = (REPOSITORY / "Fixtures/golden/tiny/stream.mig").read_bytes()
    place = whole.find(name("snp-commit")) - 5
    return whole[:place] + b"".join(
        section(4, 0x100 + i, "snp-service", 1 + i, 1,
                be(2, 2) + be(2, 0) + be(4, 1 + i) + be(8, 100 + i) + be(4, size) + be(4, 0)
                + bytes(16 + size)) for i in range(count)) + whole[place:]
