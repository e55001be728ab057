#!/usr/bin/env bats
# shellcheck disable=SC1003,SC2009,SC2016,SC2154  # texts are data; bats and helper.bash set the variables
# The reader of the scripts says of every vector what protocol.md says, in every awk there is.

load helper
setup() { room; }
teardown() { finish; }

# vectors_with PROGRAM: all vectors, with it as awk.
vectors_with() {
  local program
  program="$(type -P "$1")" || skip "no $1 here"
  mkdir bin
  ln -s "${program}" bin/awk
  PATH="${PWD}/bin:${PATH}" run -0 --separate-stderr \
    bash "${BATS_TEST_DIRNAME}/read_vectors.bash" "${scripts}" "${repo}/tests/vectors" "${repo}/tests/protocol/messages"
  echo "${output}" "${stderr}"
  [[ "${#lines[@]}" == 1 && "${lines[0]#read }" -gt 150 && -z "${stderr}" ]]
}

@test "every vector reads right with the awk of this system" { vectors_with awk; }
@test "every vector reads right with gawk" { vectors_with gawk; }
@test "every vector reads right with mawk" { vectors_with mawk; }
@test "every vector reads right with busybox awk" { vectors_with busybox; }
@test "every vector reads right with original-awk" { vectors_with original-awk; }

@test "a reader that knows nothing of the vectors would fail" {
  mkdir bin
  printf '#!/bin/sh\nexit 0\n' >bin/awk && chmod +x bin/awk
  PATH="${PWD}/bin:${PATH}" run -0 bash "${BATS_TEST_DIRNAME}/read_vectors.bash" "${scripts}" "${repo}/tests/vectors" "${repo}/tests/protocol/messages"
  [[ "${#lines[@]}" -gt 60 ]]
}

@test "a text is refused and composed as the messages say" {
  local folder wanted
  server worker-0=cat
  for folder in "${repo}"/tests/protocol/messages/*/; do
    [[ -e "${folder}/refused.txt" ]] || continue
    read -r wanted word <"${folder}/refused.txt"
    # What is given as "-" loses one final newline, so it gets one more.
    run --separate-stderr claude_comm.sh send worker-0 t1 - < <(cat "${folder}/description.txt" && echo)
    echo "${folder}"
    one_line_error "${wanted}" "${word}"
  done
}

@test "50,000 lines of history and a line of two megabytes are read" {
  server worker-0=cat
  tm set -g history-limit 60000
  tm new-window -d -t "=room:" -n long "awk 'BEGIN { for (i = 0; i < 50000; i++) print \"line [\" i \"] of many\"; print \"[ACK] t1\"; while (n++ < 2000000) printf \"[\"; print \"\"; print \"[DONE] t1 \" }'; cat" 3>&-
  shows long '[DONE] t1'
  run --separate-stderr -0 claude_comm.sh poll long 0 t1
  [[ "${output}" == $'[ACK] t1\n[DONE] t1' ]]
}

@test "an id that the terminal wrapped is read whole" {
  server worker-0=cat
  tm new-session -d -s narrow -x 20 -y 10 -n w 'printf "[ACK] task-1234567890\n[ERROR] task-1234567890 no such file or directory\n"; cat' 3>&-
  run --separate-stderr -0 claude_comm.sh --session narrow poll w 5 task-1234567890
  [[ "${output}" == '[ACK] task-1234567890'* ]]
  run --separate-stderr -6 claude_comm.sh --session narrow poll w 5 task-1234567890 --until DONE
  [[ "${lines[1]}" == '[ERROR] task-1234567890 no such file or directory' ]]
}
