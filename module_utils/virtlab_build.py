"""Images from Dockerfiles, each known by its recipe: what goes into it, and what it stands on."""

from __future__ import annotations

import hashlib
import re
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.module_utils.virtlab_engine import EngineError, ask

LABEL = "virtlab.recipe"


class BuildError(Exception):
    """Which image, why, and what to do."""


@dataclass
class Image:
    name: str
    tag: str
    context: Path
    dockerfile: str
    parents: dict[str, str] = field(default_factory=dict)  # build argument -> image of ours
    arguments: dict[str, str] = field(default_factory=dict)  # what else the recipe depends on
    recipe: str = ""

    def seal(self, images: dict[str, Image]) -> None:
        """Work out the recipe; the parents' must be there."""
        seen = hashlib.sha256(self.dockerfile.encode())
        for path in sorted(p for p in self.context.rglob("*") if p.is_file()):
            seen.update(f"{path.relative_to(self.context)} {path.stat().st_mode & 0o111}\n".encode())
            seen.update(path.read_bytes())
        for argument, parent in sorted(self.parents.items()):
            seen.update(f"{argument}={images[parent].recipe}\n".encode())
        for item in sorted(self.arguments.items()):
            seen.update(f"{item}\n".encode())
        self.recipe = seen.hexdigest()

    def is_built(self) -> bool:
        there = ask(f"/images/{self.tag}:latest/json")
        return bool(there) and (there["Config"].get("Labels") or {}).get(LABEL) == self.recipe


def build(image: Image, buildargs: dict[str, str], more: Path | None = None) -> None:
    """Build and tag; leaves nothing behind but the image, whether it works or not."""
    import docker

    client = docker.APIClient(base_url="unix:///var/run/docker.sock", version="auto", timeout=1800)
    before = ask(f"/images/{image.tag}:latest/json")
    ids = [before["Id"]] if before else []
    said: list[str] = []
    try:
        with tempfile.TemporaryFile() as stream:
            _pack(image, stream, more)
            # The host's network: its DNS and its route to the mirror work, whatever surrounds docker0.
            for line in client.build(
                fileobj=stream,
                custom_context=True,
                tag=f"{image.tag}:latest",
                buildargs=buildargs,
                labels={LABEL: image.recipe},
                network_mode="host",
                nocache=True,
                rm=True,
                forcerm=True,
                decode=True,
            ):
                text = line.get("stream", "")
                said.append(text)
                ids += re.findall(r"^ ---> ([0-9a-f]{12,})\s*$", text, re.M)
                if "error" in line:
                    tail = [t.strip() for t in "".join(said[-12:]).splitlines() if t.strip()]
                    raise BuildError(
                        f"The image {image.name} could not be built: {line['error']} Its last words: "
                        f"{' / '.join(tail[-8:])} Check the package mirror and the free space "
                        "(`docker system df`), then run this again; what is built is kept."
                    )
    except docker.errors.DockerException as error:
        raise BuildError(f"The image {image.name} could not be built: {error}") from error
    finally:
        _sweep(ids)
        client.close()


def _pack(image: Image, stream: Any, more: Path | None) -> None:
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for path in sorted(p for p in image.context.rglob("*") if p.is_file()):
            tar.add(path, arcname=str(path.relative_to(image.context)), filter=_plain)
        if more:
            tar.add(more, arcname="base.tar", filter=_plain)
        with tempfile.NamedTemporaryFile() as dockerfile:
            dockerfile.write(image.dockerfile.encode())
            dockerfile.flush()
            tar.add(dockerfile.name, arcname="Dockerfile", filter=_plain)
    stream.seek(0)


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Files are root's, and the same whoever has cloned the kit under whatever umask."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode = 0o755 if entry.mode & 0o100 else 0o644
    return entry


def _sweep(ids: list[str]) -> None:
    """Remove stages and predecessors that have no name any more and that nothing stands on."""
    for image_id in dict.fromkeys(reversed(ids)):
        try:
            there = ask(f"/images/{image_id}/json")
            if there and not there.get("RepoTags"):
                ask(f"/images/{image_id}", "DELETE")
        except EngineError:
            continue  # in use, or a parent of something that is
