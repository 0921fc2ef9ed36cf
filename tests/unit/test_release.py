"""Releasing guides: a release never costs a learner their work, in whichever language it was done."""

import hashlib
import json
from pathlib import Path

import nbformat
import pytest

from virtlab import guides, paths, release
from virtlab.errors import LabError

CODE, PROSE = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell


@pytest.fixture
def notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setattr(paths, "NOTEBOOKS", folder)
    monkeypatch.setenv("VIRTLAB_LANG", "en")
    return folder


def tagged(cell, *tags):
    cell.metadata["tags"] = list(tags)
    return cell


def write(folder: Path, *cells, slug: str = "01-try") -> None:
    # Fixed ids: nbformat makes random ones, and a guide on disk has one for good.
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    nbformat.write(nbformat.v4.new_notebook(cells=list(cells)), folder / f"{slug}.ipynb")


def in_both(folder: Path, english: str, chinese: str) -> None:
    write(folder, tagged(PROSE(english), "lang-en"), tagged(PROSE(chinese), "lang-zh"))


@pytest.mark.parametrize(("cell", "said"), [
    (tagged(CODE("1"), "Solution"), "unknown tag 'Solution'"),
    (tagged(CODE("1"), "lang-en"), "code is shared between languages"),
    (tagged(PROSE("1"), "lang-en", "lang-zh"), "at once"),
])
def test_a_wrong_tag_stops_the_release_with_nothing_written(notebooks, tmp_path, cell, said):
    write(notebooks, PROSE("Good"), slug="01-good")
    write(notebooks, PROSE("First"), cell, slug="02-bad")
    with pytest.raises(LabError, match=said) as raised:
        release.release(tmp_path / "home")
    assert "02-bad.ipynb" in raised.value.message
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("old", "new"), [("{", ""), ('"tags": [', '"tags": "solution", "x": ['), ('"code"', '"cod"')])
def test_a_file_that_is_no_notebook_is_named(notebooks, tmp_path, old, new):
    write(notebooks, tagged(CODE("1"), "solution"))
    source = notebooks / "01-try.ipynb"
    source.write_text(source.read_text().replace(old, new))
    with pytest.raises(LabError, match=r"01-try\.ipynb(, cell 1: | is not a readable notebook)"):
        release.release(tmp_path / "home")


def test_released_once_then_nothing_to_do(notebooks, tmp_path):
    write(notebooks, PROSE("One"))
    assert [one.state for one in release.release(tmp_path / "home", ["01-try"], check=True)] == ["new"]
    assert not (tmp_path / "home").exists()
    assert [one.state for one in release.release(tmp_path / "home")] == ["new"]
    assert [one.state for one in release.release(tmp_path / "home")] == ["kept"]


def test_a_newer_guide_replaces_one_nobody_worked_in(notebooks, tmp_path):
    write(notebooks, PROSE("One"))
    release.release(tmp_path)
    write(notebooks, PROSE("Two"))
    assert [one.state for one in release.release(tmp_path)] == ["updated"]
    assert "Two" in (tmp_path / "01-try/01-try.ipynb").read_text()


def test_what_the_learner_did_stays_and_a_newer_guide_lies_beside_it(notebooks, tmp_path):
    write(notebooks, PROSE("One"))
    release.release(tmp_path)
    mine = tmp_path / "01-try/01-try.ipynb"
    mine.write_text(mine.read_text().replace("One", "My notes"))
    assert release.release(tmp_path)[0].state == "kept"          # nothing newer to offer

    write(notebooks, PROSE("Two"))
    assert release.release(tmp_path)[0] == release.Released("01-try", "beside", "01-try/01-try.new.ipynb")
    assert release.release(tmp_path)[0].state == "kept"
    write(notebooks, PROSE("Three"))
    assert release.release(tmp_path)[0].path == "01-try/01-try.new.ipynb"       # nobody worked in that one

    new = tmp_path / "01-try/01-try.new.ipynb"
    new.write_text(new.read_text().replace("Three", "More notes"))
    write(notebooks, PROSE("Four"))
    assert release.release(tmp_path)[0].path == "01-try/01-try.new-2.ipynb"
    assert "My notes" in mine.read_text()
    assert "More notes" in new.read_text()
    assert release.release(tmp_path)[0].state == "kept"


def test_without_its_record_everything_there_counts_as_the_learners(notebooks, tmp_path):
    write(notebooks, PROSE("One"))
    release.release(tmp_path)
    (tmp_path / release.RECORD).write_text("not json")
    write(notebooks, PROSE("Two"))
    assert release.release(tmp_path)[0].state == "beside"


def test_killed_between_a_guide_and_its_record_it_goes_on(notebooks, tmp_path):
    write(notebooks, PROSE("One"))
    release.release(tmp_path)
    (tmp_path / release.RECORD).unlink()
    assert [one.state for one in release.release(tmp_path)] == ["kept"]
    write(notebooks, PROSE("Two"))
    assert release.release(tmp_path)[0].state == "updated"


def test_a_deleted_guide_comes_back(notebooks, tmp_path):
    write(notebooks, PROSE("One"))
    release.release(tmp_path)
    (tmp_path / "01-try/01-try.ipynb").unlink()
    assert release.release(tmp_path)[0].state == "new"


def test_pictures_come_along(notebooks, tmp_path):
    (notebooks / "images").mkdir()
    (notebooks / "images/shop.svg").write_text("<svg/>")
    write(notebooks, PROSE("![The shop](images/shop.svg) ![far](https://example.org/x.png)"))
    release.release(tmp_path / "home")
    picture = tmp_path / "home/01-try/images/shop.svg"
    assert picture.read_text() == "<svg/>"
    (notebooks / "images/shop.svg").write_text("<svg>2</svg>")
    assert release.release(tmp_path / "home")[0].state == "updated"
    assert picture.read_text() == "<svg>2</svg>"


@pytest.mark.parametrize("name", ["images/none.svg", "../secret.svg"])
def test_a_picture_that_is_not_there_stops_the_release(notebooks, tmp_path, name):
    (tmp_path / "secret.svg").write_text("<svg/>")
    write(notebooks, PROSE(f"![A picture]({name})"))
    with pytest.raises(LabError, match="no such picture"):
        release.release(tmp_path / "home")


def test_the_command_prints_what_became_of_each(notebooks, tmp_path, capsys):
    write(notebooks, PROSE("One"))
    assert guides.main(["release", "--workspace", str(tmp_path / "home")]) == 0
    (said,) = json.loads(capsys.readouterr().out)
    assert said == {"slug": "01-try", "state": "new", "path": "01-try/01-try.ipynb"}
    assert guides.main(["execute", "99-none"]) == 2
    assert "There is no guide notebooks/99-none.ipynb" in capsys.readouterr().err


def test_another_language_replaces_a_guide_nobody_worked_in(notebooks, tmp_path):
    in_both(notebooks, "Hello", "你好")
    release.release(tmp_path)
    (done,) = release.release(tmp_path, ["01-try"], language="zh")
    assert (done.state, done.path) == ("updated", "01-try/01-try.ipynb")
    assert "你好" in release.guide_in(tmp_path / "01-try", "zh").read_text()


def test_another_language_lies_beside_the_learners_own(notebooks, tmp_path):
    in_both(notebooks, "Hello", "你好")
    release.release(tmp_path)
    mine = tmp_path / "01-try/01-try.ipynb"
    mine.write_text(mine.read_text().replace("Hello", "My notes"))

    (done,) = release.release(tmp_path, ["01-try"], language="zh")
    assert (done.state, done.path) == ("beside", "01-try/01-try.zh.ipynb")
    assert "My notes" in mine.read_text()
    assert release.guide_in(tmp_path / "01-try", "zh") == tmp_path / done.path
    assert release.guide_in(tmp_path / "01-try", "en") == mine
    assert release.release(tmp_path, ["01-try"], language="zh")[0].state == "kept"
    assert release.release(tmp_path, ["01-try"], language="en")[0].state == "kept"

    in_both(notebooks, "Hello again", "又见面了")              # newer ones, each beside its own language
    assert release.release(tmp_path, ["01-try"], language="zh")[0].path == "01-try/01-try.zh.ipynb"
    assert release.release(tmp_path, ["01-try"], language="en")[0].path == "01-try/01-try.new.ipynb"
    theirs = tmp_path / "01-try/01-try.zh.ipynb"
    theirs.write_text(theirs.read_text().replace("又见面了", "我的笔记"))
    in_both(notebooks, "Hello once more", "再会")
    assert release.release(tmp_path, ["01-try"], language="zh")[0].path == "01-try/01-try.zh.new.ipynb"
    assert "我的笔记" in theirs.read_text()


def test_a_guide_of_the_learners_language_is_missing_or_not(notebooks, tmp_path):
    in_both(notebooks, "Hello", "你好")
    folder = tmp_path / "01-try"
    assert release.is_missing(folder)
    release.release(tmp_path, ["01-try"], language="zh")
    assert release.is_missing(folder)                           # this learner reads English
    release.release(tmp_path, ["01-try"])
    assert not release.is_missing(folder)


def test_a_guide_that_was_only_looked_at_is_nobodys_work(notebooks, tmp_path):
    write(notebooks, CODE("1"))
    release.release(tmp_path)
    mine = tmp_path / "01-try/01-try.ipynb"
    book = json.loads(mine.read_text())
    book["metadata"]["language_info"] = {"name": "python", "version": "3.11.2"}     # by JupyterLab
    mine.write_text(json.dumps(book))
    write(notebooks, CODE("2"))
    assert release.release(tmp_path)[0].state == "updated"
    book["cells"][0]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "seen"}]
    mine.write_text(json.dumps(book))
    write(notebooks, CODE("3"))
    assert release.release(tmp_path)[0].state == "beside"                           # but who ran it has


def test_what_is_no_notebook_any_more_stays(notebooks, tmp_path):
    write(notebooks, CODE("1"))
    release.release(tmp_path)
    (tmp_path / "01-try/01-try.ipynb").write_text("my notes")
    write(notebooks, CODE("2"))
    assert release.release(tmp_path)[0].state == "beside"


def test_a_record_of_the_files_bytes_is_known_as_well(notebooks, tmp_path):
    write(notebooks, CODE("1"))
    release.release(tmp_path)
    mine = tmp_path / "01-try/01-try.ipynb"
    old = {"01-try/01-try.ipynb": hashlib.sha256(mine.read_bytes()).hexdigest()}
    (tmp_path / release.RECORD).write_text(json.dumps(old))
    write(notebooks, CODE("2"))
    assert release.release(tmp_path)[0].state == "updated"
