"""Outcomes of lab 04: asked over HTTPS as Docker asks, down to the bytes of each layer."""

import http.client
import json
import secrets
import ssl
import subprocess
import sys
import time

from virtlab import patience
from virtlab.checks import check
from virtlab.containers import open_beyond_localhost, own_addresses, publishers
from virtlab.distribution import Registry, path_of
from virtlab.errors import Unknown

NAME = "registry.lab.test"


# How to ask a registry.
def mine(lab):
    return f"{NAME}:{lab.ports['registry']}"


def trust(seat, lab):
    """Docker's folder of authorities for this registry. It belongs to the learner."""
    folder = seat.path(f"/etc/docker/certs.d/{mine(lab)}")
    if not folder.is_dir():
        raise Unknown(
            f"There is no folder {folder}.", do="Run `lab up --only registry`; this lab works on port 5004."
        )
    return folder


def context(seat, lab, system):
    """What Docker trusts: its folder for this registry and, slow to load, the authorities of the system."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.hostname_checks_common_name = False  # Docker looks at subjectAltName only
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if system:
        made.load_default_certs()
    for file in sorted(trust(seat, lab).glob("*.crt")):
        try:
            made.load_verify_locations(cadata=file.read_bytes().decode("ascii", "ignore"))
        except (OSError, ssl.SSLError):
            raise AssertionError(
                f"{file} is not a certificate that I can read. I expected your authority's, as PEM: it "
                "begins with 'BEGIN CERTIFICATE'."
            ) from None
    return made


def connect(seat, lab, user="", password="", system=False):
    """The learner's registry, over TLS, verified as Docker does it."""
    verified = context(seat, lab, system)
    connection = seat.talk(NAME, lab.ports["registry"], patience.seconds(2), verified)
    try:
        connection.connect()
    except ssl.SSLCertVerificationError as error:
        if not system:
            return connect(seat, lab, user, password, system=True)
        raise AssertionError(
            f"I asked https://{mine(lab)}/ and do not trust its certificate: {error.verify_message}. I "
            f"expected one for the name {NAME}, signed by an authority whose certificate is in "
            f"{trust(seat, lab)}/ (there: "
            f"{', '.join(sorted(one.name for one in trust(seat, lab).iterdir())) or 'nothing'})."
        ) from None
    except ssl.SSLError:
        raise AssertionError(
            f"Port {lab.ports['registry']} answers, and not over TLS. I expected https. Give the registry "
            "its certificate and "
            "key: section `http: {tls: …}` in its config.yml."
        ) from None
    except ConnectionRefusedError:
        raise AssertionError(
            f"I asked https://{mine(lab)}/ and got 'connection refused'. I expected your registry, "
            f"published on {lab.host.registry.address}:{lab.ports['registry']}. `docker ps --all` shows "
            "whether it runs, and its ports."
        ) from None
    except OSError as error:
        raise AssertionError(
            f"I asked https://{mine(lab)}/ and got '{error}'. I expected your registry to answer."
        ) from None
    return Registry(connection, user, password)


def password(seat, lab):
    try:
        return seat.path(lab.work / "password").read_text().strip()
    except OSError:
        raise Unknown(
            f"I cannot read {lab.work}/password.", do="Run `lab start 04`, it makes a new one."
        ) from None


def inside(seat, lab):
    """The learner's registry, with the learner's password."""
    registry = connect(seat, lab, "learner", password(seat, lab))
    status, _, _ = registry.ask("GET", "/v2/")
    assert status == 200, (
        f"I asked https://{mine(lab)}/v2/ as `learner` with the password from the file `password` and got "
        f"{status}. I expected 200. Is that user in your htpasswd file, with a bcrypt hash ($2y$…)? The "
        "registry reads the file when it starts."
    )
    return registry


def seeded(lab):
    try:
        return json.loads((lab.data / "seed.json").read_text())
    except (OSError, ValueError):
        raise Unknown("I do not know what the volume held at the start.", do="Run `lab reset 04`.") from None


def wait(seat, lab):
    """Until the registry answers again, after something was broken."""
    until = time.monotonic() + patience.seconds(5)
    while time.monotonic() < until:
        try:
            connect(seat, lab).ask("GET", "/v2/")
            return
        except (AssertionError, OSError, http.client.HTTPException):
            time.sleep(0.1)


# trust
@check(
    "The registry answers over TLS with a certificate that Docker trusts",
    task="trust",
    hint="`docker logs` of your registry, and the files in /etc/docker/certs.d/registry.lab.test:5004/.",
)
def trusted(seat, lab):
    registry = connect(seat, lab)
    status, headers, _ = registry.ask("GET", "/v2/")
    assert status in (200, 401) and "registry/2.0" in headers.get("Docker-Distribution-Api-Version", ""), (
        f"https://{mine(lab)}/v2/ answers {status}, and not like a registry. I expected the registry's API "
        "there. Which program listens on that port?"
    )
    return f"https://{mine(lab)}/ is a registry whose certificate Docker can verify."


@trusted.broken_by
def _(seat, lab):
    for file in trust(seat, lab).iterdir():
        file.unlink()


@check(
    "Nobody but this machine can reach the registry",
    task="trust",
    after=["trusted"],
    hint="The address in front of the port: -p ADDRESS:5004:5000.",
)
def sheltered(seat, lab):
    port, own = lab.ports["registry"], lab.host.registry.address
    by = publishers(seat, port)
    assert by, f"No container publishes port {port} yet. I expected your registry, on {own}."
    wide = set(open_beyond_localhost(seat, port)) - {own}
    culprit = max(by, key=lambda one: len(wide & set(by[one])))
    assert not wide, (
        f"Port {port} answers on {', '.join(sorted(wide))} too, so other machines may reach it. I expected "
        f"{own} and nothing else. Start `{culprit}` again with `-p {own}:{port}:5000`."
    )
    return f"Port {port} answers on {own}, which is this machine and its containers."


@sheltered.broken_by
def _(seat, lab):
    port = lab.ports["registry"]
    other = next(
        one for one in own_addresses(seat) if one != lab.host.registry.address and not one.startswith("127.")
    )
    seat.docker.containers.run(
        lab.host.base_images.images["busybox"], ["httpd", "-f", "-p", "80"], name="reg-door", detach=True,
        ports={"80/tcp": (other, port)},
    )  # fmt: skip


# password
@check(
    "Strangers can neither push nor pull",
    task="password",
    after=["trusted"],
    hint="Without a section `auth` in its config.yml a registry lets everybody in.",
)
def refuses_strangers(seat, lab):
    tries = {
        "without a password": connect(seat, lab),
        "as `learner` with a wrong password": connect(seat, lab, "learner", secrets.token_hex(8)),
        "as a user who does not exist": connect(seat, lab, "nobody", password(seat, lab)),
    }
    for how, registry in tries.items():
        for what, method, path in (
            ("pull", "GET", "/v2/team/hello/manifests/1.0"),
            ("list", "GET", "/v2/_catalog"),
            ("push", "POST", "/v2/reg-stranger/blobs/uploads/"),
        ):
            status, headers, _ = registry.ask(method, path)
            if status == 202:  # it let us begin to push: do not leave that behind
                registry.ask("DELETE", path_of(headers["Location"]))
            assert status == 401, (
                f"I tried to {what} {how} ({method} {path}) and got {status}. I expected 401, 'who are "
                "you?'. Look at the section `auth` in the registry's config.yml; it is read when the "
                "registry starts."
            )
    return "Without the password, or with a wrong one, nobody can push, pull or list."


@refuses_strangers.broken_by
def _(seat, lab):
    config = lab.work / "solution/config.yml"
    config.write_text(config.read_text().partition("auth:")[0])
    for name in publishers(seat, lab.ports["registry"]):
        seat.docker.containers.get(name).restart(timeout=0)
    wait(seat, lab)


@check(
    "learner gets in with the password from the file",
    task="password",
    after=["trusted", "refuses_strangers"],
    hint="htpasswd -niB reads the password from its input; the hash has to begin with $2y$.",
)
def lets_learner_in(seat, lab):
    assert connect(seat, lab).ask("GET", "/v2/")[0] == 401, (
        f"https://{mine(lab)}/v2/ answers without any password. I expected it to ask for one, and to accept "
        "learner's. Look at the section `auth` in the registry's config.yml."
    )
    inside(seat, lab)
    return "`learner` gets in with the password from the file `password`."


@lets_learner_in.broken_by
def _(seat, lab):
    users = lab.work / "solution/htpasswd"
    users.write_text(users.read_text().replace("learner:", "somebody:"))
    for name in publishers(seat, lab.ports["registry"]):
        seat.docker.containers.get(name).restart(timeout=0)
    wait(seat, lab)


# push
def neighbours(registry, lab):
    """What to say when the tag of somebody else's lab is there."""
    listed = registry.ask("GET", "/v2/reg-box/tags/list")[2]
    return lab.values.whose("tag", listed.decode(errors="replace"))


@check(
    "reg-box can be pulled whole, as 1.0 and under a tag of your own",
    task="push",
    after=["trusted", "lets_learner_in", "kept"],
    hint="The name of an image says where it is pushed to: registry.lab.test:5004/reg-box:1.0.",
)
def pushed(seat, lab):
    registry, own = inside(seat, lab), lab.values["tag"]
    found = {}
    for tag in ("1.0", own):
        found[tag], content = registry.manifest("reg-box", tag)
        assert found[tag], (
            f"I asked {mine(lab)} for `reg-box:{tag}` and got {content}. {neighbours(registry, lab)}"
            f"I expected its manifest. `docker push {mine(lab)}/reg-box:{tag}` puts it there."
        )
        lost = registry.missing("reg-box", content) if len(set(found.values())) == len(found) else ""
        assert not lost, (
            f"`reg-box:{tag}` is listed, but its part {lost[:19]}… does not come back whole, so nobody can "
            f"pull it. Push it again: `docker push {mine(lab)}/reg-box:{tag}`."
        )
    assert found["1.0"] == found[own], (
        f"`reg-box:1.0` is {found['1.0'][:19]}… and `reg-box:{own}` is {found[own][:19]}…. I expected "
        "two tags of one image. `docker tag` gives an image a second name; then push that."
    )
    return f"`reg-box` comes back whole from {mine(lab)}, and `1.0` and `{own}` are the same image."


@pushed.broken_by
def _(seat, lab):
    registry = inside(seat, lab)
    registry.ask("DELETE", f"/v2/reg-box/manifests/{registry.manifest('reg-box', '1.0')[0]}")


# keep
def storage(seat, lab):
    """The learner's container, and its mounts that can be written to: one of them holds the images."""
    by = publishers(seat, lab.ports["registry"])
    assert by, f"No container publishes port {lab.ports['registry']} yet. I expected your registry."
    container = seat.docker.containers.get(min(by, key=lambda one: lab.host.registry.address not in by[one]))
    return container, [mount for mount in container.attrs["Mounts"] if mount["RW"]]


def exists(container, mount, path):
    """Whether a file or folder of a registry's storage is there."""
    from docker.errors import NotFound

    try:
        stream, _ = container.get_archive(f"{mount['Destination']}/docker/registry/v2/{path}")
    except NotFound:
        return False
    b"".join(stream)  # all of it, so that the connection can be used again
    return True


@check(
    "The colleague's image is served, from a volume that outlives the container",
    task="keep",
    after=["trusted", "lets_learner_in"],
    hint="`docker inspect` shows under Mounts what a container keeps where.",
)
def kept(seat, lab):
    registry = inside(seat, lab)
    found, content = registry.manifest("team/hello", "1.0")
    assert found, (
        f"I asked {mine(lab)} for `team/hello:1.0` and got {content}. I expected your colleague's image, "
        "which is in the volume `reg-data`. Start your registry with that volume at /var/lib/registry."
    )
    assert found == seeded(lab)["team/hello"]["manifest"], (
        f"`team/hello:1.0` is {found[:19]}…, a copy and not the image in the volume `reg-data`. I expected "
        "your registry to work on that volume: start it with `-v reg-data:/var/lib/registry`."
    )
    lost = registry.missing("team/hello", content)
    assert not lost, (
        f"`team/hello:1.0` is there, but its part {lost[:19]}… does not come back whole. `lab reset 04` "
        "lays the volume out anew."
    )
    container, mounts = storage(seat, lab)
    holding = [one for one in mounts if exists(container, one, "repositories/team/hello/_manifests/tags")]
    lasting = [one for one in holding if one["Type"] == "bind" or len(one.get("Name", "")) not in (0, 64)]
    assert lasting, (
        f"`team/hello:1.0` is served, but `{container.name}` keeps it in "
        f"{'a volume without a name' if holding else 'itself'}: when the container is replaced, all is "
        "lost. Start it again with `-v reg-data:/var/lib/registry`."
    )
    place = lasting[0].get("Name") or lasting[0]["Source"]
    return f"`team/hello:1.0` comes from {place}, which outlives the container `{container.name}`."


@kept.broken_by
def _(seat, lab):
    container, _ = storage(seat, lab)
    config = lab.work / "solution"
    container.remove(force=True)
    seat.docker.containers.run(
        lab.host.base_images.images["registry"], name=container.name, detach=True,
        ports={"5000/tcp": (lab.host.registry.address, lab.ports["registry"])},
        volumes={str(config): {"bind": "/etc/docker/registry", "mode": "ro"}},
    )  # fmt: skip
    wait(seat, lab)


# clean
@check(
    "Nothing of team/leak is left, neither its name nor its bytes",
    task="clean",
    after=["trusted", "lets_learner_in", "kept"],
    hint="Deleting a manifest takes the name away. What takes the bytes away?",
)
def cleaned(seat, lab):
    registry, seed = inside(seat, lab), seeded(lab)
    leak = seed["team/leak"]
    assert registry.manifest("team/hello", "1.0")[0] == seed["team/hello"]["manifest"], (
        "Your registry does not have `team/hello`, so it does not work on the volume that holds the leak. "
        "I expected it to use `reg-data`: task `keep` comes first."
    )
    for reference in ("1.0", leak["manifest"]):
        status, _, _ = registry.ask("HEAD", f"/v2/team/leak/manifests/{reference}")
        assert status == 404, (
            f"I asked {mine(lab)} for `team/leak` ({reference[:19]}) and got {status}. I expected 404. "
            "Delete the manifest by its digest: `DELETE /v2/team/leak/manifests/sha256:…`."
        )
    status, _, _ = registry.ask("HEAD", f"/v2/team/leak/blobs/{leak['layer']}")
    container, mounts = storage(seat, lab)
    kind, _, number = leak["layer"].partition(":")
    data = f"blobs/{kind}/{number[:2]}/{number}/data"
    bytes_left = any(exists(container, mount, data) for mount in mounts)
    assert status == 404 and not bytes_left, (
        f"The name `team/leak` is gone, but its layer {leak['layer'][:19]}… with the password is still in "
        f"the storage{', and is served to whoever asks for it' if status == 200 else ''}. I expected the "
        f"bytes to be gone. Collect the garbage: `docker exec {container.name} registry garbage-collect …`."
    )
    return "`team/leak` is gone: no tag, no manifest, and no layer in the storage."


@cleaned.broken_by
def _(seat, lab):
    images = lab.host.base_images.images
    subprocess.run(
        [sys.executable, lab.folder / "seed.py", images["busybox"], images["registry"],
         f"{lab.label}={lab.slug}", lab.data / "seed.json"], check=True,
    )  # fmt: skip


# mirror
def upstream(seat, lab):
    from virtlab.containers import attachments, running

    try:
        container = running(seat, lab.name("upstream"))
    except AssertionError as error:
        raise Unknown(f"I cannot try the mirror: {error}", do="Run `docker start reg-upstream`.") from None
    address = next(item["IPAddress"] for item in attachments(container).values())
    return Registry(seat.talk(address, 5000, patience.seconds(2)))


@check(
    "The mirror fetches what it does not have, and keeps it",
    task="mirror",
    hint="A mirror learns of its upstream from REGISTRY_PROXY_REMOTEURL. Both need one network.",
)
def mirrors(seat, lab):
    port = lab.ports["mirror"]
    mirror = Registry(seat.talk("localhost", port, patience.seconds(2)))
    try:
        status, _, _ = mirror.ask("GET", "/v2/")
    except (OSError, http.client.HTTPException) as error:
        reason = (
            "'connection refused'"
            if isinstance(error, ConnectionRefusedError)
            else "no answer that I understand"
        )
        raise AssertionError(
            f"I asked http://localhost:{port}/v2/ and got {reason}. I expected a mirror. If you started "
            "one, `docker ps --all` says whether it still runs: it ends at once when its upstream cannot "
            "be reached."
        ) from None
    assert status == 200, (
        f"http://localhost:{port}/v2/ answers {status}. I expected 200: a mirror that needs no password."
    )
    wide = open_beyond_localhost(seat, port)
    assert not wide, (
        f"Port {port} answers on {', '.join(wide)} too, so other machines may reach it. I expected "
        f"localhost and nothing else: `-p 127.0.0.1:{port}:5000`."
    )
    origin = upstream(seat, lab)
    manifest, blob = origin.upload("virtlab-probe")
    try:
        fetched, _ = mirror.manifest("virtlab-probe", "fresh")
        status, _, _ = mirror.ask("GET", f"/v2/virtlab-probe/blobs/{blob}")
    finally:
        origin.ask("DELETE", f"/v2/virtlab-probe/manifests/{manifest}")
        origin.ask("DELETE", f"/v2/virtlab-probe/blobs/{blob}")
    assert fetched == manifest and status == 200, (
        f"I put a new image into `reg-upstream` and asked the registry at localhost:{port} for it; it does "
        "not have it. I expected it to fetch what it does not have: REGISTRY_PROXY_REMOTEURL, and a "
        "network on which it reaches `reg-upstream`."
    )
    kept_here, status = mirror.manifest("virtlab-probe", manifest)
    assert kept_here, (
        f"What I had fetched through localhost:{port} was gone from there ({status}) once `reg-upstream` no "
        "longer had it. I expected a mirror with storage of its own, which keeps what it fetched, and not "
        "one that only passes things on."
    )
    return (
        f"localhost:{port} fetched a new image from `reg-upstream`, and still has it without `reg-upstream`."
    )


@mirrors.broken_by
def _(seat, lab):
    for name in publishers(seat, lab.ports["mirror"]):
        seat.docker.containers.get(name).stop(timeout=0)
