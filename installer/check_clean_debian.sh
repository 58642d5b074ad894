#!/usr/bin/env bash
# Proves the README's two commands on a Debian 12 that has nothing but python3, python3-venv, git and ca-certificates:
# builds such a system in a temporary folder, clones this checkout into it, runs both, and says how long each took.
# Run by hand, as root, on a Debian-like machine with debootstrap. It reaches packages as this machine does: the host's
# apt sources, certificates and pip configuration are carried over, and no address stands here.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo installer/check_clean_debian.sh [--without-venv] [--demo-only] [--keep]
  --without-venv  leave python3-venv out: the set-up must fetch it by itself
  --demo-only     do not run the test command
  --keep          leave the system's folder in place and say where it is
TEXT
}

packages=python3,python3-venv,git,ca-certificates
tests=yes keep=no
for argument in "$@"; do
  case "$argument" in
    --without-venv) packages=python3,git,ca-certificates ;;
    --demo-only) tests=no ;;
    --keep) keep=yes ;;
    *) usage >&2; exit 2 ;;
  esac
done

[ "$(id -u)" = 0 ] || { echo "check_clean_debian: needs root, for it makes a system of its own" >&2; exit 2; }
command -v debootstrap >/dev/null || { echo "check_clean_debian: apt-get install debootstrap first" >&2; exit 2; }

# In a mount namespace of its own nothing stays mounted, even when this script is killed.
if [ -z "${CHECK_CLEAN_DEBIAN_INSIDE:-}" ]; then
  CHECK_CLEAN_DEBIAN_INSIDE=yes exec unshare --mount --propagation private -- "$BASH" "$0" "$@"
fi

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=$(mktemp -d "${TMPDIR:-/tmp}/medulla-clean-debian-XXXXXX")
system=$folder/system
mounted=()

clean_up() {
  local i
  for ((i = ${#mounted[@]} - 1; i >= 0; i--)); do umount "${mounted[i]}" || umount --lazy "${mounted[i]}" || true; done
  if [ "$keep" = yes ]; then echo "kept: $system"; else rm -rf --one-file-system "$folder"; fi
}
trap clean_up EXIT
trap 'exit 130' INT TERM

bind() { # SOURCE OPTIONS...: the same path inside
  local source=$1; shift
  mkdir -p "$system$source"
  mount --bind "$@" "$source" "$system$source"
  mounted+=("$system$source")
}

carry() { # FILE...: the same path inside, contents and not links
  local file
  for file in "$@"; do
    if [ -e "$file" ]; then mkdir -p "$system$(dirname "$file")"; cp -rL "$file" "$system$(dirname "$file")/"; fi
  done
}

seconds() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(seconds)" 'BEGIN { printf "%.1f", b - a }'; }

summary=()
failed=0
report() { summary+=("$1"); echo "== $1"; }

# ------------------------------------------------------------------ the bare system
began=$(seconds)
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' 2>/dev/null | head -n 1)
if ! debootstrap --variant=minbase --include="$packages" bookworm "$system" ${mirror:+"$mirror"} >"$folder/debootstrap.log" 2>&1; then
  tail -n 20 "$folder/debootstrap.log" >&2
  echo "check_clean_debian: debootstrap failed" >&2
  exit 1
fi
report "bare Debian 12 made in $(since "$began") s"

rm -rf "$system/etc/apt/sources.list" "$system/etc/apt/sources.list.d"
carry /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/apt.conf.d /usr/share/keyrings
carry /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt

# ------------------------------------------------------------------ pip, as this machine has it
pip_files=(/etc/pip.conf /etc/xdg/pip/pip.conf "$HOME/.config/pip/pip.conf" "$HOME/.pip/pip.conf")
[ -z "${PIP_CONFIG_FILE:-}" ] || pip_files+=("$PIP_CONFIG_FILE")
carry "${pip_files[@]}"
carried=("HOME=$HOME" "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" "LANG=C.UTF-8")
while IFS= read -r -d '' setting; do
  case "${setting%%=*}" in
    PIP_* | http_proxy | https_proxy | no_proxy | HTTP_PROXY | HTTPS_PROXY | NO_PROXY | SSL_CERT_FILE | REQUESTS_CA_BUNDLE)
      carried+=("$setting") ;;
  esac
done < <(env -0)
mkdir -p "$system$HOME"

# Folders that the configuration names: a folder of wheels as it is; a local index with its parent, where its files lie.
{ cat "${pip_files[@]}" 2>/dev/null || true; env | grep '^PIP_' || true; } |
  grep -oE '(file://)?/[^[:space:]"=,]+' | sort -u >"$folder/named" || true
while IFS= read -r named; do
  case "$named" in
    //*) continue ;;  # the rest of an address
    file://*) path=$(dirname "${named#file://}") ;;
    *) path=$named ;;
  esac
  if [ -d "$path" ] && [ "$path" != / ]; then bind "$path" -o ro; elif [ -f "$path" ]; then carry "$path"; fi
done <"$folder/named"

mount -t proc proc "$system/proc"; mounted+=("$system/proc")
bind /dev
[ ! -d /dev/shm ] || bind /dev/shm

# ------------------------------------------------------------------ the newcomer
git clone --quiet "$checkout" "$system/opt/medulla"
inside() { chroot "$system" env -i "${carried[@]}" sh -c "cd /opt/medulla && $1" </dev/null; }

try() { # NAME COMMAND
  local name=$1 command=$2 at code=0
  at=$(seconds)
  inside "timeout 1200 $command" 2>&1 | tee "$folder/$name.log" || code=${PIPESTATUS[0]}
  took=$(since "$at")
  if [ "$code" = 0 ]; then
    report "$name: done in $took s; last line: $(tail -n 1 "$folder/$name.log" | cut -c1-120)"
  else
    failed=1
    report "$name: FAILED with exit code $code after $took s; last line: $(tail -n 1 "$folder/$name.log" | cut -c1-160)"
  fi
}

try demo "python3 installer/start.py demo"
if [ "$tests" = yes ]; then try test "python3 installer/start.py test"; fi
try demo-again "python3 installer/start.py demo"
# What the set-up itself adds to a later start: everything that demo does before it hands over.
try set-up-again "python3 installer/start.py setup run"
if awk -v t="$took" 'BEGIN { exit !(t < 3.0) }'; then
  report "a later start costs $took s before the program begins (limit 3 s)"
else
  failed=1
  report "FAILED: a later start costs $took s before the program begins (limit 3 s)"
fi
changed=$(inside "git -c safe.directory='*' status --porcelain")
if [ -n "$changed" ]; then failed=1; report "FAILED: the commands left files in the checkout: $changed"; fi

echo
echo "Summary"
printf '  %s\n' "${summary[@]}"
exit "$failed"
