"""What a running gateway takes over of a configuration that is read anew."""

from __future__ import annotations

from gateway.config.model import Settings

TAKEN_OVER = ("auth", "providers", "models", "default_model", "normalization")


def taken_over(running: Settings, read: Settings) -> Settings:
    """The running settings with providers, models, keys and normalization as they were read; the rest holds until a
    restart."""
    return running.model_copy(update={name: getattr(read, name) for name in TAKEN_OVER})


def waiting(running: Settings, read: Settings) -> tuple[str, ...]:
    """The sections that were read with other values than are in force, and wait for a restart."""
    rest = (name for name in Settings.model_fields if name not in TAKEN_OVER)
    return tuple(name for name in rest if getattr(running, name) != getattr(read, name))
