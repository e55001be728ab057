"""Errors, each with the exit status that every face promises for it.

The type says whose fault it is: :class:`InvalidInputError` and its children are the caller's,
:class:`RefusedError` is the window's state, :class:`TmuxError` is tmux's, :class:`TaskFailedError`
the worker's, :class:`StoreError` that of the file where events are kept,
:class:`SessionError` that of the registry of sessions. All derive from :class:`SwarmError`.
"""

from __future__ import annotations


class SwarmError(Exception):
    """Root of our errors: one line that says what is wrong and what would be right."""

    exit_status = 70


class InvalidInputError(SwarmError, ValueError):
    """An argument cannot be used as it is; nothing was done with it."""

    exit_status = 2


class MissingProgramError(SwarmError):
    """A program that is needed is not installed, or too old."""

    exit_status = 7


class TmuxError(SwarmError):
    """tmux could not be asked, so nothing is known about the window."""

    exit_status = 3


class NotFoundError(TmuxError):
    """tmux answered, and the server, session or window is not there, or its pane is dead."""


class RefusedError(SwarmError):
    """Nothing was typed or made: the window or the text does not allow it."""

    exit_status = 5


class NestingError(RefusedError, PermissionError):
    """A session of ours may not start another one; nothing was made, or it was ended again."""


class PermissionsFileError(RefusedError, PermissionError):
    """The file of the permissions cannot be trusted or read, so nothing is allowed."""


class UnsafeTextError(RefusedError):
    """The text holds a byte that must not be typed; *offset* counts bytes of UTF-8 from 0."""

    def __init__(self, what: str, offset: int) -> None:
        super().__init__(
            f"the text holds {what} at byte {offset};"
            " only newline, tab and printable text are typed"
        )
        self.offset = offset


class TextTooLongError(RefusedError):
    """The text is longer than *limit* bytes."""

    def __init__(self, size: int, limit: int, where: str) -> None:
        super().__init__(f"{where} is {size} bytes; the limit is {limit} bytes")
        self.size = size
        self.limit = limit


class WaitTimeoutError(SwarmError, TimeoutError):
    """Time ran out before the answer came; the task may still be running."""

    exit_status = 1

    def __init__(self, waited_s: float) -> None:
        super().__init__(f"Timeout after {waited_s:g}s")
        self.waited_s = waited_s


class TaskFailedError(SwarmError):
    """The worker ended the task with ERROR; *text* is what it said."""

    exit_status = 6

    def __init__(self, wire_id: str, text: str) -> None:
        super().__init__(f"{wire_id} ended in ERROR{': ' + text if text else ''}")
        self.wire_id = wire_id
        self.text = text


class StatusLogError(SwarmError):
    """The file of the status broadcast cannot be written to."""

    exit_status = 5


class StoreError(SwarmError):
    """The store cannot be used; what was in it is as it was."""

    exit_status = 5


class StoreBusyError(StoreError):
    """Another program did not give up the lock in time."""


class StoreFullError(StoreError):
    """The disk is full, or files may not grow any more."""


class StoreReadOnlyError(StoreError):
    """The file or its folder may not be read or written."""


class StoreCorruptError(StoreError):
    """The file is damaged, or none of ours."""


class StoreNewerError(StoreError):
    """A newer swarmcomm wrote the file."""


class SessionNameError(InvalidInputError):
    """A name is neither that of a master session nor that of a child session."""


class ProgressError(InvalidInputError):
    """A progress is no whole number from 0 to 100."""


class SessionError(SwarmError):
    """The registry of sessions does not allow it; nothing was changed."""

    exit_status = 5


class SessionNotRegisteredError(SessionError):
    """Nobody has registered that session."""

    exit_status = 3


class UnknownRelationError(SessionError):
    """The two sessions are not a master and its child."""

    exit_status = 3


class AnotherSessionError(SessionError):
    """The caller is bound to one session, and spoke or asked as another."""


class WrongStatusError(SessionError):
    """A status cannot follow the one that the session has."""
