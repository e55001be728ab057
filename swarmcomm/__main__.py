"""``python -m swarmcomm`` is the ``swarmcomm`` command."""

from swarmcomm.frontends.cli import main

main()
