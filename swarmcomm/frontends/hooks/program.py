"""The hook program: a session of an agent reports, and is given its messages.

Run as ``python3 -I -S program.py report|wait [--project-id P --role R ...]``, with the input of a
hook on standard input. Which session it is, the environment says, or else the words; where neither
does, it is gone before anything is loaded. An agent waits for ``report``: it ends within LATE_S
seconds, always with status 0, and says nothing but what the agent is to know; what takes longer
goes on without it. ``wait`` goes on until there is a message; then it writes it to standard error
and ends with WAKE_STATUS. What went wrong is in ``hooks.log`` of the state folder.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # the module typing takes longer than all that is done for other sessions
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any, NoReturn

    from swarmcomm.sessions import Coordinator
    from swarmcomm.sessions.identity import Identity

#: Seconds that an agent waits for a report at most.
LATE_S = 1.4

#: Seconds after which a report is given up.
_END_S = 30

#: Status that says there is a message. Python itself ends with 2 where there is no program.
WAKE_STATUS = 42

#: Seconds between two reports of the same turn, where nobody says.
INTERVAL_S = 30.0

#: Bytes of a hook's input.
_INPUT_BYTES = 16 * 1024 * 1024

#: Stands above messages that are acknowledged, of an agent that has ended before it could act.
_AGAIN = "This was given out before, to an agent that has ended: see what is done of it already."

#: What the words say, in the environment's terms.
_WORDS = {
    "--project-id": "PROJECT_ID",
    "--task-id": "TASK_ID",
    "--role": "SESSION_ROLE",
    "--master-session-id": "MASTER_SESSION_ID",
    "--interval": "SWARM_HOOK_INTERVAL",
    "--agent": "",
}


def main() -> NoReturn:
    """Do what the words say, and end."""
    status = 0
    try:
        words = dict(zip(sys.argv[2::2], sys.argv[3::2], strict=False))
        if "--project-id" in words or _has_name():
            _find_package()
            status = _wait(words) if sys.argv[1:2] == ["wait"] else _report(words)
    except BaseException as error:  # an agent must never hear of it
        _note(f"{type(error).__name__}: {error}")
    finally:
        os._exit(status)  # not even a flush that fails


def _has_name() -> bool:
    """Tell whether the environment may say which session this is, as ``identify`` reads it."""
    said = os.environ.get
    project = said("PROJECT_ID") and any(
        map(said, ("TASK_ID", "SESSION_ROLE", "MASTER_SESSION_ID"))
    )
    return bool(said("SWARM_SESSION_NAME") or project)


def _find_package() -> None:
    if __name__ == "__main__":
        # Behind the standard library, which nothing that is installed beside us may hide.
        sys.path.append(os.path.dirname(os.path.abspath(__file__)).rsplit(os.sep, 3)[0])  # noqa: PTH100, PTH120


class Agent:
    """The agent, as the process knows it that does the work while another one waits for it."""

    def __init__(self, say: int, seen: int, waits: int) -> None:
        """Take the ends of two pipes, and the process that waits."""
        self._say = say
        self._seen = seen
        self._waits = waits

    def tell(self, line: str) -> None:
        """Give a line to the agent; returns when it has it.

        Raises:
            TimeoutError: nobody waits any more.
        """
        data = line.encode()
        try:
            while data:
                data = data[os.write(self._say, data) :]
            has_it = os.read(self._seen, 1)
        except BrokenPipeError:
            has_it = b""
        if not has_it:
            raise TimeoutError(f"nobody heard what was to be said within {LATE_S:g} s")

    def is_gone(self) -> bool:
        """Tell whether nobody waits any more: the agent has gone on."""
        return os.getppid() != self._waits


def _report(words: Mapping[str, str]) -> int:
    """Have another process report, and wait for it, but not for long: so nothing is lost."""
    said, say = os.pipe()
    seen, see = os.pipe()
    waits = os.getpid()
    if os.fork() == 0:
        os.close(said)
        os.close(see)
        _work(words, Agent(say, seen, waits))
    os.close(say)
    os.close(seen)
    import signal

    signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
    signal.setitimer(signal.ITIMER_REAL, LATE_S)
    line = b""
    while piece := os.read(said, 64 * 1024):
        line += piece
        if line.endswith(b"\n"):
            while line:
                line = line[os.write(sys.stdout.fileno(), line) :]
            os.write(see, b".")
    return 0


def _work(words: Mapping[str, str], agent: Agent) -> NoReturn:
    import signal

    try:
        signal.alarm(_END_S)
        os.setsid()  # who waits may be killed
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.dup2(null, sys.stderr.fileno())
        who = _who(words)
        if who:
            told = _told()
            # It is not closed: what was not acknowledged comes again when this process has ended.
            coordinator = _coordinator(who)
            other = _other_agent(who)
            if other is None:
                from swarmcomm.frontends.hooks.reporter import Reporter

                Reporter(coordinator, who, agent, _state(), _interval_s(words)).report(told)
            elif told.get("hook_event_name") == "SessionStart":
                agent.tell(_no_part(who, other))
    except BaseException as error:
        _note(f"{type(error).__name__}: {error}")
    finally:
        os._exit(0)


def _wait(words: Mapping[str, str]) -> int:
    # claude without a terminal waits for every hook, and is never idle.
    who = None if os.environ.get("CLAUDE_CODE_SESSION_ATTENDED") == "0" else _who(words)
    if not who:
        return 0
    from swarmcomm.frontends.hooks.reporter import handle
    from swarmcomm.frontends.hooks.turn import Wake
    from swarmcomm.frontends.hooks.waiter import Waiter

    told = _told()
    agent = words.get("--agent", "")
    coordinator = _coordinator(who)
    if _other_agent(who) is not None:
        return 0
    coordinator.register_session(str(who.name))
    wake = Wake(_state(), str(who.name))
    if lost := wake.again():
        wake.keep(lost)
        sys.stderr.write(f"{_AGAIN}\n{lost}\n")
        sys.stderr.flush()
        return WAKE_STATUS
    waiter = Waiter(coordinator, who.name, _state(), int(agent) if agent.isdecimal() else None)
    text, given = waiter.wait()
    if not given:
        return 0
    handle(told, who, "message_received", messages=given)
    wake.keep(text)
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
    try:
        coordinator.acknowledge_messages(str(who.name), [message.id for message in given])
    except Exception as error:  # it is woken all the same; they come again, and marked
        _note(f"{type(error).__name__}: {error}")
    return WAKE_STATUS


def _who(words: Mapping[str, str]) -> Identity | None:
    """Return which session this is: the environment says it whole, or the words do."""
    from swarmcomm.sessions.identity import identify

    given = {_WORDS[word]: value for word, value in words.items() if word in _WORDS}
    return identify(os.environ) or identify(given)


def _other_agent(who: Identity) -> int | None:
    """Return the process of another agent that is the session already; None: this one is it."""
    from swarmcomm.frontends.hooks.turn import Seat

    pid = os.environ.get("CLAUDE_PID", "")
    return Seat(_state(), str(who.name)).take(int(pid)) if pid.isdecimal() else None


def _no_part(who: Identity, other: int) -> str:
    import json

    text = f"{who.name} is the agent of process {other}; this one reports nothing to swarmcomm"
    return json.dumps({"systemMessage": text}) + "\n"


def _interval_s(words: Mapping[str, str]) -> float:
    said = os.environ.get("SWARM_HOOK_INTERVAL") or words.get("--interval")
    try:
        return max(0.0, float(said)) if said else INTERVAL_S
    except ValueError:
        return INTERVAL_S


def _told() -> dict[str, Any]:
    import json

    told = json.loads(sys.stdin.buffer.read(_INPUT_BYTES))
    if not isinstance(told, dict):
        raise ValueError("the input of the hook is no object")
    return told


def _coordinator(who: Identity) -> Coordinator:
    from swarmcomm.sessions import Coordinator

    return Coordinator.attach(os.environ, str(who.name))


def _state() -> Path:
    from swarmcomm import settings

    state = settings.state_folder(os.environ)
    assert state is not None  # the coordinator has opened its store there
    return state


def _note(text: str) -> None:
    try:
        from swarmcomm import settings
        from swarmcomm.frontends.hooks import log

        log.note(settings.state_folder(os.environ), f"hook {' '.join(sys.argv[1:2])}: {text}")
    except BaseException:  # then nobody can be told
        pass


if __name__ == "__main__":
    main()
