"""A plan's names and addresses, and that libvirt's own schemas accept what is written for it."""

import inspect
import itertools
import re
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from xml.etree.ElementTree import fromstring as xml

import pytest
from lxml import etree

from virtlab.errors import UsageError
from virtlab.hub import describe, seats, words
from virtlab.hub.placement import SeatSize
from virtlab.hub.plan import FIRST, LAST, Door, Plan, Site

SCHEMAS = Path("/usr/share/libvirt/schemas")
PLAN = Plan(
    "cs101", SeatSize(1024, 2, 8192), hub=Door("192.0.2.9", 8081),
    doors=(Door("192.0.2.9", 5000, "registry.lab.test"),), forbidden=("192.0.2.0/24",),
)  # fmt: skip
SITES = [
    Site("kvm1", "qemu:///system", "10.150.1.0/24", emulated=True),
    Site("kvm2", "qemu:///system", "10.150.2.0/24"),
]


@pytest.mark.host  # libvirt's schemas come with `lab up`
@pytest.mark.parametrize("site", SITES, ids=lambda site: site.name)
@pytest.mark.parametrize("plan", [PLAN, Plan("cs101", PLAN.size, outside=False)], ids=["outside", "closed"])
def test_libvirt_accepts_it(plan, site):
    label = describe.Label("cs101", 'a"<&', "10.150.1.10", "golden.qcow2")
    texts = {
        "domain": [
            describe.guest(
                plan, site, "cs101-010", disk="/p/d&.qcow2", label=label, cards=describe.card(plan, site, 10)
            ),
            describe.guest(plan, site, "cs101-template", disk="/p/d.qcow2", label=label, room=True),
        ],
        "network": [describe.network(plan, site)],
        "nwfilter": [describe.seat_filter(plan, site)],
        "storagepool": [describe.pool(plan)],
        "storagevol": [describe.disk("a.qcow2", 1 << 30, "/p/golden.qcow2"), describe.file("a.memory", 512)],
    }
    for name, written in texts.items():
        schema = etree.RelaxNG(etree.parse(SCHEMAS / f"{name}.rng"))
        for text in written:
            assert schema.validate(etree.fromstring(text)), (name, schema.error_log.last_error, text)


def test_no_two_seats_share_an_address():
    places = list(itertools.product(SITES, range(FIRST, LAST + 1)))
    assert len({PLAN.mac(*place) for place in places}) == len(places)
    assert len({site.address(slot) for site, slot in places}) == len(places)
    assert PLAN.bridge(SITES[0]) != PLAN.bridge(SITES[1])
    assert len(PLAN.bridge(SITES[0])) <= 15
    assert PLAN.slot(PLAN.machine(77)) == 77


def _sent_by_ethernet(plan, site, address):
    """What the Ethernet layer does with a packet to this address: the rule with the lowest number counts."""
    rules = []
    for rule in xml(describe.seat_filter(plan, site)).iter("rule"):  # noqa: S314  (our own)
        packet = rule.find("ip")
        if packet is not None:
            net = IPv4Network(f"{packet.get('dstipaddr')}/{packet.get('dstipmask')}")
            if IPv4Address(address) in net:
                rules.append((int(rule.get("priority")), rule.get("action")))
    return min(rules)[1] if rules else "accept"


@pytest.mark.parametrize(
    ("address", "does"),
    [
        ("10.150.1.1", "accept"),  # the gateway: DNS and DHCP; what else, the other layer decides
        ("192.0.2.9", "accept"),  # the hub, in a forbidden network
        ("192.0.2.10", "drop"),
        ("10.150.1.11", "drop"),  # a neighbour, through the gateway
        ("10.150.2.10", "drop"),  # a seat of another host
        ("172.17.0.1", "drop"),  # Docker's bridge
        ("192.168.150.1", "drop"),
        ("169.254.169.254", "drop"),
        ("8.8.8.8", "accept"),
    ],
)
def test_where_a_seat_may_send(address, does):
    assert _sent_by_ethernet(PLAN, SITES[0], address) == does


def test_a_closed_plan_lets_nothing_out():
    closed = Plan("cs101", PLAN.size, outside=False)
    assert _sent_by_ethernet(closed, SITES[0], "8.8.8.8") == "drop"
    assert _sent_by_ethernet(closed, SITES[0], "10.150.1.1") == "accept"


SIZE = {"memory_mb": 1, "vcpus": 1, "disk_mb": 1}


@pytest.mark.parametrize(
    ("said", "why"),
    [({}, "not complete"), ({"name": "cs"}, "size"), ({"name": "Cs 1", "size": SIZE}, "name"),
     ({"name": "cs", "size": {}, "colour": 1}, "not complete")],
)  # fmt: skip
def test_a_wrong_plan_says_what_is_wrong(said, why):
    with pytest.raises(UsageError, match=why):
        Plan.of(said)


def test_a_subnet_that_does_not_do():
    for wrong in ("10.0.0.0/16", "house", "10.150.1.5/24"):
        with pytest.raises(UsageError, match="subnet"):
            Site("kvm1", "qemu:///system", wrong)


def test_students_are_told_in_both_languages():
    spoken = inspect.getsource(seats) + (Path(seats.__file__).with_name("spawner.py")).read_text()
    for phrase in re.findall(r'tell\(\s*"([^"]+)"', spoken):
        assert phrase in words.CHINESE, phrase
    assert words.html(words.FAILED, why="<b>").count("&lt;b&gt;") == 2
