"""Lab 10: right answers that are not ours pass; what only looks right is refused, each for its reason.

Nothing is booted here: that a guest answers over SSH and HTTP is shown by `lab prove 10`.
"""

import libvirt
import pytest
from answers import started

from virtlab import checks, guests
from virtlab.seat import Seat

pytestmark = pytest.mark.host

FILE = "<disk type='file'><driver name='qemu' type='qcow2'/><source file='{path}'/><target dev='vda'/></disk>"
VOLUME = "<disk type='volume'><driver name='qemu' type='qcow2'/><source pool='{pool}' volume='{name}'/><target dev='sda'/></disk>"  # noqa: E501
CARD = "<interface type='network'><source network='{network}'/></interface>"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with started("10", tmp_path_factory) as lab:
        yield lab


class Answers:
    """A learner who makes disks and guests, and asks for the verdict."""

    def __init__(self, lab):
        self.lab, self.seat = lab, Seat()
        self.pool = self.seat.libvirt.storagePoolLookupByName(lab.host.kvm_host.pool)

    def disk(self, name="vm-mine", size=4, backing=True, **more):
        image = self.lab.host.vm_image
        upon = more.get("upon", image.path)
        store = f"<backingStore><path>{upon}</path><format type='qcow2'/></backingStore>" if backing else ""
        return self.pool.createXML(
            f"<volume><name>{name}</name><capacity unit='GiB'>{size}</capacity>"
            f"<target><format type='qcow2'/></target>{store}</volume>").path()

    def guest(self, devices, memory=512, cpus=1, name="vm-mine", transient=False):
        host = self.lab.host.kvm_host
        xml = (f"<domain type='{host.domain_type}'><name>{name}</name><memory unit='MiB'>{memory}</memory>"
               f"<vcpu>{cpus}</vcpu><os><type machine='{host.machine}'>hvm</type></os>"
               f"<devices>{devices}</devices></domain>")
        link = self.seat.libvirt
        return link.createXML(xml, libvirt.VIR_DOMAIN_START_PAUSED) if transient else link.defineXML(xml)

    def verdict(self, check):
        one = next(one for one in self.lab.checks if one.id == check)
        result = checks.run([one], Seat(), self.lab)[0]
        return str(result.state), result.message

    def clear(self):
        for domain in self.seat.libvirt.listAllDomains():
            if domain.name().startswith("vm-"):
                if domain.isActive():
                    domain.destroy()
                if domain.name() in [one.name() for one in self.seat.libvirt.listAllDomains()]:
                    domain.undefine()
        for volume in self.pool.listAllVolumes():
            if volume.name().startswith("vm-"):
                volume.delete()


@pytest.fixture
def learner(lab):
    answers = Answers(lab)
    yield answers
    answers.clear()


def test_an_overlay_by_any_name_and_of_any_making_passes(learner):
    learner.disk("vm-whatever-you-like.img")
    assert learner.verdict("overlay")[0] == "pass"


def test_a_second_disk_of_another_size_does_no_harm(learner):
    learner.disk("vm-a-large-one", size=8)
    learner.disk("vm-mine")
    assert learner.verdict("overlay")[0] == "pass"


def test_a_disk_without_a_base_is_refused(learner):
    learner.disk(backing=False)
    state, said = learner.verdict("overlay")
    assert (state, "builds upon nothing" in said) == ("fail", True)


def test_an_overlay_upon_something_else_is_refused(learner):
    other = learner.disk("vm-other", backing=False)
    learner.disk("vm-another", upon=other)
    assert learner.verdict("overlay")[0] == "fail"


def test_an_overlay_of_the_wrong_size_is_refused(learner):
    learner.disk(size=5)
    state, said = learner.verdict("overlay")
    assert (state, "5120 MiB" in said) == ("fail", True)


def test_a_guest_that_names_its_volume_passes(learner):
    learner.disk("vm-mine")
    host = learner.lab.host.kvm_host
    learner.guest(VOLUME.format(pool=host.pool, name="vm-mine") + CARD.format(network=host.network))
    assert learner.verdict("defined")[0] == "pass"


def test_a_guest_with_a_card_on_the_bridge_passes(learner):
    path = learner.disk()
    card = f"<interface type='bridge'><source bridge='{learner.lab.host.kvm_host.bridge}'/></interface>"
    learner.guest(FILE.format(path=path) + card)
    assert learner.verdict("defined")[0] == "pass"


@pytest.mark.parametrize(("wrong", "reason"), [
    ("base", "has the base itself as its disk"),
    ("copy", "builds upon nothing"),
    ("memory", "1024 MiB"),
    ("cpus", "2 CPU"),
    ("network", "I expected a card on the network"),
    ("transient", "forgets it when it stops"),
])
def test_a_guest_that_only_looks_right_is_refused(learner, wrong, reason):
    path = learner.disk(backing=wrong != "copy")
    card = CARD.format(network=learner.lab.host.kvm_host.network)
    learner.guest(
        FILE.format(path=learner.lab.host.vm_image.path if wrong == "base" else path)
        + ("" if wrong == "network" else card),
        memory=1024 if wrong == "memory" else 512, cpus=2 if wrong == "cpus" else 1,
        transient=wrong == "transient")
    state, said = learner.verdict("defined")
    assert state == "fail"
    assert reason in said


def test_defined_is_not_reachable(learner):
    card = CARD.format(network=learner.lab.host.kvm_host.network)
    learner.guest(FILE.format(path=learner.disk()) + card)
    for check in ("reachable", "page", "comes_back"):
        state, said = learner.verdict(check)
        assert (state, "does not run" in said) == ("fail", True)


def test_running_is_not_reachable(learner):
    """A guest with an empty disk runs, and nobody is at home."""
    card = CARD.format(network=learner.lab.host.kvm_host.network)
    learner.guest(FILE.format(path=learner.disk(backing=False)) + card).create()
    state, said = learner.verdict("reachable")
    assert (state, "nobody knows an IP address" in said) == ("fail", True)


def test_a_base_that_was_written_to_is_noticed(learner):
    class Host(dict):
        __getattr__ = dict.__getitem__

    class Lab:
        host = Host(kvm_host=learner.lab.host.kvm_host, vm_image=Host(learner.lab.host.vm_image, modified=1))
        name, checks = learner.lab.name, learner.lab.checks

    learner.disk()
    one = next(one for one in learner.lab.checks if one.id == "overlay")
    with pytest.raises(AssertionError, match="was written to"):
        one(learner.seat, Lab)
    assert guests.volumes(learner.seat, learner.lab)
