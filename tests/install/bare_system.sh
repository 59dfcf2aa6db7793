#!/usr/bin/env bash
# Installs a package of sumi in a bare root file system of this machine's own Debian or Ubuntu release, and draws there
# with the program and, built there with a C compiler, with the example.
#
#   tests/install/bare_system.sh build/package/sumi_0.1.0_amd64.deb      (as root)
set -euo pipefail
deb=$(readlink -f "$1")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
chmod 755 "$work" # apt reads as another user
root=$work/root
log=$work/log
say() { echo "== $*"; }

finish() {
  local status=$?
  umount "$root/proc" 2>/dev/null || true
  rm -rf --one-file-system "$work"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

in_root() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"; }
# Runs a command that has nothing to say unless it fails.
quietly() { "$@" >"$log" 2>&1 || { cat "$log"; exit 1; }; }
apt_get() { quietly in_root apt-get -y -qq -o Dpkg::Use-Pty=0 --no-install-recommends "$@"; }

# shellcheck source=/dev/null
. /etc/os-release
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $VERSION_CODENAME" | head -n 1)
components=main
[ "$ID" = debian ] || components=main,universe
say "a bare $PRETTY_NAME, from $mirror"
quietly debootstrap --variant=minbase --components="$components" "$VERSION_CODENAME" "$root" "$mirror"
mount -t proc proc "$root/proc" 2>/dev/null || say "/proc cannot be mounted; going on without it"
cp /etc/resolv.conf "$root/etc/resolv.conf"

say "apt-get install $(basename "$deb")"
apt_get update
apt_get clean
before=$(du -smx "$root" | cut -f1)
cp "$deb" "$root/tmp/"
apt_get install "/tmp/$(basename "$deb")"
rm "$root/tmp/$(basename "$deb")"
apt_get clean
echo "$(in_root dpkg-query -W -f '${Package} ${Version} ${Status}' sumi), $(($(du -smx "$root" | cut -f1) - before)) MB with what it needs"

say 'sumi "a red apple"'
in_root /usr/bin/sumi "a red apple" --seed 42 -o /tmp/program.png
in_root ldconfig -p | grep libsumi

say "examples/draw.c, with a C compiler and pkg-config"
apt_get install gcc libc6-dev pkg-config
in_root sh -ec '
  cc /usr/share/doc/sumi/examples/draw.c -o /tmp/draw $(pkg-config --cflags --libs sumi)
  /tmp/draw /usr/share/sumi/models/emoji.safetensors "a red apple" /tmp/example.png'
python3 "$here/pictures.py" "$root/tmp/program.png" "$root/tmp/example.png"

if [ -d "$root/usr/lib/python3/dist-packages/sumi" ]; then
  say "python3: a picture by the package"
  apt_get install python3
  in_root python3 -c '
import sumi
pipe = sumi.StableDiffusionPipeline.from_pretrained("/usr/share/sumi/models/emoji.safetensors")
pipe.set_progress_bar_config(disable=True)
pipe("a red apple", generator=sumi.Generator("cpu").manual_seed(42)).images[0].save("/tmp/python.png")
print(sumi.version())'
  [ -s "$root/tmp/python.png" ]
fi

say "removal"
apt_get remove sumi
[ -z "$(find "$root/usr" -iname '*sumi*' -print -quit)" ] || { find "$root/usr" -iname '*sumi*'; exit 1; }
say "the package installs, draws and goes"
