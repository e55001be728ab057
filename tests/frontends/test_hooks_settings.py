"""Files of settings that users have: hooks are put in and taken out, and nothing of theirs changes.

The files are data, byte for byte.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from swarmcomm.errors import RefusedError
from swarmcomm.frontends.hooks import json_text, settings
from swarmcomm.sessions import hook_settings
from tests.conftest import ROOT

PROGRAM = "/opt/a b/swarmcomm/frontends/hooks/program.py"
HOOKS = hook_settings.hooks("/usr/bin/python3", PROGRAM, ["--project-id", "web"])
OTHERS = hook_settings.hooks("/usr/bin/python3", "/old" + PROGRAM, ["--project-id", "é"])
EVENTS = sorted(HOOKS)
COUNT = sum(len(group["hooks"]) for groups in HOOKS.values() for group in groups)

THEIR_HOOK = '{"hooks": [{"type": "command", "command": "say done", "timeout": 5}]}'

#: Files that hooks go into: what stands in them, by what is special about it.
KEPT: dict[str, bytes] = {
    "nothing in it": b"",
    "a newline": b"\n",
    "blanks": b" \t\r\n \n",
    "a byte order mark alone": b"\xef\xbb\xbf",
    "an empty object": b"{}",
    "an empty object with a newline": b"{}\n",
    "an empty object with blanks inside": b"{ \n\t }\n",
    "an empty object of two lines": b"{\n}\n",
    "an empty object with blanks before it": b"\n\n  {}",
    "one key on a line": b'{"model": "opus"}',
    "two spaces": b'{\n  "model": "opus",\n  "env": {\n    "A": "1"\n  }\n}\n',
    "four spaces": b'{\n    "model": "opus",\n    "env": {\n        "A": "1"\n    }\n}\n',
    "tabs": b'{\n\t"model": "opus",\n\t"env": {\n\t\t"A": "1"\n\t}\n}\n',
    "no indent": b'{\n"model": "opus",\n"env": {\n"A": "1"\n}\n}\n',
    "an indent that changes": b'{\n   "a": 1,\n "b": 2,\n\t\t"c": [\n3]}',
    "CRLF": b'{\r\n  "model": "opus",\r\n  "hooks": {\r\n    "Stop": []\r\n  }\r\n}\r\n',
    "CR alone": b'{\r"model": "opus"\r}\r',
    "no final newline": b'{\n  "model": "opus"\n}',
    "many final newlines": b'{\n  "model": "opus"\n}\n\n\n',
    "a byte order mark": b'\xef\xbb\xbf{\n  "model": "opus"\n}\n',
    "a byte order mark and CRLF": b'\xef\xbb\xbf\r\n{\r\n  "model": "opus"\r\n}\r\n',
    "commas in front": b'{ "a": 1\n, "b": 2\n, "hooks": { "Stop": [ ] }\n}\n',
    "blanks before colons and commas": b'{"a" :1 ,"hooks" : {"Stop" : [ ] } , "b" : 2 }',
    "unknown keys": b'{"x-mine": {"deep": [1, [2, {"z": null}]]}, "$schema": "https://x/s.json"}',
    "text of other scripts": '{"läuft": "日本語 🦀 \u202e עברית", "é": "é"}\n'.encode(),
    "escapes": rb'{"a": "\u00e9\ud83e\udd80\/\b\"\\", "\u0068ooks2": "\ud800"}',
    "a key with an escape that is hooks": rb'{"\u0068ooks": {"\u0053top": []}, "a": 1}',
    "big numbers": b'{"a": 123456789012345678901234567890, "b": -0, "c": [9007199254740993]}',
    "floats": b'{"a": 1.0, "b": 1e400, "c": 0.1000000000000000055511151231257827, "d": 1E+2}',
    "a number of 5000 digits": b'{"a": ' + b"7" * 5000 + b"}",
    "deep nesting": b'{"a": ' + b"[" * 200 + b"]" * 200 + b', "hooks": {}}',
    "a long line": b'{"a": "' + b"x" * 200_000 + b'"}',
    "a thousand keys": json.dumps({f"key {n}": {"n": n} for n in range(1000)}, indent=1).encode(),
    "keys in no order": b'{"z": 1, "a": 2, "m": 3, "Z": 4}',
    "true, false and null": b'{"a": true, "b": false, "c": null}',
    "texts that look like comments": b'{"a": "// no", "b": "/* no */", "c": "# {[,]}"}',
    "texts that look like hooks": b'{"a": "\\"hooks\\": {\\"Stop\\": []}", "b": "}"}',
    "hooks elsewhere": b'{"a": {"hooks": {"Stop": [1]}}, "plugins": [{"hooks": 3}]}',
    "empty hooks": b'{"hooks": {}}',
    "empty hooks of two lines": b'{\n  "hooks": {\n  }\n}\n',
    "an event without hooks": b'{\n  "hooks": {\n    "Stop": []\n  }\n}\n',
    "all events without hooks": json.dumps({"hooks": {event: [] for event in EVENTS}}).encode(),
    "a group without hooks": b'{"hooks": {"Stop": [{"hooks": []}]}}',
    "a hook on the same event": b'{"hooks": {"Stop": [%s]}}' % THEIR_HOOK.encode(),
    "hooks on all events": json.dumps(
        {"hooks": {event: [json.loads(THEIR_HOOK)] * 2 for event in EVENTS}}, indent=2
    ).encode(),
    "hooks on other events": b'{"hooks": {"PreCompact": [%s], "Later": []}}' % THEIR_HOOK.encode(),
    "matchers": b"""{
  "hooks": {
    "Notification": [
      {"matcher": "idle_prompt|permission_prompt", "hooks": [
        {"type": "command", "command": "notify-send 'it waits'"},
        {"type": "http", "url": "http://localhost:1/x", "headers": {"A": "$B"}}
      ]},
      {"matcher": "", "hooks": [{"type": "prompt", "prompt": "is it done?"}]}
    ]
  }
}
""",
    "hooks in the middle": b'{"a": 1, "hooks": {"Stop": [%s]}, "z": 2}\n' % THEIR_HOOK.encode(),
    "unknown keys in hooks": b'{"hooks": {"Stop": [{"matcher": "*", "id": 7, "hooks": ['
    b'{"type": "later", "x": {"y": []}}]}]}, "disableAllHooks": false}',
    "a hook that names the program": b'{"hooks": {"Stop": [{"hooks": [{"type": "command",'
    b' "command": "cat /opt/swarmcomm/frontends/hooks/program.py"}]}]}}',
    "arguments that are no list": b'{"hooks": {"Stop": [{"hooks": [{"args": "a/swarmcomm'
    b'/frontends/hooks/program.py"}, {"args": [1, null]}]}]}}',
    "permissions as claude writes them": b"""{
  "permissions": {
    "allow": [
      "Bash(git commit:*)",
      "mcp__x__y"
    ],
    "deny": []
  },
  "enabledMcpjsonServers": [
    "session-coordinator"
  ]
}
""",
}

#: Files that are refused, and a word of the reason.
REFUSED: dict[str, tuple[bytes, str]] = {
    "a comment to the line's end": (b'{\n  // mine\n  "a": 1\n}\n', "line 2 has a comment"),
    "a comment behind a value": (b'{"a": 1 /* mine */}', "line 1 has a comment"),
    "a comment behind the end": (b"{}\n// mine\n", "line 2 has a comment"),
    "a comment before the beginning": (b"/* mine */ {}", "line 1 has a comment"),
    "a comma before the end": (b'{"a": 1,}', "line 1 is no JSON"),
    "a comma before a list's end": (b'{"a": [\n1,\n]}', "is no JSON"),
    "single quotes": (b"{'a': 1}", "line 1 is no JSON"),
    "keys without quotes": (b"{a: 1}", "line 1 is no JSON"),
    "YAML": (b"model: opus\n", "line 1 is no JSON"),
    "half a file": (b'{\n  "a": [1, 2', "line 2 is no JSON"),
    "two objects": (b"{}\n{}\n", "line 2 is no JSON"),
    "a key twice": (b'{"a": 1, "a": 2}', "'a' stands twice"),
    "hooks twice": (b'{"hooks": {}, "hooks": {"Stop": []}}', "'hooks' stands twice"),
    "an event twice": (b'{"hooks": {"Stop": [], "Stop": []}}', "'Stop' stands twice"),
    "a key twice, once escaped": (rb'{"a": 1, "\u0061": 2}', "'a' stands twice"),
    "a list": (b"[]", "holds a list"),
    "a text": (b'"{}"', "holds a text"),
    "a number": (b"5", "a number"),
    "null": (b"null", "holds null"),
    "NaN": (b'{"a": NaN}', "NaN is no JSON"),
    "infinity": (b'{"a": -Infinity}', "-Infinity is no JSON"),
    "null hooks": (b'{"hooks": null}', '"hooks" is null'),
    "a list of hooks": (b'{"hooks": []}', '"hooks" is a list'),
    "a text for hooks": (b'{"hooks": "off"}', '"hooks" is a text'),
    "an event that is null": (b'{"hooks": {"Stop": null}}', "hooks.Stop is null"),
    "an event that is an object": (b'{"hooks": {"Stop": {"hooks": []}}}', "hooks.Stop is an ob"),
    "another event that is a text": (b'{"hooks": {"PreCompact": "x"}}', "hooks.PreCompact is a t"),
    "a group that is a text": (b'{"hooks": {"Stop": ["say done"]}}', "hooks.Stop holds what"),
    "a handler in a group's place": (
        b'{"hooks": {"Stop": [{"type": "command", "command": "x"}]}}',
        "hooks.Stop holds what is not",
    ),
    "a handler that is a text": (b'{"hooks": {"Stop": [{"hooks": ["x"]}]}}', "hooks.Stop holds"),
    "a group whose hooks are null": (b'{"hooks": {"Stop": [{"hooks": null}]}}', "hooks.Stop ho"),
    "Latin-1": ('{"a": "é"}'.encode("latin-1"), "not UTF-8 at byte 7"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "not UTF-8 at byte 0"),
    "half a character": (b'{"a": "\xe6\x97', "not UTF-8"),
    "a surrogate in UTF-8": (b'{"a": "\xed\xa0\x80"}', "not UTF-8"),
    "two byte order marks": (b"\xef\xbb\xbf\xef\xbb\xbf{}", "line 1 is no JSON"),
    "a zero byte": (b'{"a": 1}\0', "is no JSON"),
    "a control character in a text": (b'{"a": "\x07"}', "is no JSON"),
    "a no-break space between keys": ('{\u00a0"a": 1}'.encode(), "is no JSON"),
    "deeper than can be read": (b"[" * 200_000 + b"]" * 200_000, "nested too deeply"),
}


def loads(data: bytes) -> Any:
    return json_text.read(data.decode())


def without_ours(data: bytes) -> Any:
    """Return what *data* says beside our hooks; empty lists and objects of hooks say nothing."""
    said = loads(data)
    hooks: dict[str, list[object]] = {}
    for event, groups in said.pop("hooks", {}).items():
        for group in groups:
            if group["hooks"] and all(map(hook_settings.is_ours, group["hooks"])):
                continue
            hooks.setdefault(event, []).append(group)
    return {**said, "hooks": hooks} if hooks else said


def expected(hooks: hook_settings.Hooks) -> list[tuple[str, object]]:
    pairs = json.loads(json.dumps(hooks), parse_int=str)
    return [(event, each) for event, groups in pairs.items() for g in groups for each in g["hooks"]]


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / ".claude"
    folder.mkdir()
    return folder / "settings.local.json"


@pytest.mark.parametrize("name", KEPT)
def test_all_that_was_there_stays_and_comes_back(name: str, file: Path) -> None:
    was = KEPT[name]
    file.write_bytes(was)
    file.chmod(0o640)
    change = settings.install(file, HOOKS)
    now = file.read_bytes()
    assert (change.is_changed, change.before) == (True, ())
    assert sorted(settings.ours(loads(now)), key=str) == sorted(expected(HOOKS), key=str)
    assert without_ours(now) == without_ours(was)
    if was.strip(b"\xef\xbb\xbf \t\r\n"):
        rest = iter(now)
        assert all(byte in rest for byte in was), "a byte of theirs is gone, or elsewhere"
    assert (b"\r\n" in was) is (b"\r\n" in now)
    if b"\r\n" in was:
        assert now.count(b"\n") == now.count(b"\r\n") + (was.count(b"\n") - was.count(b"\r\n"))

    assert settings.install(file, HOOKS).is_changed is False
    assert file.read_bytes() == now
    change = settings.install(file, OTHERS)
    assert len(change.before) == len(change.after) == COUNT
    assert "/old/" in file.read_text()
    assert settings.install(file, HOOKS).is_changed is True
    assert file.read_bytes() == now

    assert settings.remove(file).is_changed is True
    assert file.read_bytes() == was
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert settings.remove(file).is_changed is False
    assert names(file.parent) == [file.name]


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_edited_without_loss_is_refused(name: str, file: Path) -> None:
    data, why = REFUSED[name]
    file.write_bytes(data)
    was = file.stat()
    for change in (lambda: settings.install(file, HOOKS), lambda: settings.remove(file)):
        with pytest.raises(RefusedError, match="was left as it is") as caught:
            change()
        assert why in str(caught.value)
        assert str(file) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert file.read_bytes() == data
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == (was.st_mtime_ns, was.st_ino)
    assert names(file.parent) == [file.name]


def test_there_are_more_than_fifty_kinds() -> None:
    assert len(KEPT) >= 50
    assert len(REFUSED) >= 30


def test_it_is_put_where_a_person_would_put_it(file: Path) -> None:
    file.write_text('{\n\t"model": "opus",\n\t"hooks": {\n\t\t"Stop": [\n\t\t\t{}\n\t\t]\n\t}\n}\n')
    file.write_text(file.read_text().replace("{}", THEIR_HOOK))
    one = {event: HOOKS[event] for event in ("Stop", "SessionEnd")}
    settings.install(file, one)
    stop, end = (json.dumps(one[event][0]) for event in ("Stop", "SessionEnd"))
    assert file.read_text() == (
        '{\n\t"model": "opus",\n\t"hooks": {\n\t\t"Stop": [\n'
        f"\t\t\t{THEIR_HOOK},\n\t\t\t{stop}\n\t\t],\n"
        f'\t\t"SessionEnd": [\n\t\t\t{end}\n\t\t]\n\t}}\n}}\n'
    )


def test_a_new_file_is_whole_and_goes_again(tmp_path: Path) -> None:
    file = tmp_path / ".claude" / "settings.local.json"
    assert settings.remove(file).is_changed is False
    assert names(tmp_path) == []
    settings.install(file, HOOKS)
    assert json.loads(file.read_text()) == {"hooks": HOOKS}
    assert file.read_text().endswith("}\n")
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~umask
    settings.remove(file)
    assert names(tmp_path) == []


def test_a_new_file_goes_again_also_when_claude_has_written_it_anew(file: Path) -> None:
    settings.install(file, HOOKS)
    for text in (json.dumps(json.loads(file.read_text()), indent=2) + "\n",):
        file.write_text(text)
        settings.remove(file)
        assert not file.exists()


@pytest.mark.parametrize("indent", [None, 2, "\t"])
@pytest.mark.parametrize("name", KEPT)
def test_what_is_ours_is_found_when_claude_has_written_the_file_anew(
    name: str, indent: int | str | None, file: Path
) -> None:
    file.write_bytes(KEPT[name])
    settings.install(file, HOOKS)
    anew = json.loads(file.read_text("utf-8-sig"), parse_int=str, parse_float=str)
    anew["permissions"] = {"allow": ["Bash(ls)"]}
    file.write_text(json.dumps(anew, indent=indent))
    assert len(settings.install(file, HOOKS).before) == COUNT
    settings.remove(file)
    assert settings.ours(loads(file.read_bytes())) == ()
    wanted = without_ours(KEPT[name]) | {"permissions": {"allow": ["Bash(ls)"]}}
    assert without_ours(file.read_bytes()) == wanted


def test_a_hook_that_somebody_put_beside_ours_stays(file: Path) -> None:
    settings.install(file, HOOKS)
    theirs = {"type": "command", "command": "say done"}
    for place in (0, 1):
        found = json.loads(file.read_text())
        found["hooks"]["Stop"][0]["hooks"].insert(place, theirs)
        found["hooks"]["Stop"].insert(place, {"matcher": "x", "hooks": [theirs]})
        file.write_text(json.dumps(found, indent=3))
        settings.remove(file)
        left = json.loads(file.read_text())["hooks"]
        groups = [{"hooks": [theirs]}, {"matcher": "x", "hooks": [theirs]}]
        assert list(left) == ["Stop"]
        assert all(group in groups for group in left["Stop"])
        assert len(left["Stop"]) == 2
        file.unlink()
        settings.install(file, HOOKS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip
GROUP = st.fixed_dictionaries(
    {"hooks": st.lists(st.fixed_dictionaries({"type": st.text(max_size=5), "x": JSON}), max_size=2)}
)
EVENT_MAP = st.dictionaries(
    st.sampled_from([*EVENTS, "PreCompact", "Later"]), st.lists(GROUP, max_size=2), max_size=4
)
SETTINGS = st.tuples(
    st.dictionaries(st.text(max_size=6).filter(lambda key: key != "hooks"), JSON, max_size=4),
    st.none() | EVENT_MAP,
).map(lambda pair: {**pair[0], **({} if pair[1] is None else {"hooks": pair[1]})})


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    SETTINGS,
    st.sampled_from([None, 0, 1, 2, 4, "\t"]),
    st.booleans(),
    st.sampled_from([(", ", ": "), (",", ":"), (" ,\n", "\t: ")]),
    st.sampled_from(["", "\n", " \n\n"]),
)
def test_any_settings_come_back(
    said: dict[str, Any],
    indent: int | str | None,
    is_ascii: bool,
    separators: tuple[str, str],
    end: str,
) -> None:
    was = json.dumps(said, indent=indent, ensure_ascii=is_ascii, separators=separators) + end
    now = json_text.put(was, HOOKS)
    assert json_text.take(now, hook_settings.is_ours) == was
    assert without_ours(now.encode("utf-8", "surrogatepass")) == without_ours(
        was.encode("utf-8", "surrogatepass")
    )


def test_a_link_stays_a_link_and_what_it_leads_to_is_written(file: Path, tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    real = tmp_path / "dotfiles" / "claude.json"
    real.write_text('{"model": "opus"}\n')
    (tmp_path / "dotfiles" / "again").symlink_to("claude.json")
    file.symlink_to("../dotfiles/again")
    settings.install(file, HOOKS)
    assert file.is_symlink()
    assert (tmp_path / "dotfiles" / "again").is_symlink()
    assert settings.ours(settings.read(real))
    settings.remove(file)
    assert real.read_text() == '{"model": "opus"}\n'
    assert file.is_symlink()


def test_a_link_to_nothing_is_filled_and_leads_to_nothing_again(file: Path, tmp_path: Path) -> None:
    file.symlink_to("../later.json")
    settings.install(file, HOOKS)
    assert settings.ours(settings.read(tmp_path / "later.json"))
    settings.remove(file)
    assert file.is_symlink()
    assert not file.exists()


def test_a_folder_that_is_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / ".claude").symlink_to("real")
    settings.install(tmp_path / ".claude" / "settings.local.json", HOOKS)
    assert names(tmp_path / "real") == ["settings.local.json"]
    settings.remove(tmp_path / ".claude" / "settings.local.json")
    assert (tmp_path / "real").is_dir()
    assert names(tmp_path / "real") == []


def _a_folder(file: Path) -> None:
    file.mkdir()


def _a_pipe(file: Path) -> None:
    os.mkfifo(file)


def _a_ring_of_links(file: Path) -> None:
    file.symlink_to(file.name)


def _a_link_into_nowhere(file: Path) -> None:
    file.symlink_to("/none/of/these/are/there.json")


def _read_only(file: Path) -> None:
    file.write_text('{"a": 1}')
    file.chmod(0o444)


def _two_names(file: Path) -> None:
    file.write_text('{"a": 1}')
    file.with_name("other").hardlink_to(file)


def _no_folder(file: Path) -> None:
    file.parent.rmdir()
    file.parent.write_text("")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_a_folder, "Is a directory"),
        (_a_pipe, "no plain file"),
        (_a_ring_of_links, "Too many levels"),
        (_a_link_into_nowhere, "No such file"),
        (_read_only, "read-only (chmod u+w"),
        (_two_names, "a second name"),
        (_no_folder, "Not a directory"),
    ],
)
def test_what_cannot_be_written_is_refused_and_left(make: Any, why: str, file: Path) -> None:
    make(file)
    was = names(file.parent)
    with pytest.raises(RefusedError) as caught:
        settings.install(file, HOOKS)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)
    assert names(file.parent) == was
    if file.is_file():
        assert file.read_text() == '{"a": 1}'


def test_a_folder_for_a_folder_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="No such file"):
        settings.install(tmp_path / "a" / "b" / "settings.json", HOOKS)
    assert names(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_refused(file: Path) -> None:
    file.write_text("{}")
    file.parent.chmod(0o555)
    with pytest.raises(RefusedError, match="Permission denied"):
        settings.install(file, HOOKS)
    file.parent.chmod(0o755)
    assert file.read_text() == "{}"


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o666, 0o700])
def test_the_mode_of_the_file_stays(mode: int, file: Path) -> None:
    file.write_text("{}")
    file.chmod(mode)
    settings.install(file, HOOKS)
    assert stat.S_IMODE(file.stat().st_mode) == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_of_the_file_stays(file: Path) -> None:
    file.write_text("{}")
    os.chown(file, 1234, 2345)
    settings.install(file, HOOKS)
    assert (file.stat().st_uid, file.stat().st_gid) == (1234, 2345)


#: Ends itself, with no chance to tidy up, at the n-th of the calls with which files are changed.
KILLED = """
import json, os, signal, sys
from pathlib import Path
count = 0
def dying(call):
    def instead(*args, **kwargs):
        global count
        count += 1
        if count == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args, **kwargs)
    return instead
from swarmcomm.frontends.hooks import settings
HOOKS = json.loads(sys.argv[4])
for name in ("open", "fsync", "replace", "rename", "unlink", "chmod", "chown", "utime", "mkdir"):
    setattr(os, name, dying(getattr(os, name)))
settings.remove(Path(sys.argv[1])) if sys.argv[3] == "remove" else settings.install(
    Path(sys.argv[1]), HOOKS
)
"""


@pytest.mark.parametrize("word", ["install", "remove"])
def test_who_is_killed_at_any_step_leaves_the_old_or_the_new(word: str, file: Path) -> None:
    texts = [KEPT["two spaces"]]
    file.write_bytes(texts[0])
    settings.install(file, HOOKS)
    texts.append(file.read_bytes())
    if word == "remove":
        texts.reverse()
    seen = set()
    for step in range(1, 40):
        file.write_bytes(texts[0])
        words = (str(file), str(step), word, json.dumps(HOOKS))
        command = [sys.executable, "-c", KILLED, *words]
        done = subprocess.run(command, cwd=ROOT, timeout=60, check=False)
        seen.add(texts.index(file.read_bytes()))
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
    assert done.returncode == 0
    assert step > 4
    assert seen == {0, 1}
    file.write_bytes(texts[0])
    (settings.install(file, HOOKS) if word == "install" else settings.remove(file))
    assert names(file.parent) == [file.name], "what the killed ones left is gone"


def test_who_reads_while_it_is_written_reads_the_old_one_whole(file: Path) -> None:
    file.write_bytes(KEPT["two spaces"])
    with file.open("rb", buffering=0) as reader:
        first = reader.read(5)
        settings.install(file, HOOKS)
        assert first + reader.read() == KEPT["two spaces"]
    assert file.read_bytes() != KEPT["two spaces"]


def test_what_another_program_wrote_in_between_is_not_written_over(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("{}")
    was = os.fsync

    def late(number: int) -> None:
        file.write_text('{"of": "claude"}')
        was(number)

    monkeypatch.setattr(os, "fsync", late)
    with pytest.raises(RefusedError, match="try again"):
        settings.install(file, HOOKS)
    monkeypatch.undo()
    assert file.read_text() == '{"of": "claude"}'
    assert names(file.parent) == [file.name]


def test_two_at_once_write_one_behind_the_other(file: Path) -> None:
    file.write_bytes(KEPT["two spaces"])
    code = (
        "import json, sys; from pathlib import Path\n"
        "from swarmcomm.frontends.hooks import settings; both = json.loads(sys.argv[2])\n"
        "for n in range(30): settings.install(Path(sys.argv[1]), both[n % 2])"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(file), json.dumps([HOOKS, OTHERS])], cwd=ROOT
        )
        for _ in range(2)
    ]
    assert [each.wait(60) for each in both] == [0, 0]
    assert len(settings.ours(settings.read(file))) == COUNT
    settings.remove(file)
    assert file.read_bytes() == KEPT["two spaces"]
