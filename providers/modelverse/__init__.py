"""UCloud ModelVerse: `models` says what each model takes for how many pictures, `adapter` asks and reads."""

from providers.modelverse.adapter import ModelVerse

__all__ = ["ModelVerse"]
