import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from learner import Learner
from playwright.sync_api import Browser, expect, sync_playwright

from virtlab import claims

CHROMIUM = os.environ.get("CHROMIUM") or "/usr/bin/chromium"
ARGUMENTS = ["--headless=new", "--disable-background-networking", "--disable-component-update",
             "--disable-sync", "--no-first-run"]

expect.set_options(timeout=30_000)      # two cores, and something else may be building


@pytest.fixture(scope="session", params=["/", "/user/someone/"], ids=["root", "prefix"])
def learner(request: pytest.FixtureRequest) -> Iterator[Learner]:
    for claim in claims.running():
        if claim.slug.startswith("05-"):
            raise claims.refused(claim)     # the guide's cells would meet what somebody else has made
    with tempfile.TemporaryDirectory(prefix="virtlab-browser-", dir="/var/tmp") as home:
        one = Learner(Path(home), request.param)
        yield one
        one.leave()


@pytest.fixture(scope="session")
def address(learner: Learner) -> str:
    return learner.arrive()


@pytest.fixture(scope="session", params=["en", "zh"])
def language(request: pytest.FixtureRequest, learner: Learner, address: str) -> str:
    """What JupyterLab, its guides and its terminals speak; switched as seldom as can be."""
    learner.speak(request.param)
    return str(request.param)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []         # Chromium's sandbox refuses root
    with sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=CHROMIUM, args=[*sandbox, *ARGUMENTS])
        yield one
        one.close()
