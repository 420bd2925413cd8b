#!/bin/sh
# Makes one folder that sets up one gateway: carry it there (USB stick, scp), then as root:
#     ./setup.sh
#
#     ./bundle.sh WHEEL BROKER_FOLDER SITE AGENT mqtts://broker.example:8883 OUT [FOLDER WITH WHEELS]
#
# BROKER_FOLDER is what `danhao broker` was given as --to. The bundle holds that gateway's own
# secret and no other one: keep it as you keep a key, and delete it when the gateway runs.
set -eu

fail() { printf 'bundle: %s\n' "$*" >&2; exit 2; }

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
[ $# -ge 6 ] || fail "name them all: bundle.sh WHEEL BROKER_FOLDER SITE AGENT URL OUT [FOLDER WITH WHEELS]"
wheel=$1 broker=$2 site=$3 agent=$4 url=$5 out=$6 wheels=${7:-}
secret=$broker/secrets/$site.$agent
[ -f "$wheel" ] || fail "$wheel is not there"
[ -f "$broker/ca.pem" ] || fail "$broker/ca.pem is not there: danhao broker certificate --to $broker"
case $site.$agent in
    *[!a-z0-9.-]*) fail "$site.$agent is not an agent's name: lower-case letters, digits, hyphens" ;;
esac
[ -f "$secret" ] || fail "$secret is not there: declare the agent, then danhao broker accounts"
case $url in
    mqtts://?*) ;;
    *) fail "$url is not mqtts://host:port: a password never goes over a line that is not encrypted" ;;
esac
case $url in
    *[!a-z0-9:/.-]*) fail "$url is no address of a broker: lower-case letters, digits, dots, hyphens" ;;
esac
[ ! -e "$out" ] || fail "$out is there already: name another folder"

umask 077
mkdir "$out"
cp "$wheel" "$out/"
cp "$here/../edge/install.sh" "$here/../edge/danhao-edge.service" "$here/setup.sh" "$out/"
chmod 0700 "$out/install.sh" "$out/setup.sh"
cp "$broker/ca.pem" "$out/ca.pem"
cp "$secret" "$out/broker.secret"
[ -z "$wheels" ] || cp -R "$wheels" "$out/wheels"
cat >"$out/edge.toml" <<TOML
site = "$site"
agent = "$agent"

[broker]
url = "$url"
username = "$site.$agent"
password_file = "/etc/danhao/broker.secret"
ca_file = "/etc/danhao/ca.pem"

[outbox]
path = "/var/lib/danhao/outbox.sqlite"

[health]
port = 9465

# Its meters follow: docs/edge.md. Then: danhao edge check /etc/danhao/edge.toml
TOML
printf 'made %s: carry it to the gateway and run setup.sh there as root\n' "$out"
