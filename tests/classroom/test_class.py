"""A class from nothing to nothing, by the command line: two KVM hosts, then one machine that is everything.

It uses this machine's own libvirt and state, as a class does, and leaves them as they were.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import libvirt
import pytest
import requests
from classhub import until
from kvmhosts import HUB, KvmHost

from virtlab import paths
from virtlab.classroom import image, record
from virtlab.hub import machines, seats

pytestmark = pytest.mark.host
# The kit's own disk, as it lies here: a newer kit is not what this is about. `up` builds it if there is none.
DISK = Path(image.CACHE, image.VOLUME)
FOLDER = Path("/var/tmp/virtlab-class")  # noqa: S108  (QEMU's user has to get there)
NAME = "class-vtclass"
PORT = 8744
CLASS = f"""
title: {{en: A test}}
address: https://localhost:{PORT}
listen: {{port: {PORT}}}
labs: [04-local-registry, 05-container-networks]
seat: {{memory_mb: 1024, vcpus: 1, disk_mb: 20480}}
warm: WARM
"""
ONE = "hub: {hosts: {here: }}\nkvm_hosts: {hosts: {here: }}\n"


class TheClass:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, hosts: str, warm: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        here = "all: {hosts: {here: {ansible_connection: local, ansible_python_interpreter: "
        here += "'{{ ansible_playbook_python }}'}}}\n"
        (self.folder / "hosts.yml").write_text(here + hosts)
        (self.folder / "class.yml").write_text(CLASS.replace("WARM", str(warm)))
        (self.folder / "roster.csv").write_text("id,name\ns001,Ada\ns002,王小明\n")

    def command(self, *words: str) -> list[str]:
        up = ["-i", str(self.folder), *(["--image", str(DISK)] if DISK.exists() else [])]
        begin = [sys.executable, "-P", "-m", "virtlab", "classroom", *words]
        return begin + (up if words[0] == "up" else [])

    def run(self, *words: str, code: int = 0, seconds: int = 1800) -> tuple[dict, str]:
        """What it says as JSON, and what it told on the way."""
        done = subprocess.run(
            self.command(*words, "--json"), capture_output=True, text=True, timeout=seconds, check=False
        )
        assert done.returncode == code, done.stdout[-3000:] + done.stderr[-6000:]
        return json.loads(done.stdout), done.stderr

    def up(self, code: int = 0) -> tuple[dict, str]:
        return self.run("up", "--yes", code=code)

    def host_of(self, who: str):
        """The student's machine."""

        async def find():
            for host in record.load().hosts().values():
                if machine := await machines.of(host, who):
                    return host, machine
            raise AssertionError(f"{who} has no machine.")

        return find()

    def inside(self, who: str, command: str) -> str:
        async def work():
            host, machine = await self.host_of(who)
            return (await seats.execute(host, machine, command, 120))[1]

        return asyncio.run(work())


@pytest.fixture(scope="module")
def one():
    if record.find() is not None:
        pytest.fail("A class lives on this machine: `lab classroom down` first.")
    made = TheClass(FOLDER / "vtclass")
    yield made
    if record.find() is not None:
        subprocess.run(made.command("down", "--yes"), timeout=300, check=False)
    shutil.rmtree(FOLDER, ignore_errors=True)


def things() -> set[str]:
    """Everything libvirt has here, by name."""
    connection = libvirt.open("qemu:///system")
    try:
        every = [*connection.listAllDomains(), *connection.listAllNetworks(), *connection.listAllNWFilters(),
                 *connection.listAllStoragePools()]  # fmt: skip
        return {f"{type(thing).__name__} {thing.name()}" for thing in every}
    finally:
        connection.close()


@pytest.fixture(scope="module")
def before(one):
    return things()


def log_in(who: str) -> requests.Session:
    """As a browser does, with the password from the student's card."""
    data = record.data()
    session = requests.Session()
    session.trust_env, session.verify = False, str(paths.CA)
    session.get(f"{data.url}/hub/login", timeout=30)
    form = {"username": who, "password": data.accounts.first_password(who), "_xsrf": session.cookies["_xsrf"]}
    assert session.post(f"{data.url}/hub/login", data=form, timeout=30).url.endswith("/hub/home")
    return session


def start(session: requests.Session, who: str) -> float:
    """Seconds until the student's JupyterLab answers."""
    began = time.monotonic()
    url = record.data().url
    session.get(f"{url}/hub/spawn/{who}", timeout=60)

    def answers():
        found = session.get(f"{url}/user/{who}/api/status", timeout=60)
        return found.status_code == 200 and "kernels" in found.text

    until(answers, 400)
    return time.monotonic() - began


# --- two KVM hosts, each a libvirt of its own
@pytest.fixture(scope="module")
def kvm():
    with ExitStack() as stack:
        yield [stack.enter_context(KvmHost(FOLDER / "hosts", number)) for number in (1, 2)]


@pytest.fixture(scope="module")
def two(one, kvm):
    here = "ansible_connection: local, seat_subnet: "
    hosts = "".join(f"    {one.name}: {{{here}{one.subnet}, libvirt_uri: '{one.uri}'}}\n" for one in kvm)
    one.write(f"hub: {{hosts: {{here: {{ansible_host: {HUB}}}}}}}\nkvm_hosts:\n  hosts:\n{hosts}", warm=0)
    return one


def test_two_hosts_at_once(two):
    said, told = two.up()
    assert said["problems"] == []
    assert said["hosts"] == ["kvm1", "kvm2"]
    assert told.count("its digest is right") == 2


def test_a_dead_host_is_loud_and_the_rest_goes_on(two, kvm):
    kvm[1].kill()
    began = time.monotonic()
    said, _ = two.run("status", code=3)
    assert time.monotonic() - began < 30
    assert said["hub"]["up"]
    assert [host["answers"] for host in said["hosts"]] == [True, False]
    said, told = two.up(code=3)
    assert [one["where"] for one in said["problems"]] == ["kvm2"]
    assert "kvm2: FAILED" in told
    assert "kvm1: ready" in told
    gone, _ = two.run("down", "--yes", code=3)
    assert [one["where"] for one in gone["problems"]] == ["kvm2"]
    assert [site["name"] for site in record.load().sites] == ["kvm2"]


def test_once_it_is_back_the_rest_is_taken_away(two, kvm):
    kvm[1].up()
    said, _ = two.run("down", "--yes")
    assert said["removed"]["images"] == 1
    assert said["remains"] == {}
    assert record.find() is None
    for host in kvm:
        assert NAME not in host.run("sh", "-c", "ls /var/lib/virtlab; virsh net-list --all --name")
    assert not (paths.STATE / "hub").exists()


# --- one machine that is everything
def sent(line: str) -> int:
    """How many percent of the image, if the line is about that."""
    return int(line.partition("image ")[2].split()[0]) if "% sent" in line else 0


def test_killed_in_the_middle_it_goes_on(one, before):
    one.write(ONE, warm=1)
    running = subprocess.Popen(one.command("up", "--yes"), stderr=subprocess.PIPE, text=True)
    for line in running.stderr:
        if sent(line) >= 30:
            break
    running.kill()
    assert running.wait() == -signal.SIGKILL
    said, told = one.up()
    assert said["problems"] == []
    assert said["changed"] > 0
    assert min(map(sent, filter(sent, told.splitlines()))) >= 20, "it begins where the first one was"
    assert "its digest is right" in told
    assert "1 of 1 seats are warm" in told


def test_a_second_time_changes_nothing(one):
    said, _ = one.up()
    assert said["changed"] == 0
    assert said["address"] == f"https://localhost:{PORT}"


def test_status_shows_hub_host_and_the_warm_seat(one):
    said, _ = one.run("status")
    assert said["hub"]["up"]
    assert [(host["host"], host["answers"], host["warm"]) for host in said["hosts"]] == [("here", True, 1)]
    assert [(seat["owner"], seat["state"]) for seat in said["seats"]] == [("", "warm")]


def test_a_student_gets_a_seat_with_the_kit_in_it(one):
    session = log_in("s001")
    assert start(session, "s001") < 120, "it was warm"
    pages = session.get(f"{record.data().url}/user/s001/lab/api/extensions", timeout=120).json()
    assert "virtlab" in [page["name"] for page in pages]
    assert ":8888" not in one.inside("s001", "ss -tln"), "the image's own JupyterLab runs beside it"
    one.inside("s001", "echo mine >/home/learner/kept; sync")
    assert ("s001", "running") in [(seat["owner"], seat["state"]) for seat in one.run("status")[0]["seats"]]


def test_with_disks_kept_the_next_up_finds_them(one):
    said, _ = one.run("down", "--keep-disks", "--yes")
    assert said["removed"]["networks"] == 1
    assert said["remains"]["disks"] == said["remains"]["seats"] == 1
    now, _ = one.run("status")
    assert now["down"]
    assert [(seat["owner"], seat["state"]) for seat in now["seats"]] == [("s001", "off")]
    assert one.run("down", "--keep-disks", "--yes")[0]["removed"] == {}
    assert one.up()[0]["problems"] == []
    start(log_in("s001"), "s001")
    assert one.inside("s001", "cat /home/learner/kept") == "mine\n"


def test_down_leaves_nothing_and_says_so(one, before):
    said, _ = one.run("down", "--yes")
    assert said["removed"]["seats"] >= 1
    assert said["remains"] == {}
    assert things() == before
    assert not Path("/var/lib/virtlab", NAME).exists()
    assert not (paths.STATE / "hub").exists()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"https://localhost:{PORT}", timeout=5, verify=False)  # noqa: S501  (nobody is there)
    again, _ = one.run("down", "--yes")
    assert again == {"removed": {}, "remains": {}, "problems": []}
    assert one.run("status", code=3)[0]["error"]["exit"] == 3
