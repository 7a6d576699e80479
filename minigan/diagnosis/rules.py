"""The rules: which kinds of failure the blocks of a run show.  Each threshold has its reason beside it.

The rules are meant to be silent on a training that works, also if D is certain for a while at its beginning: a failure
must last for `SUSTAINED_BLOCKS` blocks, a tenth of the run, and for `SUSTAINED_ITERATIONS` iterations.
"""

import math
from collections.abc import Callable, Sequence

from minigan.diagnosis.blocks import Block, without_repetition
from minigan.diagnosis.costs import CostCurves

SUSTAINED_BLOCKS = 10  # a tenth of the run
SUSTAINED_ITERATIONS = 20  # at least: a few iterations show nothing

# D is certain if J_D is within 2 % of its range from its minimum (D(x) = .986 on average, for the cross-entropy) and
# D classifies all but 0.5 % correctly.  It stays certain if D(G(z)) <= .05 in every step of G: with several updates of
# G in an iteration, D can be certain of the old fakes while G has already found others.
CERTAIN_D_EXCESS = 0.02
CERTAIN_ACCURACY = 0.995
CERTAIN_D_FAKE = 0.05

# dJ_G/ds as a fraction of its value at D(G(z)) = 1/2.  A fiftieth of the gradient needs fifty times as many steps.
VANISHED_SLOPE = 0.02

# G has won, as far as its own cost says, if J_G is within 5 % of its range from its minimum: D(G(z)) = .966 for the
# non-saturating cost.  With D(G(z)) <= .05 in D's steps, both cannot be about the same fakes.
WON_G_EXCESS = 0.05

# Two full swings of D(G(z)) between <= 1/4 and >= 3/4, which are four changes of side.  A training that settles passes
# from one side to the other at most once or twice.
SWINGS = 4

# Samples have collapsed if their spread is 5 % of the largest in this run: a tenth or more is usual while the scale of
# G's output adapts to the data.
COLLAPSED_SPREAD = 0.05
# At most half of the modes of the data, in every measurement of the last `SUSTAINED_BLOCKS` and in the second half of
# the run: before that, G may still be on its way.
COLLAPSED_MODES = 0.5


def symptoms(
    blocks: Sequence[Block], *, blocks_in_run: int, curves: CostCurves | None = None, modes: int | None = None
) -> dict[str, str]:
    """Return the kinds of failure that the blocks so far show, with the evidence for each.

    Parameters
    ----------
    blocks : sequence of Block
        The blocks of the run so far, in order.
    blocks_in_run : int
        The number of blocks that the whole run will have.
    curves : CostCurves, optional
        The costs of the objective (`cost_curves`); without them, the rules on costs do not apply.
    modes : int, optional
        The number of modes of the data, for runs with the metric "modes"; by default the largest number so far.

    Returns
    -------
    dict of str
        The evidence by the name of the kind, a key of `KINDS`.

    """
    found = {}
    recent = _recent(blocks)
    if recent:
        if curves is not None and all(len(block.means) == len(recent[0].means) == 5 for block in recent):
            found.update(_of_costs(recent, curves))
        found.update(_collapse(blocks, recent, blocks_in_run, modes))
    if curves is not None and curves.d_is_bounded and not curves.compares:
        found.update(_oscillation(blocks))
    return found


def _recent(blocks: Sequence[Block]) -> Sequence[Block]:
    """Return the last blocks that a failure must fill; none if there are not yet so many."""
    for count in range(SUSTAINED_BLOCKS, len(blocks) + 1):
        if blocks[-1].last - blocks[-count].first + 1 >= SUSTAINED_ITERATIONS:
            return blocks[-count:]
    return ()


def _of_costs(recent: Sequence[Block], curves: CostCurves) -> dict[str, str]:
    found = {}
    if curves.d_is_bounded and all(_is_certain(block, curves) for block in recent):
        if all(curves.g_excess(block.g_most) <= WON_G_EXCESS for block in recent):
            found["deadlock"] = _evidence(recent, f"G's cost at most {max(b.g_most for b in recent):.2g}")
        elif all(block.g_least >= curves.g_cost_at(CERTAIN_D_FAKE) for block in recent):
            found["D certain"] = _evidence(recent, f"G's cost never below {min(b.g_least for b in recent):.3g}")
    rejected = [block.means["d_fake"] for block in recent]
    slope = max(map(curves.slope_at, rejected))
    if max(rejected) < 0.5 and slope <= VANISHED_SLOPE:  # NaN, a flat cost, is no finding
        found["vanished gradient"] = _evidence(recent, f"dJ_G/ds is {slope:.2%} of that at D(G(z)) = 1/2")
    return found


def _is_certain(block: Block, curves: CostCurves) -> bool:
    m = block.means
    return (
        curves.d_excess(m["d_loss"]) <= CERTAIN_D_EXCESS
        and m["accuracy"] >= CERTAIN_ACCURACY
        and m["d_fake"] <= CERTAIN_D_FAKE
    )


def _oscillation(blocks: Sequence[Block]) -> dict[str, str]:
    """Look at the last half of the blocks so far, so that an early oscillation passes."""
    later = blocks[len(blocks) // 2 :]
    changes = len(without_repetition("".join(block.sides for block in later))) - 1
    if changes < SWINGS:
        return {}
    low, high = (pick(block.means["d_fake"] for block in later) for pick in (min, max))
    where = f"iterations {later[0].first} to {later[-1].last}"
    return {"oscillation": f"D(G(z)) changed {changes} times between <= 0.25 and >= 0.75 in {where}; "
            f"averages of single blocks are {low:.2f} to {high:.2f}"}  # fmt: skip


def _collapse(
    blocks: Sequence[Block], recent: Sequence[Block], blocks_in_run: int, modes: int | None
) -> dict[str, str]:
    measured = [block.modes for block in blocks if block.modes is not None]
    total = modes if modes is not None else max(measured, default=0)
    lately = [block.modes for block in recent if block.modes is not None]
    if lately and total > 1 and 2 * len(blocks) >= blocks_in_run and max(lately) <= COLLAPSED_MODES * total:
        return {
            "collapse": _range(recent, f"samples of high quality in at most {max(lately):.0f} of {total:.0f} modes")
        }
    spreads, ending = _finite_spreads(blocks), _finite_spreads(recent)
    if ending and max(spreads) > 0 and max(ending) <= COLLAPSED_SPREAD * max(spreads):
        share = max(ending) / max(spreads)
        text = f"the spread of samples is at most {max(ending):.3g}, {share:.1%} of its largest value"
        return {"collapse": _range(recent, text)}
    return {}


def _finite_spreads(blocks: Sequence[Block]) -> list[float]:
    return [block.spread for block in blocks if block.spread is not None and math.isfinite(block.spread)]


def _evidence(recent: Sequence[Block], more: str) -> str:
    mean: Callable[[str], float] = lambda name: sum(block.means[name] for block in recent) / len(recent)  # noqa: E731
    text = (
        f"D(x) {mean('d_real'):.4f}, D(G(z)) {mean('d_fake'):.4f}, accuracy {mean('accuracy'):.1%}, "
        f"D's cost {mean('d_loss'):.2g}, {more}"
    )
    return _range(recent, text)


def _range(recent: Sequence[Block], text: str) -> str:
    return f"{text} in iterations {recent[0].first} to {recent[-1].last}"
