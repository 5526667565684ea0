"""What is logged, and how."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.config.fields import Section, Switch


class Logs(Section):
    """What is logged, and how. Secrets never are."""

    format: Literal["auto", "json", "text"] = Field(
        "auto", description="json: an object a line; text: for people; auto: text where stderr is a terminal."
    )
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least that is logged.")
    prompts: Switch = Field(False, description="Log what clients write; false: a prompt's length and fingerprint.")
