"""A learner's own values: the same every time, others for others, and a neighbour's are known as such."""

import pytest

from virtlab import catalogue, values
from virtlab.errors import UsageError

VALUES = """values:
  word: {kind: word, title: {en: The word on your page}}
  title: {kind: title, title: {en: A title}}
  host: {kind: name, title: {en: A name}}
  many: {kind: number, title: {en: A number}, from: 3, to: 9}
  door: {kind: port, title: {en: A port}, from: 9300, to: 9399}
"""


@pytest.fixture
def lab(kit, monkeypatch):
    monkeypatch.setenv("VIRTLAB_LEARNER", "ada")
    folder = kit.make("90-tiny", "tiny")
    values.key_file().parent.mkdir(parents=True)
    values.key_file().write_text("00" * 32)  # the same words in every run of this test
    values.key_file().chmod(0o600)
    (folder / "lab.yml").write_text((folder / "lab.yml").read_text() + VALUES)
    return catalogue.load("90-tiny")


def test_they_are_the_same_every_time_and_others_for_others(kit, lab, monkeypatch):
    mine = dict(lab.values)
    assert dict(catalogue.load("90-tiny").values) == mine
    assert len(set(mine.values())) == len(mine)
    everybody = set()
    for number in range(50):
        monkeypatch.setenv("VIRTLAB_LEARNER", f"student-{number}")
        everybody.add(catalogue.load("90-tiny").values["title"])
    assert len(everybody) > 40
    monkeypatch.setenv("VIRTLAB_LEARNER", "ada")
    values.key_file().unlink()  # another machine
    assert dict(catalogue.load("90-tiny").values) != mine
    assert values.key_file().stat().st_mode & 0o777 == 0o600


def test_each_kind_is_what_it_says(lab):
    assert 3 <= lab.values["many"] <= 9
    assert 9300 <= lab.values["door"] <= 9399
    assert lab.values["word"] in values.NOUNS
    assert lab.values["title"].startswith("The ")
    assert lab.values["host"].replace("-", "").isalpha()


def test_playbooks_terminals_and_guides_have_them(lab):
    assert lab.variables()["value"] == dict(lab.values)
    environment = lab.environment()
    assert environment["LAB"] == "90-tiny"
    assert environment["LAB_PORT"] == environment["LAB_PORT_WEB"] == "8197"
    assert environment["LAB_PORT_DOOR"] == environment["LAB_DOOR"] == str(lab.values["door"])
    assert environment["LAB_WORD"] == lab.values["word"]


def test_a_drawn_port_is_one_of_the_labs_and_can_be_moved(lab):
    assert lab.ports["door"] == lab.values["door"]
    moved = lab.with_ports({"door": 9500})
    assert moved.values["door"] == 9500
    assert moved.environment()["LAB_DOOR"] == "9500"
    assert moved.values["word"] == lab.values["word"]


def test_a_neighbours_value_is_called_so(lab, monkeypatch):
    monkeypatch.setenv("VIRTLAB_LEARNER", "bob")
    theirs = dict(catalogue.load("90-tiny").values)
    monkeypatch.setenv("VIRTLAB_LEARNER", "ada")
    for name, kind in (("word", "word"), ("title", "title"), ("host", "name")):
        said = lab.values.whose(name, f"<p>{theirs[name]}</p>")
        assert said == (
            f"`{theirs[name]}` is the {kind} of somebody else's lab: yours is `{lab.values[name]}`. "
        )
    assert lab.values.whose("word", f"<p>{lab.values['word']} and nothing else</p>") == ""
    assert lab.values.whose("many", "7") == ""


def test_wrong_ones_are_named_with_their_line(kit, lab):
    file = lab.folder / "lab.yml"
    right = file.read_text()
    for old, new, said in (
        ("from: 3, to: 9", "from: 9, to: 3", "`from` one number `to` a larger one"),
        ("door: {", "web: {", "'web' is a port's name already"),
        ("from: 9300", "from: 80", "a port is from 1024"),
        ("kind: word", "kind: wrod", "lab.yml:"),
        ("  word:", "  port_x:", "lab.yml:"),
    ):
        file.write_text(right.replace(old, new, 1))
        with pytest.raises(UsageError) as error:
            catalogue.load("90-tiny")
        assert said in error.value.message
        assert "90-tiny/lab.yml:" in error.value.message
