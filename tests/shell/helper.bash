# shellcheck shell=bash disable=SC2154  # bats sets status and the others
# A room of its own for each test: home, folder, tmux server. Nothing of the user's is touched.

bats_require_minimum_version 1.5.0
repo="$(cd "${BATS_TEST_DIRNAME}/../.." && pwd -P)"
scripts="${repo}/scripts"

room() {
  local name
  for name in "${!SWARM_@}" CLAUDE_SESSION TMUX TMUX_PANE LC_ALL LC_CTYPE LANG BASH_ENV ENV; do
    unset "${name}"
  done
  export HOME="${BATS_TEST_TMPDIR}/home" SWARM_SESSION=room
  export SWARM_SOCKET="swarmtest-$$-${BATS_TEST_NUMBER}-${RANDOM}"
  mkdir -p "${HOME}"
  cd "${BATS_TEST_TMPDIR}" || return
  PATH="${scripts}:${PATH}"
}

# server WINDOW=COMMAND...: a session with these windows.
server() {
  local window first=1
  for window in "$@"; do
    if [[ -n "${first}" ]]; then
      tm new-session -d -s "${SWARM_SESSION}" -x 120 -y 40 -n "${window%%=*}" "${window#*=}" 3>&-
      tm set -g remain-on-exit on
      tm set -g allow-rename off
      tm set -g automatic-rename off
    else
      tm new-window -d -t "=${SWARM_SESSION}:" -n "${window%%=*}" "${window#*=}" 3>&-
    fi
    first=''
  done
}

tm() { tmux -u -L "${SWARM_SOCKET}" -f /dev/null "$@"; }

# pane WINDOW: its id.
pane() { tm list-panes -s -t "=${SWARM_SESSION}:" -F '#{window_name} #{pane_id}' | awk -v w="$1" '$1 == w { print $2; exit }'; }

# screen WINDOW: its text, history and all.
screen() { tm capture-pane -p -J -S - -t "$(pane "$1")"; }

# answer WINDOW TEXT: a person types a line.
answer() {
  tm send-keys -t "$(pane "$1")" -l -- "$2"
  tm send-keys -t "$(pane "$1")" Enter
  shows "$1" "$2"
}

shows() { eventually screen_has "$1" "$2"; }
screen_has() { [[ "$(screen "$1")" == *"$2"* ]]; }

# eventually COMMAND...: within 10 seconds.
eventually() {
  local end=$((SECONDS + 10))
  until "$@"; do
    ((SECONDS < end)) || { echo "never: $*" && return 1; }
    sleep 0.05
  done
}

# agent [MODE]: the command of a window with agent.py, which notes what is submitted.
agent() { printf "exec python3 %s/agent.py %s/got %s" "${BATS_TEST_DIRNAME}" "${BATS_TEST_TMPDIR}" "${1-}"; }

# with_agent WINDOW [MODE]: marks it as one of ours, once it is ready.
with_agent() {
  eventually ready "$1"
  tm set -p -t "$(pane "$1")" @swarm_agent fake
  tm set -p -t "$(pane "$1")" @swarm_ready '^fake> *$'
}
ready() { [[ "$(screen "$1")" == *'fake>'* ]]; }

# box [MODE]: the command of a window with box.py.
box() { printf "exec python3 %s/box.py %s %s" "${BATS_TEST_DIRNAME}" "${BATS_TEST_TMPDIR}" "${1-}"; }

# with_box WINDOW: marks it as the launcher does, once it shows its box or dialog.
with_box() {
  local option
  eventually screen_has "$1" '> '
  for option in agent=fake 'ready=^> *$' column=2 'busy=esc to i' 'dialog=^ +> ' 'refuse=^ *[/!]' piece=60 paste=on; do
    tm set -p -t "$(pane "$1")" "@swarm_${option%%=*}" "${option#*=}"
  done
}

dead() { [[ "$(tm display-message -p -t "$(pane "$1")" '#{pane_dead}')" == 1 ]]; }

# got: the texts that the agent was given, in order; each ends in a line with a single dot.
got() { cat "${BATS_TEST_TMPDIR}/got" 2>/dev/null; }
got_lines() { [[ "$(got)" == *"$1"* ]]; }

# one_line_error STATUS WORDS: how a command that was refused must have ended.
one_line_error() {
  [[ "${status}" == "$1" ]] || { echo "status ${status}, not $1; stderr: ${stderr-}" && return 1; }
  [[ "${#stderr_lines[@]}" == 1 && -z "${output}" ]] || { echo "stdout: ${output}; stderr: ${stderr-}" && return 1; }
  [[ "${stderr}" == claude_*.sh:\ *"$2"* ]] || { echo "stderr: ${stderr}" && return 1; }
}

finish() {
  tm kill-server 2>/dev/null || :
}
