#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2154  # texts are data; bats and helper.bash set the variables
# Typing into an agent that has an input box, by what its launcher wrote on the pane.

load helper
setup() { room; }
teardown() { finish; }

untouched() { [[ ! -s keys && ! -e got ]]; }

@test "pieces in paste brackets, each seen before the next, arrive exactly" {
  server worker-0="$(box)"
  with_box worker-0
  awk 'BEGIN { while (n++ < 40) printf "\tline %d é漢👩 \\[ $x\n\n 1\ny\n", n; print "the end" }' >text
  run --separate-stderr -0 claude_comm.sh send worker-0 t1 - <text
  [[ "${output}" == 'submitted worker-0 t1' && -z "${stderr}" ]]
  [[ "$(got)" == $'[TASK] t1\n'"$(cat text)"$'\n.' ]]
  # No byte of the text stands outside of brackets but the newlines, and one Enter was pressed.
  [[ "$(tr '\n' '|' <keys | sed $'s/\e\\[200~[^\e]*\e\\[201~//g' | tr -d '|')" == $'\r' ]]
  # No brackets without the option, and pieces all the same.
  tm set -pu -t "$(pane worker-0)" @swarm_paste
  : >keys
  : >got
  run -0 claude_comm.sh send worker-0 t2 - <text
  [[ "$(got)" == $'[TASK] t2\n'"$(cat text)"$'\n.' && "$(cat keys)" != *$'\e'* ]]
}

@test "a piece that is not seen is the last one" {
  server worker-0="$(agent mute)"
  with_agent worker-0
  tm set -p -t "$(pane worker-0)" @swarm_piece 100
  run --separate-stderr -4 claude_comm.sh send worker-0 t1 "$(printf '%01000d' 0)"
  [[ "${output}" == 'typed worker-0 t1' && "${stderr}" == *'not seen to arrive'* ]]
}

@test "a draft is left alone, one of a blank too" {
  server worker-0="$(box)"
  with_box worker-0
  tm send-keys -t "$(pane worker-0)" -l 'half a thought é'
  shows worker-0 'half'
  run --separate-stderr claude_comm.sh send --wait 0 worker-0 t1 hello
  one_line_error 5 "at its cursor stands '> half a thought é'"
  tm send-keys -t "$(pane worker-0)" C-u
  tm send-keys -t "$(pane worker-0)" -l ' '
  run --separate-stderr claude_comm.sh send --wait 0.2 worker-0 t1 hello
  one_line_error 5 'nothing was typed'
  tm send-keys -t "$(pane worker-0)" C-u
  run -0 claude_comm.sh send --wait 5 worker-0 t1 hello
  [[ "$(got)" == $'[TASK] t1\nhello\n.' ]]
}

@test "a dialog is refused with its reason and gets no key, not even for a left-over" {
  server worker-0="$(box dialog)"
  with_box worker-0
  run --separate-stderr claude_comm.sh send --wait 0.1 worker-0 t1 $'1\n1'
  one_line_error 5 'a dialog is open'
  tm set -p -t "$(pane worker-0)" @swarm_typing t0
  run --separate-stderr claude_comm.sh send --wait 0 worker-0 t1 1
  one_line_error 5 'a dialog is open'
  untouched
  # A send that waits arrives once, when a person has closed it.
  claude_comm.sh send --wait 20 worker-0 t2 hello >out 3>&- &
  sleep 0.5
  untouched
  : >calm
  wait "$!"
  [[ "$(cat out)" == 'submitted worker-0 t2' && "$(got)" == $'[TASK] t2\nhello\n.' ]]
}

@test "a dialog that leaves the cursor above its choice is one too" {
  server worker-0="$(box dialog-hidden)"
  with_box worker-0
  tm set -p -t "$(pane worker-0)" @swarm_typing t0
  run --separate-stderr claude_comm.sh send --wait 0.1 worker-0 t1 $'1\n1'
  one_line_error 5 'a dialog is open'
  untouched
}

@test "a dialog that opens before Enter gets none" {
  server worker-0="$(box)"
  with_box worker-0
  tm set -p -t "$(pane worker-0)" @swarm_pause 4000
  claude_comm.sh send worker-0 t1 hello >out 2>err 3>&- &
  shows worker-0 hello
  : >dialog
  wait "$!" || [[ "$?" == 4 ]]
  [[ "$(cat out)" == 'typed worker-0 t1' && "$(cat err)" == *'no longer stood at the cursor'* && "$(cat keys)" != *$'\r'* ]]
}

@test "a busy agent is waited for" {
  server worker-0="$(box busy)"
  with_box worker-0
  run --separate-stderr claude_comm.sh send --wait 0.1 worker-0 t1 hello
  one_line_error 5 'the agent is busy'
  claude_comm.sh send --wait 20 worker-0 t2 hello >out 3>&- &
  sleep 0.5
  untouched
  : >calm
  wait "$!"
  [[ "$(cat out)" == 'submitted worker-0 t2' && "$(got)" == $'[TASK] t2\nhello\n.' ]]
}

@test "an Enter that is taken for a newline is not a submission" {
  server worker-0="$(box swallows)" worker-1="$(box swallows-one)"
  with_box worker-0
  with_box worker-1
  run --separate-stderr -4 claude_comm.sh send worker-0 t1 hello
  [[ "${output}" == 'typed worker-0 t1' && "${stderr}" == *'not seen to leave'* ]]
  [[ "$(tr -cd '\r' <keys)" == $'\r\r' && ! -e got ]]
  run -0 claude_comm.sh send worker-1 t1 hello
  [[ "$(got)" == $'[TASK] t1\nhello\n\n.' ]]
}

@test "pieces that look alike in a full box are typed on, however slow the machine is" {
  server worker-0="$(box)"
  with_box worker-0
  tm set -p -t "$(pane worker-0)" scroll-on-clear off || : # from tmux 3.3 on
  printf '#!/bin/sh\ncase "$*" in *capture-pane*) sleep 0.6 ;; esac\nexec tmux "$@"\n' >slow
  chmod +x slow
  printf '%0240d' 0 >text # the box shows the end of a line
  SWARM_TMUX="${PWD}/slow" run -0 claude_comm.sh send worker-0 t1 - <text
  [[ "$(got)" == $'[TASK] t1\n'"$(cat text)"$'\n.' ]]
}

@test "a left-over of many lines is cleared to its first" {
  server worker-0="$(box)"
  with_box worker-0
  local id
  id="$(pane worker-0)"
  tm set -p -t "${id}" @swarm_typing t0
  tm send-keys -t "${id}" -H 6f 6e 65 0a 74 77 6f 0a 0a 74 68 72 65 65
  shows worker-0 three
  run -0 claude_comm.sh send worker-0 t1 hello
  [[ "$(got)" == $'[TASK] t1\nhello\n.' && "$(tr -cd '\025' <keys | wc -c)" -ge 6 ]]
  [[ -z "$(tm show -pqv -t "${id}" @swarm_typing)" ]]
}

# holds_still_over TEXT: the agent holds still, TEXT is typed into its box and not painted yet.
holds_still_over() {
  : >frozen
  tm send-keys -t "$(pane worker-0)" -l -- "$1"
}
# unfreeze_at ID: the agent goes on once a sender has typed the first piece of ID.
unfreeze_at() {
  eventually typing_is "$1"
  rm frozen
}
clears_box() {
  tm send-keys -t "$(pane worker-0)" -H 15
  tm capture-pane -p -t "$(pane worker-0)" | grep -q '^> *$'
}
typing_is() { [[ "$(tm show -pqv -t "$(pane worker-0)" @swarm_typing)" == "$1" ]]; }

@test "a left-over that is painted after the box looked empty is cleared by the keys before the text" {
  server worker-0="$(box)"
  with_box worker-0
  holds_still_over 'left over'
  tm set -p -t "$(pane worker-0)" @swarm_typing t0
  claude_comm.sh send worker-0 t1 hello >out 3>&- &
  unfreeze_at t1
  wait "$!"
  [[ "$(cat out)" == 'submitted worker-0 t1' && "$(got)" == $'[TASK] t1\nhello\n.' ]]
}

@test "what C-u did not take, or a person typed, before or behind a text is not sent with it" {
  server worker-0="$(box deaf)"
  with_box worker-0
  run -0 claude_comm.sh send worker-0 t1 hello # the same words stand above the box from now on
  local before
  for before in '漢' '[TASK] t1 hello'; do
    : >got
    tm set -p -t "$(pane worker-0)" @swarm_typing t0
    holds_still_over "${before}"
    claude_comm.sh send worker-0 t1 hello >out 2>err 3>&- &
    unfreeze_at t1
    wait "$!" || [[ "$?" == 4 ]]
    [[ "$(cat out)" == 'typed worker-0 t1' && "$(cat err)" == *'something else stands in its box'* ]]
    [[ ! -s got ]]
    : >calm
    eventually clears_box
    rm calm
  done
  tm set -pu -t "$(pane worker-0)" @swarm_typing
  holds_still_over ''
  claude_comm.sh send worker-0 t1 hello >out 2>err 3>&- &
  eventually typing_is t1
  tm send-keys -t "$(pane worker-0)" -l ' more'
  rm frozen
  wait "$!" || [[ "$?" == 4 ]]
  [[ "$(cat err)" == *'something else stands in its box'* && ! -s got ]]
}

@test "the first piece is two lines, and a row at the most; long and odd ones arrive" {
  server worker-0="$(box)"
  with_box worker-0
  tm set -p -t "$(pane worker-0)" @swarm_piece 700
  local text
  for text in $'a\nb\nc' $'\n\n\n a\n\n\nb' "$(printf '%0700d' 0)" '漢字漢字 end' '漢' $'\t\\[x]\\ \\'; do
    : >got
    run -0 claude_comm.sh send-raw worker-0 "${text}"
    [[ "$(got)" == "${text}"$'\n.' ]]
  done
}

@test "a text that the agent would take for a command is refused, a task never is" {
  server worker-0="$(box)"
  with_box worker-0
  local text
  for text in /status $'\n\t /status now' '!ls'; do
    run --separate-stderr claude_comm.sh send-raw worker-0 "${text}"
    one_line_error 5 'a command of its own'
  done
  untouched
  run -0 claude_comm.sh send-raw worker-0 'see /status'
  run -0 claude_comm.sh send worker-0 t1 /status
  [[ "$(got)" == $'see /status\n.\n[TASK] t1\n/status\n.' ]]
}

@test "what the launcher wrote may hold anything; what cannot be used is named" {
  server worker-0="$(box)"
  with_box worker-0
  local id
  id="$(pane worker-0)"
  tm set -p -t "${id}" @swarm_dialog '%H #(touch X) #[fg=red] ; "$x" `x` \\ é'"'"'~'
  run -0 claude_comm.sh send worker-0 t1 hello
  [[ "$(got)" == $'[TASK] t1\nhello\n.' && ! -e X ]]
  tm set -p -t "${id}" @swarm_busy 'a('
  run --separate-stderr claude_comm.sh send worker-0 t1 hello
  one_line_error 5 "@swarm_busy 'a(' is no pattern"
  tm set -pu -t "${id}" @swarm_busy
  tm set -p -t "${id}" @swarm_pause '1 + a[0]'
  run --separate-stderr claude_comm.sh send worker-0 t1 hello
  one_line_error 5 "@swarm_pause '1 + a[0]' is no number"
}

@test "a plain terminal that prints in the middle of the echo" {
  server worker-0="$(agent mixed)"
  shows worker-0 'fake>'
  run -0 claude_comm.sh send worker-0 t1 $'one\nthe last line'
  [[ "${output}" == 'submitted worker-0 t1' && "$(got)" == $'[TASK] t1\none\nthe last line\n.' ]]
}
