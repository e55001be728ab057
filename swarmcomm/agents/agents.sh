# Profiles of the agents, made from the TOML files beside it by
# python -m swarmcomm.agents.generate; do not edit.
# shellcheck shell=bash disable=SC2034,SC2016  # read by the launcher; hooks have their own $0

agent_names='claude shell'

# Sets agent_*: what the profile $1 says. Fails where there is none of that name.
agent_profile() {
  case "$1" in
    claude)
      agent_command=(claude)
      agent_missing=('claude is not installed; install it with: npm install -g @anthropic-ai/claude-code' 'without it: run_claude_swarm.sh --agent shell (a shell in each worker) or run_claude_swarm.sh --demo')
      agent_environment=(CLAUDE_CODE_DISABLE_ALTERNATE_SCREEN=1)
      agent_unset=(CLAUDECODE CLAUDE_CODE_ENTRYPOINT CLAUDE_CODE_SSE_PORT CLAUDE_CODE_SESSION_ID CLAUDE_ENV_FILE CLAUDE_PROJECT_DIR CLAUDE_AX_SCREEN_READER)
      agent_instructions_flag=--append-system-prompt
      agent_ready='^❯  *(Press up to edit queued messages|Resend your message to try again|Try ".*")? *$'
      agent_hooks_flag=--settings
      agent_hooks='{"hooks": {"UserPromptSubmit": [{"hooks": [{"type": "command", "command": "/bin/sh", "args": ["-c", "set -f; IFS=; $0 -I -S $1 $2 2>/dev/null || :", {python}, {hook}, {spool}], "timeout": 5}]}], "Stop": [{"hooks": [{"type": "command", "command": "/bin/sh", "args": ["-c", "set -f; IFS=; $0 -I -S $1 $2 2>/dev/null || :", {python}, {hook}, {spool}], "timeout": 5}]}], "StopFailure": [{"hooks": [{"type": "command", "command": "/bin/sh", "args": ["-c", "set -f; IFS=; $0 -I -S $1 $2 2>/dev/null || :", {python}, {hook}, {spool}], "timeout": 5}]}], "PermissionRequest": [{"hooks": [{"type": "command", "command": "/bin/sh", "args": ["-c", "set -f; IFS=; $0 -I -S $1 $2 2>/dev/null || :", {python}, {hook}, {spool}], "timeout": 5}]}], "SessionEnd": [{"hooks": [{"type": "command", "command": "/bin/sh", "args": ["-c", "set -f; IFS=; $0 -I -S $1 $2 2>/dev/null || :", {python}, {hook}, {spool}], "timeout": 5}]}]}}'
      agent_options=(@swarm_agent=claude @swarm_pause=20 '@swarm_ready=^❯  *(Press up to edit queued messages|Resend your message to try again|Try ".*")? *$' @swarm_column=2 '@swarm_busy=esc to i' '@swarm_dialog=^ +❯ ' '@swarm_error=^● API Error|^[^ ]+ .* retrying in [0-9]+s' '@swarm_refuse=^ *[/!]|^ *[?] *$' @swarm_piece=700 @swarm_paste=on)
      ;;
    shell)
      agent_command=('{python}' -P -m swarmcomm worker)
      agent_missing=('the built-in worker needs Python 3.11 or later with swarmcomm; run scripts/setup.sh' 'or: pip install swarmcomm')
      agent_environment=()
      agent_unset=()
      agent_instructions_flag=''
      agent_ready='^swarm> *$'
      agent_hooks_flag=''
      agent_hooks=''
      agent_options=(@swarm_agent=shell @swarm_pause=0 '@swarm_ready=^swarm> *$' @swarm_column=7)
      ;;
    *) return 1 ;;
  esac
}
