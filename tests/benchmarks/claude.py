"""How long a verified send into a real, idle claude takes; see claude_send.py for more sizes."""

from __future__ import annotations

import tempfile
from pathlib import Path

from swarmcomm import Swarm
from tests.agents.rig import start_rig
from tests.benchmarks import claude_send
from tests.benchmarks.rig import Plan, Row, median, quantile

_BYTES = 200
_BUDGET_MS = 500.0


def measure(plan: Plan) -> list[Row]:
    """Return p50 and p99 of each way to send 200 bytes."""
    rows = []
    runs = 2 if plan.quick else 2 * plan.runs
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, start_rig(Path(folder)) as rig:
        del rig.environ["SWARM_TMUX"]
        rig.launch("--agent", "claude", windows=claude_send.WINDOW)
        with Swarm.attach(environ=rig.environ) as swarm:
            for number, (name, send) in enumerate(claude_send.ways(rig, swarm).items()):
                plan.tell(f"claude: {name}")
                few = runs // 6 + 1 if name.startswith("typed") else runs
                took = claude_send.measure(rig, send, f"way{number}", _BYTES, few)
                row = Row(
                    f"submit of {_BYTES} bytes into an idle claude",
                    name,
                    {"sends": len(took), "p50 ms": median(took), "p99 ms": quantile(took, 0.99)},
                )
                if name.startswith("Window.send"):
                    row.budget = f"p50 < {_BUDGET_MS:g} ms"
                    row.met = (median(took) or 0.0) < _BUDGET_MS
                rows.append(row)
    return rows
