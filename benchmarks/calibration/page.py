"""The page: tables from the fleets, targets met or missed, and what the figures say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from scipy.stats import kstest

from benchmarks.calibration.fleets import NAIVE, RULES, Fleet, Score, Tally
from benchmarks.calibration.intervals import clopper_pearson, shown_mean, shown_share
from benchmarks.calibration.trained import PARTS, WALK, Cell, Results
from benchmarks.machine import described

__all__ = ["Calibration", "page"]

IN_FORCE, LIFTED, PLAIN = RULES
MODELS = ("model", "logistic", "ar1", "persistence", "boosting")


@dataclass(frozen=True)
class Calibration:
    """All that was drawn and trained, and what a fleet is made of."""

    results: Results
    edges: Sequence[Cell]
    symbols: int
    with_edge: int

    def walks(self, *parts: str) -> list[Fleet]:
        """Trained fleets without any skill."""
        controls = self.results.controls
        return [
            Fleet([s[part] for s in scores], controls=controls)
            for part in parts
            for scores in self.results.of(WALK)
        ]

    def planted(self, cell: Cell, *parts: str) -> list[Fleet]:
        """Trained fleets with an edge; the walks beside them are those of the fleets without."""
        walks, beside = self.results.of(WALK), self.symbols - self.with_edge
        return [
            Fleet(
                [s[part] for s in walks[i % len(walks)][:beside]],
                [s[part] for s in scores],
                self.results.controls,
            )
            for part in parts
            for i, scores in enumerate(self.results.of(cell) if walks else [])
        ]


def page(found: Calibration) -> str:
    """Write the page."""
    results = found.results
    lines = [
        "# Promotion: what the rule does to luck and to skill",
        "",
        f"Written by `make calibrate` on {datetime.now(UTC).date()}; do not edit. {described()} "
        f"Trained for {results.cpu_seconds / 60:.0f} CPU minutes.",
        "",
        f"A fleet has {found.symbols} symbols. The rule is the product's own (`forecasts.direction.decide`), "
        "with the two controls beside every fleet. *Drawn* forecasts are right with a given probability "
        "and need no training: they show the statistical rule alone. *Trained* ones come from the real "
        "path: simulated prices, sequences, folds, base model, a Mamba per symbol and fold, score. "
        "Brackets hold 95 % intervals: Clopper-Pearson, for means over fleets by bootstrap.",
        "",
        *_no_skill(found),
        *_drawn_power(found),
        *_trained_power(found),
        *_weak_edge(found),
    ]
    return "\n".join(lines) + "\n"


def _no_skill(found: Calibration) -> Iterator[str]:
    yield "## No skill: is anything promoted out of 50 random walks?"
    yield ""
    yield f"| forecasts | sealed days | fleets | {IN_FORCE} | {' | '.join(NAIVE)} |"
    yield f"|---|---|---|---|{'---|' * len(NAIVE)}"
    halves, both = found.walks(*PARTS[:2]), found.walks(PARTS[2])
    rows = [("drawn", days, found.results.drawn["walks", 0.5, days]) for days in (500, 1000)]
    rows += [("trained", 500, Tally.of(halves)), ("trained", 1000, Tally.of(both))]
    for forecasts, days, tally in rows:
        counts = [tally.with_false(IN_FORCE), *map(sum, tally.naive.values())]
        cells = " | ".join(shown_share(count, tally.fleets) for count in counts)
        yield f"| {forecasts} | {days} | {tally.fleets} | {cells} |"
    yield ""
    yield from _p_values("500", [s for fleet in halves for s in fleet.walks])
    yield from _p_values("1,000", [s for fleet in both for s in fleet.walks])
    yield "| target | measured | |"
    yield "|---|---|---|"
    for _, days, tally in rows[:2]:
        hits, fleets = tally.with_false(IN_FORCE), tally.fleets
        whole = clopper_pearson(hits, fleets)[1] <= 0.05
        state = "met, whole interval" if whole else _state(hits / fleets <= 0.05)
        yield (
            f"| any promotion out of 50 walks, drawn, {days} days <= 5 % | {shown_share(hits, fleets)} | "
            f"{state} |"
        )
    yield ""


def _p_values(days: str, scores: Sequence[Score]) -> Iterator[str]:
    """Few fleets can be trained; their symbols say more: are the p-values of walks as uniform as promised?"""
    if not scores:
        return
    p = np.array([score.p_value for score in scores])
    shares = ", ".join(
        f"at or below {level:g}: {shown_share(int(np.sum(p <= level)), p.size)}"
        for level in (0.05, 0.01, 0.001)
    )
    ks = kstest(p, "uniform").pvalue
    yield (
        f"The {p.size:,} p-values of trained walks on {days} days: {shares}; Kolmogorov-Smirnov test of "
        f"uniformity p = {ks:.2f}. Any promotion out of 50 needs one of about 0.001."
    )
    yield ""


def _power(tally: Tally) -> str:
    """Power by rule with the share quarantined, and realized false discovery rate by rule, as cells."""
    promoted = [shown_share(tally.promoted(name), tally.edges(name)) for name in RULES]
    quarantined = sum(f.edges_quarantined for f in tally.found[IN_FORCE])
    false = [shown_mean([f.false_share for f in tally.found[name]]) for name in (IN_FORCE, LIFTED)]
    held = shown_share(quarantined, tally.edges(IN_FORCE))
    return " | ".join([promoted[0], held, *promoted[1:], *false])


_COLUMNS = (
    f"promoted, {IN_FORCE} | quarantined by it | promoted, {LIFTED} | promoted, {PLAIN} | false discoveries, "
    f"{IN_FORCE} | false discoveries, {LIFTED} |"
)


def _drawn_power(found: Calibration) -> Iterator[str]:
    yield "## Skill, drawn: a forecaster of exactly this accuracy"
    yield ""
    yield (
        f"{found.with_edge} of {found.symbols} symbols have one. No baseline knows anything, so the margin "
        "of one point costs what noise in the best of five costs."
    )
    yield ""
    yield f"| accuracy | sealed days | fleets | {_COLUMNS}"
    yield "|---|---|---|---|---|---|---|---|---|"
    for accuracy in (0.60, 0.55):
        for days in (500, 1000):
            tally = found.results.drawn["10 of 50", accuracy, days]
            yield f"| {accuracy:.0%} | {days} | {tally.fleets} | {_power(tally)} |"
    tally = found.results.drawn["10 of 50", 0.60, 500]
    yield ""
    yield "| target | measured | |"
    yield "|---|---|---|"
    for name in RULES:
        power = tally.promoted(name) / tally.edges(name)
        yield f"| power, 60 % edge, 500 days >= 80 %, {name} | {100 * power:.1f} % | {_state(power >= 0.8)} |"
    yield ""
    yield (
        "A forecaster of exactly 60 % comes out above 60 % in about every second sample, and what is "
        "above goes into quarantine: on real daily prices the rule takes it for a leak. So the rule in "
        "force cannot promote most of such symbols *by intention*; a person looks at them. The figure of "
        "the statistical rule is the one without quarantine, as it holds for the planted control. "
        "Quarantine takes true discoveries off the list and hardly a false one: the share of false ones "
        "among the rest can then exceed the 5 % that Benjamini-Hochberg promises for the whole list."
    )
    yield ""


def _trained_power(found: Calibration) -> Iterator[str]:
    yield "## Skill, trained: a market with this best accuracy"
    yield ""
    yield (
        "Some 1,100 training rows before the first fold, 1,500 before the second; the base model learns from "
        "all 50. `ar1` is a linear market, `hidden_markov` nearly one; in `product` the sign of the "
        "product of the last two returns decides, which no linear model sees."
    )
    yield ""
    yield f"| market | sealed days | edge symbols | {_COLUMNS}"
    yield "|---|---|---|---|---|---|---|---|---|"
    for cell in found.edges:
        for days, parts in (("500", PARTS[:2]), ("1000", PARTS[2:])):
            fleets = found.planted(cell, *parts)
            if fleets:
                symbols = sum(len(fleet.edges) for fleet in fleets)
                yield f"| {cell.name} | {days} | {symbols} | {_power(Tally.of(fleets))} |"
    yield ""
    yield "| target | measured | |"
    yield "|---|---|---|"
    for cell in found.edges:
        tally = Tally.of(found.planted(cell, *PARTS[:2]))
        for name in (LIFTED, PLAIN) if cell.best == 0.60 and tally.fleets else ():
            power = tally.promoted(name) / tally.edges(name)
            share = f"{100 * power:.0f} % | {_state(power >= 0.8)}"
            yield f"| power, {cell.name}, 500 days >= 80 %, {name} | {share} |"
    yield ""
    yield "Who else has the edge: mean accuracy on the 1,000 days of the same symbols, in per cent."
    yield ""
    yield f"| market | {' | '.join(MODELS)} | a linear baseline has it |"
    yield f"|---|{'---|' * len(MODELS)}---|"
    for cell in found.edges:
        scores = [s for fleet in found.planted(cell, PARTS[2]) for s in fleet.edges]
        if scores:
            means = [np.mean([s.accuracy for s in scores])]
            means += [np.mean([s.baselines[name] for s in scores]) for name in MODELS[1:]]
            linear = max(means[1:3]) - 0.5 > 0.5 * (cell.best - 0.5)
            cells = " | ".join(f"{100 * mean:.1f}" for mean in means)
            yield f"| {cell.name} | {cells} | {'yes' if linear else 'no'} |"
    yield ""
    yield (
        "Where a linear baseline has the edge, too, a model that only matches it is not one point better "
        "and is rightly not promoted: the column without margin shows that its edge was found, the one "
        "with margin that the rule asks for more. Said of the linear baselines: more than half of the "
        "possible edge."
    )
    yield ""


def _weak_edge(found: Calibration) -> Iterator[str]:
    yield "## A weak edge, drawn: how many days does 52 % need?"
    yield ""
    yield f"| in a fleet | sealed days | symbols with the edge | promoted, {IN_FORCE} | promoted, {PLAIN} |"
    yield "|---|---|---|---|---|"
    for (kind, accuracy, days), tally in found.results.drawn.items():
        if accuracy == 0.52:
            number = tally.edges(PLAIN)
            cells = " | ".join(shown_share(tally.promoted(name), number) for name in (IN_FORCE, PLAIN))
            yield f"| {kind} | {days:,} | {number:,} | {cells} |"
    alone = found.results.drawn["one alone", 0.52, 3945]
    power = alone.promoted(PLAIN) / alone.edges(PLAIN)
    yield ""
    yield (
        f"3,945 days, some 16 years, show a 52 % edge with a power of {100 * power:.0f} % where one symbol"
        " is tested alone at 5 % and no margin is asked for. In a fleet, with the correction for 50 attempts "
        "and the margin of one point over the best baseline, it takes more; the table says how much is found."
    )


def _state(met: bool) -> str:
    return "met" if met else "MISSED"
