#!/usr/bin/env bash
# Usage: soak.sh [PART...]
#        soak.sh watching [SECONDS=3600]
#
# Sends many tasks through real agents on a tmux server of its own and prints what became of them.
# It ends with 0 where all is as it has to be. The agents are fetched at their pinned versions on the
# first run (npm); their model is a stand-in on 127.0.0.1. About 10 minutes. Set up with setup.sh --dev.
#
# PART (default: all of them but watching):
#   classic     150 tasks of 100 B to 20 KB through three windows of claude
#   fullscreen  30 of them in its full-screen renderer
#   dialogs     10 sends into an open permission dialog, and 10 that wait for it to be closed
#   senders     20 rounds of bash and Python sending at once
#   silence     an answer that falls silent for 40 s in its middle
#   codex       20 tasks through another agent, of which nothing is known but its profile
#   watching    32 windows with random answers, watched for an hour, or for SECONDS, by one watcher
#               and by others that are killed; needs no agent
set -uo pipefail

usage() { awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$0"; }

main() {
  local part root python=python3 seconds=""
  if [[ "${1:-}" == watching ]]; then
    seconds=${2:-3600}
    [[ $# -le 2 && "${seconds}" =~ ^[1-9][0-9]*$ ]] || {
      printf 'soak.sh: watching [SECONDS] (--help)\n' >&2
      return 2
    }
    set --
  fi
  for part; do
    case "${part}" in
      -h | --help) usage && return 0 ;;
      classic | fullscreen | dialogs | senders | silence | codex) ;;
      *) printf 'soak.sh: no part %s (--help)\n' "${part}" >&2 && return 2 ;;
    esac
  done
  root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P) && cd "${root}" || return
  unset TMUX TMUX_PANE "${!SWARM_@}"
  [[ ! -x .venv/bin/python ]] || python=.venv/bin/python
  [[ -z "${seconds}" ]] || exec "${python}" -m tests.soak.watching "${seconds}"
  exec "${python}" -m tests.agents.soak "$@"
}

main "$@"
