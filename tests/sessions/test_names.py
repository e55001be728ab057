"""Names of sessions: what makes one, and that nothing is read as another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmcomm.errors import SessionNameError
from swarmcomm.sessions import SessionName, child_name, master_name, parse

_IDS = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,12}[A-Za-z0-9])?", fullmatch=True)
#: Words that make names which could be read in two ways.
_TRAPS = st.lists(st.sampled_from(["task", "_task_", "a", "_", "task_", "_task", "..", "child_"]))


def test_the_two_forms() -> None:
    assert master_name("web") == "master_project_web"
    assert child_name("web", "AUTH_001") == "child_web_task_AUTH_001"
    assert parse("master_project_web") == SessionName("web")
    assert parse("child_web_task_5.2") == SessionName("web", "5.2")
    assert str(parse("child_web_task_5.2").master) == "master_project_web"


@given(_IDS, _IDS)
def test_what_is_made_is_read_back(project: str, task: str) -> None:
    try:
        name = child_name(project, task)
    except SessionNameError:
        assert "_task_" in f"{project}_task" or ".." in project + task or "_task_" in f"task_{task}"
        return
    assert parse(name) == SessionName(project, task)
    assert str(parse(name)) == name
    assert parse(master_name(project)) == SessionName(project)


@given(st.text(max_size=30) | _TRAPS.map("".join), st.text(max_size=30) | _TRAPS.map("".join))
def test_no_two_pairs_of_ids_make_one_name(project: str, task: str) -> None:
    try:
        name = child_name(project, task)
    except SessionNameError:
        return
    assert parse(name) == SessionName(project, task)


@given(st.text(max_size=40).map("child_{}".format) | _TRAPS.map(lambda w: "child_" + "".join(w)))
def test_what_is_read_is_made_again(name: str) -> None:
    try:
        found = parse(name)
    except SessionNameError:
        return
    assert str(found) == name
    assert child_name(found.project_id, found.task_id or "") == name


@pytest.mark.parametrize(
    "name",
    [
        "child_a_task_b_task_c",  # task c of a_task_b, or task b_task_c of a
        "child_a_task_task_b",  # task task_b of a, or task b of a_task
        "master_project_a_task_b",
        "child_web",
        "child_web_task_",
        "child__task_3",
        "master_project_",
        "master_web",
        "Child_web_task_3",
        " child_web_task_3",
        "child_web_task_3\n",
        "",
        None,
        7,
    ],
)
def test_what_is_no_name_is_refused_and_the_forms_are_said(name: str) -> None:
    with pytest.raises(SessionNameError, match=r"master_project_\{PROJECT_ID\} or child_\{"):
        parse(name)


@pytest.mark.parametrize(
    "an_id",
    [
        "a/b",
        "../a",
        "..",
        "a..b",
        "a;b",
        "a\nb",
        "a\n",
        "x" * 300,
        "é",
        "名",
        "",
        "-a",
        "a b",
        "$(a)",
    ],
)
def test_t21_an_id_that_is_unsafe_in_a_name_is_rejected_at_the_door(an_id: str) -> None:
    for make in (master_name, lambda i: child_name("web", i), lambda i: child_name(i, "3")):
        with pytest.raises(SessionNameError, match="letters, digits") as caught:
            make(an_id)
        assert len(str(caught.value)) < 300
    with pytest.raises(SessionNameError):
        parse(f"child_web_task_{an_id}")
    with pytest.raises(SessionNameError):
        parse(f"master_project_{an_id}")


@pytest.mark.parametrize(("project", "task"), [("a_task", "b"), ("a", "task_b")])
def test_ids_whose_name_could_be_read_in_two_ways_are_refused(project: str, task: str) -> None:
    with pytest.raises(SessionNameError, match="two ways"):
        child_name(project, task)
