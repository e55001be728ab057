#!/usr/bin/env bash
# Usage: setup.sh [--mcp | --dev]
#
# Makes everything ready that a swarm needs: tmux, and a Python environment with swarmcomm in .venv.
# With --mcp also the MCP server (swarmcomm mcp), with --dev that and what scripts/test.sh needs.
# Says what it does before it does it; does nothing when it is all there.
#
# System packages are installed as root, or where sudo asks for no password, and only where
# SWARM_NO_INSTALL is unset. Otherwise it says what to type and ends with 7.
set -euo pipefail
unset CDPATH

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
venv="${root}/.venv"
stamp="${venv}/swarmcomm-setup"
mine="${venv}.unfinished" # there while .venv is being made
level=""     # or "mcp", or "dev", which has all
python=""    # 3.11 or later
packages=()  # names for apt-get
formulas=()  # names for brew

say() { printf 'setup: %s\n' "$*"; }
die() {
  printf 'setup: %s\n' "$@" >&2
  exit 7
}

main() {
  case "${1:-}" in
    "") ;;
    --mcp) level=mcp ;;
    --dev) level=dev ;;
    --help | -h) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && return ;;
    *) printf 'setup: unknown option %s; there are --mcp and --dev\n' "'$1'" >&2 && exit 2 ;;
  esac
  find_missing
  if ((${#packages[@]})); then install_packages; fi
  if up_to_date; then return; fi
  make_environment
}

# Sets python, packages and formulas.
find_missing() {
  local program
  packages=() formulas=()
  tmux_is_new_enough || need tmux tmux
  need_program ps procps ""
  if [[ "${level}" == dev ]]; then
    need_program bats bats bats-core
    need_program npm npm node
    for program in shellcheck gawk git; do need_program "${program}" "${program}" "${program}"; done
    if [[ "$(uname)" == Linux ]]; then
      for program in busybox original-awk; do need_program "${program}" "${program}" ""; done
    fi
  fi
  if up_to_date; then return; fi
  if ! find_python; then
    need python3 python
    need python3-venv ""
  elif ! "${python}" -c 'import ensurepip, venv' 2>/dev/null; then
    need "$(venv_package)" python
  fi
}

need() {
  packages+=("$1")
  if [[ -n "$2" ]]; then formulas+=("$2"); fi
}

need_program() { type -P "$1" >/dev/null || need "$2" "$3"; }

tmux_is_new_enough() {
  local program=${SWARM_TMUX:-tmux}
  type -P "${program}" >/dev/null || return
  case "$("${program}" -V)" in
    "tmux "[0-2].* | "tmux "3.[01]*) return 1 ;;
  esac
}

# Sets python to one that is 3.11 or later.
find_python() {
  local name
  for name in python3 python3.14 python3.13 python3.12 python3.11; do
    python=$(type -P "${name}") || continue
    # A version manager's stand-in may be there for a version that is not.
    if "${python}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then return; fi
  done
  return 1
}

# Debian and Ubuntu keep a part of Python's own library in a package for each version.
venv_package() {
  local version
  version=$("${python}" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
  if [[ "$(type -P python3)" == "${python}" ]]; then version=python3; fi
  say "${version}-venv" | sed 's/^setup: //'
}

install_packages() {
  local sudo=()
  if ! type -P apt-get >/dev/null || [[ -n "${SWARM_NO_INSTALL:-}" ]]; then
    say_what_to_type
  elif [[ "$(id -u)" != 0 ]]; then
    sudo -n true 2>/dev/null || say_what_to_type
    sudo=(sudo -n)
  fi
  say "installing the system packages ${packages[*]} with apt-get"
  sudo+=(env DEBIAN_FRONTEND=noninteractive apt-get -qq)
  "${sudo[@]}" update </dev/null >/dev/null || say "the list of packages could not be renewed; going on"
  "${sudo[@]}" install --yes --no-install-recommends "${packages[@]}" </dev/null >/dev/null ||
    say_what_to_type
  hash -r
  find_missing
  if ((${#packages[@]})); then
    die "still missing: ${packages[*]}; tmux 3.2 or later and Python 3.11 or later are needed"
  fi
}

say_what_to_type() {
  die "missing: ${packages[*]}. Install this and run the same command again:" \
    "  Debian, Ubuntu: sudo apt-get update && sudo apt-get install ${packages[*]}" \
    "  macOS:          brew install ${formulas[*]:-python}"
}

# What the environment was made from; another place or another pyproject.toml needs a new one.
fingerprint() { printf '%s %s\n' "$(cksum <"${root}/pyproject.toml")" "${root}"; }

up_to_date() {
  local made
  [[ -x "${venv}/bin/python" && -f "${stamp}" ]] || return
  made=$(<"${stamp}")
  case "${made}" in
    "$(fingerprint) dev" | "$(fingerprint) ${level}") ;;
    "$(fingerprint) mcp") [[ -z "${level}" ]] ;;
    *) return 1 ;;
  esac
}

make_environment() {
  local extra made=""
  if [[ -f "${stamp}" ]]; then
    made=$(<"${stamp}")
    : >"${mine}"
  fi
  if [[ "${made}" == *" ${root} "* && -x "${venv}/bin/python" ]]; then
    # It stays as large as it is.
    if [[ "${made}" == *" dev" ]]; then level=dev; fi
    level=${level:-${made##* }}
  else
    # What others made is not ours to clear, nor what a link points to.
    if [[ -L "${venv}" || (-e "${venv}" && ! -f "${mine}") ]]; then
      die "${venv} is there and was not made by this script; move it away and run the same command again"
    fi
    : >"${mine}"
    say "making .venv with $("${python}" -V) (${python})"
    "${python}" -m venv --clear "${venv}" </dev/null || die "${python} -m venv failed"
  fi
  rm -f "${stamp}"
  extra=${level:+[${level}]}
  say "installing swarmcomm${extra} in it with pip"
  "${venv}/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
    --editable "${root}${extra}" </dev/null || die "pip could not install swarmcomm${extra}"
  printf '%s %s\n' "$(fingerprint)" "${level}" >"${stamp}"
  rm -f "${mine}"
  say "ready"
}

main "$@"
