"""What a learner finds: a volume with a colleague's images, one with a secret in it, and another registry.

    seed.py BUSYBOX REGISTRY LABEL RECORD

The images are written into the storage as files: pushing them to a registry would cost two seconds
and give them other digests every time. RECORD gets the digests, for the checks.
"""

import gzip
import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

import docker

STORE = "docker/registry/v2"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
CONFIG = "application/vnd.docker.container.image.v1+json"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
TEAM = {
    "team/hello": {"etc/motd": "Hello from a colleague.\n"},
    "team/leak": {
        "etc/motd": "Hello.\n",
        "root/password.txt": "db.example.test admin not-so-secret-any-more\n",
    },
}
UPSTREAM = {"tools/tree": {"etc/motd": "I come from upstream.\n"}}


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar(files):
    """The same files give the same bytes, whenever it is."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


class Base:
    """The image that the others are built on."""

    def __init__(self, client, name):
        stream = io.BytesIO(b"".join(client.images.get(name).save()))
        with tarfile.open(fileobj=stream) as archive:
            self.manifest = json.load(archive.extractfile("manifest.json"))[0]
            self.config = json.load(archive.extractfile(self.manifest["Config"]))
            raw = [archive.extractfile(layer).read() for layer in self.manifest["Layers"]]
        self.layers = [data if data[:2] == b"\x1f\x8b" else gzip.compress(data, 1, mtime=0) for data in raw]


def image(base, files):
    """A base with a layer of files on top: its manifest, {digest: blob}, and the digest of that layer."""
    layer = tar({name: text.encode() for name, text in files.items()})
    packed = gzip.compress(layer, 1, mtime=0)
    config = json.dumps({
        "architecture": base.config["architecture"], "os": "linux", "created": "2024-01-01T00:00:00Z",
        "config": {"Cmd": ["cat", "/etc/motd"], "Env": base.config["config"].get("Env")},
        "rootfs": {"type": "layers", "diff_ids": [*base.config["rootfs"]["diff_ids"], digest(layer)]},
        "history": [{"created": "2024-01-01T00:00:00Z"}] * (len(base.layers) + 1),
    }).encode()  # fmt: skip

    def entry(kind, data):
        return {"mediaType": kind, "size": len(data), "digest": digest(data)}

    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": entry(CONFIG, config),
        "layers": [entry(LAYER, data) for data in (*base.layers, packed)],
    }).encode()  # fmt: skip
    return manifest, {digest(data): data for data in (config, *base.layers, packed)}, digest(packed)


def stored(repository, manifest, blobs):
    """The files in which a registry keeps an image tagged 1.0."""
    own = f"{STORE}/repositories/{repository}"
    link = digest(manifest).encode()
    files = {
        f"{own}/_manifests/revisions/{digest(manifest).replace(':', '/')}/link": link,
        f"{own}/_manifests/tags/1.0/current/link": link,
        f"{own}/_manifests/tags/1.0/index/{digest(manifest).replace(':', '/')}/link": link,
    }
    for name, data in {**blobs, digest(manifest): manifest}.items():
        kind, _, number = name.partition(":")
        files[f"{STORE}/blobs/{kind}/{number[:2]}/{number}/data"] = data
        if name in blobs:
            files[f"{own}/_layers/{kind}/{number}/link"] = name.encode()
    return files


def fill(container, base, repositories):
    """Put images into the storage of a container, and return their digests."""
    files, record = {}, {}
    for repository, content in repositories.items():
        manifest, blobs, own = image(base, content)
        files |= stored(repository, manifest, blobs)
        record[repository] = {"manifest": digest(manifest), "layer": own}
    container.put_archive("/var/lib/registry", tar(files))
    return record


def main(busybox, registry, label, record):
    client = docker.from_env()
    labels = dict([label.split("=", 1)])
    base = Base(client, busybox)
    for volume in ("reg-data", "reg-upstream-data"):
        client.volumes.create(volume, labels=labels)
    if not client.networks.list(names=["^reg-net$"]):
        client.networks.create("reg-net", labels=labels)
    for left in client.containers.list(all=True, filters={"name": "^/?reg-(seed|upstream)$"}):
        if left.name == "reg-seed" or left.status == "created":  # from a start that did not get to its end
            left.remove(force=True)
    seed = client.containers.create(
        registry, name="reg-seed", labels=labels, volumes={"reg-data": {"bind": "/var/lib/registry"}}
    )
    found = fill(seed, base, TEAM)
    seed.remove()
    if not client.containers.list(all=True, filters={"name": "^/?reg-upstream$"}):
        upstream = client.containers.create(
            registry, name="reg-upstream", labels=labels, network="reg-net",
            environment={"REGISTRY_STORAGE_DELETE_ENABLED": "true"},
            volumes={"reg-upstream-data": {"bind": "/var/lib/registry"}},
        )  # fmt: skip
        fill(upstream, base, UPSTREAM)
        upstream.start()
    Path(record).write_text(json.dumps(found))


main(*sys.argv[1:])
