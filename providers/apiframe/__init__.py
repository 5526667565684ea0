"""apiframe: `models` says what each model takes and `inputs` which pictures, `adapter` submits jobs and reads them,
`webhooks` proves a notice."""

from providers.apiframe.adapter import Apiframe

__all__ = ["Apiframe"]
