"""An outcome drawn: four panels of one contender, or all contenders side by side."""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.bench.chart import Line, Mark, Panel, draw
from tidegate.lab.sim.outcome import Outcome
from tidegate.lab.sim.scenario import Scenario

__all__ = ["comparison", "marks_of", "portrait"]

SMALL = (330.0, 130.0)


def portrait(outcome: Outcome) -> str:
    """Goodput, refusals, queue delay and limit of one contender over time, as SVG."""
    seconds = outcome.seconds
    panels = [
        _goodput(outcome),
        Panel(
            "Sent away",
            "requests/s",
            [
                Line("refused", [one.refused for one in seconds], "orange"),
                Line("timed out", [one.timed_out for one in seconds], "purple"),
            ],
        ),
        _queue_delay(outcome),
        _limit(outcome),
    ]
    title = f"{outcome.scenario.title}: {outcome.contender}"
    return draw(title, outcome.scenario.lesson, panels, outcome.scenario.seconds, marks=marks_of(outcome.scenario))


def comparison(outcomes: Sequence[Outcome]) -> str:
    """One row a contender: goodput, queue delay and limit, on the same axes, as SVG.

    Args:
        outcomes: Of one scenario.
    """
    scenario = outcomes[0].scenario
    asked_for = 1.25 * max(one.demand for one in outcomes[0].seconds)
    # Without a limit, waiting and flights grow beyond what any scale of the others shows.
    limited = [outcome for outcome in outcomes if _is_limited(outcome)]
    delays = [outcome.queue_delay_ms(0, scenario.seconds, 0.99) for outcome in limited]
    flights = [max(max(one.limit, one.in_flight) for one in outcome.seconds) for outcome in limited]
    panels = [
        panel
        for outcome in outcomes
        for panel in (
            _goodput(outcome, asked_for, outcome.contender),
            _queue_delay(outcome, max(delays, default=None)),
            _limit(outcome, max(flights, default=None)),
        )
    ]
    return draw(
        scenario.title, scenario.lesson, panels, scenario.seconds, marks=marks_of(scenario), columns=3, size=SMALL
    )


def marks_of(scenario: Scenario) -> list[Mark]:
    """When what changes, in a few words."""
    marks = [Mark(change.at_s, f"{change.latency_ms:g} ms") for change in scenario.backend.changes]
    for stream in scenario.streams[:1]:
        factors = ((change.at_s, change.per_s / stream.per_s) for change in stream.changes)
        marks += [Mark(at_s, f"load x {factor:g}") for at_s, factor in factors]
    return marks


def _goodput(outcome: Outcome, most: float | None = None, name: str = "") -> Panel:
    seconds = outcome.seconds
    lines = [
        Line("asked for", [one.demand for one in seconds], "grey", is_dashed=True),
        Line("possible", [min(one.capacity, one.demand) for one in seconds], "green", is_dashed=True),
        Line("served", [one.served for one in seconds], "blue"),
    ]
    return Panel(f"{name}: goodput" if name else "Goodput", "requests/s", lines, most)


def _queue_delay(outcome: Outcome, most: float | None = None) -> Panel:
    lines = [Line("slowest tenth", [one.queue_delay_ms for one in outcome.seconds], "orange")]
    if any(one.target_ms for one in outcome.seconds):
        lines.append(Line("target", [one.target_ms for one in outcome.seconds], "grey", is_dashed=True))
    return Panel("Queue delay", "ms", lines, most)


def _limit(outcome: Outcome, most: float | None = None) -> Panel:
    lines = [Line("in flight", [one.in_flight for one in outcome.seconds], "purple")]
    if _is_limited(outcome):
        lines.append(Line("limit", [one.limit for one in outcome.seconds], "blue"))
    return Panel("Limit", "requests at once", lines, most)


def _is_limited(outcome: Outcome) -> bool:
    return all(one.limit < 100_000 for one in outcome.seconds)
