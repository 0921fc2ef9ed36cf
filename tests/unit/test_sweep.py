"""What belongs to a lab. What was there before it, another lab's and the machine's own are never touched."""

import pytest

from virtlab import catalogue, sweep
from virtlab.seat import Seat
from virtlab.snapshot import Thing

LABEL = catalogue.LABEL
MINE = {LABEL: "90-tiny"}


@pytest.fixture
def lab(kit):
    kit.make("90-tiny", "tiny")
    return catalogue.load("90-tiny")


def container(name, *, ports=(), networks=("bridge",), **labels):
    dotted = {key.replace("__", "."): value for key, value in labels.items()}
    return Thing("container", name, name, dotted, frozenset(ports), frozenset(networks))


def own(lab, found, before=frozenset()):
    return {thing.name for thing in sweep.belongings(lab, found, before)}


def test_label_prefix_port_and_network(lab):
    found = [
        Thing("container", "1", "labelled", MINE),
        container("tiny-web"),
        container("mine-by-port", ports=[8197]),
        container("mine-by-network", networks=["tiny-net"]),
        Thing("network", "2", "tiny-net"),
        Thing("volume", "3", "tiny-data"),
        Thing("image", "4", "registry.lab.test:5000/tiny-app:1"),
        Thing("guest", "5", "tiny-vm"),
        Thing("disk", "virtlab/tiny-vm.qcow2", "tiny-vm.qcow2"),
        Thing("guest network", "6", "tiny-net"),
    ]
    strangers = [
        container("tinyweb"),
        container("other", ports=[8198]),
        container("web"),
        Thing("network", "7", "bridge"),
        Thing("image", "8", "tiny/app:1"),
        Thing("disk", "default/tiny-vm.qcow2", "somebody's, in another pool"),
        Thing("disk", "default/tiny-x.qcow2", "tiny-x.qcow2"),
        Thing("disk", "virtlab/virtlab-guest.qcow2", "virtlab-guest.qcow2"),
    ]
    assert own(lab, found + strangers) == {thing.name for thing in found}


def test_what_was_there_before_stays_unless_it_has_the_label(lab):
    found = [
        container("tiny-web", ports=[8197]),
        Thing("volume", "tiny-data", "tiny-data"),
        Thing("container", "1", "x", MINE),
    ]
    assert own(lab, found, {thing.key for thing in found}) == {"x"}


def test_a_lab_that_was_never_started_owns_only_its_label(lab):
    found = [container("tiny-web", ports=[8197]), Thing("container", "1", "x", MINE)]
    assert own(lab, found, None) == {"x"}


def test_another_labs_and_the_machines_own_stay(lab):
    found = [
        Thing("container", "1", "tiny-x", {LABEL: "91-other"}),
        Thing("container", "2", "tiny-y", {"virtlab.role": "registry"}, frozenset({8197})),
    ]
    assert own(lab, found) == set()


def test_the_rest_of_a_compose_project_goes_along(lab):
    project = {"com__docker__compose__project": "shop"}
    label = {"com.docker.compose.project": "shop"}
    found = [
        container("shop-web-1", ports=[8197], networks=["shop_default"], **project),
        container("shop-db-1", networks=["shop_default"], **project),
        container("guest-on-it", networks=["shop_default"]),
        Thing("network", "n", "shop_default", label),
        Thing("volume", "v", "shop_files", label),
        Thing("image", "i", "somebody/shop:1", label),
        container("other-db-1", com__docker__compose__project="other"),
    ]
    assert own(lab, found) == {"shop-web-1", "shop-db-1", "guest-on-it", "shop_default", "shop_files"}


def test_a_project_in_the_learners_folder_is_the_labs(lab):
    folder = {
        "com__docker__compose__project": "x",
        "com__docker__compose__project__working_dir": str(lab.work / "x"),
    }
    assert own(lab, [container("x-1", **folder)]) == {"x-1"}


def test_what_else_appeared_is_named_without_other_labs(lab):
    found = [
        container("old"),
        container("new"),
        container("net-web"),
        Thing("container", "1", "y", {LABEL: "91-other"}),
    ]
    assert [thing.name for thing in sweep.others(lab, found, {"container old"}, ["net"])] == ["new"]


@pytest.mark.host
def test_real_things_are_found_and_removed(kit):
    prefix = "unitsweep"
    kit.make("90-tiny", prefix)
    lab = catalogue.load("90-tiny")
    seat = Seat()
    before = {thing.key for thing in sweep.things(seat, lab)}
    made = seat.docker.networks.create(f"{prefix}-net", labels={"x": "y"})
    seat.docker.volumes.create(f"{prefix}-data")
    keep = seat.docker.volumes.create("unit-sweep-not-the-labs")
    try:
        found = sweep.things(seat, lab)
        gone = sweep.belongings(lab, found, before)
        assert {str(thing) for thing in gone} == {f"network {prefix}-net", f"volume {prefix}-data"}
        sweep.remove(seat, gone, found)
        sweep.remove(seat, gone, found)  # gone already is as good as removed
        assert not sweep.belongings(lab, sweep.things(seat, lab), before)
        assert keep.name in [one.name for one in seat.docker.volumes.list()]
    finally:
        keep.remove()
        for one in seat.docker.networks.list(ids=[made.id]):
            one.remove()
