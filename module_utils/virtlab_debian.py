"""A minimal Debian as one tar file, by mmdebstrap, from the package mirror that this machine uses itself."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
OPTIONS = [
    "--variant=minbase",
    "--dpkgopt=force-unsafe-io",
    # nothing that apt could fetch again stays in a layer
    '--aptopt=Acquire::Languages "none"',
    '--aptopt=Dir::Cache::pkgcache ""',
    '--aptopt=Dir::Cache::srcpkgcache ""',
    '--aptopt=DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; }',
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
]
EPOCH = "1704067200"  # one moment for all files: the same packages give the same tar


class DebianError(Exception):
    """What went wrong and what to do."""


def host_sources(root: Path = Path("/etc/apt")) -> list[tuple[str, str, list[str]]]:
    """(address, suite, components) of every enabled package source here, in both of apt's formats."""
    found = []
    for path in [root / "sources.list", *sorted((root / "sources.list.d").glob("*.list"))]:
        for line in path.read_text().splitlines() if path.is_file() else []:
            if entry := re.match(r"\s*deb\s+(?:\[[^]]*]\s*)?(\S+)\s+(\S+)\s+([^#]+)", line):
                found.append((entry[1], entry[2], entry[3].split()))
    for path in sorted((root / "sources.list.d").glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", path.read_text()):
            text = re.sub(r"^#.*\n?", "", stanza, flags=re.M)
            fields = {
                k.lower(): v.split() for k, v in re.findall(r"^([\w-]+):((?:.*)(?:\n[ \t].*)*)", text, re.M)
            }
            if "deb" in fields.get("types", []) and fields.get("enabled") != ["no"]:
                found += [
                    (uri, suite, fields.get("components", []))
                    for uri in fields.get("uris", [])
                    for suite in fields.get("suites", [])
                ]
    return [(_resolve(uri), suite, components) for uri, suite, components in found]


def _resolve(uri: str) -> str:
    """Cloud images name their mirror in a file of its own."""
    if uri.startswith("mirror+file:"):
        path = Path(uri.removeprefix("mirror+file:"))
        lines = path.read_text().split("\n") if path.is_file() else []
        uri = next((line.split()[0] for line in lines if line.strip() and not line.startswith("#")), uri)
    return uri.rstrip("/")


def sources(suite: str, mirror: str) -> list[str]:
    """The lines of the new system's sources.list. Empty: mmdebstrap knows the distribution's own address."""
    if mirror:
        return [f"deb {mirror.rstrip('/')} {suite} main"]
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)', Path("/etc/os-release").read_text(), re.M))
    own = release.get("VERSION_CODENAME", "")
    if release.get("ID") != "debian":
        return []
    return [
        f"deb {uri} {there.replace(own, suite, 1)} main"
        for uri, there, components in dict.fromkeys((u, s, tuple(c)) for u, s, c in host_sources())
        if "main" in components and there in {own, f"{own}-updates", f"{own}-security"}
    ]


def recipe(suite: str, edition: str) -> str:
    """Without the mirror: all have the same packages, and an image carried elsewhere is up to date there."""
    parts = [suite, edition, EPOCH, *OPTIONS]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def proxies() -> dict[str, str]:
    """apt's proxy, as environment variables that every program understands; none of it gets into an image."""
    found = {k: v for k, v in os.environ.items() if k.lower() in {"http_proxy", "https_proxy", "no_proxy"}}
    said = subprocess.run(
        ["apt-config", "dump", "--no-empty"], capture_output=True, text=True, check=False
    ).stdout
    for scheme, address in re.findall(r'^Acquire::(https?)::Proxy "([^"]+)"', said, re.M | re.I):
        found.setdefault(f"{scheme.lower()}_proxy", address)
    return found


def base_tar(cache: Path, suite: str, mirror: str, edition: str) -> Path:
    """The tar, from the cache when its recipe is the same."""
    tar = cache / f"debian-{recipe(suite, edition)[:16]}.tar"
    if tar.is_file():
        return tar
    cache.mkdir(mode=0o755, parents=True, exist_ok=True)
    work, part = cache / "debian.tmp", tar.with_suffix(".part.tar")
    _clear(work)
    work.mkdir(mode=0o755)
    lines = sources(suite, mirror)
    # TERM when we are killed ourselves: mmdebstrap then unmounts and cleans up what it has begun.
    command = [
        "setpriv",
        "--pdeathsig",
        "TERM",
        "mmdebstrap",
        *OPTIONS,
        f"--keyring={KEYRING}",
        suite,
        str(part),
        *lines,
    ]
    result = subprocess.run(
        command,
        env={**os.environ, **proxies(), "TMPDIR": str(work), "SOURCE_DATE_EPOCH": EPOCH, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    _clear(work)
    if result.returncode:
        part.unlink(missing_ok=True)
        said = [line for line in result.stderr.splitlines() if line.startswith(("E:", "Err:", "W:"))] or [
            result.stderr
        ]
        raise DebianError(
            f"mmdebstrap made no Debian {suite} from {lines[0].split()[1] if lines else 'its mirror'}: "
            f"{' '.join(said[-4:])[-600:]} Check that this machine reaches its mirror, or name another: "
            "`lab up --set base_images_mirror=ADDRESS`."
        )
    for old in cache.glob("debian-*.tar"):
        old.unlink() if old != part else None
    part.rename(tar)
    return tar


def _clear(work: Path) -> None:
    """What a killed run left; never through a mount, because /dev of this machine may be behind it."""
    if not work.exists():
        return
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{work}/")), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=True, capture_output=True)
    shutil.rmtree(work)
