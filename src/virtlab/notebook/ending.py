"""What a panel ends with: the summary of a lab that is done, and what `solve` did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from virtlab import telling
from virtlab.language import say
from virtlab.notebook.panel import Panel, paragraphs, stacked
from virtlab.notebook.progress import is_strict

if TYPE_CHECKING:
    from virtlab.outcomes import Solved
    from virtlab.summary import Summary


def with_summary(panel: Panel, summary: Summary | None) -> Panel:
    """Not where outputs are tested: it says how long it took."""
    if summary is None or is_strict():
        return panel
    return stacked([panel, paragraphs("good", *telling.summary(summary))])


def explained(panel: Panel, done: Solved) -> Panel:
    lines = telling.solved(done)
    return stacked([panel, paragraphs("plain", say("What was done:"), lines)]) if lines else panel
