"""Several terminal AI agents as one swarm in tmux."""

__version__ = "0.1.0"
