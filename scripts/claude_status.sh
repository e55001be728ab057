#!/usr/bin/env bash
# Usage: claude_status.sh [--session S] [--socket L]
#
# Shows the last ten lines of each window of the swarm.
#
#   claude_status.sh
#   claude_status.sh --session swarm-claude-default
#
# Environment: SWARM_SESSION, SWARM_SOCKET, SWARM_TMUX, SWARM_WINDOWS (names, separated by blanks).
# Status: 0 done, 2 usage, 3 no such session, or a window is missing or dead, 7 tmux is missing.

me=claude_status.sh here="${BASH_SOURCE[0]}"
while [[ -L "${here}" ]]; do
  link="$(readlink "${here}")"
  if [[ "${link}" == /* || "${here}" != */* ]]; then here="${link}"; else here="${here%/*}/${link}"; fi
done
[[ "${here}" == */* ]] || here="./${here}"
[[ -r "${here%/*}/swarm_common.sh" ]] || { echo "${me}: swarm_common.sh must stand beside it" >&2 && exit 7; }
# shellcheck source-path=SCRIPTDIR source=swarm_common.sh
. "${here%/*}/swarm_common.sh"

main() {
  local window at names=() problems=() texts=() missing='' windows="${SWARM_WINDOWS:-master worker-0 worker-1 worker-2}"
  on_signals 130
  while (($#)); do
    no_value "$1"
    [[ "$1" != --*=* ]] || set -- "${1%%=*}" "${1#*=}" "${@:2}"
    [[ "$1" == -* ]] || die 2 "'$1' is too much: all windows are shown (one: claude_comm.sh status $1)"
    common_option "$@"
    shift "${used}"
  done
  connect
  [[ "${windows}" == *[!$' \t\n']* ]] || die 2 'SWARM_WINDOWS is blank; name the windows, or unset it'
  list_panes
  ids=() heads=()
  for window in ${windows}; do
    at="${#names[@]}" problem=''
    if find_window "${window}"; then
      [[ "${dead}" == 1 ]] || problem=''
      ids+=("${pane}") heads+=($'\001'"${width} ${dead}"$'\n') texts[at]=$((${#ids[@]} - 1))
    fi
    names+=("${window}") problems+=("${problem}")
  done
  read_panes -200 last -v count=10
  say '=== Claude Swarm Status ===\n'
  for at in "${!names[@]}"; do
    say '\n--- %s ---\n' "${names[at]}"
    if [[ -n "${texts[at]-}" ]]; then
      if [[ -n "${said[texts[at]]+x}" ]]; then
        say '%s' "${said[texts[at]]}"
      else
        problems[at]="window ${names[at]} went away"
      fi
    fi
    [[ -n "${problems[at]}" ]] || continue
    say '(%s)\n' "${problems[at]}"
    missing+=" ${names[at]}"
  done
  [[ -z "${missing}" ]] || die 3 "missing or dead in session ${session}:${missing}"
}
main "$@"
