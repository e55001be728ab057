#!/usr/bin/env bats
# shellcheck disable=SC1003,SC2009,SC2016,SC2154  # texts are data; bats and helper.bash set the variables
# When a poll ends and with what, and what the watch prints.

load helper
setup() { room; }
teardown() { finish; }

@test "the first number is the time, and what is no number the task" {
  server worker-0='echo "[DONE] task-001"; echo "[DONE] 42"; cat'
  shows worker-0 42
  local words
  for words in '0 task-001' 'task-001 0' '0 --task-id task-001' '--timeout 0 task-001' 'task-001' '--timeout=0 --task-id=task-001'; do
    # shellcheck disable=SC2086  # words
    run --separate-stderr -0 claude_comm.sh poll worker-0 ${words}
    [[ "${output}" == '[DONE] task-001' ]]
  done
  run --separate-stderr -0 claude_comm.sh poll worker-0 0.1 42
  [[ "${output}" == '[DONE] 42' ]]
  run --separate-stderr -0 claude_comm.sh poll worker-0 42 --timeout 0
  [[ "${output}" == '[DONE] 42' ]]
  run --separate-stderr -1 claude_comm.sh poll worker-0 1 5.2
  [[ "${stderr}" == 'Timeout after 1s' ]]
}

@test "an ACK alone is printed at once and the poll waits on until its time is over" {
  server worker-0='echo "[ACK] t1"; cat'
  shows worker-0 ACK
  run --separate-stderr -0 claude_comm.sh poll worker-0 0.3 t1
  [[ "${output}" == '[ACK] t1' && "${stderr}" == note:* && "${#stderr_lines[@]}" == 1 ]]
}

@test "without a task id, answers of any task" {
  server worker-0='printf "[ACK] t1\n[DONE] t2+abcdefgh: fine\n"; cat'
  shows worker-0 fine
  run -0 claude_comm.sh poll worker-0 5
  [[ "${output}" == $'[ACK] t1\n[DONE] t2+abcdefgh fine' ]]
}

@test "--until waits for a marker, for the end of the task, and tells an ERROR by its status" {
  server worker-0='printf "[ACK] t1\n[HELP] t1 which?\n[ACK] t2\n[ERROR] t2 no\n[DONE] t3\n"; cat'
  shows worker-0 t3
  run -0 claude_comm.sh poll worker-0 5 t1 --until HELP
  run --separate-stderr -1 claude_comm.sh poll worker-0 0.3 t1 --until DONE,ERROR
  [[ "${output}" == $'[ACK] t1\n[HELP] t1 which?' && "${stderr_lines[1]}" == 'Timeout after 0.3s' ]]
  run --separate-stderr -6 claude_comm.sh poll worker-0 5 t2 --until DONE
  [[ "${output}" == $'[ACK] t2\n[ERROR] t2 no' ]]
  run -6 claude_comm.sh poll worker-0 5 t2 --until DONE,ERROR
  run -0 claude_comm.sh poll worker-0 5 t2
  run -0 claude_comm.sh poll worker-0 5 t3 --until WAIT
}

@test "a near miss is said once on standard error" {
  server worker-0='printf "[DONE] t1_\nI will print [DONE] t1 soon\n[DONE] T1\n"; cat'
  shows worker-0 T1
  run --separate-stderr -1 claude_comm.sh poll worker-0 1.2 t1
  [[ -z "${output}" && "${stderr}" == $'near miss (id): [DONE] t1_\nnear miss (sentence): I will print [DONE] t1 soon\nnear miss (id): [DONE] T1\nTimeout after 1.2s' ]]
}

@test "a window that dies during a poll ends it with 3, and its last words count" {
  server worker-0='read -r _' worker-1='read -r _; echo "[DONE] t1 last"; sleep 0.3' worker-2=cat
  (sleep 1 && tm send-keys -t "$(pane worker-0)" Enter) 3>&- &
  run --separate-stderr claude_comm.sh poll worker-0 20 t1
  one_line_error 3 'has ended'
  (sleep 1 && tm send-keys -t "$(pane worker-1)" Enter) 3>&- &
  run --separate-stderr -0 claude_comm.sh poll worker-1 20 t1
  [[ "${output}" == '[DONE] t1 last' ]]
  (sleep 1 && tm kill-pane -t "$(pane worker-2)") 3>&- &
  run --separate-stderr claude_comm.sh poll worker-2 20 t1
  one_line_error 3 'no window worker-2'
}

@test "Ctrl-C ends a poll with 130 and the watch with 0, at once" {
  server worker-0=cat
  interrupt() {
    python3 -c '
import signal, subprocess, sys, time
asked = subprocess.Popen(sys.argv[1:])
time.sleep(1)
asked.send_signal(signal.SIGINT)
sys.exit(asked.wait(2))' "$@"
  }
  run -130 interrupt claude_comm.sh poll worker-0 30
  run -0 interrupt claude_poll.sh --interval 30 worker-0
}

@test "the watch prints each DONE and ERROR once, those that are there first" {
  server worker-0='printf "[ACK] t1\n[DONE] t1 made it\n"; cat' worker-1=cat
  shows worker-0 made
  claude_poll.sh --interval 0.2 worker-0 worker-1 >out 2>err 3>&- &
  eventually grep -q 't1 made it' out
  answer worker-1 '[ACK] t2'
  answer worker-1 '[ERROR] t2 broke'
  eventually grep -q 't2 broke' out
  answer worker-1 '[DONE] t2_'
  eventually grep -q 'near miss' err
  sleep 0.5
  kill "$!"
  [[ "$(sed 's/^\[[0-9][0-9]:[0-9][0-9]:[0-9][0-9]\] //' out)" == $'worker-0: [DONE] t1 made it\nworker-1: [ERROR] t2 broke' ]]
  [[ "$(cat err)" == $'watching worker-0 worker-1 in session room every 0.2 s; Ctrl-C ends\nworker-1: near miss (id): [DONE] t2_' ]]
}

@test "a task that is sent again and answers the same is told again" {
  server worker-0=cat
  claude_comm.sh send worker-0 t1 'once'
  answer worker-0 '[DONE] t1'
  claude_poll.sh --interval 2 worker-0 >out 2>err 3>&- &
  eventually grep -q t1 out
  # Both between two looks.
  claude_comm.sh send worker-0 t1 'again'
  answer worker-0 '[DONE] t1'
  eventually eval '(($(grep -c t1 out) == 2))'
  sleep 2.5
  kill "$!"
  (($(grep -c t1 out) == 2))
}

@test "--once, --all, --task-id and --repeat" {
  server master='printf "[DONE] m1\n"; cat' worker-0='printf "[ACK] t1\n[DONE] t1\n[HELP] t2 how?\n[ERROR] t3 no\n"; cat' worker-1=cat worker-2=cat
  shows worker-0 t3
  run --separate-stderr -0 claude_poll.sh --once
  [[ "${#lines[@]}" == 2 && "${output}" == *'worker-0: [DONE] t1'*'worker-0: [ERROR] t3 no' ]]
  run --separate-stderr -0 claude_poll.sh --once --all
  [[ "${#lines[@]}" == 4 ]]
  run --separate-stderr -0 claude_poll.sh --once --all --task-id t2
  [[ "${#lines[@]}" == 1 && "${output}" == *'worker-0: [HELP] t2 how?' ]]
  SWARM_WINDOWS='master worker-1' run --separate-stderr -0 claude_poll.sh --once
  [[ -z "${output}" && "${stderr}" == 'watching worker-1 in '* ]]
  claude_poll.sh --repeat --interval 0.2 >out 2>/dev/null 3>&- &
  eventually eval '(($(grep -c "worker-0: \[ERROR\] t3 no" out) >= 3))'
  kill "$!"
  run -1 grep -v 't3 no' out
}

@test "a missing window is said once and the watch goes on; --once ends with 3" {
  server worker-0=cat worker-1=cat
  claude_poll.sh --interval 0.1 worker-0 worker-9 worker-1 >out 2>err 3>&- &
  eventually grep -q worker-9 err
  answer worker-1 '[DONE] t1'
  eventually grep -q t1 out
  tm rename-window -t "$(pane worker-0)" worker-9
  answer worker-9 '[DONE] t9'
  eventually grep -q 'worker-9: \[DONE\] t9' out
  kill "$!"
  [[ "$(grep -c 'no window worker-9' err)" == 1 ]]
  run --separate-stderr -3 claude_poll.sh --once worker-7 worker-1
  [[ "${output}" == *'worker-1: [DONE] t1' ]]
}

@test "a session that goes away ends the watch with 3" {
  server worker-0=cat
  claude_poll.sh --interval 0.1 worker-0 >out 2>err 3>&- &
  eventually grep -q watching err
  tm kill-server
  wait "$!" || [[ "$?" == 3 ]]
  grep 'no session room' err
}

@test "a closed pipe ends everything quietly" {
  server worker-0='for i in 1 2 3 4 5 6 7 8 9; do echo "[DONE] t$i"; done; cat' master=cat worker-1=cat worker-2=cat
  shows worker-0 t9
  local command
  for command in 'claude_poll.sh --interval 0.1 --repeat' 'claude_comm.sh poll worker-0' claude_status.sh \
    'claude_comm.sh status worker-0' 'claude_comm.sh --help'; do
    run --separate-stderr bash -c "${command} | head -n 1"
    [[ "${#lines[@]}" == 1 ]]
    run -1 grep -v -e '^watching' -e '^$' <<<"${stderr}"
  done
  run --separate-stderr bash -c 'trap "" PIPE; claude_comm.sh poll worker-0 | head -n 1'
  [[ "${#lines[@]}" == 1 && -z "${stderr}" ]]
}
