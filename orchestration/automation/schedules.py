"""What happens by the clock."""

import dagster as dg

from orchestration.automation.fleet import request_update
from orchestration.settings import Settings

__all__ = ["weekly_retrain"]


def weekly_retrain(settings: Settings) -> dg.ScheduleDefinition:
    """Retrain the whole fleet: one run, in which everything is done in order."""

    @dg.schedule(
        name="weekly_retrain",
        job_name="fleet_update",
        cron_schedule=settings.retrain_cron,
        execution_timezone=settings.retrain_timezone,
        default_status=(
            dg.DefaultScheduleStatus.RUNNING if settings.weekly_retrain else dg.DefaultScheduleStatus.STOPPED
        ),
        description="Retrains the whole fleet in order: data, base model, models, verdict, release.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        moment = context.scheduled_execution_time.isoformat()
        return request_update([], f"weekly retrain of {moment}", renew_base=True, run_key=moment)

    return schedule
