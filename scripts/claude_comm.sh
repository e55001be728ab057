#!/usr/bin/env bash
# Usage: claude_comm.sh [--session S] [--socket L] COMMAND ...
#
#   send [--tag] [--wait 30] WINDOW TASK_ID DESCRIPTION
#       Types the task into the window and sees that it was submitted. "-" as the description reads
#       standard input. Waits so long for a window that can take it. --tag adds a fresh tag.
#         claude_comm.sh send worker-0 task-001 "create hello.py"
#         claude_comm.sh send --wait 60 worker-0 task-002 - < task.txt
#   send-raw [--wait 30] WINDOW TEXT
#       Types a text that is no task, or "-", in the same way.
#         claude_comm.sh send-raw worker-0 "use the other branch"
#   poll WINDOW [TIMEOUT=30] [TASK_ID]
#   poll WINDOW [--timeout N] [--task-id ID] [--until DONE,ERROR]
#       Prints each answer when it is seen, and ends at the first one that comes, or at once when
#       one other than ACK is there. A time of 0 is one look. --until waits for one of these, or
#       for the end of the task.
#         claude_comm.sh poll worker-0 60 task-001
#         claude_comm.sh poll worker-0 --task-id task-001 --until DONE,ERROR
#   status WINDOW
#       Shows the last 20 lines.
#         claude_comm.sh status worker-0
#
# The wire is tmux send-keys and tmux capture-pane; protocol.md says what goes over it.
# Environment: SWARM_SESSION, SWARM_SOCKET, SWARM_TMUX, SWARM_TAG=1, SWARM_INTERVAL (seconds).
# Status: 0 done, 1 time ran out, 2 usage, 3 no such window, 4 typed and not confirmed, 5 refused
# before typing, 6 the task ended in ERROR (with --until), 7 tmux is missing, 130 interrupted.

me=claude_comm.sh here="${BASH_SOURCE[0]}"
while [[ -L "${here}" ]]; do
  link="$(readlink "${here}")"
  if [[ "${link}" == /* || "${here}" != */* ]]; then here="${link}"; else here="${here%/*}/${link}"; fi
done
[[ "${here}" == */* ]] || here="./${here}"
[[ -r "${here%/*}/swarm_common.sh" ]] || { echo "${me}: swarm_common.sh must stand beside it" >&2 && exit 7; }
# shellcheck source-path=SCRIPTDIR source=swarm_common.sh
. "${here%/*}/swarm_common.sh"

readonly TEXT_MAX=65536      # bytes of a text
readonly STEP_MS=30          # between two looks while typing
readonly TURN_MS=100         # between two tries to have the turn; whoever has it keeps it for longer
readonly SEEN_MS=5000        # for a text to be seen at the cursor
readonly ALIKE_MS=3000       # for a piece that changes nothing on the screen; a busy machine needs 2 s
readonly READY_MS=700        # for the box to come back after a text that has just left, and to be painted
readonly CLEAR_BURST='15 15 15 15 15 15 15 15 15 15 15 15 15 15 15 15 15 15 15 15' # C-u for a left-over
readonly CLEAR_BURSTS=100    # an agent may need two C-u for a line, and drops longer bursts
readonly PLAIN_LINES=200     # of a text that names its own answers, in a plain terminal
readonly STILL_MS=1000       # for it to stand still before each of them
readonly CLEARED_MS=300      # for the box to be empty after each
readonly ROW_SPARE=2         # columns of a row in a box that the first piece leaves free
readonly LEFT_MS='3000 2000' # for it to leave, after the first and the second Enter; to paint takes 2 s at most
readonly LOCK_STALE_MS=10000 # few type for so long; a holder that wakes up again is refused
wait_ms=30000 tag="${SWARM_TAG-}" timeout='' ask='' until=''

# under_lock COMMAND: a tmux command, if the lock is still ours and the pane can take keys.
under_lock() {
  local same="#{&&:#{==:#{@swarm_lock},${lock}},#{==:#{pid},${server}}}"
  local able='#{?#{||:#{pane_dead},#{||:#{pane_in_mode},#{pane_input_off}}},0,1}'
  problem='it is gone'
  ask tmux if-shell -F -t "${pane}" "#{&&:${same},${able}}" "$1" \
    "display-message -p -t ${pane} 'lost#{pane_dead}'" || return
  problem='it entered a mode, or another sender took over'
  [[ "${reply}" != lost1 ]] || problem='its program has ended'
  [[ "${reply}" != lost* ]]
}

# press HEX...: bytes, so that no text is ever the name of a key, a flag or a command.
press() { under_lock "send-keys -t ${pane} -H $*"; }

# random: sets `word` to 8 letters and digits.
random() {
  local bytes
  word=''
  while ((${#word} < 8)); do
    IFS= read -r -d '' -n 256 bytes </dev/urandom
    word+="${bytes//[^a-z0-9]/}"
  done
  word="${word:0:8}"
}

# take_lock: our turn on the pane, and `left_over` where a sender died with its text still there;
# status 1 when others have it till the deadline. A holder that is dead or stands still is replaced.
# What no sender wrote (no PID.RANDOM) counts for nothing, and is not compared: it may be a format.
take_lock() {
  local old='' holder='' since=0 at="-t ${pane}" form='[0-9]+[.]' char='[a-z0-9]'
  form="^${form}${char}${char}${char}${char}${char}${char}${char}${char}\$"
  random
  lock="$$.${word}"
  while :; do
    ask tmux if-shell -F -t "${pane}" "#{&&:#{||:#{==:#{@swarm_lock},${old}},#{?#{m/r:${form},#{@swarm_lock}},0,1}},#{==:#{pid},${server}}}" \
      "set -p ${at} @swarm_lock ${lock} ; display-message -p ${at} 'taken #{@swarm_typing}'" \
      "display-message -p ${at} 'held #{@swarm_lock}'" || die 3 "window ${window} went away"
    left_over="${reply#taken }"
    [[ "${reply}" != taken* ]] || return 0
    clock
    [[ "${reply}" == "held ${holder}" ]] || { holder="${reply#held }" && since="${now}"; }
    old=''
    if [[ "${holder}" =~ ^[0-9]+\.[a-z0-9]{8}$ ]] && { ((now - since > LOCK_STALE_MS)) ||
      ! { kill -0 "${holder%.*}" || ps -p "${holder%.*}"; }; } >/dev/null 2>&1; then
      old="${holder}" # kill also fails on the processes of others, ps shows them
    else
      problem='another sender is typing into it'
      ((now < deadline)) || return 1
      nap "${TURN_MS}"
    fi
  done
}

release_lock() {
  local mine="${lock}"
  lock=''
  [[ -z "${mine}" ]] ||
    ask tmux if-shell -F -t "${pane}" "#{==:#{@swarm_lock},${mine}}" "set -pu -t ${pane} @swarm_lock"
}

# look: the window as it is now; status 1 and `problem` where it is gone or dead.
look() { list_panes && find_window "${window}" && [[ "${dead}" == 0 ]]; }

# within MILLISECONDS COMMAND...: whether it succeeds in time.
within() {
  local deadline
  deadline_in "$1"
  until "${@:2}"; do
    clock
    ((now < deadline)) || return 1
    nap "${STEP_MS}"
  done
}

# take_manner: how the agent in the pane is typed to, as its launcher wrote it there; without
# `ready` it is a plain terminal.
take_manner() {
  local name show=()
  for name in ready busy dialog refuse column pause piece paste; do
    show+=(';' display-message -p -t "${pane}" "#{@swarm_${name}}")
  done
  ask tmux "${show[@]:1}" || return
  {
    for name in ready busy dialog refuse; do
      IFS= read -r "${name?}"
      [[ -n "${!name}" ]] || continue
      [[ '' =~ ${!name} ]]
      (($? < 2)) || die 5 "window ${window}: its @swarm_${name} '${!name}' is no pattern"
    done
    for name in column pause piece; do
      IFS= read -r "${name?}"
      [[ "${!name}" =~ ^(0|[1-9][0-9]{0,8})?$ ]] ||
        die 5 "window ${window}: its @swarm_${name} '${!name}' is no number"
    done
    IFS= read -r paste
  } < <(printf '%s\n' "${reply}" 2>/dev/null)
}

# see_cursor: the window as it is now, with the row at its cursor and those below it.
see_cursor() {
  look && ask tmux capture-pane -p -t "${pane}" -S "${row}" || return
  at="${reply%%$'\n'*}"
  below="${reply#"${at}"}"
}

box_is_empty() { [[ "${at}" =~ ${ready} && (-z "${column}" || "${cursor}" == "${column}"/*) ]]; }
box_gets_empty() { see_cursor && box_is_empty; }

# shows PATTERN ROWS: whether one of the rows matches.
shows() {
  local line
  while IFS= read -r line; do
    [[ ! "${line}" =~ $1 ]] || return 0
  done < <(printf '%s\n' "$2" 2>/dev/null)
  return 1
}

no_dialog() {
  problem='a dialog is open and waits for a person'
  [[ -z "${dialog}" ]] || ! shows "${dialog}" "${at}${below}"
}

# is_ready: whether the agent takes a text now; else `problem`.
is_ready() {
  [[ -n "${ready}" ]] || return 0
  see_cursor && no_dialog || return
  problem='the agent is busy'
  [[ -z "${busy}" ]] || ! shows "${busy}" "${below#?}" || return
  problem="the agent is not ready for a text (at its cursor stands '${at}')"
  box_is_empty
}

# clear_left_over: what a sender that went away left in the box; C-u clears a line at the most.
clear_left_over() {
  local bursts
  for ((bursts = 0; bursts < CLEAR_BURSTS; bursts++)); do
    see_cursor && no_dialog || return
    if [[ -z "${ready}" ]]; then press 15 && break || return; fi
    press "${CLEAR_BURST}" || return
    if within "${CLEARED_MS}" box_gets_empty; then break; fi
  done
  problem='the text of a sender that went away stands in its box'
  ((bursts < CLEAR_BURSTS)) || return
  under_lock "set -pu -t ${pane} @swarm_typing"
}

# stands: whether the end of what was typed stands at the cursor. A plain terminal acts on each
# line, so what it prints may already stand behind our last one, or in the middle of its echo.
stands() {
  local top last="${cursor}" char other
  look || die 4 "window ${window}: ${problem}"
  top=$((row > 20 ? row - 20 : 0)) # more rows than 8 characters take
  if [[ -n "${by_line}" ]]; then
    top=$((before_row + before_history - history))
    ((top <= before_row)) || top=0
  fi
  ask tmux capture-pane -p -t "${pane}" -S "${top}" -E "${row}" || die 4 "window ${window} went away"
  at="${reply##*$'\n'}"
  shown="${reply}"
  reply="${reply//[^!-~]/}"
  [[ -z "${ready}" ]] || ! box_is_empty || return
  [[ "${reply}" != *"${tail}" ]] || return 0
  [[ -n "${by_line}" ]] || return
  [[ "${reply}" != *"${tail}"* ]] || return 0
  [[ "${cursor}" == "${last}" ]] || return
  for ((char = 0; char < ${#tail}; char++)); do
    other="${reply%%"${tail:char:1}"*}"
    [[ "${other}" != "${reply}" ]] || return
    reply="${reply:${#other}+1}"
  done
}

# see_start: the window just before the typing; status 1 when its box is not empty any more. Sets
# `prompt` to the box's row up to the cursor, in characters, and `room` to what the row has left.
see_start() {
  local count rest next
  room=0
  if [[ -z "${ready}" ]]; then look; return; fi
  see_cursor || return
  problem='its box was empty and is not any more'
  box_is_empty || return
  count="${cursor%%/*}" rest="${at}"
  room=$((width > count + ROW_SPARE ? width - count - ROW_SPARE : 1))
  for (( ; count > 0; count--)); do
    next="${rest:1}"
    rest="${next#"${next%%[!$'\200'-$'\277']*}"}"
  done
  prompt="${at:0:${#at}-${#rest}}"
  prompt="${prompt%"${prompt##*[! ]}"}"
}

# stands_alone: whether the box holds what was typed, from its first row on, and nothing else. An
# agent takes keys in their order, so nothing that was typed before can appear any more.
stands_alone() {
  local rest=$'\n'"${shown}" box next
  while [[ "${rest}" == *$'\n'"${prompt}"* ]]; do
    rest="${rest#*$'\n'"${prompt}"}"
    box="${rest//[$' \t\n']/}"
    next="${box:1}"
    [[ "=${box:0:1}${next//[^!-~]/}" != "${whole}" ]] || return 0
  done
  return 1
}

# has_arrived: it stands and was not there before. The box was empty before the first piece. In a
# full one the cursor tells a piece from one that may end in the same words; where it ends both at
# one place, the piece is taken after a while, however many looks a busy machine has for that.
has_arrived() {
  stands || return
  if [[ -n "${whole}" ]]; then stands_alone; return; fi
  [[ "${cursor}" == "${before}" ]] || return 0
  [[ -n "${ready}" ]] || return
  [[ "${last_tail}" == *"${tail}" || "${tail}" == *"${last_tail}" ]] || return 0
  clock
  ((now >= alike_till))
}
see_arrive() {
  local alike_till deadline
  deadline_in "${ALIKE_MS}"
  alike_till="${deadline}"
  within "${SEEN_MS}" has_arrived || {
    problem='the text was not seen to arrive'
    [[ -z "${whole}" || "${shown//[^!-~]/}" != *"${tail}"* ]] ||
      problem='something else stands in its box beside the text'
    die 4 "window ${window}: ${problem}, so Enter was not pressed"
  }
  before="${cursor}" last_tail="${tail}" whole='' unseen=''
}

# has_left CURSOR: an agent takes an Enter that it swallows for a newline, and its cursor moves too.
has_left() {
  if [[ -n "${ready}" ]]; then
    ! stands
  else
    look || die 4 "window ${window}: ${problem}"
    [[ "${cursor}" != "$1" ]]
  fi
}

# make_ready: brings the pane to take a text; status 1 and `problem` where it cannot yet.
make_ready() {
  look && take_manner || return
  [[ "${in_mode}" == 0 ]] || ask tmux copy-mode -q -t "${pane}"
  [[ -z "${left_over}" ]] || clear_left_over || return
  within "${READY_MS}" is_ready
}

# refuse_command: a text that the agent would take for a command of its own.
refuse_command() {
  local flat
  # shellcheck disable=SC2086  # each blank and newline becomes one blank
  set -- ${text}
  flat="$*"
  [[ "${text}" != [$' \t\n']* ]] || flat=" ${flat}"
  [[ "${text}" != *[$' \t\n'] ]] || flat+=' '
  [[ -z "${refuse}" || ! "${flat}" =~ ${refuse} ]] ||
    die 5 "window ${window}: the agent would take this text for a command of its own; put a word before it"
}

# type_text HEAD: types it; status 1 and `problem` when nothing was typed.
type_text() {
  local longest lines whole end bytes modes limit=4095 open='' unseen='' room
  [[ -n "$1" ]] || refuse_command
  [[ "${OSTYPE}" != darwin* ]] || limit=1023
  if [[ -n "$1" && "${text}" == *'['* ]]; then
    read_pane '' - open || return
    open="${reply}"
  fi
  see_start || return
  before="${cursor}" before_row="${row}" before_history="${history}" by_line='' shown='' last_tail=''
  [[ -n "${ready}" || ("$1" == '' && "${text}" != *$'\n'*) ]] || by_line=1
  {
    IFS=' ' read -r longest lines whole || reader_ran 1
    ((lines <= PLAIN_LINES)) || die 5 "window ${window} is a plain terminal, and the text names its own\
 answers in ${lines} lines; the limit there is ${PLAIN_LINES}"
    modes=''
    ((longest <= limit)) || modes="$(stty -a <"${tty}" 2>/dev/null)" ||
      die 3 "window ${window}: stty cannot tell how its terminal reads a long line; nothing was typed"
    [[ "${modes}" != *[!-a-z]icanon* ]] ||
      die 5 "window ${window} reads line by line and keeps ${limit} bytes; a line here has ${longest}"
    while IFS=' ' read -r end bytes || reader_ran 1 && [[ "${end}" != . ]]; do
      # Echo and output mix: a line with a marker of ours is typed when the terminal stands still.
      ((lines == 0)) || within "${STILL_MS}" stands_still
      tail="${end#=}" unconfirmed="typed ${window} ${what}"
      under_lock "set -p -t ${pane} @swarm_typing ${what} ; send-keys -t ${pane} -H ${bytes}" || {
        [[ -n "${longest}" ]] && unconfirmed='' && return 1
        die 4 "window ${window}: only a part was typed, ${problem}"
      }
      longest='' unseen=1
      [[ -z "${piece}${whole}" ]] || see_arrive
    done
    [[ -z "${unseen}" ]] || see_arrive
  } < <(exec 2>/dev/null && printf '%s\n' "${text}" |
    reader type -v head="$1" -v ids="${what} ${open//$'\n'/ }" -v piece="${piece}" -v paste="${paste:-off}" -v room="${room}" -v by_line="${by_line}")
}

stands_still() {
  local last="${cursor}"
  look && [[ "${cursor}" == "${last}" ]]
}

# press_enter: while the text is seen to stand there, once more where it did not leave: no Enter may
# answer a dialog that has opened. A single look may fall into a repaint; after the first Enter, a text
# that stands there no more has left.
press_enter() {
  local patience typed=''
  [[ "${pause:-0}" == 0 ]] || nap "${pause}"
  for patience in ${LEFT_MS}; do
    if within "${READY_MS}" stands; then
      typed="${cursor}"
      press 0d || die 4 "window ${window}: Enter was not pressed, ${problem}"
    elif [[ -z "${typed}" ]]; then
      die 4 "window ${window}: the text no longer stood at the cursor at Enter"
    fi
    within "${patience}" has_left "${typed}" && return
  done
  die 4 "window ${window}: Enter was pressed and the text was not seen to leave; look at it"
}

# deliver HEAD: types `text` into the window and submits it.
deliver() {
  local why
  deadline_in "${wait_ms}"
  while :; do
    look || die 3 "${problem}"
    [[ "${input_off}" == 0 ]] || die 5 "window ${window}: its input is switched off"
    [[ "${synchronized}" == 0 ]] || die 5 "window ${window}: synchronize-panes is on; other panes would get the text too"
    take_lock && make_ready && type_text "$1" && break
    release_lock
    why="${problem}"
    look || die 3 "${problem}"
    clock
    ((now < deadline)) || die 5 "window ${window}: ${why}; nothing was typed"
    nap 200
  done
  press_enter
  unconfirmed=''
  under_lock "set -pu -t ${pane} @swarm_typing"
  release_lock
  say 'submitted %s %s\n' "${window}" "${what}"
}

# take_text ARGUMENT: sets `text` to it, or to standard input.
take_text() {
  local line bad
  text="$1"
  if [[ "$1" == - ]]; then
    { : 3<&0; } 2>/dev/null || die 2 'standard input is closed; give the text, or pipe it in'
    text=''
    if [[ -t 0 ]]; then
      while IFS= read -r line || [[ -n "${line}" ]]; do text+="${line}"$'\n'; done
    elif IFS= read -r -d '' -n $((TEXT_MAX + 2)) text && ((${#text} < TEXT_MAX + 2)); then
      die 5 "the text holds NUL at byte ${#text}; only newline, tab and printable text are typed"
    fi
    text="${text%$'\n'}"
  fi
  [[ "${text}" == *[!$' \t\n']* ]] || die 2 'the text is empty; say what the task is'
  ((${#text} <= TEXT_MAX)) || die 5 "the text is longer than the limit of ${TEXT_MAX} bytes"
  bad="$(printf '%s\n' "${text}" 2>/dev/null | reader check; printf ' %s' "${PIPESTATUS[1]}")"
  reader_ran "${bad##* }"
  bad="${bad%$'\n '*}"
  [[ "${bad}" == ' 0' ]] || die 5 "the text holds ${bad}; only newline, tab and printable text are typed"
}

# poll: prints what is new at each look, until something ends the wait.
poll() {
  local kind marker id flags text noted='' left last='' wanted='' failed='' first=1 over='' ends=",${until},DONE,ERROR," looked=''
  while :; do
    list_panes
    find_window "${window}" || die 3 "${problem}"
    fresh=()
    [[ -n "${sign}" && "${sign}" == "${looked}" ]] || look_for "${ask}" || die 3 "${problem}"
    looked="${sign}"
    [[ -z "${fresh[0]-}" ]] || while IFS=$'\t' read -r kind marker id flags text; do
      [[ "${kind}" != +near ]] || printf 'near miss (%s): %s\n' "${marker}" "${id}" >&2
      [[ "${kind}" == +answer ]] || continue
      if [[ -n "${ask}" && -z "${noted}" && ",${flags}," == *,task-not-seen,* ]]; then
        printf 'note: the [TASK] line of %s cannot be seen; this may be an answer to somebody else\n' "${ask}" >&2
        noted=1
      fi
      say '[%s] %s%s\n' "${marker}" "${id}" "${text:+ ${text}}"
      last="${marker}"
      if [[ -z "${until}" ]]; then
        [[ -n "${first}" && "${marker}" == ACK ]] || over=1
      elif [[ "${ends}" == *",${marker},"* ]]; then
        over=1
        [[ "${marker}" == ERROR || ",${until}," != *",${marker},"* ]] || wanted=1
        [[ "${marker}" != ERROR ]] || failed=1
      fi
    done < <(printf '%s' "${fresh[0]}" 2>/dev/null)
    [[ -z "${failed}" || -n "${wanted}" ]] || exit 6
    [[ -z "${over}" ]] || exit 0
    [[ "${dead}" == 0 ]] || die 3 "${problem}"
    clock
    left=$((deadline - now)) first=''
    ((left > 0)) || break
    nap "$((left < interval_ms ? left : interval_ms))"
  done
  [[ -n "${last}" && -z "${until}" ]] && exit 0
  printf 'Timeout after %ss\n' "${timeout}" >&2
  exit 1
}

# poll_words WORD...: [TIMEOUT] [TASK_ID]; the first number is always the time.
poll_words() {
  local word
  for word in "$@"; do
    [[ -n "${word}" ]] || die 2 'an empty word is neither a time nor a task id'
    if [[ -z "${timeout}" && "${word}" =~ ^[0-9]+(\.[0-9]+)?$ ]]; then
      timeout="${word}"
    elif [[ -n "${ask}" ]]; then
      die 2 "'${word}' is too much, or '${ask}' is no time; as in: poll ${window} 30 task-001"
    else
      ask="${word}"
    fi
  done
  timeout="${timeout:-30}"
  milliseconds 'the time' "${timeout}"
  deadline_in "${ms}"
  milliseconds SWARM_INTERVAL "${SWARM_INTERVAL:-0.5}"
  interval_ms="${ms}"
  ((ms)) || die 2 'SWARM_INTERVAL is 0; give seconds above 0, as 0.5'
  [[ -z "${ask}" ]] || check_id "${ask}" tagged
  [[ -z "${until}" || "${until}" =~ ^(ACK|DONE|ERROR|WAIT|HELP)(,(ACK|DONE|ERROR|WAIT|HELP))*$ ]] ||
    die 2 "'${until}' is no marker; --until takes some of ACK,DONE,ERROR,WAIT,HELP"
}

# option WORD...: takes one; `used` is its number of words. Status 1: the command has no such one.
option() {
  used=2
  case "${command}:$1" in
    send:--tag) tag=1 used=1 ;;
    send:--wait | send-raw:--wait) need_value "$@" && milliseconds --wait "$2" && wait_ms="${ms}" ;;
    poll:--timeout) need_value "$@" && milliseconds --timeout "$2" && timeout="$2" ;;
    poll:--task-id) need_value "$@" && ask="$2" ;;
    poll:--until) need_value "$@" && until="$2" ;;
    *) common_option "$@" ;;
  esac
}

main() {
  local command='' words=() texts=99
  on_signals 130
  while (($#)); do
    # What stands in the place of a text is text, whatever it begins with, but for our own options.
    if [[ "$1" == -?* ]] && { ((${#words[@]} < texts)) || [[ "$1" == -- && $# -gt 1 ]] ||
      [[ "$1" =~ ^(-h|--(tag|wait|session|socket|help))$ ]] ||
      { ((${#words[@]} > texts)) && [[ "$1" =~ ^--(tag|wait|session|socket|help)= ]]; }; }; then
      [[ "$1" != -- ]] || { words+=("${@:2}") && break; }
      no_value "$1"
      [[ "$1" != --*=* ]] || set -- "${1%%=*}" "${1#*=}" "${@:2}"
      option "$@" && shift "${used}"
      continue
    fi
    if [[ -n "${command}" ]]; then words+=("$1"); else command="$1"; fi
    case "${command}" in send) texts=2 ;; send-raw) texts=1 ;; esac
    shift
  done
  window="${words[0]-}" what=raw
  case "${command}:${#words[@]}" in
    send:3)
      check_id "${words[1]}"
      what="${words[1]}"
      connect
      take_text "${words[2]}"
      [[ -z "${tag#0}" ]] || { random && what+="+${word}"; }
      deliver "[TASK] ${what}"
      ;;
    send-raw:2)
      connect
      take_text "${words[1]}"
      deliver ''
      ;;
    poll:[1-9]*)
      poll_words ${words[1]+"${words[@]:1}"}
      connect
      poll
      ;;
    status:1)
      connect
      list_panes
      find_window "${window}" || die 3 "${problem}"
      show_last 20 || die 3 "${problem}"
      [[ "${dead}" == 0 ]] || die 3 "${problem}"
      ;;
    send:*) die 2 "send takes WINDOW TASK_ID DESCRIPTION; put the description in quotes (${me} --help)" ;;
    send-raw:*) die 2 "send-raw takes WINDOW TEXT; put the text in quotes (${me} --help)" ;;
    poll:0 | status:*) die 2 "${command} takes a WINDOW (${me} --help)" ;;
    *) die 2 "'${command}' is no command; there are send, send-raw, poll and status (${me} --help)" ;;
  esac
}
main "$@"
