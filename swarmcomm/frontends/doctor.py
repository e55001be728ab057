"""``swarmcomm doctor``: what is there, what an agent's profile sees, and what to mend."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmcomm import agents, clock, permissions
from swarmcomm.errors import MissingProgramError, RefusedError, SwarmError
from swarmcomm.frontends import chain
from swarmcomm.swarm import Address, Swarm
from swarmcomm.swarm.rehearsal import rehearse
from swarmcomm.tmux import launch
from swarmcomm.tmux.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarmcomm.agents import Profile
    from swarmcomm.settings import Settings

#: Seconds for an agent to show its input box; claude needs one, a slow machine some.
READY_S = 20.0


#: What stands before a finding: it is good, wrong, or a thing to know.
_HEADS = {True: "ok   ", False: "WRONG", None: "note "}


def run(settings: Settings, profile: Profile | None) -> int:
    """Print each finding on a line and return the exit status: 0, or that of what is wrong first.

    One that is wrong does not keep the others from being told.
    """
    parts: tuple[Iterator[tuple[bool | None, str]], ...]
    if profile:
        parts = (_agent(settings, profile),)
    else:
        swarm = Swarm(Server(settings.socket, settings.tmux), settings)
        links = (chain.store(settings), chain.server(), chain.agent(settings))
        parts = (_tmux(swarm), *links, _permissions(), _swarm(swarm))
    status = 0
    for part in parts:
        try:
            for good, text in part:
                click.echo(f"{_HEADS[good]}  {text}")
                status = status or (RefusedError.exit_status if good is False else 0)
        except SwarmError as error:
            click.echo(f"WRONG  {error}")
            status = status or error.exit_status
    return status


def _tmux(swarm: Swarm) -> Iterator[tuple[bool | None, str]]:
    yield True, swarm.server.ask("-V").strip()


def _permissions() -> Iterator[tuple[bool | None, str]]:
    path = permissions.file_of(os.environ)
    roles = permissions.load(path)
    if path and path.exists():
        starting = ", ".join(name for name, may in roles.items() if may.can_create_sessions)
        yield True, f"permissions {path}: sessions are started by {starting or 'nobody'}"


def _swarm(swarm: Swarm) -> Iterator[tuple[bool | None, str]]:
    names = swarm.windows()
    yield True, f"session {swarm.settings.session}: {' '.join(names)}"
    for name in names:
        state, text = swarm[name].state()
        good = state not in ("gone", "waiting", "error")
        yield good, f"window {name}: {state}{': ' + text if text else ''}"


def _agent(settings: Settings, profile: Profile) -> Iterator[tuple[bool | None, str]]:
    yield True, f"profile {profile.file}"
    program = sys.executable if profile.program == agents.PYTHON else profile.program
    found = shutil.which(program)
    if found is None:
        raise MissingProgramError(profile.missing[0])
    yield True, f"program {found}"
    server = Server(f"swarmcomm-doctor-{os.getpid()}", settings.tmux, "/dev/null")
    with tempfile.TemporaryDirectory(prefix="swarmcomm-") as workdir:
        began = clock.monotonic()
        try:
            launch.launch(
                server,
                session="doctor",
                workdir=Path(workdir),
                agent=profile,
                command=None,
                environment=os.environ,
                windows=("worker-0",),
            )
            yield True, f"started in {clock.monotonic() - began:.1f} s"
            yield from rehearse(Address(server, "doctor", "worker-0"), READY_S)
        finally:
            server.cmd("kill-server")
