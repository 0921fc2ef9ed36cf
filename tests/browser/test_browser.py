"""What a learner sees: JupyterLab opens at the printed address, a guide runs, its checks turn green."""

import json
import re
from collections.abc import Iterator

import pytest
from learner import ROOT, Learner
from playwright.sync_api import Browser, Page, expect

GUIDE = "05-container-networks"
SHOTS = ROOT / "build/screenshots"
PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"         # the tab that is in front
SHOWN = f"{PANEL} .jp-Notebook"
RAN = re.compile(r"\[\d+\]:")

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def page(browser: Browser, address: str) -> Iterator[Page]:
    """JupyterLab, opened at the printed address."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    one = browser.new_page(viewport={"width": 1440, "height": 900})
    one.set_default_timeout(30_000)
    one.goto(address)
    yield one
    one.close()


def code(learner: Learner) -> list[str]:
    """The code cells of the guide as it was released."""
    cells = json.loads((learner.workspace / GUIDE / f"{GUIDE}.ipynb").read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def run(page: Page, number: int, seconds: int = 60) -> None:
    """Run the code cell of this number, counted from 0, and wait for its end."""
    prompt = page.locator(f"{SHOWN} .jp-CodeCell").nth(number).locator(".jp-InputPrompt")
    prompt.scroll_into_view_if_needed()
    prompt.click()
    page.keyboard.press("Control+Enter")
    expect(prompt).to_have_text(RAN, timeout=seconds * 1000)        # [*] until then


def output(page: Page, number: int):
    return page.locator(f"{SHOWN} .jp-CodeCell").nth(number).locator(".jp-OutputArea")


def test_it_opens_on_start_here_without_asking_anything(page: Page) -> None:
    expect(page.locator(f"{SHOWN} h1")).to_contain_text("Start here")
    page.wait_for_timeout(3000)         # the news would come by now
    # Chromium drops its requests when a network card appears, as with every container that starts.
    if page.locator(".jp-Dialog", has_text="failed to load").count():
        page.reload()
        expect(page.locator(f"{SHOWN} h1")).to_contain_text("Start here")
        page.wait_for_timeout(3000)
    assert page.locator(".Toastify__toast, .jp-Dialog").all_inner_texts() == []
    run(page, 0)
    expect(output(page, 0).get_by_role("link", name=GUIDE)).to_be_visible()
    page.screenshot(path=SHOTS / "1-start-here.png")


def test_a_wrong_token_is_refused(browser: Browser, address: str) -> None:
    stranger = browser.new_context().new_page()
    stranger.goto(re.sub(r"token=.*", "token=wrong", address))
    expect(stranger.locator("#password_input")).to_be_visible()
    assert "/login" in stranger.url
    stranger.context.close()


def test_a_guides_first_cells_run_and_its_checks_are_red(page: Page, learner: Learner) -> None:
    output(page, 0).get_by_role("link", name=GUIDE).click()
    expect(page.locator(f"{SHOWN} h1")).to_contain_text("bridge, host and none")
    expect(page.locator(f"{PANEL} .jp-Notebook-ExecutionIndicator")).to_have_attribute("data-status", "idle")
    cells = code(learner)
    for number in range(cells.index("%lab grade")):
        if cells[number]:
            run(page, number)
    expect(output(page, 1).locator(".virtlab.good")).to_contain_text("is ready")
    page.screenshot(path=SHOTS / "2-guide.png")
    grade = cells.index("%lab grade")
    run(page, grade)
    expect(output(page, grade).locator(".virtlab.bad")).to_be_visible()
    assert output(page, grade).locator("li.fail").count() > 0
    output(page, grade).scroll_into_view_if_needed()
    page.screenshot(path=SHOTS / "3-red.png")


def test_lab_works_in_a_terminal_and_the_checks_turn_green(page: Page, learner: Learner) -> None:
    page.keyboard.press("Control+Shift+L")
    page.locator(".jp-LauncherCard[title*=terminal]").click()
    terminal = page.locator(".jp-Terminal").last
    expect(terminal.locator(".xterm-accessibility")).to_contain_text(re.compile(r"[#$]"))
    terminal.click()
    page.keyboard.type("lab list\n")
    expect(terminal.locator(".xterm-accessibility")).to_contain_text(GUIDE)
    page.keyboard.type("lab solve 05 && echo solved-$((40 + 2))\n")
    expect(terminal.locator(".xterm-accessibility")).to_contain_text("solved-42", timeout=120_000)
    page.screenshot(path=SHOTS / "4-terminal.png")

    page.locator(".lm-TabBar-tab", has_text=f"{GUIDE}.ipynb").first.click()
    grade = code(learner).index("%lab grade")
    run(page, grade)
    expect(output(page, grade).locator(".virtlab.good")).to_be_visible()
    assert output(page, grade).locator("li.pass").count() > 0
    assert output(page, grade).locator("li.fail, li.unknown").count() == 0
    output(page, grade).scroll_into_view_if_needed()
    page.screenshot(path=SHOTS / "5-green.png")


def test_guide_and_terminal_side_by_side(page: Page, learner: Learner) -> None:
    """What the README shows."""
    page.keyboard.press("Control+b")                # the file browser goes
    tab = page.locator("#jp-main-dock-panel .lm-TabBar-tab", has_text="Terminal 1")
    dock = page.locator("#jp-main-dock-panel").bounding_box()
    tab.hover()
    page.mouse.down()
    page.mouse.move(dock["x"] + dock["width"] - 40, dock["y"] + dock["height"] / 2, steps=20)
    page.mouse.up()
    terminal, guide = page.locator(".jp-Terminal"), page.locator(PANEL)
    expect(guide).to_be_visible()
    assert terminal.bounding_box()["x"] > guide.bounding_box()["x"] + 400
    terminal.click()
    page.keyboard.type("clear; docker ps --filter name=net- --format 'table {{.Names}}\\t{{.Status}}'\n")
    expect(terminal.locator(".xterm-accessibility")).to_contain_text("net-shop")
    page.keyboard.type("lab status 05\n")
    expect(terminal.locator(".xterm-accessibility")).to_contain_text("by_name")
    output(page, code(learner).index("%lab grade")).scroll_into_view_if_needed()
    page.screenshot(path=SHOTS / "6-side-by-side.png")


def test_finish_in_the_guide(page: Page, learner: Learner) -> None:
    cells = code(learner)
    run(page, cells.index("%lab finish"), seconds=120)
    expect(output(page, cells.index("%lab finish"))).to_contain_text("is finished")
