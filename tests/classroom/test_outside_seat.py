"""A real seat graded from the hub's machine: through its host's filter, with a key that comes and goes.

What checks see behind it, test_outside.py shows.
"""

import pytest
import seatlab
from kvmhosts import KvmHost
from test_seats import FOLDER

from virtlab.classroom import outside
from virtlab.hub import machines, seats
from virtlab.hub.hosts import Host

pytestmark = [pytest.mark.host, pytest.mark.usefixtures("seat_image")]
LAB = "05-container-networks"


@pytest.fixture(scope="module")
def do():
    return seatlab.Loop()


@pytest.fixture(scope="module")
def host(do):
    with KvmHost(FOLDER, 1) as kvm, seatlab.Hub(kvm.hub) as hub:
        found = seatlab.digest()
        one = Host(seatlab.plan(found, hub=seatlab.HUB), seatlab.site(kvm))
        do(seatlab.ready(one, found))
        one.server = seatlab.server(kvm, "ada")
        yield one
        do(one.remove())
        hub.shutdown()


@pytest.fixture(scope="module")
def ada(host, do):
    return do(seats.start(host, "ada", host.server))


def keys(do, host, machine):
    return do(seats.execute(host, machine, "cat ~learner/.ssh/authorized_keys"))[1]


def test_a_lab_that_is_not_started(host, ada, do):
    said = do(outside.grade(host, ada, LAB))
    assert (said.said, said.more["phase"], said.more["seen"]) == ("not started", "new", None)
    assert "virtlab-visit" not in keys(do, host, ada)


def test_two_who_look_at_once(host, ada, do):
    first, second = do.together(*(outside.grade(host, ada, LAB) for _ in range(2)))
    assert first.said == second.said
    assert "virtlab-visit" not in keys(do, host, ada)


def test_without_ssh_nobody_can_tell(host, ada, do):
    do(seats.execute(host, ada, "systemctl stop ssh.socket ssh.service"))
    with pytest.raises(outside.Unknown, match="log in to the seat"):
        do(outside.grade(host, ada, LAB))
    assert "virtlab-visit" not in keys(do, host, ada)
    do(seats.execute(host, ada, "systemctl start ssh"))


def test_a_seat_that_is_off(host, ada, do):
    do(machines.switch_off(host, ada.name, 5))
    off = do(machines.get(host, ada.name))
    said = do(outside.grade(host, off, LAB))
    assert (said.state, said.said) == ("skipped", "is off")
