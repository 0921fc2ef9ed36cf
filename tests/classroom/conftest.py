import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))      # tests import their neighbours

CHROMIUM = os.environ.get("CHROMIUM") or "/usr/bin/chromium"
ARGUMENTS = ["--headless=new", "--enable-auto-reload", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--no-first-run"]


@pytest.fixture(scope="session")
def seat_image() -> None:
    """The disk that seats build upon: that in $VIRTLAB_SEAT_IMAGE, else one that is built here and kept."""
    import seatimage
    import seatlab

    if seatlab.IMAGE == seatimage.IMAGE:
        seatimage.made()
    elif not seatlab.IMAGE.exists():
        pytest.fail(f"There is no disk for seats at {seatlab.IMAGE}, which VIRTLAB_SEAT_IMAGE names.")


def again(goto: Callable) -> Callable:
    """Chromium drops its requests when a network card appears; on a machine with containers they do."""
    def patient(url: str, **options):
        for _ in range(9):
            try:
                return goto(url, **options)
            except Exception as error:
                if "ERR_NETWORK_CHANGED" not in str(error):
                    raise
            time.sleep(0.5)
        return goto(url, **options)

    return patient


@pytest.fixture(scope="module")
def browser() -> Iterator:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=60_000)      # two cores, and something else may be building
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []         # Chromium's sandbox refuses root
    with sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=CHROMIUM, args=[*sandbox, *ARGUMENTS])
        yield one
        one.close()


@pytest.fixture
def visit(browser) -> Iterator[Callable]:
    """A page of somebody new. What a script of the page complains about fails the test."""
    contexts, problems = [], []

    def page(**options):
        # The lab's CA is not in the browser; that certificates are right is shown by every other request.
        contexts.append(browser.new_context(**({"locale": "en-GB", "ignore_https_errors": True} | options)))
        one = contexts[-1].new_page()
        one.set_default_timeout(60_000)
        one.goto = again(one.goto)
        one.on("pageerror", lambda error: problems.append(str(error)))
        return one

    yield page
    for context in contexts:
        context.close()
    assert not problems
