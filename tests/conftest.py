"""What every test shares: the event loop, the programs that some tests need, and CI's rule that no test is left out."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from scripts.test_needs import how_to_get, missing
from tests.redis_server import RedisServer, redis_server

# The worker's tests need torch, and run in an environment of their own: make test-worker.
collect_ignore = [] if os.environ.get("IMAGEGATE_WORKER_TESTS") == "1" else ["worker"]

# The same examples at each run, and no verdict on how fast the machine is.
settings.register_profile("house", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", deadline=None, max_examples=2000)  # pytest --hypothesis-profile=search
settings.load_profile("house")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """A server that the tests of this process share, each under its own prefix; for those that need redis-server. It is
    never away: what a busy machine needs for an answer is no outage."""
    with redis_server(timeout=10.0) as server:
        yield server


def pytest_runtest_setup(item: pytest.Item) -> None:
    names = [name for marker in item.iter_markers("needs") for name in marker.args]
    absent = missing(names)
    if absent:
        pytest.skip("; ".join(how_to_get(name) for name in absent))


def in_ci() -> bool:
    return os.environ.get("CI") == "true"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a test that was not run is a failure, unless it would have spent money."""
    report = yield
    expected = hasattr(report, "wasxfail") or item.get_closest_marker("live") is not None
    if in_ci() and report.skipped and not expected:
        report.outcome = "failed"
        report.longrepr = f"not run, which in CI is a failure: {reason(report.longrepr)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole file that skips itself."""
    report = yield
    if in_ci() and report.outcome == "skipped":
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} not run, which in CI is a failure: {reason(report.longrepr)}"
    return report


def reason(longrepr: object) -> str:
    said = str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)
    return said.removeprefix("Skipped: ")
