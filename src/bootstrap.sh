# shellcheck shell=bash
# The first use of `lab`, sourced by it: Debian packages, .venv, the locked requirements, the Ansible collections.
# Killed anywhere and run again it ends well: a .venv that still holds .incomplete is made anew.

log=$(mktemp -t virtlab-setup.XXXXXX)

stop() {                                                # stop "what happened" "what to do"
    printf '\nlab: %s\n     %s\n' "$1" "$2" >&2
    if [ -s "$log" ]; then tail -n 5 "$log" | sed 's/^/     | /' >&2; printf '     The whole log: %s\n' "$log" >&2
    else rm -f "$log"; fi
    exit 3
}

step() {                                                # step "what" "what to do if it fails" command…
    local what=$1 remedy=$2 began=$SECONDS
    shift 2
    printf 'lab: %s … ' "$what" >&2
    printf '\n== %s\n' "$what" >>"$log"
    "$@" >>"$log" 2>&1 </dev/null || stop "$what: failed." "$remedy"
    printf '%s s\n' "$((SECONDS - began))" >&2
}

become_root() {                                         # become_root "why": sets ${root[@]}
    root=()
    [ "$EUID" -ne 0 ] || return 0
    command -v sudo >/dev/null || stop "$1 needs root, and there is no sudo here." \
        "Run this as root once: $here/lab --version"
    root=(sudo)
    sudo -n true 2>/dev/null && return 0
    [ -t 0 ] || stop "$1 needs root, and sudo wants a password that nobody is here to type." \
        "Run \`sudo -v\` first, or run this on a terminal."
    printf 'lab: %s needs root; sudo may ask for your password.\n' "$1" >&2
    sudo -v || stop "$1 needs root, and sudo did not let you." "Ask whoever looks after this machine to run: sudo $here/lab --version"
}

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {                                         # sets $python; the system's own is the least surprise
    for python in /usr/bin/python3 python3.13 python3.12 python3.11 python3; do
        if python=$(command -v "$python") && is_new_enough "$python"; then return 0; fi
    done
    python=
}

needed_packages() {                                     # what libvirt-python's build and `python -m venv` need
    local version=3.11
    if [ -n "$python" ]; then version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); fi
    case $python in
        /usr/bin/python3) echo python3-venv python3-dev ;;
        /usr/bin/* | '') echo "python$version" "python$version-venv" "python$version-dev" ;;
    esac
    echo ca-certificates pkg-config libvirt-dev gcc libc6-dev
}

install_packages() {
    local missing=() package apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600)
    for package in $(needed_packages); do
        case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
            *' ok installed') ;;
            *) missing+=("$package") ;;
        esac
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    local by_hand="Try it by hand: apt-get update && apt-get install ${missing[*]}"
    become_root "installing Debian packages (${missing[*]})"
    if [ -n "$(dpkg --audit 2>/dev/null)" ]; then
        step "finishing a package installation that was interrupted" "Try it by hand: dpkg --configure -a" \
            "${root[@]}" env DEBIAN_FRONTEND=noninteractive dpkg --configure -a
    fi
    step "reading the package lists" "Is the network up? $by_hand" "${root[@]}" "${apt[@]}" update
    # `lab down --purge` takes back only what was not here before: the new ones are written down first.
    local wants=(install --no-install-recommends "${missing[@]}")
    "${root[@]}" install -d -m 0755 /var/lib/virtlab
    "${apt[@]}" -s "${wants[@]}" 2>/dev/null | awk '$1 == "Inst" && $3 !~ /^\[/ { print $2 }' |
        "${root[@]}" tee -a /var/lib/virtlab/installed-packages >/dev/null || true
    step "installing Debian packages: ${missing[*]}" "$by_hand" \
        "${root[@]}" "${apt[@]}" "${wants[@]}"
}

follow_pip() {                                          # uv does not read pip's configuration: tell it
    local key value
    while IFS='=' read -r key value; do
        value=${value#\'} value=${value%\'} value=${value//\\n/ }
        case ${key##*[.:]} in                           # the environment is listed before the files, and wins
            index-url) : "${UV_DEFAULT_INDEX:=$value}" ;;
            extra-index-url) : "${UV_INDEX:=$value}" ;;
            find-links) : "${UV_FIND_LINKS:=${value// /,}}" ;;
            trusted-host) : "${UV_INSECURE_HOST:=$value}" ;;
            cert) : "${SSL_CERT_FILE:=$value}" ;;
            proxy) : "${HTTPS_PROXY:=$value}" "${HTTP_PROXY:=$value}" ;;
            default-timeout | timeout) : "${UV_HTTP_TIMEOUT:=$value}" ;;
            no-index) export UV_NO_INDEX=1 ;;
        esac
    done < <("$venv/bin/python" -m pip config list 2>/dev/null)
    # Every file is held to its sha256, so looking for a version in all the indexes, as pip does, is safe.
    export UV_INDEX_STRATEGY=unsafe-best-match UV_SYSTEM_CERTS=1 UV_NATIVE_TLS=1
    for key in UV_DEFAULT_INDEX UV_INDEX UV_FIND_LINKS UV_INSECURE_HOST SSL_CERT_FILE HTTPS_PROXY HTTP_PROXY UV_HTTP_TIMEOUT; do
        if [ -n "${!key:-}" ]; then export "${key?}"; fi
    done
}

take_collections() {                                    # from the PyPI wheel: Galaxy is not always within reach
    rm -rf "$venv/wheel"
    "$venv/bin/python" -m pip download --no-deps --require-hashes -d "$venv/wheel" -r "$here/requirements-collections.txt"
    "$venv/bin/python" - "$venv" <<'PYTHON'
import pathlib, sys, zipfile
venv = pathlib.Path(sys.argv[1])
wanted = ("ansible/posix", "community/docker", "community/library_inventory_filtering_v1", "community/libvirt")
with zipfile.ZipFile(next((venv / "wheel").glob("ansible-*.whl"))) as wheel:
    inside = tuple(f"ansible_collections/{name}/" for name in wanted)
    wheel.extractall(venv / "collections", [name for name in wheel.namelist() if name.startswith(inside)])
PYTHON
    rm -rf "$venv/wheel"
}

make_venv() {
    local began=$SECONDS free_mb network
    network="Is the network up? Behind a proxy set HTTPS_PROXY; a package index of your own is taken from pip's configuration."
    free_mb=$(df -Pm "$here" | awk 'NR == 2 { print $4 }')
    [ "$free_mb" -ge 1000 ] || stop "$here has $free_mb MB free; .venv takes about 700 MB and needs 1000 while it is made." \
        "Make room there, then run this again."
    [ -w "$here" ] || stop "$here is not yours to write in, and its .venv is not finished." \
        "Run this once as its owner: sudo -u $(stat -c %U "$here") $here/lab --version"
    unset PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME VIRTUAL_ENV
    export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
    # Half a .venv, or one for another Python or folder, goes; over a whole one newer locks are installed on top.
    if [ -e "$venv/.incomplete" ] || { [ -e "$venv/.complete" ] &&
        [ "$(cut -d' ' -f3- "$venv/.complete")" != "$(wanted | cut -d' ' -f3-)" ]; }; then
        rm -rf "$venv"
    elif [ -d "$venv" ] && ! "$venv/bin/python" -m pip --version >>"$log" 2>&1; then
        stop "$venv was made by something else, and has no pip." "Move it away, then run this again."
    fi
    if [ ! -d "$venv" ]; then
        mkdir "$venv" && touch "$venv/.incomplete"
        step "making .venv with $("$python" --version 2>&1)" "Is the disk full? See: df -h $here" "$python" -m venv "$venv"
    else
        touch "$venv/.incomplete"
    fi
    rm -f "$venv/.complete"
    step "installing uv" "$network" "$venv/bin/python" -m pip install --require-hashes -r "$here/requirements-uv.txt"
    follow_pip
    step "installing the locked Python packages" "$network" "$venv/bin/uv" pip install --python "$venv/bin/python" \
        --require-hashes --compile-bytecode -r "$here/requirements.txt"
    step "taking the Ansible collections" "$network" take_collections
    "$venv/bin/python" - "$here/src" <<'PYTHON'
import pathlib, sys, sysconfig
# The second line is for Ansible's modules only: see src/installed_modules.py.
pathlib.Path(sysconfig.get_path("purelib"), "virtlab.pth").write_text(
    sys.argv[1] + "\nimport sys; 'AnsiballZ_' in ''.join(sys.orig_argv[1:2]) and __import__('installed_modules')\n")
PYTHON
    ln -sfn ../../lab "$venv/bin/lab"
    "$venv/bin/python" -m compileall -q "$here/src" "$venv/collections" >>"$log" 2>&1 || true
    wanted >"$venv/.complete.new"
    rm "$venv/.incomplete"
    mv "$venv/.complete.new" "$venv/.complete"
    printf 'lab: ready in %s s. Bytecode, packages and collections are in %s.\n' "$((SECONDS - began))" "$venv" >&2
}

command -v apt-get >/dev/null || stop "There is no apt-get here." "This kit is for Debian 12 and 13, Ubuntu 22.04 and 24.04."
exec 9<"$here"                                          # two first uses at once: the second waits for the first
if ! flock -n 9; then
    printf 'lab: another first use is under way in %s; waiting for it.\n' "$here" >&2
    flock 9
fi
if ! is_ready; then
    find_python
    install_packages
    find_python
    [ -n "$python" ] || stop "No Python 3.11 or newer, and apt has none." "This kit is for Debian 12 and 13, Ubuntu 22.04 and 24.04."
    owner=$(stat -c %U "$here")
    if [ "$EUID" -eq 0 ] && [ "$owner" != root ]; then  # under sudo in somebody's folder: .venv is theirs, not root's
        make_venv_as_owner() { HOME=$(getent passwd "$owner" | cut -d: -f6) runuser -u "$owner" -- "$here/lab" --version >/dev/null; }
        exec 9<&-
        make_venv_as_owner || exit
    else
        make_venv
    fi
fi
rm -f "$log"
exec 9<&-
