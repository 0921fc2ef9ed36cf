"""Guides: the edition of each that a learner gets, in their language."""

import nbformat
import pytest

from virtlab import guides
from virtlab.language import LANGUAGES

CODE, PROSE = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell


def tagged(cell, *tags):
    cell.metadata["tags"] = list(tags)
    return cell


def edition(*cells, language="en"):
    guide = nbformat.from_dict(guides.learners_edition(nbformat.v4.new_notebook(cells=list(cells)), language))
    nbformat.validate(guide)
    return guide.cells


def test_a_solution_becomes_a_question_and_an_empty_cell():
    asked, empty, after = edition(
        tagged(CODE("# Your turn: make a network.\n!docker network create net-shop"), "solution"),
        tagged(CODE("!docker run …"), "solution"),
        PROSE("After."),
    )
    assert asked.source.startswith("**Your turn:** make a network.")
    assert (empty.cell_type, empty.source, after.source) == ("code", "", "After.")


def test_what_the_prose_has_asked_is_not_asked_again():
    asked, empty = edition(PROSE("### Your turn: names\nStart."), tagged(CODE("!docker run …"), "solution"))
    assert (asked.source.splitlines()[0], empty.source) == ("### Your turn: names", "")


def test_two_solutions_apart_are_two_questions():
    cells = edition(tagged(CODE("1"), "solution"), PROSE("Between."), tagged(CODE("2"), "solution"))
    assert [cell.cell_type for cell in cells] == ["markdown", "code", "markdown", "markdown", "code"]


def test_outputs_go():
    output = nbformat.v4.new_output("stream", text="2\n")
    (cell,) = edition(CODE("print(1 + 1)", execution_count=3, outputs=[output]))
    assert (cell.outputs, cell.execution_count, cell.source) == ([], None, "print(1 + 1)")


@pytest.mark.parametrize(("language", "shown"), [("en", "Hello"), ("zh", "你好")])
def test_prose_comes_in_one_language(language, shown):
    english, chinese = tagged(PROSE("Hello"), "lang-en"), tagged(PROSE("你好"), "lang-zh")
    cells = edition(english, chinese, CODE("1"), language=language)
    assert [cell.source for cell in cells] == [shown, "1"]


def test_a_guide_without_a_translation_comes_in_english():
    book = nbformat.v4.new_notebook(cells=[tagged(PROSE("Hello"), "lang-en"), tagged(CODE("1"), "solution")])
    guide = guides.learners_edition(book, "zh")
    assert [cell["source"].splitlines()[:1] for cell in guide["cells"]] == [["Hello"], ["**Your turn.**"], []]
    assert guides.language_of(guide) == "en"


@pytest.mark.parametrize(("prose", "code", "asked"), [
    ("你好", "# Your turn: make a network.\n# 轮到你：建一个网络。\n!docker …", "**轮到你：** 建一个网络。"),
    ("你好", "!docker …", "**轮到你。**"),
    ("### 轮到你：名字", "!docker …", None),
])
def test_solutions_are_asked_for_in_chinese(prose, code, asked):
    cells = edition(tagged(PROSE(prose), "lang-zh"), tagged(CODE(code), "solution"), language="zh")
    assert [cell.source.splitlines()[0] for cell in cells[1:-1]] == ([asked] if asked else [])
    assert cells[-1].source == ""
    assert "docker" not in "".join(cell.source for cell in cells)


def test_what_widgets_have_shown_goes_too():
    guide = nbformat.v4.new_notebook(cells=[CODE("1")])
    guide.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {"a": "the answer"}}}
    assert "the answer" not in str(guides.learners_edition(guide))


def test_every_language_has_its_words():
    assert set(guides.ASKED) == set(guides.TURN) == set(guides.TITLE) == set(guides.PROMPT) == set(LANGUAGES)


def test_each_task_has_its_place_in_every_edition():
    book = nbformat.v4.new_notebook(cells=[
        tagged(PROSE("Hello"), "lang-en"), tagged(PROSE("你好"), "lang-zh"),
        tagged(CODE("1"), "solution", "task-names"), tagged(CODE("2"), "solution", "task-pod", "task-names"),
        PROSE("Between."), tagged(CODE("3"), "solution", "task-host"),
    ])  # fmt: skip
    places = guides.places(book)
    assert places["names"] == places["pod"] != places["host"]
    for language in LANGUAGES:
        cells = {cell["id"]: cell for cell in guides.learners_edition(book, language)["cells"]}
        assert [cells[places[task]]["source"] for task in ("names", "host")] == ["", ""]
    assert list(guides.problems(book["cells"][3])) == []
