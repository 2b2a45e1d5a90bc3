"""The page that holds each requirement of the project against the evidence that a store has of it.

Every figure on it is read from the certificates of the current versions. What no run can show is left to a
test, which is named; whether that test passes, the page does not say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ml_assets.forecasts.verdicts import Promotion
from ml_assets.storage import ArtifactStore, Certificate, NotCertified

__all__ = ["REQUIREMENTS", "Requirement", "completion_pages"]

_PAGE = "COMPLETION_REPORT.md"
_PER_SYMBOL = ("split_sequences", "augmented_training_set", "mamba_weights", "walk_forward_report")


@dataclass(frozen=True)
class Requirement:
    """One requirement; `gates`, by asset, show it in a store, `tests` anywhere."""

    name: str
    text: str
    tests: tuple[str, ...]
    gates: Mapping[str, str] = field(default_factory=dict)


REQUIREMENTS = (
    Requirement(
        "R1 leakage",
        "Split first, then augment; what reaches into a later part is purged; each augmented row has a "
        "training row as its parent.",
        (
            "tests/acceptance/test_leakage.py::test_augmentation_after_split",
            "tests/acceptance/test_leakage.py::test_no_data_leakage_in_validation",
        ),
        {
            "split_sequences": "ledger non_interference",
            "augmented_training_set": "ledger non_interference",
            "mamba_base_weights": "calendar_boundary pooled_non_interference",
            "mamba_weights": "training_rows_only base_before_validation",
        },
    ),
    Requirement(
        "R2 look-ahead",
        "A feature row is computed from the prices up to its day.",
        ("tests/acceptance/test_leakage.py::test_no_future_data_in_features",),
        {"split_sequences": "causal oracle scale"},
    ),
    Requirement(
        "R3 files",
        "Locks, atomic writes, kept versions; parallel trainings and kills damage nothing.",
        (
            "tests/acceptance/test_parallel_training.py::test_parallel_training_no_corruption",
            "tests/faults/test_kill_publisher.py::test_kill_at_random_moments_leaves_a_complete_version",
            "tests/faults/test_full_disk.py::test_full_disk_keeps_the_old_file_and_says_what_is_missing",
        ),
    ),
    Requirement(
        "R4 option network",
        "Trained by physics alone; parity, residual and Greeks far inside the floors below.",
        (
            "tests/acceptance/test_pinn.py::test_pinn_call_put_parity",
            "tests/acceptance/test_pinn.py::test_pinn_greeks_accuracy",
        ),
        {"pinn_weights": "pinn_parity pinn_residual pinn_price pinn_greeks pinn_no_arbitrage"},
    ),
    Requirement(
        "R5 option serving",
        "Latency, throughput and memory of a fresh process.",
        ("tests/acceptance/test_pinn.py::test_pinn_latency_under_1s",),
        {"latency_benchmark": "sla measured_version"},
    ),
    Requirement(
        "R6 training errors",
        "Out of memory, NaN, signals and a full disk lose nothing that was complete.",
        (
            "tests/acceptance/test_training_errors.py::test_gpu_oom_recovery",
            "tests/acceptance/test_training_errors.py::test_nan_loss_handling",
            "tests/faults/test_training_faults.py::"
            "test_disturbed_at_random_moments_it_ends_bit_for_bit_as_if_undisturbed",
        ),
    ),
    Requirement(
        "R7 model",
        "Built by `build`, without a Keras warning; weights and configuration round-trip exactly.",
        ("tests/acceptance/test_mamba.py::test_mamba_model_build_proper",),
        {"mamba_weights": "finite_and_complete reload learned"},
    ),
    Requirement(
        "R8 retraining",
        "Walk-forward performance beside honest baselines; a verdict for every symbol that was tried.",
        ("tests/integration/test_pipeline.py::test_planted_edge_is_promoted_and_the_random_walk_is_not",),
        {
            "walk_forward_report": "folds_sealed every_test_day_scored figures_recomputed "
            "predictions_reproduced attempts_counted",
            "promotion": "every_symbol_judged rule_applied controls_decide succession_sound",
        },
    ),
    Requirement(
        "R9 orchestration",
        "Checks are gates by every path; schedules and sensors retrain.",
        (
            "tests/integration/test_bypass.py::test_our_layers_close_it",
            "tests/integration/test_automation.py::test_a_new_file_leads_to_partition_artifacts_verdict_and_release",
            "tests/integration/test_graph_rules.py::test_the_workspace_validates",
        ),
        {"promotion": "succession_sound", "walk_forward_report": "one_lineage"},
    ),
    Requirement(
        "R10 reports",
        "Generated from the run that they describe.",
        ("tests/unit/reports/test_completion.py::test_every_line_comes_from_the_store",),
        {"option_walk_forward": "figures_recomputed certified_versions"},
    ),
    Requirement(
        "R11 guides",
        "Each claim backed by a named test or a generated figure.",
        ("tests/unit/storage/test_guide.py::test_every_test_named_in_the_guide_exists",),
    ),
    Requirement(
        "R12 tests",
        "The acceptance tests by their names, coverage above 90 %: `make test`.",
        ("tests/unit/reports/test_completion.py::test_every_named_test_exists",),
    ),
)
"""The requirements in their order."""

_FLOORS = (
    ("parity error, of S", "pinn_weights", "parity_max", "<", 0.02),
    ("residual, RMS", "pinn_weights", "residual_rms", "<", 0.01),
    ("delta, largest relative error", "pinn_weights", "delta_pointwise", "<", 0.05),
    ("gamma, largest relative error", "pinn_weights", "gamma_pointwise", "<", 0.10),
    ("one quote, p95 [ms]", "latency_benchmark", "single_p95_ms", "<", 1000.0),
    ("cached quote, p95 [ms]", "latency_benchmark", "cached_p95_ms", "<", 500.0),
    ("options per second, batch of 64", "latency_benchmark", "batch_64_per_second", ">", 50.0),
    ("resident memory [MB]", "latency_benchmark", "resident_mb", "<", 200.0),
)
"""What is shown, of which asset, under which name, and the floor that the contract sets."""


def completion_pages(store: ArtifactStore, promotion: Promotion) -> dict[str, bytes]:
    """Build the page.

    Parameters
    ----------
    store : ArtifactStore
        Where the certificates of the current versions are read.
    promotion : Promotion
        The verdicts; they name the symbols that were tried.

    Returns
    -------
    dict of str to bytes
        Path under ``reports/`` to content.
    """
    symbols = [verdict.symbol for verdict in promotion.everyone]
    assets = sorted({asset for requirement in REQUIREMENTS for asset in requirement.gates})
    made = {asset: _current(store, asset, symbols) for asset in assets}
    lines = [
        "# What this run shows of each requirement",
        "",
        "Read from the certificates of the current versions when the release was made. A test named here "
        "shows what a run cannot; run them all by `make test`.",
        "",
        "| requirement | shown by gates of this store | shown by tests |",
        "|---|---|---|",
        *(_row(requirement, made) for requirement in REQUIREMENTS),
        "",
        *_floors(made),
        *_verdicts(promotion),
        "## Gates",
        "",
        "| asset | gate | passed, of those tried | comparisons |",
        "|---|---|---|---|",
        *_gates(made),
        "",
    ]
    return {_PAGE: "\n".join(lines).encode()}


_Made = Mapping[str, Mapping[str | None, Certificate | None]]


def _current(
    store: ArtifactStore, asset: str, symbols: Sequence[str]
) -> dict[str | None, Certificate | None]:
    """Certificate of the current version by partition; None where there is none that can be trusted."""
    found: dict[str | None, Certificate | None] = {}
    for partition in symbols if asset in _PER_SYMBOL else (None,):
        try:
            found[partition] = store.current(asset, partition)
        except NotCertified:
            found[partition] = None
    return found


def _row(requirement: Requirement, made: _Made) -> str:
    shown = []
    for asset, gates in requirement.gates.items():
        counts = [_passed(made[asset], gate) for gate in gates.split()]
        short = min(counts)
        shown.append(f"`{asset}`: {len(counts)} gates, {short} of {len(made[asset])} versions")
    tests = "<br>".join(f"`{test.removeprefix('tests/')}`" for test in requirement.tests)
    gates_shown = "<br>".join(shown) or "no run can show it"
    return f"| **{requirement.name}** {requirement.text} | {gates_shown} | {tests} |"


def _passed(versions: Mapping[str | None, Certificate | None], gate: str) -> int:
    return sum(any(g.gate == gate and g.passed for g in c.gates) for c in versions.values() if c)


def _floors(made: _Made) -> Iterator[str]:
    yield from ("## Figures against the floors of the contract", "")
    yield from ("| figure | this run | floor |", "|---|---|---|")
    for text, asset, name, sign, floor in _FLOORS:
        certificate = made[asset][None]
        figures = {k: v for g in certificate.gates for k, v in g.figures.items()} if certificate else {}
        found = figures.get(name)
        shown = f"{found:.3g}" if isinstance(found, int | float) else "none in this store"
        yield f"| {text} | {shown} | {sign} {floor:g} |"
    yield ""


def _verdicts(promotion: Promotion) -> Iterator[str]:
    counts = Counter(v.verdict for v in promotion.verdicts)
    said = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    serving = ", ".join(symbol for symbol, _ in promotion.promoted()) or "none: no model with skill"
    controls = "; ".join(f"{v.symbol} {v.verdict}" for v in promotion.controls)
    yield from ("## Verdicts", "", f"{len(promotion.verdicts)} symbols: {said}. In service: {serving}.")
    yield from (f"Controls: {controls}. {promotion.void or 'They came out as they must.'}", "")
    if without := sorted(v.symbol for v in promotion.verdicts if v.level is None):
        yield from (f"Without a certified report: {', '.join(without)}.", "")


def _gates(made: _Made) -> Iterator[str]:
    for asset, versions in made.items():
        names = sorted({g.gate for c in versions.values() if c for g in c.gates})
        if not names:
            yield f"| {asset} | none: no certified version | 0 of {len(versions)} | 0 |"
        for name in names:
            checked = sum(
                int(g.figures["checked"]) for c in versions.values() if c for g in c.gates if g.gate == name
            )
            yield f"| {asset} | {name} | {_passed(versions, name)} of {len(versions)} | {checked:,} |"
