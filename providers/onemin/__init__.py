"""1min.ai: `models` says what each model takes to generate and to edit, `adapter` asks and reads."""

from providers.onemin.adapter import OneMin

__all__ = ["OneMin"]
