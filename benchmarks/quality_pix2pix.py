"""How good images of images are, beside a twin that the regression alone has trained.

    python benchmarks/quality_pix2pix.py lines      line art to color: OpenMoji, 72×72
    python benchmarks/quality_pix2pix.py colors    gray photographs to color: Caltech-101, 64×64
    python benchmarks/quality_pix2pix.py labels     maps of classes to images, drawn by a program, 64×64
    python benchmarks/quality_pix2pix.py all --full     the settings for a GPU, stated beside those for two cores

Everything is measured on held-out pairs. The Fréchet distance is of features of three networks that tell pieces
of 32 pixels of the truths from damaged ones (`seisei.evaluation.translation`); they are trained on the training
truths, and the same for both. The twin has the same network, data, order and steps, and moves by the distance alone.
The oracle of `labels` is a U-Net that was trained to find the map of a real image; its score is the mean over
classes of intersection over union. In fp32 (bf16 is quicker where the processor has it: `--precision bf16`); `--kept`
measures runs that are there instead of training them again; `--sheets` keeps images of the answers in docs/images.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import facades
import numpy as np
import torch
import torch.nn.functional as F
from common import Record, minutes, options, shared
from numpy.typing import NDArray
from torch import Tensor, nn

import seisei
from seisei import catalog, seeds
from seisei.evaluation.evaluate import translation_sheet
from seisei.evaluation.translation import Judge, scores
from seisei.nn.unet import UNet

PRECISION = "fp32"
RUNS, IMAGES = Path("runs"), Path(__file__).parents[1] / "docs" / "images"
ALONE = {"gan_weight": 0.0, "feature_matching": 0.0}
# How data are read, and dials on two cores and for a GPU.
SETTINGS: dict[str, tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "lines": (
        "pix2pix", {"column_a": "black", "column_b": "color"}, {"steps": 20_000},
        {"steps": 100_000, "width": 64, "batch": 32},
    ),
    "colors": ("colorize", {"size": 64}, {"steps": 5000}, {"steps": 100_000, "width": 64, "batch": 32}),
    "labels": ("pix2pix", {}, {"steps": 2000}, {"steps": 50_000, "width": 64, "batch": 32}),
}  # fmt: skip
SOURCES = {"lines": "openmoji", "colors": "caltech101-128"}
SIDE, HOUSES = 64, 3000
LESSONS = 1500
# What is to be won: half the distance, for at most a twentieth more of L1; and far less than without any training.
HALF, DEARER, MARGIN, ORACLE = 0.5, 1.05, 0.5, 0.85


def trained(recipe: str, data: Any, name: str, seed: int, kept: bool, **dials: Any) -> Any:
    folder = RUNS / f"benchmark-{name}"
    if kept:
        return seisei.load(folder)
    return seisei.train(
        recipe, data, output=folder, overwrite=True, seed=seed, report=False, precision=PRECISION, **dials
    )


def compare(record: Record, name: str, data: Any, kept: bool, full: bool, quick: bool, sheets: bool) -> Any:
    recipe, reading, small, large = SETTINGS[name]
    dials = {**(large if full else small), **({"steps": 20} if quick else {})}
    runs = {
        "with a discriminator": trained(recipe, data, f"pix2pix-{name}", record.seed, kept, **reading, **dials),
        "twin": trained(recipe, data, f"pix2pix-{name}-twin", record.seed, kept, **reading, **dials, **ALONE),
    }
    dataset = runs["twin"].data(data)
    part, judge = dataset.subset(dataset.splits["test"]), Judge(dataset, record.seed)
    told: dict[str, dict[str, float]] = {}
    for kind, run in runs.items():
        setting = f"{name}, {kind}, {dials['steps']:,} steps, {len(part)} pairs"
        told[kind] = {}
        for score in scores(run.pipeline, dataset, part, judge, record.seed):
            told[kind][score["name"]] = score["value"]
            better: Literal["higher", "lower"] = score["better"] or "lower"
            record.add(score["name"], setting, score["value"], goal=None, better=better, error=score["error"])
        record.add("minutes of training", setting, minutes(run), goal=60, better="lower")
    mine, twin = told.values()
    setting = f"{name}, with a discriminator ÷ twin, {dials['steps']:,} steps"
    far = mine["Fréchet distance"] / twin["Fréchet distance"]
    record.add("Fréchet distance", setting, far, goal=HALF, better="lower")
    record.add("L1", setting, mine["L1"] / twin["L1"], goal=DEARER, better="lower")
    for other in ("the mean color", "the image given"):
        if f"L1 of {other}" in mine:
            setting = f"{name}, with a discriminator ÷ {other}, {dials['steps']:,} steps"
            record.add("L1", setting, mine["L1"] / mine[f"L1 of {other}"], goal=MARGIN, better="lower")
            far = mine["Fréchet distance"] / mine[f"Fréchet distance of {other}"]
            record.add("Fréchet distance", setting, far, goal=MARGIN, better="lower")
    if sheets:
        for kind, run in runs.items():
            with torch.no_grad(), seeds.seeded(record.seed, "sheet"):
                few = dataset.splits["test"][torch.arange(16) * len(part) // 16]
                sheet = translation_sheet(run.pipeline.model, dataset.batch(few), dataset.schema)
            (IMAGES / f"pix2pix-{name}{'' if kind != 'twin' else '-twin'}.png").write_bytes(sheet)
    return runs, dataset, part


def measure_pairs(name: str) -> Any:
    def measure(record: Record, kept: bool, full: bool, quick: bool, sheets: bool) -> None:
        compare(record, name, str(shared(SOURCES[name])), kept, full, quick, sheets)

    return measure


def measure_labels(record: Record, kept: bool, full: bool, quick: bool, sheets: bool) -> None:
    a, b, _ = facades.pairs(HOUSES, SIDE, record.seed)
    runs, dataset, part = compare(record, "labels", {"a": a, "b": b}, kept, full, quick, sheets)
    images, maps = facades.pairs(HOUSES, SIDE, record.seed + 1)[1:]
    oracle = segmenter(images, maps, 20 if quick else LESSONS, record.seed)
    wanted = maps_of(part.y)
    real = overlap(oracle, part.x, wanted)
    record.add("score of real images", "labels, oracle", real, goal=None, better="higher")
    for kind, run in runs.items():
        with torch.no_grad(), seeds.seeded(record.seed, "labels"):
            made = torch.cat([run.pipeline.model.answer(batch.y) for batch in run.pipeline.batches(part, 64)])
        share = overlap(oracle, (made * 255).round().to(torch.uint8), wanted) / real
        goal = ORACLE if kind != "twin" else None
        record.add("score of answers ÷ of real images", f"labels, {kind}", share, goal=goal, better="higher")


def maps_of(colors: Tensor) -> NDArray[np.int64]:
    """Class numbers of maps in colors, (N, 3, H, W)."""
    apart = (colors[:, None].int() - torch.from_numpy(facades.COLORS).int()[None, :, :, None, None]).abs().sum(2)
    return apart.argmin(1).numpy()


def segmenter(images: NDArray[np.uint8], maps: NDArray[np.int64], steps: int, seed: int) -> nn.Module:
    """A network that finds the map of an image."""
    with seeds.seeded(seed, "oracle"):
        net = UNet(3, len(facades.COLORS), width=16, depth=3, detail=16)
        optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = 2e-3 * (1 - step / steps)
            chosen = torch.randint(len(images), (16,))
            x = torch.from_numpy(images[chosen]).permute(0, 3, 1, 2).float() / 255
            cost = F.cross_entropy(net(x), torch.from_numpy(maps[chosen]))
            optimizer.zero_grad()
            cost.backward()
            optimizer.step()
    return net.eval()


@torch.no_grad()
def overlap(net: nn.Module, images: Tensor, maps: NDArray[np.int64]) -> float:
    """The mean over classes of intersection over union, of all images together."""
    told = torch.cat([net(part.float() / 255).argmax(1) for part in images.split(64)]).numpy()
    each = []
    for kind in range(len(facades.COLORS)):
        both, either = ((told == kind) & (maps == kind)).sum(), ((told == kind) | (maps == kind)).sum()
        each.append(both / max(1, either))
    return float(np.mean(each))


MEASURES = {"lines": measure_pairs("lines"), "colors": measure_pairs("colors"), "labels": measure_labels}


def main() -> None:
    parser = options(__doc__ or "")
    parser.add_argument("what", nargs="+", choices=[*MEASURES, "all"])
    parser.add_argument("--full", action="store_true", help="the settings for a GPU")
    parser.add_argument("--kept", action="store_true", help="measure the runs that are there")
    parser.add_argument("--sheets", action="store_true", help="keep images of the answers in docs/images")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    told = parser.parse_args()
    global PRECISION
    PRECISION = told.precision
    catalog.fill()
    record = Record("quality_pix2pix", told.seed)
    for name, measure in MEASURES.items():
        if name in told.what or "all" in told.what:
            measure(record, told.kept, told.full, told.quick, told.sheets)
    if not told.quick:
        record.write(keep_others=True)


if __name__ == "__main__":
    main()
