"""What checks say, in Chinese: every sentence, with the same values in it, and none that nobody says."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from virtlab import checks, messages, paths, scaffold
from virtlab.errors import LabError
from virtlab.messages import NAME, Messages

ENGINE = [messages.OURS.with_name(f"{name}.py") for name in ("containers", "stack", "guests", "values")]


def lines(node):
    """A text as it is written, with {} for each value."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(one.value if isinstance(one, ast.Constant) else "{}" for one in node.values)
    return None


def bare(text):
    """Without what stands for values, and without what is put together from two sentences."""
    return re.sub(r"^\{\} |^`\{\}` (?=is empty|cannot|does not|has your|breaks)|\{\}$", "",
                  NAME.sub("{}", text).strip()).strip()


def written(file):
    return {bare(text) for node in ast.walk(ast.parse(file.read_text())) if (text := lines(node))}


def said(file):
    """What a learner reads: titles, hints, the messages of asserts, what is returned when all is well."""
    for node in ast.walk(ast.parse(file.read_text())):
        found = [node.msg] if isinstance(node, ast.Assert) else []
        if isinstance(node, ast.Return) and isinstance(node.value, ast.JoinedStr | ast.Constant):
            found = [node.value]
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "check":
            found = [*node.args, *(one.value for one in node.keywords if one.arg == "hint")]
        for text in filter(None, map(lines, filter(None, found))):
            if len(re.findall(r"\w+", text)) > 3 and not text.startswith(("/", "find ")):
                yield bare(text)


LABS = sorted(file.parent for file in paths.LABS.glob("*/messages.yml"))
FILES = [(folder / "messages.yml", [folder / "checks.py"]) for folder in LABS]
FILES.append((scaffold.TEMPLATE / "messages.yml.in", [scaffold.TEMPLATE / "checks.py.in"]))
IDS = [*(folder.name for folder in LABS), "lab new"]


@pytest.mark.parametrize(("file", "sources"), [*FILES, (messages.OURS, ENGINE)], ids=[*IDS, "engine"])
def test_each_sentence_is_one_that_is_said_with_the_same_values(file: Path, sources: list[Path]) -> None:
    known = set().union(*map(written, sources))
    for pair in yaml.safe_load(file.read_text()):
        assert bare(pair["en"]) in known, pair["en"]
        assert set(NAME.findall(pair["zh"])) <= set(NAME.findall(pair["en"])), pair["zh"]
        lost = set(NAME.findall(pair["en"])) - set(NAME.findall(pair["zh"]))
        assert not lost, f"{lost} is not in: {pair['zh']}"


@pytest.mark.parametrize(("file", "sources"), FILES, ids=IDS)
def test_everything_a_learner_reads_is_there(file: Path, sources: list[Path]) -> None:
    known = {bare(pair["en"]) for pair in yaml.safe_load(file.read_text())}
    assert sorted(set(said(sources[0])) - known) == []


LEARNERS = [
    paths.ROOT / "src/virtlab" / f"{name}.py" for name in (
        "claims", "cli", "distribution", "needs", "playbooks", "ports", "progress", "prove", "quiz", "root",
        "seat", "settings", "state", "sweep", "values", "workspace", "commands/jupyter", "commands/report",
        "commands/topology", "server/command", "server/live", "server/opening", "server/pages",
    )
]  # fmt: skip
ERRORS = ("LabError", "UsageError", "MachineError", "Unknown", "PlaybookError")


def wrong(file):
    """What errors say: what happened, and what to do."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ERRORS:
            for text in map(lines, [*node.args, *(one.value for one in node.keywords if one.arg == "do")]):
                if text and re.search(r"\w\w", text):
                    yield bare(text)


def test_every_error_that_a_learner_can_meet_is_there_and_no_other() -> None:
    pairs = yaml.safe_load(messages.ERRORS.read_text())
    known = {bare(pair["en"]) for pair in pairs}
    assert sorted({text for file in LEARNERS for text in wrong(file)} - known) == []
    somewhere = set().union(*(written(file) for file in [*LEARNERS, paths.ROOT / "src/virtlab/checks.py",
                                                         paths.ROOT / "src/virtlab/catalogue.py"]))
    assert sorted(known - somewhere) == []
    for pair in pairs:
        assert set(NAME.findall(pair["zh"])) == set(NAME.findall(pair["en"])), pair["zh"]


@pytest.mark.parametrize(("language", "said", "do"), [
    ("en", "Port 8105, which lab 05-x publishes as 'web', is taken by the container c.", "Stop that."),
    ("zh", "实验 05-x 要发布的端口 8105（“web”）已被占用：容器 c。", "Stop that."),
])
def test_errors_are_told_in_the_readers_language(monkeypatch, language, said, do) -> None:
    monkeypatch.setenv("VIRTLAB_LANG", language)
    english = "Port 8105, which lab 05-x publishes as 'web', is taken by the container c."
    told = messages.error(LabError(english, do="Stop that."))
    assert (told.message, told.do) == (said, do)


def test_a_sentence_in_a_sentence_is_said_too() -> None:
    spoken = Messages([
        {"en": "I asked {url} and got {trouble}. {more}", "zh": "访问 {url}，{trouble}。{more}"},
        {"en": "'connection refused'", "zh": "连接被拒绝"},
        {"en": "Look at `{what}`, {what}!", "zh": "请看 `{what}`。"},
    ])
    chinese = spoken.say("I asked x and got 'connection refused'. Look at `y`, y!")
    assert chinese == "访问 x，连接被拒绝。请看 `y`。"
    assert spoken.say("Look at `y`, z!") == "Look at `y`, z!"
    assert spoken.say("Something else.") == "Something else."


TITLE = "A container in host mode serves the word hello-host"


@pytest.mark.parametrize(("language", "title"), [
    ("en", TITLE), ("zh", "一个 host 模式的容器提供含有 hello-host 的网页")])
def test_results_are_told_in_the_readers_language(monkeypatch, language, title) -> None:
    monkeypatch.setenv("VIRTLAB_LANG", language)
    one = checks.Result("host", "host", TITLE, checks.State.FAIL, "Something {odd} nobody has translated.")
    (told,) = messages.told([one], paths.LABS / "05-container-networks")
    assert (told.title, told.message, told.state) == (title, one.message, one.state)
