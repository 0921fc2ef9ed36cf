"""For all tests."""

import os
import re

import pytest

os.environ["VIRTLAB_LANG"] = "en"  # tests read English, whatever whoever runs them speaks

LAB = re.compile(r"labs/test_(\d\d)_|notebooks/.*\[(\d\d)-")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is about one lab runs in one worker: the lab has one name. Guests take longest and go first."""
    from virtlab import catalogue

    slow = {slug[:2] for slug in catalogue.slugs() if catalogue.load(slug).needs.libvirt}
    for item in items:
        if found := LAB.search(item.nodeid):
            item.add_marker(pytest.mark.xdist_group(found[1] or found[2]))
    items.sort(key=lambda item: not any(mark.args[0] in slow for mark in item.iter_markers("xdist_group")))
