"""The address of JupyterLab: with its token for whoever may read it, and what to do otherwise."""

import json
from pathlib import Path

import pytest

from virtlab import paths, workspace
from virtlab.errors import MachineError

THERE = json.dumps({"url": "http://127.0.0.1:8888", "token": "jupyter_token", "user": "ada"})


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "HOST_D", tmp_path / "host.d")
    monkeypatch.setattr(paths, "SECRETS", tmp_path / "secrets")
    for folder in ("host.d", "secrets"):
        (tmp_path / folder).mkdir()
    (tmp_path / "host.d/jupyterlab.json").write_text(THERE)
    return tmp_path


def test_the_address_opens_jupyterlab_or_a_lab_in_it(state):
    (state / "secrets/jupyter_token").write_text("s3cret\n")
    assert workspace.address() == "http://127.0.0.1:8888/lab?token=s3cret"
    address = workspace.address(lab="05-container-networks")
    assert address == "http://127.0.0.1:8888/lab?open=05-container-networks&token=s3cret"


def test_a_terminals_own_jupyterlab_is_meant(state, monkeypatch):
    (state / "secrets/other_token").write_text("0ther")
    other = {"url": "http://127.0.0.1:9999/user/ada", "token": "other_token", "user": "ada"}
    (state / "host.d/jupyterlab-other.json").write_text(json.dumps(other))
    monkeypatch.setenv(workspace.ROLE, "jupyterlab-other")
    assert workspace.address() == "http://127.0.0.1:9999/user/ada/lab?token=0ther"


def test_on_a_laptop_it_is_the_port_that_leads_into_the_machine(state, monkeypatch):
    (state / "secrets/jupyter_token").write_text("s3cret")
    (state / "host.d/laptop.json").write_text('{"jupyterlab_port": 8890}')
    assert workspace.address() == "http://127.0.0.1:8890/lab?token=s3cret"
    other = {"url": "http://127.0.0.1:9999/user/ada", "token": "jupyter_token", "user": "ada"}
    (state / "host.d/jupyterlab-other.json").write_text(json.dumps(other))
    assert workspace.address("jupyterlab-other").startswith("http://127.0.0.1:9999/user/ada/lab?")


def test_in_a_classrooms_seat_it_is_the_one_that_the_hub_has_started(monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ada/")
    monkeypatch.setenv("JUPYTERHUB_SERVICE_URL", "http://0.0.0.0:1/user/ada/")
    monkeypatch.setenv("JUPYTERHUB_PUBLIC_URL", "https://class.example.org/user/ada/")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "s3cret")
    assert workspace.address(lab="05-x") == "https://class.example.org/user/ada/lab?open=05-x"
    with pytest.raises(MachineError, match=r"127\.0\.0\.1:1/user/ada does not answer"):
        workspace.show("05-x")


def test_a_jupyterlab_that_is_down_is_named(state):
    (state / "secrets/jupyter_token").write_text("s3cret")
    down = {"url": "http://127.0.0.1:1", "token": "jupyter_token", "user": "ada"}
    (state / "host.d/jupyterlab.json").write_text(json.dumps(down))
    with pytest.raises(MachineError, match="does not answer") as raised:
        workspace.show("05-container-networks")
    assert raised.value.do == "`lab jupyter start` starts it."


def test_without_a_token_it_says_what_to_do(state):
    with pytest.raises(MachineError) as raised:
        workspace.address()
    assert raised.value.do == "Run `./lab up --only jupyterlab`."


def test_somebody_elses_token(state, monkeypatch):
    def read(self: Path) -> str:
        if "secrets" in self.parts:
            raise PermissionError
        return THERE

    monkeypatch.setattr(Path, "read_text", read)
    with pytest.raises(MachineError, match="its token is ada's"):
        workspace.address()


def test_without_jupyterlab(state):
    (state / "host.d/jupyterlab.json").unlink()
    with pytest.raises(MachineError, match="no jupyterlab yet"):
        workspace.address()
