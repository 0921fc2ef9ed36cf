"""Labs as they are found, and every way in which one can be malformed: one line, with its place."""

import pytest
from tests.unit.conftest import LAB_YML

from virtlab import catalogue
from virtlab.errors import UsageError

MALFORMED = [
    ("title:", "titel:", ":1: unknown key 'titel' (did you mean 'title'?)."),
    ("minutes: 5", "minutes: 5\ncolour: red", ":5: unknown key 'colour'; known are "),
    ("minutes: 5", "minutes: soon", ":4: 'minutes' must be a whole number, but is \"soon\"."),
    ("minutes: 5", "minutes: 0", ":4: 'minutes' must be at least 1, but is 0."),
    ("minutes: 5\n", "", ":1: 'minutes' is missing."),
    (
        "track: containers",
        "track: boats",
        ":3: 'track' must be one of containers, machines, cloud, but is \"boats\".",
    ),
    ("prefix: PREFIX", "prefix: lab", ":5: 'prefix' cannot be \"lab\""),
    ("web: 8197", "web: 80", ":6: 'ports.web' must be at least 1024, but is 80."),
    (
        "docker: DOCKER",
        "docker: DOCKER, podman: true",
        ":7: unknown key 'needs.podman'; known are docker, libvirt",
    ),
    ("summary: {en: A network and a volume.}", "summary: {zh: 网络}", ":2: 'summary.en' is missing."),
    (
        "title: {en: A network}",
        "title: A network",
        ":10: 'tasks[0].title' must be a table (name: value), but is",
    ),
    ("  - id: volume", "  - id: net", ":14: task 'net' is there twice."),
    ("track: containers", "track: containers\ntrack: cloud", ":4: 'track' is given twice."),
    ("track: containers", "track: [containers", ":4: not valid YAML: "),
    ("track: containers", "\ttrack: containers", ":3: not valid YAML: "),
    (LAB_YML, "", ":1: 'the file' must be a table (name: value), but is null."),
    (LAB_YML, "- a list\n", ":1: 'the file' must be a table (name: value), but is [\"a list\"]."),
]


@pytest.mark.parametrize(("old", "new", "said"), MALFORMED)
def test_a_malformed_lab_yml_is_one_line_with_its_place(kit, old, new, said):
    assert old in LAB_YML
    kit.make("90-tiny", "tiny", lab_yml=LAB_YML.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        catalogue.load("90-tiny")
    assert caught.value.message.startswith(f"labs/90-tiny/lab.yml{said}")
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("name", ["lab.yml", "start.yml", "solve.yml", "finish.yml", "checks.py"])
def test_a_missing_file_is_named(kit, name):
    (kit.make("90-tiny", "tiny") / name).unlink()
    with pytest.raises(UsageError, match=rf"^labs/90-tiny/{name}:1: the file is missing"):
        catalogue.load("90-tiny")


@pytest.mark.parametrize("wanted", ["05", "5", "networks", "05-networks"])
def test_a_lab_has_many_names(kit, wanted):
    kit.make("05-networks", "net")
    assert catalogue.find(wanted).slug == "05-networks"


@pytest.mark.parametrize(("wanted", "near"), [("netwroks", "networks"), ("05-network", "05-networks")])
def test_an_unknown_lab_suggests_the_nearest(kit, wanted, near):
    kit.make("05-networks", "net")
    with pytest.raises(UsageError, match=rf"no lab '{wanted}' \(did you mean '{near}'\?\)"):
        catalogue.find(wanted)


def test_a_broken_lab_disturbs_no_other(kit):
    kit.make("05-networks", "net")
    kit.make("06-broken", "bad", lab_yml="title: 3\n")
    (kit.labs / "no-number").mkdir()
    good, bad, odd = catalogue.every()
    assert isinstance(good, catalogue.Lab)
    assert isinstance(bad, catalogue.Broken)
    assert isinstance(odd, catalogue.Broken)
    listed = kit.lab("list")
    assert listed.code == 0
    assert "05-networks  5 min         Tiny" in listed.out
    assert "cannot be used: labs/06-broken/lab.yml:1:" in listed.out


def test_texts_come_in_the_readers_language(kit, monkeypatch):
    kit.make("05-networks", "net")
    title = catalogue.load("05-networks").title
    monkeypatch.setenv("VIRTLAB_LANG", "en")
    assert str(title) == "Tiny"
    monkeypatch.setenv("VIRTLAB_LANG", "zh_CN.UTF-8")
    assert str(title) == "小"
    assert str(catalogue.load("05-networks").summary) == "A network and a volume."  # no Chinese: English


QUESTION = "{id: one, question: {en: Why?}, choices: [%s]}"
RIGHT = "{text: {en: A}, right: true, feedback: {en: Yes.}}"
WRONG = "{text: {en: B}, right: false, feedback: {en: No.}}"


def test_questions_and_predictions_are_found_by_name(kit):
    folder = kit.make("05-networks", "net")
    both = f"{RIGHT}, {WRONG}"
    (folder / "quiz.yml").write_text(
        f"quiz:\n  - {QUESTION % both}\npredict:\n  - {(QUESTION % both).replace('one', 'two')}\n"
    )
    quiz = catalogue.load("05-networks").quiz
    assert [choice.right for choice in quiz.find("two").choices] == [True, False]
    with pytest.raises(UsageError, match="no question 'tow'"):
        quiz.find("tow")


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        (f"{WRONG}, {WRONG}", ":2: question 'one' has no right answer."),
        (RIGHT, ":2: 'quiz[0].choices' needs 2 or more, but has 1."),
        (
            f"{RIGHT}, {{text: {{en: B}}, right: maybe, feedback: {{en: No.}}}}",
            ":2: 'quiz[0].choices[1].right' must be",
        ),
    ],
)
def test_a_malformed_quiz_is_one_line_with_its_place(kit, choices, said):
    folder = kit.make("05-networks", "net")
    (folder / "quiz.yml").write_text(f"quiz:\n  - {QUESTION % choices}\n")
    with pytest.raises(UsageError) as caught:
        _ = catalogue.load("05-networks").quiz
    assert caught.value.message.startswith(f"labs/05-networks/quiz.yml{said}")


def test_ports_can_be_moved_by_their_names_only(kit):
    kit.make("05-networks", "net")
    lab = catalogue.load("05-networks")
    assert lab.with_ports({"web": 9105}).ports == {"web": 9105}
    with pytest.raises(UsageError, match="no port 'wbe'"):
        lab.with_ports({"wbe": 9105})
