"""Write ``agents.sh``, the profiles as bash 3.2 reads them.

``python -m swarmcomm.agents.generate`` after each change of a profile of ours; with a FILE it
prints what bash needs of that one.
"""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from swarmcomm import agents
from swarmcomm.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable

TARGET = agents.HERE / "agents.sh"

_HEAD = """\
# Profiles of the agents, made from the TOML files beside it by
# python -m swarmcomm.agents.generate; do not edit.
# shellcheck shell=bash disable=SC2034,SC2016  # read by the launcher; hooks have their own $0

agent_names={names}

# Sets agent_*: what the profile $1 says. Fails where there is none of that name.
agent_profile() {{
  case "$1" in
"""

_TAIL = """\
    *) return 1 ;;
  esac
}
"""


def render(profiles: Iterable[agents.Profile]) -> str:
    """Return the text of ``agents.sh`` for *profiles*."""
    profiles = tuple(profiles)
    names = quote(" ".join(profile.name for profile in profiles))
    return _HEAD.format(names=names) + "".join(map(_case, profiles)) + _TAIL


def main() -> None:
    """Write the file beside the profiles, or print one profile."""
    if sys.argv[1:]:
        try:
            sys.stdout.write(render([agents.read(Path(sys.argv[1]))]))
        except InvalidInputError as error:
            sys.exit(f"run_claude_swarm.sh: {error}")
    else:
        ours = sorted(agents.HERE.glob("*.toml"))
        TARGET.write_text(render(map(agents.read, ours)), encoding="utf-8")
        sys.stdout.write(f"{TARGET}\n")


def _case(profile: agents.Profile) -> str:
    values = {
        "command": _array(profile.command),
        "missing": _array(profile.missing),
        "environment": _array(f"{key}={value}" for key, value in profile.environment.items()),
        "unset": _array(profile.unset),
        "instructions_flag": quote(profile.instructions_flag or ""),
        "ready": quote(profile.ready or ""),
        "hooks_flag": quote(profile.hooks.flag if profile.hooks else ""),
        "hooks": quote(profile.hooks.settings if profile.hooks else ""),
        "options": _array(f"{key}={value}" for key, value in profile.pane_options.items()),
    }
    body = "".join(f"      agent_{key}={value}\n" for key, value in values.items())
    return f"    {profile.name})\n{body}      ;;\n"


def _array(items: Iterable[str]) -> str:
    return f"({' '.join(map(quote, items))})"


if __name__ == "__main__":
    main()
