"""Train, validation and test splits: a pure function of (seed, name), so that adding examples moves no others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import torch

from seisei import seeds
from seisei.errors import UserError

PARTS = ("train", "validation", "test")
# Default fraction of validation and of test.
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
    """The indices of each split's examples, in order.

    Splits given by the source are kept; others are sampled from train, each example by a hash of the seed and its name.
    Examples of the same content go to the same split, by the first of their names, so that duplicates never leak. If a
    split would be empty, the example nearest to it is moved there, so in very small data sets adding examples may move
    one.

    Arguments:
        names: one for each example.
        groups: equal for examples of the same content.
        given: the split that the source gives each example, or None.
        validation: fraction to sample if the source gives no validation split; 0 for none.
        test: fraction of the test split, likewise.
        seed: seed of the split.
        where: the data's name in errors.
        noun: an example's name in errors.
        train: minimum number of distinct training examples.

    Raises:
        UserError: a fraction out of range, too few examples, or an empty split.

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
            problem = f"has no effect: the data have their own {part} split of {parts.count(part):,} {noun}s"
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
    """The options that make so few examples suffice, by dropping splits; empty if nothing helps.

    Example:
        >>> without(["validation", "test"], 2), without(["validation", "test"], 1), without(["test"], 1, train=2)
        ('--validation 0', '--validation 0 --test 0', '')
    """
    parts = list(drawn)
    return " ".join(f"--{part} 0" for part in parts[: len(parts) + train - count] if count >= train)


def check_shares(validation: float, test: float) -> None:
    """Check that the fractions leave training examples.

    Raises:
        UserError: one is out of range.
    """
    for option, share in (("validation", validation), ("test", test)):
        if not 0 <= share < 1 or validation + test >= 1:
            problem = f"validation {validation:g} and test {test:g}, wanted 0 or more and together below 1"
            raise UserError(
                "E-TRN-07", option, problem, "choose smaller fractions", found=share, wanted="0 <= share < 1"
            )


def _draw(first: dict[bytes, str], drawn: dict[str, float], seed: int, train: int) -> dict[bytes, str]:
    """The split of each group: the one whose interval contains the group's hash in [0, 1)."""
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
        # Move the nearest group that another split can spare, until every split has enough.
        while (counts := Counter(place.values()))[part] < needed[part]:
            spare = [group for group in number if place[group] != part and counts[place[group]] > needed[place[group]]]
            nearest = min((abs(number[group] - middle[part]), first[group], group) for group in spare)
            place[nearest[2]] = part
    return place


def _key(name: str) -> str:
    """The name that is hashed. Examples of arrays were once named differently; this keeps their splits."""
    return f"picture:{name.removeprefix('image:')}" if name.startswith("image:") else name
