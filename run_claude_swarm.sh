#!/usr/bin/env bash
# Usage: run_claude_swarm.sh [--attach | --no-attach] [--workdir | -d DIR] [--session S]
#                            [--agent NAME | --agent-file FILE | --command CMD] [--no-hooks]
#                            [--demo] [--help]
#
# Starts a swarm: one tmux session with the windows master, worker-0, worker-1 and worker-2, and an
# agent in each of them. Attaches when it stands on a terminal, otherwise says how to.
#
#   --attach, --no-attach   attach in any case, or in none
#   --workdir, -d DIR       folder that the agents work in (SWARM_WORKDIR; else the current one)
#   --session S             name of the session (SWARM_SESSION; else swarm-claude-default)
#   --agent NAME            kind of agent: claude, or shell, which is built in (SWARM_AGENT; else claude)
#   --agent-file FILE       the profile of an agent of your own; profiles in ~/.config/swarmcomm/agents
#                           are found by their name
#   --command CMD           a shell command in each window in place of an agent
#   --no-hooks              claude's hooks do not write down what it is told and says (SWARM_HOOKS=0)
#   --demo                  show a swarm at work, on a tmux server of its own, and clean up
#
# SWARM_SOCKET names the tmux server (tmux -L), SWARM_TMUX the tmux program, SWARM_WINDOWS the
# windows. Exit status: 0 done, 2 usage, 3 tmux failed or an agent ended at once, 5 the session is
# already there or may not be started from within another, 7 something is not installed.
set -euo pipefail
unset CDPATH

here=${BASH_SOURCE[0]}
while [[ -L "${here}" ]]; do
  link=$(readlink "${here}")
  if [[ "${link}" == /* || "${here}" != */* ]]; then here=${link}; else here=${here%/*}/${link}; fi
done
root=$(cd "$(dirname "${here}")" && pwd -P)
# shellcheck source-path=SCRIPTDIR source=swarmcomm/agents/agents.sh
source "${root}/swarmcomm/agents/agents.sh"

session=""     # name
agent=""       # profile, or empty where there is
command=""     # a command in its place
agent_file=""  # of a profile that does not ship
workdir=""     # absolute
agent_ready="" # as long as there is no profile
hooks=${SWARM_HOOKS:-1}
spool=""       # folder that hooks write to, or empty where they do not
tmux=()        # the program and its options
levels=""      # of sessions below a person
half_made=""   # id of the session until all its windows are there

say() { printf '%s\n' "$*"; }
warn() { printf 'run_claude_swarm.sh: %s\n' "$*" >&2; }
die() {
  local status=$1
  shift
  warn "$*"
  exit "${status}"
}

main() {
  local attach=auto demo=""
  session=${SWARM_SESSION:-${CLAUDE_SESSION:-$(conf SESSION)}}
  workdir=${SWARM_WORKDIR:-${PWD}}
  while (($#)); do
    case "$1" in
      --workdir | -d | --session | --agent | --agent-file | --command)
        [[ -n "${2:-}" ]] || die 2 "$1 needs a value" ;;
    esac
    case "$1" in
      --attach | --no-attach) attach=${1#--} ;;
      --workdir | -d) workdir=$2 && shift ;;
      --session) session=$2 && shift ;;
      --agent) agent=$2 && shift ;;
      --agent-file) agent_file=$2 && shift ;;
      --command) command=$2 && shift ;;
      --no-hooks) hooks=0 ;;
      --demo) demo=1 ;;
      --help | -h) help && exit 0 ;;
      *) die 2 "unknown option '$1'; --help shows them all" ;;
    esac
    shift
  done
  [[ -z "${agent}${agent_file}" || -z "${command}" ]] || die 2 "--agent and --command exclude each other"
  [[ -z "${agent}" || -z "${agent_file}" ]] || die 2 "--agent and --agent-file exclude each other"
  [[ -z "${demo}" ]] || run_demo
  if [[ -n "${agent_file}" ]]; then
    agent=${agent_file##*/}
    agent=${agent%.toml}
  fi
  [[ -n "${command}" ]] || agent=${agent:-${SWARM_AGENT:-claude}}
  check_words "${attach}"
  workdir=$(cd "${workdir}" && pwd -P)
  find_tmux
  if may_be_ours; then hand_over "${attach}"; fi
  check_levels
  if in_tmux has-session -t "=${session}" 2>/dev/null; then already_there "${attach}"; fi
  build
  say "session ${session} in ${workdir}: $(windows)"
  say "attach with: $(shown attach -t "'=${session}'")"
  settle || exit 3
  if wants_attach "${attach}"; then exec "${tmux[@]}" attach-session -t "=${session}"; fi
}

help() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }

run_demo() {
  local python
  python=$(find_python) || exit 7
  exec "${python}" -P -m swarmcomm demo
}

# Ends with status 2 where a name, the folder or the wish to attach ($1) cannot be had.
check_words() {
  local name
  [[ "${session}" =~ ^[A-Za-z0-9_-]+$ ]] ||
    die 2 "'${session}' is no session name; letters, digits, '_' and '-' are allowed"
  for name in $(windows); do
    [[ "${name}" =~ ^[A-Za-z0-9_-]+$ ]] ||
      die 2 "'${name}' is no window name; letters, digits, '_' and '-' are allowed"
  done
  [[ -n "$(windows | tr -d ' \t\n')" ]] || die 2 "SWARM_WINDOWS is blank; name the windows, or unset it"
  [[ -z "$(windows | tr ' ' '\n' | sort | uniq -d)" ]] || die 2 "two windows have the same name"
  [[ -d "${workdir}" && -x "${workdir}" ]] ||
    die 2 "no folder '${workdir}' to work in; give one that is there with --workdir"
  [[ -z "${agent}" ]] || load_profile
  [[ "$1" != attach ]] || can_attach || die 2 "--attach needs a terminal that is not inside tmux"
}

# Sets agent_*: from the user's own file, which needs Python to be read, or from ours.
load_profile() {
  local python text own="${XDG_CONFIG_HOME:-${HOME:-}/.config}/swarmcomm/agents/${agent}.toml"
  if [[ -z "${agent_file}" && "${agent}" =~ ^[a-z0-9][a-z0-9_-]*$ && -f "${own}" ]]; then agent_file=${own}; fi
  if [[ -n "${agent_file}" ]]; then
    python=$(find_python) || exit 7
    text=$("${python}" -P -m swarmcomm.agents.generate "${agent_file}") || exit 2
    eval "${text}"
  fi
  agent_profile "${agent}" || die 2 "no agent '${agent}'; there are ${agent_names// /, }"
}

# Prints the value of key $1 in session.conf.
conf() { sed -n "s/^$1=//p" "${root}/swarmcomm/session.conf"; }

windows() { say "${SWARM_WINDOWS:-$(conf WINDOWS)}"; }

find_tmux() {
  local program=${SWARM_TMUX:-tmux} version
  type -P "${program}" >/dev/null ||
    die 7 "${program} is not installed; install tmux 3.2 or later, or run ${root}/scripts/setup.sh"
  version=$("${program}" -V) || die 7 "'${program} -V' failed; install tmux 3.2 or later"
  case "${version}" in
    "tmux "[0-2].* | "tmux "3.[01]*) die 7 "${version} is too old; install tmux 3.2 or later" ;;
  esac
  tmux=("${program}" -u)
  [[ -z "${SWARM_SOCKET:-}" ]] || tmux+=(-L "${SWARM_SOCKET}")
}

in_tmux() { "${tmux[@]}" "$@"; }

# Prints the tmux command $* as a person types it.
shown() { say "${SWARM_TMUX:-tmux} ${SWARM_SOCKET:+-L ${SWARM_SOCKET} }$*"; }

can_attach() { [[ -t 0 && -t 1 && -z "${TMUX:-}" ]]; }

wants_attach() { [[ "$1" == attach ]] || { [[ "$1" == auto ]] && can_attach; }; }

already_there() {
  if wants_attach "$1"; then exec "${tmux[@]}" attach-session -t "=${session}"; fi
  warn "session ${session} is already there; attach with: $(shown attach -t "'=${session}'")"
  warn "or end it with: $(shown kill-session -t "'=${session}'")"
  exit 5
}

# Tells whether a session of ours may be asking: by the environments of this program and of those
# that it comes from, and by our options on the tmux panes that they are in. So persons are told
# apart without Python; all else is for Python to say.
may_be_ours() {
  local name line pid pane id level said socket pids="" places=" " project="" part="" asked=() words
  pids=$(ancestors)
  while IFS= read -r line; do
    case "${line}" in
      SPLITMIND_SESSION_LEVEL=0) ;;
      SPLITMIND_SESSION_LEVEL=?* | SWARM_SESSION_NAME=?*) return 0 ;;
      PROJECT_ID=?*) project=1 ;;
      SESSION_ROLE=?* | TASK_ID=?* | MASTER_SESSION_ID=?*) part=1 ;;
      TMUX_PANE=%*) places+="${line#*=} " ;;
      TMUX=/*,*,*)
        socket=${line#*=}
        places+="\$${socket##*,} "
        socket=${socket%,*,*}
        [[ " ${asked[*]-} " == *" ${socket} "* ]] || asked+=("${socket}")
        ;;
    esac
  done < <(
    for name in SPLITMIND_SESSION_LEVEL SWARM_SESSION_NAME PROJECT_ID SESSION_ROLE TASK_ID \
      MASTER_SESSION_ID TMUX_PANE TMUX; do say "${name}=${!name:-}"; done
    environments "${pids}"
  )
  [[ -z "${project}" || -z "${part}" ]] || return 0
  for socket in "" ${asked[@]+"${asked[@]}"}; do
    words=("${tmux[@]}")
    if [[ -n "${socket}" ]]; then words=("${tmux[0]}" -u -S "${socket}"); fi
    said=$("${words[@]}" list-panes -a -F '#{pane_pid} #{pane_id} #{session_id} #{@swarm_level}' 2>&1) ||
      case "${said}" in
        *"no server running"* | *"error connecting"* | *"no sessions"* | *"server exited"*) continue ;;
        *) return 0 ;;
      esac
    while read -r pid pane id level; do
      [[ -n "${level}" ]] || continue
      case " ${pids} ${places}" in *" ${pid} "* | *" ${pane} "* | *" ${id} "*) return 0 ;; esac
    done <<<"${said}"
  done
  return 1
}

# Prints the ids of this program and of all that it comes from.
ancestors() {
  local pid=$$ pids=" " stat
  if [[ -r /proc/$$/stat ]]; then
    while [[ "${pid}" == [1-9]* && "${pids}" != *" ${pid} "* ]] && read -r stat <"/proc/${pid}/stat"; do
      pids+="${pid} "
      stat=${stat##*) } # the name of the program, in brackets, may hold anything
      stat=${stat#* }
      pid=${stat%% *}
    done 2>/dev/null
    say "${pids}"
  else
    # shellcheck disable=SC2009
    ps -A -o pid= -o ppid= | awk -v pid=$$ '
      { parent[$1] = $2 }
      END { while (pid > 0 && !seen[pid]++) { printf "%s ", pid; pid = parent[pid] } }'
  fi
}

# Prints what the environments of the processes $1 began with, NAME=VALUE on a line each.
environments() {
  local pid files=()
  for pid in $1; do
    if [[ -r "/proc/${pid}/environ" ]]; then files+=("/proc/${pid}/environ"); fi
  done
  if [[ -n "${files[*]-}" ]]; then
    cat "${files[@]}" 2>/dev/null | tr '\n\0' ' \n'
  elif [[ ! -d /proc/self ]]; then
    # shellcheck disable=SC2086
    ps eww -o command= -p "$(tr -s ' ' ',' <<<"${1% }")" | tr ' ' '\n'
  fi
}

# Lets Python say whether a session of ours may start another one, and build it, the same as here.
# Nothing is installed for that. $1: the wish to attach.
hand_over() {
  local python=${root}/.venv/bin/python words=(--session "${session}" --workdir "${workdir}")
  [[ -x "${python}" ]] || python=python3
  "${python}" -P -c 'import swarmcomm, libtmux, click' 2>/dev/null ||
    die 5 "asked from within a session, and there is no Python that can say what that one may; run ${root}/scripts/setup.sh, or have a person start it from outside"
  if [[ -n "${agent_file}" ]]; then
    words+=(--agent-file "${agent_file}")
  elif [[ -n "${agent}" ]]; then
    words+=(--agent "${agent}")
  else
    words+=(--command "${command}")
  fi
  if [[ "${hooks}" == 0 ]]; then words+=(--no-hooks); fi
  "${python}" -P -m swarmcomm up "${words[@]}" || exit
  if wants_attach "$1"; then exec "${tmux[@]}" attach-session -t "=${session}"; fi
  exit 0
}

# Ends where a person wants no levels of sessions, or no number of them.
check_levels() {
  levels=${SPLITMIND_MAX_NESTING:-2}
  [[ "${levels}" =~ ^[0-9]{1,9}$ ]] ||
    die 2 "SPLITMIND_MAX_NESTING='${levels}' is no number of levels; give 1 or more"
  levels=$((10#${levels}))
  ((levels)) || die 5 "SPLITMIND_MAX_NESTING=0 allows no session at all; unset it, or set 1 or more"
}

# Makes the whole session, or nothing.
build() {
  local program="" python="" hook_settings="" first="" window
  [[ -z "${agent}" ]] || find_program
  [[ -z "${agent}" || -z "${agent_hooks}" || "${hooks}" == 0 ]] || find_hooks
  trap undo EXIT
  make_session
  for window in $(windows); do make_window "${window}"; done
  half_made=""
}

# What fails in here would become the exit status.
undo() { [[ -z "${half_made}" ]] || in_tmux kill-session -t "${half_made}" 2>/dev/null || :; }

# Sets program and python to absolute paths, since the server may look along another PATH.
find_program() {
  local line
  if [[ "${agent_command[0]}" == "{python}" ]]; then
    if python=$(find_python); then program=${python} && return; fi
  elif program=$(type -P "${agent_command[0]}"); then
    return
  fi
  for line in "${agent_missing[@]}"; do warn "${line}"; done
  exit 7
}

# Sets spool to a private folder and hook_settings to what makes the agent write there; leaves them
# empty where there is no Python 3 or no such folder. Removes files of servers that are gone.
find_hooks() {
  local hook_python folder file pid
  hook_python=$(python3 -I -S -c 'import fcntl, sys; print(sys.executable)' 2>/dev/null) || return 0
  folder=$(state_folder)/witness
  [[ "${folder}" == /* && "${folder}" != *[[:cntrl:]]* && ${#folder} -le 1000 ]] || return 0
  { (umask 077 && mkdir -p "${folder}") && chmod 700 "${folder}"; } 2>/dev/null || return 0
  while IFS= read -r file; do
    pid=${file##*/}
    kill -0 "${pid%%-*}" 2>/dev/null || rm -f "${file}"
  done < <(find "${folder}" -name '[0-9]*-[0-9]*.jsonl' -mtime +0)
  spool=${folder}
  hook_settings=${agent_hooks}
  fill_in python "${hook_python}"
  fill_in hook "${root}/swarmcomm/frontends/hooks/witness.py"
  fill_in spool "${spool}"
}

# Prints the folder for what we keep, or nothing where there is no home.
state_folder() {
  local folder=${SWARM_STATE_DIR:-}
  [[ -n "${folder}" || -z "${XDG_STATE_HOME:-}" ]] || folder=${XDG_STATE_HOME}/swarmcomm
  [[ -n "${folder}" || -z "${HOME:-}" ]] || folder=${HOME}/.local/state/swarmcomm
  [[ -z "${folder}" || "${folder}" == /* ]] || folder=${PWD}/${folder}
  say "${folder%/}"
}

# Puts $2, as a JSON string, in the place of each {$1} in hook_settings.
fill_in() {
  local value=$2 rest=${hook_settings}
  value=${value//\\/\\\\}
  value=${value//\"/\\\"}
  hook_settings=""
  while [[ "${rest}" == *"{$1}"* ]]; do
    hook_settings+="${rest%%"{$1}"*}\"${value}\""
    rest=${rest#*"{$1}"}
  done
  hook_settings+=${rest}
}

# Prints a Python that has swarmcomm: the one of setup.sh, else one that is there already.
find_python() {
  if "${BASH}" "${root}/scripts/setup.sh" >&2; then
    say "${root}/.venv/bin/python"
  else
    python3 -P -c 'import sys, swarmcomm; print(sys.executable)' 2>/dev/null
  fi
}

# Sets half_made, and first, the place of the first window: history-limit counts only for windows
# made after it was set, so a stand-in has the place until then. One command list, since a user's
# "destroy-unattached on" would end the session at once.
make_session() {
  local variable said="" variables=()
  for variable in PATH="$(path_with_scripts)" SWARM_SESSION="${session}" \
    SWARM_SOCKET="${SWARM_SOCKET:-}" SWARM_WORKDIR="${workdir}" SWARM_SESSION_NAME= \
    SPLITMIND_SESSION_LEVEL=1 SPLITMIND_PARENT_SESSION= SPLITMIND_MAX_NESTING="${levels}" \
    ${SWARM_STATE_DIR:+"SWARM_STATE_DIR=${SWARM_STATE_DIR}"} ${SWARM_TMUX:+"SWARM_TMUX=${SWARM_TMUX}"}; do
    literal "${variable}"
    variables+=(-e "${literal}")
  done
  said=$(cd "${workdir}" && in_tmux new-session -d -P -F '#{session_id}:#{window_index}' \
    -s "${session}" -n stand-in -x "$(conf WIDTH)" -y "$(conf HEIGHT)" "${variables[@]}" \
    sleep 600 \; \
    set-option -t "=${session}:" destroy-unattached off \; \
    set-option -t "=${session}:" history-limit "$(conf HISTORY_LIMIT)" \; \
    set-option -t "=${session}:" @swarm_level 1 \; \
    set-option -t "=${session}:" @swarm_parent "" \; \
    set-option -t "=${session}:" @swarm_max_nesting "${levels}" \; \
    set-option -t "=${session}:" @swarm_role worker 2>&1) || {
    half_made=$(sed -n 's/^\([$][0-9]*\):.*/\1/p' <<<"${said}")
    if [[ "${said}" == "duplicate session"* ]]; then already_there no-attach; fi
    die 3 "tmux could not make session ${session}: ${said}"
  }
  first=${said}
  half_made=${said%%:*}
}

# Makes window $1. Its agent is the pane's own process and starts when all options are set.
make_window() {
  local pane server option role=worker argv=(env PATH="$(path_with_scripts)" sh -c "${command}") words=() place=(-t "${half_made}:")
  if [[ "$1" == master ]]; then role=master; fi
  if [[ -n "${agent}" ]]; then agent_argv "${role}"; fi
  if [[ -n "${first}" ]]; then place=(-k -t "${first}"); fi
  first=""
  pane=$(cd "${workdir}" &&
    in_tmux new-window -d -P -F '#{pane_id} #{pid}' -n "$1" "${place[@]}" sleep 600 2>&1) ||
    die 3 "tmux could not make window $1: ${pane}"
  server=${pane#* }
  pane=${pane%% *}
  set_option -w automatic-rename off
  set_option -w allow-rename off
  set_option -w window-size manual
  set_option -w remain-on-exit on
  set_option -p @swarm_role "${role}"
  set_option -p @swarm_level 1
  set_option -p @swarm_parent ""
  set_option -p @swarm_max_nesting "${levels}"
  if [[ -n "${agent}" ]]; then
    for option in "${agent_options[@]}"; do set_option -p "${option%%=*}" "${option#*=}"; done
  fi
  if [[ -n "${spool}" ]]; then
    rm -f "${spool}/${server}-${pane#%}.jsonl" # a server before this one may have had the same number
    set_option -p @swarm_witness "${spool}"
  fi
  words+=(respawn-pane -k -t "${pane}")
  for word in "${argv[@]}"; do
    literal "${word}"
    words+=("${literal}")
  done
  in_tmux "${words[@]}" || die 3 "tmux could not start the agent in window $1"
}

# Adds to words: set option $2 of kind $1 to $3.
set_option() {
  literal "$3"
  words+=(set-option "$1" -t "${pane}" "$2" "${literal}" ";")
}

# Sets argv to what the profile starts for role $1.
agent_argv() {
  local word i
  argv=(env)
  for word in ${agent_unset[@]+"${agent_unset[@]}"}; do argv+=(-u "${word}"); done
  argv+=(${agent_environment[@]+"${agent_environment[@]}"} PATH="$(path_with_scripts)" "${program}")
  for ((i = 1; i < ${#agent_command[@]}; i++)); do
    argv+=("${agent_command[i]//"{python}"/${python}}")
  done
  if [[ -n "${spool}" ]]; then argv+=("${agent_hooks_flag}" "${hook_settings}"); fi
  if [[ -n "${agent_instructions_flag}" ]]; then
    argv+=("${agent_instructions_flag}" "$(<"${root}/swarmcomm/agents/$1.md")")
  fi
}

# Sets literal to $1 as tmux takes it for one word: a semicolon at its end would end the command.
literal() {
  literal=$1
  if [[ "$1" == *\; ]]; then literal="${1%;}\\;"; fi
}

# Prints our PATH and behind it the scripts, for the master. It stands in the agent's command, since
# tmux gives a pane the PATH of who asks for it, not the session's.
path_with_scripts() {
  case ":${PATH}:" in
    *":${root}/scripts:"*) say "${PATH}" ;;
    *) say "${PATH}:${root}/scripts" ;;
  esac
}

# Waits until every agent shows its input line, or for a moment where none is known. Fails where
# one has ended; its pane stays.
settle() {
  local tries window dead status pane row missing limit=SETTLE_MS ended=0
  if [[ -n "${agent_ready}" ]]; then limit=READY_MS; fi
  tries=$(($(conf "${limit}") / 100))
  while ((tries-- > 0)); do
    missing=gone
    while read -r dead status pane row window; do
      [[ "${missing}" != gone ]] || missing=""
      if ((dead && ended)); then
        warn "the program in window ${window} ended at once (status ${status#x})$(last_words "${pane}")"
      fi
      if ((dead)); then
        missing=dead
      elif [[ -z "${agent_ready}" ]] || ! input_line "${pane}" "${row}"; then
        missing=${missing:-ready}
      fi
    done < <(in_tmux list-panes -s -t "=${session}:" 2>/dev/null \
      -F '#{pane_dead} x#{pane_dead_status} #{pane_id} #{cursor_y} #{window_name}')
    [[ -n "${missing}" ]] || return 0
    if [[ "${missing}" == gone ]]; then
      warn "session ${session} ended while its agents started"
      return 1
    fi
    # What ends one window ends the others a moment later: they are told together.
    [[ "${missing}" != dead ]] || ((++ended < 2)) || return 1
    sleep 0.1
  done
}

# tmux 3.3a sometimes loses what a program prints just before its end.
last_words() {
  in_tmux capture-pane -p -S - -t "$1" |
    sed -e '/^Pane is dead/d' -e '/^ *$/d' -e 's/^/: /' | tail -n 1
}

# Is row $2 of pane $1 an empty input line?
input_line() { [[ "$(in_tmux capture-pane -p -t "$1" -S "$2" -E "$2")" =~ ${agent_ready} ]]; }

main "$@"
