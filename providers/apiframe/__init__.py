"""apiframe: `models` says what each model takes, `adapter` submits jobs and reads them, `webhooks` proves a notice."""

from providers.apiframe.adapter import Apiframe

__all__ = ["Apiframe"]
