"""Docker's daemon.json: read, merged, validated, written. Pure functions over a file."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

# What dockerd 20.10 reads again at a hangup; later ones read more.
RELOADED = {
    "debug",
    "labels",
    "live-restore",
    "max-concurrent-downloads",
    "max-concurrent-uploads",
    "max-download-attempts",
    "default-runtime",
    "runtimes",
    "authorization-plugins",
    "insecure-registries",
    "registry-mirrors",
    "shutdown-timeout",
    "features",
}
# dockerd 20.10 cannot check a file itself and does not start with a wrong one: its options and their types.
TYPES: dict[type, str] = {
    bool: "debug live-restore experimental icc ipv6 ip-forward ip-masq ip6tables iptables userland-proxy "
    "selinux-enabled no-new-privileges raw-logs tls tlsverify",
    int: "mtu max-concurrent-downloads max-concurrent-uploads max-download-attempts shutdown-timeout "
    "network-control-plane-mtu oom-score-adjust api-cors-max-age",
    str: "bip bridge cgroup-parent containerd data-root default-gateway default-ipc-mode default-runtime "
    "default-shm-size default-cgroupns-mode exec-root fixed-cidr group init-path ip log-driver log-level "
    "pidfile seccomp-profile storage-driver swarm-default-advertise-addr tlscacert tlscert "
    "tlskey userns-remap",
    list: "authorization-plugins default-address-pools dns dns-opts dns-search exec-opts insecure-registries "
    "labels registry-mirrors storage-opts",
    dict: "builder default-ulimits features log-opts proxies runtimes",
}
KNOWN = {name: kind for kind, names in TYPES.items() for name in names.split()} | {"init": bool}


class Trouble(Exception):
    """What is wrong and what to do; nothing was changed."""


def merged(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Mappings are merged, lists united (mirrors, say), everything else replaced."""
    out = copy.deepcopy(base)
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(out.get(key), dict):
            out[key] = merged(out[key], value)
        elif isinstance(value, list) and isinstance(out.get(key), list):
            out[key] = out[key] + [item for item in value if item not in out[key]]
        else:
            out[key] = copy.deepcopy(value)
    return out


def read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text() if path.is_file() else ""
        said = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise Trouble(
            f"{path} is not valid JSON ({error}). It was left as it is. Repair it first: the engine would "
            "not start with it either."
        ) from error
    if not isinstance(said, dict):
        raise Trouble(f"{path} does not hold a mapping of options. It was left as it is. Repair it first.")
    return said


def write(path: Path, value: dict[str, Any], mode: int = 0o644) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(value, indent=2) + "\n")
    part.chmod(path.stat().st_mode & 0o777 if path.is_file() else mode)
    part.replace(path)


def validate(options: dict[str, Any], whole: dict[str, Any], beside: Path) -> None:
    if "hosts" in options:
        raise Trouble(
            "docker_engine_options cannot hold 'hosts': the service names them already, and the engine "
            "refuses to start when both do."
        )
    for key, value in options.items():
        kind = KNOWN.get(key)
        if kind and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            raise Trouble(
                f"docker_engine_options: '{key}' must be a {kind.__name__}, not {json.dumps(value)}."
            )
    program = shutil.which("dockerd")
    if (
        program
        and "--validate"
        in subprocess.run([program, "--help"], capture_output=True, text=True, check=False).stdout
    ):
        trial = beside.with_name(".daemon.json.trial")
        trial.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        trial.write_text(json.dumps(whole))
        try:
            result = subprocess.run(
                [program, "--validate", f"--config-file={trial}"], capture_output=True, text=True, check=False
            )
        finally:
            trial.unlink()
        if result.returncode:
            raise Trouble(
                f"The engine would not start with these options: {result.stderr.strip()[-400:]} Nothing was "
                "changed. Correct docker_engine_options."
            )
    elif unknown := [key for key in options if key not in KNOWN]:
        raise Trouble(
            f"docker_engine_options: I do not know '{unknown[0]}', and this engine cannot check it: it would "
            "not start any more if the word were wrong. Nothing was changed."
        )
