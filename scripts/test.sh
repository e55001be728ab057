#!/usr/bin/env bash
# Usage: test.sh
#
# Runs every check of swarmcomm and ends with 0 where all passed. A check that fails is named, and
# the others go on; what it printed follows at the end. Seven checks at most run at a time.
#
# The checks have a home and a place for tmux sockets of their own: the user's tmux is never touched.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
work=""  # a private folder: sockets, homes, what the checks print
lanes=() # process ids of the tests in the background

say() { printf 'test: %s\n' "$*"; }

main() {
  cd "${root}" || exit
  "${BASH}" scripts/setup.sh --dev </dev/null || exit
  fetch_programs || exit
  work=$(mktemp -d) || exit
  trap clean_up EXIT
  trap 'exit 130' INT TERM
  stand_alone
  say "some tests run in the background, since they mostly wait; the others go on meanwhile"
  # Seven lanes that take about as long as each other.
  local coordination=(tests/agents/test_{guard,hooks_settings,mcp,plugin,session_hooks,story}.py)
  local mcp=(tests/frontends/test_mcp{,_faults,_inspector}.py)
  set -m
  {
    check claude pytest tests/agents -p no:cacheprovider "${coordination[@]/#/--ignore=}"
    check tmux pytest tests/tmux -p no:cacheprovider
  } &
  lanes+=($!)
  {
    check sessions pytest "${coordination[@]}" -p no:cacheprovider
    check mcp pytest "${mcp[@]}" -p no:cacheprovider
    check soak limited scripts/soak.sh watching 60
  } &
  lanes+=($!)
  check faults pytest tests/faults -p no:cacheprovider &
  lanes+=($!)
  check bats bats_check &
  lanes+=($!)
  check swarm pytest tests/swarm -p no:cacheprovider &
  lanes+=($!)
  check frontends pytest tests/frontends -p no:cacheprovider "${mcp[@]/#/--ignore=}" &
  lanes+=($!)
  set +m
  check format ruff format --check .
  check lint ruff check .
  check types mypy
  check layers lint-imports --no-cache
  check shellcheck shell_check
  check wheel wheel_check
  check pytest pytest tests -p no:cacheprovider --ignore=tests/faults --ignore=tests/agents \
    --ignore=tests/swarm --ignore=tests/tmux --ignore=tests/frontends
  wait "${lanes[@]}"
  lanes=()
  sizes
  summary
}

# The tests run the real claude, 170 MB, and the MCP Inspector: npm brings them once, with the settings
# that it has in the real home. claude needs no account, since a stand-in of ours answers it.
fetch_programs() {
  export SWARM_TEST_CACHE="${SWARM_TEST_CACHE:-${XDG_CACHE_HOME:-${HOME}/.cache}/swarmcomm-tests}"
  say "claude and the MCP Inspector: ${SWARM_TEST_CACHE} (fetched with npm where they are not there yet)"
  .venv/bin/python -c 'from tests.agents import cli; from tests.frontends import inspector
cli.fetch(); inspector.fetch()' </dev/null
}

# Leaves out what a window of a swarm, or a person's shell, would tell the checks.
stand_alone() {
  local name
  for name in TMUX TMUX_PANE CLAUDE_SESSION BASH_ENV ENV PYTHONPATH XDG_STATE_HOME PROJECT_ID TASK_ID \
    SESSION_ROLE MASTER_SESSION_ID WORKTREE_PATH ${!SPLITMIND_*} ${!SWARM_*}; do
    [[ "${name}" == SWARM_TEST_CACHE ]] || unset "${name}"
  done
  mkdir "${work}/tmux" "${work}/logs" "${work}/home"
  export TMUX_TMPDIR="${work}/tmux" PATH="${root}/.venv/bin:${PATH}"
}

# Runs the command $2... as check $1, and notes how it ended.
check() {
  local name=$1 start=${SECONDS} log="${work}/logs/$1" state=ok
  shift
  case "${name}" in
    # pip may have its settings in the real one
    wheel) "$@" >"${log}" 2>&1 </dev/null ;;
    *) HOME="${work}/home" XDG_CONFIG_HOME="${work}/home" "$@" >"${log}" 2>&1 </dev/null ;;
  esac || state=FAILED
  [[ "${state}" == ok ]] || : >"${log}.failed"
  printf 'test: %-10s %-6s %4d s  %s\n' "${name}" "${state}" "$((SECONDS - start))" "$(last_line "${log}")"
}

last_line() { sed -e '/[^[:space:]]/!d' "$1" | tail -n 1 | cut -c 1-100; }

# A hang is a failure. bats has a limit of its own, but a test that waits for its children waits for
# that too.
limited() {
  if type -P timeout >/dev/null; then timeout 300 "$@"; else "$@"; fi
}

bats_check() {
  local file failed=0
  for file in tests/shell/*.bats; do
    limited bats --print-output-on-failure "${file}" || failed=1
  done
  return "${failed}"
}

shell_check() {
  local files=(.ci/run) file
  while IFS= read -r file; do files+=("${file}"); done < <(
    find . -name '.?*' ! -name .ci -prune -o \
      \( -name '*.sh' -o -name '*.bash' -o -name '*.bats' \) -print | sort
  )
  shellcheck -x "${files[@]}" && printf '%s files\n' "${#files[@]}"
}

# Builds the wheel, installs it into an empty environment and runs tasks with it, from a folder
# where nothing of the source is.
wheel_check() (
  set -e
  python -m build --wheel --outdir "${work}/dist" .
  python -m venv "${work}/empty"
  "${work}/empty/bin/python" -m pip install --quiet --disable-pip-version-check "${work}"/dist/*.whl
  mkdir "${work}/nowhere"
  cd "${work}/nowhere"
  export PATH="${work}/empty/bin:${PATH#*:}" HOME="${work}/home"
  export SWARM_SESSION=wheel SWARM_SOCKET="swarmtest-$$-wheel"
  python -c 'import swarmcomm; print(swarmcomm.__file__)' | grep "^${work}/empty/"
  swarmcomm --help
  swarmcomm instructions master | grep claude_comm.sh
  swarmcomm instructions worker | grep ACK
  ls -d "$(swarmcomm plugin path)"/{.claude-plugin/{plugin,marketplace}.json,hooks/hooks.json,.mcp.json,skills/*/SKILL.md}
  { swarmcomm mcp 2>&1 || true; } | grep -F "pip install 'swarmcomm[mcp]'"
  trap 'tmux -L "${SWARM_SOCKET}" kill-server' EXIT
  swarmcomm up --agent shell
  swarmcomm send worker-0 wheel-1 'echo made by the wheel > made'
  swarmcomm poll worker-0 20 wheel-1 --until DONE
  grep wheel made
  swarmcomm down
  trap - EXIT
  printf '%s\n' "${work}"/dist/*.whl | sed 's|.*/||'
)

# Lines of each part, and of these the ones that are neither blank nor a comment.
sizes() {
  say "size in lines (without blank lines and comments)"
  size "core (aim: 2000)" swarmcomm/protocol swarmcomm/agents swarmcomm/tmux swarmcomm/swarm \
    swarmcomm/frontends/cli.py swarmcomm/frontends/wire.py swarmcomm/frontends/watch.py \
    swarmcomm/frontends/arguments.py swarmcomm/frontends/output.py
  size "scripts, launcher (aim: 700)" run_claude_swarm.sh scripts/swarm_common.sh \
    scripts/claude_comm.sh scripts/claude_poll.sh scripts/claude_status.sh
  size "house: setup, test" scripts/setup.sh scripts/test.sh .ci/run
  size "store" swarmcomm/store
  size "sessions" swarmcomm/sessions swarmcomm/frontends/sessions.py swarmcomm/frontends/deliver.py
  size "frontends but the cli" swarmcomm/frontends/worker*.py swarmcomm/frontends/demo.py \
    swarmcomm/frontends/doctor.py swarmcomm/frontends/status_log.py swarmcomm/frontends/hooks \
    swarmcomm/frontends/mcp
  size "tests" tests
}

size() {
  local name=$1
  shift
  find "$@" \( -name '*.py' -o -name '*.sh' -o -name '*.bats' -o -name '*.bash' -o -name run \) \
    ! -name agents.sh -exec cat {} + 2>/dev/null |
    awk -v name="${name}" '{ all++ } !/^[[:space:]]*(#|$)/ { code++ }
      END { printf "test:   %-30s %5d (%d)\n", name, all, code }'
}

summary() {
  local failed names=""
  for failed in "${work}"/logs/*.failed; do
    [[ -e "${failed}" ]] || break
    failed=${failed%.failed}
    names="${names} ${failed##*/}"
    printf '\n===== %s =====\n' "${failed##*/}"
    cat "${failed}"
  done
  if [[ -z "${names}" ]]; then
    say "all checks passed in ${SECONDS} s"
  else
    say "FAILED after ${SECONDS} s:${names}"
    exit 1
  fi
}

clean_up() {
  local socket lane
  for lane in ${lanes[@]+"${lanes[@]}"}; do kill -- "-${lane}" 2>/dev/null; done
  for socket in "${work}"/tmux/tmux-*/*; do
    [[ ! -S "${socket}" ]] || tmux -S "${socket}" kill-server 2>/dev/null
  done
  rm -rf "${work}"
}

main "$@"
