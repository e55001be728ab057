"""``python -m swarmcomm`` is the ``swarmcomm`` command."""

import sys


def main() -> None:
    """Run the command; importing it takes long enough to be interrupted."""
    try:
        from swarmcomm.frontends.cli import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
