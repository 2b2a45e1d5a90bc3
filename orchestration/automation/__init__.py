"""What happens without anyone watching: one module per concept. What runs when: docs/AUTOMATION.md."""

from __future__ import annotations

import dagster as dg

from orchestration.automation.alerts import failure_alerts
from orchestration.automation.drift import WATCHES, drift_looks, drift_retrain
from orchestration.automation.fleet import fleet_update
from orchestration.automation.freshness import with_freshness
from orchestration.automation.schedules import weekly_retrain
from orchestration.automation.symbols import new_symbols, price_changes
from orchestration.automation.verdicts import option_network, verdict_follows
from orchestration.settings import Settings

__all__ = ["build_schedules", "build_sensors", "fleet_update", "with_freshness"]


def build_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """Build every sensor, switched on or off as the settings say."""
    status = dg.DefaultSensorStatus.RUNNING if settings.sensors else dg.DefaultSensorStatus.STOPPED
    return [
        build(status)
        for build in (
            new_symbols,
            price_changes,
            option_network,
            verdict_follows,
            drift_retrain,
            failure_alerts,
        )
    ] + [drift_looks(watch, status) for watch in WATCHES]


def build_schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """Build every schedule."""
    return [weekly_retrain(settings)]
