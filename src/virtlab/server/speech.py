"""A classroom's seat begins in the class's language: guides, `lab`, JupyterLab itself."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from virtlab import language, paths, release, settings

LOCALES = {"en": "en", "zh": "zh_CN"}
OF_LAB = "@jupyterlab/translation-extension/plugin.jupyterlab-settings"


def begin(log: Any) -> None:
    """Once, because all seats are copies of one disk in English. What the student has chosen since stays."""
    wanted, kept = language.current(), settings.variables().get(language.SETTING)
    if kept is not None or wanted == "en":
        return
    try:
        settings.keep({language.SETTING: wanted})
        release.release(paths.workspace(), language=wanted)
        of_lab = _settings() / OF_LAB
        if not of_lab.exists():
            of_lab.parent.mkdir(parents=True, exist_ok=True)
            of_lab.write_text(json.dumps({"locale": LOCALES[wanted]}))
    except OSError as error:  # a full disk: nobody is kept out by that
        log.warning("virtlab: the guides stay in English: %s", error)


def _settings() -> Path:
    """Where JupyterLab keeps this user's."""
    config = os.environ.get("JUPYTER_CONFIG_DIR") or Path.home() / ".jupyter"
    return Path(os.environ.get("JUPYTERLAB_SETTINGS_DIR") or Path(config) / "lab/user-settings")
