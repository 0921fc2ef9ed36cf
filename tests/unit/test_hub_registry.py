"""Where seats pull images: in the plan, in what libvirt is told, in what a seat is told, and in the seat."""

import base64
import json
import os
from dataclasses import asdict
from types import SimpleNamespace

import pytest

from virtlab.hub import describe, inside, seats
from virtlab.hub.placement import SeatSize
from virtlab.hub.plan import Plan, Registry, Site

SITE = Site("kvm1", "qemu:///system", "10.150.1.0/24")


@pytest.fixture
def registry(tmp_path):
    (tmp_path / "password").write_text("word\n")
    (tmp_path / "ca.crt").write_text("CERTIFICATE\n")
    files = {"password": str(tmp_path / "password"), "ca": str(tmp_path / "ca.crt")}
    return Registry("10.150.1.1", 5000, "registry.class.test", "seat", **files)


def test_a_plan_has_it_and_it_is_a_door(registry):
    said = {"name": "cs101", "size": vars(SeatSize(1024, 2, 8192)), "registry": asdict(registry)}
    plan = Plan.of(said)
    assert plan.registry == registry
    assert plan.every_door(SITE) == (plan.hub_door(SITE), registry)
    assert "<host ip='10.150.1.1'><hostname>registry.class.test</hostname></host>" in describe.network(
        plan, SITE
    )
    assert "<tcp dstipaddr='10.150.1.1' dstportstart='5000'/>" in describe.seat_filter(plan, SITE)
    assert Plan.of({**said, "registry": None}).every_door(SITE) == (plan.hub_door(SITE),)


def test_a_seat_is_told_address_trust_and_account(registry, tmp_path, caplog):
    assert seats._registry(None) == {}
    said = seats._registry(registry)["registry"]
    assert base64.b64decode(said.pop("account")) == b"seat:word"
    assert said == {
        "address": "10.150.1.1", "name": "registry.class.test", "endpoint": "registry.class.test:5000",
        "ca": "CERTIFICATE\n",
    }  # fmt: skip
    (tmp_path / "password").unlink()
    assert seats._registry(registry) == {}, "a seat without it is a seat"
    assert "no account of registry.class.test:5000" in caplog.text


@pytest.mark.parametrize("before", ["", "not JSON", "[]", '{"auths": 3, "detachKeys": "ctrl-a"}'])
def test_inside_what_the_student_has_stays(before, registry, tmp_path, monkeypatch):
    root, home = tmp_path / "root", tmp_path / "home"
    monkeypatch.setattr(inside, "Path", lambda path: path if home in getattr(path, "parents", ()) else
                        (home if str(path) == str(home) else root / str(path).lstrip("/")))  # fmt: skip
    for folder in (root / "etc", home / ".docker"):
        folder.mkdir(parents=True)
    (root / "etc/hosts").write_text("172.17.0.1\tregistry.lab.test\t# virtlab: registry.lab.test\n")
    settings = home / ".docker/config.json"
    if before:
        settings.write_text(before)
    seat = object.__new__(inside.Seat)
    seat.user = SimpleNamespace(pw_dir=str(home), pw_uid=os.getuid(), pw_gid=os.getgid())
    for address in ("10.150.1.1", "10.150.2.1"):  # the second time it is somewhere else
        said = seats._registry(registry) | {}
        said["registry"]["address"] = address
        assert seat.take(json.dumps(said).encode()) == "ok"
    assert (root / "etc/hosts").read_text().splitlines() == [
        "10.150.2.1 registry.class.test  # seat: registry",
        "172.17.0.1\tregistry.lab.test\t# virtlab: registry.lab.test",
    ]
    assert (root / "etc/docker/certs.d/registry.class.test:5000/ca.crt").read_text() == "CERTIFICATE\n"
    now = json.loads(settings.read_text())
    account = base64.b64encode(b"seat:word").decode()
    assert now["auths"] == {"registry.class.test:5000": {"auth": account}}
    assert now.get("detachKeys") == ("ctrl-a" if "detachKeys" in before else None)
    assert settings.stat().st_mode & 0o777 == 0o600
