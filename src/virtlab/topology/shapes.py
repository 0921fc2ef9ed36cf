"""What each kind of thing looks like, and in which colours."""

from __future__ import annotations

from virtlab.topology.graph import Node
from virtlab.topology.layout import Place

# JupyterLab's own colours where there are any, so that a dark theme stays dark; else as is preferred.
# The plain colour before each variable is for viewers that know no variables.
STYLE = """
.vt{--vt-ink:#1c1f23;--vt-dim:#555b63;--vt-paper:#fff;--vt-fill:#f6f7f9;--vt-net:#0b61a4;--vt-door:#a8480a}
@media (prefers-color-scheme:dark){.vt{--vt-ink:#e9ebee;--vt-dim:#b3b9c2;--vt-paper:#16181b;
--vt-fill:#22262b;--vt-net:#6db8f2;--vt-door:#f2a264}}
[data-jp-theme-light=true] .vt{--vt-net:#0b61a4;--vt-door:#a8480a}
[data-jp-theme-light=false] .vt{--vt-net:#6db8f2;--vt-door:#f2a264}
.vt text{font:13px sans-serif;font-family:var(--jp-ui-font-family,system-ui,sans-serif);
fill:#1c1f23;fill:var(--jp-content-font-color0,var(--vt-ink))}
.vt .name{font-size:15px;font-weight:600}
.vt .odd{font-style:italic}.vt:lang(zh) .odd{font-style:normal;font-weight:600}
.vt .dim{fill:#555b63;fill:var(--jp-content-font-color1,var(--vt-dim))}
.vt .paper{fill:#fff;fill:var(--jp-layout-color0,var(--vt-paper))}
.vt .box{fill:#f6f7f9;fill:var(--jp-layout-color1,var(--vt-fill));stroke-width:1.5;
stroke:#1c1f23;stroke:var(--jp-content-font-color0,var(--vt-ink))}
.vt .net{stroke:#0b61a4;stroke:var(--vt-net)}.vt .door{stroke:#a8480a;stroke:var(--vt-door)}
.vt .fillnet{fill:#0b61a4;fill:var(--vt-net)}.vt .filldoor{fill:#a8480a;fill:var(--vt-door)}
.vt .other{stroke-width:1}.vt .frame{fill:none;stroke-width:2}
.vt .line{fill:none;stroke:#1c1f23;stroke:var(--jp-content-font-color0,var(--vt-ink));stroke-width:1.5}
.vt .attached,.vt .out,.vt .host{stroke:#0b61a4;stroke:var(--vt-net);stroke-width:2.5}
.vt .host{stroke-width:5}
.vt .leads{stroke:#a8480a;stroke:var(--vt-door);stroke-width:2.5}.vt .hollow{stroke-dasharray:6 4}
"""


def shape(node: Node, place: Place, *, is_other: bool) -> str:
    """`is_other`: not what this picture is about; its outline is thin. What is off or closed is dashed."""
    w, h = place.width, place.height
    look = "box other" if is_other else "box"
    if node["state"] or node["internal"] or node["missing"] or node["down"]:
        look += " hollow"
    if node.kind in ("volume", "disk"):
        return (
            f'<path class="{look}" d="M0 9V{h - 9:.1f}A{w / 2:.1f} 9 0 0 0 {w:.1f} {h - 9:.1f}V9"/>'
            f'<ellipse class="{look}" cx="{w / 2:.1f}" cy="9" rx="{w / 2:.1f}" ry="9"/>'
        )
    accent = {"network": " net", "machine": " net", "door": " door", "pod": " net frame"}.get(node.kind, "")
    corner = {"machine": 0, "pod": 8, "link": 12}.get(node.kind, 4)
    drawn = f'<rect class="{look}{accent}" width="{w:.1f}" height="{h:.1f}" rx="{corner}"/>'
    if node.kind == "network":  # a bar with a row of sockets
        drawn += f'<rect class="fillnet" width="13" height="{h:.1f}" rx="2"/>'
        for y in range(8, int(h) - 8, 11):
            drawn += f'<rect class="paper" x="4" y="{y}" width="5" height="5"/>'
    elif node.kind == "machine":
        drawn += f'<rect class="fillnet" width="{w:.1f}" height="5"/>'
    elif node.kind == "guest":  # a machine inside the machine
        drawn += f'<rect class="{look}" x="4" y="4" width="{w - 8:.1f}" height="{h - 8:.1f}" rx="2"/>'
    elif node.kind == "door":
        drawn += '<rect class="box door" x="10" y="11" width="18" height="28"/>'
        drawn += '<circle class="filldoor" cx="24" cy="26" r="2"/>'
    return drawn
