"""The head of a file in which libvirt saved a guest's memory: read it, and give it another guest's
description.

libvirt itself refuses to restore a guest under another name or UUID (`virDomainRestoreFlags`). The file is
simple: a head of 92 bytes, the description (and a cookie of libvirt's own) in a space of fixed length, then
QEMU's stream, which knows neither names nor paths. So a clone is the same file with another description in
the same space.
"""

from __future__ import annotations

import struct
import uuid
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from virtlab.hub import describe

HEAD = struct.Struct("<16s19I")  # magic, version, data length, was running, compressed, cookie offset, unused
MAGIC = b"LibvirtQemudSave"
VERSION = 2


class NotOurs(ValueError):
    """A save file of a kind that is not known here: boot cold instead."""


@dataclass(frozen=True)
class Head:
    words: tuple[int, ...]
    description: str
    cookie: bytes  # libvirt's notes about the running guest (its CPU as QEMU has it); kept as they are

    @property
    def length(self) -> int:
        """Of head and space in the file."""
        return HEAD.size + self.words[1]


def length(data: bytes) -> int:
    """How many bytes the head takes, from its first 92."""
    return HEAD.size + _words(data)[1]


def _words(data: bytes) -> tuple[int, ...]:
    if len(data) < HEAD.size:
        raise NotOurs("it is shorter than a head")
    magic, *words = HEAD.unpack_from(data)
    if magic != MAGIC:
        raise NotOurs(f"it begins with {magic!r}")
    version, _, _, compressed, _, *_ = words
    if version != VERSION:
        raise NotOurs(f"it has version {version}")
    if compressed:
        raise NotOurs("it is compressed")
    return tuple(words)


def read(data: bytes) -> Head:
    words = _words(data)
    space = data[HEAD.size : HEAD.size + words[1]]
    if len(space) < words[1]:
        raise NotOurs("it ends within its description")
    description, _, rest = space.partition(b"\0")
    cookie = space[words[4] :].partition(b"\0")[0] if words[4] else b""
    if words[4] and not rest:
        raise NotOurs("its cookie lies outside")
    return Head(words, description.decode(), cookie)


def write(head: Head, description: str) -> bytes:
    """The same head with another description, of the same length in the file."""
    text = description.encode() + b"\0"
    words = list(head.words)
    words[4] = len(text) if head.cookie else 0
    space = text + (head.cookie + b"\0" if head.cookie else b"")
    if len(space) > words[1]:
        raise NotOurs(f"a description of {len(space)} bytes does not fit into {words[1]}")
    return HEAD.pack(MAGIC, *words) + space.ljust(words[1], b"\0")


def clone(description: str, *, name: str, identity: str, disk: str, label: describe.Label) -> str:
    """A template's description with a clone's name, UUID, disk and label; devices stay where they are."""
    tree = ET.fromstring(description)  # noqa: S314  (libvirt's own words)
    if tree.find("metadata") is None:
        raise NotOurs("its description has no metadata")
    describe.rename(tree, name=name, disk=disk, label=label)
    describe.say(tree, "uuid", identity)
    describe.say(tree, "genid", str(uuid.uuid4()))
    for old in tree.findall("description"):
        tree.remove(old)
    return ET.tostring(tree, encoding="unicode")
