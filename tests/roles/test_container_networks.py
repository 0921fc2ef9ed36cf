"""bridge, host and none: a second set with other names, so that the standing one stays as it is."""

import re
import subprocess
import sys
from pathlib import Path

import docker
import pytest
import requests

ROOT = Path(__file__).resolve().parents[2]
NAMES = {"container_networks_bridge": "cntest-bridge", "container_networks_internal": "cntest-internal",
         "container_networks_demo": "cntest-demo", "container_networks_host_port": "8091"}

pytestmark = pytest.mark.host


def converge(*more: str) -> dict[str, int]:
    """Run the role; the recap's counters."""
    variables = [word for name, value in NAMES.items() for word in ("-e", f"{name}={value}")]
    playbook = Path(sys.executable).with_name("ansible-playbook")
    done = subprocess.run([playbook, "tests/roles/container_networks.yml", *variables, *more],
                          cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    recap = done.stdout.partition("PLAY RECAP")[2]
    return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", recap)}


@pytest.fixture(scope="module")
def engine():
    yield docker.from_env()
    converge("-e", "container_networks_state=absent")


def test_check_mode_on_a_fresh_machine_makes_nothing(engine):
    converge("-e", "container_networks_state=absent")
    assert converge("--check")["changed"]
    assert not engine.containers.list(all=True, filters={"name": "cntest-"})
    assert not engine.networks.list(names=["cntest-"])


def test_bridge_host_and_none(engine):
    assert converge()["changed"]
    demo = {mode: engine.containers.get(f"cntest-demo-{mode}") for mode in ("bridge", "host", "none")}
    networks = {mode: list(one.attrs["NetworkSettings"]["Networks"]) for mode, one in demo.items()}
    assert networks == {"bridge": ["cntest-bridge"], "host": ["host"], "none": ["none"]}

    address = demo["bridge"].attrs["NetworkSettings"]["Networks"]["cntest-bridge"]["IPAddress"]
    assert requests.get(f"http://{address}/", timeout=5).text.strip() == "bridge"
    assert requests.get("http://127.0.0.1:8091/", timeout=5).text.strip() == "host"
    assert demo["none"].exec_run("wget -qO- http://127.0.0.1/").output.strip() == b"none"
    # Nothing of it is open to other machines: the bridge's address stands for all its other addresses.
    gateway = demo["bridge"].attrs["NetworkSettings"]["Networks"]["cntest-bridge"]["Gateway"]
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://{gateway}:8091/", timeout=5)


def test_the_internal_network_has_no_way_out(engine):
    internal = [engine.networks.get(f"cntest-{name}").attrs["Internal"] for name in ("bridge", "internal")]
    assert internal == [False, True]


def test_a_second_run_changes_nothing(engine):
    assert converge()["changed"] == 0


def test_what_was_taken_away_or_changed_comes_back(engine):
    engine.containers.get("cntest-demo-host").remove(force=True)
    engine.networks.get("bridge").connect("cntest-demo-bridge")
    assert converge()["changed"] == 1
    bridge = engine.containers.get("cntest-demo-bridge")
    assert list(bridge.attrs["NetworkSettings"]["Networks"]) == ["cntest-bridge"]
    assert requests.get("http://127.0.0.1:8091/", timeout=5).text.strip() == "host"


def test_a_taken_port_is_named_with_its_owner(engine):
    engine.containers.get("cntest-demo-host").remove(force=True)
    with subprocess.Popen([sys.executable, "-m", "http.server", "-b", "127.0.0.1", "8091"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as owner:
        with pytest.raises(AssertionError) as failed:
            converge()
        owner.kill()
    assert f"pid={owner.pid}" in str(failed.value)
    assert "container_networks_host_port" in str(failed.value)


def test_the_undo_leaves_nothing(engine):
    assert converge("-e", "container_networks_state=absent")["changed"]
    assert not engine.containers.list(all=True, filters={"name": "cntest-"})
    assert not engine.networks.list(names=["cntest-"])
    assert converge("-e", "container_networks_state=absent")["changed"] == 0
