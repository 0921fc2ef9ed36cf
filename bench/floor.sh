#!/usr/bin/env bash
# The floor under `lab up`: the same packages, images and services by a plain script, without Ansible, checks or repair.
# It uses the roles' own Dockerfiles and their build of the guest's disk, and does side by side what they do side by side.
#
#   bench/floor.sh up      everything, from a machine without the packages and images; prints the seconds of each part
#   bench/floor.sh down    removes all of it; packages stay unless they were new
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
python=$here/.venv/bin/python
state=/var/lib/virtlab-floor cache=/var/cache/virtlab-floor
registry=floor.lab.test:5990 blog_port=8980 demo_port=8990 jupyter_port=8988
images=$here/roles/base_images/files

docker_packages=(docker.io)                     # Debian 13 has made the command line a package of its own
. /etc/os-release
if [ "$ID" = debian ] && [ "$VERSION_ID" -ge 13 ]; then docker_packages+=(docker-cli); fi
image_packages=(mmdebstrap debian-archive-keyring)
guest_packages=(libvirt-daemon-system libvirt-clients dnsmasq-base iptables qemu-utils qemu-system-x86 seabios
    fdisk e2fsprogs mtools openssh-client grub-common grub-pc-bin grub-efi-amd64-bin)

began=$EPOCHREALTIME
say() { LC_ALL=C awk -v a="$began" -v b="$EPOCHREALTIME" -v what="$*" 'BEGIN { printf "%7.1f s  %s\n", b - a, what }'; }
secret() { od -An -tx1 -N12 /dev/urandom | tr -d ' \n'; }
name() { printf '%s/%s:latest' "$registry" "$1"; }
until_true() { local n; for n in {1..600}; do "$@" >/dev/null 2>&1 && return 0; sleep 0.1; done; echo "never: $*" >&2; return 1; }

up() {
    mkdir -p "$state/served" "$cache"
    packages
    daemons
    guest_image & local guest=$!
    build_images
    say images built
    run_registry
    networks
    blog & local blog=$!
    push
    say images pushed
    guests
    wait "$blog"; say blog answers
    jupyter; say JupyterLab answers
    wait "$guest"
    install -m 0644 "$cache/guest/floor.qcow2" "$state/pool/floor.qcow2"
    virsh -q -c qemu:///system pool-refresh floor
    say guest image there
}

packages() {
    comm -13 <(dpkg-query -W -f '${Package}\n' | sort) <(printf '%s\n' "${docker_packages[@]}" "${image_packages[@]}" \
        "${guest_packages[@]}" | sort) >"$state/new-packages"
    [ -d /run/systemd/system ] || export RUNLEVEL=1
    export DEBIAN_FRONTEND=noninteractive
    if [ -s "$state/new-packages" ]; then
        apt-get -qq update
        dpkg-query -W -f '${Package}\n' | sort >"$state/before"
        xargs apt-get -qq -y --no-install-recommends install <"$state/new-packages" >/dev/null
        comm -13 "$state/before" <(dpkg-query -W -f '${Package}\n' | sort) >"$state/new-packages"
    fi
    say packages installed
}

daemons() {
    if [ -d /run/systemd/system ]; then systemctl -q start docker libvirtd; return; fi
    docker info >/dev/null 2>&1 || { setsid dockerd >/dev/null 2>&1 & echo docker >>"$state/started"; }
    [ -S /run/libvirt/virtlogd-sock ] || { virtlogd -d; echo virtlogd >>"$state/started"; }
    [ -S /run/libvirt/libvirt-sock ] || { libvirtd -d; echo libvirtd >>"$state/started"; }
    until_true docker info
    until_true virsh -c qemu:///system version
    say daemons answer
}

guest_image() {
    ssh-keygen -q -t ed25519 -N '' -f "$state/guest_key" <<<y >/dev/null
    bash "$here/roles/vm_image/files/build-guest-image" --output "$cache/guest/floor.qcow2" --recipe floor \
        --cache "$cache/guest" --suite trixie --size-mb 3072 >"$cache/guest.log" 2>&1
}

build() {                                       # build IMAGE [--build-arg …]
    local image=$1
    shift
    DOCKER_BUILDKIT=0 docker build -q --network host --force-rm --label virtlab.floor=1 -t "$(name "$image")" "$@" \
        "$images/$image" >/dev/null 2>>"$cache/build.log"
}

build_images() {
    local base=(--build-arg "BASE=$(name debian)") context
    PYTHONPATH=$here/module_utils "$python" -c '
import sys, virtlab_debian, pathlib
print(virtlab_debian.base_tar(pathlib.Path(sys.argv[1]), "trixie", "", "floor"))' "$cache" >"$cache/base"
    say base system made
    context=$(mktemp -d "$cache/debian.XXXX")
    cp "$images/debian/Dockerfile" "$context" && ln "$(<"$cache/base")" "$context/base.tar"
    DOCKER_BUILDKIT=0 docker build -q --label virtlab.floor=1 -t "$(name debian)" "$context" >/dev/null 2>>"$cache/build.log"
    rm -r "$context"
    build wordpress "${base[@]}" & local wordpress=$!
    build mariadb "${base[@]}" & local mariadb=$!
    build busybox "${base[@]}"
    build registry "${base[@]}" --build-arg "BUSYBOX=$(name busybox)"
    build nginx "${base[@]}"
    wait "$wordpress" "$mariadb"
}

run_registry() {
    local address host=${registry%:*}
    address=$(ip -4 -o address show docker0 | awk '{ sub("/.*", "", $4); print $4 }')
    secret >"$state/password"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj "/CN=$host" \
        -addext "subjectAltName=DNS:$host" -keyout "$state/served/key" -out "$state/served/crt" 2>/dev/null
    "$python" -c 'import bcrypt, sys
print("learner:" + bcrypt.hashpw(sys.stdin.buffer.read(), bcrypt.gensalt(5)).decode())' \
        <"$state/password" >"$state/served/htpasswd"
    install -D -m 0644 "$state/served/crt" "/etc/docker/certs.d/$registry/ca.crt"
    grep -q " $host\$" /etc/hosts || echo "$address $host" >>/etc/hosts
    docker run -d --name floor-registry --label virtlab.floor=1 --restart always -p "$address:${registry#*:}:5000" \
        -v floor-registry:/var/lib/registry -v "$state/served:/served:ro" -e REGISTRY_AUTH=htpasswd \
        -e REGISTRY_AUTH_HTPASSWD_REALM=floor -e REGISTRY_AUTH_HTPASSWD_PATH=/served/htpasswd \
        -e REGISTRY_HTTP_TLS_CERTIFICATE=/served/crt -e REGISTRY_HTTP_TLS_KEY=/served/key "$(name registry)" >/dev/null
    until_true log_in
    say registry answers
}

log_in() { docker --config "$state/docker" login -u learner --password-stdin "$registry" <"$state/password"; }

push() {
    local image
    docker --config "$state/docker" push -q "$(name debian)" >/dev/null
    for image in busybox nginx mariadb wordpress registry; do
        docker --config "$state/docker" push -q "$(name "$image")" >/dev/null &
        while [ "$(jobs -rp | wc -l)" -gt 4 ]; do wait -n; done       # the guest's image and the blog are among them
    done
    until_true all_pushed
}

all_pushed() {
    curl -fsS --cacert "$state/served/crt" -u "learner:$(<"$state/password")" "https://$registry/v2/_catalog" |
        grep -q busybox.*debian.*mariadb.*nginx.*registry.*wordpress
}

networks() {
    local mode listen network
    docker network create --label virtlab.floor=1 floor-bridge >/dev/null
    docker network create --label virtlab.floor=1 --internal floor-internal >/dev/null
    for mode in bridge host none; do
        listen=80 network=$mode
        [ $mode = host ] && listen=127.0.0.1:$demo_port
        [ $mode = bridge ] && network=floor-bridge
        docker run -d --init --name floor-demo-$mode --label virtlab.floor=1 --restart unless-stopped --network $network \
            "$(name busybox)" sh -c "mkdir -p /tmp/www && echo $mode >/tmp/www/index.html && exec httpd -f -p $listen -h /tmp/www" \
            >/dev/null
    done
    until_true curl -fsS "http://127.0.0.1:$demo_port/"
    say demonstrations answer
}

blog() {
    secret >"$state/db"; secret >"$state/db_root"
    docker network create --label virtlab.floor=1 floor-front >/dev/null
    docker network create --label virtlab.floor=1 --internal floor-back >/dev/null
    docker run -d --name floor-db --label virtlab.floor=1 --restart unless-stopped --network floor-back \
        -e MARIADB_DATABASE=wordpress -e MARIADB_USER=wordpress -e MARIADB_PASSWORD_FILE=/run/secrets/db \
        -e MARIADB_ROOT_PASSWORD_FILE=/run/secrets/db_root -v "$state/db:/run/secrets/db:ro" \
        -v "$state/db_root:/run/secrets/db_root:ro" -v floor-data:/var/lib/mysql "$(name mariadb)" >/dev/null
    docker create --name floor-blog --label virtlab.floor=1 --restart unless-stopped --network floor-front \
        -p "127.0.0.1:$blog_port:80" -e WORDPRESS_DB_HOST=floor-db -e WORDPRESS_DB_NAME=wordpress \
        -e WORDPRESS_DB_USER=wordpress -e WORDPRESS_DB_PASSWORD_FILE=/run/secrets/db \
        -v "$state/db:/run/secrets/db:ro" -v floor-files:/var/www/html "$(name wordpress)" >/dev/null
    docker network connect floor-back floor-blog
    docker start floor-blog >/dev/null
    until_true install_blog
    echo '<p>Hello.</p>' | docker exec -i floor-blog wp-lab post --once --title 'Floor' >/dev/null
    until_true page_shows Floor
}

install_blog() {
    secret | docker exec -i floor-blog wp-lab install --url "http://localhost:$blog_port" --title floor --user admin \
        --email admin@lab.test
}

page_shows() { curl -fsS "http://localhost:$blog_port/" | grep -q "$1"; }

guests() {
    mkdir -p "$state/pool"
    virsh -q -c qemu:///system pool-define-as floor dir --target "$state/pool"
    virsh -q -c qemu:///system pool-start floor
    virsh -q -c qemu:///system net-define /dev/stdin <<'XML'
<network><name>floor</name><forward mode='nat'/><bridge name='virbr-floor'/>
<ip address='192.168.199.1' netmask='255.255.255.0'><dhcp><range start='192.168.199.10' end='192.168.199.200'/></dhcp></ip>
</network>
XML
    virsh -q -c qemu:///system net-start floor
    "$python" "$here/src/virtlab/virtualization.py" >"$state/virtualization.json"
    say network and pool for guests
}

jupyter() {
    local token
    token=$(secret)
    mkdir -p "$state/jupyter"
    JUPYTER_TOKEN=$token setsid "$here/.venv/bin/jupyter-lab" --no-browser --allow-root --port "$jupyter_port" \
        --ServerApp.port_retries=0 --ServerApp.root_dir="$state/jupyter" >"$cache/jupyter.log" 2>&1 </dev/null &
    echo $! >"$state/jupyter.pid"
    disown
    until_true curl -fsS "http://127.0.0.1:$jupyter_port/api"
}

down() {
    set +e
    local ids host=${registry%:*}
    [ -f "$state/jupyter.pid" ] && kill "$(<"$state/jupyter.pid")"
    if docker info >/dev/null 2>&1; then
        mapfile -t ids < <(docker ps -aq --filter label=virtlab.floor); ((${#ids[@]})) && docker rm -fv "${ids[@]}"
        docker volume rm floor-registry floor-data floor-files
        docker network rm floor-bridge floor-internal floor-front floor-back
        remove_images
    fi
    if command -v virsh >/dev/null; then
        virsh -q -c qemu:///system net-destroy floor; virsh -q -c qemu:///system net-undefine floor
        virsh -q -c qemu:///system pool-destroy floor; virsh -q -c qemu:///system pool-undefine floor
    fi
    rm -rf "/etc/docker/certs.d/$registry"
    sed -i "/ $host\$/d" /etc/hosts
    if [ -f "$state/started" ]; then
        while read -r daemon; do end "$(<"/run/$daemon.pid")"; done <"$state/started"
    fi
    if [ -s "$state/new-packages" ]; then xargs apt-get -qq -y purge <"$state/new-packages"; fi
    rm -rf --one-file-system "$state" "$cache"
}

end() { kill "$1" && for _ in {1..300}; do kill -0 "$1" || return 0; sleep 0.1; done; }

remove_images() {
    local base image parent
    base=$(docker image inspect --format '{{.Id}}' "$(name debian)")
    docker image ls --format '{{.Repository}}:{{.Tag}}' "$registry/*" | grep -v /debian: | xargs -r docker rmi
    # The stages of builds have no name; what stands on our base is ours.
    for image in $(docker image ls -q --no-trunc --filter dangling=true); do
        parent=$image
        while [ -n "$parent" ] && [ "$parent" != "$base" ]; do
            parent=$(docker image inspect --format '{{.Parent}}' "$parent")
        done
        [ -n "$parent" ] && docker rmi "$image"
    done
    docker rmi "$(name debian)"
}

case ${1:-} in
    up) up ;;
    down) down >/dev/null 2>&1 ;;
    *) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
