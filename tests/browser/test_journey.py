"""One learner's way through a lab, from the start page to its finish: at both prefixes, in both languages."""

import json
import re
from collections.abc import Iterator

import pytest
from desk import GUIDE, LAB, PANEL, SHOWN, Desk
from learner import Learner
from playwright.sync_api import Browser, Route, expect

CUT_OFF = "docker network disconnect bridge net-vault; docker network disconnect net-office net-vault"
PREDICTION = LAB.quiz.find("names-default")
QUESTION = LAB.quiz.questions[0]

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def desk(browser: Browser, learner: Learner, address: str, language: str) -> Iterator[Desk]:
    """JupyterLab, opened at the printed address."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    one = Desk(page, learner, language)
    page.goto(address)
    yield one
    page.close()
    learner.forget()


def lost(route: Route, left: list[int]) -> None:
    """The browser drops this request, if any are left to be dropped."""
    if left:
        left.pop()
        route.abort("internetdisconnected")
    else:
        route.continue_()


def test_it_opens_on_the_start_page_without_asking_anything(desk: Desk) -> None:
    words, page = desk.words, desk.page
    expect(desk.start.get_by_role("heading", level=1)).to_have_text(words["start"])
    page.wait_for_timeout(1500)  # the news would come by now
    # Chromium drops its requests when a network card appears, as with every container that starts.
    if page.locator(".jp-Dialog").count():
        page.reload()
        expect(desk.start.get_by_role("heading", level=1)).to_have_text(words["start"])
    assert page.locator(".Toastify__toast, .jp-Dialog").all_inner_texts() == []
    assert words["start"] in desk.tabs()
    assert desk.start.get_by_role("heading", level=2).first.inner_text() == words["track"]
    expect(desk.row).to_contain_text(words["takes"])
    expect(page.locator("#jp-MainMenu")).to_contain_text(words["menu"])  # JupyterLab speaks it, too
    desk.take("1-start-here")


def test_a_lab_opens_by_keyboard_its_terminal_on_the_right(desk: Desk) -> None:
    page, lose = desk.page, [*range(2)]  # as when a network card appears: they are asked again
    page.route(re.compile(r"/api/contents/05-.*ipynb\?"), lambda route: lost(route, lose))
    desk.row.get_by_role("button", name=LAB.title[desk.language]).focus()
    page.keyboard.press("Enter")
    expect(page.locator(f"{SHOWN} h1")).to_contain_text(LAB.title[desk.language])
    terminal = page.locator(".jp-Terminal")
    expect(terminal.locator(".xterm-accessibility")).to_contain_text(re.compile(r"[#$]"))
    expect(desk.checks).to_contain_text(desk.words["not started"])
    assert not lose
    desk.take("2-opened")
    left, right, below = (one.bounding_box() for one in (page.locator(PANEL), terminal, desk.checks))
    assert left["x"] + left["width"] <= right["x"]
    assert right["y"] + right["height"] <= below["y"]
    seen = desk.enter('echo "<$LAB|$LAB_PORT|$LAB_PORT_WEB|$PWD>" | tr -d "\\n"; command -v lab')
    assert f"<{GUIDE}|8105|8105|{desk.learner.workspace / GUIDE}>" in seen.replace("\n", "")
    assert "/lab" in seen.rpartition(">")[2]


def test_it_starts_with_a_click_and_is_red(desk: Desk) -> None:
    desk.checks.get_by_role("button", name=desk.words["start it"]).click()
    desk.sees("none", "fail", 60)
    expect(desk.task("none").locator(".vl-word")).to_have_text(desk.words["not yet"])  # not only a colour
    for said in desk.words["red"]:
        expect(desk.task("names")).to_contain_text(said)
    desk.take("3-red")


def test_what_is_typed_in_the_terminal_turns_a_task_green_without_a_cell(desk: Desk) -> None:
    desk.enter(CUT_OFF)
    desk.sees("none", "pass", 2)
    expect(desk.checks.locator("[role=status]")).to_contain_text(desk.words["now works"])
    expect(desk.page.locator(".vl-sum")).to_contain_text(desk.words["works"])
    desk.take("4-green")


def test_and_breaking_it_turns_it_red_again(desk: Desk) -> None:
    desk.enter("docker network connect bridge net-vault")
    desk.sees("none", "fail", 2)
    expect(desk.checks.locator("[role=status]")).to_contain_text(desk.words["no more"])
    desk.take("5-red-again")


def test_a_hint_comes_one_step_at_a_time(desk: Desk) -> None:
    first = desk.task("names")
    for button, said in zip(("hint", "more"), desk.words["hints"], strict=True):
        first.get_by_role("button", name=desk.words[button]).click()
        expect(first).to_contain_text(said)
    desk.take("6-hint")


def test_the_topology_follows_what_is_plugged_in(desk: Desk) -> None:
    desk.tab(desk.words["topology"]).click()
    panel = desk.page.locator(".vl-topology")
    picture = panel.get_by_role("img")
    expect(picture).to_contain_text("net-vault")
    assert "net-second" not in picture.text_content()
    desk.enter("docker network create net-second; docker network connect net-second net-vault")
    expect(picture.locator("g", has_text="net-second").first).to_be_visible(timeout=5000)
    expect(picture.locator("desc")).to_contain_text(re.compile(r"net-second .*\n +net-vault"))
    expect(panel.locator("[role=log]")).to_contain_text("net-second")
    panel.get_by_text(desk.words["words"]).click()
    expect(panel.locator("pre")).to_contain_text("net-second")
    panel.get_by_text(desk.words["words"]).click()
    desk.take("7-topology")
    desk.enter("docker network disconnect net-second net-vault; docker network rm net-second")
    expect(picture).not_to_contain_text("net-second", timeout=5000)
    expect(panel.locator("[role=log]")).to_contain_text(desk.words["gone"])
    desk.tab(desk.words["checks"]).click()


def test_who_goes_on_is_led_to_the_first_task_that_is_not_done(desk: Desk) -> None:
    before = desk.tabs()
    desk.tab(desk.words["start"]).click()
    desk.page.locator(".vl-continue").click()
    active = desk.page.locator(f"{SHOWN} .jp-Cell.jp-mod-active")
    place = desk.code().index("", desk.code().index("%lab predict names-default"))
    expect(active).to_be_in_viewport()
    assert active.evaluate("one => [...document.querySelectorAll('.jp-CodeCell')].indexOf(one)") == place
    asked = desk.page.locator(f"{SHOWN} h3", has_text=re.compile("Your turn|轮到你")).first
    expect(asked).to_be_in_viewport()
    assert desk.tabs() == before  # and nothing piles up
    desk.take("8-continue")


def test_one_predicts_first_and_looks_then(desk: Desk) -> None:
    desk.is_idle()
    cells = desk.code()
    desk.run(0)
    card = desk.run(cells.index("%lab predict names-default"))
    commit = card.get_by_role("button", name=desk.words["commit"])
    expect(commit).to_be_disabled()
    card.get_by_text(PREDICTION.choices[0].text[desk.language]).click()
    commit.click()
    expect(commit).to_be_disabled()  # a prediction is not changed afterwards
    desk.take("9-predicted")
    card.get_by_role("button", name=desk.words["reveal"]).click()
    expect(card).to_contain_text(PREDICTION.choices[0].feedback[desk.language].split("`")[0])
    expect(card).to_contain_text(desk.words["yours"])


def test_a_question_is_answered_and_kept(desk: Desk) -> None:
    card = desk.run(desk.code().index(f"%lab quiz {QUESTION.id}"))
    right = next(one for one in QUESTION.choices if one.right)
    card.get_by_text(right.text[desk.language].replace("`", "")).first.click()
    card.get_by_role("button", name=desk.words["answer"]).click()
    expect(card).to_contain_text(desk.words["yours"])
    card.scroll_into_view_if_needed()
    desk.take("10-answered")
    (lab,) = json.loads(desk.learner.lab("report", "05", "--json"))["labs"]
    kept = {one["question"]: (one["choice"], one["is_right"]) for one in lab["answers"]}
    assert kept == {
        PREDICTION.id: (PREDICTION.choices[0].text["en"], False), QUESTION.id: (right.text["en"], True),
    }  # fmt: skip
    assert {one["id"]: one["hints"] for one in lab["tasks"]}["names"] == 2


def test_finish_ends_the_following(desk: Desk) -> None:
    desk.enter("lab finish 05", seconds=60)
    expect(desk.checks).to_contain_text(desk.words["finished"])
    desk.until(lambda: desk.learner.watchers() == 0)
