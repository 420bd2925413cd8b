#!/bin/sh
# Sets up this gateway from the bundle that this script lies in. It never replaces an edge.toml, and
# puts a new broker.secret and ca.pem where the bundle has others.
set -eu

fail() { printf 'setup: %s\n' "$*" >&2; exit 2; }

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
config=/etc/danhao
[ "$(id -u)" -eq 0 ] || fail "run it as root: sudo $0"
for file in install.sh danhao-edge.service edge.toml ca.pem broker.secret; do
    [ -f "$here/$file" ] || fail "$file must lie beside this script: make the bundle again"
done
wheel=
for found in "$here"/danhao-*.whl; do
    [ -z "$wheel" ] || fail "there are two wheels beside this script: leave one"
    wheel=$found
done
[ -f "$wheel" ] || fail "there is no wheel beside this script: make the bundle again"

# The account and its folders first; the agent itself starts only where edge.toml names a meter.
if [ -d "$here/wheels" ]; then
    "$here/install.sh" "$wheel" "$here/wheels"
else
    "$here/install.sh" "$wheel"
fi
install -m 0644 "$here/ca.pem" "$config/ca.pem"
install -m 0400 -o danhao-edge -g danhao-edge "$here/broker.secret" "$config/broker.secret"
if [ -f "$config/edge.toml" ]; then
    systemctl restart danhao-edge.service
    echo "renewed; $config/edge.toml is as it was"
    exit 0
fi
install -m 0640 -o root -g danhao-edge "$here/edge.toml" "$config/edge.toml"
echo "next: write the meters into $config/edge.toml, then"
echo "    sudo -u danhao-edge /opt/danhao/bin/danhao edge check $config/edge.toml"
echo "    sudo systemctl start danhao-edge"
