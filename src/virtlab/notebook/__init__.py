"""The guides' side of the kit: `%load_ext virtlab.notebook` gives a notebook the `%lab` command."""

from __future__ import annotations

from typing import Any


def load_ipython_extension(shell: Any) -> None:
    """Called by IPython. Loading it twice is harmless."""
    from virtlab.notebook.magic import LabMagics  # here, because IPython is only in a kernel

    shell.register_magics(LabMagics)
