"""What the README shows of sessions that report by themselves, with the real claude."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from swarmcomm.frontends.hooks import handlers
from tests.agents import cli
from tests.agents.rig import start_rig
from tests.conftest import ROOT, wait_for

#: What the models of the story do, by what the README has them told.
DONE = {
    "write the first sentence of a story into beginning.txt and commit it": (
        "{fake:bash=echo Once upon a time. > beginning.txt}"
        "{fake:bash=git add beginning.txt && git commit -qm begin}"
    ),
    "write the last sentence of a story into ending.txt and commit it": (
        "{fake:bash=echo They lived happily. > ending.txt}"
        "{fake:bash=git add ending.txt && git commit -qm end}"
    ),
    "merge the branches beginning and ending": "{fake:bash=git merge -qm merged beginning ending}",
}

CHILDREN = {"beginning": "child_story_task_1", "ending": "child_story_task_2"}

CELEBRATE = """\
from pathlib import Path
def celebrate(news):
    with Path("celebrated").open("a") as file:
        print(news["session_name"], news["status"], file=file)
"""


def blocks(name: str, language: str) -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def test_both_languages_tell_the_same_story() -> None:
    assert blocks("README.md", "sh") == blocks("README.zh-CN.md", "sh") != []


def test_from_nothing_to_the_merged_story(
    tmp_path: Path, sockets: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMUX_TMPDIR", sockets)
    monkeypatch.delenv("TMUX", raising=False)
    text = "".join(blocks("README.md", "sh"))
    for told, done in DONE.items():
        assert text.count(f'"{told}"') == 1
        text = text.replace(told, f"{told} {done}")
    with start_rig(tmp_path) as rig:
        story = rig.workdir / "story"
        cli.make_home(Path(rig.environ["HOME"]), story)
        Path(rig.environ["HOME"], ".gitconfig").write_text(
            "[user]\nname = A Writer\nemail = writer@example.org\n"
        )
        # The handlers of the README, in the first commit and so in each worktree.
        file = story / handlers.FILE
        file.parent.mkdir(parents=True)
        (named,) = [each for each in blocks("README.md", "json") if "response_handlers" in each]
        file.write_text(named)
        (story / "our_hooks.py").write_text(CELEBRATE)

        environ = {**rig.environ, "PATH": f"{Path(sys.executable).parent}:{rig.environ['PATH']}"}
        del environ["SWARM_SESSION"]
        done = subprocess.run(
            ["bash", "-euxc", text],
            cwd=rig.workdir,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        assert "\nOnce upon a time.\nThey lived happily.\n" in done.stdout
        assert rig.tmux.run("list-sessions", "-F", "#S") == "keep\n"
        for folder, child in CHILDREN.items():
            assert re.search(f"^{child}  COMPLETED  100 %", done.stdout, re.MULTILINE)
            told = rf"RESPONSE from {child} to master_project_story \(.*\):\n +COMPLETED"
            assert re.search(told, done.stdout), done.stdout
            celebrated = rig.workdir / folder / "celebrated"
            wait_for(celebrated.exists, "the handlers")
            assert celebrated.read_text() == f"{child} COMPLETED\n"
            (news,) = (rig.workdir / folder / "done.jsonl").read_text().splitlines()
            assert json.loads(news)["name"] == "session_completed"
        hooks = rig.workdir / "ending" / ".claude" / "settings.local.json"
        assert not hooks.exists()


def test_an_agent_does_not_write_what_is_run_without_asking(
    tmp_path: Path, sockets: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMUX_TMPDIR", sockets)
    monkeypatch.delenv("TMUX", raising=False)
    with start_rig(tmp_path) as rig:
        settings = rig.workdir / ".claude" / "settings.json"
        settings.parent.mkdir()
        settings.write_text('{"permissions": {"allow": ["Edit", "Bash"]}}')
        other, file = rig.workdir / "other", rig.workdir / handlers.FILE
        config = Path(rig.environ["HOME"], ".config", "swarmcomm", "permissions.json")
        tries = "".join(
            f"{{fake:tool=Write {json.dumps({'file_path': str(place), 'content': 'x'})}}}"
            for place in (other, file, config)
        )
        who = ("child_web_task_3", "--workdir", str(rig.workdir))
        task = f"{tries}{{fake:bash=echo x >{handlers.FILE}}}"
        started = rig.face("python", "hooks", "create-session", "child", *who, "--task", task)
        assert started.returncode == 0, started.stderr
        ended = rig.face(
            "python", "--session", who[0], "poll", "child", "30", "3", "--until", "DONE"
        )
        assert ended.returncode == 0, ended.stdout
        assert [bool(re.search("deni", told)) for told in rig.results()] == [False, True, True]
        assert other.exists()
        assert not config.exists()
        assert not file.parent.exists()
