"""One setting for the language, and every fixed phrase in each."""

import ast
import string
from pathlib import Path

import pytest

from virtlab import language, paths, zh
from virtlab.notebook import verbs, view

SOURCE = Path(language.__file__).parent


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    for name in ("VIRTLAB_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


@pytest.mark.parametrize(("environment", "kept", "expected"), [
    ({}, "", "en"),
    ({"LANG": "zh_CN.UTF-8"}, "", "zh"),
    ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, "", "en"),
    ({"LANG": "de_DE.UTF-8"}, "", "en"),
    ({"LANG": "de_DE.UTF-8"}, "jupyterlab_port: 1\njupyterlab_language: zh\n", "zh"),
    ({"LANG": "zh_CN.UTF-8"}, "jupyterlab_language: 'en'\n", "en"),
    ({"VIRTLAB_LANG": "en"}, "jupyterlab_language: zh\n", "en"),
    ({"VIRTLAB_LANG": "zh_CN"}, "", "zh"),
    ({"VIRTLAB_LANG": "tlh"}, "jupyterlab_language: zh\n", "zh"),
])
@pytest.mark.usefixtures("nowhere")
def test_whose_word_counts(monkeypatch, environment, kept, expected):
    if kept:
        paths.write(paths.variables(), kept)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert language.current() == expected


def test_a_text_is_chosen_and_english_is_always_there():
    both = {"en": "Hello", "zh": "你好"}
    assert (language.choose(both, "zh"), language.choose(both, "en")) == ("你好", "Hello")
    assert language.choose({"en": "Hello"}, "zh") == "Hello"


def test_a_phrase_is_said_in_the_readers_language(monkeypatch):
    monkeypatch.setenv("VIRTLAB_LANG", "zh")
    assert language.say("about {minutes} minutes", minutes=5) == "约 5 分钟"
    monkeypatch.setenv("VIRTLAB_LANG", "en")
    assert language.say("about {minutes} minutes", minutes=5) == "about 5 minutes"


def phrases():
    """Every `say("…")` of the package."""
    for file in SOURCE.rglob("*.py"):
        if file.is_relative_to(SOURCE / "topology"):            # has words of its own, in pairs
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "say":
                yield from (one.value for one in ast.walk(node.args[0]) if isinstance(one, ast.Constant))
    yield from (*view.WORDS.values(), *verbs.USAGE, verbs.NAME_IT)  # said by name


def constants():
    """Every text in the package's code, but for the Chinese table."""
    for file in set(SOURCE.rglob("*.py")) - {Path(zh.__file__)}:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def names(phrase):
    return sorted(name for _, name, _, _ in string.Formatter().parse(phrase) if name is not None)


def test_every_phrase_has_its_chinese_with_the_same_names_in_it():
    said = set(phrases())
    assert said - set(zh.PHRASES) == set()
    assert set(zh.PHRASES) - set(constants()) == set()          # nothing that nobody says
    assert [one for one in said if names(one) != names(zh.PHRASES[one])] == []
