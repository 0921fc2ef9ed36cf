"""Guides: the learner's edition, and that a release never costs a learner their work."""

import json
from pathlib import Path

import nbformat
import pytest

from virtlab import guides, paths
from virtlab.errors import LabError

CODE, PROSE = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell


@pytest.fixture
def notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setattr(paths, "NOTEBOOKS", folder)
    return folder


def tagged(cell, *tags):
    cell.metadata["tags"] = list(tags)
    return cell


def write(folder: Path, *cells, slug: str = "01-try") -> None:
    # Fixed ids: nbformat makes random ones, and a guide on disk has one for good.
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    nbformat.write(nbformat.v4.new_notebook(cells=list(cells)), folder / f"{slug}.ipynb")


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


@pytest.mark.parametrize(("cell", "said"), [
    (tagged(CODE("1"), "Solution"), "unknown tag 'Solution'"),
    (tagged(CODE("1"), "lang-en"), "code is shared between languages"),
    (tagged(PROSE("1"), "lang-en", "lang-zh"), "at once"),
])
def test_a_wrong_tag_stops_the_release_with_nothing_written(notebooks, tmp_path, cell, said):
    write(notebooks, PROSE("Good"), slug="01-good")
    write(notebooks, PROSE("First"), cell, slug="02-bad")
    with pytest.raises(LabError, match=said) as raised:
        guides.release(tmp_path / "home")
    assert "02-bad.ipynb" in raised.value.message
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("old", "new"), [("{", ""), ('"tags": [', '"tags": "solution", "x": ['), ('"code"', '"cod"')])
def test_a_file_that_is_no_notebook_is_named(notebooks, tmp_path, old, new):
    write(notebooks, tagged(CODE("1"), "solution"))
    source = notebooks / "01-try.ipynb"
    source.write_text(source.read_text().replace(old, new))
    with pytest.raises(LabError, match=r"01-try\.ipynb(, cell 1: | is not a readable notebook)"):
        guides.release(tmp_path / "home")


def test_released_once_then_nothing_to_do(notebooks, tmp_path):
    write(notebooks, PROSE("One"))
    assert [one.state for one in guides.release(tmp_path / "home", ["01-try"], check=True)] == ["new"]
    assert not (tmp_path / "home").exists()
    assert [one.state for one in guides.release(tmp_path / "home")] == ["new", "new"]
    assert [one.state for one in guides.release(tmp_path / "home")] == ["kept", "kept"]


def test_a_newer_guide_replaces_one_nobody_worked_in(notebooks, tmp_path):
    write(notebooks, PROSE("One"))
    guides.release(tmp_path)
    write(notebooks, PROSE("Two"))
    assert [one.state for one in guides.release(tmp_path)] == ["kept", "updated"]
    assert "Two" in (tmp_path / "01-try/01-try.ipynb").read_text()


def test_what_the_learner_did_stays_and_a_newer_guide_lies_beside_it(notebooks, tmp_path):
    write(notebooks, PROSE("One"))
    guides.release(tmp_path)
    mine = tmp_path / "01-try/01-try.ipynb"
    mine.write_text(mine.read_text().replace("One", "My notes"))
    assert guides.release(tmp_path)[1].state == "kept"          # nothing newer to offer

    write(notebooks, PROSE("Two"))
    assert guides.release(tmp_path)[1] == guides.Released("01-try", "beside", "01-try/01-try.new.ipynb")
    assert guides.release(tmp_path)[1].state == "kept"
    write(notebooks, PROSE("Three"))
    assert guides.release(tmp_path)[1].path == "01-try/01-try.new.ipynb"       # nobody worked in that one

    new = tmp_path / "01-try/01-try.new.ipynb"
    new.write_text(new.read_text().replace("Three", "More notes"))
    write(notebooks, PROSE("Four"))
    assert guides.release(tmp_path)[1].path == "01-try/01-try.new-2.ipynb"
    assert "My notes" in mine.read_text()
    assert "More notes" in new.read_text()
    assert guides.release(tmp_path)[1].state == "kept"


def test_without_its_record_everything_there_counts_as_the_learners(notebooks, tmp_path):
    write(notebooks, PROSE("One"))
    guides.release(tmp_path)
    (tmp_path / guides.RECORD).write_text("not json")
    write(notebooks, PROSE("Two"))
    assert guides.release(tmp_path)[1].state == "beside"


def test_killed_between_a_guide_and_its_record_it_goes_on(notebooks, tmp_path):
    write(notebooks, PROSE("One"))
    guides.release(tmp_path)
    (tmp_path / guides.RECORD).unlink()
    assert [one.state for one in guides.release(tmp_path)] == ["kept", "kept"]
    write(notebooks, PROSE("Two"))
    assert guides.release(tmp_path)[1].state == "updated"


def test_start_here_lies_on_top(notebooks, tmp_path):
    assert guides.release(tmp_path) == [guides.Released("start-here", "new", "start-here.ipynb")]
    assert "%lab list" in (tmp_path / "start-here.ipynb").read_text()


def test_a_deleted_guide_comes_back(notebooks, tmp_path):
    write(notebooks, PROSE("One"))
    guides.release(tmp_path)
    (tmp_path / "01-try/01-try.ipynb").unlink()
    assert guides.release(tmp_path)[1].state == "new"


def test_pictures_come_along(notebooks, tmp_path):
    (notebooks / "images").mkdir()
    (notebooks / "images/shop.svg").write_text("<svg/>")
    write(notebooks, PROSE("![The shop](images/shop.svg) ![far](https://example.org/x.png)"))
    guides.release(tmp_path / "home")
    picture = tmp_path / "home/01-try/images/shop.svg"
    assert picture.read_text() == "<svg/>"
    (notebooks / "images/shop.svg").write_text("<svg>2</svg>")
    assert guides.release(tmp_path / "home")[1].state == "updated"
    assert picture.read_text() == "<svg>2</svg>"


@pytest.mark.parametrize("name", ["images/none.svg", "../secret.svg"])
def test_a_picture_that_is_not_there_stops_the_release(notebooks, tmp_path, name):
    (tmp_path / "secret.svg").write_text("<svg/>")
    write(notebooks, PROSE(f"![A picture]({name})"))
    with pytest.raises(LabError, match="no such picture"):
        guides.release(tmp_path / "home")


def test_the_command_prints_what_became_of_each(notebooks, tmp_path, capsys):
    write(notebooks, PROSE("One"))
    assert guides.main(["release", "--workspace", str(tmp_path / "home")]) == 0
    _, said = json.loads(capsys.readouterr().out)
    assert said == {"slug": "01-try", "state": "new", "path": "01-try/01-try.ipynb"}
    assert guides.main(["execute", "99-none"]) == 2
    assert "There is no guide notebooks/99-none.ipynb" in capsys.readouterr().err
