"""For all tests."""

import os
import re

import pytest
from xdist.scheduler import LoadScopeScheduling

os.environ["VIRTLAB_LANG"] = "en"  # tests read English, whatever whoever runs them speaks

LAB = re.compile(r"labs/test_(\d\d)_|notebooks/.*\[(\d\d)-")


def lab_of(nodeid: str) -> str:
    """The number of the lab that a test is about, or nothing."""
    found = LAB.search(nodeid)
    return found[1] or found[2] if found else ""


class ByLab(LoadScopeScheduling):
    """All that is about one lab goes to one worker: the lab has one name on the machine."""

    def _split_scope(self, nodeid: str) -> str:
        return lab_of(nodeid) or super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByLab | None:
    return ByLab(config, log) if config.getvalue("dist") == "loadscope" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Labs with guests take longest and go first."""
    from virtlab import catalogue

    slow = {slug[:2] for slug in catalogue.slugs() if catalogue.load(slug).needs.libvirt}
    items.sort(key=lambda item: lab_of(item.nodeid) not in slow)
