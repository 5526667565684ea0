"""Alerts and the dashboard: they ask for metrics and labels that exist, and for nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.app import ROUTES
from gateway.telemetry.families import BY_NAME
from tests.deploy.deployed import DEPLOY, document

METRICS: dict[str, frozenset[str]] = {
    "imagegate_requests_total": frozenset({"endpoint", "model", "status"}),
    "imagegate_request_seconds": frozenset({"endpoint", "model"}),
    "imagegate_upstream_calls_total": frozenset({"provider", "model", "outcome"}),
    "imagegate_upstream_seconds": frozenset({"provider", "model"}),
    "imagegate_images_total": frozenset({"provider", "model", "format"}),
    "imagegate_convert_seconds": frozenset({"from", "to"}),
    "imagegate_in_flight": frozenset({"provider"}),
    "imagegate_queue_depth": frozenset({"provider"}),
    "imagegate_circuit_state": frozenset({"provider", "model"}),
    "imagegate_cost_usd_total": frozenset({"provider", "model", "key"}),
    "imagegate_degraded_total": frozenset({"parameter", "behavior"}),
    "imagegate_build_info": frozenset(),
}
"""Every metric that operators are promised, with its labels."""
HISTOGRAMS = ("imagegate_request_seconds", "imagegate_upstream_seconds", "imagegate_convert_seconds")
TARGET = frozenset({"instance", "job"})
"""Labels that Prometheus itself gives."""

_SELECTED = re.compile(r"\b(imagegate_\w+)(?:\{([^}]*)\})?")
_GROUPED = re.compile(r"\bby \(([^)]*)\)")

RULES = document("prometheus-rules.yaml")["groups"][0]["rules"]
DASHBOARD = json.loads((DEPLOY / "grafana-dashboard.json").read_text(encoding="utf-8"))


def expressions() -> Iterator[tuple[str, str]]:
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def family(sample: str) -> str:
    """The metric that a sample belongs to: `_bucket`, `_sum` and `_count` are a histogram's."""
    stem = re.sub(r"_(bucket|sum|count)$", "", sample)
    return stem if stem in HISTOGRAMS else sample


def test_every_metric_that_is_promised_is_kept_with_its_labels() -> None:
    for name, labels in METRICS.items():
        assert labels <= set(BY_NAME[name].labels), name
        assert (BY_NAME[name].kind == "histogram") is (name in HISTOGRAMS), name


@pytest.mark.parametrize(("where", "asked"), list(expressions()))
def test_every_metric_that_is_asked_for_exists_with_the_labels_that_are_named(where: str, asked: str) -> None:
    found = _SELECTED.findall(asked)
    assert found or asked.startswith("up{"), where
    allowed = set(TARGET)
    for sample, selector in found:
        assert family(sample) in METRICS, where
        assert sample not in HISTOGRAMS, f"{where}: a histogram is asked for by _bucket, _sum or _count"
        labels = METRICS[family(sample)] | TARGET | ({"le"} if sample.endswith("_bucket") else set())
        assert set(re.findall(r"(\w+)\s*[=!]~?", selector)) <= labels, where
        allowed |= labels
    for group in _GROUPED.findall(asked):
        assert {label.strip() for label in group.split(",")} <= allowed, where


@pytest.mark.parametrize(("where", "asked"), [each for each in expressions() if "imagegate_request" in each[1]])
def test_looks_at_health_do_not_count_as_requests(where: str, asked: str) -> None:
    found = re.findall(r"imagegate_request\w+{([^}]*)}", asked)
    assert len(found) == asked.count("imagegate_request"), where
    for selector in found:
        endpoint = re.search(r'endpoint=~"([^"]*)"', selector)
        assert endpoint, where
        chosen = {route.template for route in ROUTES if re.fullmatch(endpoint[1], route.template)}
        posts = (route for route in ROUTES if route.authority == "key" and "POST" in (route.methods or ()))
        assert chosen == {route.template for route in posts}, where


@pytest.mark.parametrize(("where", "asked"), list(expressions()))
def test_brackets_close(where: str, asked: str) -> None:
    for opening, closing in ("()", "{}", "[]"):
        assert asked.count(opening) == asked.count(closing), where


def test_the_dashboard_shows_every_metric_and_no_counter_as_it_stands() -> None:
    shown = " ".join(target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"])
    assert {family(sample) for sample, _ in _SELECTED.findall(shown)} == set(METRICS)
    for where, asked in expressions():
        for counter in re.findall(r"imagegate_\w+_total(?:\{[^}]*\})?(.?)", asked):
            assert counter == "[", where


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names)
    for rule in RULES:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]


def test_what_an_alert_tells_is_left_over_by_its_expression() -> None:
    for rule in RULES:
        told = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
        kept = {label.strip() for group in _GROUPED.findall(rule["expr"]) for label in group.split(",")}
        assert told <= kept | TARGET, rule["alert"]


def test_panels_do_not_lie_on_each_other_and_take_their_source_from_the_variable() -> None:
    taken: set[tuple[int, int]] = set()
    panels: list[dict[str, Any]] = DASHBOARD["panels"]
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        assert panel["datasource"]["uid"] == "${datasource}"
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {variable["name"] for variable in DASHBOARD["templating"]["list"]} == {"datasource", "instance"}
