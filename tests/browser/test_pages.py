"""The labs' web pages in tabs of JupyterLab's: the blog with its dashboard, and what the registry holds."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from learner import ROOT, Learner
from playwright.sync_api import Browser, Frame, FrameLocator, Page, Request, Response, expect

from virtlab import settings

SECRETS = Path("/var/lib/virtlab/secrets")
ARTICLE = "Two containers, one blog"
WORDS: dict[str, dict[str, Any]] = {
    "en": {"start": "Start here", "blog": "The lab’s blog", "blog-06": "Your own blog (lab 06)",
           "registry": "The registry’s images", "held": "Images in registry.lab.test:5000",
           "not started": "Lab 06-wordpress-stack is not started."},
    "zh": {"start": "从这里开始", "blog": "实验室的博客", "blog-06": "你自己的博客（实验 06）",
           "registry": "仓库里的镜像", "held": "registry.lab.test:5000 里的镜像",
           "not started": "实验 06-wordpress-stack 还没有启动。"},
}
# All that a page of the site can look at: its own window, and the one it stands in.
SEEN = """[document.cookie, location.href, document.referrer,
           parent.location.href, parent.document.documentElement.outerHTML]"""

pytestmark = pytest.mark.host


class Visit:
    """JupyterLab in a browser, and what went wrong in it."""

    def __init__(self, page: Page, learner: Learner, address: str, language: str) -> None:
        self.page, self.learner, self.words = page, learner, WORDS[language]
        self.token = parse_qs(urlsplit(address).query)["token"][0]
        self.port = urlsplit(settings.host().wordpress.url).port
        self.here = urlsplit(address)
        self.site = f"{self.here.scheme}://{self.here.netloc}{learner.prefix}proxy/{self.port}"
        where = "root" if learner.prefix == "/" else "prefix"
        self.shots = ROOT / f"build/screenshots/{where}-{language}"
        self.strays: list[str] = []
        page.on("response", self._look)
        page.on("requestfailed", self._lost)
        page.set_default_timeout(30_000)
        page.goto(address)
        page.locator("#jp-main-dock-panel .lm-TabBar-tab", has_text=self.words["start"]).click()
        expect(page.locator(".vl-sites")).to_be_visible()

    def _look(self, answer: Response) -> None:
        at = urlsplit(answer.url)
        outside = at.scheme in ("http", "https") and (
            at.netloc != self.here.netloc or not at.path.startswith(self.learner.prefix))
        if outside or (answer.url.startswith(self.site) and answer.status >= 400):
            self.strays.append(f"{answer.status} {answer.url}")

    def _lost(self, request: Request) -> None:
        # Chromium drops its requests when a network card appears, and when it goes on to another page.
        if request.failure not in ("net::ERR_NETWORK_CHANGED", "net::ERR_ABORTED"):
            self.strays.append(f"{request.failure} {request.url}")

    def open(self, name: str) -> FrameLocator:
        """From the start page."""
        self.page.locator("#jp-main-dock-panel .lm-TabBar-tab", has_text=self.words["start"]).click()
        self.page.locator(".vl-sites").get_by_role("button", name=self.words[name]).click()
        return self.page.frame_locator(".jp-MainAreaWidget:not(.lm-mod-hidden) iframe")

    def shown(self) -> Frame:
        """The blog's page in its tab."""
        return next(one for one in self.page.frames if one.url.startswith(f"{self.site}/"))

    def take(self, name: str) -> None:
        self.shots.mkdir(parents=True, exist_ok=True)
        self.page.wait_for_timeout(300)
        self.page.screenshot(path=self.shots / f"{name}.png")


@pytest.fixture(scope="module")
def visit(browser: Browser, address: str, learner: Learner, language: str) -> Iterator[Visit]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    yield Visit(page, learner, address, language)
    page.close()
    learner.forget()


def test_the_blog_opens_in_a_tab_and_its_links_lead_on(visit: Visit) -> None:
    blog = visit.open("blog")
    blog.get_by_role("link", name=ARTICLE).first.click()
    expect(blog.locator("body.single")).to_contain_text(ARTICLE)
    family = blog.locator("body").evaluate("one => getComputedStyle(one).fontFamily")
    assert "Manrope" in family                  # the theme's styles are there
    assert "p=" in visit.shown().url
    visit.take("pages-blog")


def test_its_dashboard_opens_with_the_password(visit: Visit) -> None:
    blog = visit.open("blog")
    visit.shown().goto(f"{visit.site}/wp-admin")                    # Apache adds a slash, and knows no prefix
    blog.locator("#user_login").fill("admin")
    blog.locator("#user_pass").fill((SECRETS / "wordpress_admin_password").read_text().strip())
    blog.locator("#wp-submit").click()
    expect(blog.locator("#wpadminbar")).to_be_visible()
    assert visit.shown().url == f"{visit.site}/wp-admin/"
    assert blog.locator("#adminmenu").evaluate("one => getComputedStyle(one).listStyleType") == "none"
    visit.shown().wait_for_function("window.jQuery && window.wp && wp.heartbeat")   # its scripts, too
    visit.take("pages-dashboard")
    visit.shown().goto(f"{visit.site}/wp-admin/edit.php?_wp_http_referer=x")    # it leads to a path only
    expect(blog.locator("#the-list")).to_contain_text(ARTICLE)
    assert visit.shown().url == f"{visit.site}/wp-admin/edit.php"
    assert visit.strays == []


def test_a_page_of_the_site_sees_neither_jupyters_cookie_nor_its_token(visit: Visit) -> None:
    seen = "\n".join(visit.shown().evaluate(SEEN))
    session = [one for one in visit.page.context.cookies() if one["name"].startswith("username-")]
    assert session
    assert all(one["value"].strip('"') not in seen and one["name"] not in seen for one in session)
    assert visit.token not in seen
    paths = [one["path"] for one in visit.page.context.cookies() if one["name"].startswith("wordpress_")]
    assert paths
    assert all(one.startswith(urlsplit(f"{visit.site}/").path) for one in paths), paths


def test_nothing_else_of_this_machine_is_led_to(visit: Visit) -> None:
    root = visit.site.partition("proxy/")[0]
    for place in (visit.here.port, f"localhost:{visit.port}", "registry.lab.test:5000", "absolute/8080"):
        answer = visit.page.request.get(f"{root}proxy/{place}/")
        assert answer.status in (403, 404), place


def test_the_registrys_images_are_listed_without_its_password(visit: Visit) -> None:
    listed = visit.open("registry")
    expect(listed.get_by_role("heading", level=1)).to_have_text(visit.words["held"])
    row = listed.get_by_role("row").filter(has_text=re.compile("/nginx"))
    expect(row.get_by_role("cell")).to_contain_text("latest")
    assert (SECRETS / "registry_password").read_text().strip() not in listed.locator("html").inner_html()
    visit.take("pages-registry")


def test_a_lab_that_is_not_started_says_so(visit: Visit) -> None:
    expect(visit.open("blog-06").locator("body")).to_contain_text(visit.words["not started"])
    visit.take("pages-not-started")
