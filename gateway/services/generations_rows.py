"""Generations as rows, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from gateway.services.generations import (
    Ended,
    Generation,
    KeptAnswer,
    KeptError,
    KeptPicture,
    KeptPieces,
    NewGeneration,
)


def ended_row(new: NewGeneration, ended: Ended) -> tuple[Any, ...]:
    """The columns of an end, those of the beginning first."""
    fingerprint, scope = (None, None) if ended.released else (new.fingerprint, new.scope)
    return (
        new.id,
        new.request_id,
        new.key_name,
        new.endpoint,
        new.model,
        new.created,
        fingerprint,
        scope,
        ended.status,
        ended.ended,
        int(ended.delivered),
        None if ended.answer is None else _answer_text(ended.answer),
        None if ended.error is None else orjson.dumps(ended.error).decode(),
    )


def generation_of(row: Sequence[Any]) -> Generation:
    """A generation from its columns."""
    status, at, delivered, answer, error = row[8:]
    ended = None
    if status != "running":
        ended = Ended(
            status,
            at,
            bool(delivered),
            None if answer is None else _answer(orjson.loads(answer)),
            None if error is None else KeptError(**orjson.loads(error)),
        )
    return Generation(NewGeneration(*row[:8]), status, ended)


def _answer_text(answer: KeptAnswer) -> str:
    events = None if answer.events is None else _listed(answer.events)
    return orjson.dumps([answer.headers, _listed(answer.body), events]).decode()


def _answer(value: list[Any]) -> KeptAnswer:
    headers, body, events = value
    return KeptAnswer(headers, _pieces(body), None if events is None else _pieces(events))


def _listed(pieces: KeptPieces) -> list[Any]:
    return [piece if isinstance(piece, str) else [piece.form, piece.name] for piece in pieces]


def _pieces(value: list[Any]) -> KeptPieces:
    return tuple(piece if isinstance(piece, str) else KeptPicture(piece[1], piece[0]) for piece in value)
