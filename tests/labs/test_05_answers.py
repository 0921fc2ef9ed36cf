"""Lab 05: right answers that are not ours pass; what only looks right is refused, each for its reason."""

import pytest
from answers import bash, started, verdicts

from virtlab.seat import Seat

pytestmark = pytest.mark.host

SERVE = "mkdir -p /www; echo {word} > /www/index.html; exec httpd -f -p {listen} -h /www"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with started("05", tmp_path_factory) as lab:
        yield lab


@pytest.fixture
def grade(lab):
    """Run commands, then grade one task: {check: (state, message)}. What they made is removed again."""

    def grade(task, script):
        bash(lab, script)
        return verdicts(lab, task)

    yield grade
    docker = Seat().docker
    for container in docker.containers.list(all=True, filters={"name": "^/?net-"}):
        if container.name != "net-vault":
            container.remove(force=True)
    for network in docker.networks.list(filters={"name": "^net-"}):
        if network.name != "net-office":
            network.remove()


def serve(word, listen):
    return f'sh -c "{SERVE.format(word=word, listen=listen)}"'


RIGHT = {
    "names: compose's labels and aliases, nginx without nslookup": (
        "names",
        """docker network create --label com.docker.compose.project=net net-compose_default
        docker run -d --init --name net-shop --network net-compose_default --network-alias shop \
            $nginx sleep 99
        docker run -d --init --name net-till --network net-compose_default $nginx sleep 99""",
    ),
    "names: connected afterwards, to an internal network, and still on the default bridge": (
        "names",
        """docker network create --internal net-x
        docker run -d --init --name net-shop $busybox sleep 99
        docker run -d --init --name net-till $busybox sleep 99
        docker network connect --alias shop net-x net-shop; docker network connect net-x net-till""",
    ),
    "publish: nginx, a page from outside, a network of its own": (
        "publish",
        """page=$(mktemp -d); echo "<h1>$LAB_WORD</h1>" > $page/index.html; chmod -R a+rX $page
        docker network create net-y
        docker create --name net-anything --network net-y -p 127.0.0.1:8105:80 $nginx
        docker cp $page/index.html net-anything:/var/www/html/index.html
        docker cp $page/index.html net-anything:/usr/share/nginx/html/index.html
        docker start net-anything; rm -r $page; sleep 1""",
    ),
    "host: a name of its own, with a -p that has no effect": (
        "host",
        "docker run -d --init --name net-xyz --network host -p 8155:80 $busybox "
        f"{serve('hello-host', '127.0.0.1:8155')}"
        "; sleep 0.3",
    ),
    "isolate: internal networks, other names, three on one side": (
        "isolate",
        """docker network create --internal net-red; docker network create net-blue
        for name in a b c; do docker run -d --init --name net-$name --network net-red $busybox sleep 99; done
        for name in x y; do docker run -d --init --name net-$name --network net-blue $nginx sleep 99; done""",
    ),
    "pod: a pause container owns the namespace, as in Kubernetes": (
        "pod",
        f"""docker network create net-z
        docker run -d --init --name net-pause --network net-z $busybox sleep 99
        docker run -d --init --name net-app --network container:net-pause $busybox \
            {serve("hello-pod", "127.0.0.1:8080")}
        docker run -d --init --name net-side --network container:net-pause $nginx sleep 99; sleep 0.3""",
    ),
}

WRONG = {
    "names: both on the default bridge": (
        "names",
        "by_name",
        "`net-shop` is on `bridge`",
        """docker run -d --init --name net-shop $busybox sleep 99
        docker run -d --init --name net-till $busybox sleep 99""",
    ),
    "names: a line in /etc/hosts instead of a name server": (
        "names",
        "by_alias",
        "I asked for `shop`",
        """docker network create net-h
        docker run -d --init --name net-shop --network net-h $busybox sleep 99
        docker run -d --init --name net-till --network net-h --add-host shop:172.18.0.2 $busybox sleep 99""",
    ),
    "names: the alias belongs to another container": (
        "names",
        "by_alias",
        "which is `net-shop`",
        """docker network create net-h
        docker run -d --init --name net-shop --network net-h $busybox sleep 99
        docker run -d --init --name net-till --network net-h --network-alias shop $busybox sleep 99""",
    ),
    "publish: open to the neighbourhood": (
        "publish",
        "published_here_only",
        "other machines may reach it",
        f"docker run -d --init --name net-w -p 8105:80 $busybox {serve('$LAB_WORD', '80')}; sleep 0.3",
    ),
    "publish: the port leads nowhere": (
        "publish",
        "published",
        "the server inside does not answer",
        "docker run -d --init --name net-w -p 127.0.0.1:8105:8080 $busybox "
        f"{serve('$LAB_WORD', '80')}; sleep 0.3",
    ),
    "publish: answers, but nothing is published": (
        "publish",
        "published",
        "no container publishes port 8105",
        "docker run -d --init --name net-w --network host $busybox "
        f"{serve('$LAB_WORD', '127.0.0.1:8105')}; sleep 0.3",
    ),
    "publish: another page": (
        "publish",
        "published",
        "'hullo'",
        f"docker run -d --init --name net-w -p 127.0.0.1:8105:80 $busybox {serve('hullo', '80')}; sleep 0.3",
    ),
    "publish: a neighbour's word": (
        "publish",
        "published",
        "is the word of somebody else's lab",
        f"""word=otter; [ "$LAB_WORD" != otter ] || word=fox
        docker run -d --init --name net-w -p 127.0.0.1:8105:80 $busybox {serve("$word", "80")}; sleep 0.3""",
    ),
    "host: a mapped port with an idle container in host mode beside it": (
        "host",
        "host_serves",
        "Docker's port mapping",
        f"""docker run -d --init --name net-w -p 127.0.0.1:8155:80 $busybox {serve("hello-host", "80")}
        docker run -d --init --name net-idle --network host $busybox sleep 99; sleep 0.3""",
    ),
    "host: on every address": (
        "host",
        "host_serves_here_only",
        "other machines may reach it",
        f"docker run -d --init --name net-w --network host $busybox {serve('hello-host', '8155')}; sleep 0.3",
    ),
    "none: taken off one network of two": (
        "none",
        "cut_off",
        "`net-office`",
        "docker network disconnect bridge net-vault || true",
    ),
    "isolate: a container on both": (
        "isolate",
        "isolated",
        "so it can reach both",
        """for colour in red blue; do docker network create net-$colour
        for number in 1 2; do
            docker run -d --init --name net-$colour$number --network net-$colour $busybox sleep 99
        done; done; docker network connect net-blue net-red1""",
    ),
    "isolate: nobody to talk to": (
        "isolate",
        "isolated",
        "at least two running containers",
        """for colour in red blue; do docker network create net-$colour
        docker run -d --init --name net-$colour --network net-$colour $busybox sleep 99; done""",
    ),
    "isolate: neighbours cut off from each other as well": (
        "isolate",
        "isolated",
        "to its neighbour",
        """for colour in red blue; do
        docker network create -o com.docker.network.bridge.enable_icc=false net-$colour
        for number in 1 2; do
            docker run -d --init --name net-$colour$number --network net-$colour $busybox sleep 99
        done; done""",
    ),
    "pod: both in host mode": (
        "pod",
        "pod",
        "No running container of this lab shares",
        f"""docker run -d --init --name net-w --network host $busybox {serve("hello-pod", "127.0.0.1:8166")}
        docker run -d --init --name net-v --network host $busybox sleep 99; sleep 0.3""",
    ),
    "pod: the page is open on the bridge": (
        "pod",
        "pod",
        "the pod's address on the bridge",
        f"""docker run -d --init --name net-w $busybox {serve("hello-pod", "80")}
        docker run -d --init --name net-v --network container:net-w $busybox sleep 99; sleep 0.3""",
    ),
    "pod: the owner was restarted, the other kept the old namespace": (
        "pod",
        "pod",
        "has kept the old namespace",
        f"""docker run -d --init --name net-w $busybox {serve("hello-pod", "127.0.0.1:80")}
        docker run -d --init --name net-v --network container:net-w $busybox sleep 99
        docker restart -t 0 net-w; sleep 0.3""",
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


def test_the_vault_may_be_started_again_without_a_network(grade):
    vault = "docker run -d --init --name net-vault --network none $busybox sleep 99"
    results = grade("none", f"docker rm -f net-vault; {vault}")
    assert results["cut_off"][0] == "pass", results
