# SPDX-License-Identifier: Apache-2.0
from mcunas.space.evidence import shares, to_drop, upper_bound
from mcunas.space.evolution import Scored, evolve, rank

ALIVE = {"s0_0": ("a", "b", "c", "d", "e", "f"), "s0_1": ("a", "b")}


def _nets(counts: dict[str, int]) -> list[dict[str, str]]:
    return [{"s0_0": option, "s0_1": "a"} for option, n in counts.items() for _ in range(n)]


def test_only_what_is_surely_rare_goes_and_only_a_third_at_once() -> None:
    nets = _nets({"a": 30, "b": 18, "c": 10, "d": 2})
    assert shares(ALIVE, nets)["s0_0"]["a"] == 0.5
    assert to_drop(ALIVE, nets) == {"s0_0": ["e", "f"], "s0_1": []}         # d is rare, but two are a third
    assert to_drop(ALIVE, nets, ratio=0.5)["s0_0"] == ["e", "f"]            # and 2 of 60 are not surely rare
    assert to_drop(ALIVE, nets[:10])["s0_0"] == []                          # ten networks prove nothing
    assert to_drop(ALIVE, nets, least=6) == {"s0_0": [], "s0_1": []}
    assert upper_bound(0.0, 60) > 0


def test_evolution_finds_the_constrained_front_and_repeats_itself() -> None:
    slots = {f"s{i}_0": tuple("01234") for i in range(4)}

    def evaluate(choices: dict[str, str]) -> Scored:
        values = [int(v) for v in choices.values()]
        cost = sum(values)
        return Scored(dict(choices), (float(sum((4 - v) ** 2 for v in values)), float(cost)), max(cost - 8, 0) / 8)

    nets = evolve(slots, evaluate, population=16, generations=12, seed=0, known=[{s: "4" for s in slots}])
    again = evolve(slots, evaluate, population=16, generations=12, seed=0, known=[{s: "4" for s in slots}])
    assert nets == again and nets[0].violation == 1
    fronts = rank(nets)
    assert all(n.violation == 0 for n in fronts[0]) and fronts[-1][0].violation == max(n.violation for n in nets)
    assert min(n.values[0] for n in fronts[0]) == 16                # 2 2 2 2, the best that fits
    assert len(nets) < 16 * 12
