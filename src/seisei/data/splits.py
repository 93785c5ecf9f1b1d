"""Train, validation and test: a pure function of (seed, name), so that adding examples moves none of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import torch

from seisei import seeds
from seisei.errors import UserError

PARTS = ("train", "validation", "test")
# Of validation and of test, where nothing else is said.
SHARE = 0.1


def split_indices(
    names: Sequence[str],
    groups: Sequence[bytes],
    given: Sequence[str | None],
    *,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    where: str = "data",
    noun: str = "image",
    train: int = 1,
) -> dict[str, torch.Tensor]:
    """Which examples are in which part, in their order.

    A part that the source gives is kept; one that it does not give is drawn from train, each example by a hash of the
    seed and its name. Those of the same content go to the same part, by the first of their names, so that what is
    drawn never leaks. Where a part would stay empty, the example nearest to it is taken, so in very small data sets one
    may move when others are added.

    Arguments:
        names: one for each example.
        groups: the same for examples of the same content.
        given: the part that the source gives each example, or None.
        validation: the share to draw where none is given; 0 for none.
        test: likewise.
        seed: another seed draws another division.
        where: what an error calls the data.
        noun: what an error calls an example.
        train: different examples that are needed to train on.

    Raises:
        UserError: a share out of range, too few images, or a part that stays empty.

    Example:
        >>> names = [f"{i}.png" for i in range(10)]
        >>> parts = split_indices(names, [n.encode() for n in names], [None] * 10)
        >>> sum(map(len, parts.values())), min(map(len, parts.values())) > 0
        (10, True)
    """
    check_shares(validation, test)
    seeds.check(seed, "E-TRN-25", "seed")
    parts = [part or "train" for part in given]
    wanted = {"validation": validation, "test": test}
    for part, share in wanted.items():
        if part in parts and share not in (SHARE, 0):
            problem = f"has no effect: the data have a {part} part of their own, {parts.count(part):,} {noun}s"
            raise UserError("E-TRN-08", f"--{part}", problem, "leave it out", found=share)
    drawn = {part: share for part, share in wanted.items() if share > 0 and part not in parts}
    first: dict[bytes, str] = {}
    for name, group, part in zip(names, groups, parts, strict=True):
        if part == "train":
            first[group] = min(first.get(group, name), name)
    least = len(drawn) + train
    if not first:
        raise UserError("E-TRN-10", where, f"0 {noun}s to train on, wanted at least {least}", f"add {noun}s", found=0)
    if len(first) < least:
        some = f"{len(first)} different {noun}{'s leave' if len(first) > 1 else ' leaves'}"
        problem = f"{some} {' or '.join(drawn)} empty, wanted at least {least}"
        options = without(drawn, len(first), train)
        remedy = f"add {noun}s" + (f" or pass {options}" if options else "")
        raise UserError("E-TRN-11", where, problem, remedy, found=len(first), wanted=least)
    place = _draw(first, drawn, seed, train)
    parts = [place[group] if part == "train" else part for group, part in zip(groups, parts, strict=True)]
    return {part: torch.tensor([i for i, p in enumerate(parts) if p == part], dtype=torch.int64) for part in PARTS}


def without(drawn: Iterable[str], count: int, train: int = 1) -> str:
    """The options by which so few examples suffice: the first parts that must be given up; none where nothing helps.

    Example:
        >>> without(["validation", "test"], 2), without(["validation", "test"], 1), without(["test"], 1, train=2)
        ('--validation 0', '--validation 0 --test 0', '')
    """
    parts = list(drawn)
    return " ".join(f"--{part} 0" for part in parts[: len(parts) + train - count] if count >= train)


def check_shares(validation: float, test: float) -> None:
    """Refuse shares that leave nothing to learn from.

    Raises:
        UserError: one out of range.
    """
    for option, share in (("validation", validation), ("test", test)):
        if not 0 <= share < 1 or validation + test >= 1:
            problem = f"validation {validation:g} and test {test:g}, wanted 0 or more and together below 1"
            raise UserError("E-TRN-07", option, problem, "choose smaller shares", found=share, wanted="0 <= share < 1")


def _draw(first: dict[bytes, str], drawn: dict[str, float], seed: int, train: int) -> dict[bytes, str]:
    """The part of each group: its number in [0, 1) falls into the part's interval."""
    number = {group: seeds.derive(seed, "split", _key(name)) / seeds.SEED_LIMIT for group, name in first.items()}
    place = dict.fromkeys(first, "train")
    start, middle = 0.0, {"train": 1.0}
    for part, share in drawn.items():
        for group, u in number.items():
            if start <= u < start + share:
                place[group] = part
        middle[part] = start + share / 2
        start += share
    needed = {"train": train, **dict.fromkeys(drawn, 1)}
    for part in needed:
        # The nearest one that another part can spare, until every part has what it needs.
        while (counts := Counter(place.values()))[part] < needed[part]:
            spare = [group for group in number if place[group] != part and counts[place[group]] > needed[place[group]]]
            nearest = min((abs(number[group] - middle[part]), first[group], group) for group in spare)
            place[nearest[2]] = part
    return place


def _key(name: str) -> str:
    """What an example's part is derived from. Examples of an array were named otherwise once: their parts are kept."""
    return f"picture:{name.removeprefix('image:')}" if name.startswith("image:") else name
