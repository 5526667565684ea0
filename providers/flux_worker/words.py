"""Words and bounds of the wire to a worker, for whoever needs no models of it. Sources: those of `protocol`."""

from __future__ import annotations

PATH = "/v1/responses"

IMAGE = "provider_options.image"
"""Where the options of a picture are in the body. `seed`, `input`, `model` and `user` are at top level."""

SIDE_LEAST = 128
SIDE_MULTIPLE = 16
"""The latent grid has no half cells. A schema that lets multiples of 8 through cuts them down to 16 unasked."""

SEED_MOST = 2**32 - 1
"""Of the noise generator, NumPy's RandomState."""

FAMILY_OPTIONS = frozenset(
    {
        "cfg_normalization",
        "cfg_truncation",
        "flow_shift",
        "secondary_negative_prompt",
        "secondary_prompt",
        "true_cfg_scale",
    }
)
"""Options that mean something to some families of models only, and that the gateway has no words of its own for."""

OUT_OF_MEMORY = "worker_oom"
"""`Error.code` of a worker whose GPU memory did not suffice for this request."""

WORKER_HEADER = "x-imagegate-worker"
"""On every answer of this repository's worker, and of no other: its version."""

PREVIEWS, PREVIEWS_FORMAT = "previews", "previews_format"
"""Under `imagegate` of a request, and among the abilities of a worker that reads them: how many small pictures of how
far each picture is, and their format."""
PREVIEW_FORMATS = ("png", "jpeg", "webp")

PROGRESS = "imagegate:progress"
PARTIAL = "imagegate:partial_image"
"""Events of its streams before the last: a step of a picture, and a step with a small picture of how far it is."""
