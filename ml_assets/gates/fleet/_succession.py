"""Who may serve, whatever is forecast: the part of the gates on succession that all targets share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ml_assets.forecasts.direction import Champion
from ml_assets.gates._verdict import Tally, require, verdict
from ml_assets.gates.core import GateResult

__all__ = ["Contest", "sound_succession"]


@dataclass(frozen=True)
class Contest:
    """What was judged in one place.

    ``stands_for`` are the versions of its weights and report, None without a certified one; ``lead`` is by
    how much it did better than the champion on the days of both, in whatever unit; ``told`` says so. It is
    not ``askable`` where the champion that was ``met`` could not be asked: it reads what there is no more.
    """

    verdict: str | None
    stands_for: tuple[str, str] | None
    met: str | None = None
    lead: float = 0.0
    told: str = "no day in common"
    askable: bool = True


def sound_succession(
    contests: Mapping[str, Contest],
    champions: Mapping[str, Champion],
    before: Mapping[str, Champion],
    *,
    void: bool = False,
) -> GateResult:
    """Whoever serves either served before, or passed now; who replaced a champion did better than it.

    A champion that cannot be asked any more must be gone, and who passed now must have its place.

    Parameters
    ----------
    contests
        What was judged, by place: a symbol, or a symbol and a horizon.
    champions, before
        Who serves from now on, and who did until now, by place.
    void
        Whether the run's controls failed: then all champions stay.
    """

    def inspect(tally: Tally) -> str:
        tally.checked = len(champions) + len(before) + 1
        for place, old in before.items():
            if not void and _beyond_asking(contests.get(place), old):
                due = contests[place].stands_for if contests[place].verdict == "PROMOTE" else None
                require(
                    _versions(champions.get(place)) == due,
                    f"{place}: {old.weights_sha256[:12]} cannot be asked any more, the verdict was "
                    f"{contests[place].verdict}, but {str(_versions(champions.get(place)))[:80]} serves",
                )
        for place, champion in champions.items():
            contest, served = contests.get(place, Contest(None, None)), before.get(place)
            require(contest.verdict != "QUARANTINE", f"{place}: serves although it is in quarantine")
            if served is not None and champion == served:
                continue
            require(
                contest.verdict == "PROMOTE"
                and contest.stands_for == (champion.weights_sha256, champion.report_sha256),
                f"{place}: {champion.weights_sha256[:12]} serves, but the verdict was {contest.verdict} on "
                f"{str(contest.stands_for)[:80]}",
            )
            if served is not None and served.weights_sha256 != champion.weights_sha256:
                require(
                    contest.met == served.weights_sha256,
                    f"{place}: replaced {served.weights_sha256[:12]}, but was compared with {contest.met}",
                )
                require(
                    contest.lead > 0 or _beyond_asking(contest, served),
                    f"{place}: replaced its champion, {contest.told}",
                )
        gone = ", ".join(sorted(set(before) - set(champions))) or "none"
        return f"{len(champions)} in service, {len(before)} before; retired: {gone}"

    return verdict("succession_sound", inspect)


def _beyond_asking(contest: Contest | None, champion: Champion) -> bool:
    """A certified report says that it met this very champion, and that it could not be asked."""
    return (
        contest is not None
        and contest.stands_for is not None
        and contest.met == champion.weights_sha256
        and not contest.askable
    )


def _versions(champion: Champion | None) -> tuple[str, str] | None:
    return None if champion is None else (champion.weights_sha256, champion.report_sha256)
