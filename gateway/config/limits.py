"""The limits of the house: each protects something that one caller could otherwise exhaust for all others.

A MiB is 1024 x 1024 bytes, a megapixel 1024 x 1024 pixels.
"""

from __future__ import annotations

from pydantic import Field

from gateway.config.fields import MIB, Bytes, Count, Factor, Percent, Positive, Seconds, Section, Whole
from normalization.vocabulary import MEGAPIXEL


class Limits(Section):
    """Limits on requests, pictures, providers and records. All have defaults; name only what should differ."""

    # reading a request
    header_count: Count = Field(100, description="Header lines of a request.")
    header_bytes: Bytes = Field(32 * 1024, description="Bytes of a request's line and headers together.")
    header_seconds: Seconds = Field(
        10, description="From the connection, or the first byte of a later request on it, to the end of the headers."
    )
    generation_body_bytes: Bytes = Field(MIB, description="Bytes of a JSON body that holds no pictures.")
    json_body_bytes: Bytes = Field(96 * MIB, description="Bytes of a JSON body with pictures in it.")
    multipart_body_bytes: Bytes = Field(200 * MIB, description="Bytes of a multipart body.")
    multipart_fields: Count = Field(40, description="Fields of a multipart body, files not counted.")
    multipart_field_bytes: Bytes = Field(
        128 * 1024,
        description="Bytes of one field of a multipart body: a prompt of 32000 characters has up to 128000.",
    )
    body_bytes_per_second: Whole = Field(
        5 * 1024, description="A body that arrives more slowly, over body_idle_seconds, is given up; 0 = never."
    )
    body_idle_seconds: Seconds = Field(15, description="Silence in the middle of a body.")
    body_seconds: Seconds = Field(120, description="From the end of the headers to the end of the body.")

    # sending an answer
    answer_bytes_per_second: Whole = Field(
        1024,
        description="A client that takes an answer more slowly, over answer_idle_seconds, is cut off; 0 = only one "
        "that takes nothing.",
    )
    answer_idle_seconds: Seconds = Field(60, description="How long a client may take nothing of what waits for it.")

    # connections and queues
    connections: Count = Field(2000, description="Open connections in all.")
    connections_per_address: Count = Field(
        64, description="Open connections of one address; loopback and server.trusted_proxies are not counted."
    )
    keep_alive_seconds: Seconds = Field(75, description="How long an idle connection is kept open.")
    queue_length: Count = Field(200, description="Submissions that may wait for one provider.")
    queue_wait_seconds: Seconds | None = Field(
        None, description="How long a request may wait for its provider; null = until its deadline."
    )
    in_flight_picture_bytes: Bytes = Field(
        256 * MIB, description="Bytes of pictures in memory from which on new work waits, and is refused."
    )
    auth_failures_per_minute: Count = Field(
        20, description="Wrong keys from one address before it is refused; keys that were right from there go on."
    )
    auth_failures_per_minute_total: Count = Field(200, description="Wrong keys in all before they are slowed down.")

    # pictures that come in
    picture_bytes: Bytes = Field(50 * MIB, description="Bytes of one input picture.")
    picture_count: Count = Field(16, description="Input pictures of one request, the mask not counted.")
    picture_megapixels: Positive = Field(33.554432, description="Millions of pixels of one input picture.")
    picture_side: Count = Field(16384, description="Pixels of an input picture's longer side.")
    picture_ratio: Count = Field(50, description="An input picture's longer side over its shorter.")
    picture_frames: Count = Field(64, description="Frames of an input picture, of which the first is used.")

    # pictures that go out
    output_megapixels: Positive = Field(40, description="Megapixels of one picture that can be asked for by size.")
    reply_bytes: Bytes = Field(256 * MIB, description="Bytes of one answer of a provider.")
    result_bytes: Bytes = Field(100 * MIB, description="Bytes of one picture that a provider makes.")

    # decoding and encoding
    codec_processes: Count = Field(2, description="Processes that decode and encode pictures.")
    codec_memory_bytes: Bytes = Field(1536 * MIB, description="Memory of one such process.")
    codec_seconds: Seconds = Field(20, description="Processor time for one picture.")
    codec_queue: Count = Field(32, description="Pictures that may wait for a process.")

    # providers
    connect_seconds: Seconds = Field(5, description="To connect to a provider, TLS included.")
    pool_seconds: Seconds = Field(5, description="To get a free connection to a provider.")
    write_seconds: Seconds = Field(30, description="Silence while a request is sent to a provider.")
    read_seconds: Seconds = Field(
        300, description="For the answer of a provider, or route, that names no timeout_seconds of its own."
    )
    retries: Whole = Field(
        2,
        description="Repeats at the same provider of what it certainly did not begin; one more where it is busy and "
        "does not say for how long; 0 = no repeats of any kind.",
    )
    retry_first_seconds: Seconds = Field(
        0.2, description="Most that is waited before the first repeat, drawn anew each time; the next twice as long."
    )
    retry_most_seconds: Seconds = Field(5, description="Longest wait before a repeat.")
    retry_after_seconds: Seconds = Field(20, description="Longest wait that a provider may ask for by Retry-After.")
    retry_budget_percent: Percent = Field(
        10, description="Repeats as a share of the submissions in progress at a provider."
    )
    retry_budget_least: Whole = Field(2, description="Repeats at once that are allowed whatever the share.")
    breaker_failures: Count = Field(5, description="Failures in a row that open the circuit of a provider's model.")
    breaker_percent: Percent = Field(50, description="Share of failures that opens a circuit.")
    breaker_calls: Count = Field(20, description="Calls within the window before that share counts.")
    breaker_window_seconds: Seconds = Field(60, description="The window in which that share is taken.")
    breaker_open_seconds: Seconds = Field(
        30, description="How long a circuit stays open the first time; in a row, each time so much longer."
    )
    breaker_open_most_seconds: Seconds = Field(300, description="Longest time that a circuit stays open.")
    poll_late_seconds: Seconds = Field(60, description="After it, polls of one job are further apart.")
    poll_late_factor: Factor = Field(2, description="How much further apart they are then.")
    settle_seconds: Seconds = Field(1800, description="How long an unfinished job is followed without a client.")
    job_seconds: Seconds = Field(86_400, description="Age at which an unfinished job is given up as unknown.")

    # fetching what others name
    fetch_seconds: Seconds = Field(20, description="To fetch one input picture by its URL.")
    result_seconds: Seconds = Field(120, description="To fetch one picture from where a provider put it.")
    fetch_redirects: Whole = Field(3, description="Redirects that are followed.")
    fetch_dns_seconds: Seconds = Field(3, description="To resolve a URL's host.")
    fetch_connect_seconds: Seconds = Field(
        3, description="To resolve and connect to a host; no failure of an input picture's URL is told sooner."
    )
    fetch_bytes_per_second: Whole = Field(10 * 1024, description="A download that is slower is given up; 0 = never.")

    # what is kept
    disk_bytes: Bytes = Field(20 * 1024 * MIB, description="Disk for hosted pictures; the oldest go first.")
    disk_floor_bytes: Bytes = Field(512 * MIB, description="Free disk below which no new picture is begun.")
    undelivered_seconds: Seconds = Field(86_400, description="How long a result is kept that nobody collected.")
    idempotency_seconds: Seconds = Field(86_400, description="How long an Idempotency-Key is remembered.")
    idempotency_records: Count = Field(100_000, description="Idempotency-Keys remembered for one key.")
    ledger_days: Count = Field(400, description="How long the record of what was bought is kept.")

    # stopping
    drain_unready_seconds: Seconds = Field(5, description="From being told to stop to closing the door.")
    drain_seconds: Seconds = Field(600, description="How long requests in progress may take to end.")

    @property
    def picture_pixels(self) -> int:
        # As cameras count: a million pixels. What is made is counted as the field's tiers are.
        return round(self.picture_megapixels * 1_000_000)

    @property
    def output_pixels(self) -> int:
        return int(self.output_megapixels * MEGAPIXEL)


NOT_YET = frozenset(
    {
        "codec_queue",
        "pool_seconds",
    }
)
"""Limits that nothing enforces yet in this version; a file that sets one is told so."""
