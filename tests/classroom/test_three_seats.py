"""A class of three on two KVM hosts as they see it: browsers, a lab inside a seat, the board. In order."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import seatlab
from classhub import INSTRUCTOR, STUDENTS, until
from kvmhosts import KvmHost
from playwright.sync_api import expect
from seathub import Student, hub_of, seat_of

from virtlab import box, paths
from virtlab.hub import seats, warm
from virtlab.hub.hosts import Host
from virtlab.hub.plan import Door

pytestmark = pytest.mark.host
FOLDER = Path("/var/tmp/virtlab-three")  # noqa: S108  (QEMU's user has to get there)
SHOTS = paths.ROOT / "build/screenshots/class"
BOARD_PORT = 8082
NET = "05-container-networks"
MINUTE = 60_000
IDS = ("s01", "s02", "s03")
WIDE = {"viewport": {"width": 1280, "height": 800}}


@pytest.fixture(scope="module", autouse=True)
def kit_image():
    """The kit's own disk, as in a class; built when it is not there or out of date."""
    playbook = [Path(sys.executable).with_name("ansible-playbook"), "playbooks/kit_image.yml"]
    done = subprocess.run(playbook, cwd=paths.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seatlab, "IMAGE", box.IMAGE)
        patch.setattr(seatlab, "PYTHON", "/opt/virtlab/.venv/bin/python")
        patch.setattr(seatlab, "MEMORY_MB", 1536)
        yield


@pytest.fixture(scope="module")
def do():
    return seatlab.Loop()


@pytest.fixture(scope="module")
def kvm():
    with ExitStack() as stack:
        both = [stack.enter_context(KvmHost(FOLDER, number)) for number in (1, 2)]
        yield {one.name: one for one in both}


@pytest.fixture(scope="module")
def hosts(kvm, do):
    found = seatlab.digest()
    plan = seatlab.plan(found, hub=seatlab.HUB, doors=(Door(seatlab.HUB.address, BOARD_PORT),))
    both = {name: Host(plan, seatlab.site(one)) for name, one in kvm.items()}
    for one in both.values():  # one template after the other: each boots a guest
        do(seatlab.ready(one, found))
        do(warm.make(one))
    return both


@pytest.fixture(scope="module")
def hub(kvm, hosts, tmp_path_factory):
    plan = next(iter(hosts.values())).plan
    with hub_of(tmp_path_factory.mktemp("hub"), plan, kvm.values(), board_port=BOARD_PORT) as one:
        yield one


@pytest.fixture
def desk(hub, visit):
    """JupyterLab of a student who has logged in before."""

    def opened(who, path="lab"):
        page = visit(**WIDE)
        page.context.add_cookies(hub.cookies(who))
        page.goto(f"{hub.url}/user/{who}/{path}", timeout=5 * MINUTE)
        return page

    return opened


def shot(page, name):
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png")


def enter(page, line, seconds):
    """A command in the terminal that is open; what the terminal shows when it has ended."""
    mark = time.monotonic_ns() % 10**8
    terminal = page.locator(".jp-Terminal")
    terminal.click()
    page.keyboard.type(f"clear; {line}; echo end-$(({mark} + 1))\n")
    screen = terminal.locator(".xterm-accessibility")
    expect(screen).to_contain_text(f"end-{mark + 1}", timeout=seconds * 1000)
    return screen.inner_text()


def marks(hub, who):
    rows = hub.api("services/board/api/class", hub.data.secret("lab")).json()["students"]
    return next(one for one in rows if one["id"] == who)["labs"].get(NET, {})


def test_three_log_in_and_each_gets_a_machine(hub, hosts, visit, do):
    pages = {}
    for one in STUDENTS:
        who = one["id"].lower()
        page = pages[who] = visit(**WIDE)
        page.goto(hub.url)
        page.get_by_label("Name").fill(who)
        page.get_by_label("Password", exact=True).fill(hub.password(who))
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("link", name="Start my machine").click()
        expect(page.get_by_role("heading", name="Your machine is getting ready")).to_be_visible()
    shot(pages["s03"], "getting-ready")
    for who, page in pages.items():
        page.wait_for_url(re.compile(f"/user/{who}/lab"), timeout=10 * MINUTE, wait_until="commit")
        expect(page.locator("#jp-main-dock-panel")).to_be_visible(timeout=5 * MINUTE)
    shot(pages["s01"], "jupyterlab")
    where = {who: seat_of(hosts, do, Student(hub, who))[0].name for who in IDS}
    assert set(where.values()) == set(hosts), f"spread over both hosts: {where}"


def test_a_lab_in_the_terminal_turns_the_board_green(hub, desk, visit, do, hosts):
    teacher = visit(viewport={"width": 1300, "height": 800})
    teacher.context.add_cookies(hub.cookies(INSTRUCTOR))
    teacher.goto(hub.url)
    expect(teacher.get_by_role("heading", name="Class board")).to_be_visible()
    page = desk("s01", "lab?reset")
    page.locator(".jp-LauncherCard", has_text="Terminal").first.click(timeout=5 * MINUTE)
    screen = page.locator(".jp-Terminal .xterm-accessibility")
    expect(screen).to_contain_text(re.compile(r"[#$]"), timeout=MINUTE)
    enter(page, "lab start 05", 900)
    until(lambda: marks(hub, "s01").get("phase") == "started", 120)
    run = "docker run --detach --init --network net-market"
    image = "$(docker images --format '{{.Repository}}' | grep --max-count=1 busybox)"
    enter(page, "docker network create net-market; "
                f"{run} --name net-shop --network-alias shop {image} sleep infinity; "
                f"{run} --name net-till {image} sleep infinity; lab grade 05", 600)  # fmt: skip
    until(lambda: set(marks(hub, "s01").get("tasks", {}).get("names", "x")) == {"p"}, 120)
    shot(page, "terminal")
    expect(teacher.locator("tr[data-id=s01]")).to_contain_text(re.compile(r"[1-9]\d*/\d+"))
    shot(teacher, "board")


def test_the_instructor_opens_a_seat_and_the_student_sees_it(hub, visit):
    teacher = visit(viewport={"width": 1300, "height": 800})
    teacher.context.add_cookies(hub.cookies(INSTRUCTOR))
    teacher.goto(hub.url)
    with teacher.context.expect_page() as opened:
        teacher.get_by_role("link", name="Open: Ada Lovelace").click()
    opened.value.wait_for_url(re.compile("/user/s01/lab"), timeout=5 * MINUTE, wait_until="commit")
    expect(teacher.locator("tr[data-id=s01]")).to_contain_text(f"visited by {INSTRUCTOR}", timeout=5 * MINUTE)


def test_one_seat_and_the_hub_are_killed_in_the_middle_and_nothing_is_lost(hub, hosts, kvm, do):
    ada = Student(hub, "s01")
    host, machine = seat_of(hosts, do, ada)
    do(seats.execute(host, machine, f"echo mine >/home/{host.plan.user}/kept; sync"))
    os.kill(hub.child("jupyterhub"), signal.SIGKILL)
    kvm[host.name].run("sh", "-c", f"kill -9 $(cat /run/libvirt/qemu/{machine.name}.pid)")
    until(lambda: not ada.is_on(), 300)
    assert ada.start()[-1].get("ready")
    host, machine = seat_of(hosts, do, ada)
    assert do(seats.execute(host, machine, f"cat /home/{host.plan.user}/kept"))[1] == "mine\n"
    for who in ("s02", "s03"):
        until(Student(hub, who).answers, 120)
    assert marks(hub, "s01")["phase"] == "started"


def test_stopped_and_started_again_the_files_are_there(hub, hosts, do):
    ming = Student(hub, "s02")
    host, machine = seat_of(hosts, do, ming)
    do(seats.execute(host, machine, f"echo mine >/home/{host.plan.user}/kept; sync"))
    hub.api(f"{ming.path}/server", ming.lab, "DELETE")
    until(lambda: not ming.is_on(), 180)
    assert ming.start()[-1].get("ready")
    host, machine = seat_of(hosts, do, ming)
    assert do(seats.execute(host, machine, f"cat /home/{host.plan.user}/kept"))[1] == "mine\n"


def test_nothing_is_left(hosts, kvm, do):
    for name, host in hosts.items():
        do(host.remove())
        assert "vlt" not in kvm[name].run("sh", "-c", "virsh list --all --name; ls /var/lib/virtlab")
