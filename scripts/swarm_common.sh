# shellcheck shell=bash disable=SC2016,SC2034,SC2154  # awk is no shell; the scripts set and use the rest
# What claude_comm.sh, claude_poll.sh and claude_status.sh share; it stands beside them and they
# source it. Numbers in comments are rules of protocol.md.
# Needs bash 3.2, tmux 3.2 and awk, stty, ps, sleep, date; nothing else.

set -uf -o pipefail
unset CDPATH
# Text is counted in bytes here; tmux still gets to know the user's own encoding.
[[ -z "${LC_ALL-}" ]] || export LC_CTYPE="${LC_ALL}"
export -n LC_ALL
LC_ALL=C

readonly TMUX_DEADLINE_S=10 # one call takes 2 ms; a frozen server never answers
readonly LOOK='#{pane_id} #{?pane_dead,1,0} #{?pane_in_mode,1,0} #{?pane_synchronized,1,0}'\
' #{?pane_input_off,1,0} #{pid} #{cursor_x}/#{cursor_y}/#{history_size} #{pane_width} #{window_id}'\
' #{window_activity} x#{pane_tty} x#{@swarm_agent} =#{window_name}.'
readonly PANES_MAX=150 # captured by one process: tmux takes 16,300 bytes of commands

program="${SWARM_TMUX:-tmux}"
session="${SWARM_SESSION:-${CLAUDE_SESSION:-swarm-claude-default}}"
socket="${SWARM_SOCKET-}"
records='' unconfirmed='' napping='' lock=''

# die STATUS TEXT: one line on standard error. Once typing has begun the outcome is `typed`, 4.
die() {
  trap '' PIPE
  [[ -z "${unconfirmed}" ]] || { printf '%s\n' "${unconfirmed}" 2>/dev/null; set -- 4 "$2"; }
  printf '%s: %s\n' "${me}" "${2//[[:cntrl:]]/ }" >&2
  exit "$1"
}

# say FORMAT VALUE...: printf that ends quietly when nobody reads on, and only then.
# shellcheck disable=SC2059  # the format is its first argument
say() {
  printf "$@" 2>/dev/null && return
  [[ ! -p /dev/fd/1 && ! -S /dev/fd/1 ]] || exit 0
  die 70 'standard output cannot be written to'
}

# on_signals STATUS: what Ctrl-C ends with; whatever ends us, no lock and no process is left.
on_signals() {
  interrupted="$1"
  [[ -e /dev/fd/1 ]] || die 70 'standard output is closed'
  trap 'exit "${interrupted}"' INT
  trap 'exit 143' TERM HUP
  trap 'exit 0' PIPE
  trap '[[ -z "${lock}" ]] || release_lock; [[ -z "${napping}" ]] || kill "${napping}" 2>/dev/null' EXIT
}

# common_option WORD...: takes an option that all scripts have; `used` is its number of words.
common_option() {
  local line
  used=2
  case "$1" in
    --session) need_value "$@" && session="$2" ;;
    --socket) need_value "$@" && socket="$2" ;;
    -h | --help) # the script's header comment
      while IFS= read -r line && [[ "${line}" == '#'* ]]; do
        [[ "${line}" == '#!'* ]] || { line="${line#\#}" && say '%s\n' "${line# }"; }
      done <"${here}"
      exit 0
      ;;
    *) die 2 "unknown option $1 (${me} --help)" ;;
  esac
}

# no_value WORD: a flag is given without one.
no_value() {
  [[ ! "$1" =~ ^--(tag|help|once|all|repeat)= ]] || die 2 "${1%%=*} takes no value (${me} --help)"
}

need_value() { [[ -n "${2-}" ]] || die 2 "$1 needs a value (${me} --help)"; }

# milliseconds NAME TEXT: sets `ms`.
milliseconds() {
  [[ "$2" =~ ^[0-9]{1,9}(\.[0-9]{1,9})?$ ]] || die 2 "$1 '$2' is no time; give seconds, as 30 or 0.5"
  local part="${2#"${2%%.*}"}000"
  part="${part#.}"
  ms=$((10#${2%%.*} * 1000 + 10#${part:0:3}))
}

# check_id TEXT [tagged]: a task id; with a second word also one with its tag.
check_id() {
  local form='^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$'
  [[ -z "${2-}" ]] || form="${form%\$}(\\+[a-z0-9]{8})?\$"
  [[ "$1" =~ ${form} ]] || die 2 "task id '${1:0:80}' cannot be used; 1 to 64 letters, digits, '.',\
 '_' and '-', the first and the last a letter or digit"
}

# connect: checks the session's name and tmux; to be called before all that follows.
connect() {
  local name install='install tmux 3.2 or later, or name one in SWARM_TMUX'
  [[ "${session}" =~ ^[A-Za-z0-9_-]+$ ]] ||
    die 2 "'${session}' is no session name; letters, digits, '_' and '-' are allowed"
  command -v "${program}" >/dev/null 2>&1 || die 7 "${program} is not installed; ${install}"
  tmux_command=("${program}")
  ask tmux -V || die 7 "${program} -V failed; ${install}"
  if [[ "${reply}" =~ ([0-9]+)\.([0-9]+) ]]; then # "tmux master" has no number, and is new
    ((BASH_REMATCH[1] * 100 + BASH_REMATCH[2] >= 302)) || die 7 "${reply} is too old; ${install}"
  fi
  tmux_command=("${program}" -u ${socket:+-L "${socket}"})
  for name in awk stty ps sleep date; do
    command -v "${name}" >/dev/null 2>&1 || die 7 "${name} is not installed; install it"
  done
}

# ask tmux ARG...: one tmux command, its output in `reply`; a server that says nothing is an error.
ask() {
  local said=''
  shift
  IFS= read -r -t "${TMUX_DEADLINE_S}" -d '' said < <(
    trap 'kill "$!"' TERM
    "${tmux_command[@]}" "$@" 2>/dev/null </dev/null &
    wait "$!"
    printf '\n%s' "$?"
  )
  case "${said##*$'\n'}" in
    0) reply="${said%$'\n'0}" && reply="${reply%$'\n'}" ;;
    [1-9]*) return 1 ;;
    *)
      { set +u && kill "$!"; } 2>/dev/null
      lock='' # it cannot be given back
      die 3 "tmux did not answer within ${TMUX_DEADLINE_S} s; nothing is known about the window"
      ;;
  esac
}

# run tmux ARG...: one tmux command as a part of a pipeline, right after one that was answered.
run() { exec "${tmux_command[@]}" "${@:2}" 2>/dev/null </dev/null; }

# list_panes: one line for each in `panes`, and the server's `time` in seconds.
list_panes() {
  ask tmux list-panes -s -t "=${session}:" -F "${LOOK}" ';' display-message -p %s &&
    panes="${reply%$'\n'*}" time="${reply##*$'\n'}" && return
  local why
  why="$("${tmux_command[@]}" list-panes -s -t "=${session}:" 2>&1 >/dev/null </dev/null)"
  die 3 "no session ${session} (tmux: ${why:-no answer}); start it with run_claude_swarm.sh"
}

# find_window NAME: its pane out of `panes`, as pane, dead and so on; else status 1 and `problem`.
# Names are compared here: tmux resolves a target that is not there to another one. `sign` is equal
# at two looks only where nothing was printed between: the time of the last output has whole
# seconds, so within the second of an output there is none.
find_window() {
  local IFS=$'\n' line name="$1" found=''
  for line in ${panes}; do
    [[ "${line}" == *" =${name}." && "${line#* =}" == "${name}." ]] || continue
    IFS=' '
    # shellcheck disable=SC2086  # fields
    set -- ${line}
    problem="session ${session} has two windows called ${name}; rename one of them"
    [[ -z "${found}" || "${found}" == "$9" ]] || return 1
    [[ -z "${found}" || (-z "${agent}" && "${12}" != x) ]] || continue
    found="$9" agent="${12#x}" pane="$1" dead="$2" in_mode="$3" tty="${11#x}"
    synchronized="$4" input_off="$5" server="$6" cursor="$7" width="$8"
    row="${7#*/}" history="${7##*/}" sign="$1 $2 $6 $7 $8 ${10}"
    row="${row%/*}"
    ((${10} < time)) || sign=''
  done
  problem="no window ${name} in session ${session}"
  [[ -n "${found}" ]] || return 1
  problem="the program in window ${name} has ended (its pane is dead)"
}

# clock: sets `now` in milliseconds; before bash 5 it moves in whole seconds.
clock() {
  local time="${EPOCHREALTIME-}"
  now=$((SECONDS * 1000))
  [[ -z "${time}" ]] || now=$((${time/[.,]/} / 1000))
}

# deadline_in MILLISECONDS: sets `deadline`, never too early.
deadline_in() {
  clock
  deadline=$((now + $1))
  [[ -n "${EPOCHREALTIME-}" || "$1" == 0 ]] || deadline=$((deadline + 999))
}

# nap MILLISECONDS: sleeps, and ends at once when a signal comes.
nap() {
  local seconds
  printf -v seconds '%d.%03d' $(($1 / 1000)) $(($1 % 1000))
  sleep "${seconds}" >/dev/null 2>&1 &
  napping="$!"
  wait "${napping}"
  napping=''
}

# read_panes START JOB ARG...: what the reader says of each pane of `ids` from row START on, in
# `said`, and the new part of it in `fresh`; `heads` has what it is told before. Where a pane is gone
# there is no entry. One tmux process for all: capture-pane -C writes each backslash twice, so no
# text has the line of one backslash and a dot that ends it.
read_panes() {
  local start="$1" i=0 from last at head words form=$'^([0-9]+) ([0-9]+)\n'
  said=() fresh=()
  while ((i < ${#ids[@]})); do
    head='' words=() from="${i}" last=$((i + PANES_MAX))
    ((last < ${#ids[@]})) || last="${#ids[@]}"
    for ((; i < last; i++)); do
      head+="${heads[i]}"
      words+=(';' capture-pane -p -J -C -S "${start}" -t "${ids[i]}" ';' display-message -p '\.')
    done
    reply="$({ printf '%s' "${head}" && run tmux "${words[@]:1}"; } 2>/dev/null |
      reader "${@:2}" -v panes=$((last - from)); printf '\n%s' "${PIPESTATUS[*]}")"
    reader_ran "${reply##* }"
    i="${from}" at=0
    while [[ "${reply:at:24}" =~ ${form} ]]; do # bytes of each
      at=$((at + ${#BASH_REMATCH[0]}))
      fresh[i]="${reply:at:BASH_REMATCH[1]}" said[i]="${reply:at:BASH_REMATCH[2]}"
      at=$((at + BASH_REMATCH[2])) i=$((i + 1))
    done
    ((i == last)) || i=$((i + 1)) # a command that fails ends the list: those behind it are asked again
  done
}

# read_pane BEFORE START JOB ARG...: the same for the pane that was found, in `reply`; status 1 and
# `problem`: it is gone.
read_pane() {
  ids=("${pane}") heads=("$1"$'\001'"${width} ${dead}"$'\n')
  read_panes "${@:2}"
  [[ -n "${said[0]+x}" ]] || { problem="window ${window} went away" && return 1; }
  reply="${said[0]%$'\n'}"
}

reader_ran() { [[ "$1" == 0 ]] || die 70 'awk failed; nothing is known about the window'; }

# look_for ASK: reads the pane; `records` are "+" (new) or "=" (known from the look before), then the
# fields of 10, and `fresh` holds the new ones.
look_for() {
  read_pane "${records}" - read -v known=1 -v ask="$1" && records="${said[0]}"
}

# show_last NUMBER: the end of the pane's text, without what tmux says of a dead one.
show_last() {
  read_pane '' -200 last -v count="$1" || return
  [[ -z "${reply}" ]] || say '%s\n' "${reply}"
}

# reader JOB -v NAME=VALUE...: the grammar, as the end of a pipeline; the same in every awk.
reader() {
  export LC_ALL
  exec awk -v job="$1" "${@:2}" "${SWARM_AWK}" 2>/dev/null
}

readonly SWARM_AWK='
# gap, run, wid and text are what was found last; numbers are rules of protocol.md.
function marker(s) { return match(s, /\[(TASK|ACK|DONE|ERROR|WAIT|HELP)\]/) }
function plain(id) { return index(id, "+") ? substr(id, 1, index(id, "+") - 1) : id }
function whole(id,  tag) {
  tag = index(id, "+") ? substr(id, index(id, "+") + 1) : "untagged"; id = plain(id)
  return length(id) <= 64 && id ~ /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/ && length(tag) == 8 && tag !~ /[^a-z0-9]/
}
function id_run(s) {
  match(s, /^([ \t:*`]|\357\274\232)*/); gap = RLENGTH; s = substr(s, gap + 1)
  match(s, /^[A-Za-z0-9._+-]*/); full = RLENGTH; run = substr(s, 1, full); sub(/\.+$/, "", run)
  return substr(s, length(run) + 1)
}
function id_follows(s,  n) { # wid is "" where the id is malformed
  text = id_run(s); wid = ""
  if (run == "") return full == 0 && text ~ /^[\200-\377]/
  if (match(text, /^([].,:;!?)}>"\047`*]|\357\274[\201\211\214\216\232\233\237]|\343\200[\201\202\211\213\215\217\221]|\342\200[\231\235\246])+/))
    text = substr(text, RLENGTH + 1)
  else if (text !~ /^( |$)/) return 1
  if (whole(run)) wid = run
  sub(/^ +/, "", text)
  for (n = length(text); n; n -= substr(text, n, 1) == " " ? 1 : 3)
    if (substr(text, n, 1) != " " && substr(text, n - 2, 3) !~ /^\342(\224[\200-\277]|\225[\200-\277])$/) break
  text = substr(text, 1, n)
  return 1
}
function decoration(s) {
  return s !~ /[A-Za-z0-9]/ && (s !~ /[\200-\377]/ || s ~ /^([\040-\176]|\302[\240-\251\253-\261\264-\270\273\277]|\303[\227\267]|\342([\200\203\207-\220\224-\234\237-\257][\200-\277]|\201[\200-\257]|\202[\240-\277]|\206[\220-\277]|\221[\200-\237]|\235[\200-\265]|\236[\224-\277])|\343\200[\200-\204\210-\240\260]|\356[\200-\277][\200-\277]|\357([\200-\243][\200-\277]|\270[\216\217]|\274[\201-\217\232-\240\273-\277]|\275[\200\233-\245])|\360\237[\200-\203\214-\253][\200-\277])*$/)
}
function clean(s,  n) {
  gsub(/\t/, " ", s); gsub(/[\001-\037\177]|\302[\200-\237]/, "", s)
  for (n = length(s); n && substr(s, n, 1) == " "; n--) ;
  return substr(s, 1, n)
}
function cut(s, n) {
  if (length(s) <= n) return s
  while (substr(s, n + 1, 1) ~ /[\200-\277]/) n--
  return substr(s, 1, n)
}
function in_sentence(s,  after) {
  for (; marker(s); s = after) {
    after = substr(s, RSTART + RLENGTH)
    if (substr(s, RSTART, 6) != "[TASK]" && substr(s, RSTART - 1, 1) != "\\" && id_follows(after) && (wid == us || wid == plain(us))) return 1
  }
  return 0
}
function say(line) { if (panes) { out[++outs] = line; bytes += length(line) + 1 } else print line }
function record(line, key) { # known: "=" was said before, "+" is new
  if (!known) say(line)
  else if (!(key in said)) { if (key in told) old[++olds] = "=" line; else say("+" line) }
  said[key]; delete told[key]
}
function near(reason, i,  s) { s = L[i]; sub(/^ +/, "", s); s = "near\t" reason "\t" cut(s, 200); record(s, s) }
function answer(i, unseen, keep_late,  w, m, t, flags) {
  w = W[i]; m = K[i]; t = cut(X[i], 4096)
  if ((w, m, t) in took) return
  if (state[w] == "ended" && m != "ACK" && keep_late) near("late", i)
  if (state[w] == "ended" || (m == "ACK" && state[w] != "")) return
  took[w, m, t]; state[w] = m == "DONE" || m == "ERROR" ? "ended" : "going"
  if (m == "ACK") acked[w]
  flags = (unseen ? ",task-not-seen" : "") (state[w] == "ended" && !(w in acked) ? ",no-ack" : "") (t != X[i] ? ",cut" : "")
  record("answer\t" m "\t" w "\t" (flags == "" ? "-" : substr(flags, 2)) "\t" t, m "\t" w "\t" t)
}
function read_one(  i, tagged, from, a, b) {
  us = ask; tagged = index(ask, "+")
  for (i = 1; i <= lines; i++) if (K[i] == "TASK" && (W[i] == ask || plain(W[i]) == ask)) { us = W[i]; from = i }
  for (i = 1; i <= lines; i++) {
    if (K[i] == "TASK") continue
    if (W[i] == us) { if (tagged || i > from) answer(i, !tagged && !from, i > from) }
    else if (i <= from) continue
    else if (K[i] == "") { if (in_sentence(L[i])) near("sentence", i) }
    else if (plain(W[i]) == plain(us)) near("tag", i)
    else {
      a = tolower(plain(us)); b = tolower(W[i] == "" ? R[i] : plain(W[i]))
      if ((b == "" || index(a, b) == 1 || index(b, a) == 1) && !(plain(W[i]) in seen)) near("id", i)
    }
  }
}
function read_any(  i, w, above, echo, echoes) {
  for (i = 1; i <= lines; i++) if (K[i] != "") {
    w = W[i]
    if (K[i] == "TASK") { if (w != "") { above[plain(w)]; echoes += !(w in echo); echo[w] } }
    else if (w == "") { if (!echoes) near("id", i) }
    else if (w in newest) { if (w in echo) { delete echo[w]; echoes-- } if (i > newest[w]) answer(i, 0, 1) }
    else if (plain(w) in above) near("tag", i)
    else if (!echoes) answer(i, !index(w, "+"), 1)
  }
}
function escape(s,  out, m, before, after) {
  for (; marker(s); s = substr(after, gap + full + 1)) {
    before = substr(s, 1, RSTART - 1); m = substr(s, RSTART, RLENGTH); after = substr(s, RSTART + RLENGTH); id_run(after)
    out = out before (whole(run) && (before ~ /\\$/ || m == "[TASK]" || run in guarded) ? "\\" : "") m substr(after, 1, gap + full)
  }
  return out s
}
function squeeze(s,  c) { gsub(/[ \t\n]/, "", s); c = substr(s, 1, 1); s = substr(s, 2); gsub(/[^!-~]/, "", s); return c s }
function size() { # of the next piece; the first one in a box is seen whole
  if (!room || pieces) return piece
  return match(left, /^[ \t\n]*[^ \t\n][^\n]*\n[^\n]*\n/) && RLENGTH < room ? RLENGTH : room
}
function last_of(s) { # the end of its last line that is not blank
  sub(/[ \t\n]+$/, "", s); sub(/.*\n/, "", s)
  return substr(s, length(s) > 24 ? length(s) - 23 : 1)
}
function alike(a, b) { return length(a) < length(b) ? alike(b, a) : substr(a, length(a) - length(b) + 1) == b }
function type_bytes(all,  most, n, p, i) { # what is left in pieces of hex, and the end of the text up to each (W4, W7)
  for (most = size(); length(left) > most || (all && left != ""); most = size()) {
    n = length(left) > most ? most : length(left)
    if (alone && (i = index(left, "\n")) && i < n) n = i
    else if (n < length(left)) {
      if (match(substr(left, 1, n), /\n[^\n]*$/)) n = RSTART
      else {
        while (n > 1 && substr(left, n + 1, 1) ~ /[\200-\277]/) n--
        if (match(substr(left, 1, n), /\\+(\[([A-Z]+(\](([ \t:*`]|\357\274\232)*[A-Za-z0-9._+-]*))?)?)?$/) && RSTART > 1) n = RSTART - 1
      }
    }
    p = substr(left, 1, n)
    if (room && pieces && (p ~ /\n$/) == newline && alike(tail(E[pieces - 1]), tail(last_of(end p)))) { # only the cursor tells
      if (newline) n -= n > 1
      else if (match(p, /\n[^\n]*$/)) n = RSTART
      p = substr(left, 1, n)
    }
    newline = p ~ /\n$/
    if (!pieces && room) sole = "=" squeeze(p)
    for (i = 1; i <= n; i++) P[pieces] = P[pieces] " " hex[substr(p, i, 1)]
    p = end p; E[pieces] = end = last_of(p)
    sub(/.*[^ \t\n]/, "", p); end = end (p ~ /\n/ ? "\n" : p); pieces++
    left = substr(left, n + 1)
  }
}
function tail(s) {
  gsub(/[^!-~]/, "", s)
  return substr(s, length(s) > 8 ? length(s) - 7 : 1)
}
function begin(  i, line, f, key) { # of a pane, with what is known of it
  delete newest; delete seen; delete sent; delete said; delete told; delete told_id; delete sent_before; delete took; delete state; delete acked; delete open
  lines = outs = olds = bytes = rows = 0; before = ""; width = widths[pane]; dead = deads[pane]
  for (i = firsts[pane]; i; i--) {
    line = first[pane, i]; split(line, f, "\t")
    if (f[1] == "task") sent_before[f[2]] = f[3]
    else { key = f[1] == "answer" ? f[2] "\t" f[3] "\t" f[5] : line; told[key] = line; told_id[key] = f[1] == "answer" ? f[3] : "" }
  }
  pane++
}
function finish(  w, k, i) {
  for (w in sent) if (w in sent_before && sent[w] > sent_before[w]) for (k in told_id) if (told_id[k] == w) delete told[k]
  if (job == "read" && ask != "") read_one()
  if (job == "read" && ask == "") read_any()
  if (job == "open") {
    for (i = 1; i <= lines; i++) if (K[i] == "TASK" && W[i] != "") open[W[i]]; else if (K[i] == "DONE" || K[i] == "ERROR") delete open[W[i]]
    for (w in open) say(w)
  }
  if (job == "last") for (i = lines > count ? lines - count + 1 : 1; i <= lines; i++) say(N[i])
  if (!panes) return
  k = bytes
  if (known) {
    for (i = 1; i <= olds; i++) say(old[i])
    for (i in told) say("=" told[i])
    for (w in sent) { say("=task\t" w "\t" sent[w]); delete sent_before[w] }
    for (w in sent_before) say("=task\t" w "\t0")
  }
  print k " " bytes
  for (i = 1; i <= outs; i++) print out[i]
}
BEGIN {
  pieces = heads = pane = 0; if (!piece) piece = 1600
  piece += 0; room += 0; if (room) room = room < 16 ? 16 : room > piece ? piece : room # numbers for busybox
  for (i = 1; i < 256; i++) hex[sprintf("%c", i)] = sprintf("%02x", i)
  longest = length(left = head)
  for (i = split(ids, list, " "); i; i--) { guarded[list[i]]; guarded[plain(list[i])] }
}
panes && heads < panes {
  if (substr($0, 1, 1) != "\001") { first[heads, ++firsts[heads]] = substr($0, 2); next }
  split(substr($0, 2), f, " "); widths[heads] = f[1]; deads[heads++] = f[2]
  if (heads == panes) begin()
  next
}
panes && index($0, "\\") {
  if ($0 == "\\.") { finish(); begin(); next }
  gsub(/\\\\/, "\\")
}
job == "check" {
  match($0, /^([\t\040-\176]|\302[\240-\277]|[\303-\337][\200-\277]|\340[\240-\277][\200-\277]|[\341-\354\356\357][\200-\277][\200-\277]|\355[\200-\237][\200-\277]|\360[\220-\277][\200-\277][\200-\277]|[\361-\363][\200-\277][\200-\277][\200-\277]|\364[\200-\217][\200-\277][\200-\277])*/)
  if (RLENGTH < length($0)) {
    c = substr($0, RLENGTH + 1, 1)
    print (c < "\200" ? "the control byte 0x" hex[c] : substr($0, RLENGTH + 1, 2) ~ /^\302[\200-\237]/ ? "the C1 control character U+00" toupper(hex[substr($0, RLENGTH + 2, 1)]) : "a byte that is not UTF-8") " at byte " offset + RLENGTH
    exit
  }
  offset += length($0) + 1
}
job == "type" {
  line = head == "" ? $0 : escape($0); if (length(line) > longest) longest = length(line)
  left = left (head != "" || NR > 1 ? "\n" : "") line
  if (!by_line) type_bytes(0)
  else if (line ~ /\\\[(TASK|ACK|DONE|ERROR|WAIT|HELP)\]/) alone = 1
}
job == "last" { N[++rows] = clean($0); if (N[rows] != "" && !(dead && $0 ~ /^Pane is dead/)) lines = rows }
(job == "read" || job == "open") {
  if (index($0, "[") && marker(s = clean($0))) {
    m = substr(s, RSTART + 1, RLENGTH - 2); p = substr(s, 1, RSTART - 1); after = substr(s, RSTART + RLENGTH)
    if (!decoration(p)) { lines++; L[lines] = s; K[lines] = W[lines] = "" }
    else if (p !~ /\\$/ && !((b = clean(before)) ~ /\\$/ && length(b) >= width - 4) && id_follows(after)) {
      lines++; L[lines] = s; K[lines] = m; W[lines] = wid; R[lines] = run; X[lines] = text
      if (m == "TASK" && wid != "") { newest[wid] = lines; seen[plain(wid)]; sent[wid]++ }
    }
  }
  before = $0
}
END {
  if (job == "type") {
    type_bytes(1); print longest " " (alone ? NR + (head != "") : 0) " " sole
    for (i = 0; i < pieces; i++) {
      if (paste == "on") gsub(/( (09|[2-9a-f][0-9a-f]))+/, " 1b 5b 32 30 30 7e& 1b 5b 32 30 31 7e", P[i])
      print "=" tail(E[i]) P[i]
    }
    print "."
  }
  else if (!panes) finish()
}
'
