"""``swarmcomm plugin``: where the plugin for Claude Code is."""

from __future__ import annotations

from pathlib import Path

import click

from swarmcomm.frontends.arguments import Group

FOLDER = Path(__file__).parents[1] / "plugin"


@click.group(cls=Group)
def plugin() -> None:
    """The plugin for Claude Code: hooks, MCP server and a skill.

    Example: swarmcomm plugin path
    """


@plugin.command()
def path() -> None:
    """Print the plugin's folder, for --plugin-dir or as a marketplace.

    Example: claude plugin marketplace add "$(swarmcomm plugin path)"
    """
    click.echo(FOLDER)
