"""Custom handlers: run on their own with a time limit; nothing that they do reaches an agent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from swarmcomm.errors import RefusedError
from swarmcomm.frontends.hooks import handlers, log
from tests.conftest import ROOT, wait_for

DONE = "session_completed"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / ".swarmcomm").mkdir(parents=True, mode=0o755)
    folder.joinpath(".swarmcomm").chmod(0o755)
    return folder


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def environ(environ: dict[str, str], state: Path) -> dict[str, str]:
    return {**environ, "SWARM_STATE_DIR": str(state)}


def write(project: Path, text: str | bytes) -> Path:
    file = project / handlers.FILE
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    file.chmod(0o644)
    return file


def name_actions(project: Path, *actions: dict[str, Any], name: str = DONE) -> Path:
    named = {name: {"description": "what a test has run", "actions": list(actions)}}
    return write(project, json.dumps({"response_handlers": named}))


def command(handler: str | list[str], **rest: Any) -> dict[str, Any]:
    return {"type": "command", "handler": handler, **rest}


def shell(text: str, **rest: Any) -> dict[str, Any]:
    return command(["/bin/sh", "-c", text], **rest)


def logged(state: Path) -> str:
    file = state / log.FILE
    return file.read_text() if file.exists() else ""


def wait_logged(state: Path, text: str) -> str:
    return wait_for(lambda: logged(state) if text in logged(state) else "", text)


def is_running(pid: int) -> bool:
    """Tell whether the process runs; one that is dead and not yet fetched does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return False
        return (
            subprocess.run(["ps", "-p", str(pid)], capture_output=True, check=False).returncode == 0
        )
    return state != "Z"


def wait_file(file: Path) -> str:
    """Return what is in *file* when a whole line of it is there."""
    return wait_for(
        lambda: file.exists() and file.read_text().endswith("\n") and file.read_text(), str(file)
    )


def test_a_command_gets_the_news_on_its_standard_input(
    project: Path, environ: dict[str, str], state: Path
) -> None:
    name_actions(project, shell("cat > told; pwd > where; echo $SWARM_SESSION_NAME > who"))
    environ["SWARM_SESSION_NAME"] = "child_web_task_3"
    news = {"details": 'it\'s "done"; $(touch no) `touch no`\n[DONE] 漢', "long": "x" * 300_000}
    handlers.start(project, DONE, news, environ)
    assert wait_file(project / "who") == "child_web_task_3\n"
    told = (project / "told").read_text()
    assert (json.loads(told), told.count("\n")) == ({"name": DONE, **news}, 1)
    assert (project / "where").read_text() == f"{project}\n"
    assert logged(state) == ""


def test_nothing_of_the_news_stands_on_a_command_line(
    project: Path, environ: dict[str, str]
) -> None:
    name_actions(
        project,
        shell("ps -o pid= -o args= -p $PPID > seen; ps -o args= -p $$ >> seen; echo >> seen"),
    )
    handlers.start(project, DONE, {"details": "the secret"}, environ)
    seen = wait_file(project / "seen")
    assert "handlers.py" in seen
    assert "secret" not in seen


def test_the_words_of_a_command_meet_no_shell(project: Path, environ: dict[str, str]) -> None:
    name_actions(project, command("/usr/bin/touch 'a b' '$HOME' ; '>' c"))
    handlers.start(project, DONE, {}, environ)
    names = {"a b", "$HOME", ";", ">", "c"}
    wait_for(lambda: names <= {file.name for file in project.iterdir()}, "the files")


def test_a_python_entry_point_gets_the_news(project: Path, environ: dict[str, str]) -> None:
    (project / "ours.py").write_text(
        "from pathlib import Path\n"
        "class Teller:\n"
        "    @staticmethod\n"
        "    def tell(news): Path('told').write_text(news['details'] + chr(10))\n"
    )
    name_actions(project, {"type": "python", "handler": "ours:Teller.tell"})
    handlers.start(project, DONE, {"details": "漢"}, environ)
    assert wait_file(project / "told") == "漢\n"


def test_actions_run_in_their_order_and_one_that_fails_holds_up_none(
    project: Path, environ: dict[str, str], state: Path
) -> None:
    (project / "ours.py").write_text("def fail(news): raise RuntimeError('it is broken')\n")
    name_actions(
        project,
        shell("sleep 0.3; echo 1 >> order"),
        command("/no/such/program"),
        {"type": "python", "handler": "ours:fail"},
        {"type": "python", "handler": "nowhere.at_all:fail"},
        shell("kill -9 $$"),
        shell("kill -9 0"),
        shell("echo some words >&2; exit 3"),
        shell("echo 2 >> order; echo end > end"),
    )
    handlers.start(project, DONE, {}, environ)
    wait_file(project / "end")
    assert (project / "order").read_text() == "1\n2\n"
    lines = logged(state).splitlines()
    assert [line.split(" of ")[0].split()[-1] for line in lines] == ["1", "2", "3", "4", "5", "6"]
    for line, words in zip(
        lines,
        ("No such file", "it is broken", "No module named 'nowhere'", "-9", "-9", "3: some words"),
        strict=True,
    ):
        assert words in line


def test_a_hook_does_not_wait_for_a_handler(project: Path, environ: dict[str, str]) -> None:
    waiting = "echo $$ > pid; while [ ! -e go ]; do sleep 0.05; done"
    name_actions(project, shell(waiting), shell("echo end > end"))
    text = (
        "import sys; from pathlib import Path\n"
        "from swarmcomm.frontends.hooks import handlers\n"
        f"handlers.start(Path(sys.argv[1]), {DONE!r}, {{'details': 'x' * 1_000_000}})\n"
    )
    hook = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", text, str(project)],
        env=environ,
        stdout=subprocess.PIPE,  # that nobody else has the other end of
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert hook.communicate(timeout=30) == (b"", None)
    assert hook.returncode == 0
    assert is_running(int(wait_file(project / "pid")))
    with suppress(ProcessLookupError):
        os.killpg(hook.pid, signal.SIGKILL)  # an agent ends what its hooks left behind
    (project / "go").touch()
    wait_file(project / "end")


def test_a_handler_that_hangs_is_ended_with_all_that_it_started(
    project: Path, environ: dict[str, str], state: Path
) -> None:
    hanging = (
        "trap '' TERM INT HUP; sleep 60 & echo $! >> pids; echo $$ >> pids; exec 1>&- 2>&-; wait"
    )
    name_actions(project, shell(hanging, timeout_s=0.5), shell("echo end > end"))
    handlers.start(project, DONE, {}, environ)
    wait_file(project / "end")
    assert "it was ended after 0.5 s" in wait_logged(state, "ended")
    for pid in (project / "pids").read_text().split():
        wait_for(lambda pid=pid: not is_running(int(pid)), "its end")  # type: ignore[misc]


def test_what_a_handler_leaves_behind_ends_with_it(project: Path, environ: dict[str, str]) -> None:
    name_actions(project, shell("sleep 60 & echo $! > pid"))
    handlers.start(project, DONE, {}, environ)
    pid = int(wait_file(project / "pid"))
    wait_for(lambda: not is_running(pid), "its end")


def test_a_handler_that_writes_without_end_fills_nothing(
    project: Path, environ: dict[str, str], state: Path
) -> None:
    name_actions(project, shell("yes >&2 & exec yes", timeout_s=1), shell("echo end > end"))
    handlers.start(project, DONE, {}, environ)
    wait_file(project / "end")
    wait_logged(state, "it was ended after 1 s: ")
    assert len(logged(state)) < 4096


def test_one_that_went_away_and_holds_a_stream_holds_up_nothing(
    project: Path, environ: dict[str, str]
) -> None:
    away = (
        "import subprocess, sys\n"
        "sleeper = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        "print(sleeper.pid, file=open('pid', 'w'))\n"
        "sys.exit(3)\n"
    )
    name_actions(project, command([sys.executable, "-c", away]), shell("echo end > end"))
    handlers.start(project, DONE, {}, environ)
    wait_file(project / "end")
    os.kill(int(wait_file(project / "pid")), signal.SIGKILL)


def test_news_without_a_handler_start_nothing(
    project: Path, environ: dict[str, str], state: Path
) -> None:
    name_actions(project, shell("touch ran"), name="session_error")
    handlers.start(project, DONE, {}, environ)
    (project / handlers.FILE).unlink()
    handlers.start(project, DONE, {}, environ)
    handlers.start(project / "nowhere", DONE, {}, environ)
    assert not state.exists()


TOUCH = '{"type":"command","handler":"touch ran"}'
BROKEN: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "Expecting value"),
    "no JSON": ("{'a': 1}", "Expecting property name"),
    "half": ('{"response_handlers": {', "Expecting"),
    "a comment": ('{"response_handlers": {}} // ours', "Extra data"),
    "not UTF-8": (b'{"response_handlers": {"\xff": 1}}', "can't decode"),
    "a list": ("[]", "the file is no object"),
    "nothing known": ("{}", "response_handlers is no object"),
    "an unknown name": ('{"response_handlers": {}, "more": 1}', "knows no 'more'"),
    "an unknown event": ('{"response_handlers": {"on_done": {"actions": []}}}', "session_blocked"),
    "no actions": (f'{{"response_handlers": {{"{DONE}": {{}}}}}}', "no list of actions"),
    "twice": ('{"response_handlers": {}, "response_handlers": {}}', "twice"),
    "deep": ("[" * 30_000, "too deep"),
    "too long": (" " * handlers.FILE_MAX_BYTES + "{}", "longer than"),
    "a number of 5000 digits": ("1" * 5000, "digits"),
}
ACTIONS = {
    '{"type":"shell","handler":"touch ran"}': "not command or python",
    '{"handler":"touch ran"}': "not command or python",
    '{"type":"command"}': "no command",
    '{"type":"command","handler":""}': "no command",
    '{"type":"command","handler":[]}': "no command",
    '{"type":"command","handler":["touch",1]}': "no command",
    '{"type":"command","handler":["touch","a\\u0000b"]}': "no command that can be run",
    '{"type":"command","handler":"touch \'ran"}': "No closing quotation",
    '{"type":"command","handler":"touch ran","timeout_s":0}': "no number up to 600",
    '{"type":"command","handler":"touch ran","timeout_s":1e9}': "no number up to 600",
    '{"type":"command","handler":"touch ran","timeout_s":NaN}': "no number up to 600",
    '{"type":"command","handler":"touch ran","timeout_s":true}': "no number up to 600",
    '{"type":"command","handler":"touch ran","when":"never"}': "knows no 'when'",
    '{"type":"python","handler":"no_function"}': "not like module:function",
    '{"type":"python","handler":"os:system(1)"}': "not like module:function",
    '{"type":"python","handler":["a:b"]}': "not like module:function",
    "1": "is no object",
}
for text, words in ACTIONS.items():
    BROKEN[text] = (
        f'{{"response_handlers": {{"{DONE}": {{"actions": [{TOUCH}, {text}]}}}}}}',
        words,
    )


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_runs_nothing_and_says_why(
    project: Path, environ: dict[str, str], state: Path, kind: str
) -> None:
    text, words = BROKEN[kind]
    file = write(project, text)
    refused(project, environ, state, words)
    assert file.read_bytes() == (text.encode() if isinstance(text, str) else text)


def refused(project: Path, environ: dict[str, str], state: Path, words: str) -> None:
    """The file is told of as broken, and no handler of it is run."""
    with pytest.raises(RefusedError) as error:
        handlers.read(project)
    said = str(error.value)
    assert words in said
    assert str(project / handlers.FILE) in said
    assert "\n" not in said
    assert handlers.trouble(project) == said
    handlers.start(project, DONE, {}, environ)
    assert f"no handler was run for {DONE}: " in logged(state)
    assert not (project / "ran").exists()


@pytest.mark.parametrize("which", ["file", "folder"])
@pytest.mark.parametrize("mode", [0o020, 0o002])
def test_a_file_that_others_may_write_runs_nothing(
    project: Path, environ: dict[str, str], state: Path, which: str, mode: int
) -> None:
    file = name_actions(project, shell("touch ran"))
    place = file if which == "file" else file.parent
    place.chmod(place.stat().st_mode | mode)
    refused(project, environ, state, f"chmod go-w {place}")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("which", ["file", "folder"])
def test_a_file_of_somebody_else_runs_nothing(
    project: Path, environ: dict[str, str], state: Path, which: str
) -> None:
    file = name_actions(project, shell("touch ran"))
    os.chown(file if which == "file" else file.parent, 12345, -1)
    refused(project, environ, state, "belongs to somebody else (uid 12345)")


@pytest.mark.parametrize("kind", ["link", "linked folder", "fifo", "folder"])
def test_only_a_plain_file_is_read(
    project: Path, environ: dict[str, str], state: Path, kind: str
) -> None:
    file = name_actions(project, shell("touch ran"))
    if kind == "linked folder":
        file.parent.rename(project / "real")
        file.parent.symlink_to("real")
    else:
        file.rename(project / "real")
        if kind == "link":
            file.symlink_to(project / "real")
        elif kind == "fifo":
            os.mkfifo(file, 0o600)
        else:
            file.mkdir(mode=0o700)
    refused(project, environ, state, "plain file")


def test_where_nothing_can_be_started_the_log_says_so(
    project: Path, environ: dict[str, str], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_actions(project, shell("touch ran"))
    monkeypatch.setattr(sys, "executable", "/no/python")
    handlers.start(project, DONE, {}, environ)
    assert "FileNotFoundError" in logged(state)
    handlers.start(project, DONE, {"details": object()}, environ)
    assert "not JSON serializable" in logged(state)


def test_it_is_cheap_where_a_project_has_no_handlers() -> None:
    text = "import sys; import swarmcomm.frontends.hooks.handlers; print(*sys.modules)"
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); {text}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {"subprocess", "tempfile", "threading", "click", "libtmux", "sqlite3", "asyncio"}
    assert not heavy & set(done.stdout.split())


def test_the_log_is_private_and_does_not_grow_for_ever(state: Path) -> None:
    for _ in range(200):
        log.note(state, "x" * 5000)
    log.note(state, "a line\nthat is \x1b[31mred")
    sizes = {file.name: file.stat().st_size for file in state.iterdir()}
    assert set(sizes) == {"hooks.log", "hooks.log.old"}
    assert max(sizes.values()) < 2 * log.MAX_BYTES
    assert state.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in state.iterdir()} == {0o600}
    assert logged(state).splitlines()[-1].endswith("a line that is  [31mred")


def test_a_log_that_cannot_be_written_harms_nothing(tmp_path: Path, state: Path) -> None:
    (tmp_path / "file").touch()
    log.note(tmp_path / "file", "words")
    log.note(None, "words")
    state.mkdir(mode=0o700)
    (state / log.FILE).symlink_to(tmp_path / "file")
    log.note(state, "words")
    assert (tmp_path / "file").read_text() == ""
    (state / log.FILE).unlink()
    os.mkfifo(state / log.FILE)
    log.note(state, "words")
    state.chmod(0o777)
    (state / log.FILE).unlink()
    log.note(state, "words")
    assert not (state / log.FILE).exists()


def test_the_names_say_when(project: Path) -> None:
    for name in handlers.NAMES:
        name_actions(project, shell("true"), name=name)
        assert list(handlers.read(project)) == [name]
