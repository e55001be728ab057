#!/usr/bin/env bats
# shellcheck disable=SC1003,SC2009,SC2016,SC2154  # texts are data; bats and helper.bash set the variables
# A text arrives whole, once, or not at all; the lock and left-overs of those who died.

load helper
setup() { room; }
teardown() { finish; }

@test "a task is one message, byte for byte, from one byte to 64 KiB" {
  server worker-0="$(agent)"
  with_agent worker-0
  local size
  for size in 1 1599 1600 1601 16384 65536; do
    head -c "${size}" /dev/zero | tr '\0' x >text
    run --separate-stderr -0 claude_comm.sh send worker-0 "t${size}" - <text
    [[ "${output}" == "submitted worker-0 t${size}" ]]
    got_lines "[TASK] t${size}"$'\n'"$(cat text)"$'\n.'
  done
  [[ "$(got | grep -c '^\.$')" == 6 ]]
}

@test "text is data: no key, flag, command, format or shell word comes out of it" {
  server worker-0="$(agent)"
  with_agent worker-0
  local text
  for text in ';' '\;' 'a;' '-R' 'Enter' 'C-c' 'Up' '#(touch X)' '$(touch X)' '`touch X`' '#{pid}' '%H' "it's" '"' '\' '\\' \
    '{' '}' ' x ' $'tab\there' $'two\nlines' $'\nx' '~' '!!' '*' '-' '--' '--tagg' 'é漢👩‍👩‍👧' '漢漢漢'; do
    : >got
    run --separate-stderr -0 claude_comm.sh send worker-0 t1 -- "${text}" </dev/null || [[ "${text}" == - ]]
    [[ "${text}" != - ]] || continue
    eventually got_lines $'[TASK] t1\n'"${text}"$'\n.'
    [[ "$(got)" == $'[TASK] t1\n'"${text}"$'\n.' ]]
    run --separate-stderr -0 claude_comm.sh send-raw worker-0 -- "${text}"
  done
  [[ ! -e X ]]
}

@test "long UTF-8 is cut between characters only" {
  server worker-0="$(agent)"
  with_agent worker-0
  awk 'BEGIN { while (n++ < 3000) printf "é漢👩" }' >text
  run -0 claude_comm.sh send worker-0 t1 - <text
  [[ "$(got)" == $'[TASK] t1\n'"$(cat text)"$'\n.' ]]
}

@test "a line that a cooked terminal would cut is refused, one that fits is not" {
  server worker-0='cat >got' worker-1="$(agent)"
  with_agent worker-1
  run --separate-stderr claude_comm.sh send worker-0 t1 "$(printf '%04096d' 0)"
  one_line_error 5 'keeps 4095 bytes'
  [[ -z "$(screen worker-0 | tr -d '\n')" ]]
  run -0 claude_comm.sh send worker-0 t2 "$(printf '%04095d' 0)"
  eventually got_lines "$(printf '%04095d' 0)"
  run -0 claude_comm.sh send worker-1 t1 "$(printf '%05000d' 0)"
}

@test "a text of many lines into windows that answer each line" {
  server worker-0='cat >/dev/null' worker-1=cat worker-2='bash --norc'
  awk 'BEGIN { while (n++ < 20) print "# line " n; print "# the end" }' >text
  local window
  for window in worker-0 worker-1 worker-2; do
    run -0 claude_comm.sh send "${window}" t1 - <text
    [[ "${output}" == "submitted ${window} t1" ]]
  done
}

@test "a pattern of a ready box that is none is named" {
  server worker-0=cat
  tm set -p -t "$(pane worker-0)" @swarm_ready '^fake('
  run --separate-stderr claude_comm.sh send worker-0 t1 hello
  one_line_error 5 "'^fake(' is no pattern"
}

@test "copy mode is left, and the text is delivered once" {
  server worker-0="$(agent)"
  with_agent worker-0
  tm copy-mode -t "$(pane worker-0)"
  run -0 claude_comm.sh send worker-0 t1 hello
  [[ "$(got)" == $'[TASK] t1\nhello\n.' ]]
}

@test "of a split window the pane with the agent gets the text" {
  server worker-0="$(agent)"
  with_agent worker-0
  tm split-window -b -t "$(pane worker-0)" cat
  run -0 claude_comm.sh send worker-0 t1 hello
  [[ "$(got)" == $'[TASK] t1\nhello\n.' ]]
}

@test "an Enter that is eaten is pressed once more, the text is not typed again" {
  server worker-0="$(agent eats-enter)"
  with_agent worker-0
  run -0 claude_comm.sh send worker-0 t1 hello
  [[ "${output}" == 'submitted worker-0 t1' && "$(got)" == $'[TASK] t1\nhello\n.' ]]
}

@test "an agent that never takes the Enter: typed, 4, and the next sender clears it" {
  server worker-0="$(agent keeps-enter)"
  with_agent worker-0
  run --separate-stderr -4 claude_comm.sh send worker-0 t1 hello
  [[ "${output}" == 'typed worker-0 t1' && "${stderr}" == *'not seen to leave'* && "${#stderr_lines[@]}" == 1 ]]
  [[ "$(tm show -pqv -t "$(pane worker-0)" @swarm_typing)" == t1 ]]
  [[ -z "$(tm show -pqv -t "$(pane worker-0)" @swarm_lock)" ]]
  run -4 claude_comm.sh send worker-0 t2 there
  [[ "$(screen worker-0)" == *'fake> [TASK] t2 there' ]]
}

@test "a text that is not seen to arrive gets no Enter" {
  server worker-0="$(agent mute)"
  with_agent worker-0
  run --separate-stderr -4 claude_comm.sh send worker-0 t1 hello
  [[ "${output}" == 'typed worker-0 t1' && "${stderr}" == *'Enter was not pressed'* && -z "$(got)" ]]
}

@test "a dialog that the Enter opens is not answered" {
  server worker-0="$(agent dialog)"
  with_agent worker-0
  claude_comm.sh send worker-0 t1 hello || [[ "$?" == 4 ]]
  sleep 1
  [[ -z "$(got)" ]]
  run --separate-stderr claude_comm.sh send --wait 0.5 worker-0 t2 hello
  one_line_error 5 "not ready for a text (at its cursor stands '> 1. Yes'"
  [[ -z "$(got)" ]]
}

@test "a draft of somebody else is waited for, then refused, then sent" {
  server worker-0="$(agent)"
  with_agent worker-0
  tm send-keys -t "$(pane worker-0)" -l 'my own words'
  shows worker-0 'my own words'
  run --separate-stderr claude_comm.sh send --wait 0 worker-0 t1 hello
  one_line_error 5 'my own words'
  claude_comm.sh send worker-0 t1 hello 3>&- &
  sleep 0.5
  tm send-keys -t "$(pane worker-0)" C-u
  wait "$!"
  [[ "$(got)" == $'[TASK] t1\nhello\n.' ]]
}

@test "eight senders at once: every text is whole, none is lost or doubled" {
  server worker-0="$(agent)"
  with_agent worker-0
  local sender
  for sender in 1 2 3 4 5 6 7 8; do
    (for text in 1 2 3 4 5; do claude_comm.sh send --wait 60 worker-0 "s${sender}-${text}" "text ${text} of ${sender};" || echo "lost ${sender} ${text}"; done) >"out-${sender}" 2>&1 3>&- &
  done
  wait
  run -1 grep -v '^submitted ' out-1 out-2 out-3 out-4 out-5 out-6 out-7 out-8
  got | awk 'BEGIN { RS = "\n\\.\n" } { print $0 "|" }' | tr '\n' ' ' | tr '|' '\n' | sed 's/^ *//' | grep . | sort >all
  [[ "$(wc -l <all)" -eq 40 && "$(uniq all | wc -l)" -eq 40 ]]
  run -1 grep -v -E '^\[TASK\] s([1-8])-([1-5]) text \2 of \1; *$' all
}

@test "the lock of a dead sender is taken over, its left-over cleared" {
  server worker-0="$(agent)"
  with_agent worker-0
  local id
  id="$(pane worker-0)"
  sleep 0 & wait
  tm set -p -t "${id}" @swarm_lock "$!.abcdefgh"
  tm set -p -t "${id}" @swarm_typing t0
  tm send-keys -t "${id}" -l '[TASK] t0 left over'
  shows worker-0 'left over'
  run -0 claude_comm.sh send --wait 1 worker-0 t1 hello
  [[ "$(got)" == $'[TASK] t1\nhello\n.' ]]
  [[ "$(tm show -p -t "${id}" | cut -d ' ' -f 1)" == $'@swarm_agent\n@swarm_ready' ]]
}

@test "the lock of a living sender is respected" {
  server worker-0=cat
  tm set -p -t "$(pane worker-0)" @swarm_lock "$$.abcdefgh"
  run --separate-stderr claude_comm.sh send --wait 0.3 worker-0 t1 hello
  one_line_error 5 'another sender is typing'
  [[ "$(tm show -pqv -t "$(pane worker-0)" @swarm_lock)" == "$$.abcdefgh" ]]
}

@test "a sender that is killed between text and Enter leaves what the next one clears" {
  server worker-0="$(agent)"
  with_agent worker-0
  tm set -p -t "$(pane worker-0)" @swarm_pause 20000
  claude_comm.sh send worker-0 t1 'never sent' >/dev/null 3>&- &
  shows worker-0 'never sent'
  kill -9 "$!"
  tm set -pu -t "$(pane worker-0)" @swarm_pause
  run -0 claude_comm.sh send worker-0 t2 hello
  [[ "$(got)" == $'[TASK] t2\nhello\n.' ]]
}

@test "Ctrl-C ends a send with 130 and gives the lock back" {
  server worker-0="$(agent)"
  with_agent worker-0
  tm set -p -t "$(pane worker-0)" @swarm_pause 20000
  run -130 python3 -c '
import signal, subprocess, sys, time
sender = subprocess.Popen(["claude_comm.sh", "send", "worker-0", "t1", "hello"])
time.sleep(1)
sender.send_signal(signal.SIGINT)
sys.exit(sender.wait(5))'
  [[ -z "$(tm show -pqv -t "$(pane worker-0)" @swarm_lock)" ]]
  [[ "$(tm show -pqv -t "$(pane worker-0)" @swarm_typing)" == t1 ]]
}
