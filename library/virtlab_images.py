#!/usr/bin/python
"""The kit's images: built when their recipe is new, pushed when the registry does not have them."""

from __future__ import annotations

import base64
import http.client
import json
import shutil
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.virtlab_build import BuildError, Image, build
from ansible.module_utils.virtlab_debian import DebianError, base_tar, proxies, recipe
from ansible.module_utils.virtlab_engine import EngineError, ask

DOCUMENTATION = r"""
module: virtlab_images
short_description: Build the kit's images and push them to its registry
description:
  - Each image carries its recipe's hash as the label C(virtlab.recipe); a new one is built when it changes.
  - Images that do not depend on each other are built side by side.
options:
  registry: {description: Host and port that begin every image's name., type: str, required: true}
  images:
    description: Name, the images of ours it stands on (build argument to name), and the official image.
    type: dict
    default: {}
  context: {description: The folder with a folder for each image., type: path}
  source: {description: Debian packages or Docker Hub., type: str, choices: [debian, hub], default: debian}
  suite: {description: Debian's release., type: str, default: trixie}
  mirror: {description: Where its packages are; empty for the one this machine uses., type: str, default: ""}
  edition: {description: Any other word makes every image anew., type: str, default: ""}
  cache: {description: Where the base system is kept., type: path, default: /var/cache/virtlab}
  record: {description: Where the images' names are written for everybody., type: path, required: true}
  ca: {description: The registry's CA certificate (published)., type: path}
  user: {description: Who pushes (published)., type: str}
  password_file: {description: The file with the password (published)., type: path}
  state:
    description: Built and tagged; pushed as well; or removed.
    type: str
    choices: [present, published, absent]
    default: present
"""

EXAMPLES = r"""
- name: Build the images
  virtlab_images:
    registry: registry.lab.test:5000
    context: files
    record: /var/lib/virtlab/host.d/base_images.json
    images: {debian: {parents: {}, hub: debian}, nginx: {parents: {BASE: debian}, hub: nginx}}
"""

RETURN = r"""
names:
  description: The images that were, or in check mode would be, built, pushed or removed.
  type: list
  elements: str
  returned: always
"""

WORKERS = 3  # unpacking packages waits for the disk as much as for the processor


def planned(p: dict[str, Any]) -> dict[str, Image]:
    """The images in building order, each with its recipe."""
    images: dict[str, Image] = {}
    for name, entry in p["images"].items():
        context = Path(p["context"]) / name
        if p["source"] == "hub":
            ours = context / "hub.Dockerfile"
            dockerfile = ours.read_text() if ours.is_file() else "ARG BASE\nFROM ${BASE}\n"
            parents, arguments = {}, {"BASE": entry["hub"], "edition": p["edition"]}
        else:
            dockerfile = (context / "Dockerfile").read_text()
            parents, arguments = entry["parents"], {}
            if not parents:
                arguments = {"base": recipe(p["suite"], p["edition"])}
        images[name] = Image(name, f"{p['registry']}/{name}", context, dockerfile, parents, arguments)
        images[name].seal(images)
    return images


def make(p: dict[str, Any], images: dict[str, Image], missing: list[str]) -> None:
    through = proxies()
    ahead: dict[str, Any] = {}

    def one(image: Image) -> None:
        for parent in image.parents.values():
            if parent in ahead:
                ahead[parent].result()
        tags = {argument: f"{images[parent].tag}:latest" for argument, parent in image.parents.items()}
        base = None
        if p["source"] == "hub":
            tags = {"BASE": image.arguments["BASE"]}
        elif not image.parents:
            base = base_tar(Path(p["cache"]), p["suite"], p["mirror"], p["edition"])
        build(image, {**through, **tags}, base)

    with ThreadPoolExecutor(WORKERS) as pool:
        for name in missing:  # parents come first in the list, so none waits for one that cannot start
            ahead[name] = pool.submit(one, images[name])
        for work in ahead.values():
            work.result()


def record_is_right(p: dict[str, Any]) -> bool:
    path = Path(p["record"])
    return path.is_file() and path.read_text() == record_text(p)


def record_text(p: dict[str, Any]) -> str:
    return json.dumps({"images": {name: f"{p['registry']}/{name}" for name in p["images"]}}, indent=2) + "\n"


def digest_in_registry(
    p: dict[str, Any], connection: http.client.HTTPSConnection, name: str, token: str
) -> str | None:
    connection.request(
        "HEAD",
        f"/v2/{name}/manifests/latest",
        headers={
            "Authorization": f"Basic {token}",
            "Accept": "application/vnd.docker.distribution.manifest.v2+json, "
            "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json",
        },
    )
    answer = connection.getresponse()
    answer.read()
    if answer.status == http.client.UNAUTHORIZED:
        raise BuildError(
            f"The registry {p['registry']} refuses the user {p['user']}. Converge it again: "
            "`lab up --only registry`."
        )
    return answer.headers.get("Docker-Content-Digest") if answer.status == http.client.OK else None


def unpublished(p: dict[str, Any], names: list[str], password: str) -> list[str]:
    token = base64.b64encode(f"{p['user']}:{password}".encode()).decode()
    host, _, port = p["registry"].rpartition(":")
    connection = http.client.HTTPSConnection(
        host, int(port), timeout=10, context=ssl.create_default_context(cafile=p["ca"])
    )
    missing = []
    try:
        for name in names:
            local = ask(f"/images/{p['registry']}/{name}:latest/json")
            if not local:
                raise BuildError(
                    f"The image {name} is not on this machine. Build it: `lab up --only base_images`."
                )
            digest = digest_in_registry(p, connection, name, token)
            if f"{p['registry']}/{name}@{digest}" not in (local.get("RepoDigests") or []):
                missing.append(name)
    except OSError as error:
        raise BuildError(
            f"The registry {p['registry']} does not answer: {error}. Look at its log "
            "(`docker logs lab-registry`), then run this again."
        ) from error
    finally:
        connection.close()
    return missing


def push(p: dict[str, Any], names: list[str], password: str) -> None:
    import docker

    client = docker.APIClient(base_url="unix:///var/run/docker.sock", version="auto", timeout=600)

    def one(name: str) -> None:
        for line in client.push(
            f"{p['registry']}/{name}",
            tag="latest",
            stream=True,
            decode=True,
            auth_config={"username": p["user"], "password": password},
        ):
            if "error" in line:
                raise BuildError(f"The image {name} could not be pushed to {p['registry']}: {line['error']}")

    # The base first: the others share its layer and then need not send it once more each.
    one(names[0])
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(one, names[1:]))
    client.close()


def remove(p: dict[str, Any], check: bool) -> list[str]:
    tags = [f"{p['registry']}/{name}:latest" for name in p["images"]]
    there = [tag for tag in reversed(tags) if ask(f"/images/{tag}/json")]
    cache, record = Path(p["cache"]), Path(p["record"])
    paths = [path for path in [*cache.glob("debian-*.tar"), cache / "debian.tmp", record] if path.exists()]
    for tag in [] if check else there:
        ask(f"/images/{tag}?force=1", "DELETE")  # only the name goes while a container still runs from it
    for path in [] if check else paths:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return there + [str(path) for path in paths]


def run(module: AnsibleModule) -> list[str]:
    p, check = module.params, module.check_mode
    if p["state"] == "absent":
        return remove(p, check)
    if p["state"] == "published":
        secret = Path(p["password_file"])
        names = (
            list(json.loads(Path(p["record"]).read_text())["images"]) if Path(p["record"]).is_file() else []
        )
        if check and not (names and secret.is_file()):
            return ["everything"]  # before the first converge there is nothing to look at
        password = secret.read_text().strip()
        missing = unpublished(p, names, password)
        if missing and not check:
            push(p, missing, password)
        return missing
    images = planned(p)
    missing = [name for name, image in images.items() if not image.is_built()]
    if missing and not check:
        make(p, images, missing)
    if not record_is_right(p):
        missing.append("host.d")
        if not check:
            Path(p["record"]).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            Path(p["record"]).write_text(record_text(p))
            Path(p["record"]).chmod(0o644)
    return missing


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "registry": {"type": "str", "required": True},
            "images": {"type": "dict", "default": {}},
            "context": {"type": "path"},
            "source": {"choices": ["debian", "hub"], "default": "debian"},
            "suite": {"type": "str", "default": "trixie"},
            "mirror": {"type": "str", "default": ""},
            "edition": {"type": "str", "default": ""},
            "cache": {"type": "path", "default": "/var/cache/virtlab"},
            "record": {"type": "path", "required": True},
            "ca": {"type": "path"},
            "user": {"type": "str"},
            "password_file": {"type": "path", "no_log": False},
            "state": {"choices": ["present", "published", "absent"], "default": "present"},
        },
        required_if=[
            ("state", "present", ["context"]),
            ("state", "published", ["ca", "user", "password_file"]),
        ],
        supports_check_mode=True,
    )
    try:
        names = run(module)
    except EngineError as error:
        if module.check_mode:  # before the first converge there is no engine yet
            module.exit_json(changed=module.params["state"] != "absent", names=list(module.params["images"]))
        module.fail_json(msg=str(error))
    except (BuildError, DebianError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(names), names=names)


if __name__ == "__main__":
    main()
