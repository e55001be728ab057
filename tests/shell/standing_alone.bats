#!/usr/bin/env bats
# shellcheck disable=SC1003,SC2009,SC2016,SC2154  # texts are data; bats and helper.bash set the variables
# The scripts need bash, tmux and five utilities, and nothing that is around them.

load helper
setup() { room; }
teardown() { finish; }

# the_flow COMMAND: send, answer, poll, watch and status with the scripts in the folder COMMAND.
the_flow() {
  run -0 "$1/claude_comm.sh" send worker-0 task-001 hello
  [[ "${output}" == 'submitted worker-0 task-001' ]]
  answer worker-0 '[DONE] task-001'
  run -0 "$1/claude_comm.sh" poll worker-0 5 task-001
  [[ "${output}" == '[DONE] task-001' ]]
  run --separate-stderr -0 "$1/claude_poll.sh" --once worker-0
  [[ "${output}" == *'worker-0: [DONE] task-001' ]]
  SWARM_WINDOWS=worker-0 run -0 "$1/claude_status.sh"
  [[ "${output}" == *'[DONE] task-001'* ]]
}

# copy FOLDER: the scripts, without anything else of the project.
copy() {
  mkdir -p "$1"
  cp "${scripts}"/claude_*.sh "${scripts}/swarm_common.sh" "$1"
}

@test "copied elsewhere, from another directory, with blanks in the path, without swarmcomm" {
  server worker-0=cat
  copy 'other place/the scripts'
  the_flow "${PWD}/other place/the scripts"
  cd 'other place'
  export SWARM_SESSION=second
  server worker-0=cat
  the_flow './the scripts'
}

@test "through symlinks, absolute and relative" {
  server worker-0=cat
  copy 'real place'
  mkdir links
  local name
  for name in comm poll status; do
    ln -s "../real place/claude_${name}.sh" "links/step_${name}.sh"
    ln -s "${PWD}/links/step_${name}.sh" "links/claude_${name}.sh"
  done
  the_flow links
  cd links
  run -0 ./claude_comm.sh --help
  run -0 bash claude_comm.sh --help
}

@test "with nothing in PATH but bash, tmux, awk, stty, ps, sleep and date" {
  server worker-0=cat
  mkdir bin
  local name
  for name in bash tmux awk stty ps sleep date; do ln -s "$(type -P "${name}")" bin; done
  local path="${PATH}"
  run -0 env -i HOME="${HOME}" PATH="${PWD}/bin" SWARM_SOCKET="${SWARM_SOCKET}" SWARM_SESSION=room ${TMUX_TMPDIR:+TMUX_TMPDIR="${TMUX_TMPDIR}"} \
    "${scripts}/claude_comm.sh" send --tag worker-0 task-001 "hello [DONE] task-001"
  answer worker-0 "[DONE] ${output##* }"
  run -0 env -i PATH="${PWD}/bin" SWARM_SOCKET="${SWARM_SOCKET}" SWARM_SESSION=room ${TMUX_TMPDIR:+TMUX_TMPDIR="${TMUX_TMPDIR}"} \
    "${scripts}/claude_poll.sh" --once worker-0
  [[ "${output}" == *'[DONE] task-001+'* ]]
  PATH="${path}"
}

@test "without the file that they share: 7, and where it must stand" {
  copy alone
  rm alone/swarm_common.sh
  local name
  for name in comm poll status; do
    run --separate-stderr "alone/claude_${name}.sh" --help
    one_line_error 7 'swarm_common.sh must stand beside it'
  done
}

@test "they hold no path of this machine, and of tmux only what they need" {
  run -1 grep -nE '/tmp|/home|/root|/Users|~/' "${scripts}"/claude_*.sh "${scripts}/swarm_common.sh"
  local verb allowed=' capture-pane copy-mode display-message if-shell list-panes send-keys '
  server worker-0=cat
  for verb in $(tm list-commands -F '#{command_list_name}'); do
    [[ "${allowed}" == *" ${verb} "* ]] || run -1 grep -nw -e "${verb}" "${scripts}"/claude_*.sh "${scripts}/swarm_common.sh"
  done
  # The one alias is set, for options of a pane.
  run -1 grep -nE '"(set|setw|new|neww|killp?|run|respawnp?) -[^p]' "${scripts}"/claude_*.sh
  grep -q 'tmux send-keys' "${scripts}/claude_comm.sh"
  grep -q 'tmux capture-pane' "${scripts}/claude_comm.sh"
}

@test "they use nothing that bash 3.2 lacks" {
  run -1 grep -nE 'declare -[A-Zg]|local -[An]|mapfile|readarray|coproc|\$\{[A-Za-z_]+(\^|,,|@)|&>>|\|&|BASHPID|printf .*%\([^)]*\)T|\[\[ -v |;;&|wait -n' \
    "${scripts}"/claude_*.sh "${scripts}/swarm_common.sh"
}

@test "--help shows every command with an example, and writes to standard output" {
  local name
  for name in comm poll status; do
    run --separate-stderr -0 "claude_${name}.sh" --help
    [[ "${lines[0]}" == "Usage: claude_${name}.sh"* && -z "${stderr}" && "${output}" != *'#!'* ]]
  done
  run -0 claude_comm.sh send --help
  local word
  for word in send send-raw poll status; do
    [[ "${output}" == *"    claude_comm.sh ${word} worker-0"* || "${output}" == *"    claude_comm.sh ${word}"* ]]
  done
}

@test "inside another tmux they talk to the server they were told" {
  server worker-0=cat
  tm new-window -d -t '=room:' -n outer "env SWARM_SOCKET='${SWARM_SOCKET}' SWARM_SESSION=room '${scripts}/claude_comm.sh' send worker-0 task-001 hello; cat" 3>&-
  shows worker-0 '[TASK] task-001'
  shows outer 'submitted worker-0 task-001'
}
