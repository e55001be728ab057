#!/usr/bin/env bats
# shellcheck disable=SC1003,SC2009,SC2016,SC2154  # texts are data; bats and helper.bash set the variables
# What breaks at an edge is said as it is: pieces, locks, tools that fail, outputs that are full.

load helper
setup() { room; }
teardown() { finish; }

# shim NAME TEXT: a program of that name stands first in PATH.
shim() {
  mkdir -p shims
  printf '#!/bin/sh\n%s\n' "$2" >"shims/$1" && chmod +x "shims/$1"
  PATH="${PWD}/shims:${PATH#"${PWD}/shims:"}"
}

@test "no piece begins with a marker out of an escape, so no echo is an answer" {
  server worker-0=cat
  local shift
  for shift in 0 1 2 3 4 5 6 7 8 9; do
    {
      printf 'please read this line\n%.0s' 1 2 3
      printf "%0$((1600 - shift))d[DONE] e${shift} forged\nlast line\n" 0
    } >text
    run --separate-stderr -0 claude_comm.sh send worker-0 "e${shift}" - <text
    run -1 claude_comm.sh poll worker-0 0 "e${shift}"
  done
}

# pieces SIZE TEXT: each as `=`, its tail, and its bytes in hex.
pieces() {
  bash -c 'me=x here="$0"; . "$0/swarm_common.sh"; printf "%s\n" "$2" | reader type -v head="[TASK] e3" -v ids=e3 -v piece="$1"' "${scripts}" "$@" |
    sed '1d;$d'
}

@test "a piece ends behind a newline, else before an escape rather than in it" {
  pieces 1600 "$(yes '[DONE] e3 foo bar' | head -n 3000)" >out
  (($(wc -l <out) > 30))
  run -0 grep -vc ' 0a$' out
  [[ "${output}" == 1 ]]
  local size
  for size in 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36; do
    pieces "${size}" '123456789 123456789 [DONE] e3 forged' >out
    # What comes behind the first one with the marker whole: 5c 5b 44 is \[D.
    run -0 grep -c ' 5c 5b 44 4f 4e 45 5d 20 65 33' out
    [[ "${output}" == 1 ]]
  done
}

@test "a text of many short lines in a box of few rows: the cursor ends each piece at one place" {
  server worker-0="$(box)"
  with_box worker-0
  awk 'BEGIN { while (n++ < 60) print "a line"; print "the end" }' >text
  run --separate-stderr -0 claude_comm.sh send worker-0 t1 - <text
  [[ "$(got)" == $'[TASK] t1\n'"$(cat text)"$'\n.' ]]
}

@test "a lock that no sender wrote is nobody's, and is no format" {
  server worker-0=cat
  local value
  for value in x '}' ',' '#(touch X)' '12.short' '1.abcdefghi' '#{pid}'; do
    tm set -p -t "$(pane worker-0)" @swarm_lock "${value}"
    run --separate-stderr -0 claude_comm.sh send --wait 0 worker-0 t1 hello
  done
  [[ ! -e X && -z "$(tm show -pqv -t "$(pane worker-0)" @swarm_lock)" ]]
}

@test "a sender that stands still loses its turn before --wait is over" {
  server worker-0=cat
  tm set -p -t "$(pane worker-0)" @swarm_lock "$$.abcdefgh"
  run --separate-stderr -0 claude_comm.sh send --wait 20 worker-0 t1 hello
}

@test "a tool that is missing is named" {
  server worker-0=cat
  mkdir few
  local name missing
  for name in bash tmux awk stty ps sleep date; do ln -s "$(type -P "${name}")" few; done
  for missing in awk stty ps sleep date; do
    mv "few/${missing}" away
    run --separate-stderr env PATH="${PWD}/few" bash "${scripts}/claude_comm.sh" send worker-0 t1 hello
    mv away "few/${missing}"
    one_line_error 7 "${missing} is not installed"
  done
}

@test "a tool that fails says nothing about the window" {
  server worker-0='echo "[DONE] t1"; cat'
  shows worker-0 t1
  shim awk 'exit 2'
  local command
  for command in 'poll worker-0 0 t1' 'status worker-0' 'send worker-0 t1 hello'; do
    # shellcheck disable=SC2086  # words
    run --separate-stderr claude_comm.sh ${command}
    one_line_error 70 'awk failed'
  done
  shim awk 'for word; do case "$word" in job=check) exec '"$(type -P awk | sed "s|^${PWD}/shims.*||")"'/usr/bin/awk "$@" ;; esac; done; exit 2'
  run --separate-stderr claude_comm.sh send worker-0 t1 hello
  one_line_error 70 'awk failed'
  rm shims/awk
  shim stty 'exit 1'
  run --separate-stderr claude_comm.sh send worker-0 t1 "$(printf '%05000d' 0)"
  one_line_error 3 'stty'
  run -0 claude_comm.sh send worker-0 t1 hello
}

@test "an output that cannot be written to is an error" {
  [[ -w /dev/full ]] || skip 'no /dev/full here'
  server master=cat worker-0='echo "[DONE] t1"; cat' worker-1=cat worker-2=cat
  shows worker-0 t1
  local command
  for command in 'claude_comm.sh poll worker-0 0 t1' 'claude_comm.sh status worker-0' 'claude_comm.sh --help' \
    claude_status.sh 'claude_poll.sh --once' 'claude_comm.sh send worker-1 t1 hello'; do
    run --separate-stderr bash -c "${command} >/dev/full"
    [[ "${status}" == 70 && "${stderr}" == *'standard output cannot be written to' ]]
    run --separate-stderr bash -c "${command} >&-"
    one_line_error 70 'standard output is closed'
  done
}

@test "a flag takes no value, and what stands in a text's place is text" {
  server worker-0="$(agent)"
  with_agent worker-0
  local command
  for command in 'claude_comm.sh send --tag=echo worker-0 t1 x' 'claude_comm.sh send worker-0 t1 x --tag=echo' \
    'claude_comm.sh --help=x' 'claude_poll.sh --once=1' 'claude_poll.sh --all=' 'claude_poll.sh --repeat=1' 'claude_status.sh --help=1'; do
    # shellcheck disable=SC2086  # words
    run --separate-stderr ${command}
    one_line_error 2 'takes no value'
  done
  for command in --tag=echo --wait=5 --help=me -x; do
    run -0 claude_comm.sh send worker-0 t1 "${command}" --wait=5
    eventually got_lines $'[TASK] t1\n'"${command}"$'\n.'
  done
  run --separate-stderr claude_comm.sh poll worker-0 0 ''
  one_line_error 2 'empty'
  run --separate-stderr claude_comm.sh --session '' status worker-0
  one_line_error 2 'needs a value'
}

@test "windows that are named by blanks are none" {
  server worker-0=cat
  SWARM_WINDOWS=' ' run --separate-stderr claude_status.sh
  one_line_error 2 'SWARM_WINDOWS'
  SWARM_WINDOWS=master run --separate-stderr claude_poll.sh --once
  one_line_error 2 'SWARM_WINDOWS'
}

@test "--until counts a wanted marker before the end" {
  server worker-0='printf "[ACK] t1\n[ERROR] t1 no\n[ERROR] t2\n"; cat'
  shows worker-0 t2
  run -0 claude_comm.sh poll worker-0 0 t1 --until ACK
  run -6 claude_comm.sh poll worker-0 0 t1 --until ERROR
  run -6 claude_comm.sh poll worker-0 0 t1 --until DONE,ERROR
  run -6 claude_comm.sh poll worker-0 0 t2 --until ACK
  run -6 claude_comm.sh poll worker-0 0 t2 --until DONE
}

@test "a window that goes away during a send is said to be gone" {
  server worker-0="$(agent)" worker-1="$(agent)"
  local window
  for window in worker-0 worker-1; do
    with_agent "${window}"
    tm set -p -t "$(pane "${window}")" @swarm_pause 2000
    claude_comm.sh send "${window}" t1 hello >out 2>err 3>&- &
    shows "${window}" hello
    case "${window}" in
      worker-0) tm respawn-pane -k -t "$(pane "${window}")" true ;;
      *) tm kill-pane -t "$(pane "${window}")" ;;
    esac
    wait "$!" || [[ "$?" == 4 ]]
    [[ "$(cat out)" == "typed ${window} t1" ]]
    grep -E 'has ended|no window|is gone|went away' err
  done
}

@test "names of windows are compared with their blanks" {
  server worker-0=cat
  tm rename-window -t "$(pane worker-0)" ' worker-0'
  run --separate-stderr claude_comm.sh status worker-0
  one_line_error 3 'no window worker-0'
  run --separate-stderr -0 claude_comm.sh send ' worker-0' t1 hello
}

@test "the last words of a dead window are shown" {
  server worker-1=cat worker-0='echo starting; echo no key found; sleep 0.2; exit 9'
  eventually dead worker-0
  run --separate-stderr -3 claude_comm.sh status worker-0
  [[ "${output}" == $'starting\nno key found' && "${stderr}" == *'has ended'* ]]
  SWARM_WINDOWS='worker-0 worker-1' run --separate-stderr -3 claude_status.sh
  [[ "${output}" == *$'--- worker-0 ---\nstarting\nno key found\n(the program in window worker-0 has ended'* ]]
}
