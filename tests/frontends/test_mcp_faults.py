"""The MCP server when things go wrong; each test is named after the fault that it makes real."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from swarmcomm.store import Store
from tests.conftest import ROOT, Run, Tmux, wait_for, worker_command
from tests.frontends.coordination import (
    CHILD,
    DEADLINE_S,
    HELLO,
    MASTER,
    OTHER,
    SERVER,
    line,
    read_line,
    say,
    start,
    tool_line,
    write,
)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="makes files of two users")


@pytest.fixture
def environ(environ: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """An environment with a store of its own."""
    return {**environ, "SWARM_STATE_DIR": str(tmp_path / "state"), "SWARM_SESSION": "s"}


def registering(number: int = 1, child: str = CHILD) -> bytes:
    return tool_line(
        number,
        "register_session_relationship",
        parent_session=MASTER,
        child_session=child,
        task_id=child[-1],
        project_id="web",
    )


def reporting(number: int, status: str, **rest: Any) -> bytes:
    return tool_line(number, "report_session_status", session_name=CHILD, status=status, **rest)


def sending(number: int, text: str) -> bytes:
    return tool_line(
        number,
        "send_message_to_session",
        from_session=MASTER,
        to_session=CHILD,
        message=text,
    )


NOISE = """
import builtins, importlib.abc, os, subprocess, sys, warnings

LOUD = ("mcp", "mcp_types", "pydantic", "anyio", "libtmux", "swarmcomm.sessions", "sqlite3")

class Banner(importlib.abc.MetaPathFinder):
    def find_spec(self, name, *rest):
        if name in LOUD:
            print("welcome to", name)
            os.write(1, b"written by " + name.encode() + b"\\n")
        if name == "swarmcomm.sessions.names":
            sys.meta_path.remove(self)
            import swarmcomm.sessions.registry as registry
            really = registry.everyone
            def everyone(store):
                print("printed in a tool")
                sys.stdout.write("half a line")
                sys.stdout.flush()
                sys.__stdout__.write('{"jsonrpc": "2.0", "id": 1, "result": {}}')
                os.write(1, b"written in a tool")
                subprocess.run(["echo", "a child of a tool"], check=True)
                warnings.warn("a warning of a tool")
                return really(store)
            registry.everyone = everyone
            def children(store, master):
                raise RuntimeError("a crash of a tool, token=sk-ant-0123456789abcdef")
            registry.children = children
        return None

sys.meta_path.insert(0, Banner())
"""


def test_d09_whatever_is_printed_standard_output_is_protocol(
    environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(NOISE)
    environ = {**environ, "PYTHONPATH": f"{tmp_path}:{ROOT}", "PYTHONUNBUFFERED": "1"}
    answers, log = say(
        environ,
        registering(),
        tool_line(2, "query_session_status"),
        tool_line(3, "get_child_sessions", parent_session=MASTER),
        tool_line(4, "query_session_status", session_name=CHILD),
    )
    by_id = {answer["id"]: answer["result"] for answer in answers}
    assert by_id.keys() == {1, 2, 3, 4}
    assert len(by_id[2]["structuredContent"]["sessions"]) == 2
    assert by_id[3]["isError"]
    assert by_id[3]["content"][0]["text"] == "Error executing tool get_child_sessions"
    for noise in ("welcome to mcp", "written by pydantic", "printed in a tool", "half a line"):
        assert noise in log
    for noise in ("written in a tool", "a child of a tool", "a warning of a tool", "RuntimeError"):
        assert noise in log


GREEDY = """
import subprocess, sys
import swarmcomm.sessions.registry as registry
def everyone(store):
    assert sys.stdin.read() == ""
    assert subprocess.run(["cat"], stdout=subprocess.PIPE, check=True).stdout == b""
    return []
registry.everyone = everyone
"""


def test_d09_who_reads_standard_input_takes_nothing_of_the_protocol(
    environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(GREEDY)
    with start({**environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}) as server:
        try:
            write(server, HELLO, tool_line(1, "query_session_status"))
            write(server, registering(2))
            answers = [read_line(server.stdout) for _ in range(3)]
            assert [each["id"] for each in answers] == [0, 1, 2]
            assert not any(each["result"].get("isError") for each in answers)
        finally:
            server.kill()


NONSENSE = [
    (b"{nope\n", -32700),
    (b"\xff\xfe\x00\n", -32700),
    (b'{"jsonrpc": "2.0", "id": ' + b"9" * 5000 + b', "method": "ping"}\n', -32700),
    (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", -32700),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"a": "\\ud800"}}\n', -32700),
    (b'[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]\n', -32600),
    (b'"ping"\n', -32600),
    (b'{"jsonrpc": "1.0", "id": 1, "method": "ping"}\n', -32600),
    (b'{"jsonrpc": "2.0", "id": 1.5, "method": "ping"}\n', -32600),
    (b'{"jsonrpc": "2.0", "id": null, "method": "ping"}\n', -32600),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": [1]}\n', -32600),
    (b"x" * (16 * 1024 * 1024 + 1) + b"\n", -32600),
    (b'{"jsonrpc": "2.0", "id": 1, "meth', -32700),  # and the client is gone
]


def test_d10_what_is_no_message_is_answered_with_an_error(environ: dict[str, str]) -> None:
    answers, log = say(environ, *(data for data, _ in NONSENSE))
    assert [(answer["id"], answer["error"]["code"]) for answer in answers] == [
        (None, code) for _, code in NONSENSE
    ]
    assert log == ""


def test_d10_a_bad_request_is_answered_and_the_next_one_as_well(environ: dict[str, str]) -> None:
    long = "x" * (5 * 1024 * 1024)
    answers, log = say(
        environ,
        line(id=int("9" * 400), method="ping"),
        line(id="a" * 100_000, method="ping"),
        line(id=1, method="no/such"),
        tool_line(2, "no_such_tool"),
        line(id=3, method="tools/call", params={"name": "query_session_status", "arguments": [1]}),
        line(id=4, method="tools/call", params={}),
        tool_line(5, "query_session_status", session_name={"a": 1}),
        tool_line(6, "query_session_status", session_name=long),
        registering(7),
        sending(8, long),
        reporting(9, "WORKING", details={"a": long}),
        line(id=10, result={}),
        line(method="no/such/notification"),
        b"\n  \n",
        tool_line(11, "query_session_status"),
    )
    assert "Traceback" not in log
    found = {answer["id"]: answer for answer in answers}
    assert found.keys() == {int("9" * 400), "a" * 100_000, *range(1, 10), 11}
    assert {number for number, each in found.items() if "error" in each} == {1, 3, 4}
    wrong = {number for number, each in found.items() if each.get("result", {}).get("isError")}
    assert wrong == {2, 5, 6, 8, 9}
    assert all(len(json.dumps(found[number])) < 2_000 for number in wrong)
    assert len(found[11]["result"]["structuredContent"]["sessions"]) == 2


def test_d12_one_end_that_is_told_in_every_way_is_one_change(
    environ: dict[str, str], tmux: Tmux, swarmcomm: Run
) -> None:
    tmux.session("s", {"worker-0": worker_command()})
    environ = {**environ, "SWARM_SOCKET": tmux.socket}
    told = reporting(2, "COMPLETED", details="made")
    again = reporting(3, "COMPLETED", details="made")
    say(environ, registering(), told, again)
    say(environ, registering(), told, again)
    place = {"SWARM_STATE_DIR": environ["SWARM_STATE_DIR"]}
    assert swarmcomm("send", "worker-0", "3", "true", **place).returncode == 0
    assert swarmcomm("poll", "worker-0", "20", "3", "--until", "DONE", **place).returncode == 0
    for _ in range(2):
        with subprocess.Popen(
            [sys.executable, "-m", "swarmcomm", "watch", "--json", "worker-0"],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as watch:
            try:
                while read_line(watch.stdout).get("marker") != "DONE":
                    pass
            finally:
                watch.send_signal(signal.SIGINT)
    store = Store.open(Path(environ["SWARM_STATE_DIR"]))
    events = list(store.walk(0))
    store.close()
    assert [each.state for each in events if each.window == CHILD and each.state] == ["completed"]
    assert [each.marker for each in events if each.marker] == ["ACK", "DONE"]


def sleeping_client(code: str) -> list[str]:
    """Return the command of a client that starts a server, does *code* and never ends."""
    return [
        sys.executable,
        "-c",
        "import subprocess, sys, time\n"
        f"server = subprocess.Popen({SERVER!r}, stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        f"{code}\n"
        "print(server.pid, flush=True)\n"
        "time.sleep(3600)\n",
    ]


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended; nobody may have asked how, where its parent was killed."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
    except ProcessLookupError:
        return True
    except FileNotFoundError:  # no /proc, or it went just now
        return False


def sessions(environ: dict[str, str]) -> dict[str, str]:
    """Return the status of each session, as another server tells it."""
    (answer,), _ = say(environ, tool_line(1, "query_session_status"))
    found = answer["result"]["structuredContent"]["sessions"]
    return {each["session_name"]: each["status"] for each in found}


def test_d13_a_server_whose_client_was_killed_ends(environ: dict[str, str]) -> None:
    lines = HELLO + registering() + reporting(2, "WORKING")
    code = (
        f"server.stdin.write({lines!r}); server.stdin.flush()\n"
        "for _ in range(3): server.stdout.readline()"
    )
    with subprocess.Popen(sleeping_client(code), env=environ, stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        pid = int(client.stdout.readline())
        assert not is_gone(pid)
        client.kill()
    wait_for(lambda: is_gone(pid), "the end of the server")
    assert sessions(environ) == {MASTER: "UNKNOWN", CHILD: "WORKING"}


def test_d13_a_client_that_hears_no_more_ends_the_server(environ: dict[str, str]) -> None:
    with start(environ) as server:
        try:
            write(server, HELLO)
            read_line(server.stdout)
            assert server.stdout is not None
            server.stdout.close()
            write(server, registering())
            assert server.wait(DEADLINE_S) == 0
            assert server.stderr is not None
            assert server.stderr.read() == b""
        finally:
            server.kill()


def test_d13_what_is_under_way_is_finished_when_the_client_has_said_its_last(
    environ: dict[str, str],
) -> None:
    answers, _ = say(environ, registering(), *(sending(2 + n, str(n)) for n in range(50)))
    assert [answer["id"] for answer in answers] == list(range(1, 52))
    assert not any(answer["result"]["isError"] for answer in answers)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_d13_a_signal_ends_the_server_while_it_waits(
    environ: dict[str, str], tmux: Tmux, number: signal.Signals
) -> None:
    tmux.session("s", {"worker-0": "cat"})
    with start({**environ, "SWARM_SOCKET": tmux.socket}) as server:
        try:
            write(server, HELLO, registering(), reporting(2, "WORKING"))
            for _ in range(3):
                read_line(server.stdout)
            write(server, tool_line(3, "poll_task", window="worker-0", task_id="t", timeout_s=600))
            write(server, tool_line(4, "query_session_status"))
            assert read_line(server.stdout)["id"] == 4
            server.send_signal(number)
            assert server.wait(DEADLINE_S) == -number
        finally:
            server.kill()
    assert sessions(environ)[CHILD] == "WORKING"


def test_d13_a_poll_that_nobody_waits_for_holds_nobody_up(
    environ: dict[str, str], tmux: Tmux
) -> None:
    tmux.session("s", {"worker-0": "cat"})
    with start({**environ, "SWARM_SOCKET": tmux.socket}) as server:
        try:
            write(server, HELLO)
            read_line(server.stdout)
            for number in range(1, 60):
                write(
                    server,
                    tool_line(number, "poll_task", window="worker-0", task_id="t", timeout_s=600),
                )
            write(server, registering(60))
            assert read_line(server.stdout)["id"] == 60
            for number in range(1, 60):
                write(
                    server,
                    line(method="notifications/cancelled", params={"requestId": number}),
                )
            write(server, tool_line(61, "list_workers"))
            while read_line(server.stdout)["id"] != 61:
                pass
            assert server.stdin is not None
            server.stdin.close()
            assert server.wait(DEADLINE_S) == 0
        finally:
            server.kill()


def test_d13_a_poll_that_nobody_waits_for_stops_looking(
    environ: dict[str, str], tmux: Tmux
) -> None:
    tmux.session("s", {"worker-0": "cat"})

    def lookers() -> int:
        return len(tmux.run("list-clients").splitlines())

    with start({**environ, "SWARM_SOCKET": tmux.socket}) as server:
        try:
            write(server, HELLO)
            read_line(server.stdout)
            for number in range(1, 4):
                words = {"window": "worker-0", "task_id": "t", "timeout_s": 600}
                write(server, tool_line(number, "poll_task", **words))
            wait_for(lambda: lookers() >= 3, "three that look")
            for number in range(1, 4):
                cancelled = {"requestId": number}
                write(server, line(method="notifications/cancelled", params=cancelled))
            wait_for(lambda: lookers() == 0, "nobody looking")
            write(server, tool_line(4, "list_workers"))
            while read_line(server.stdout)["id"] != 4:
                pass
        finally:
            server.kill()


def test_d13_two_clients_share_one_store_and_lose_nothing(environ: dict[str, str]) -> None:
    say(environ, registering(), registering(2, OTHER))

    def talk(child: str) -> list[int]:
        lines = [
            tool_line(
                number,
                "send_message_to_session",
                from_session=MASTER,
                to_session=child,
                message=str(number),
            )
            for number in range(1, 51)
        ]
        answers, _ = say(environ, *lines)
        return [each["result"]["structuredContent"]["message_id"] for each in answers]

    with ThreadPoolExecutor() as pool:
        one, two = pool.map(talk, (CHILD, OTHER))
    assert one == sorted(one)
    assert two == sorted(two)
    assert sorted(one + two) == list(range(1, 101))


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def test_d16_what_it_makes_is_private_whatever_the_umask(
    environ: dict[str, str], tmp_path: Path
) -> None:
    with start(environ, umask=0) as server:
        try:
            write(server, HELLO, registering())
            assert [read_line(server.stdout)["id"] for _ in range(2)] == [0, 1]
            folder = tmp_path / "state"
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert modes(folder) == {0o600}
        finally:
            server.kill()


def others_folder(place: Path) -> None:
    place.mkdir()
    os.chown(place, 12345, 12345)


def open_folder(place: Path) -> None:
    place.mkdir()
    place.chmod(0o777)


def link_to_a_file(place: Path) -> None:
    place.mkdir(mode=0o700)
    (place.parent / "elsewhere").write_text("mine")
    (place / "events.db").symlink_to(place.parent / "elsewhere")


@pytest.mark.parametrize(
    "prepare", [pytest.param(others_folder, marks=needs_root), open_folder, link_to_a_file]
)
def test_d16_a_folder_that_is_not_ours_alone_is_refused(
    environ: dict[str, str], tmp_path: Path, prepare: Callable[[Path], None]
) -> None:
    place = tmp_path / "state"
    prepare(place)
    before = sorted(path.name for path in place.iterdir())
    (answer,), log = say(environ, registering())
    assert answer["result"]["isError"]
    assert str(place) in answer["result"]["content"][0]["text"]
    assert sorted(path.name for path in place.iterdir()) == before
    assert "Traceback" not in log


CRASH = """
import swarmcomm.sessions.registry as registry
def everyone(store):
    raise RuntimeError({!r})
registry.everyone = everyone
"""


def test_d17_the_log_is_escaped_cut_and_has_no_secrets(
    environ: dict[str, str], tmp_path: Path
) -> None:
    secrets = [
        "sk-ant-api03-abcdefghijklmnop",
        "ghp_abcdefghijklmnopqrstuv",
        "AKIAABCDEFGHIJKLMNOP",
        "hunter22hunter22",
    ]
    keys = " ".join(secrets[:3])
    text = f"\x1b[2J\x07\r\n{keys} password={secrets[3]} " + "y" * 2**21
    (tmp_path / "sitecustomize.py").write_text(CRASH.format(text))
    environ = {**environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    (answer,), log = say(environ, tool_line(1, "query_session_status"))
    assert answer["result"]["isError"]
    assert "RuntimeError" in log
    assert "\\x1b[2J\\x07" in log
    assert all(char == "\n" or char.isprintable() for char in log)
    assert not any(secret in log for secret in secrets)
    assert len(log) < 20_000


def test_d17_a_message_of_two_mib_is_refused_and_not_logged(environ: dict[str, str]) -> None:
    (_, answer), log = say(environ, registering(), sending(2, "secret " * 300_000))
    assert "the limit is 65000 bytes" in answer["result"]["content"][0]["text"]
    assert log == ""
