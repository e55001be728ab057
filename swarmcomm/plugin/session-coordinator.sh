#!/bin/sh
# The MCP server, in a session of a swarm. In any other it is one without tools, in this shell: a
# server that ends at once would be shown as one that has failed.

# PROJECT_ID alone is a variable of others too.
who=${SWARM_SESSION_NAME-}${PROJECT_ID:+${SESSION_ROLE-}${TASK_ID-}${MASTER_SESSION_ID-}}
[ -z "${who}" ] || exec swarmcomm mcp

answer() { printf '{"jsonrpc":"2.0","id":%s,%s}\n' "$1" "$2"; }

while IFS= read -r line; do
  case ${line} in
    *'"method":'*'"id":'* | *'"id":'*'"method":'*) ;;
    *) continue ;;
  esac
  id=${line#'{"jsonrpc":"2.0","id":'}
  [ "${id}" != "${line}" ] || id=${line##*'"id":'} # it stands last where it does not stand first
  id=${id%%[,\}]*}
  case ${line} in
    *'"method":"initialize"'*)
      version=${line#*'"protocolVersion":"'}
      server='"serverInfo":{"name":"session-coordinator","version":"0"}'
      answer "${id}" "\"result\":{\"protocolVersion\":\"${version%%\"*}\",\"capabilities\":{},${server}}"
      ;;
    *'"method":"ping"'*) answer "${id}" '"result":{}' ;;
    *) answer "${id}" '"error":{"code":-32601,"message":"not a session of a swarm"}' ;;
  esac
done
