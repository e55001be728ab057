"""Who may start sessions: a person always, a master some, a worker and a child session none.

The rows L22, L23 and L24 of the faults are here by their id.
"""

from __future__ import annotations

import itertools
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from swarmcomm.errors import NestingError
from swarmcomm.sessions.identity import Identity
from swarmcomm.sessions.names import SessionName
from swarmcomm.sessions.starting import create_session
from swarmcomm.tmux import ancestors, guard
from swarmcomm.tmux.server import Server
from tests.conftest import ROOT, Tmux, wait_for
from tests.launch.conftest import SESSION

# An agent that runs each file whose name is typed into its window, and says how that ended.
RUNNER = """
command = ["sh", "-c", "while printf 'ready> ' && read -r job; do sh $job; done"]
missing = ["install a shell"]
pause_ms = 0
ready = '^ready> *$'
column = 7
"""

OURS = [
    *("SPLITMIND_SESSION_LEVEL", "SPLITMIND_PARENT_SESSION", "SPLITMIND_MAX_NESTING"),
    *("SWARM_SESSION", "SWARM_SOCKET", "SWARM_WORKDIR", "SWARM_SESSION_NAME", "SWARM_STATE_DIR"),
    *("PROJECT_ID", "TASK_ID", "SESSION_ROLE", "MASTER_SESSION_ID", "WORKTREE_PATH"),
    *("TMUX", "TMUX_PANE"),
]

LIBRARY = """
from swarmcomm import Swarm
try:
    Swarm.launch(agent="runner", session="more")
except PermissionError as error:
    print(type(error).__name__, error, file=__import__("sys").stderr)
    raise SystemExit(error.exit_status)
"""

FACES = {
    "python": [sys.executable, "-m", "swarmcomm", "up", "--agent", "runner", "--session", "more"],
    "bash": [
        *(str(ROOT / "run_claude_swarm.sh"), "--no-attach"),
        *("--agent", "runner", "--session", "more"),
    ],
    "library": [sys.executable, "-c", LIBRARY],
}

MCP = """
import os, sys
from functools import partial
from tests.frontends.coordination import bad, converse
call = partial(bad, tool="create_session", session_name="child_web_task_7")
said = converse(dict(os.environ), "auto", call)
print(said, file=sys.stderr)
raise SystemExit(5)
"""

#: Those that start one session, and not a swarm.
SINGLE = {
    "hooks": [
        *(sys.executable, "-m", "swarmcomm", "hooks", "create-session", "child"),
        *("child_web_task_7", "--project-id", "web", "--task-id", "7", "--agent", "runner"),
    ],
    "mcp": [sys.executable, "-c", MCP],
}


@dataclass
class Place:
    """A tmux server, and how commands are run in the panes of it."""

    tmux: Tmux
    environ: dict[str, str]
    folder: Path
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def config(self) -> Path:
        return Path(self.environ["HOME"], ".config", "swarmcomm")

    def person(self, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a person does who stands outside."""
        return subprocess.run(
            words,
            env={**self.environ, **extra},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def swarm(self, face: str = "python", **extra: str) -> None:
        words = [word if word != "more" else SESSION for word in FACES[face]]
        done = self.person(*words, **{"SWARM_WINDOWS": "master worker-0", **extra})
        assert done.returncode == 0, done.stderr

    def create(self, name: str, task_id: str | None, role: str, **extra: str) -> None:
        """Start a session of the session layer as a person does."""
        named = {**self.environ, **extra}
        identity = Identity(SessionName("web", task_id), role)
        create_session(name, identity, workdir=self.folder, agent="runner", environ=named)

    def begin(self, pane: str, words: list[str]) -> Callable[[], tuple[int, str, str]]:
        """Begin a command in the runner of a pane; give what waits for its end."""
        job = self.folder / f"job-{next(self.numbers)}"
        line = f"{shlex.join(words)} </dev/null >{job}.out 2>{job}.err; echo $? >{job}.rc\n"
        job.write_text(f"{line}mv {job}.rc {job}.status\n", encoding="utf-8")
        self.tmux.run("send-keys", "-t", pane, "-l", "--", str(job))
        self.tmux.run("send-keys", "-t", pane, "Enter")

        def wait() -> tuple[int, str, str]:
            status = Path(f"{job}.status")
            wait_for(status.exists, f"the end of {words}", 60)
            out, err = (Path(f"{job}.{end}").read_text(encoding="utf-8") for end in ("out", "err"))
            return int(status.read_text()), out, err

        return wait

    def inside(self, session: str, window: str, words: list[str]) -> tuple[int, str, str]:
        return self.begin(self.tmux.pane(session, window), words)()

    def sessions(self) -> list[str]:
        return sorted(self.tmux.run("list-sessions", "-F", "#{session_name}").split())

    def of(self, session: str, form: str) -> list[str]:
        return self.tmux.run("list-panes", "-s", "-t", f"={session}:", "-F", form).splitlines()

    def permit(self, **roles: dict[str, object]) -> Path:
        self.config.mkdir(parents=True, exist_ok=True)
        file = self.config / "permissions.json"
        file.write_text(json.dumps({"session_permissions": roles}), encoding="utf-8")
        for each, mode in ((self.config, 0o700), (file, 0o600)):
            each.chmod(mode)
        return file


@pytest.fixture
def place(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """Sockets, a server, a registry and a home of its own, and the runner among the agents."""
    monkeypatch.setenv("HOME", environ["HOME"])
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    with tempfile.TemporaryDirectory(prefix="swt") as sockets:
        monkeypatch.setenv("TMUX_TMPDIR", sockets)
        # A bash launcher without an environment beside it takes the python3 that it finds.
        path = f"{Path(sys.executable).parent}:{environ['PATH']}"
        tmux = Tmux({**environ, "TMUX_TMPDIR": sockets, "PATH": path})
        named = {"SWARM_SOCKET": tmux.socket, "SWARM_STATE_DIR": str(tmp_path / "state")}
        made = Place(tmux, {**tmux.environ, **named}, tmp_path)
        (made.config / "agents").mkdir(parents=True)
        (made.config / "agents" / "runner.toml").write_text(RUNNER, encoding="utf-8")
        yield made
        for socket in Path(sockets).glob("*/*"):  # also what a guard that fails let be made
            words = ["tmux", "-S", str(socket), "kill-server"]
            subprocess.run(words, capture_output=True, timeout=30, check=False)


def wiped(way: str, environ: dict[str, str], words: list[str]) -> list[str]:
    """Return *words* with less around them; what is left is enough to start a session."""
    left = [f"{name}={environ[name]}" for name in ("PATH", "HOME", "TMUX_TMPDIR", "PYTHONPATH")]
    forged = ["SPLITMIND_SESSION_LEVEL=0", "SPLITMIND_MAX_NESTING=9", "SESSION_ROLE=master"]
    forged += ["PROJECT_ID=web", "TASK_ID=", "SWARM_SESSION_NAME=master_project_web"]
    return {
        "as it is": words,
        "no TMUX": ["env", "-u", "TMUX", "-u", "TMUX_PANE", *words],
        "unset": ["env", *(word for name in OURS for word in ("-u", name)), *words],
        "empty": ["env", "-i", *left, *words],
        "forged": ["env", *forged, *words],
        "empty and forged": ["env", "-i", *left, *forged, *words],
    }[way]


WAYS = ("as it is", "no TMUX", "unset", "empty", "forged", "empty and forged")


def assert_refused(done: tuple[int, str, str], *words: str) -> None:
    status, out, err = done
    assert (status, out) == (5, ""), err
    assert len(err.splitlines()) == 1, err
    assert "already there" not in err
    assert [word for word in words if word not in err] == []


@pytest.mark.parametrize("kind", ["worker", "child"])
@pytest.mark.parametrize("face", [*FACES, *SINGLE])
def test_l22_a_worker_and_a_child_start_no_session_whatever_they_unset(
    place: Place, face: str, kind: str
) -> None:
    """L22: by the commands, the library, MCP and bash, with and without the variables."""
    session, window = (SESSION, "worker-0") if kind == "worker" else ("build", "child")
    if kind == "worker":
        place.swarm("bash" if face == "bash" else "python")
    else:
        place.create("build", "3", "child")
    for way in WAYS if face != "mcp" else WAYS[::5]:  # the SDK takes a second
        words = wiped(way, place.environ, {**FACES, **SINGLE}[face])
        done = place.inside(session, window, words)
        assert_refused(done, session, "dev_session", "can_create_sessions", "from outside")
        assert (face != "library") or done[2].startswith("NestingError ")
    assert place.sessions() == [session]


@pytest.mark.parametrize("face", FACES)
def test_a_person_outside_may_and_their_session_is_at_level_1(place: Place, face: str) -> None:
    place.tmux.session("mine", {"shell": "sh"})
    done = place.person(*FACES[face], SWARM_WINDOWS="master worker-0")
    assert (done.returncode, done.stderr) == (0, "")
    form = "#{@swarm_level}|#{@swarm_parent}|#{@swarm_max_nesting}"
    assert place.of("more", form) == ["1||2"] * 2
    said = place.tmux.run("show-environment", "-t", "=more").splitlines()
    assert {
        "SPLITMIND_SESSION_LEVEL=1",
        "SPLITMIND_PARENT_SESSION=",
        "SPLITMIND_MAX_NESTING=2",
    } < set(said)
    # Sessions of others on the server carry nothing.
    assert place.of("mine", form) == ["||"]


@pytest.mark.parametrize("face", FACES)
def test_a_person_in_a_tmux_window_of_their_own_may(place: Place, face: str) -> None:
    place.swarm()
    place.tmux.session("mine", {"shell": shlex.join(["sh", "-c", RUN])})
    done = place.inside("mine", "shell", FACES[face])
    assert (done[0], done[2]) == (0, "")
    assert place.of("more", "#{@swarm_level}")[0] == "1"


RUN = "while read -r job; do sh $job; done"


@pytest.mark.parametrize("face", ["python", "bash"])
@pytest.mark.parametrize(("levels", "status"), [("0", 5), ("x", 2), ("-1", 2), ("1", 0), ("3", 0)])
def test_a_person_says_how_many_levels_there_are(
    place: Place, face: str, levels: str, status: int
) -> None:
    done = place.person(*FACES[face], SPLITMIND_MAX_NESTING=levels, SWARM_WINDOWS="one")
    assert done.returncode == status, done.stderr
    if status:
        assert "SPLITMIND_MAX_NESTING" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    else:
        assert place.of("more", "#{@swarm_max_nesting}") == [levels]


@pytest.mark.parametrize("face", FACES)
def test_a_master_may_and_what_it_starts_is_a_level_deeper(place: Place, face: str) -> None:
    place.swarm("bash" if face == "bash" else "python")
    status, _, err = place.inside(SESSION, "master", FACES[face])
    assert (status, err) == (0, "")
    form = "#{@swarm_level}|#{@swarm_parent}|#{@swarm_max_nesting}"
    assert set(place.of("more", form)) == {f"2|{SESSION}|2"}
    said = place.tmux.run("show-environment", "-t", "=more").splitlines()
    assert {"SPLITMIND_SESSION_LEVEL=2", f"SPLITMIND_PARENT_SESSION={SESSION}"} < set(said)
    # A master there is as deep as sessions go.
    again = [word if word != "more" else "deeper" for word in FACES["python"]]
    for way in WAYS:
        done = place.inside("more", "master", wiped(way, place.environ, again))
        assert_refused(done, "more is at level 2 of 2")
    assert place.sessions() == ["more", SESSION]


def test_a_master_starts_a_child_session_and_that_one_none(place: Place) -> None:
    place.create("lead", None, "master")
    assert place.inside("lead", "master", SINGLE["hooks"])[0] == 0
    assert place.of("child_web_task_7", "#{@swarm_level}|#{@swarm_parent}") == ["2|lead"]
    told = place.tmux.run("show-environment", "-t", "=child_web_task_7").splitlines()
    assert {"SPLITMIND_PARENT_SESSION=lead", "SESSION_ROLE=child", "TASK_ID=7"} < set(told)
    words = [word.replace("_7", "_8") if word != "7" else "8" for word in SINGLE["hooks"]]
    assert_refused(place.inside("child_web_task_7", "child", words), "child_web_task_7")


def test_a_master_by_hand_starts_its_child_on_the_server_that_it_is_on(place: Place) -> None:
    named = ["-e", "PROJECT_ID=web", "-e", "SESSION_ROLE=master", "-e", f"HOME={Path.home()}"]
    size = ["-x", "120", "-y", "40"]
    place.tmux.run("new-session", "-d", "-s", "hand", "-n", "w", *size, *named, RUN)
    assert place.inside("hand", "w", SINGLE["hooks"])[0] == 0
    assert place.of("child_web_task_7", "#{@swarm_level}|#{@swarm_parent}") == ["2|hand"]


@pytest.mark.parametrize("variable", ["SPLITMIND_SESSION_LEVEL", "SPLITMIND_MAX_NESTING"])
@pytest.mark.parametrize("face", ["python", "bash"])
def test_a_level_that_is_none_is_no_yes(place: Place, face: str, variable: str) -> None:
    place.swarm(face)
    for value in ("-1", "x", "1e9", "9" * 30):
        words = ["env", f"{variable}={value}", *FACES[face]]
        status, _, err = place.inside(SESSION, "master", words)
        assert (status in (2, 5), variable in err, len(err.splitlines())) == (True, True, 1), err
    assert place.sessions() == [SESSION]


def test_the_demo_is_no_way_around(place: Place) -> None:
    place.swarm()
    before = sorted(Path(place.tmux.environ["TMUX_TMPDIR"]).rglob("*"))
    for words in (["swarmcomm", "demo"], [str(ROOT / "run_claude_swarm.sh"), "--demo"]):
        status, _, err = place.inside(SESSION, "worker-0", words)
        assert (status, "which may start no session" in err) == (5, True), err
    assert sorted(Path(place.tmux.environ["TMUX_TMPDIR"]).rglob("*")) == before


def test_a_person_may_allow_a_level_more_and_nobody_else(place: Place) -> None:
    place.swarm(SPLITMIND_MAX_NESTING="3")
    assert place.inside(SESSION, "master", FACES["python"])[0] == 0
    deeper = [word if word != "more" else "deeper" for word in FACES["python"]]
    assert_refused(place.inside("more", "master", ["env", "SPLITMIND_MAX_NESTING=2", *deeper]))
    assert place.inside("more", "master", deeper)[0] == 0
    deepest = [word if word != "more" else "deepest" for word in FACES["python"]]
    assert_refused(place.inside("deeper", "master", ["env", "SPLITMIND_MAX_NESTING=9", *deepest]))


def test_a_master_has_no_more_children_than_it_may(place: Place) -> None:
    place.permit(master_coordinator={"max_child_sessions": 2})
    place.swarm()

    def start(name: str) -> tuple[int, str, str]:
        words = [word if word != "more" else name for word in FACES["python"]]
        return place.inside(SESSION, "master", ["env", "SWARM_WINDOWS=one", *words])

    assert [start(name)[0] for name in ("a", "b")] == [0, 0]
    assert_refused(start("c"), "may have 2 child sessions", "max_child_sessions")
    assert place.sessions() == ["a", "b", SESSION]
    place.tmux.run("kill-session", "-t", "=a")
    assert start("c")[0] == 0
    # One whose agent has ended is none any more, though its pane stays to be read.
    place.tmux.run("respawn-pane", "-k", "-t", place.tmux.pane("b", "one"), "exit 0")
    wait_for(lambda: place.of("b", "#{pane_dead}") == ["1"], "a dead pane")
    assert start("d")[0] == 0
    # A person's are not counted, and are not limited.
    assert place.person(*FACES["python"]).returncode == 0


def test_of_two_at_once_the_one_too_many_ends_itself(place: Place) -> None:
    place.permit(master_coordinator={"max_child_sessions": 1})
    place.swarm(SWARM_WINDOWS="master")
    pane = place.tmux.pane(SESSION, "master")
    words = shlex.join(["env", "SWARM_WINDOWS=one", *FACES["python"]])
    both = " & ".join(
        f"( {words.replace('more', name)} >/dev/null 2>&1; echo {name} $? )" for name in "ab"
    )
    _, out, _ = place.begin(pane, ["sh", "-c", f"{both} & wait"])()
    ended = sorted(line.split()[1] for line in out.splitlines())
    assert ended == ["0", "5"]
    assert len(place.sessions()) == 2


def test_what_was_made_one_too_many_is_told_from_the_older_one(place: Place) -> None:
    grant = guard.Grant(2, SESSION, 2, 1)
    server = Server(place.tmux.socket)
    for name in "ab":
        place.tmux.session(name, {"one": "cat"})
        for option, value in grant.options.items():
            place.tmux.run("set-option", "-t", name, option, value)
    first, second = place.tmux.run("list-sessions", "-F", "#{session_id}").split()
    guard.check_again(server, grant, first)
    with pytest.raises(NestingError):
        guard.check_again(server, grant, second)


@pytest.mark.parametrize("face", ["python", "bash"])
def test_a_window_that_is_added_by_hand_is_a_session_s(place: Place, face: str) -> None:
    place.swarm(face)
    words = ("new-window", "-d", "-t", f"={SESSION}:", "-n", "added", "-e", "SESSION_ROLE=master")
    place.tmux.run(*words, "-e", "PROJECT_ID=x", "sh", "-c", RUN)
    assert_refused(place.inside(SESSION, "added", FACES[face]), "dev_session")


@pytest.mark.parametrize("face", ["python", "bash"])
def test_l22_a_tmux_within_a_window_is_within_it(place: Place, face: str) -> None:
    """L22: another server begun in a worker's window, with TMUX unset and the variables wiped."""
    place.swarm(face)
    other = Tmux(place.environ)
    begin = ["env", "-u", "TMUX", "tmux", "-L", other.socket, "-f", "/dev/null"]
    try:
        done = place.inside(
            SESSION, "worker-0", [*begin, "new-session", "-d", "-n", "in", "-s", "in", RUN]
        )
        assert done[0] == 0, done
        inner = Place(other, place.environ, place.folder, place.numbers)
        for way in ("as it is", "unset", "empty"):
            done = inner.inside("in", "in", wiped(way, place.environ, FACES[face]))
            assert_refused(done)
        assert inner.sessions() == ["in"]
        assert place.sessions() == [SESSION]
    finally:
        other.run("kill-server", check=False)


@pytest.mark.parametrize("face", ["python", "bash"])
def test_l22_a_session_by_hand_is_one_where_it_says_who_it_is(place: Place, face: str) -> None:
    """L22: a session begun with ``tmux new-session -e``, which no option of ours tells of."""
    named = ["-e", "PROJECT_ID=web", "-e", "TASK_ID=3", "-e", "SESSION_ROLE=child"]
    size = ["-x", "120", "-y", "40"]
    place.tmux.run("new-session", "-d", "-s", "hand", "-n", "w", *size, *named, RUN)
    for way in WAYS:
        done = place.inside("hand", "w", wiped(way, place.environ, FACES[face]))
        assert_refused(done, "dev_session")
    # PROJECT_ID alone is a word that people use for other things.
    place.tmux.run("new-session", "-d", "-s", "cloud", "-n", "w", *size, "-e", "PROJECT_ID=x", RUN)
    assert place.inside("cloud", "w", FACES[face])[0] == 0


def test_d15_the_permissions_count_as_they_are_now(place: Place) -> None:
    """D15: edited while the sessions run; a broken file is no yes, and says so."""
    place.swarm()
    first, second = (
        [word if word != "more" else name for word in FACES["python"]] for name in ("one", "two")
    )
    assert_refused(place.inside(SESSION, "worker-0", first), "dev_session")
    file = place.permit(dev_session={"can_create_sessions": True, "max_child_sessions": 1})
    assert place.inside(SESSION, "worker-0", first)[0] == 0
    assert_refused(place.inside(SESSION, "worker-0", second), "may have 1 child")
    file.write_text('{"session_permissions": {"master_coordinator": {"can_create_')
    for window in ("master", "worker-0"):
        assert_refused(place.inside(SESSION, window, second), str(file), "so nothing is allowed")
    place.permit(master_coordinator={"can_create_sessions": False})
    assert_refused(place.inside(SESSION, "master", second), "master_coordinator", str(file))
    # Another home has another file, and a session does not choose its own.
    other = place.folder / "home" / ".config" / "swarmcomm"
    shutil.copytree(place.config, other)
    (other / "permissions.json").write_text(
        '{"session_permissions": {"master_coordinator": {"can_create_sessions": true}}}'
    )
    forged = ["env", "-u", "XDG_CONFIG_HOME", f"HOME={place.folder}/home"]
    assert_refused(place.inside(SESSION, "master", [*forged, *second]), "master_coordinator")
    # It concerns sessions; a person is not asked by it.
    file.write_text("broken")
    assert place.person(*second).returncode == 0


@pytest.mark.parametrize("role", ["lead.qa", "nobody-knows-it"])
def test_a_role_of_the_file_is_what_it_says_there(place: Place, role: str) -> None:
    place.permit(**{"lead.qa": {"can_create_sessions": True, "max_child_sessions": 1}})
    place.create("build", "3", role)
    done = place.inside("build", role.replace(".", "-"), FACES["python"])
    if role == "lead.qa":
        assert done[0] == 0, done
    else:
        assert_refused(done, role)


def test_l23_the_tests_of_this_project_leave_the_server_around_them_as_it_is(place: Place) -> None:
    """L23: run in a window of a swarm."""
    place.swarm()

    def look() -> list[str]:
        run = place.tmux.run
        asked = [("list-sessions",), ("show-options", "-g"), ("show-environment", "-g")]
        asked += [("list-panes", "-a", "-F", "#{pane_id} #{pane_pid} #{window_name}")]
        asked += [(each, "-t", f"={SESSION}:") for each in ("show-options", "show-environment")]
        return [run(*words) for words in asked]

    before = look()
    tests = ["tests/launch/test_same_session.py", "tests/sessions/test_starting.py"]
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    chosen = ["-k", "session_conf or knows_who_it_is", *(str(ROOT / each) for each in tests)]
    status, out, _ = place.inside(SESSION, "worker-0", [*words, "--rootdir", str(ROOT), *chosen])
    # Those that start sessions cannot: they are told why.
    assert status == 1
    assert "NestingError: swarm has the role dev_session" in out
    assert look() == before


def test_l24_what_a_session_starts_inherits_what_is_listed_and_nothing_else(place: Place) -> None:
    """L24: from a server that began with secrets, and from the one who asks."""
    secrets = {"AWS_SECRET_ACCESS_KEY": "s3", "CLAUDECODE": "1", "A_TOKEN": "two\nlines=here"}
    kept = {"LC_TIME": "C", "HTTPS_PROXY": "http://127.0.0.1:9", "SWARM_TAG": "1"}
    place.swarm(**secrets, **kept)
    # What a person starts inherits all of it.
    status, out, _ = place.inside(SESSION, "master", ["env"])
    assert status == 0
    assert {"AWS_SECRET_ACCESS_KEY=s3", "LC_TIME=C"} < set(out.splitlines())

    words = ["env", "MY_PASSWORD=p", "SWARM_WINDOWS=one", *FACES["python"]]
    assert place.inside(SESSION, "master", words)[0] == 0
    status, out, _ = place.inside("more", "one", ["env"])
    found = dict(line.split("=", 1) for line in out.splitlines())
    assert not {*secrets, "MY_PASSWORD"} & set(found)
    assert {name: found.get(name) for name in kept} == kept
    assert found["HOME"] == place.environ["HOME"]
    assert found["SPLITMIND_SESSION_LEVEL"] == "2"
    # A window that is added there later gets no more.
    place.tmux.run("new-window", "-d", "-t", "=more:", "-n", "added", RUN)
    _, out, _ = place.inside("more", "added", ["env"])
    assert not {*secrets, "MY_PASSWORD"} & {line.split("=")[0] for line in out.splitlines()}


def test_l24_a_server_that_a_session_begins_has_nothing_to_hand_on(place: Place) -> None:
    """L24: what it was begun with would reach everybody's sessions on it."""
    place.swarm(A_TOKEN="t", CLAUDECODE="1")
    other = Tmux(place.environ)
    try:
        words = [*FACES["python"], "--socket", other.socket]
        status, _, err = place.inside(SESSION, "master", words)
        assert (status, err) == (0, "")
        told = {each.split("=")[0] for each in other.run("show-environment", "-g").splitlines()}
        assert not {"A_TOKEN", "CLAUDECODE", "TMUX", "SPLITMIND_SESSION_LEVEL"} & told
        assert "HOME" in told
        # Children on it count as well.
        place.permit(master_coordinator={"max_child_sessions": 0})
        assert_refused(place.inside(SESSION, "master", FACES["python"]), "may have 0")
    finally:
        other.run("kill-server", check=False)


def test_the_variables_that_are_kept_are_few_and_none_of_ours_that_says_who_one_is() -> None:
    from swarmcomm import settings

    kept = settings.session_conf()["KEEP"].split()
    assert not set(kept) & {*OURS} - {"SWARM_STATE_DIR"}
    assert not [name for name in kept if "*" in name and name not in ("LC_*", "XDG_*")]


def test_where_there_is_no_proc_ps_tells_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = ancestors.environments()
    monkeypatch.setattr(ancestors, "_PROC", tmp_path)
    by_ps = ancestors.environments()
    assert list(by_ps) == list(real)
    assert next(iter(by_ps)) == os.getpid()
    for pid, environ in real.items():
        for name in ("TMUX", "TMUX_PANE", "TMUX_TMPDIR", "SPLITMIND_SESSION_LEVEL"):
            assert by_ps[pid].get(name) == environ.get(name)


def launcher_copy(place: Place) -> tuple[Path, list[str]]:
    """Return a checkout of its own with nothing but what bash needs, and a start from there."""
    copy = place.folder / "copy"
    for name in ("run_claude_swarm.sh", "swarmcomm/session.conf", "swarmcomm/agents/agents.sh"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((ROOT / name).read_bytes())
    (copy / "scripts").mkdir()
    words = ["bash", str(copy / "run_claude_swarm.sh"), "--no-attach", "--session", "more"]
    return copy, [*words, "--command", "cat"]


def test_bash_refuses_a_session_that_asks_where_there_is_no_python(
    place: Place, program: Callable[[str, str], Path]
) -> None:
    place.swarm("bash")
    _, words = launcher_copy(place)
    path = f"{program('python3', 'exit 127').parent}:{place.environ['PATH']}"
    for window in ("master", "worker-0"):
        done = place.inside(SESSION, window, ["env", f"PATH={path}", *words])
        assert_refused(done, "there is no Python")
    # A person needs none.
    assert place.person(*words, PATH=path).returncode == 0


def test_bash_finds_who_asks_where_there_is_no_proc(place: Place) -> None:
    place.swarm("bash")
    copy, words = launcher_copy(place)
    script = copy / "run_claude_swarm.sh"
    script.write_text(script.read_text().replace("/proc", "/no-proc"))
    hand = ["-e", "PROJECT_ID=web", "-e", "TASK_ID=3"]
    place.tmux.run(
        "new-session", "-d", "-s", "hand", "-n", "w", "-x", "120", "-y", "40", *hand, RUN
    )
    for way in ("unset", "empty"):
        for session, window in ((SESSION, "worker-0"), ("hand", "w")):
            done = place.inside(session, window, wiped(way, place.environ, words))
            assert_refused(done, "which may start no session")
    assert place.person(*words).returncode == 0
