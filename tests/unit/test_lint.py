"""Lint names what a lab lacks; a new lab lacks only the run of its guide."""

import json

import pytest

from virtlab import catalogue, lint, scaffold
from virtlab.errors import UsageError


@pytest.fixture
def made(kit):
    return scaffold.make("91-my-lab").lab


def said(slug="91-my-lab"):
    return [f"{one.where}: {one.message} ({one.rule})" for one in lint.lint(slug)]


def execute(lab):
    """As if its cells had been run."""
    change(lab, lambda cell: cell.update(execution_count=1) if cell["cell_type"] == "code" else None)


def change(lab, edit):
    book = json.loads(lab.notebook.read_text())
    for cell in book["cells"]:
        edit(cell)
    lab.notebook.write_text(json.dumps(book))


@pytest.mark.host
def test_a_new_lab_lacks_only_the_run_of_its_guide(made):
    found = said()
    assert found
    assert all("were not executed" in one for one in found)
    execute(made)
    assert said() == []


def test_a_new_lab_takes_nobodys_number_prefix_or_port(kit, made):
    other = scaffold.make("92-my-lab").lab
    assert made.prefix == "mylab"
    assert other.prefix == "mylab2"
    assert made.ports != other.ports
    assert len(made.tasks) == 5
    assert len(made.quiz.questions) == 3
    with pytest.raises(UsageError, match="Number 91 is taken by 91-my-lab"):
        scaffold.make("91-again")


def edit_file(lab, name, old, new):
    file = lab.folder / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


FILES = [
    ("lab.yml", "minutes: 30", "minutes: x", "labs/91-my-lab/lab.yml:5: 'minutes' must be a whole number"),
    ("lab.yml", '    hints:\n      - {en: "Docker gives', '    # {en: "', "task 'name' has no hint (tasks)"),
    ("checks.py", "@memory.broken_by\n", "", "check 'memory' has no broken_by"),
    ("checks.py", ', hint="`docker stats --no-stream` shows limits."', "", "check 'memory' has no hint"),
    ("checks.py", 'task="cpu"', 'task="memory"', "task 'cpu' has no check (tasks)"),
    ("checks.py", "MIB = ", "MIB === ", "checks.py:3: not valid Python"),
    ("solve.yml", "tags: [cpu]", "tags: [pcu]", "nothing is tagged 'cpu'"),
    ("finish.yml", "gather_facts: false", "gather_facts: true", "say `gather_facts: false`"),
    ("finish.yml", "hosts: lab_host", "hosts: all", "a lab's plays are for `hosts: lab_host`"),
    ("start.yml", "gather_facts: false", "gather_facts: false\n  become: true", "a lab does not become root"),
    ("start.yml", "- name: Start lab", "- name: [Start lab", "start.yml:3: not valid YAML"),
    ("quiz.yml", "  - id: limit", "predict:\n  - id: limit", "quiz.yml:"),
]  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_what_a_lab_lacks_is_named(monkeypatch, made, case):
    name, old, new, expected = case
    monkeypatch.setattr(lint, "_syntax", lambda _: iter(()))  # a second each, and it has a test of its own
    execute(made)
    edit_file(made, name, old, new)
    assert expected in "\n".join(said())


@pytest.mark.host
def test_ansible_itself_is_asked(made):
    execute(made)
    edit_file(made, "start.yml", "ansible.builtin.shell", "ansible.builtin.shlel")
    assert "Ansible does not accept its playbooks: " in "\n".join(said())


CELLS = [
    ({"cell_type": "markdown", "source": "# A\n\n### B"}, "a heading of level 3 follows one of level 1"),
    ({"cell_type": "markdown", "source": "![](images/x.svg)"}, "picture images/x.svg has no text"),
    ({"cell_type": "markdown", "source": '<img src="x.svg">'}, "an <img> has no alt text"),
    (
        {"cell_type": "code", "source": "1", "execution_count": None, "outputs": []},
        "1 cells were not executed (1 …)",
    ),
    ({"cell_type": "code", "source": "1", "execution_count": 1, "outputs": [
        {"output_type": "error", "ename": "ValueError", "evalue": "no"}]}, "an error: ValueError: no"),
    ({"cell_type": "code", "source": "1", "execution_count": 1, "outputs": [
        {"output_type": "stream", "text": "in /home/ann/x"}]}, "names a folder of one machine: /home/ann"),
    ({"cell_type": "markdown", "source": "", "metadata": {"tags": ["soluton"]}},
     "unknown tag 'soluton'"),
]  # fmt: skip


@pytest.mark.parametrize(("cell", "expected"), CELLS)
def test_what_a_guide_lacks_is_named(monkeypatch, made, cell, expected):
    monkeypatch.setattr(lint, "_syntax", lambda _: iter(()))
    made.notebook.write_text(json.dumps({"cells": [{"metadata": {}} | cell]}))
    assert len(said()) == 1
    assert expected in said()[0]


def test_code_in_prose_is_not_a_heading(monkeypatch, made):
    monkeypatch.setattr(lint, "_syntax", lambda _: iter(()))
    cell = {"cell_type": "markdown", "metadata": {}, "source": "# A\n\n```sh\n### a comment\n```"}
    made.notebook.write_text(json.dumps({"cells": [cell]}))
    assert said() == []


def test_the_commands_exit_code(kit):
    kit.make("90-tiny", "tiny", lab_yml="title: 3\n")
    done = kit.lab("lint", "--json")
    assert done.code == 1
    assert done.json["findings"][0]["where"].startswith("labs/90-tiny/lab.yml:1")
    assert catalogue.slugs() == ["90-tiny"]
