"""A failed run or gate reaches a person: as a line in the log, by webhook, by mail."""

import logging
import time
from collections.abc import Sequence

import dagster as dg

from orchestration.automation.channels import Alert, FailedGate, MailServer, post, send_mail
from orchestration.automation.fleet import CHILDREN
from orchestration.fleet.run import failure_text
from orchestration.partitions import PARTITION
from orchestration.settings import Settings

__all__ = ["alert_of", "deliver", "failure_alerts"]

ALERTED = "gated-mamba/alerted"
"""Tag: when the alert on this run was sent; set before it is, so that none is sent twice."""

_GATE = (
    "look at the refused candidate and at what the gate found, mend the cause, then materialize again; until "
    "then the last certified version stays in use"
)
_ERROR = "read the reason, mend it, then launch the run again; nothing that was certified is lost"

logger = logging.getLogger(__name__)


def failure_alerts(status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    """Send one alert per failed run, those of the command included."""

    @dg.run_failure_sensor(
        name="failure_alerts",
        minimum_interval_seconds=30,
        default_status=status,
        # Runs that the command or fleet_update make in their process carry no code location.
        monitor_all_code_locations=True,
        description="Tells of failed runs and gates: log, webhook, mail; once each.",
    )
    def sensor(context: dg.RunFailureSensorContext, settings: dg.ResourceParam[Settings]) -> None:
        run = context.instance.get_run_by_id(context.dagster_run.run_id)
        if run is None or ALERTED in run.tags:
            return
        alert = alert_of(context.instance, run)
        if alert is None:
            return
        context.instance.add_run_tags(run.run_id, {ALERTED: f"{time.time():.0f}"})
        for trouble in deliver(alert, settings):
            context.log.warning(trouble)
        context.log.error(alert.text)

    return sensor


def alert_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Alert | None:
    """Make the alert on a failed run; None if the runs that it made have been told of already."""
    wanted = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.ASSET_CHECK_EVALUATION}
    entries = instance.all_logs(run.run_id, of_type=wanted)
    events = [entry.dagster_event for entry in entries if entry.dagster_event is not None]
    steps = [event for event in events if event.is_step_failure]
    failure = steps[0].step_failure_data.user_failure_data if steps else None
    if failure is not None and CHILDREN in failure.metadata:
        return None
    refused = [
        event.asset_check_evaluation_data
        for event in events
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
        and not event.asset_check_evaluation_data.passed
    ]
    return Alert(
        run=run.run_id,
        job=run.job_name,
        asset=refused[0].asset_key.to_user_string() if refused else (steps[0].step_key if steps else None),
        symbol=run.tags.get(PARTITION),
        gates=tuple(_gate(evaluation) for evaluation in refused),
        error=None if refused else _error(steps),
        quarantine=next(
            (str(e.metadata["quarantine"].value) for e in refused if "quarantine" in e.metadata), None
        ),
        remedy=_GATE if refused else _ERROR,
    )


def deliver(alert: Alert, settings: Settings) -> list[str]:
    """Send by every way that is set up; return what went wrong, in words."""
    logger.error("%s", alert.text)
    troubles = []
    if settings.alert_webhook is not None:
        troubles.append(post(alert, settings.alert_webhook, timeout=settings.alert_timeout_seconds))
    if settings.alert_smtp is not None and settings.alert_mail_to is not None:
        host, _, port = settings.alert_smtp.rpartition(":")
        password = settings.alert_smtp_password
        server = MailServer(
            host, int(port), settings.alert_smtp_user, password.get_secret_value() if password else None
        )
        to = [address.strip() for address in settings.alert_mail_to.split(",") if address.strip()]
        troubles.append(
            send_mail(alert, server, settings.alert_mail_from, to, timeout=settings.alert_timeout_seconds)
        )
    return [f"alert on run {alert.run[:8]}: {trouble}" for trouble in troubles if trouble]


def _gate(evaluation: dg.AssetCheckEvaluation) -> FailedGate:
    checked = evaluation.metadata.get("checked")
    return FailedGate(
        evaluation.check_name,
        evaluation.description or "no reason given",
        int(checked.value) if checked is not None and isinstance(checked.value, int | float) else 0,
    )


def _error(steps: Sequence[dg.DagsterEvent]) -> str:
    if not steps:
        return "the run ended before its first step; see its log in the UI"
    return failure_text(steps[0])
