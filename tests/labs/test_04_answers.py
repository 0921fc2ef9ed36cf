"""Lab 04: right answers that are not ours pass; what only looks like one is refused, for its own reason.

Every answer starts from the solution and changes it; the solution of the task puts it back.
"""

import pytest
from answers import bash, started, verdicts

from virtlab import lifecycle
from virtlab.seat import Seat

pytestmark = pytest.mark.host

HELPERS = r"""
ready() {  # URL: wait until something answers there
  for try in $(seq 40); do curl --silent --insecure --output /dev/null $1 && return; sleep 0.1; done; return 1
}
again() {  # OPTIONS OF DOCKER RUN: the registry once more, with another set-up
  docker rm -f -v reg-mine >/dev/null
  docker run -d --name reg-mine "$@" $registry >/dev/null
}
own="-p $address:5004:5000 -v $PWD/solution:/etc/docker/registry:ro"
data="-v reg-data:/var/lib/registry"
key="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
trusted=/etc/docker/certs.d/registry.lab.test:5004
mine=https://registry.lab.test:5004
ask() {
  printf 'user = "learner:%s"\n' "$(cat password)" | curl --silent --config - --cacert $trusted/ca.crt "$@"
}
in_storage() { docker exec reg-mine sh -c "cd /var/lib/registry/docker/registry/v2 && $1"; }
digest() {
  ask --head -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' $mine/v2/$1/manifests/$2 |
    tr -d '\r' | sed -n 's/^docker-content-digest: //Ip'
}
collect() { docker exec reg-mine registry garbage-collect /etc/docker/registry/config.yml >/dev/null 2>&1; }
mirror() {  # OPTIONS AND IMAGE: something else on the mirror's port
  docker rm -f -v reg-mirror >/dev/null; docker run -d --name reg-other -p 127.0.0.1:5014:5000 "$@" >/dev/null
  ready http://localhost:5014/v2/
}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with started("04", tmp_path_factory, solved=True) as lab:
        yield lab


@pytest.fixture
def grade(lab):
    """Change the solution, grade one task ({check: (state, message)}), and put the solution back."""
    tasks = []

    def grade(task, script):
        tasks.append(task)
        if script.startswith("seed"):  # the leak once more, as at the start
            next(one for one in lab.checks if one.id == "cleaned").undo(Seat(), lab)
            script = script.removeprefix("seed")
        bash(lab, HELPERS + script)
        return verdicts(lab, task)

    yield grade
    for container in Seat().docker.containers.list(all=True, filters={"name": "^/?reg-other$"}):
        container.remove(force=True, v=True)
    for task in tasks:
        lifecycle.solve("04", task=task)
        if task in ("push", "clean"):
            lifecycle.solve("04", task="push")


RIGHT = {
    "trust: a certificate that is its own authority": (
        "trust",
        """openssl req -x509 $key -days 9 -subj /CN=mine -addext subjectAltName=DNS:registry.lab.test \
            -keyout solution/server.key -out solution/server.crt
        rm $trusted/*; cp solution/server.crt $trusted/self.crt; docker restart -t 0 reg-mine; ready $mine""",
    ),
    "password: settings from the environment instead of a file": (
        "password",
        """again $own $data -e REGISTRY_AUTH=htpasswd -e REGISTRY_AUTH_HTPASSWD_REALM=x \
            -e REGISTRY_AUTH_HTPASSWD_PATH=/etc/docker/registry/htpasswd; ready $mine""",
    ),
    "keep: the volume at another place": (
        "keep",
        "again $own -v reg-data:/data -e REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=/data; ready $mine",
    ),
    "keep: a folder of this machine instead of a volume": (
        "keep",
        """docker run --rm -v reg-data:/from -v $PWD/store:/to $busybox cp -r /from/. /to
        again $own -v $PWD/store:/var/lib/registry; ready $mine""",
    ),
    "clean: the repository's folder removed by hand, then the garbage collected": (
        "clean",
        "seed\nin_storage 'rm -rf repositories/team/leak'; collect",
    ),
    "mirror: another name, a volume, one more network": (
        "mirror",
        """docker network create reg-more; mirror --network reg-net -v reg-cache:/var/lib/registry \
            -e REGISTRY_PROXY_REMOTEURL=http://reg-upstream:5000 $registry
        docker network connect reg-more reg-other""",
    ),
}

WRONG = {
    "trust: plain http": (
        "trust",
        "trusted",
        "not over TLS",
        "again -p $address:5004:5000 $data; ready http://registry.lab.test:5004",
    ),
    "trust: a certificate for another name": (
        "trust",
        "trusted",
        "Hostname mismatch",
        """openssl req -x509 $key -days 9 -subj /CN=registry.lab.test \
            -addext subjectAltName=DNS:other.lab.test -keyout solution/server.key -out solution/server.crt
        cp solution/server.crt $trusted/ca.crt; docker restart -t 0 reg-mine; ready $mine""",
    ),
    "trust: signed by nobody Docker knows": (
        "trust",
        "trusted",
        "do not trust its certificate",
        "openssl req -x509 $key -days 9 -subj /CN=stranger -keyout /dev/null -out $trusted/ca.crt",
    ),
    "trust: open to the neighbourhood": (
        "trust",
        "sheltered",
        "other machines may reach it",
        "again -p 5004:5000 -v $PWD/solution:/etc/docker/registry:ro $data; ready $mine",
    ),
    "password: none at all, and everything answers 200": (
        "password",
        "refuses_strangers",
        "got 200",
        "sed -i '/^auth/,$d' solution/config.yml; docker restart -t 0 reg-mine; ready $mine",
    ),
    "password: another one than in the file": (
        "password",
        "lets_learner_in",
        "got 401",
        """echo other | docker run --rm -i --entrypoint htpasswd $registry -niB learner > solution/htpasswd
        docker restart -t 0 reg-mine; ready $mine""",
    ),
    "password: a hash that no registry accepts": (
        "password",
        "lets_learner_in",
        "got 401",
        """echo "learner:$(openssl passwd -apr1 -stdin < password)" > solution/htpasswd
        docker restart -t 0 reg-mine; ready $mine""",
    ),
    "push: the tag is listed, the bytes are gone": (
        "push",
        "pushed",
        "does not come back whole",
        """config=$(ask -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
            $mine/v2/reg-box/manifests/1.0 | sed -n '/"config"/,/}/s/.*"sha256:\\(.*\\)".*/\\1/p')
        in_storage "rm blobs/sha256/${config:0:2}/$config/data" """,
    ),
    "push: two tags, two images": (
        "push",
        "pushed",
        "two tags of one image",
        """docker pull --quiet registry.lab.test:5004/team/hello:1.0
        docker tag registry.lab.test:5004/team/hello:1.0 registry.lab.test:5004/reg-box:$LAB_TAG
        docker push --quiet registry.lab.test:5004/reg-box:$LAB_TAG""",
    ),
    "push: a neighbour's tag": (
        "push",
        "pushed",
        "is the name of somebody else's lab",
        """docker tag registry.lab.test:5004/reg-box:1.0 registry.lab.test:5004/reg-box:golden-zebra
        docker push --quiet registry.lab.test:5004/reg-box:golden-zebra
        docker rmi registry.lab.test:5004/reg-box:golden-zebra
        in_storage "rm -r repositories/reg-box/_manifests/tags/$LAB_TAG" """,
    ),
    "keep: the image pushed once more instead of the volume": (
        "keep",
        "kept",
        "a copy and not the image",
        """docker pull --quiet registry.lab.test:5004/team/hello:1.0; again $own; ready $mine
        docker push --quiet registry.lab.test:5004/team/hello:1.0""",
    ),
    "keep: everything copied into a volume without a name": (
        "keep",
        "kept",
        "a volume without a name",
        """again $own; ready $mine
        docker run --rm --volumes-from reg-mine -v reg-data:/from $busybox cp -r /from/. /var/lib/registry""",
    ),
    "clean: only the copy on this machine": (
        "clean",
        "cleaned",
        "got 200",
        """seed
        docker pull --quiet registry.lab.test:5004/team/leak:1.0
        docker rmi registry.lab.test:5004/team/leak:1.0""",
    ),
    "clean: the manifest deleted, the garbage not collected": (
        "clean",
        "cleaned",
        "still in the storage",
        """seed
        ask --request DELETE $mine/v2/team/leak/manifests/$(digest team/leak 1.0)""",
    ),
    "clean: the name removed by hand, the bytes still there": (
        "clean",
        "cleaned",
        "still in the storage",
        "seed\nin_storage 'rm -rf repositories/team/leak'",
    ),
    "mirror: a registry with a copy pushed by hand": (
        "mirror",
        "mirrors",
        "it does not have it",
        """mirror $registry; docker tag $busybox localhost:5014/tools/tree:1.0
        docker push --quiet localhost:5014/tools/tree:1.0""",
    ),
    "mirror: a proxy that keeps nothing": (
        "mirror",
        "mirrors",
        "storage of its own",
        """echo 'server { listen 5000; location / { proxy_pass http://reg-upstream:5000; } }' > proxy.conf
        chmod a+r proxy.conf; docker rm -f -v reg-mirror; docker create --name reg-other --network reg-net \
            -p 127.0.0.1:5014:5000 $nginx; docker cp proxy.conf reg-other:/etc/nginx/conf.d/default.conf
        docker start reg-other; ready http://localhost:5014/v2/""",
    ),
    "mirror: a second registry on the upstream's own storage": (
        "mirror",
        "mirrors",
        "storage of its own",
        "mirror -v reg-upstream-data:/var/lib/registry $registry",
    ),
}


@pytest.mark.parametrize("answer", RIGHT)
def test_another_right_answer_passes(grade, answer):
    task, script = RIGHT[answer]
    results = grade(task, script)
    assert {state for state, _ in results.values()} == {"pass"}, results


@pytest.mark.parametrize("answer", WRONG)
def test_what_only_looks_right_is_refused(grade, answer):
    task, refused_by, because, script = WRONG[answer]
    state, message = grade(task, script)[refused_by]
    assert state == "fail", message
    assert because in message
