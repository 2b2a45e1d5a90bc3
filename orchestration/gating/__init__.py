"""The guard: nothing is published before its gates have passed, nothing is read without a certificate."""

from orchestration.gating.asset import collect_gates, gated_asset, verified
from orchestration.gating.values import Candidate, Certified, Refusal, Staged

__all__ = ["Candidate", "Certified", "Refusal", "Staged", "collect_gates", "gated_asset", "verified"]
