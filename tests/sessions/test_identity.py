"""Who a session is: its environment says it, or says nothing, or is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarmcomm import Coordinator
from swarmcomm.errors import InvalidInputError, SessionNameError
from swarmcomm.sessions.identity import identify
from tests.sessions.conftest import CHILD, MASTER

NAME = "SWARM_SESSION_NAME"


def environ(words: str) -> dict[str, str]:
    """Return the variables of ``P=web T=3 ...``, under their whole names."""
    names = {
        "P": "PROJECT_ID",
        "T": "TASK_ID",
        "R": "SESSION_ROLE",
        "M": "MASTER_SESSION_ID",
        "N": NAME,
    }
    pairs = (word.split("=", 1) for word in words.split())
    return {names[key]: value for key, value in pairs}


@pytest.mark.parametrize(
    ("words", "name", "role"),
    [
        ("P=web T=3", CHILD, "child"),
        ("P=web T=3 R=child", CHILD, "child"),
        ("P=web T=3 R=reviewer.1", CHILD, "reviewer.1"),
        (f"P=web T=3 R=child M={MASTER}", CHILD, "child"),
        ("P=web R=master", MASTER, "master"),
        ("P=web R=master T= N=", MASTER, "master"),
        (f"P=web R=master M={MASTER}", MASTER, "master"),
        (f"P=web M={MASTER}", MASTER, "master"),
        ("P=web R=auditor", MASTER, "auditor"),
        (f"N={CHILD}", CHILD, "child"),
        (f"N={MASTER}", MASTER, "master"),
        (f"N={CHILD} P=web T=3 R=child M={MASTER}", CHILD, "child"),
        (f"N={MASTER} R=auditor", MASTER, "auditor"),
    ],
)
def test_the_environment_says_who_a_session_is(words: str, name: str, role: str) -> None:
    found = identify(environ(words))
    assert found is not None
    assert (str(found.name), found.role) == (name, role)


@pytest.mark.parametrize("words", ["", "P=web", "P=web T= R=", "N=", "T=3 R=child", f"M={MASTER}"])
def test_a_session_that_nobody_named_is_none_of_ours(words: str) -> None:
    assert identify(environ(words)) is None


@pytest.mark.parametrize(
    "words",
    [
        "N=worker-0",
        f"N={CHILD} P=other",
        f"N={CHILD} T=4",
        f"N={MASTER} T=3",
        f"N={CHILD} R=master",
        f"N={MASTER} R=child",
        f"N={CHILD} M=master_project_other",
        "P=web T=3 R=master",
        "P=web R=child",
        "P=web T=3 M=master_project_other",
        f"P=web M={CHILD}",
        "P=web T=../3",
        "P=a/b R=master",
        "P=web T=3 R=a;b",
    ],
)
def test_variables_that_contradict_each_other_are_refused(words: str) -> None:
    with pytest.raises(InvalidInputError):
        identify(environ(words))


def test_a_coordinator_is_bound_by_the_ids_as_well(folder: Path) -> None:
    where = {"SWARM_STATE_DIR": str(folder)}
    with Coordinator.attach({**where, **environ("P=web T=3")}) as coordinator:
        assert coordinator.session_name == CHILD
    with Coordinator.attach({**where, **environ("P=web")}) as coordinator:
        assert coordinator.session_name is None
    with pytest.raises(SessionNameError):
        Coordinator.attach({**where, **environ(f"N={CHILD} T=4")})
    with Coordinator.attach({**where, **environ("P=web T=3")}, MASTER) as coordinator:
        assert coordinator.session_name == MASTER
