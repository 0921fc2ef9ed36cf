"""`%lab topology`: what is really there, drawn, and the same in words."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from virtlab.errors import LabError
from virtlab.notebook.panel import Panel, fold, rich
from virtlab.topology.words import either

if TYPE_CHECKING:
    from virtlab.topology import Topology

WIDE = "<style>.virtlab:has(.vt){max-width:none}</style>"


def panel(found: Topology) -> Panel:
    """Scrolled sideways where there is no room, so that its words stay readable."""
    told = found.text()
    listing = f'<pre style="white-space:pre-wrap">{html.escape(told, quote=False)}</pre>'
    try:
        drawing = f'{WIDE}<div style="overflow-x:auto">{found.svg()}</div>'
    except LabError as error:
        return Panel("odd", f"<p>{rich(error.message)} {rich(error.do)}</p>{listing}", told)
    blind = "".join(f"<p>{rich(one.message)} {rich(one.do)}</p>" for one in found.unseen)
    same = fold(either("The same in words", "用文字说明"), listing)
    return Panel("odd" if blind else "plain", f"{drawing}{blind}{same}", told)
