#!/usr/bin/env bats
# shellcheck disable=SC1003,SC2009,SC2016,SC2154  # texts are data; bats and helper.bash set the variables
# What is wrong is said in one line, with the promised status; nothing is typed, nothing is left.

load helper
setup() {
  room
  server master=cat worker-0=cat worker-1=cat worker-2=cat
  before="$(screen worker-0)"
}
teardown() { finish; }

# refused STATUS WORDS COMMAND...: how it ends, and that the window and its options are as before.
refused() {
  local wanted="$1" words="$2"
  shift 2
  run --separate-stderr "$@"
  one_line_error "${wanted}" "${words}"
  [[ "$(screen worker-0)" == "${before}" ]]
  [[ -z "$(tm show -p -t "$(pane worker-0)")" ]]
}

@test "unknown windows and sessions" {
  refused 3 'no window worker-9 in session room' claude_comm.sh send worker-9 t1 hello
  refused 3 'no window worker-9' claude_comm.sh send-raw worker-9 hello
  refused 3 'no window worker- ' claude_comm.sh poll worker- 5
  refused 3 'no window worker' claude_comm.sh status worker
  refused 3 'no session roo ' claude_comm.sh --session roo send worker-0 t1 hello
  refused 3 'no session roo ' claude_comm.sh poll worker-0 5 --session=roo
  refused 3 'no session roo ' claude_poll.sh --session roo
  refused 3 'no session roo ' claude_status.sh --session roo
  refused 2 "'my swarm' is no session name" claude_comm.sh --session 'my swarm' status worker-0
  SWARM_SESSION='a:b' refused 2 "'a:b' is no session name" claude_status.sh
}

@test "a server that is not there" {
  refused 3 'no session room (tmux: ' claude_comm.sh --socket "${SWARM_SOCKET}-none" send worker-0 t1 hello
  refused 3 'start it with run_claude_swarm.sh' claude_poll.sh --socket "${SWARM_SOCKET}-none"
}

@test "unknown commands, options and markers" {
  refused 2 'no command' claude_comm.sh
  refused 2 "'sned' is no command" claude_comm.sh sned worker-0 t1 hello
  refused 2 'unknown option --wat' claude_comm.sh send --wat 5 worker-0 t1 hello
  refused 2 'unknown option --tag' claude_comm.sh poll --tag worker-0
  refused 2 'unknown option -x' claude_poll.sh -x
  refused 2 'is too much' claude_status.sh worker-0
  refused 2 '--wait needs a value' claude_comm.sh send worker-0 t1 hello --wait
  refused 2 '--session needs a value' claude_poll.sh --session=
  refused 2 "'FINISHED' is no marker" claude_comm.sh poll worker-0 --until FINISHED
  refused 2 "'TASK' is no marker" claude_comm.sh poll worker-0 --until TASK
  refused 2 "'DONE,' is no marker" claude_comm.sh poll worker-0 --until DONE,
}

@test "a time that is no number" {
  refused 2 "'ten' is no time" claude_comm.sh poll worker-0 ten task-001
  refused 2 "'10s' is no time" claude_comm.sh poll worker-0 --timeout 10s
  refused 2 "'-5' is no time" claude_comm.sh poll worker-0 --timeout -5
  refused 2 "'1e3' is no time" claude_comm.sh send --wait 1e3 worker-0 t1 hello
  refused 2 "'soon' is no time" claude_poll.sh --interval soon
  refused 2 'the interval is 0' claude_poll.sh --interval 0
  SWARM_INTERVAL=often refused 2 "SWARM_INTERVAL 'often' is no time" claude_comm.sh poll worker-0
  refused 2 "'t2' is too much" claude_comm.sh poll worker-0 10 t1 t2
}

@test "ids that are none" {
  local id
  for id in '' 'a b' "$(printf '%065d' 0)" 'task.' '_x' 'a/b' 'tâche' $'a\nb' 'task+abcdefgh' 'a;b' '..' '$(id)'; do
    refused 2 'cannot be used; 1 to 64' claude_comm.sh send worker-0 "${id}" hello
  done
  refused 2 'unknown option -task' claude_comm.sh send worker-0 -task hello
  refused 2 'cannot be used' claude_comm.sh send worker-0 -- -task hello
  refused 2 'cannot be used' claude_comm.sh poll worker-0 5 'task+ABC'
  refused 2 'cannot be used' claude_poll.sh --task-id 'task+ABC'
}

@test "a description that is missing, empty, unquoted or too long" {
  refused 2 'send takes WINDOW TASK_ID DESCRIPTION' claude_comm.sh send worker-0 t1
  refused 2 'in quotes' claude_comm.sh send worker-0 t1 create hello.py
  refused 2 'send-raw takes WINDOW TEXT' claude_comm.sh send-raw worker-0
  refused 2 'poll takes a WINDOW' claude_comm.sh poll
  refused 2 'empty' claude_comm.sh send worker-0 t1 ''
  refused 2 'empty' claude_comm.sh send worker-0 t1 $' \n\t '
  refused 2 'empty' claude_comm.sh send worker-0 t1 - </dev/null
  refused 2 'empty' claude_comm.sh send-raw worker-0 ''
  head -c 65537 /dev/zero | tr '\0' x >large
  refused 5 '65536' claude_comm.sh send worker-0 t1 "$(cat large)"
  refused 5 '65536' claude_comm.sh send worker-0 t1 - <large
}

@test "standard input that is closed" {
  refused 2 'standard input is closed' bash -c 'claude_comm.sh send worker-0 t1 - <&-'
  run -0 bash -c 'claude_comm.sh send worker-1 t1 hello <&-'
}

@test "bytes that are not typed, each with its place" {
  local text
  while IFS=' ' read -r text place; do
    refused 5 "at byte ${place};" claude_comm.sh send worker-0 t1 "$(printf '%b.' "${text}")"
    refused 5 "at byte ${place};" claude_comm.sh send-raw worker-0 - < <(printf '%b' "${text}")
  done <<'END'
ab\033[31m 2
\003 0
漢\004 3
a\nb\032 3
\177x 0
é\302\205 2
a\rb 1
ab\377 2
ab\303 2
\355\240\200 0
\300\257 0
\364\220\200\200 0
END
  refused 5 'NUL at byte 3' claude_comm.sh send worker-0 t1 - < <(printf 'abc\0def')
}

@test "windows that cannot take a text" {
  local id
  id="$(pane worker-0)"
  tm select-pane -d -t "${id}"
  run --separate-stderr claude_comm.sh send --wait 0 worker-0 t1 hello
  one_line_error 5 'input is switched off'
  tm select-pane -e -t "${id}"
  tm set -w -t "${id}" synchronize-panes on
  run --separate-stderr claude_comm.sh send --wait 0 worker-0 t1 hello
  one_line_error 5 'synchronize-panes'
  tm set -w -t "${id}" synchronize-panes off
  tm rename-window -t "$(pane worker-1)" worker-0
  refused 3 'two windows called worker-0' claude_comm.sh send worker-0 t1 hello
}

@test "a dead pane is an error and the server stays alive" {
  tm respawn-pane -k -t "$(pane worker-1)" 'true'
  eventually dead worker-1
  run --separate-stderr claude_comm.sh send worker-1 t1 hello
  one_line_error 3 'the program in window worker-1 has ended'
  run --separate-stderr claude_comm.sh poll worker-1 5
  one_line_error 3 'has ended'
  [[ "$(screen worker-0)" == "${before}" ]]
}

@test "a name that is the beginning of another one, and a session that is" {
  tm rename-window -t "$(pane worker-1)" worker-10
  refused 3 'no window worker-1 ' claude_comm.sh send worker-1 t1 hello
  tm rename-session -t "=room" roombar
  run --separate-stderr claude_comm.sh send worker-0 t1 hello
  one_line_error 3 'no session room '
}

@test "tmux that is missing, too old, failing or silent" {
  local shim="${BATS_TEST_TMPDIR}/tmux shim"
  SWARM_TMUX="${shim}" refused 7 'is not installed' claude_comm.sh send worker-0 t1 hello
  shim_that() { printf '#!/bin/sh\n%s\n' "$1" >"${shim}" && chmod +x "${shim}"; }
  export SWARM_TMUX="${shim}"
  local real version
  real="$(PATH="${PATH#*:}" type -P tmux)"
  for version in 'tmux 3.1c' 'tmux 2.9' 'tmux 3.0'; do
    shim_that "[ \"\$1\" != -V ] || { echo '${version}'; exit; }; exec '${real}' \"\$@\""
    refused 7 'too old; install tmux 3.2' claude_comm.sh send worker-0 t1 hello
    refused 7 'too old' claude_poll.sh
    refused 7 'too old' claude_status.sh
  done
  shim_that 'exit 1'
  refused 7 'failed' claude_comm.sh send worker-0 t1 hello
  shim_that "[ \"\$1\" = -V ] && echo tmux 3.3a || exit 1"
  refused 3 'no session room' claude_comm.sh send worker-0 t1 hello
  for version in 'tmux 3.2' 'tmux 3.7b' 'tmux next-3.9' 'tmux master'; do
    shim_that "[ \"\$1\" != -V ] || { echo '${version}'; exit; }; echo warning: odd >&2; exec '${real}' \"\$@\""
    run --separate-stderr -0 claude_comm.sh send worker-1 t1 hello
    [[ "${output}" == 'submitted worker-1 t1' && -z "${stderr}" ]]
  done
}

@test "tmux that never answers is named after ten seconds, and leaves no process" {
  local shim="${BATS_TEST_TMPDIR}/tmux-shim"
  printf '#!/bin/sh\n[ "$1" != -V ] || { echo tmux 3.3a; exit; }\nexec sleep 987654\n' >"${shim}"
  chmod +x "${shim}"
  SWARM_TMUX="${shim}" run --separate-stderr claude_comm.sh poll worker-0 1
  one_line_error 3 'tmux did not answer within 10 s'
  eventually no_sleeper
}
no_sleeper() { ! ps -A -o args | grep -q '^sleep 98765[4]'; }
