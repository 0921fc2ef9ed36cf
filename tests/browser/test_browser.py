"""What learners see: start page, guide beside terminal, a live checklist; at the root and behind a prefix."""

import json
import re
import time
from collections.abc import Iterator

import pytest
from learner import ROOT, Learner
from playwright.sync_api import Browser, Locator, Page, Route, expect

GUIDE = "05-container-networks"
TITLE = "bridge, host and none"
SHOTS = ROOT / "build/screenshots"
PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"         # the tab that is in front
SHOWN = f"{PANEL} .jp-Notebook"
RAN = re.compile(r"\[\d+\]:")
CUT_OFF = "docker network disconnect bridge net-vault; docker network disconnect net-office net-vault"

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def page(browser: Browser, address: str) -> Iterator[Page]:
    """JupyterLab, opened at the printed address."""
    one = browser.new_page(viewport={"width": 1440, "height": 900})
    one.set_default_timeout(30_000)
    one.goto(address)
    yield one
    one.close()


@pytest.fixture
def shot(page: Page, learner: Learner):
    folder = SHOTS / ("prefix" if learner.prefix != "/" else "root")
    folder.mkdir(parents=True, exist_ok=True)

    def take(name: str) -> None:
        page.wait_for_timeout(700)      # what moves has come to rest
        page.screenshot(path=folder / f"{name}.png")

    return take


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


def output(page: Page, number: int) -> Locator:
    return page.locator(f"{SHOWN} .jp-CodeCell").nth(number).locator(".jp-OutputArea")


def tab(page: Page, name: str) -> Locator:
    return page.locator("#jp-main-dock-panel .lm-TabBar-tab", has_text=name)


def task(page: Page, name: str) -> Locator:
    return page.locator(f".vl-checks li[data-task={name}]")


def lost(route: Route, left: list[int]) -> None:
    """The browser drops this request, if any are left to be dropped."""
    if left:
        left.pop()
        route.abort("internetdisconnected")
    else:
        route.continue_()


def enter(page: Page, line: str, seconds: int = 30) -> str:
    """Type a command in the lab's terminal and wait for its end; what the terminal shows then."""
    mark = f"{time.monotonic_ns() % 10**8}"
    terminal = page.locator(".jp-Terminal")
    terminal.click()
    page.keyboard.type(f"clear; {line}; echo end-$(({mark} + 1))\n")
    screen = terminal.locator(".xterm-accessibility")
    expect(screen).to_contain_text(f"end-{int(mark) + 1}", timeout=seconds * 1000)
    return screen.inner_text()


def test_it_opens_on_start_here_without_asking_anything(page: Page, shot) -> None:
    start = page.locator(".vl-start")
    expect(start.get_by_role("heading", level=1)).to_have_text("Start here")
    page.wait_for_timeout(3000)         # the news would come by now
    # Chromium drops its requests when a network card appears, as with every container that starts.
    if page.locator(".jp-Dialog", has_text="failed to load").count():
        page.reload()
        expect(start.get_by_role("heading", level=1)).to_have_text("Start here")
        page.wait_for_timeout(3000)
    assert page.locator(".Toastify__toast, .jp-Dialog").all_inner_texts() == []
    assert tab(page, "").all_inner_texts() == ["Start here"]
    assert start.get_by_role("heading", level=2).first.inner_text() == "Containers"
    row = start.locator(".vl-lab", has_text=TITLE)
    expect(row).to_contain_text("75 minutes · needs Docker, 256 MiB memory")
    expect(row.locator(".vl-badge")).to_have_text("Not started")
    shot("1-start-here")


def test_a_wrong_token_is_refused(browser: Browser, address: str) -> None:
    stranger = browser.new_context().new_page()
    stranger.goto(re.sub(r"token=.*", "token=wrong", address))
    expect(stranger.locator("#password_input")).to_be_visible()
    assert "/login" in stranger.url
    stranger.context.close()


def test_a_lab_opens_by_keyboard_its_terminal_on_the_right(page: Page, learner: Learner, shot) -> None:
    lose = [*range(2)]                  # as when a network card appears: they are asked again
    page.route(re.compile(r"/api/contents/05-.*ipynb\?"), lambda route: lost(route, lose))
    page.locator(".vl-start").get_by_role("button", name=TITLE).last.focus()
    page.keyboard.press("Enter")
    expect(page.locator(f"{SHOWN} h1")).to_contain_text(TITLE)
    terminal, checks = page.locator(".jp-Terminal"), page.locator(".vl-checks")
    expect(terminal.locator(".xterm-accessibility")).to_contain_text(re.compile(r"[#$]"))
    expect(checks).to_contain_text("This lab is not started yet.")
    assert not lose
    shot("2-opened")
    left, right, below = (one.bounding_box() for one in (page.locator(PANEL), terminal, checks))
    assert left["x"] + left["width"] <= right["x"]
    assert right["y"] + right["height"] <= below["y"]
    seen = enter(page, 'echo "<$LAB|$LAB_PORT|$LAB_PORT_WEB|$PWD>" | tr -d "\\n"; command -v lab')
    assert f"<{GUIDE}|8105|8105|{learner.workspace / GUIDE}>" in seen.replace("\n", "")
    assert "/lab" in seen.rpartition(">")[2]


def test_it_starts_with_a_click_and_is_red(page: Page, shot) -> None:
    page.locator(".vl-checks").get_by_role("button", name="Start the lab").click()
    expect(task(page, "none")).to_have_attribute("data-state", "fail", timeout=60_000)
    expect(task(page, "none").locator(".vl-word")).to_have_text("not yet")      # a word, not only a colour
    first = task(page, "names")
    for said in ("Expected", "Seen", "There is no container called", "Next"):
        expect(first).to_contain_text(said)
    shot("3-red")


def test_what_is_typed_in_the_terminal_turns_a_task_green_without_a_cell(page: Page, shot) -> None:
    enter(page, CUT_OFF)
    expect(task(page, "none")).to_have_attribute("data-state", "pass", timeout=2000)
    expect(page.locator(".vl-checks [role=status]")).to_contain_text("Task 4 works now")
    expect(page.locator(".vl-sum")).to_contain_text("1 of 6 tasks work")
    shot("4-green")


def test_and_breaking_it_turns_it_red_again(page: Page, shot) -> None:
    enter(page, "docker network connect bridge net-vault")
    expect(task(page, "none")).to_have_attribute("data-state", "fail", timeout=2000)
    expect(page.locator(".vl-checks [role=status]")).to_contain_text("Task 4 does not work any more")
    shot("5-red-again")


def test_a_hint_comes_one_step_at_a_time(page: Page, shot) -> None:
    first = task(page, "names")
    first.get_by_role("button", name="Give me a hint").click()
    expect(first).to_contain_text("Hint 1 of 3")
    first.get_by_role("button", name="One more hint").click()
    expect(first).to_contain_text("Hint 2 of 3")
    shot("6-hint")


def test_opening_it_again_piles_nothing_up(page: Page) -> None:
    before = sorted(tab(page, "").all_inner_texts())
    enter(page, "lab open 05")
    tab(page, "Start here").click()
    page.locator(".vl-continue").click()
    expect(page.locator(f"{SHOWN} h1")).to_contain_text(TITLE)
    page.wait_for_timeout(1000)
    assert sorted(tab(page, "").all_inner_texts()) == before
    assert page.locator(".jp-Terminal").count() == 1


def test_a_guides_first_cells_run_and_its_checks_are_red(page: Page, learner: Learner, shot) -> None:
    expect(page.locator(f"{PANEL} .jp-Notebook-ExecutionIndicator")).to_have_attribute("data-status", "idle")
    cells = code(learner)
    grade = cells.index("%lab grade")
    for number in range(grade + 1):
        if cells[number]:
            run(page, number)
    expect(output(page, grade).locator(".virtlab.bad")).to_be_visible()
    assert output(page, grade).locator("li.fail").count() > 0
    output(page, grade).scroll_into_view_if_needed()
    shot("7-guide-red")


def test_lab_works_in_the_terminal_and_everything_turns_green(page: Page, learner: Learner, shot) -> None:
    enter(page, "lab solve 05", seconds=120)
    expect(page.locator(".vl-all")).to_contain_text("Everything works.", timeout=5000)
    assert page.locator(".vl-checks li[data-state=pass]").count() == 6
    grade = code(learner).index("%lab grade")
    run(page, grade)
    expect(output(page, grade).locator(".virtlab.good")).to_be_visible()
    assert output(page, grade).locator("li.fail, li.unknown").count() == 0
    output(page, grade).scroll_into_view_if_needed()
    enter(page, "docker ps --filter name=net- --format 'table {{.Names}}\\t{{.Status}}'")
    shot("8-all-green")


def test_the_start_page_has_heard_of_it(page: Page, shot) -> None:
    tab(page, "Start here").click()
    expect(page.locator(".vl-lab", has_text=TITLE).locator(".vl-badge")).to_have_text("Done")
    expect(page.locator(".vl-lab", has_text=TITLE)).to_contain_text("6 of 6 tasks")
    shot("9-start-here-done")


def test_a_page_that_is_loaded_again_is_as_it_was_and_follows_on(page: Page, learner: Learner, shot) -> None:
    page.evaluate("document.querySelector('body').dataset.old = 'yes'")
    page.wait_for_timeout(2500)         # JupyterLab saves its layout a moment after it changed
    page.reload()
    expect(page.locator(".vl-all")).to_be_visible()
    assert learner.watchers() == 1
    assert page.locator(".jp-Terminal").count() == 1
    enter(page, "docker stop -t 0 net-shop", seconds=20)
    expect(task(page, "names")).to_have_attribute("data-state", "fail", timeout=3000)


def test_it_rests_while_the_guides_kernel_is_dead(page: Page, learner: Learner) -> None:
    tab(page, f"{GUIDE}.ipynb").click()
    expect(page.locator(f"{PANEL} .jp-Notebook-ExecutionIndicator")).to_have_attribute("data-status", "idle")
    page.locator("#jp-MainMenu >> text=Kernel").click()
    page.locator("li[data-command='kernelmenu:shutdown']").click()
    expect(page.locator(".vl-checks")).to_contain_text("Paused: the guide’s kernel has stopped.")
    until = time.monotonic() + 15
    while learner.watchers() and time.monotonic() < until:
        page.wait_for_timeout(200)
    assert learner.watchers() == 0
    page.locator(".vl-checks").get_by_role("button", name="Go on").click()
    expect(task(page, "names")).to_have_attribute("data-state", "fail")
    page.wait_for_timeout(500)
    assert learner.watchers() == 1
    page.reload()                       # starts one again
    expect(page.locator(f"{PANEL} .jp-Notebook-ExecutionIndicator")).to_have_attribute("data-status", "idle")


def test_dark_stays_dark(page: Page, shot) -> None:
    page.locator("#jp-MainMenu >> text=Settings").click()
    page.locator(".lm-Menu-item", has_text="Theme").first.hover()
    page.locator(".lm-Menu-item", has_text="JupyterLab Dark").first.click()
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "false")
    shot("10-dark")
    tab(page, "Start here").click()
    shot("11-start-here-dark")


def test_finish_in_the_guide_ends_the_following(page: Page, learner: Learner) -> None:
    tab(page, f"{GUIDE}.ipynb").click()
    cells = code(learner)
    run(page, 0)                        # after a reload the kernel is the same, its output is not
    run(page, cells.index("%lab finish"), seconds=120)
    expect(output(page, cells.index("%lab finish"))).to_contain_text("finished")
    expect(page.locator(".vl-checks")).to_contain_text("This lab is finished")
    assert learner.watchers() == 0
