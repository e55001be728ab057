#!/usr/bin/env bash
# Usage: read_vectors.bash SCRIPTS VECTORS MESSAGES
#
# Reads every vector with the reader of the scripts, by whatever awk stands first in PATH, and
# prints a line for each that differs, then how many were read.
me=read_vectors here="$0"
# shellcheck source-path=SCRIPTDIR source=../../scripts/swarm_common.sh
. "$1/swarm_common.sh"
set +f # it looks through folders

# value FOLDER KEY: of its ask.txt.
value() {
  local line
  while IFS= read -r line; do
    [[ "${line}" != "$2="* ]] || printf '%s' "${line#*=}"
  done <"$1/ask.txt"
}

# typed FOLDER WORD...: the message that would be typed, out of its pieces.
typed() {
  local piece byte id open
  id="$(value "$1" id)" open="$(value "$1" open)"
  { cat "$1/description.txt" && echo; } | reader type -v head="[TASK] ${id}" -v ids="${id} ${open//,/ }" "${@:2}" | {
    read -r _
    while read -r _ piece; do
      for byte in ${piece}; do printf '%b' "\\0$(printf '%03o' "0x${byte}")"; done
    done
  }
}

# pasted: standard input without the brackets of a paste; what stands outside of them is lost.
pasted() { tr '\n' '\001' | sed $'s/\e\\[201~[^\001\e]*/\e/g; s/\001[^\e\001]*/\001/g; s/\e\\[200~//g; s/\e//g' | tr '\001' '\n'; }

read_all() {
  local folder look count=0
  for folder in "$1"/*/; do
    [[ "$(value "${folder}" level)" == core ]] || continue
    for look in '' -2; do
      [[ -e "${folder}/screen${look}.txt" ]] || continue
      count=$((count + 1))
      reader read -v ask="$(value "${folder}" id)" -v width="$(value "${folder}" width)" \
        <"${folder}/screen${look}.txt" | cmp -s - "${folder}/expected${look}.txt" ||
        echo "differs: ${folder} ${look}"
    done
  done
  for folder in "$2"/*/; do
    [[ -e "${folder}/typed.txt" ]] || continue
    count=$((count + 1))
    typed "${folder}" | cmp -s - "${folder}/typed.txt" || echo "differs: ${folder}"
    typed "${folder}" -v piece=12 -v paste=on | pasted | cmp -s - "${folder}/typed.txt" ||
      echo "differs in brackets: ${folder}"
  done
  echo "read ${count}"
}

read_all "$2" "$3"
