"""How far photographs come in the style of paintings that training has not seen, and what is left of their forms.

    python benchmarks/quality_style.py
    python benchmarks/quality_style.py --full       the setting for a GPU, stated beside that for two cores

Contents are the photographs of Caltech-101, 128×128, styles are drawn by a program (`paintings`), eight manners, each
painting in colors of its own. Distances are those of `seisei.evaluation.style_transfer.apart`, means over held-out
photographs beside held-out paintings: of one network in one pass, of descending on the pixels of a few of them, and
of the photograph in the painting's colors and nothing else, which is what both are to beat. The judge is a bank of
random filters that neither the network was trained with (32 of 7×7) nor the descent goes by (64 of 7×7): 96 of 9×9.
In fp32 (bf16 is quicker where the processor has it: `--precision bf16`); `--kept` measures the run that is there;
`--sheets` keeps an image of the answers in docs/images.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import paintings
import torch
from common import Record, minutes, options, shared
from torch import Tensor

import seisei
from seisei import catalog
from seisei.evaluation.style_transfer import apart, features_of
from seisei.modalities.image_io import png_bytes
from seisei.modalities.pixels import grid
from seisei.models.style import optimize
from seisei.nn.style.color_transfer import matched
from seisei.nn.style.random_filters import RandomFilters

RUNS, IMAGES = Path("runs"), Path(__file__).parents[1] / "docs" / "images"
PAINTINGS, SIDE, FEW, ROUNDS = 192, 128, 8, 100
DIALS: tuple[dict[str, Any], dict[str, Any]] = ({"steps": 3000}, {"steps": 60_000, "batch": 16})
# What is left of the way to the style, of what colors alone leave; and of the form at least this share.
HALF, FORM = 0.5, 0.5
JUDGE: dict[str, Any] = {"count": 96, "reach": 4}


def trained(seed: int, precision: str, full: bool, quick: bool) -> Any:
    folder = RUNS / "paintings"
    folder.mkdir(parents=True, exist_ok=True)
    for number, pixels in enumerate(paintings.paintings(16 if quick else PAINTINGS, 2 * SIDE, seed)):
        # A quarter of each: the contents' size, and strokes as wide as they were drawn.
        (folder / f"{number:03}.png").write_bytes(png_bytes(pixels[:SIDE, :SIDE].copy()))
    dials = {**DIALS[full], **({"steps": 10} if quick else {})}
    return seisei.train(
        "stylize", shared("caltech101-128"), style=str(folder), output=RUNS / "benchmark-style", overwrite=True,
        seed=seed, report=False, precision=precision, **dials,
    )  # fmt: skip


@torch.no_grad()
def in_one_pass(model: Any, x: Tensor, y: Tensor, strength: float = 1.0) -> Tensor:
    return torch.cat([model.stylize(*parts, strength) for parts in zip(x.split(8), y.split(8), strict=True)])


def measure(record: Record, run: Any, quick: bool, sheets: bool) -> None:
    data, model = run.data(), run.pipeline.model
    part = data.subset(data.splits["test"][: FEW if quick else None])
    batch = part.batch(torch.arange(len(part)))
    assert batch.y is not None
    x, y = batch.x, batch.y
    steps = run.recipe["plan"]["steps"]
    record.add("minutes of training", f"{steps:,} steps", minutes(run), goal=60, better="lower")
    few = torch.arange(len(x))[:: len(x) // FEW][:FEW]
    ways = {"the painting's colors alone": matched(x, y).clamp(0, 1)}
    ways |= {f"one pass, strength {a:g}": in_one_pass(model, x, y, a) for a in (0.5, 1.0)}
    others, judge = features_of(None), RandomFilters(**JUDGE).eval()
    slow = [
        optimize(others, *pair, strides=others.strides, steps=3 if quick else ROUNDS).clamp(0, 1)
        for pair in zip(x[few].split(1), y[few].split(1), strict=True)
    ]
    # Descending takes long: it is measured on a few, beside what else is made of the same. The last way is to be good.
    for chosen, made in ((torch.arange(len(x)), ways), (few, {**every(ways, few), "descending": torch.cat(slow)})):
        beside = f"{steps:,} steps, {len(chosen)} photographs"
        far, last = {}, list(made)[-1]
        for way, of in made.items():
            goal = FORM if way == last else None
            far[way] = add(record, f"{way}, {beside}", judge, of, x[chosen], y[chosen], goal)
        quotient = far[last] / far["the painting's colors alone"]
        record.add("style distance", f"{last} ÷ colors alone, {beside}", quotient, goal=HALF, better="lower")
    if sheets:
        rows = [x[few], y[few], *(of[few] for of in ways.values()), torch.cat(slow)]
        pixels = (torch.cat(rows) * 255).round().byte().permute(0, 2, 3, 1).numpy()
        sheet = grid(list(pixels), len(few), enlarge=1)
        (IMAGES / "style.png").write_bytes(png_bytes(sheet))


def every(ways: dict[str, Tensor], chosen: Tensor) -> dict[str, Tensor]:
    return {way: made[chosen] for way, made in ways.items()}


def add(
    record: Record, setting: str, features: Any, made: Tensor, x: Tensor, y: Tensor, form_goal: float | None
) -> float:
    """The distance to the style, when both are recorded."""
    parts = zip(made.split(8), x.split(8), y.split(8), strict=True)
    form, style = (torch.cat(each) for each in zip(*[apart(features, *each) for each in parts], strict=True))
    for metric, values, goal in (("content distance", form, form_goal), ("style distance", style, None)):
        error = float(values.std() / len(values) ** 0.5)
        record.add(metric, setting, float(values.mean()), goal=goal, better="lower", error=error)
    return float(style.mean())


def main() -> None:
    parser = options(__doc__ or "")
    parser.add_argument("--full", action="store_true", help="the setting for a GPU")
    parser.add_argument("--kept", action="store_true", help="measure the run that is there")
    parser.add_argument("--sheets", action="store_true", help="keep an image of the answers in docs/images")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    told = parser.parse_args()
    catalog.fill()
    record = Record("quality_style", told.seed)
    if told.kept:
        run = seisei.load(RUNS / "benchmark-style")
    else:
        run = trained(told.seed, told.precision, told.full, told.quick)
    measure(record, run, told.quick, told.sheets)
    if not told.quick:
        record.write()


if __name__ == "__main__":
    main()
