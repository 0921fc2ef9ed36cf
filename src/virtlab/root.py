"""Becoming root through sudo, and whose root that is."""

from __future__ import annotations

import os
import pwd
import re
import shlex
import shutil
import subprocess
import sys

from virtlab import paths
from virtlab.errors import MachineError

KEPT = re.compile(
    r"(https?|ftp|all|no)_proxy|PIP_\w+|UV_\w+|SSL_CERT_(FILE|DIR)|VIRTLAB_\w+|DEBIAN_FRONTEND", re.I
)


def caller() -> pwd.struct_passwd:
    """Who called `lab`: whose files, workspace and JupyterLab it is. Root only where there is nobody else."""
    if os.geteuid() == 0 and (name := os.environ.get("SUDO_USER")):
        return pwd.getpwnam(name)
    return pwd.getpwuid(os.geteuid())


def become(why: str, arguments: list[str]) -> None:
    """Return as root; otherwise run `lab` again under sudo, or say why that is not possible."""
    if os.geteuid() == 0:
        return
    command = shlex.join([str(paths.ROOT / "lab"), *arguments])
    sudo = shutil.which("sudo")
    if not sudo:
        raise MachineError(
            f"{why} needs root, and there is no sudo on this machine.", do=f"Run as root: {command}"
        )
    if subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode:
        if not sys.stdin.isatty():
            raise MachineError(
                f"{why} needs root, and sudo wants a password that nobody is here to type.",
                do=f"Run it on a terminal, or as root: {command}",
            )
        sys.stderr.write(f"{why} needs root, so sudo asks for your password now.\n")
    # By name, not by value: a proxy's password has no place in the process list.
    kept = ",".join(sorted(name for name in os.environ if KEPT.fullmatch(name)))
    preserve = [f"--preserve-env={kept}"] if kept else []
    os.execv(sudo, [sudo, "-H", *preserve, "--", str(paths.ROOT / "lab"), *arguments])  # noqa: S606
