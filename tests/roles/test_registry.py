"""registry: a second one on a port, a name and a state folder of its own."""

import hashlib
import json
import os
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import requests
from converge import Converged, converge

PORT = 5997
ENDPOINT = f"registry-test.lab.test:{PORT}"
LEARNER = "registry-test.lab.test:5996"
NAME = "registry-test"
OPEN = 5995
TRUST = Path("/etc/docker/certs.d")

pytestmark = pytest.mark.host


def run(state: Path, *more: str, **changes: Any) -> Converged:
    return converge(
        "registry",
        {
            "virtlab_state_dir": str(state),
            "virtlab_user": "nobody",
            "registry_endpoint": ENDPOINT,
            "registry_learner_endpoint": LEARNER,
            "registry_name": NAME,
            **changes,
        },
        *more,
    )


def secret(state: Path) -> str:
    return (state / "secrets/registry_password").read_text()


def get(state: Path, path: str, password: str | None, **more: Any) -> requests.Response:
    """As somebody who trusts this CA alone."""
    session = requests.Session()
    session.trust_env = False
    session.verify = str(state / "ca.crt")
    auth = ("learner", password) if password else None
    return session.get(f"https://{ENDPOINT}{path}", auth=auth, timeout=10, **more)


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture
def state(tmp_path: Path, client: docker.DockerClient) -> Iterator[Path]:
    """A state folder with one image to publish."""
    hosts = Path("/etc/hosts").read_text()
    tmp_path.chmod(0o755)
    state = tmp_path / "state"
    (state / "host.d").mkdir(parents=True)
    (state / "host.d/base_images.json").write_text(json.dumps({"images": {"busybox": f"{ENDPOINT}/busybox"}}))
    client.images.get("registry.lab.test:5000/busybox").tag(f"{ENDPOINT}/busybox")
    yield state
    undone = run(state, registry_state="absent")
    assert undone.ok, undone.output
    client.images.remove(f"{ENDPOINT}/busybox", force=True)
    assert Path("/etc/hosts").read_text() == hosts
    assert not (TRUST / ENDPOINT).exists()
    assert not (TRUST / LEARNER).exists()
    assert not client.containers.list(all=True, filters={"name": NAME})
    assert not client.volumes.list(filters={"name": f"{NAME}-data"})
    assert {p.name for p in state.rglob("*") if p.is_file()} <= {"base_images.json"}


def test_check_converge_again_undo(state: Path, client: docker.DockerClient) -> None:
    assert run(state, "--check").changed >= 1
    assert not (state / "ca.crt").exists()
    assert not client.containers.list(all=True, filters={"name": f"^{NAME}$"})

    assert run(state).changed >= 2
    again = run(state)
    assert again.changed == 0, again.output
    assert run(state, "--check").changed == 0

    # who may come in
    assert get(state, "/v2/_catalog", None).status_code == 401
    assert get(state, "/v2/_catalog", "wrong").status_code == 401
    assert get(state, "/v2/_catalog", secret(state)).json() == {"repositories": ["busybox"]}
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"https://{ENDPOINT}/v2/", timeout=10)

    # what others on this machine can read
    served = state / "registry"
    assert stat.S_IMODE(served.stat().st_mode) == 0o700
    for path in [*served.glob("*.key"), *served.glob("served/*.key"), served / "served/htpasswd"]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE((state / "secrets/registry_password").stat().st_mode) == 0o600
    assert (TRUST / LEARNER).owner() == "nobody"
    assert secret(state) not in json.dumps(client.api.inspect_container(NAME))

    # the engine trusts it by name, pulls, and the pulled image is the one that was pushed
    pulled = client.images.pull(
        f"{ENDPOINT}/busybox", tag="latest", auth_config={"username": "learner", "password": secret(state)}
    )
    assert pulled.id == client.images.get("registry.lab.test:5000/busybox").id
    with pytest.raises(docker.errors.APIError):
        client.images.pull(f"{ENDPOINT}/busybox", tag="latest")

    until = time.monotonic() + 60  # it is first asked after 20
    while client.containers.get(NAME).health != "healthy" and time.monotonic() < until:
        time.sleep(0.5)
    assert client.containers.get(NAME).health == "healthy"

    # nobody outside reaches it
    listening = subprocess.run(
        ["ss", "-Hltn", f"sport = :{PORT}"], capture_output=True, text=True, check=True
    ).stdout
    gateway = json.loads((state / "host.d/registry.json").read_text())["address"]
    assert [line.split()[3] for line in listening.splitlines()] == [f"{gateway}:{PORT}"]


def test_it_comes_back_with_what_it_has(state: Path, client: docker.DockerClient) -> None:
    assert run(state).ok
    password = secret(state)
    client.containers.get(NAME).remove(force=True)
    assert run(state).changed >= 1
    assert secret(state) == password
    assert get(state, "/v2/busybox/tags/list", password).json()["tags"] == ["latest"]


def test_it_takes_the_images_while_other_roles_work(state: Path) -> None:
    assert run(state, registry_wait=False).ok
    until = time.monotonic() + 60
    while not get(state, "/v2/_catalog", secret(state)).json()["repositories"] and time.monotonic() < until:
        time.sleep(0.5)
    assert run(state, registry_wait=False).changed == 0


def test_what_is_damaged_or_expires_is_made_anew(state: Path) -> None:
    assert run(state, registry_certificate_days=20).ok
    ca = (state / "ca.crt").read_bytes()
    before = hashlib.sha256(ssl.get_server_certificate(("registry-test.lab.test", PORT)).encode()).digest()
    assert run(state).changed >= 2, "20 days are too few"
    after = hashlib.sha256(ssl.get_server_certificate(("registry-test.lab.test", PORT)).encode()).digest()
    assert before != after
    assert (state / "ca.crt").read_bytes() == ca, "who trusts the CA need not learn anything"
    (state / "registry/served/htpasswd").write_text("somebody:else\n")
    (TRUST / ENDPOINT / "ca.crt").unlink()
    assert run(state).changed >= 1
    assert get(state, "/v2/", secret(state)).ok
    assert run(state).changed == 0


def test_a_wrong_password_is_refused_and_said(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("wrong")
    asked = {
        "state": "published", "registry": "registry.lab.test:5000", "user": "learner",
        "record": "/var/lib/virtlab/host.d/base_images.json", "ca": "/var/lib/virtlab/ca.crt",
        "password_file": str(tmp_path / "password"),
    }  # fmt: skip
    ansible = Path(sys.executable).with_name("ansible")
    done = subprocess.run(
        [ansible, "this-machine", "-m", "virtlab_images", "-a", json.dumps(asked)],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode
    assert "refuses the user learner. Converge it again: `lab up --only registry`." in said
    assert "wrong" not in said


def test_a_taken_port_is_named_with_its_owner(state: Path) -> None:
    address = json.loads(Path("/var/lib/virtlab/host.d/registry.json").read_text())["address"]
    with socket.create_server((address, PORT)):
        failed = run(state)
    assert not failed.ok
    assert f"Port {PORT} on {address} is taken" in failed.output
    assert f"pid={os.getpid()}" in failed.output
    assert not (state / "ca.crt").exists(), "nothing is half done"


@pytest.fixture
def trusted(state: Path) -> Iterator[str]:
    """Where the open door is, as this machine's engine trusts it: by its address."""
    address = json.loads(Path("/var/lib/virtlab/host.d/registry.json").read_text())["address"]
    folder = TRUST / f"{address}:{OPEN}"
    folder.mkdir()
    yield address
    (folder / "ca.crt").unlink(missing_ok=True)
    folder.rmdir()


def test_others_read_through_the_open_door_and_cannot_write(
    state: Path, client: docker.DockerClient, trusted: str
) -> None:
    settings = {"registry_open_endpoint": f"registry-open.lab.test:{OPEN}", "registry_open_address": trusted}
    refused = run(state, registry_state="open", **settings)
    assert "There is no registry on this machine that others could read from" in refused.output
    assert run(state).ok
    assert "Set registry_open_address" in run(state, registry_state="open").output
    assert run(state, "--check", registry_state="open", **settings).changed >= 1
    assert run(state, registry_state="open", **settings).changed >= 2
    again = run(state, registry_state="open", **settings)
    assert again.changed == 0, again.output
    assert run(state).changed == 0, "the registry itself is as it was"

    record = json.loads((state / "host.d/open_registry.json").read_text())
    password = Path(record.pop("password")).read_text()
    assert record == {
        "name": "registry-open.lab.test", "address": trusted, "port": OPEN, "user": "seat",
        "ca": str(state / "ca.crt"),
    }  # fmt: skip
    session = requests.Session()
    session.trust_env, session.verify = False, record["ca"]
    url = f"https://{trusted}:{OPEN}/v2"
    assert session.get(f"{url}/_catalog", timeout=10).status_code == 401
    assert session.get(f"{url}/_catalog", auth=("learner", secret(state)), timeout=10).status_code == 401
    session.auth = ("seat", password)
    assert session.get(f"{url}/_catalog", timeout=10).json() == {"repositories": ["busybox"]}
    assert get(state, "/v2/", None).status_code == 401
    assert (
        requests.get(
            f"https://{ENDPOINT}/v2/", auth=("seat", password), verify=record["ca"], timeout=10
        ).status_code
        == 401
    ), "its account is none of the registry's own"

    # by hand: nothing begins, nothing goes
    assert session.post(f"{url}/busybox/blobs/uploads/", timeout=10).status_code == 405
    digest = session.get(
        f"{url}/busybox/manifests/latest", timeout=10,
        headers={"Accept": "application/vnd.docker.distribution.manifest.v2+json"},
    ).headers["Docker-Content-Digest"]  # fmt: skip
    assert session.delete(f"{url}/busybox/manifests/{digest}", timeout=10).status_code in (404, 405)
    mounts = client.api.inspect_container(f"{NAME}-open")["Mounts"]
    assert [mount["RW"] for mount in mounts] == [False, False]
    assert password not in json.dumps(client.api.inspect_container(f"{NAME}-open"))

    # with the engine: it pulls what somebody pushed, and does not push
    (TRUST / f"{trusted}:{OPEN}" / "ca.crt").write_bytes((state / "ca.crt").read_bytes())
    account = {"username": "seat", "password": password}
    name = f"{trusted}:{OPEN}/busybox"
    pulled = client.images.pull(name, tag="latest", auth_config=account)
    assert pulled.id == client.images.get("registry.lab.test:5000/busybox").id
    pulled.tag(name, tag="mine")
    said = list(client.images.push(name, tag="mine", auth_config=account, stream=True, decode=True))
    assert any("error" in line for line in said), said
    assert get(state, "/v2/busybox/tags/list", secret(state)).json()["tags"] == ["latest"]
    for tag in ("latest", "mine"):
        client.images.remove(f"{name}:{tag}")

    listening = subprocess.run(
        ["ss", "-Hltn", f"sport = :{OPEN}"], capture_output=True, text=True, check=True
    )
    assert [line.split()[3] for line in listening.stdout.splitlines()] == [f"{trusted}:{OPEN}"]

    assert run(state, registry_state="closed", **settings).changed >= 2
    assert run(state, registry_state="closed", **settings).changed == 0
    assert not list(state.rglob("*open*"))
    assert get(state, "/v2/", secret(state)).ok
    assert run(
        state, registry_state="open", **settings
    ).ok  # and `absent`, at the end, removes it with the rest
