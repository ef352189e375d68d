"""Ways of making a good file bad that know the file's structure. A mutator takes a random source and
the bytes of a good file, and gives those of another: lengths that enclose what was changed are mended
most of the time, so that what lies inside is read at all."""

import json

EXTREMES = [0, 1, 2, 3, 7, 8, 0x7F, 0x80, 0xFF, 0x100, 0xFFF, 0x1000, 0x1001, 0x7FFF, 0x8000, 0xFFFF,
            0x10000, 0xFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF, 1 << 32, 1 << 47,
            (1 << 52) - 4096, 1 << 52, (1 << 52) + 4096, 1 << 62, (1 << 63) - 1, 1 << 63,
            (1 << 64) - 0x200000, (1 << 64) - 0x2000, (1 << 64) - 4096, (1 << 64) - 1]


def extreme(rng, size):
    """An integer of so many bytes, at a border of what readers may think of."""
    if rng.random() < 0.2:
        return rng.getrandbits(8 * size)
    return rng.choice(EXTREMES) & ((1 << 8 * size) - 1)


def put(rng, data, at, size, order="big"):
    """An extreme number, or one beside the number there, over a field."""
    if at < 0 or at + size > len(data):
        return
    if rng.random() < 0.3:
        old = int.from_bytes(data[at:at + size], order)
        value = (old + rng.choice([-4096, -8, -1, 1, 8, 4096])) & ((1 << 8 * size) - 1)
    else:
        value = extreme(rng, size)
    data[at:at + size] = value.to_bytes(size, order)


def havoc(rng, data, places=(), order="big"):
    """One to four changes of bytes, preferably at `places`: offsets, or (offset, size) of fields."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        place = rng.choice(places) if places and rng.random() < 0.8 else rng.randrange(len(data) + 1)
        at, size = place if isinstance(place, tuple) else (place, rng.choice([1, 2, 4, 8]))
        if rng.random() < 0.1:
            at += rng.randrange(16)
        change = rng.random()
        if change < 0.6:
            put(rng, data, at, size, order)
        elif change < 0.75 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif change < 0.85:
            count = rng.choice([1, 4, 8, 24, 4096])
            data[at:at] = data[at:at + count] if rng.random() < 0.5 else rng.randbytes(count)
        elif change < 0.95:
            del data[at:at + rng.choice([1, 2, 8, 24, 4096])]
        else:
            del data[at:]
    return bytes(data)


# JSON

def change_json(rng, value, depth=0):
    """A JSON value like this one, wrong at one place."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        change = rng.random()
        if change < 0.1:
            return {k: v for k, v in value.items() if k != key}
        if change < 0.15:
            return {**value, rng.choice(["", "x", "\u212a" + key, key.upper(), "../" + key]): value[key]}
        return {k: change_json(rng, v, depth + 1) if k == key else v for k, v in value.items()}
    if isinstance(value, list) and value and rng.random() < 0.9:
        at = rng.randrange(len(value))
        change = rng.random()
        if change < 0.1:
            return value[:at] + value[at + 1:]
        if change < 0.2:
            return value[:at] + [value[at]] * rng.choice([2, 3, 64]) + value[at:]
        if change < 0.25:
            return value[::-1]
        return value[:at] + [change_json(rng, value[at], depth + 1)] + value[at + 1:]
    if isinstance(value, str) and value and rng.random() < 0.6:
        change = rng.random()
        if change < 0.4:
            return hex(extreme(rng, 8))
        if change < 0.6:
            return value[:rng.randrange(len(value))]
        if change < 0.8:
            return value + rng.choice(["0", "\0", "\x1b[31m", "/..", "\ud800", value])
        return value.swapcase()
    if isinstance(value, int) and not isinstance(value, bool) and rng.random() < 0.7:
        return extreme(rng, 8)
    if rng.random() < 0.02:
        nested = value
        for _ in range(rng.choice([8, 63, 64, 65, 200])):
            nested = [nested] if rng.random() < 0.5 else {"a": nested}
        return nested
    return rng.choice([None, True, 0, -1, 1.5, 1e300, extreme(rng, 8), "", "0x", "a", [], {}, value])


def json_text(rng, text, separators=None):
    """Text of JSON like this; now and then wrong as text."""
    value = json.loads(text)
    for _ in range(rng.choice([1, 1, 2, 5])):
        value = change_json(rng, value)
    made = json.dumps(value, separators=separators).encode()
    if rng.random() < 0.1:
        made = havoc(rng, made)
    return made


# DER

def read_der(data):
    """[tag, content] for each value; content is a list where it has values inside. None when this is
    no DER."""
    found, at = [], 0
    while at < len(data):
        if at + 2 > len(data):
            return None
        tag, length, start = data[at], data[at + 1], at + 2
        if length >= 0x80:
            count = length & 0x7F
            if not 1 <= count <= 3 or start + count > len(data):
                return None
            length, start = int.from_bytes(data[start:start + count], "big"), start + count
        if start + length > len(data):
            return None
        content = bytes(data[start:start + length])
        inside = read_der(content) if tag & 0x20 else None
        found.append([tag, content if inside is None else inside])
        at = start + length
    return found


def write_der(values):
    made = b""
    for tag, content in values:
        if isinstance(content, list):
            content = write_der(content)
        length = len(content)
        made += bytes([tag & 0xFF])
        if length < 0x80:
            made += bytes([length])
        else:
            digits = length.to_bytes((length.bit_length() + 7) // 8, "big")
            made += bytes([0x80 | len(digits)]) + digits
        made += content
    return made


def all_lists(values):
    yield values
    for _, content in values:
        if isinstance(content, list):
            yield from all_lists(content)


def der(rng, data):
    """A DER value with one to three of the values in it changed, the lengths right."""
    tree = read_der(data)
    if tree is None or rng.random() < 0.1:
        return havoc(rng, data)
    for _ in range(rng.choice([1, 1, 2, 3])):
        values = rng.choice([found for found in all_lists(tree) if found] or [tree])
        if not values:
            continue
        at = rng.randrange(len(values))
        tag, content = values[at]
        change = rng.random()
        if change < 0.1:
            del values[at]
        elif change < 0.2:
            values.insert(at, [tag, content])
        elif change < 0.3:
            values[at][0] = rng.choice([1, 2, 3, 4, 5, 6, 12, 19, 23, 24, 48, 49, 0xA0, 0xA3, 0x1F])
        elif isinstance(content, list):
            if change < 0.5 and len(content) > 1:
                rng.shuffle(content)
            elif change < 0.6:
                values[at][1] = []
        elif tag == 2:
            size = rng.choice([1, 2, 4, 8, 8, 9, 20])
            values[at][1] = rng.choice([
                extreme(rng, min(size, 8)).to_bytes(min(size, 8), "big"), b"", b"\x7f" + b"\xff" * 7,
                b"\x80" + bytes(size), b"\0" * size, rng.randbytes(size)])
        elif change < 0.5:
            values[at][1] = rng.choice([b"", content * 2, content[:-1], bytes(len(content)),
                                        b"\xff" * len(content), b"99991231235959Z", b"500101000000Z"])
        else:
            values[at][1] = havoc(rng, content) if content else rng.randbytes(3)
    return write_der(tree)


# A certificate table of GHCB

def table(rng, data):
    """The entries of a certificate table, some of them changed."""
    entries = []
    for at in range(0, len(data) - 23, 24):
        if data[at:at + 16] == bytes(16):
            break
        start, size = (int.from_bytes(data[at + i:at + i + 4], "little") for i in (16, 20))
        entries.append([data[at:at + 16], data[start:start + size]])
    for _ in range(rng.choice([0, 1, 1, 2])):
        if not entries:
            break
        at = rng.randrange(len(entries))
        change = rng.random()
        if change < 0.2:
            entries.append(list(entries[at]))
        elif change < 0.4:
            entries[at][0] = rng.randbytes(16)
        elif change < 0.8:
            entries[at][1] = der(rng, entries[at][1])
        else:
            rng.shuffle(entries)
    head, body = b"", b""
    start = 24 * (len(entries) + 1)
    for guid, content in entries:
        head += guid + (start + len(body)).to_bytes(4, "little") + len(content).to_bytes(4, "little")
        body += content
    made = head + bytes(24) + body
    if rng.random() < 0.4:
        made = havoc(rng, made, [(24 * i + j, 4) for i in range(len(entries)) for j in (16, 20)],
                     "little")
    return made
