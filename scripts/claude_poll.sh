#!/usr/bin/env bash
# Usage: claude_poll.sh [--session S] [--socket L] [--interval 5] [--once] [--all] [--repeat]
#                       [--task-id ID] [WINDOW...]
#
# Watches windows (default: all of the swarm but master) and prints each DONE and ERROR once, those
# that are already there first:
#   [12:34:56] worker-0: [DONE] task-001
#
#   --interval N   seconds between two looks
#   --once         one look, then ends
#   --all          ACK, WAIT and HELP too
#   --repeat       prints the newest of each window at every look
#   --task-id ID   answers of this task only
#
#   claude_poll.sh
#   claude_poll.sh --interval 1 --task-id task-001 worker-0
#
# Ctrl-C ends it. It reads with tmux capture-pane; what it says besides goes to standard error.
# Environment: SWARM_SESSION, SWARM_SOCKET, SWARM_TMUX, SWARM_INTERVAL (seconds), SWARM_WINDOWS.
# Status: 0 ended by Ctrl-C or --once, 2 usage, 3 no such session or (--once) window, 7 tmux is missing.

me=claude_poll.sh here="${BASH_SOURCE[0]}"
while [[ -L "${here}" ]]; do
  link="$(readlink "${here}")"
  if [[ "${link}" == /* || "${here}" != */* ]]; then here="${link}"; else here="${here%/*}/${link}"; fi
done
[[ "${here}" == */* ]] || here="./${here}"
[[ -r "${here%/*}/swarm_common.sh" ]] || { echo "${me}: swarm_common.sh must stand beside it" >&2 && exit 7; }
# shellcheck source-path=SCRIPTDIR source=swarm_common.sh
. "${here%/*}/swarm_common.sh"

interval="${SWARM_INTERVAL:-5}" once='' markers='DONE ERROR' repeat='' ask=''

# show: prints what is new of `window`; with --repeat the newest is kept for each round.
show() {
  local kind marker id text
  while IFS=$'\t' read -r kind marker id _ text; do
    [[ "${kind}" != +near || -n "${repeat}" ]] ||
      printf '%s: near miss (%s): %s\n' "${window}" "${marker}" "${id}" >&2
    [[ "${kind}" == +answer && " ${markers} " == *" ${marker} "* ]] || continue
    newest[i]="${window}: [${marker}] ${id}${text:+ ${text}}"
    [[ -n "${repeat}" ]] || stamped "${newest[i]}"
  done < <(printf '%s' "$1" 2>/dev/null)
}

# stamped LINE: prints it with the time of this round.
stamped() {
  [[ -n "${stamp}" ]] || stamp="$(date +%H:%M:%S)"
  say '[%s] %s\n' "${stamp}" "$1"
}

# look_at WINDOW...: reads those that may have changed since the round before, and says of each what
# is new, or that it is not there. Reading costs as much as the window has lines, so it takes a second
# tmux process, and only where something was printed.
look_at() {
  local windows=("$@") asked=() problems=() i at
  status=0 restless='' ids=() heads=()
  for i in "${!windows[@]}"; do
    find_window "$1" && {
      [[ "${dead}" == 1 ]] || problem=''
      [[ -n "${sign}" ]] || restless=1
      [[ -n "${sign}" && "${sign}" == "${looked[i]-}" ]] || {
        asked+=("${i}") ids+=("${pane}") looked[i]="${sign}"
        heads+=("${known[i]-}"$'\001'"${width} ${dead}"$'\n')
      }
    }
    problems[i]="${problem}"
    shift
  done
  read_panes - read -v known=1 -v ask="${ask}"
  for at in ${asked[@]+"${!asked[@]}"}; do
    i="${asked[at]}" window="${windows[asked[at]]}"
    if [[ -z "${said[at]+x}" ]]; then
      problems[i]="window ${window} went away" looked[i]='' restless=1
    else
      [[ -n "${repeat}" ]] || known[i]="${said[at]}"
      newest[i]=''
      [[ -z "${fresh[at]}" ]] || show "${fresh[at]}"
    fi
  done
  for i in "${!problems[@]}"; do
    [[ -z "${problems[i]}" ]] || status=3
    [[ "${problems[i]}" == "${missing[i]-}" || -z "${problems[i]}" ]] || printf '%s: %s\n' "${me}" "${problems[i]}" >&2
    missing[i]="${problems[i]}"
  done
}

# watch WINDOW...: looks at each, for ever. A window that is not there is said once.
watch() {
  local known=() newest=() looked=() missing=() panes_before='' restless='' status=0 stamp line
  while :; do
    stamp=''
    [[ -z "${restless}" && "${panes}" == "${panes_before}" ]] || look_at "$@"
    panes_before="${panes}"
    [[ -z "${repeat}" ]] || for line in ${newest[@]+"${newest[@]}"}; do
      [[ -z "${line}" ]] || stamped "${line}"
    done
    [[ -z "${once}" ]] || exit "${status}"
    nap "${ms}"
    list_panes
  done
}

main() {
  local words=() name
  on_signals 0
  while (($#)); do
    no_value "$1"
    [[ "$1" != --*=* ]] || set -- "${1%%=*}" "${1#*=}" "${@:2}"
    used=2
    case "$1" in
      --interval) need_value "$@" && interval="$2" ;;
      --task-id) need_value "$@" && ask="$2" ;;
      --once) once=1 used=1 ;;
      --all) markers='ACK DONE ERROR WAIT HELP' used=1 ;;
      --repeat) repeat=1 used=1 ;;
      -*) common_option "$@" ;;
      '') die 2 'a window has no name' ;;
      *) words+=("$1") used=1 ;;
    esac
    shift "${used}"
  done
  milliseconds 'the interval' "${interval}"
  ((ms)) || die 2 'the interval is 0; give seconds above 0, as 0.5'
  [[ -z "${ask}" ]] || check_id "${ask}" tagged
  ((${#words[@]})) || for name in ${SWARM_WINDOWS:-master worker-0 worker-1 worker-2}; do
    [[ "${name}" == master ]] || words+=("${name}")
  done
  ((${#words[@]})) || die 2 'SWARM_WINDOWS names no window but master; name one to watch'
  connect
  list_panes
  printf 'watching %s in session %s every %s s; Ctrl-C ends\n' "${words[*]}" "${session}" "${interval}" >&2
  watch "${words[@]}"
}
main "$@"
