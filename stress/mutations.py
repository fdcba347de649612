"""Damage: to bytes, to JSON, to XML, to what is packed."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import zipfile
from typing import Any

_HOSTILE_JSON: list[Any] = [
    *(None, True, "", "x", "1", -1, 0, 1, 2**31, 2**63, 10**30, 1e9, -1e9, 1e308, 0.5, [], {}),
    *([1], [[1]], [[0, 0, 1e9, 0, 1e9, 1e9]], [3, 10**15], {"size": [1, 1], "counts": "0"}),
    *(float("nan"), float("inf"), float("-inf"), "\u202e\x1b[2J\0", "../../etc/passwd", "é" * 3000),
]
_HOSTILE_TEXT = [
    *(b"[" * 200_000, b"9" * 5000, b'{"a":' * 5000, b"\xff\xfe", b"\xef\xbb\xbf", b"\0" * 100),
    *(
        b"-",
        b'"',
        b"NaN",
        b"1e999",
        b"null",
        b"\n" * 1000,
        b"<!ENTITY x 'y'>",
        b"&x;",
        b"<a>" * 9999,
    ),
]
_XML_NUMBER = re.compile(rb'"-?[0-9.]+"')
_HOSTILE_XML = [
    *(b'"-1"', b'"1e9"', b'"1e308"', b'"nan"', b'"inf"', b'""', b'"x"', b'"9999999999"', b'"0x1"'),
]


def damage_bytes(content: bytes, rng: random.Random) -> bytes:
    """Flip, cut, zero, repeat or insert."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 3, 20))):
        if not data:
            break
        # Headers are short, and decide the most.
        at = rng.randrange(min(len(data), rng.choice((64, 600, len(data)))))
        match rng.randrange(6):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at] = rng.choice((0, 1, 127, 128, 255))
            case 2:
                data[at : at + 4] = rng.choice(
                    (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f")
                )
            case 3:
                length = rng.randrange(1, 400)
                data[at : at + length] = bytes(length)
            case 4:
                length = rng.randrange(1, 400)
                data[at:at] = data[at : at + length]
            case _:
                data[at:at] = rng.choice(_HOSTILE_TEXT)[:3000]
    return bytes(data)


def cut_short(content: bytes, rng: random.Random) -> bytes:
    """The beginning, as a broken copy leaves it."""
    return content[: rng.choice((rng.randrange(len(content) or 1), -1, 0, 8))]


def damage_json(content: bytes, rng: random.Random) -> bytes:
    """Exchange, remove or repeat some nodes, or damage the text."""
    if rng.random() < 0.25:
        at = rng.randrange(len(content) + 1)
        middle = rng.choice(_HOSTILE_TEXT)
        return rng.choice(
            (
                content[:at] + middle + content[at:],
                middle,
                cut_short(content, rng),
                content.decode().encode("utf-16"),
                damage_bytes(content, rng),
            )
        )
    try:
        root = json.loads(content)
    except ValueError:  # a log: a record a line
        return damage_bytes(content, rng)
    for _ in range(rng.choice((1, 1, 2, 5))):
        nodes = list(_nodes(root))
        if not nodes:
            break
        holder, key = rng.choice(nodes)
        match rng.randrange(8):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, list):
                holder.extend([holder[key]] * 50)
            case 2 if isinstance(holder[key], int):
                holder[key] += rng.choice((-1, 1, 1000))
            case 3:
                holder[key] = str(holder[key])
            case 4:
                holder[key] = [holder[key]]
            case _:
                holder[key] = rng.choice(_HOSTILE_JSON)
    return json.dumps(root).encode()


def _nodes(root: Any) -> Any:
    """Every (list or dict, key) at any depth."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        keys = node.keys() if isinstance(node, dict) else range(len(node))
        for key in keys:
            yield node, key
            if isinstance(node[key], dict | list):
                waiting.append(node[key])


def damage_xml(content: bytes, rng: random.Random) -> bytes:
    """Exchange numbers, cut tags, nest, or add entities."""
    match rng.randrange(6):
        case 0:
            return damage_bytes(content, rng)
        case 1:
            return cut_short(content, rng)
        case 2:
            bomb = b'<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb">' + b"".join(
                b'<!ENTITY b%d "%s">' % (i, b"&b%d;" % (i - 1) * 10 if i else b"&b;" * 10)
                for i in range(10)
            )
            return content.replace(b"<Annotations>", bomb + b"]><Annotations>&b9;", 1)
        case 3:
            outside = b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><Annotations>&b;'
            return content.replace(b"<Annotations>", outside, 1)
        case 4:
            tags = list(re.finditer(rb"<[^>]*>", content))
            tag = rng.choice(tags)
            return content[: tag.start()] + rng.choice((b"", tag[0] * 3000)) + content[tag.end() :]
        case _:
            return _XML_NUMBER.sub(
                lambda m: rng.choice(_HOSTILE_XML) if rng.random() < 0.2 else m[0], content
            )


def damage_gzip(content: bytes, rng: random.Random) -> bytes:
    """Damage what is packed, or the JSON in it, or put in what is much larger unpacked."""
    match rng.randrange(4):
        case 0:
            return damage_bytes(content, rng)
        case 1:
            return gzip.compress(rng.choice((b" ", b"[],")) * 100_000_000, 1)
        case _:
            return gzip.compress(damage_json(gzip.decompress(content), rng))


def damage_zip(content: bytes, rng: random.Random) -> bytes:
    """Damage the archive, or a file in it, or fill it with what is much larger unpacked."""
    if rng.random() < 0.4:
        return damage_bytes(content, rng)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        inside = {name: archive.read(name) for name in archive.namelist()}
    name, text = rng.choice(list(inside.items()))
    match rng.randrange(5):
        case 0:
            inside[name] = text + b" " * 300_000_000
        case 1:
            record = text.strip().removeprefix(b"[").removesuffix(b"]")
            inside[name] = b"[" + b",".join([record] * 200_000) + b"]"
        case 2:
            inside = {rng.choice(("../x.json", "a/b.json", "x\0y", "\x1b[2J.json", "")): text}
        case _:
            damage = damage_json if name.endswith(".json") else damage_bytes
            inside[name] = damage(text, rng)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in inside.items():
            archive.writestr(name or "x", text)
    return buffer.getvalue()
