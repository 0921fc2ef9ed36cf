"""A panel is what `%lab` shows: HTML for JupyterLab, the same words as text for everything else.

Nothing in it varies from run to run (no times), so that a guide's stored outputs can be compared.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass

# JupyterLab's own colours, so that a dark theme stays dark; the second value is for a page without them.
STYLE = """<style>
.virtlab{border:1px solid var(--jp-border-color2,#bbb);border-left:4px solid var(--virtlab-edge);
border-radius:4px;padding:8px 14px;margin:4px 0;max-width:52em;line-height:1.5;
color:var(--jp-content-font-color1,inherit)}
.virtlab.good{--virtlab-edge:var(--jp-success-color1,#2e7d32)}
.virtlab.bad{--virtlab-edge:var(--jp-error-color1,#c62828)}
.virtlab.odd{--virtlab-edge:var(--jp-warn-color1,#b26a00)}
.virtlab.plain{--virtlab-edge:var(--jp-info-color1,#0277bd)}
.virtlab ul{list-style:none;margin:0;padding:0}.virtlab li{margin:6px 0;padding-left:1.7em;text-indent:-1.7em}
.virtlab li>*{text-indent:0}.virtlab b.mark{display:inline-block;width:1.7em;text-indent:0}
.virtlab .pass>b.mark{color:var(--jp-success-color1,#2e7d32)}
.virtlab .fail>b.mark{color:var(--jp-error-color1,#c62828)}
.virtlab .unknown>b.mark{color:var(--jp-warn-color1,#b26a00)}.virtlab .task{font-weight:600;margin:12px 0 0}
.virtlab .seen,.virtlab .next{display:block;color:var(--jp-content-font-color2,#555)}
.virtlab p{margin:4px 0}.virtlab summary{cursor:pointer}.virtlab details{margin:4px 0}
.virtlab table{margin:0}.virtlab th,.virtlab td{text-align:left!important;padding:4px 12px 4px 0}
.virtlab code{background:var(--jp-layout-color2,#eee);padding:0 3px}
</style>"""


@dataclass(frozen=True)
class Panel:
    """One box: its tone is good, bad, odd (cannot tell) or plain."""

    tone: str
    body: str
    text: str

    def _repr_html_(self) -> str:
        return f'{STYLE}<div class="virtlab {self.tone}">{self.body}</div>'

    def __repr__(self) -> str:
        return self.text


def rich(words: str) -> str:
    """Escape for HTML; `this` becomes code, **this** bold, and lines stay lines."""
    escaped = html.escape(words.strip(), quote=False)
    escaped = re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped)
    escaped = re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", escaped)
    return escaped.replace("\n", "<br>")


def paragraphs(tone: str, title: str, lines: Iterable[str] = ()) -> Panel:
    """A box with a heading and a few sentences."""
    said = [line for line in lines if line]
    body = f"<p><b>{rich(title)}</b></p>" + "".join(f"<p>{rich(line)}</p>" for line in said)
    return Panel(tone, body, "\n".join([title, *(indent(line) for line in said)]).replace("**", ""))


def stacked(panels: Iterable[Panel]) -> Panel:
    """Several boxes as one."""
    every = list(panels)
    return Panel(every[0].tone, "".join(one.body for one in every), "\n\n".join(one.text for one in every))


def indent(words: str, by: int = 4) -> str:
    """Move a block of text to the right."""
    return "\n".join(" " * by + line for line in words.strip().splitlines())


def fold(summary: str, content: str) -> str:
    """A line that opens on a click: works in every page, without scripts."""
    return f"<details><summary>{rich(summary)}</summary>{content}</details>"
