"""The head of a saved guest: what libvirt wrote comes back, and nothing else is taken for it."""

import struct
from xml.etree.ElementTree import fromstring as xml
from xml.etree.ElementTree import tostring

import pytest

from virtlab.hub import describe, savefile
from virtlab.hub.placement import SeatSize
from virtlab.hub.plan import Plan, Site

PLAN = Plan("cs", SeatSize(1024, 1, 8192))
SITE = Site("kvm1", "qemu:///system", "10.150.1.0/24", emulated=True)
LABEL = describe.Label("cs", "", "", "template.qcow2")
COOKIE = b"<cookie><cpu/></cookie>"


def saved(description, *, version=2, compressed=0, cookie=COOKIE, padding=1024):
    """A file as libvirt 9 lays it out."""
    text = description.encode() + b"\0"
    space = text + cookie + b"\0" + b"\0" * padding
    words = [version, len(space), 1, compressed, len(text), *[0] * 14]
    return struct.pack("<16s19I", b"LibvirtQemudSave", *words) + space + b"QEVM the stream"


@pytest.fixture
def template():
    return describe.guest(PLAN, SITE, "cs-template", disk="/pool/template.qcow2", label=LABEL, room=True)


def clone(template, name="cs-010", owner="ada"):
    return savefile.clone(
        template.replace("<genid/>", "<uuid>7ed24d61-79e2-4b3e-9a6e-1e3cbd4d8d11</uuid><genid/>"),
        name=name,
        identity="0b8f9e9a-4d69-4d5e-8e3b-0d6a3c3b7a10",
        disk=f"/pool/{name}.qcow2",
        label=describe.Label("cs", owner, "10.150.1.10", "template.qcow2"),
    )


def test_another_description_takes_the_same_space(template):
    data = saved(template)
    head = savefile.read(data)
    assert head.description == template
    new = savefile.write(head, clone(template))
    assert len(new) == head.length == data.index(b"QEVM")
    again = savefile.read(new)
    assert again.cookie == COOKIE
    assert xml(again.description).findtext("name") == "cs-010"  # noqa: S314  (our own)
    assert xml(again.description).findtext("uuid") == "0b8f9e9a-4d69-4d5e-8e3b-0d6a3c3b7a10"  # noqa: S314  (our own)


def test_a_clone_is_told_apart_everywhere(template):
    tree = xml(clone(template))  # noqa: S314  (our own)
    assert tree.find("devices/disk/source").get("file") == "/pool/cs-010.qcow2"
    assert describe.Label.of(tree).owner == "ada"
    assert tree.findtext("genid")
    assert "cs-template" not in tostring(tree, encoding="unicode")


def test_the_longest_names_still_fit(template):
    long = Plan("a" * 20, PLAN.size)
    label = describe.Label(
        long.name, "s" * 64, "10.150.199.249", f"template-{'0' * 17}.qcow2", "k" * 90, "yes"
    )
    other = savefile.clone(
        template, name=f"{long.name}-249", identity="0" * 36, disk=f"/{'d' * 200}/x.qcow2", label=label
    )
    savefile.write(savefile.read(saved(template, padding=0)), other)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "shorter"),
        (b"LibvirtQemudPart" + bytes(76), "begins with"),
        (saved("<domain/>", version=3), "version 3"),
        (saved("<domain/>", compressed=1), "compressed"),
        (saved("<domain/>")[:100], "ends within"),
    ],
)
def test_what_is_not_known_is_refused(data, why):
    with pytest.raises(savefile.NotOurs, match=why):
        savefile.read(data)


def test_a_description_that_does_not_fit_is_refused():
    head = savefile.read(saved("<domain/>", padding=0))
    with pytest.raises(savefile.NotOurs, match="does not fit"):
        savefile.write(head, "<domain>" + "x" * 100 + "</domain>")
