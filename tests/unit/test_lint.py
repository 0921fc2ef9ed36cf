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


@pytest.mark.host
def test_lab_new_runs_the_guide_and_then_lint_has_nothing_to_complain_about(kit):
    done = kit.lab("new", "91-my-lab", VIRTLAB_STATE="/var/lib/virtlab")
    assert done.code == 0, done.err
    assert "execute" not in done.out
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
    ({"cell_type": "markdown", "source": "![](x.svg)"}, "picture x.svg has no text"),
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
    (made.notebook.parent / "x.svg").write_text("<svg/>")
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


def code(source, *tags, output=""):
    outputs = [{"output_type": "stream", "name": "stdout", "text": output}] if output else []
    return {"cell_type": "code", "id": f"c{abs(hash(source))}", "metadata": {"tags": list(tags)},
            "source": source, "outputs": outputs, "execution_count": 1}  # fmt: skip


def prose(source, *tags):
    return {"cell_type": "markdown", "metadata": {"tags": list(tags)}, "source": source}


def english(source):
    return prose(source, "lang-en")


def chinese(source):
    return prose(source, "lang-zh")


ANSWER = code("docker network create my-net\ndocker run -d --name shop --network my-net busybox",
              "solution", output="a network called my-net, made just now\n")  # fmt: skip
GUIDES = {
    "twins": ([english("# Hello"), chinese("# 你好"), code("1"), english("More"), chinese("还有")], None),
    "three for two": ([english("A"), english("B"), chinese("甲"), chinese("乙"), chinese("丙")], None),
    "not translated at all": ([english("# Hello"), code("1"), english("More")], None),
    "one is missing": ([english("A"), chinese("甲"), english("B"), code("1")],
                       "cell 3: it has no lang-zh twin"),
    "the last is missing": ([english("A"), chinese("甲"), english("B")], "cell 3: it has no lang-zh twin"),
    "the first is missing": ([english("A"), prose("both"), english("B"), chinese("乙")],
                             "cell 1: it has no lang-zh twin"),
    "alone": ([english("A"), chinese("甲"), code("1"), chinese("乙")], "cell 4: lang-zh stands alone"),
    "before": ([chinese("甲"), english("A"), chinese("甲")], "cell 1: lang-zh stands alone"),
    "another heading": ([english("# A"), chinese("甲")], "cell 2: not the same headings"),
    "another picture": ([english("![a](x.svg)"), chinese("![甲](y.svg)")], "cell 2: not the same pictures"),
    "other code": ([english("```\na\n```"), chinese("```\nb\n```")], "cell 2: not the same code"),
    "a picture that is nowhere": ([prose("![a](z.svg)")], "cell 1: picture z.svg is not in notebooks/"),
    "a heading of its own": ([prose("# 1. A *b*"), prose("[up](#1.-A-b)")], None),
    "no such heading": ([prose("# A"), prose("[up](#B)")], "cell 2: the link #B leads nowhere"),
    "another guide": ([prose("[next](../91-my-lab/91-my-lab.ipynb)")], None),
    "no such guide": ([prose("[next](../92-none/92-none.ipynb)")],
                      "cell 1: the link ../92-none/92-none.ipynb"),
    "no address": ([prose("[far](https:///x)")], "cell 1: the link https:///x leads nowhere"),
    "code is no link": ([prose("`[a](b)`")], None),
    "taught before": ([code(ANSWER["source"]), ANSWER], None),
    "solved again": ([prose("A"), ANSWER, code("ls"), ANSWER], None),
    "given away in code": ([ANSWER, code("echo; " + ANSWER["source"])],
                           "cell 2: it gives away the solution of cell 1"),
    "given away in prose": (
        [prose("`docker network create my-net`, then `docker  run -d --name shop --network my-net busybox`"),
         ANSWER],
        "cell 1: it gives away the solution of cell 2"),
    "half of it is no answer": ([prose("Begin with `docker network create my-net`."), ANSWER], None),
    "given away in a picture": (
        [ANSWER, prose("x") | {"attachments": {"a.svg": {"image/svg+xml": ANSWER["source"]}}}],
        "cell 2: it gives away the solution of cell 1"),
    "its output": ([ANSWER, prose("You see: a network called my-net, made just now.")],
                   "cell 2: it shows what the solution of cell 1 printed"),
}  # fmt: skip


def test_once_a_solution_says_its_task_every_task_has_one(monkeypatch, made):
    monkeypatch.setattr(lint, "_syntax", lambda _: iter(()))
    execute(made)
    assert said() == []
    change(made, lambda cell: cell["metadata"].update(tags=[
        {"task-name": "task-nmae"}.get(tag, tag) for tag in cell["metadata"].get("tags", [])]))
    assert [one.partition(": ")[2] for one in said()] == [
        "no solution is tagged `task-name` (guide)",
        "a solution is tagged `task-nmae`, and lab.yml has no such task (guide)",
    ]


@pytest.mark.parametrize("name", GUIDES)
def test_a_guide_is_whole_in_each_language_and_gives_nothing_away(monkeypatch, made, name):
    cells, expected = GUIDES[name]
    monkeypatch.setattr(lint, "_syntax", lambda _: iter(()))
    for picture in ("x.svg", "y.svg"):
        (made.notebook.parent / picture).write_text("<svg/>")
    made.notebook.write_text(json.dumps({"cells": cells, "metadata": {}}))
    found = [one for one in said() if "heading of level" not in one]
    assert len(found) == bool(expected), found
    assert not expected or expected in found[0]
