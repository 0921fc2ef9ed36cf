"""What a page does besides: who gets in, what `lab open` and a reload do, a dead kernel, the end of a lab."""

import re
from collections.abc import Iterator

import pytest
from desk import GUIDE, LAB, PANEL, SHOWN, Desk
from learner import Learner
from playwright.sync_api import Browser, Page, expect

pytestmark = [
    pytest.mark.host,
    pytest.mark.parametrize(("learner", "language"), [("/", "en")], indirect=True, scope="session"),
]


@pytest.fixture(scope="module")
def desk(browser: Browser, learner: Learner, address: str, language: str) -> Iterator[Desk]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    one = Desk(page, learner, language)
    page.goto(f"{address}&open={GUIDE}")
    yield one
    page.close()
    learner.forget()


@pytest.fixture
def page(desk: Desk) -> Page:
    return desk.page


def test_a_wrong_token_is_refused(desk: Desk, browser: Browser, address: str) -> None:
    stranger = browser.new_context().new_page()
    stranger.goto(re.sub(r"token=.*", "token=wrong", address))
    expect(stranger.locator("#password_input")).to_be_visible()
    assert "/login" in stranger.url
    stranger.context.close()


def test_the_address_names_a_lab_and_a_guides_first_cells_start_it(desk: Desk, page: Page) -> None:
    expect(page.locator(f"{SHOWN} h1")).to_contain_text(LAB.title["en"])
    desk.is_idle()
    cells = desk.code()
    desk.run(0)
    desk.run(cells.index("%lab start 05-container-networks"))
    grade = desk.run(cells.index("%lab grade"))
    expect(grade.locator(".virtlab.bad")).to_be_visible()
    assert grade.locator("li.fail").count() > 0
    grade.scroll_into_view_if_needed()
    desk.take("a-guide-red")


def test_opening_it_again_piles_nothing_up(desk: Desk, page: Page) -> None:
    before = desk.tabs()
    desk.enter("lab open 05")
    page.wait_for_timeout(1000)
    assert desk.tabs() == before
    assert page.locator(".jp-Terminal").count() == 1


def test_everything_works_and_the_panel_sums_it_up(desk: Desk, page: Page) -> None:
    desk.enter("lab hint 05 pod; lab solve 05", seconds=120)
    done = page.locator(".vl-all")
    expect(done).to_contain_text("Everything works. Well done.", timeout=5000)
    assert page.locator(".vl-checks li[data-state=pass]").count() == 6
    expect(page.locator(".vl-checks")).to_contain_text("What you built")
    took = "It took less than a minute from the start. Hints: 1. Done with help: task 1, 2, 3, 4, 5, 6."
    for said in (LAB.learned[0]["en"].split("`")[0], took):
        expect(done).to_contain_text(said)
    grade = desk.run(desk.code().index("%lab grade"))
    expect(grade.locator(".virtlab.good").first).to_be_visible()
    assert grade.locator("li.fail, li.unknown").count() == 0
    desk.enter("docker ps --filter name=net- --format 'table {{.Names}}\\t{{.Status}}'")
    desk.take("b-all-green")
    desk.tab("Topology 05").click()
    expect(page.locator(".vl-topology").get_by_role("img")).to_contain_text("net-pod")
    desk.take("c-topology")
    desk.tab("Checklist 05").click()


def test_answers_that_come_late_are_in_the_summary(desk: Desk, page: Page) -> None:
    card = desk.run(desk.code().index(f"%lab quiz {LAB.quiz.questions[0].id}"))
    card.locator("label", has_text=re.compile("^a\\)")).first.click()
    card.get_by_role("button", name="This is my answer").click()
    expect(page.locator(".vl-all")).to_contain_text(re.compile(r"Questions: [01] of 1 right\."), timeout=5000)


def test_the_summary_leads_to_the_next_lab(desk: Desk, page: Page) -> None:
    page.locator(".vl-all .vl-link").click()
    expect(page.locator(f"{SHOWN} h1")).to_contain_text("WordPress")  # where the first guide was
    expect(page.locator(".vl-checks:visible")).to_contain_text("This lab is not started yet.")
    assert page.locator(".jp-Terminal:visible").count() == 1
    for name in ("06-wordpress-stack.ipynb", "Terminal lab06"):
        desk.tab(name).locator(".lm-TabBar-tabCloseIcon").click()
    expect(desk.tab("Checklist 06")).to_have_count(0)  # it goes with its guide
    desk.tab("Checklist 05").click()
    expect(page.locator(f"{SHOWN} h1")).to_contain_text(LAB.title["en"])


def test_the_start_page_has_heard_of_it(desk: Desk, page: Page) -> None:
    page.locator("#jp-MainMenu >> text=File").click()
    page.locator(".lm-Menu-item[data-command='launcher:create']").click()
    page.locator(".jp-LauncherCard", has_text="Start here").click()
    expect(desk.row.locator(".vl-badge")).to_have_text("Done")
    expect(desk.row).to_contain_text("6 of 6 tasks")
    desk.take("d-start-here-done")
    desk.tab(f"{GUIDE}.ipynb").click()


def test_a_page_that_is_loaded_again_is_as_it_was_and_follows_on(desk: Desk, page: Page) -> None:
    page.wait_for_timeout(2500)  # JupyterLab saves its layout a moment after it changed
    before = desk.tabs()
    page.reload()
    expect(page.locator(".vl-all")).to_be_visible()
    desk.until(lambda: desk.tabs() == before)  # a tab that is behind gets its name a moment later
    desk.until(lambda: desk.learner.watchers() == 1)
    desk.enter("docker stop -t 0 net-shop", seconds=20)
    desk.sees("names", "fail", 5)


def test_it_rests_while_the_guides_kernel_is_dead(desk: Desk, page: Page) -> None:
    desk.tab(f"{GUIDE}.ipynb").click()
    desk.is_idle()
    page.locator("#jp-MainMenu >> text=Kernel").click()
    page.locator("li[data-command='kernelmenu:shutdown']").click()
    expect(desk.checks).to_contain_text("Paused: the guide’s kernel has stopped.")
    desk.until(lambda: desk.learner.watchers() == 0)
    desk.checks.get_by_role("button", name="Go on").click()
    desk.sees("names", "fail", 30)
    desk.until(lambda: desk.learner.watchers() == 1)
    page.reload()  # starts one again
    desk.is_idle()


def test_dark_stays_dark(desk: Desk, page: Page) -> None:
    page.locator("#jp-MainMenu >> text=Settings").click()
    page.locator(".lm-Menu-item", has_text="Theme").first.hover()
    page.locator(".lm-Menu-item", has_text="JupyterLab Dark").first.click()
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "false")
    desk.take("e-dark")
    desk.tab("Topology 05").click()
    desk.take("f-topology-dark")
    desk.tab("Start here").click()
    desk.take("g-start-here-dark")


def test_finish_in_the_guide_ends_the_following(desk: Desk, page: Page) -> None:
    desk.tab(f"{GUIDE}.ipynb").click()
    desk.tab("Checklist 05").click()
    desk.run(0)  # after a reload the kernel is the same, its output is not
    finish = desk.run(desk.code().index("%lab finish"), seconds=120)
    expect(finish).to_contain_text("finished")
    expect(desk.checks).to_contain_text("This lab is finished")
    expect(desk.checks).to_contain_text("What you know now")
    desk.until(lambda: desk.learner.watchers() == 0)
    assert page.locator(PANEL).count() == 1
