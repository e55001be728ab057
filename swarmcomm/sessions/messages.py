"""Messages in the store: sent, given out to one reader at a time, acknowledged, expired.

A reader has what it was given until it acknowledges it, is closed, its process ends, or LEASE_S
pass; then it is given out again, marked. Leases go by the clock that nobody can turn, which all
processes of one machine share until it is started again. Order is that of the numbers.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from swarmcomm import clock, settings
from swarmcomm.errors import InvalidInputError, TextTooLongError, UnknownRelationError
from swarmcomm.protocol import DESCRIPTION_MAX_BYTES, check_text
from swarmcomm.protocol.grammar import byte_length
from swarmcomm.sessions.model import Message, MessageState, MessageType, Outgoing
from swarmcomm.sessions.names import SessionName, parse
from swarmcomm.sessions.processes import is_alive, life
from swarmcomm.sessions.registry import OVER, check_registered, clocks, found
from swarmcomm.store import stamp, time_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swarmcomm.store import Found, Store, Transaction

#: Bytes of a message. A courier types it as one description, with a head of up to 536 bytes.
TEXT_MAX_BYTES = DESCRIPTION_MAX_BYTES - 536

#: The largest number of a row.
_NUMBER_MAX = 2**63 - 1

#: Seconds that a message may wait at most: ten years.
_EXPIRES_MAX_S = 3650 * 86_400.0

_COLUMNS = "number, sender, receiver, type, text, sent_at, expires_at, given, reply_to, outcome"


def check_outgoing(
    out: Outgoing,
) -> tuple[SessionName, SessionName, MessageType, float]:
    """Return sender, receiver, type and how long *out* waits, in seconds.

    Raises:
        InvalidInputError: one of its values cannot be used.
        UnknownRelationError: its sessions are not a master and its child.
        RefusedError: the text is too long, or holds control characters.
    """
    sender, receiver = parse(out.from_session), parse(out.to_session)
    if sender.master != receiver.master or sender.is_master is receiver.is_master:
        raise UnknownRelationError(
            f"{sender} and {receiver} are not a master and its child; messages go from a master to"
            f" its children and back: {sender} "
            + (
                f"sends to child_{sender.project_id}_task_{{TASK_ID}}"
                if sender.is_master
                else f"sends to {sender.master}"
            )
        )
    kind = _kind(out, sender)
    _check_message(out.message)
    if out.reply_to is not None and not _is_number(out.reply_to):
        raise InvalidInputError(f"reply_to {str(out.reply_to)[:80]!r} is no id of a message")
    expires_s = settings.MESSAGE_EXPIRES_S if out.expires_s is None else out.expires_s
    if isinstance(expires_s, bool) or not (
        isinstance(expires_s, int | float) and 0 < expires_s <= _EXPIRES_MAX_S
    ):
        raise InvalidInputError(
            f"expires_s {expires_s!r:.80} is no time to wait; give seconds above 0, ten years at"
            " most"
        )
    return sender, receiver, kind, expires_s


def _check_message(text: str) -> None:
    if not isinstance(text, str):
        raise InvalidInputError("a message is text; give a string")
    if not text.strip(" \t\n"):
        raise InvalidInputError("the message is empty; say something in it")
    size = byte_length(text)
    if size > TEXT_MAX_BYTES:
        raise TextTooLongError(size, TEXT_MAX_BYTES, "the message")
    check_text(text)


def _kind(out: Outgoing, sender: SessionName) -> MessageType:
    word = out.message_type
    if word is None:
        return MessageType.INSTRUCTION if sender.is_master else MessageType.RESPONSE
    if not isinstance(word, str) or word.upper() not in MessageType.__members__:
        raise InvalidInputError(
            f"{str(word)[:80]!r} is no message_type; use one of {', '.join(MessageType)}"
        )
    kind = MessageType(word.upper())
    if (kind is MessageType.RESPONSE) is sender.is_master:
        raise InvalidInputError(
            f"a master sends INSTRUCTION, QUERY or STATUS_REQUEST, not {kind}"
            if sender.is_master
            else f"a child answers with RESPONSE; {kind} comes from its master"
        )
    return kind


def _is_number(value: object) -> bool:
    return type(value) is int and 0 < value <= _NUMBER_MAX


def send(
    change: Transaction,
    swarm: str,
    out: Outgoing,
    checked: tuple[SessionName, SessionName, MessageType, float],
) -> Message:
    """Store a message and return it, or the answer that was there where it is to be the only one.

    Raises:
        SessionNotRegisteredError: one of its sessions is not registered.
        InvalidInputError: it answers a message that its receiver never sent to its sender.
    """
    sender, receiver, kind, expires_s = checked
    now = clock.now()
    check_registered(change.execute, sender, receiver)
    if out.reply_to is not None and not list(
        change.execute(
            "SELECT 1 FROM message WHERE number = ? AND sender = ? AND receiver = ?",
            out.reply_to,
            str(receiver),
            str(sender),
        )
    ):
        raise InvalidInputError(
            f"reply_to {out.reply_to} is no message from {receiver} to {sender}; give the id of the"
            " one that is answered, or none"
        )
    if out.once and (first := _answer(change, sender, out.reply_to)):
        return _message(first)
    added = change.execute(
        "INSERT INTO message (sender, receiver, type, text, reply_to, sent_at, expires_at,"
        " waits_since, waits_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        str(sender),
        str(receiver),
        kind,
        out.message,
        out.reply_to,
        stamp(now),
        stamp(now + timedelta(seconds=expires_s)),
        clock.monotonic(),
        expires_s,
    )
    row = _row(change, added.lastrowid)
    change.tell([_told(swarm, receiver, row, "sent", f": {out.message}")])
    return _message(row)


def _answer(change: Transaction, sender: SessionName, reply_to: int | None) -> Any:
    """Return the row of the first answer of *sender* to a message, None where there is none."""
    return change.execute(
        f"SELECT {_COLUMNS} FROM message WHERE sender = ? AND number > ? AND reply_to = ?"
        " ORDER BY number LIMIT 1",
        str(sender),
        reply_to,
        reply_to,
    ).fetchone()


class Reader:
    """One who reads: what it was given is nobody else's while it is there."""

    def __init__(self, token: str) -> None:
        """Take a *token* that no other reader has."""
        pid = os.getpid()
        self._token = f"{pid}:{life(pid)}:{token}"
        self._has_some = False

    def take(self, store: Store, swarm: str, name: SessionName, limit: int) -> list[Message]:
        """Return the next messages to a session that nobody has, by number.

        None is given out before those that the same sender sent earlier. Those that are too old
        are marked, and not given out.

        Raises:
            SessionNotRegisteredError: it is not registered.
        """
        check_registered(store.rows, name)
        unread = "SELECT 1 FROM message WHERE receiver = ? AND outcome IS NULL LIMIT 1"
        if not store.rows(unread, str(name)):
            return []
        with store.writing() as change:
            uptime = clock.monotonic()
            mine, expired = self._sorted(change, name, limit, uptime)
            for number in expired:
                change.execute("UPDATE message SET outcome = 'expired' WHERE number = ?", number)
            for number in mine:
                change.execute(
                    "UPDATE message SET given = given + 1, holder = ?, held_since = ?"
                    " WHERE number = ?",
                    self._token,
                    uptime,
                    number,
                )
            rows = [_row(change, number) for number in mine]
            messages = [_message(row) for row in rows]
            told = [_told(swarm, name, _row(change, n), "expired", " expired") for n in expired]
            told += [
                _told(swarm, name, row, "redelivered", " given out again")
                for row, message in zip(rows, messages, strict=True)
                if message.redelivered
            ]
            change.tell(told)
        self._has_some = self._has_some or bool(messages)
        return messages

    def _sorted(
        self, change: Transaction, name: SessionName, limit: int, uptime: float
    ) -> tuple[list[int], list[int]]:
        """Return the numbers to give out now, and those that are too old."""
        mine: list[int] = []
        expired: list[int] = []
        waiting: set[str] = set()
        alive: dict[str, bool] = {self._token: True}
        for number, sender, holder, held_since, is_over in change.execute(
            f"SELECT number, sender, holder, held_since, {OVER} FROM message"
            " WHERE receiver = ? AND outcome IS NULL ORDER BY number",
            *clocks(),
            str(name),
        ):
            if holder and 0 <= uptime - held_since < settings.LEASE_S:
                if holder not in alive:
                    alive[holder] = is_alive(holder)
                if alive[holder]:
                    if holder != self._token:
                        waiting.add(sender)
                    continue
            if is_over:
                expired.append(number)
            elif sender not in waiting:
                mine.append(number)
                if len(mine) == limit:
                    break
        return mine, expired

    def close(self, store: Store) -> None:
        """Give back what was not acknowledged."""
        if self._has_some:
            with store.writing() as change:
                change.execute(
                    "UPDATE message SET holder = NULL WHERE holder = ? AND outcome IS NULL",
                    self._token,
                )
            self._has_some = False


def acknowledge(change: Transaction, swarm: str, name: SessionName, ids: Iterable[int]) -> int:
    """Store that a session has these messages; return how many it had not said so of.

    Raises:
        InvalidInputError: one is no message to it, or was never given out.
        SessionNotRegisteredError: it is not registered.
    """
    check_registered(change.execute, name)
    count = 0
    for number in ids:
        rows = (
            list(
                change.execute(
                    f"SELECT {_COLUMNS} FROM message WHERE number = ? AND receiver = ?",
                    number,
                    str(name),
                )
            )
            if _is_number(number)
            else []
        )
        if not rows:
            raise InvalidInputError(
                f"{str(number)[:80]!r} is no message to {name}; give ids that get_session_messages"
                " returned"
            )
        row = rows[0]
        if row[7] == 0:
            raise InvalidInputError(
                f"message {number} was never given out to {name}; read it first"
                if row[9] is None
                else f"message {number} to {name} expired before it was read"
            )
        if row[9] == MessageState.ACKNOWLEDGED:
            continue
        change.execute("UPDATE message SET outcome = 'acknowledged' WHERE number = ?", number)
        change.tell([_told(swarm, name, row, "acknowledged", " acknowledged")])
        count += 1
    return count


def history(store: Store, name: SessionName | None, limit: int) -> list[Message]:
    """Return the newest messages from and to a session, or of all, by number; takes none."""
    where = "" if name is None else "WHERE sender = ? OR receiver = ?"
    words = [] if name is None else [str(name)] * 2
    rows = store.rows(
        f"SELECT {_COLUMNS}, {OVER} FROM message {where} ORDER BY number DESC LIMIT ?",
        *clocks(),
        *words,
        limit,
    )
    return [_message(row[:-1], bool(row[-1])) for row in reversed(rows)]


def _row(change: Transaction, number: int | None) -> Any:
    return change.execute(f"SELECT {_COLUMNS} FROM message WHERE number = ?", number).fetchone()


def _message(row: Any, is_over: bool = False) -> Message:
    number, sender, receiver, kind, text, sent_at, expires_at, given, reply_to, outcome = row
    if outcome is not None:
        state = MessageState(outcome)
    elif is_over:
        state = MessageState.EXPIRED
    else:
        state = MessageState.GIVEN if given else MessageState.WAITING
    return Message(
        number,
        sender,
        receiver,
        MessageType(kind),
        text,
        time_of(sent_at),
        time_of(expires_at),
        given > 1,
        reply_to,
        state,
    )


def _told(swarm: str, name: SessionName, row: Any, what: str, text: str) -> Found:
    number, sender, _, kind, *_ = row
    return found(swarm, name, f"{number} {kind} from {sender}{text}", "message", what)
