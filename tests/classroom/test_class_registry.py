"""A seat pulls the class's images through the door of the hub's registry, and cannot push there.

With Docker itself where the seats' disk has it: VIRTLAB_SEAT_IMAGE, with its user and its Python.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import docker
import pytest
import seatlab
from kvmhosts import KvmHost

from virtlab import paths
from virtlab.hub import agent, machines, seats
from virtlab.hub.hosts import Host
from virtlab.hub.plan import Registry

sys.path.insert(0, str(paths.ROOT / "tests/roles"))
from converge import converge

pytestmark = [pytest.mark.host, pytest.mark.usefixtures("seat_image")]
FOLDER = Path("/var/tmp/virtlab-registry")  # noqa: S108  (QEMU's user has to get there)
INNER, OPEN = "registry-class-test.lab.test:5993", "registry.class.test:5994"


@pytest.fixture(scope="module")
def do():
    return seatlab.Loop()


@pytest.fixture(scope="module")
def kvm():
    with KvmHost(FOLDER, 1) as one:
        yield one


@pytest.fixture(scope="module")
def hub(kvm):
    with seatlab.Hub(kvm.hub) as one:
        yield one
        one.shutdown()


@pytest.fixture(scope="module")
def registry(kvm, tmp_path_factory):
    """One of the test's own on this machine, open at the hub's address."""
    state = tmp_path_factory.mktemp("state") / "virtlab"
    state.parent.chmod(0o755)
    (state / "host.d").mkdir(parents=True)
    (state / "host.d/base_images.json").write_text(json.dumps({"images": {"busybox": f"{INNER}/busybox"}}))
    client = docker.from_env()
    client.images.get("registry.lab.test:5000/busybox").tag(f"{INNER}/busybox")
    settings = {
        "virtlab_state_dir": str(state), "registry_endpoint": INNER, "registry_learner_endpoint": "",
        "registry_name": "registry-class-test", "registry_open_endpoint": OPEN,
        "registry_open_address": kvm.hub,
    }  # fmt: skip

    def run(wanted):
        done = converge("registry", settings | {"registry_state": wanted})
        assert done.ok, done.output

    try:
        for wanted in ("present", "open"):
            run(wanted)
        yield Registry(**json.loads((state / "host.d/open_registry.json").read_text()))
    finally:
        run("absent")
        client.images.remove(f"{INNER}/busybox", force=True)
        client.close()


@pytest.fixture(scope="module")
def host(kvm, hub, registry, do):
    found = seatlab.digest()
    one = Host(seatlab.plan(found, hub=seatlab.HUB, registry=registry), seatlab.site(kvm))
    do(seatlab.ready(one, found))
    yield one
    do(one.remove())


@pytest.fixture(scope="module")
def ada(host, kvm, do):
    return do(seats.start(host, "ada", seatlab.server(kvm, "ada")))


# As Docker does it: by the account, and trusting nobody but the registry's own CA.
ASK = """
import json, pathlib, ssl, urllib.error, urllib.request
account = json.loads((pathlib.Path.home() / ".docker/config.json").read_text())["auths"][{at!r}]["auth"]
trust = ssl.create_default_context(cafile="/etc/docker/certs.d/{at}/ca.crt")
kind = "application/vnd.docker.distribution.manifest.v2+json"
def ask(method, path):
    headers = {{"Authorization": "Basic " + account, "Accept": kind}}
    request = urllib.request.Request("https://{at}/v2/" + path, method=method, headers=headers)
    try:
        return urllib.request.urlopen(request, context=trust, timeout=30).status
    except urllib.error.HTTPError as error:
        return error.code
print(ask("GET", "busybox/manifests/latest"), ask("POST", "busybox/blobs/uploads/"),
      ask("PUT", "busybox/manifests/latest"), ask("DELETE", "busybox/manifests/sha256:" + 64 * "0"))
"""


def as_student(host, do, machine, command, stdin=""):
    words = ["runuser", "--login", "--shell=/bin/sh", f"--command={command}", "--", host.plan.user]
    code, out, errors = do(agent.run(host.link, machine.name, *words, stdin=stdin.encode(), patience=400))
    return code, out + errors


def test_a_student_may_read_and_nothing_else(host, ada, do):
    code, said = as_student(host, do, ada, f"{host.plan.python} -", ASK.format(at=OPEN))
    assert code == 0, said
    assert said.split() == ["200", "405", "405", "405"]


def test_with_docker_without_a_login(host, ada, do):
    if as_student(host, do, ada, "command -v docker")[0]:
        pytest.skip("There is no Docker on the seats' disk.")
    code, said = as_student(host, do, ada, f"docker pull {OPEN}/busybox")
    assert code == 0, said
    code, said = as_student(
        host, do, ada, f"docker tag {OPEN}/busybox {OPEN}/mine && docker push {OPEN}/mine"
    )
    assert code != 0, said
    code, said = as_student(host, do, ada, f"docker pull {OPEN}/mine")
    assert code != 0, said


def test_its_account_is_nowhere_but_inside(host, kvm, registry, ada, do):
    password = Path(registry.password).read_text()
    text = do(host.link("read", lambda connection: connection.lookupByName(ada.name).XMLDesc(0)))
    seen = [text, kvm.run("ps", "axww", "-o", "args"), kvm.log()]
    seen += [kvm.run("sh", "-c", "cat /var/log/libvirt/qemu/*.log")]
    assert password not in "".join(seen)
    code, said = as_student(host, do, ada, "cat .docker/config.json; stat -c %a .docker/config.json")
    assert code == 0
    assert "600" in said


def test_what_the_kit_wrote_into_its_hosts_stays(host, kvm, ada, do):
    """Its own registry's name, which the first boot writes, is there after the next start as well."""
    add = "echo '172.17.0.1 registry.lab.test # virtlab: registry.lab.test' >>/etc/hosts; sync"
    do(seats.execute(host, ada, add))
    do(seats.stop(host, ada))
    again = do(seats.start(host, "ada", seatlab.server(kvm, "ada")))
    _, said, _ = do(seats.execute(host, again, "getent hosts registry.lab.test registry.class.test ada"))
    assert "172.17.0.1" in said
    assert kvm.hub in said
    do(machines.remove(host, again))
