"""Which symbols teach the base model, and that no more of them are read than that."""

from collections import UserDict
from types import SimpleNamespace

from orchestration.assets.base import _read_members
from orchestration.gating import Certified, Refusal
from tests.unit.mamba.sample import sequences


class Fleet(UserDict):
    """A fan-in that notes what is read."""

    def __init__(self, names, refused=()):
        super().__init__(dict.fromkeys(names))
        self.refused, self.read = refused, []

    def __getitem__(self, name):
        self.read.append(name)
        if name in self.refused:
            return Refusal(name, "gate causal failed")
        return Certified(sequences(), SimpleNamespace(partition=name))


NAMES = [f"S{i}" for i in range(40)]


def members(fleet, most):
    return [one.certificate.partition for one in _read_members(fleet, most)[0]]


def test_a_small_fleet_is_read_whole_and_a_large_one_up_to_the_limit():
    assert members(Fleet(NAMES), 64) == sorted(NAMES)
    fleet = Fleet(NAMES)
    assert len(members(fleet, 5)) == len(fleet.read) == 5


def test_the_choice_follows_from_the_names_alone_and_goes_on_behind_a_refusal():
    chosen = members(Fleet(NAMES), 5)
    assert chosen == members(Fleet(NAMES[::-1]), 5) != NAMES[:5]
    read, left_out = _read_members(Fleet(NAMES, refused=chosen[:2]), 5)
    assert left_out == dict.fromkeys(chosen[:2], "gate causal failed")
    assert {one.certificate.partition for one in read} > set(chosen[2:])


def test_controls_teach_nobody():
    assert members(Fleet(["A", "CONTROL-EDGE", "CONTROL-WALK"]), 64) == ["A"]
