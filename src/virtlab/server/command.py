"""The command line as a process of its own: what it imports and leaves behind is not the server's."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from typing import Any

from virtlab import paths
from virtlab.errors import LabError


async def begin(module: str, *words: str) -> Process:
    """A module of the kit, with its input and output in our hands."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", module, *words,
        stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=paths.ROOT, limit=2**22,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


async def lab(*words: str) -> Any:
    """`lab …` with its result as a value, and its error as one of ours."""
    process = await begin("virtlab", *words, "--json")
    out, err = await process.communicate()
    try:
        said = json.loads(out)
    except ValueError:
        last = err.decode(errors="replace").strip().rpartition("\n")[2]
        raise LabError(f"`lab {' '.join(words)}` ended without an answer: {last}.",
                       do="Try it in a terminal.") from None
    if "error" in said:
        raise LabError(said["error"]["message"], do=said["error"]["do"])
    return said
