"""Input pictures that a client names by URL: fetched here, so that no provider ever fetches on a client's word.

The gateway stands where the client does not: beside the operator's other machines. What a fetch came to must tell
nothing about them. So whatever goes wrong is one error with one text for each parameter, after about one and the same
time; the reason is for the operator's log alone. Only a picture that is too large is said to be: it came from where the
client may fetch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from gateway.config.limits import Limits
from normalization.errors import ImageTooLarge, ImageUrlUnreachable
from providers.addresses import Network
from providers.fetch import Fetcher, FetchPolicy, Unfetchable

log = logging.getLogger("imagegate")


def client_policy(limits: Limits, allow_private: Iterable[Network] = ()) -> FetchPolicy:
    """What may be fetched on a client's word. `allow_private`: the networks that the operator has opened; no origin is
    trusted beyond them."""
    return FetchPolicy(
        bytes_most=limits.picture_bytes,
        seconds_most=limits.fetch_seconds,
        redirects_most=limits.fetch_redirects,
        allow_private=tuple(allow_private),
        min_rate=limits.fetch_bytes_per_second,
        resolve_seconds_most=limits.fetch_dns_seconds,
        reach_seconds_most=limits.fetch_connect_seconds,
        failure_seconds_least=limits.fetch_connect_seconds,
    )


async def visit(
    fetcher: Fetcher,
    url: str,
    sink: Callable[[bytes], object],
    *,
    param: str,
    policy: FetchPolicy,
    deadline: float,
) -> int:
    """Have the picture at `url` poured into `sink`, piece by piece, and say how many bytes it has. `param` is the URL's
    place in the request, such as `images[0].image_url`; `deadline` counts as time.monotonic does.

    Raises ImageUrlUnreachable, ImageTooLarge, and whatever the sink raises. After an error the sink may hold a part.
    """
    try:
        fetched = await fetcher.fetch(url, policy=policy, deadline=deadline, sink=sink)
    except Unfetchable as error:
        log.warning("the picture of %s was not fetched: %s", param, error)
        # Without the cause: its text names hosts and addresses, and a traceback in a log would show them.
        if error.code == "too_large":
            raise ImageTooLarge(
                f"{param}: the picture at this URL is too large; accepted: up to {policy.bytes_most} bytes",
                param=param,
                detail=str(error),
            ) from None
        raise ImageUrlUnreachable(
            f"{param}: no picture could be fetched from this URL; accepted: an http or https URL of a public host, on "
            "port 80 or 443 and without credentials, that answers with the picture itself",
            param=param,
            detail=str(error),
        ) from None
    return fetched.length
