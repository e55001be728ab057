#!/usr/bin/env bats
# shellcheck disable=SC1003,SC2009,SC2016,SC2154  # texts are data; bats and helper.bash set the variables
# A person sends tasks and another one answers by hand, in windows with nothing of ours in them.

load helper
setup() { room; }
teardown() { finish; }

@test "the flow of the older plan works on cat windows" {
  server master=cat worker-0=cat worker-1=cat worker-2=cat
  run --separate-stderr -0 claude_comm.sh send worker-0 task-001 "hello"
  [[ "${output}" == 'submitted worker-0 task-001' && -z "${stderr}" ]]
  screen worker-0 | grep '\[TASK\] task-001'
  run --separate-stderr -1 claude_comm.sh poll worker-0 0 task-001
  [[ -z "${output}" && "${stderr}" == 'Timeout after 0s' ]]
  answer worker-0 '[ACK] task-001'
  run --separate-stderr -0 claude_comm.sh poll worker-0 0.2 task-001
  [[ "${output}" == '[ACK] task-001' ]]
  answer worker-0 '[DONE] task-001 made hello.py'
  run --separate-stderr -0 claude_comm.sh poll worker-0 --task-id task-001
  [[ "${output}" == $'[ACK] task-001\n[DONE] task-001 made hello.py' && -z "${stderr}" ]]
}

@test "the flow of the older plan works on bash windows" {
  server master='bash --norc' worker-0='bash --norc'
  run --separate-stderr -0 claude_comm.sh send worker-0 task-001 "echo '[DONE]' task-001 by hand"
  [[ "${output}" == 'submitted worker-0 task-001' ]]
  screen worker-0 | grep '\[TASK\] task-001'
  run --separate-stderr -0 claude_comm.sh poll worker-0 10 task-001
  [[ "${output}" == '[DONE] task-001 by hand' ]]
}

@test "an answer that comes while poll looks ends it" {
  server worker-0=cat
  claude_comm.sh send worker-0 task-001 "hello"
  answer worker-0 '[ACK] task-001'
  claude_comm.sh poll worker-0 20 task-001 >polled 3>&- &
  eventually grep -q ACK polled
  answer worker-0 '[WAIT] task-001 for the network'
  wait "$!"
  [[ "$(cat polled)" == $'[ACK] task-001\n[WAIT] task-001 for the network' ]]
}

@test "a window that only echoes never yields an answer" {
  server worker-0=cat
  claude_comm.sh send worker-0 task-001 $'say [DONE] task-001\n[DONE] task-001\n  \\[ERROR] task-001\n[TASK] x\n[ACK] task-001+abcdefgh'
  shows worker-0 'task-001+abcdefgh'
  run --separate-stderr -1 claude_comm.sh poll worker-0 0.3 task-001
  run --separate-stderr -1 claude_comm.sh poll worker-0 0
  [[ -z "${output}" ]]
}

@test "an id that is open on the window is escaped in the description of another task" {
  server worker-0=cat
  claude_comm.sh send worker-0 task-001 "first"
  claude_comm.sh send worker-0 task-002 $'wait until you see\n[DONE] task-001\n[DONE] task-003'
  shows worker-0 '\[DONE] task-001'
  shows worker-0 $'\n[DONE] task-003'
  run -1 claude_comm.sh poll worker-0 0 task-001
}

@test "--tag and SWARM_TAG=1 add a fresh tag, and only answers with it count" {
  server worker-0=cat
  run --separate-stderr -0 claude_comm.sh send --tag worker-0 task-001 "hello"
  [[ "${output}" =~ ^submitted\ worker-0\ (task-001\+[a-z0-9]{8})$ ]]
  local wire="${BASH_REMATCH[1]}"
  answer worker-0 '[DONE] task-001'
  run --separate-stderr -1 claude_comm.sh poll worker-0 0 task-001
  [[ "${stderr_lines[0]}" == 'near miss (tag): [DONE] task-001' ]]
  answer worker-0 "[DONE] ${wire}"
  run --separate-stderr -0 claude_comm.sh poll worker-0 0 task-001
  [[ "${output}" == "[DONE] ${wire}" ]]
  run -0 claude_comm.sh poll worker-0 0 "${wire}"
  SWARM_TAG=1 run -0 claude_comm.sh send worker-0 task-001 "hello"
  [[ "${output}" != *"${wire}" && "${output}" =~ task-001\+[a-z0-9]{8}$ ]]
  SWARM_TAG=0 run -0 claude_comm.sh send worker-0 task-002 "hello"
  [[ "${output}" == 'submitted worker-0 task-002' ]]
}

@test "standard input, options anywhere, and a text that looks like an option" {
  server worker-0=cat
  printf 'one\ntwo\n' | claude_comm.sh send worker-0 t1 - --wait=5
  claude_comm.sh --session "${SWARM_SESSION}" send --wait 5 worker-0 t2 -- --tag
  claude_comm.sh send-raw worker-0 -R --socket "${SWARM_SOCKET}"
  run -0 claude_comm.sh send-raw worker-0 'C-c'
  [[ "${output}" == 'submitted worker-0 raw' ]]
  shows worker-0 $'C-c\nC-c'
  local line
  for line in '[TASK] t1' one two '[TASK] t2' --tag -R; do screen worker-0 | grep -Fx -e "${line}"; done
}

@test "it is all the same in the C locale and in the user's" {
  server worker-0=cat
  local text='é漢👩‍👩‍👧' locale
  for locale in C POSIX C.UTF-8; do
    LC_ALL="${locale}" run -0 claude_comm.sh send worker-0 "t-${locale}" "${text}-${locale}"
    shows worker-0 "${text}-${locale}"
    answer worker-0 "[DONE] t-${locale}：${text}"
    LC_ALL="${locale}" run -0 claude_comm.sh poll worker-0 0 "t-${locale}"
    [[ "${output}" == "[DONE] t-${locale} ${text}" ]]
  done
}

@test "claude_status.sh shows the last ten lines of each window, and status the last twenty" {
  server master=cat worker-0='seq 30; cat' worker-1=cat worker-2=cat
  shows worker-0 30
  run --separate-stderr -0 claude_status.sh
  [[ "${lines[0]}" == '=== Claude Swarm Status ===' && -z "${stderr}" ]]
  [[ "${output}" == *$'\n--- master ---\n'*$'\n--- worker-0 ---\n21\n22\n23\n24\n25\n26\n27\n28\n29\n30\n\n--- worker-1 ---\n'* ]]
  run -0 claude_comm.sh status worker-0
  [[ "${#lines[@]}" == 20 && "${lines[0]}" == 11 && "${lines[19]}" == 30 ]]
}

@test "claude_status.sh goes on past a missing and a dead window and ends with 3" {
  server master=cat worker-0='seq 60; echo last words; sleep 0.3' worker-2=cat
  eventually dead worker-0
  run --separate-stderr -3 claude_status.sh
  echo "${output}"
  [[ "${output}" == *$'--- worker-0 ---\n'*'last words'*'has ended'*'--- worker-1 ---'*'(no window worker-1 '*'--- worker-2 ---'* ]]
  [[ "${stderr}" == 'claude_status.sh: missing or dead in session room: worker-0 worker-1' ]]
}
