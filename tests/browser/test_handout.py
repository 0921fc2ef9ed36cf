"""The handout on paper: eight cards to a page, nothing of a card cut off, nothing fetched."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from virtlab.classroom import class_data, handout, tables

pytestmark = pytest.mark.host

NAMES = [
    "Ada Example",
    "王小明",
    "José María Fernández de Córdoba y Álvarez de Toledo-Osorio, the third of this name in this class",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
]

# On each card: whatever reaches beyond it, and any two parts that lie upon each other.
MISPLACED = """() => [...document.querySelectorAll('.card')].flatMap(card => {
    const edge = card.getBoundingClientRect(), found = []
    const parts = [...card.querySelectorAll('h2, .class, dt, dd, svg, figcaption, .secret')]
        .map(part => [part.textContent.slice(0, 20) || part.tagName, part.getBoundingClientRect()])
    parts.forEach(([name, one], index) => {
        if (one.bottom > edge.bottom || one.right > edge.right) found.push(`${name} reaches beyond the card`)
        for (const [other, two] of parts.slice(index + 1))
            if (one.left < two.right - 1 && two.left < one.right - 1
                && one.top < two.bottom - 1 && two.top < one.bottom - 1)
                found.push(`${name} lies on ${other}`)
    })
    return found
})"""


@pytest.fixture
def page_file(tmp_path: Path, languages: list[str]) -> Path:
    students = [{"id": f"s{number:03}", "name": NAMES[number % 4]} for number in range(16)]
    students[5]["id"] = "a-name-of-thirty-two-characters-"
    source = tmp_path / "class.json"
    title = {"en": "Virtualization and containers, the long course of the spring term", "zh": "虚拟化与容器"}
    source.write_text(json.dumps({
        "folder": str(tmp_path / "hub"), "title": title, "languages": languages, "students": students,
        "host": "a-rather-long-name.of-a-classroom.department.university.example.org", "certificate": "x",
    }))  # fmt: skip
    data = class_data.read(source)
    data.accounts.enrol([one["id"] for one in students])
    file = tmp_path / "handout.html"
    tables.save(file, handout.page(data, handout.cards(data)))
    return file


@pytest.mark.parametrize("languages", [["en", "zh"], ["en"], ["zh"]], ids="-".join)
def test_eight_cards_to_a_page_and_nothing_cut_off(browser: Browser, page_file: Path) -> None:
    page = browser.new_page()
    wanted: list[str] = []
    page.on("request", lambda request: wanted.append(request.url))
    page.goto(page_file.as_uri())
    page.emulate_media(media="print")
    assert page.evaluate(MISPLACED) == []
    pdf = page.pdf(prefer_css_page_size=True, print_background=False)
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 2
    assert wanted == [page_file.as_uri()]
    page.close()
