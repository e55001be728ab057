"""``swarmcomm hooks``, as a person, a script and a program meet it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from swarmcomm.frontends.hooks import checks, settings
from swarmcomm.sessions import hook_settings
from tests.conftest import Tmux, wait_for

MASTER = "master_project_web"
CHILD = "child_web_task_3"

Done = subprocess.CompletedProcess[str]
Run = Callable[..., Done]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "my work"
    folder.mkdir()
    return folder


@pytest.fixture
def run(environ: dict[str, str], work: Path, tmp_path: Path) -> Run:
    """The command, with folders of the test, where no tmux server is."""

    def command(*args: str, said: str = "", **extra: str) -> Done:
        state = {"SWARM_STATE_DIR": str(tmp_path / "state"), "SWARM_SOCKET": "swarmtest-none"}
        return subprocess.run(
            [sys.executable, "-m", "swarmcomm", "hooks", *args],
            cwd=work,
            env={**environ, **state, **extra},
            input=said,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return command


def file(work: Path) -> Path:
    return work / ".claude" / "settings.local.json"


def test_hooks_are_put_in_looked_at_and_taken_out(run: Run, work: Path) -> None:
    done = run("generate", "child", "build", "--project-id", "web", "--task-id", "3")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"wrote the hooks of {CHILD}: {file(work)}\n"
    start = shlex.split(done.stderr.removeprefix("start it with: "))
    assert start == [
        *("tmux", "-L", "swarmtest-none", "new-session", "-s", "build", "-c", str(work)),
        *("-e", "PROJECT_ID=web", "-e", "SESSION_ROLE=child", "-e", "TASK_ID=3"),
        *("-e", f"SWARM_STATE_DIR={work.parent / 'state'}", "claude"),
    ]
    said = json.loads(file(work).read_text())
    words = ["--project-id", "web", "--role", "child", "--task-id", "3"]
    assert said == {
        "hooks": hook_settings.hooks(
            sys.executable, str(hook_settings.PROGRAM), [*words, "--master-session-id", MASTER]
        )
    }
    done = run("validate")
    assert f"ok     {file(work)} has the hooks of {CHILD}, run by {sys.executable}" in done.stdout
    assert done.returncode == 0, done.stdout
    assert run("remove").stdout == f"removed the hooks of {CHILD}: {file(work)}\n"
    assert list(work.iterdir()) == []
    assert run("remove").stdout == f"no hooks of swarmcomm: {file(work)}\n"


def test_generating_again_is_as_it_was_and_another_session_takes_the_place(
    run: Run, work: Path
) -> None:
    assert run("generate", "child", "child_web_task_3").returncode == 0
    was = file(work).read_bytes()
    assert run("generate", "child", "child_web_task_3").stdout == f"as it was: {file(work)}\n"
    assert file(work).read_bytes() == was
    done = run("generate", "master", "lead", "--project-id", "web", "--interval", "5")
    assert (
        done.stdout == f"wrote the hooks of {MASTER}, in place of those of {CHILD}: {file(work)}\n"
    )
    assert CHILD not in file(work).read_text()
    assert '"--interval", "5"' in file(work).read_text()


def test_json_holds_what_was_done(run: Run, work: Path) -> None:
    made = json.loads(run("generate", "child", "child_web_task_3", "--json").stdout)
    assert made == {
        "file": str(file(work)),
        "session": CHILD,
        "session_name": CHILD,
        "role": "child",
        "changed": True,
        "events": list(hook_settings.REPORT_ON),
        "replaced": [],
    }
    found = [json.loads(line) for line in run("validate", "--json").stdout.splitlines()]
    assert all(each["ok"] is not False and each["text"] for each in found)
    gone = json.loads(run("remove", "--json").stdout)
    assert gone == {"file": str(file(work)), "changed": True, "removed": [CHILD]}
    assert json.loads(run("remove", "--json").stdout)["changed"] is False


def test_printing_writes_nothing(run: Run, work: Path) -> None:
    done = run("generate", "master", "lead", "--project-id", "web", "--print")
    assert set(json.loads(done.stdout)["hooks"]) == set(hook_settings.REPORT_ON)
    assert list(work.iterdir()) == []


def test_another_folder_and_another_file_can_be_named(run: Run, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    words = ("generate", "master", "lead", "--project-id", "web")
    assert run(*words, "--workdir", str(other)).returncode == 0
    assert settings.ours(settings.read(file(other)))
    mine = other / "mine.json"
    mine.write_text("{}")
    assert run(*words, "--file", str(mine)).returncode == 0
    assert settings.ours(settings.read(mine))
    assert run("validate", "--file", str(mine)).returncode == 0
    assert run("remove", "--file", str(mine)).returncode == 0
    assert mine.read_text() == "{}"


GENERATE = ["generate", "child", "build", "--project-id", "web"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (GENERATE, "give --task-id T, or call it child_web_task_T"),
        (["generate", "master", "lead"], "give --project-id P"),
        (["generate", "worker", "x", "--project-id", "web"], "'worker' is not one of"),
        (["generate", "child"], "NAME"),
        (["generate", "master", "lead", "--project-id", "web", "--task-id", "3"], "has no task"),
        ([*GENERATE, "--task-id", "a b"], "task id 'a b' cannot be part of a session name"),
        ([*GENERATE, "--task-id", "../x"], "cannot be part of a session name"),
        (["generate", "master", "lead", "--project-id", "a;b"], "project id 'a;b' cannot be"),
        (["generate", "master", "a:b", "--project-id", "web"], "'a:b' is no session name"),
        (["generate", "child", CHILD, "--task-id", "4"], "call it child_web_task_4"),
        (["generate", "master", CHILD], f"call it {MASTER}"),
        (["generate", "child", MASTER, "--task-id", "4"], "call it child_web_task_4"),
        (
            [*GENERATE, "--task-id", "3", "--master-session-id", "master_project_x"],
            f"that is {MASTER}",
        ),
        (["generate", "child", CHILD, "--interval", "-1"], "--interval -1 is no time"),
        (["generate", "child", CHILD, "--interval", "nan"], "--interval nan is no time"),
        (["generate", "child", CHILD, "-d", "/none/such"], "no folder '/none/such'"),
        (["generate", "child", CHILD, "-d", ".", "--file", "x"], "do not go together"),
        (["remove", "-d", "/none/such"], "no folder '/none/such'"),
        (["validate", "-d", "/none/such"], "no folder '/none/such'"),
        (["create-session", "master", "lead", "--project-id", "web", "--task", "x"], "for a child"),
        (["create-session", "child", "build", "--project-id", "web"], "give --task-id T"),
        (["list-sessions", "more"], "more"),
        (["generate", "child", CHILD, "--none-such"], "--none-such"),
    ],
)
def test_what_cannot_be_meant_is_told_in_one_line(
    run: Run, work: Path, words: list[str], said: str
) -> None:
    done = run(*words)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
    assert list(work.iterdir()) == []


@pytest.mark.parametrize("command", ["generate", "remove"])
def test_a_file_that_cannot_be_edited_is_refused_in_one_line(
    run: Run, work: Path, command: str
) -> None:
    file(work).parent.mkdir()
    file(work).write_text("{\n  // mine\n}\n")
    done = run(command, *(["child", CHILD] if command == "generate" else []))
    assert done.returncode == 5
    assert done.stderr.startswith(f"swarmcomm: {file(work)} was left as it is: line 2 has a comm")
    assert len(done.stderr.splitlines()) == 1
    assert file(work).read_text() == "{\n  // mine\n}\n"


def test_not_every_session_of_the_user_becomes_the_same_one(
    run: Run, environ: dict[str, str], tmp_path: Path
) -> None:
    own = Path(environ["HOME"], ".claude", "settings.json")
    for words, extra in (
        (("--file", str(own)), {}),
        (("--file", str(tmp_path / "settings.json")), {"CLAUDE_CONFIG_DIR": str(tmp_path)}),
    ):
        done = run("generate", "child", CHILD, *words, **extra)
        assert done.returncode == 5
        assert f"each would be {CHILD}" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert not own.exists()


def wrong(work: Path, environ: dict[str, str], *files: Path) -> list[str]:
    """Return what ``validate`` finds wrong."""
    said = {**environ, "SWARM_STATE_DIR": str(work.parent / "state")}
    found = checks.findings(work, list(files) or checks.places(work, said), said)
    return [text for good, text in found if good is False]


def test_validate_says_what_is_wrong_and_how_to_mend_it(
    run: Run, work: Path, environ: dict[str, str]
) -> None:
    done = run("validate")
    assert (done.returncode, done.stderr) == (5, "")
    assert done.stdout.startswith("WRONG  no hooks of swarmcomm in")
    assert "swarmcomm hooks generate --help" in done.stdout
    run("generate", "child", CHILD)
    assert wrong(work, environ) == []
    whole = file(work).read_text()
    again = ["generate", "child", CHILD, "--file", str(file(work))]

    for old, new, said in (
        (sys.executable, "/no/python3", "by /no/python3, which is not there"),
        (sys.executable, "/bin/false", "by /bin/false, and it ends with status 1"),
        (sys.executable, "/bin/true", "by /bin/true, and it says nothing"),
        (str(hook_settings.PROGRAM), "/gone" + str(hook_settings.PROGRAM), "is not there; mend it"),
        ('"report"', '"old"', f"has other hooks of {CHILD} than this swarmcomm makes"),
        ('"Stop":', '"PreCompact":', "has other hooks"),
    ):
        assert old in whole
        file(work).write_text(whole.replace(old, new))
        found = wrong(work, environ)[0]
        assert said in found
        mend = shlex.split(found.partition("mend it with: ")[2])
        assert mend == ["swarmcomm", "hooks", *again]
    assert run(*again).returncode == 0
    assert file(work).read_text() == whole
    file(work).write_text(whole.replace('"--task-id", "3"', '"--task-id", "a b"'))
    assert "task id 'a b' cannot be part of a session name" in wrong(work, environ)[0]
    file(work).write_text(whole.replace('{"hooks": [', '{"hooks": [, ', 1))
    assert "line 4 is no JSON" in wrong(work, environ)[0]
    file(work).write_text(whole)

    shared = file(work).with_name("settings.json")
    shared.write_text('{"disableAllHooks": true}')
    assert "settings.json says disableAllHooks" in wrong(work, environ)[0]
    shared.unlink()

    own = Path(environ["HOME"], ".claude", "settings.json")
    own.parent.mkdir()
    own.write_text("{} // mine")
    assert str(own) in wrong(work, environ)[0]
    assert wrong(work, environ, file(work)) == []
    own.unlink()

    handlers = work / ".swarmcomm" / "handlers.json"
    handlers.parent.mkdir()
    handlers.write_text('{"response_handlers": {"session_stopped": {"actions": []}}}')
    assert "session_stopped" in wrong(work, environ)[0]
    action = {"type": "command", "handler": "no-such-program now"}
    said = {"response_handlers": {"session_error": {"actions": [action]}}}
    handlers.write_text(json.dumps(said))
    assert "the handler of session_error runs no-such-program" in wrong(work, environ)[0]
    handlers.write_text(json.dumps(said).replace("no-such-program", "true"))
    assert wrong(work, environ) == []
    assert "handlers.json has handlers for session_error" in run("validate").stdout


def test_validate_knows_the_plugin_and_a_session_that_was_started_with_its_hooks(
    run: Run, work: Path, environ: dict[str, str]
) -> None:
    who = {"PROJECT_ID": "web", "SESSION_ROLE": "child", "TASK_ID": "3"}
    assert not any("no hooks" in each for each in wrong(work, {**environ, **who}))
    assert f"{CHILD} has its own if it was started with them" in run("validate", **who).stdout
    file(work).parent.mkdir()
    file(work).write_text('{"enabledPlugins": {"swarmcomm@here": true}}')
    assert wrong(work, environ) == []
    assert "enables the plugin" in run("validate").stdout


def test_validate_reads_the_permissions(run: Run, work: Path, environ: dict[str, str]) -> None:
    run("generate", "child", CHILD)
    assert "ok     permissions are the defaults" in run("validate").stdout
    mine = Path(environ["HOME"], ".config", "swarmcomm", "permissions.json")
    mine.parent.mkdir(parents=True)
    mine.parent.chmod(0o700)
    mine.write_text('{"session_permissions": {"tester": {"max_child_sessions": 1}}}')
    assert f"ok     {mine} says what these may do: " in run("validate").stdout
    mine.write_text('{"session_permissions": {"tester": {"may_all": true}}}')
    assert "tester.may_all is none of" in wrong(work, environ)[0]


def test_a_file_that_git_would_take_along_is_noted(run: Run, work: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=work, check=True, timeout=30)
    note = "git does not ignore .claude/settings.local.json"
    assert note in run("generate", "child", CHILD).stderr
    assert f"note   {note}" in run("validate").stdout
    (work / ".git" / "info" / "exclude").write_text(".claude/settings.local.json\n")
    assert note not in run("generate", "child", CHILD).stderr
    assert note not in run("validate").stdout


def test_validate_shows_the_newest_line_of_the_log(run: Run, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "hooks.log").write_text("one\n\x1b[2J[DONE] task-1\n")
    said = run("validate").stdout
    assert "note   the newest of 2 lines in" in said
    assert "\x1b" not in said


def test_no_server_is_status_3(run: Run) -> None:
    done = run("list-sessions")
    assert (done.returncode, done.stdout) == (3, "")
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture
def served(swarmcomm: Run, tmp_path: Path) -> Run:
    """``swarmcomm hooks`` with a private tmux server and a state folder of the test."""
    state = {"SWARM_STATE_DIR": str(tmp_path / "state")}
    return lambda *args, **rest: swarmcomm("hooks", *args, **{**state, **rest})


def test_a_session_is_started_listed_and_its_task_is_done(
    served: Run, tmux: Tmux, work: Path
) -> None:
    words = ("--project-id", "web", "--task-id", "3", "--agent", "shell", "-d", str(work))
    done = served("create-session", "child", "build", *words, "--task", "-", stdin="echo built\n")
    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.splitlines()
    assert first == f"started build: {CHILD}"
    assert second in {"submitted child 3", "acknowledged child 3"}
    assert third == f"attach with: tmux -L {tmux.socket} attach -t '=build'"
    wait_for(lambda: "[DONE] 3" in tmux.screen("build", "child"), "the end of its task")

    again = served("create-session", "child", "build", *words)
    assert (again.returncode, again.stdout) == (5, "")
    assert "already there" in again.stderr

    made = served("create-session", "master", "lead", *words[:2], *words[4:], "--json")
    assert made.returncode == 0, made.stderr
    said = json.loads(made.stdout)
    assert (said["session"], said["session_name"], said["outcome"]) == ("lead", MASTER, None)

    tmux.session("mine", {"worker-0": "cat"})
    tmux.run("new-session", "-d", "-s", "odd", "-e", "PROJECT_ID=a b", "-e", "TASK_ID=1", "cat")
    by_hand = ("-e", "PROJECT_ID=web", "-e", "SESSION_ROLE=child", "-e", "TASK_ID=4")
    tmux.run("new-session", "-d", "-s", "hand", *by_hand, "cat")
    listed = served("list-sessions")
    assert listed.returncode == 0, listed.stderr
    rows = [line.split("  ") for line in listed.stdout.splitlines()]
    assert [row[0] for row in rows] == ["build", "hand", "lead", "odd"]
    assert rows[0] == ["build", CHILD, "child", "UNKNOWN", "0 %"]
    assert rows[1] == ["hand", "child_web_task_4", "child", "has not registered yet"]
    assert "'a b' cannot be part of a session name" in rows[3][1]
    found = [json.loads(line) for line in served("list-sessions", "--json").stdout.splitlines()]
    assert [each["session_name"] for each in found] == [CHILD, "child_web_task_4", MASTER, None]
    assert [each["alive"] for each in found] == [True] * 4
    assert found[0]["worktree"] == str(work)
    assert found[0]["status"]["parent_session"] == MASTER
    assert found[3]["trouble"]

    pid = tmux.run("list-panes", "-s", "-t", "=build", "-F", "#{pane_pid}").strip()
    os.kill(int(pid), signal.SIGKILL)
    wait_for(lambda: "(the agent has ended)" in served("list-sessions").stdout, "that it ended")


def test_an_agent_that_takes_settings_is_started_with_the_hooks(
    served: Run, work: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    program = tmp_path / "programs" / "claude"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\nprintf "%s\\n" "$@" >"$WORKTREE_PATH/words"\n'
        "env >\"$WORKTREE_PATH/env\"\nprintf '❯\\302\\240'\nexec cat\n"
    )
    program.chmod(0o755)
    path = {"PATH": f"{program.parent}:{environ['PATH']}"}
    words = ("-d", str(work), "--interval", "2")
    done = served("create-session", "child", CHILD, *words, **path)
    assert done.returncode == 0, done.stderr
    told = (work / "words").read_text().splitlines()
    hooks = json.loads(told[told.index("--settings") + 1])["hooks"]
    for event, groups in hook_settings.own_hooks().items():
        assert all(group in hooks[event] for group in groups)
    known = (work / "env").read_text().splitlines()
    assert {"PROJECT_ID=web", "TASK_ID=3", "SESSION_ROLE=child", "SWARM_HOOK_INTERVAL=2"} < set(
        known
    )
    assert not file(work).exists()


@pytest.mark.parametrize(
    "command", ["generate", "create-session", "list-sessions", "validate", "remove"]
)
def test_help_has_an_example(run: Run, command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0
    assert f"Example: swarmcomm hooks {command}" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    listed = run("--help").stdout
    assert f"\n  {command} " in listed
