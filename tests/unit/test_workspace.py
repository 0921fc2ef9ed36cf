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


def test_the_address_opens_start_here(state):
    (state / "secrets/jupyter_token").write_text("s3cret\n")
    assert workspace.address() == "http://127.0.0.1:8888/lab/tree/start-here.ipynb?token=s3cret"


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
