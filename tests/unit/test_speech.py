"""A seat of a class that speaks Chinese begins in Chinese, and is the student's from then on."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from virtlab import language, paths, release, settings
from virtlab.server import speech

LOG = logging.getLogger(__name__)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTERLAB_SETTINGS_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    monkeypatch.setenv("VIRTLAB_WORKSPACE", str(tmp_path / "virtlab"))
    monkeypatch.setenv("VIRTLAB_LANG", "zh")
    release.release(paths.workspace(), language="en")  # as the disk has them
    return tmp_path


def guide(home: Path) -> str:
    return (home / "virtlab/05-container-networks/05-container-networks.ipynb").read_text()


def test_guides_and_jupyterlab_speak_as_the_class_does(home: Path) -> None:
    english = guide(home)
    speech.begin(LOG)
    assert settings.variables() == {language.SETTING: "zh"}
    assert guide(home) != english
    file = home / ".jupyter/lab/user-settings" / speech.OF_LAB
    assert json.loads(file.read_text()) == {"locale": "zh_CN"}


def test_what_the_student_has_chosen_stays(home: Path) -> None:
    english = guide(home)
    settings.keep({language.SETTING: "en"})
    speech.begin(LOG)
    assert guide(home) == english
    assert settings.variables() == {language.SETTING: "en"}


def test_an_english_class_writes_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIRTLAB_LANG", "en")
    speech.begin(LOG)
    assert not (home / ".config").exists()
    assert not (home / ".jupyter").exists()
