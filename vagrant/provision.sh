#!/usr/bin/env bash
# Makes a fresh Debian or Ubuntu machine a lab host: unpacks the kit to /opt/virtlab and runs `./lab up` there, as the user
# who calls this (with sudo). Run again it changes nothing. It knows nothing of Vagrant: SSH and sudo are all it needs.
#
#   provision.sh KIT.tar.gz
#
# Beside the kit's files the archive may hold .laptop/: `settings` (NAME=value lines) and `ca.crt`.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin                              # Debian leaves them out of a user's, and sfdisk is there

kit=/opt/virtlab
archive=${1:?which archive?}
# Settings, and what stands for them when the archive says nothing.
labs=all language='' listen=127.0.0.1
is_new_box='' has_new_kit=''

stop() { printf 'virtlab: %s\n         %s\n' "$1" "$2" >&2; exit 1; }

step() {                                                # step "what" command…: quiet when it works, its last words when not
    local what=$1 log
    shift
    log=$(mktemp)
    if "$@" >"$log" 2>&1; then rm -f "$log"; return; fi
    tail -n 15 "$log" >&2
    stop "$what: failed." "The whole output is in $log on this machine."
}

unpack() {                                              # sets $new
    new=$(mktemp -d)
    trap 'rm -rf "$new"' EXIT
    tar -xzf "$archive" -C "$new"
    rm -f "$archive"                                    # its settings may hold a proxy's password
}

read_settings() {
    local name value
    [ -f "$new/.laptop/settings" ] || return 0
    while IFS='=' read -r name value; do
        case $name in
            labs | language | listen) printf -v "$name" %s "$value" ;;
            *_proxy | *_PROXY | PIP_* | UV_*) export "$name=$value" ;;
        esac
    done <"$new/.laptop/settings"
}

trust() {                                               # the certificate of whoever opens this network's TLS
    local ca=$new/.laptop/ca.crt there=/usr/local/share/ca-certificates/virtlab-laptop.crt
    if [ ! -f "$ca" ]; then
        [ ! -f "$there" ] || { sudo rm -f "$there"; step "forgetting the certificate" sudo update-ca-certificates; }
        return 0
    fi
    grep -q 'BEGIN CERTIFICATE' "$ca" || stop "The file given as ca is not a certificate in PEM." \
        "Export it as Base64 (PEM), then: vagrant provision"
    export PIP_CERT=/etc/ssl/certs/ca-certificates.crt  # pip brings a list of its own
    cmp -s "$ca" "$there" && return 0
    command -v update-ca-certificates >/dev/null ||
        step "installing ca-certificates" sudo sh -c 'apt-get -q update && apt-get -q -y install ca-certificates'
    sudo install -m 0644 "$ca" "$there"
    step "trusting the certificate" sudo update-ca-certificates
}

is_installed() {                                        # every file of the archive is there, and the same
    [ -x /usr/local/bin/lab ] && [ -d "$kit" ] || return 1
    (cd "$new" && find . -type f -exec sha256sum {} +) | (cd "$kit" && sha256sum --check --status 2>/dev/null)
}

install_kit() {
    local me
    me=$(id -un):$(id -gn)
    rm -rf "$new/.laptop"
    if is_installed; then return; fi
    printf 'virtlab: the kit goes to %s\n' "$kit"
    sudo install -d "$kit"
    sudo find "$kit" -mindepth 1 -maxdepth 1 ! -name .venv -exec rm -rf {} +
    sudo cp -a "$new/." "$kit/"
    sudo chmod 0755 "$kit"                              # it took the temporary folder's mode
    sudo chown -R "$me" "$kit"
    sudo ln -sfn "$kit/lab" /usr/local/bin/lab
    has_new_kit=yes
}

without_address() { sed -u '/lab?token=/d'; }            # the laptop's port is another, and told in the end

finish_first_boot() {                                   # of a ready box: it makes passwords and certificates of its own
    [ -e /var/lib/virtlab/sealed ] || return 0
    printf "virtlab: the ready box makes this machine's own passwords and certificates\n"
    sudo virtlab-firstboot &                            # or it waits for the one that is at it
    local at_work=$! log=/var/log/virtlab/firstboot.log
    sudo tail --pid="$at_work" -n +1 -F "$log" 2>/dev/null | without_address || true
    wait "$at_work" || stop "The ready box's first boot failed." "The whole output is in $log on this machine."
    is_new_box=yes
}

grow_root() {                                           # a disk made larger than its image: let the last partition have it
    local device number disk
    device=$(findmnt -no SOURCE /)
    [[ $device =~ ^/dev/(nvme.*p|[a-z]+)([0-9]+)$ ]] || return 0
    number=${BASH_REMATCH[2]} disk=/dev/$(lsblk -ndo PKNAME "$device")
    command -v sfdisk >/dev/null || return 0
    [ "$(lsblk -nlo NAME "$disk" | tail -n 1)" = "${device#/dev/}" ] || return 0
    # What is behind it, in MiB: less than one is alignment.
    [ $((($(lsblk -bndo SIZE "$disk") - ($(<"/sys/class/block/${device#/dev/}/start") * 512 + $(lsblk -bndo SIZE "$device"))) / 1048576)) -gt 64 ] || return 0
    printf 'virtlab: the root file system takes the rest of the disk\n'
    step "growing the partition" sudo sh -c "echo ', +' | sfdisk --no-reread --force -N $number $disk && partx --update $disk"
    step "growing the file system" sudo resize2fs "$device"
}

use_work_folder() {                                     # the laptop's folder, when it is there, is the workspace
    local synced=/srv/virtlab-work here=~/virtlab
    mountpoint -q "$synced" && [ ! -L "$here" ] || return 0
    if [ -d "$here" ]; then cp -an "$here/." "$synced/" && rm -rf "$here"; fi
    ln -s "$synced" "$here"
}

only() {                                                # labs=containers leaves libvirt and the guests' disk out
    case $labs in
        all) ;;
        containers) echo --only docker_engine base_images registry container_networks wordpress jupyterlab ;;
        *) stop "labs is '$labs'." "It may be: all, containers." ;;
    esac
}

[ "$(id -u)" -eq 0 ] || sudo -n true || stop "$(id -un) cannot use sudo without a password here." "Let them, or run this as root."
unpack
read_settings
roles=$(only)
trust
finish_first_boot
install_kit
grow_root
use_work_folder
# The first boot of a box has run `lab up` itself; what was not asked otherwise is done.
if [[ $is_new_box && ! $has_new_kit && "$labs $language $listen" == "all  127.0.0.1" ]]; then exit; fi
cd "$kit"
# shellcheck disable=SC2086  # words are meant
bash ./lab up --yes ${language:+--lang "$language"} $roles --set jupyterlab_ip="$listen" </dev/null | without_address
