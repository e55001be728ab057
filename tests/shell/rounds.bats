#!/usr/bin/env bats
# shellcheck disable=SC1003,SC2009,SC2016,SC2154  # texts are data; bats and helper.bash set the variables
# What a round costs: processes of tmux are counted. What it says does not depend on what is printed.

load helper
setup() {
  room
  printf '#!/bin/sh\necho "$*" >>%q/calls\n%s\nexec %q "$@"\n' "${PWD}" "[ ! -e ${PWD}/before ] || . ${PWD}/before" "$(type -P tmux)" >counting
  chmod +x counting
  : >calls
}
teardown() { finish; }

# swarm NUMBER COMMAND: windows w1, w2 and so on, each with this command.
swarm() {
  local i windows=()
  for ((i = 1; i <= $1; i++)); do windows+=("w${i}=${2//@/${i}}"); done
  server "${windows[@]}"
  names="${windows[*]%%=*}"
}

# watching: the watch of all of them in the background, its calls of tmux counted.
watching() {
  # shellcheck disable=SC2086  # words
  SWARM_TMUX="${PWD}/counting" claude_poll.sh --interval 0.1 ${names} >out 2>err 3>&- &
  watch="$!"
}

calls() { grep -c "$1" calls || :; }
more_rounds_than() { (($(calls list-panes) > $1)); }
lines_out() { (($(wc -l <out) >= $1)); }

# quiet: no pane was read in the last ten rounds.
quiet() { tail -n 10 calls | awk '/capture-pane/ { exit 1 } END { if (NR < 10) exit 1 }'; }

# rounds_only: the version; then one process a round, or a second one that reads.
rounds_only() {
  run -0 awk 'NR > 1 && !/list-panes/ && (!/capture-pane/ || last !~ /list-panes/) { print NR, $0 } { last = $0 }' calls
  [[ -z "${output}" ]]
}

costs() {
  swarm "$1" 'echo "[DONE] t@"; cat'
  shows "w$1" "t$1"
  watching
  eventually quiet
  lines_out "$1"
  # All of them are read in one process.
  local i rounds reads
  reads="$(calls capture-pane)"
  for ((i = 1; i <= $1; i++)); do tm send-keys -t "$(pane "w${i}")" "[DONE] u${i}" Enter; done
  eventually lines_out "$(($1 * 2))"
  eventually quiet
  rounds="$(calls list-panes)"
  (($(calls capture-pane) > reads && $(calls capture-pane) < rounds))
  eventually more_rounds_than $((rounds + 10))
  kill "${watch}"
  rounds_only
}

@test "a round of 4 windows is one process of tmux, two where something was printed" { costs 4; }
@test "a round of 12 windows is one process of tmux, two where something was printed" { costs 12; }

@test "one look at 12 windows: the version, the list, the texts" {
  swarm 12 'echo "[DONE] t@"; cat'
  shows w12 t12
  SWARM_TMUX="${PWD}/counting" SWARM_WINDOWS="${names}" run -0 claude_poll.sh --once
  (($(wc -l <calls) == 3))
  : >calls
  SWARM_TMUX="${PWD}/counting" SWARM_WINDOWS="${names}" run -0 claude_status.sh
  (($(wc -l <calls) == 3))
  [[ "${output}" == *$'--- w7 ---\n[DONE] t7\n\n--- w8 ---\n[DONE] t8\n'* ]]
}

@test "a poll looks with one process, and reads with a second one what was printed" {
  swarm 1 'echo "[ACK] t1"; cat'
  shows w1 ACK
  SWARM_TMUX="${PWD}/counting" run -0 claude_comm.sh poll w1 5 --until ACK
  (($(wc -l <calls) == 3))
  : >calls
  SWARM_INTERVAL=0.1 SWARM_TMUX="${PWD}/counting" claude_comm.sh poll w1 30 t1 --until DONE >out 3>&- &
  eventually quiet
  answer w1 '[DONE] t1'
  wait "$!"
  rounds_only
  [[ "$(cat out)" == $'[ACK] t1\n[DONE] t1' ]]
}

@test "what is painted while the cursor stays is seen after any rest" {
  swarm 2 'echo ready; until [ -e go@ ]; do sleep 0.1; done; printf "\0337\033[5;1H[DONE] t@\0338"; cat'
  shows w2 ready
  watching
  eventually quiet
  : >go2
  eventually grep -q 'w2: \[DONE\] t2' out
  eventually quiet
  : >go1
  eventually grep -q 'w1: \[DONE\] t1' out
  kill "${watch}"
}

@test "what is painted in the second of another output is seen" {
  printf '%s\n' 'now=$(date +%s); until [ "$(date +%s)" != "$now" ]; do :; done' \
    'for i in 1 2 3; do printf "\0337\033[${i};1H[DONE] t$i\0338"; sleep 0.25; done; exec cat' >paint
  swarm 1 'echo; echo; echo; echo ready; until [ -e go ]; do sleep 0.1; done; . ./paint'
  shows w1 ready
  watching
  eventually quiet
  : >go
  eventually grep -q 'w1: \[DONE\] t3' out
  kill "${watch}"
}

@test "no text is taken for the end of a pane's text" {
  printf '%s\n' '\.' '\\.' '\\\.' $'\001200 0' '0 0' '12 12' '+answer	DONE	t9	-	' '.' '[DONE] t1 \. a\b\\c' '\.' '\' '\\' '[ACK] t2 \' >text
  server w1='cat text; cat' w2='cat text; cat' w3='echo "[DONE] t3"; cat'
  shows w2 t2
  shows w3 t3
  run --separate-stderr -0 claude_poll.sh --once --all w1 w2 w3
  [[ "${output//\[[0-9][0-9]:[0-9][0-9]:[0-9][0-9]\] /}" == 'w1: [DONE] t1 \. a\b\\c
w1: [ACK] t2 \
w2: [DONE] t1 \. a\b\\c
w2: [ACK] t2 \
w3: [DONE] t3' ]]
  SWARM_WINDOWS='w1 w2' run -0 claude_status.sh
  [[ "${output}" == "=== Claude Swarm Status ==="$'\n\n--- w1 ---\n'"$(tail -n 10 text | expand | tr -d '\001' | sed 's, *$,,')"$'\n\n--- w2 ---\n'* ]]
}

@test "a window that dies between the list and its text loses no other one's round" {
  swarm 5 'echo "[DONE] t@"; cat'
  shows w5 t5
  printf 'case "$*" in *capture-pane*) %s -L %s kill-pane -t %s; rm -f %s ;; esac\n' \
    "$(type -P tmux)" "${SWARM_SOCKET}" "$(pane w2)" "${PWD}/before" >before
  SWARM_TMUX="${PWD}/counting" run --separate-stderr -3 claude_poll.sh --once w1 w2 w3 w4 w5
  [[ "${#lines[@]}" == 4 && "${output}" == *' t1'*' t3'*' t4'*' t5' ]]
  [[ "${stderr}" == *'window w2 went away'* ]]
  printf 'case "$*" in *capture-pane*) %s -L %s kill-pane -t %s; rm -f %s ;; esac\n' \
    "$(type -P tmux)" "${SWARM_SOCKET}" "$(pane w5)" "${PWD}/before" >before
  SWARM_WINDOWS='w1 w3 w5' SWARM_TMUX="${PWD}/counting" run --separate-stderr -3 claude_status.sh
  [[ "${output}" == *$'--- w3 ---\n[DONE] t3\n\n--- w5 ---\n(window w5 went away)' ]]
}

@test "200 windows are more than one process takes, and all are read" {
  swarm 1 'echo "[DONE] t1"; exec cat'
  local i more=()
  for ((i = 2; i <= 200; i++)); do more+=(';' new-window -d -t "=room:" -n "w${i}" "echo '[DONE] t${i}'; exec cat") && names+=" w${i}"; done
  for ((i = 0; i < ${#more[@]}; i += 8 * 50)); do tm "${more[@]:i + 1:8 * 50 - 1}" 3>&-; done
  shows w200 t200
  # shellcheck disable=SC2086  # words
  SWARM_TMUX="${PWD}/counting" run --separate-stderr -0 claude_poll.sh --once ${names}
  [[ "${#lines[@]}" == 200 ]]
  (($(wc -l <calls) == 4))
}
