"""`lab doctor` reads rightly, and a machine without this or that gets an answer, never a crash."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from virtlab import doctor, facts, ports
from virtlab.doctor import State, containers, kernel, machine, network
from virtlab.doctor import ports as doctor_ports
from virtlab.doctor.finding import ask
from virtlab.seat import Seat

TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100
   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20
"""
TCP6 = """  sl  local_address                         remote_address                        st
   0: 00000000000000000000000001000000:22B8 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 4713 1
"""


def test_listening_sockets_of_the_kernels_tables() -> None:
    assert list(ports.listening(TCP)) == [("127.0.0.1", 8080, "4711")]
    assert list(ports.listening(TCP6)) == [("::1", 8888, "4713")]


def test_a_port_is_named_with_its_owner() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        owner = ports.Listeners(Seat()).owner(server.getsockname()[1])
        assert owner
        assert f"process {os.getpid()}" in owner.name
    assert ports.Listeners(Seat()).owner(1) is None


def test_another_address_is_no_clash() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.2", 0))
        server.listen()
        assert ports.Listeners(Seat()).owner(server.getsockname()[1]) is None


def test_a_taken_port_is_named_with_the_variable_that_moves_it() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        found = {one.id: one for one in doctor_ports.probe({"wordpress_port": port})}[f"port.{port}"]
    assert found.state is State.FAIL
    assert f"process {os.getpid()}" in found.seen
    assert f"--set wordpress_port={port + 1}" in found.do


def test_every_standing_port_can_be_moved() -> None:
    variables = {"virtlab_registry": "registry.lab.test:5999", "jupyterlab_port": 8999}
    moved = {one.role: one.moved for one in doctor_ports.wanted(doctor_ports.variables() | variables)}
    assert moved["registry"] == "virtlab_registry=registry.lab.test:6000"
    assert moved["jupyterlab"] == "jupyterlab_port=9000"
    assert set(moved) >= {"wordpress", "container_networks"}


def test_mirrors_of_both_formats() -> None:
    old = "# deb http://no.example/x\ndeb [arch=amd64] http://one.example/debian bookworm main\n"
    new = "Types: deb\nURIs: https://two.example:8443/debian http://one.example/debian\nSuites: trixie\n"
    assert network.mirrors(old + new) == ["one.example", "two.example"]


def test_a_proxys_password_is_not_shown() -> None:
    assert network.without_password("http://me:secret@proxy.example:3128") == "http://…@proxy.example:3128"
    (found,) = network.environment_proxies({"http_proxy": "http://me:secret@proxy.example:3128"})
    assert found.state is State.WARN
    assert "secret" not in found.seen
    assert "no_proxy=localhost,127.0.0.1" in found.do


def test_a_proxy_that_leaves_this_machine_alone_is_well() -> None:
    proxies = {"https_proxy": "http://proxy.example:3128", "no_proxy": "localhost,127.0.0.1,.example"}
    (found,) = network.environment_proxies(proxies)
    assert found.state is State.OK


def test_a_name_that_nobody_has() -> None:
    assert not network.resolve("nobody-has-this.invalid")
    assert network.resolve("localhost")


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("Docker version 20.10.24+dfsg1, build 297e128", "20.10.24"),
        ("Docker version 28.2.2, build e6534b4", "28.2.2"),
        ("command not found", ""),
    ],
)
def test_client_version(said: str, version: str) -> None:
    assert containers.client_version(said) == version


@pytest.mark.parametrize("state", ["configuring", "configured", "unmanaged", None])
def test_a_containers_device_in_the_hands_of_networkd(tmp_path: Path, state: str | None) -> None:
    for number, name in enumerate(("eth0", "veth1")):
        (tmp_path / "net" / name).mkdir(parents=True)
        (tmp_path / "net" / name / "ifindex").write_text(f"{number}\n")
    (tmp_path / "links").mkdir()
    (tmp_path / "links/0").write_text("ADMIN_STATE=configured\n")
    if state:
        (tmp_path / "links/1").write_text(f"# private\nADMIN_STATE={state}\nOPER_STATE=degraded\n")
    found = list(containers.taken_devices(tmp_path / "net", tmp_path / "links"))
    assert [one.state for one in found] == (["fail"] if str(state).startswith("config") else [])
    assert all("veth1" in one.seen for one in found)


def test_facts_are_this_machines() -> None:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    assert abs(facts.memory()["MemTotal"] - total) <= 1
    assert facts.release()["ID"] in Path("/etc/os-release").read_text()
    assert facts.room(Path("/proc/no/such"))[0] == Path("/proc")


def test_kernel_devices_are_tried_and_leave_no_trace() -> None:
    before = sorted(Path("/sys/class/net").iterdir())
    assert kernel.link("nosuchkind") is not True
    assert kernel.link("veth") in (True, None)
    assert sorted(Path("/sys/class/net").iterdir()) == before


def test_a_command_that_is_not_there_or_hangs() -> None:
    assert ask("no-such-command")[0] == 127
    assert ask("sleep", "5", seconds=0.1)[0] == 124


def test_a_probe_that_breaks_costs_only_its_own_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Iterator[doctor.Finding]:
        yield machine.cpus()
        raise ValueError("this look went wrong")

    monkeypatch.setattr(machine, "probe", broken)
    found = {one.id: one for one in doctor.examine()}
    assert found["cpus"].state in (State.OK, State.WARN)
    assert "this look went wrong" in found["machine.error"].seen
    assert "proxy" in found


def test_a_daemon_that_hangs_does_not_hang_the_doctor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "docker.sock"))
        silent.listen()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
        began = time.monotonic()
        found = {one.id: one for one in doctor.examine(seconds=3)}
    assert time.monotonic() - began < 6
    assert found["docker.time"].state is State.FAIL
    assert found["docker.time"].do
    assert "cpus" in found


def run_doctor(tmp_path: Path, **environment: str) -> tuple[int, dict[str, dict[str, str]]]:
    """The command itself, on a machine where nothing was built yet."""
    own = {"HOME": str(tmp_path), "VIRTLAB_STATE": str(tmp_path / "state"), **environment}
    done = subprocess.run(
        [sys.executable, "-m", "virtlab", "doctor", "--json"],
        env=own, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert not done.stderr
    report = json.loads(done.stdout)
    assert set(report) == {"well", "seconds", "findings"}
    for one in report["findings"]:
        assert set(one) == {"id", "group", "state", "seen", "do"}
        assert one["state"] in ("ok", "info", "warn", "fail")
        assert one["seen"]
        assert one["do"] or one["state"] in ("ok", "info"), f"{one['id']} does not say what to do"
    found = {one["id"]: one for one in report["findings"]}
    assert len(found) == len(report["findings"]), "two findings have the same id"
    return done.returncode, found


def test_a_bare_machine_has_nothing_broken(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    code, found = run_doctor(tmp_path, PATH=str(tmp_path / "bin"), LC_ALL="C.UTF-8")
    for name in ("docker.client", "kvm", "services.none"):
        assert found[name]["state"] in ("info", "ok")
    assert "libvirt" in found
    failed = [one["id"] for one in found.values() if one["state"] == "fail"]
    assert code == (3 if failed else 0)
    assert set(failed) <= {"system", *(name for name in found if name.startswith("port."))}


def test_a_stopped_daemon_is_named_with_what_to_do(tmp_path: Path) -> None:
    socket_ = f"unix://{tmp_path}/nobody.sock"
    code, found = run_doctor(tmp_path, PATH=os.environ["PATH"], LC_ALL="C.UTF-8", DOCKER_HOST=socket_)
    assert code == 3
    assert found["docker"]["state"] == "fail"
    assert socket_ in found["docker"]["seen"]
    assert "lab up" in found["docker"]["do"]


def test_a_locale_that_ansible_refuses_is_found(tmp_path: Path) -> None:
    code, found = run_doctor(tmp_path, PATH=os.environ["PATH"], LC_ALL="xx_YY.ISO-8859-1")
    assert (code, found["locale"]["state"]) == (3, "fail")
