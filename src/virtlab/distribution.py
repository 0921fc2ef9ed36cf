"""A registry, spoken to as Docker speaks to it: the OCI distribution API, down to the bytes of a layer."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import secrets
from email.message import Message
from typing import Any

from virtlab.errors import Unknown

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
KINDS = (
    MANIFEST,
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
)


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def path_of(location: str) -> str:
    """The path of an address that a registry gave, which may be a whole one or a path."""
    return "/" + location.partition("://")[2].partition("/")[2] if "://" in location else location


class Registry:
    """A registry behind one connection, with a user's password or without."""

    def __init__(self, connection: http.client.HTTPConnection, user: str = "", password: str = "") -> None:
        self.connection = connection
        self.headers = {"Accept": ", ".join(KINDS)}
        if user:
            token = base64.b64encode(f"{user}:{password}".encode()).decode()
            self.headers["Authorization"] = f"Basic {token}"

    def ask(
        self, method: str, path: str, body: bytes | None = None, kind: str = ""
    ) -> tuple[int, Message, bytes]:
        """(status, headers, content) of one request."""
        more = {"Content-Type": kind} if kind else {}
        self.connection.request(method, path, body, self.headers | more)
        answer = self.connection.getresponse()
        return answer.status, answer.headers, answer.read()

    def manifest(self, repository: str, reference: str) -> tuple[str, Any]:
        """The digest and the content of a manifest, or '' and the status."""
        status, _, data = self.ask("GET", f"/v2/{repository}/manifests/{reference}")
        return (digest(data), json.loads(data)) if status == 200 else ("", status)

    def missing(self, repository: str, content: Any) -> str:
        """The first part of an image that does not come back whole, or ''."""
        for one in content.get("manifests", []):  # an index: one image for each platform
            if one.get("platform", {}).get("os") == "unknown":
                continue  # not an image, but what was said about one
            found, image = self.manifest(repository, one["digest"])
            if found != one["digest"]:
                return str(one["digest"])
            if lost := self.missing(repository, image):
                return lost
        if "manifests" in content:
            return ""
        for blob in [content["config"], *content["layers"]]:
            status, _, data = self.ask("GET", f"/v2/{repository}/blobs/{blob['digest']}")
            if status != 200 or digest(data) != blob["digest"]:
                return str(blob["digest"])
        return ""

    def upload(self, repository: str) -> tuple[str, str]:
        """Push an image nobody has seen before, tagged `fresh`; the digests of its manifest and its blob."""
        blob = json.dumps({
            "architecture": "amd64", "os": "linux", "author": secrets.token_hex(16), "config": {},
            "rootfs": {"type": "layers", "diff_ids": []},
        }).encode()  # fmt: skip
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
            "config": {"mediaType": CONFIG, "size": len(blob), "digest": digest(blob)},
        }).encode()  # fmt: skip
        _, headers, _ = self.ask("POST", f"/v2/{repository}/blobs/uploads/")
        self.ask("PUT", f"{path_of(headers['Location'])}&digest={digest(blob)}", blob)
        status, _, answer = self.ask("PUT", f"/v2/{repository}/manifests/fresh", manifest, MANIFEST)
        if status != 201:
            raise Unknown(
                f"I cannot put an image into {self.connection.host}: {answer.decode(errors='replace')[:90]}.",
                do="Start the lab afresh: `lab reset` with its number.",
            )
        return digest(manifest), digest(blob)
