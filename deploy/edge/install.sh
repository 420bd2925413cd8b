#!/bin/sh
# Installs or renews the Danhao edge agent on Debian 12 and later, or Raspberry Pi OS (Bookworm and
# later): 64-bit ARM (arm64), 32-bit ARM (armv7), and amd64.
#
#     sudo ./install.sh danhao-0.1.0-py3-none-any.whl          # a wheel at hand
#     sudo ./install.sh danhao-0.1.0-py3-none-any.whl wheels/  # no network: wheels it needs as well
#
# It creates the user danhao-edge, a virtual environment in /opt/danhao, and the systemd unit. It
# starts nothing until /etc/danhao/edge.toml is there, and never touches that file or the outbox.
set -eu

say() { printf '%s\n' "$*"; }
fail() { printf 'install: %s\n' "$*" >&2; exit 2; }

prefix=${DANHAO_PREFIX:-/opt/danhao}
config=/etc/danhao
unit=/etc/systemd/system/danhao-edge.service
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

[ $# -ge 1 ] || fail "name the wheel: install.sh danhao-VERSION-py3-none-any.whl [FOLDER WITH WHEELS]"
wheel=$1
wheels=${2:-}
[ -f "$wheel" ] || fail "$wheel is not there"
[ "$(id -u)" -eq 0 ] || fail "run it as root: sudo $0 $*"
[ -f "$here/danhao-edge.service" ] || fail "danhao-edge.service must lie beside this script"
command -v systemctl >/dev/null || fail "this machine has no systemd"
case $(uname -m) in
    aarch64 | armv7l | x86_64) ;;
    *) fail "$(uname -m) was never tried: install the wheel by hand and say how it went" ;;
esac

if ! command -v python3 >/dev/null || ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
    say "installing python3 and python3-venv"
    apt-get update
    apt-get install --yes --no-install-recommends python3 python3-venv
fi
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
    || fail "Python 3.11 or newer is needed: Debian 12 and Raspberry Pi OS Bookworm have it"

if ! getent passwd danhao-edge >/dev/null; then
    useradd --system --user-group --home-dir /var/lib/danhao --shell /usr/sbin/nologin danhao-edge
fi
install -d -m 0750 -o root -g danhao-edge "$config"
install -d -m 0700 -o danhao-edge -g danhao-edge /var/lib/danhao

# A new environment beside the old one: a failed installation leaves the running agent alone.
fresh=$prefix.new
rm -rf "$fresh"
python3 -m venv "$fresh"
if [ -n "$wheels" ]; then
    "$fresh/bin/pip" install --quiet --no-index --find-links "$wheels" "${wheel}[edge]"
else
    # piwheels, which Raspberry Pi OS has configured, holds what PyPI has not built for armv7.
    "$fresh/bin/pip" install --quiet --prefer-binary "${wheel}[edge]"
fi
"$fresh/bin/python" -m danhao edge --help >/dev/null || fail "the new agent does not start"
rm -rf "$prefix.old"
[ ! -d "$prefix" ] || mv "$prefix" "$prefix.old"
mv "$fresh" "$prefix"
# The scripts of an environment name its first place: write them anew.
"$prefix/bin/python3" -m pip install --quiet --no-deps --no-index --force-reinstall "$wheel"

install -m 0644 "$here/danhao-edge.service" "$unit"
if [ "$prefix" != /opt/danhao ]; then
    sed -i "s|^ExecStart=/opt/danhao/|ExecStart=$prefix/|" "$unit"
fi
systemctl daemon-reload
systemctl enable --quiet danhao-edge.service

if [ ! -f "$config/edge.toml" ]; then
    say "installed. Write $config/edge.toml (outbox path: /var/lib/danhao/outbox.sqlite), then:"
    say "    sudo -u danhao-edge $prefix/bin/danhao edge check $config/edge.toml"
    say "    sudo systemctl start danhao-edge"
    exit 0
fi
chown root:danhao-edge "$config/edge.toml"
chmod 0640 "$config/edge.toml"
systemctl restart danhao-edge.service
say "the agent runs: journalctl -u danhao-edge -f"
