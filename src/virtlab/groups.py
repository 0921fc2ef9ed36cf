"""Groups given since this session began: `lab up` gives some, and nobody should have to log in again."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Sequence

GROUPS = ("docker", "libvirt", "kvm")


def join(arguments: Sequence[str]) -> None:
    """Return when this process is in its groups; otherwise run `lab` again as a member of them."""
    if os.geteuid() == 0 or os.environ.get("VIRTLAB_GROUPS"):
        return
    have = {os.getegid(), *os.getgroups()}
    missing = [name for name in GROUPS if _is_member(name, have)]
    if not missing:
        return
    import shlex
    import shutil

    from virtlab import paths

    sg = shutil.which("sg")
    if not sg:
        return
    os.environ["VIRTLAB_GROUPS"] = " ".join(missing)  # once is enough
    command = [str(paths.ROOT / "lab"), *arguments]
    own = grp.getgrgid(os.getegid()).gr_name  # innermost, so that new files still belong to it
    for name in (own, *missing):
        command = [sg, name, "-c", shlex.join(command)]
    os.execv(sg, command)  # noqa: S606


def _is_member(name: str, have: set[int]) -> bool:
    """Whether the group's list names us, and this process does not know of it yet."""
    try:
        group = grp.getgrnam(name)
        return group.gr_gid not in have and pwd.getpwuid(os.geteuid()).pw_name in group.gr_mem
    except KeyError:
        return False
