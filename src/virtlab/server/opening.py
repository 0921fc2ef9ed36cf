"""What there must be when a lab is opened: the guide in the learner's folder, and one terminal of the lab."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from virtlab import guides, lifecycle, release, state
from virtlab.errors import LabError
from virtlab.server import terminals


def opened(slug: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Where the guide is, as JupyterLab names files, and what its terminal is called."""
    lab = lifecycle.open_lab(slug)
    lifecycle.folders(lab)
    root = Path(settings["server_root_dir"]).expanduser().resolve()
    guide = release.guide_in(lab.work)
    if not guide.exists():
        raise LabError(f"Lab {slug} has no guide.", do=f"`lab show {lab.number}` says what it asks for.")
    if not guide.resolve().is_relative_to(root):
        raise LabError(f"The guide {guide} is outside of this JupyterLab's folder {root}.",
                       do="Start JupyterLab with `lab jupyter restart`.")
    newer = release.newest(guide)
    return {
        "lab": slug,
        "title": lab.title,
        "phase": state.read(slug).phase,
        "guide": guide.resolve().relative_to(root).as_posix(),
        "newer": newer.resolve().relative_to(root).as_posix() if newer else None,
        "places": guides.places(guides.read(lab.notebook)) if lab.notebook.exists() else {},
        "terminal": _terminal(lab, settings.get("terminal_manager")),
    }


def _terminal(lab: Any, manager: Any) -> str | None:
    """The lab's own one, made if it is not there; None where terminals are switched off."""
    if manager is None:
        return None
    name = terminals.name(lab)
    if name not in manager.terminals:
        manager.create(name=name)
    return name
