"""How well codes are used, what they keep of images, and what a prior over them draws.

    python benchmarks/quality_vq.py codebooks     K of 512, 1,024 and 16,384 on clothes and on photographs
    python benchmarks/quality_vq.py levels        one grid against two, at equal bits, on photographs (`--sheets`)
    python benchmarks/quality_vq.py prior         clothes drawn of a kind, from codes
    python benchmarks/quality_vq.py pixels        nats of a Transformer over pixels, static binarized MNIST
    python benchmarks/quality_vq.py all --full    the settings for a GPU, stated beside those for two cores

One thread, fp32 (bf16 is quicker where the processor has it: `--precision bf16`); `--kept` measures runs that are
there instead of training them again. Everything is measured on test images. Used: the share of all codes that they
use at all; the perplexity is exp of the entropy of the codes, and would be K if all came equally often. A code is
worth log2 K bits where bits are compared. The classification accuracy score is how often a classifier is right on the
test images that learned from 20,000 (60,000) drawn ones alone. The likelihood of pixels is exact.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Record, minutes, options, shared

import seisei
from seisei import catalog
from seisei.evaluation.sample_quality import classification_accuracy
from seisei.modalities.image_io import png_bytes
from seisei.modalities.pixels import grid
from seisei.nn.quantizers.code_layout import collisions, usage
from seisei.training.backend import keep_pages, route_float32

RUNS, IMAGES = Path("runs"), Path(__file__).parents[1] / "docs" / "images"
KEPT, PRECISION, SHEETS = False, "fp32", False
# Photographs in a sheet.
SHOWN = 8
# By data: how they are read, and dials on two cores and for a GPU.
DATA: dict[str, tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "clothes": (
        "fashion-mnist", {"size": 32, "fit": "pad"}, {"steps": 2000, "width": 32}, {"steps": 30_000, "batch": 256},
    ),
    "photographs": (
        "caltech101-128", {}, {"steps": 1500, "batch": 16, "width": 16}, {"steps": 60_000, "batch": 64, "width": 128},
    ),
}  # fmt: skip
SIZES = (512, 1024, 16_384)
USED, EVEN = 0.99, 0.7
PRIOR = (
    {"steps": 2000, "width": 128, "layers": 4, "learning_rate": 2e-3},
    {"steps": 60_000, "batch": 256, "width": 384, "layers": 12},
)
PIXELS = (
    {"steps": 8000, "batch": 32, "width": 160, "layers": 6, "heads": 5, "dropout": 0.05, "learning_rate": 2e-3},
    {"steps": 60_000, "batch": 128, "width": 384, "layers": 8, "heads": 6},
)
# Drawn images that a classifier learns from, and its updates: on two cores, and for a GPU.
LESSONS = ((20_000, 2000), (60_000, 6000))


def trained(recipe: str, data: Any, name: str, seed: int, **dials: Any) -> tuple[Any, float]:
    """A run, and the minutes that it took."""
    folder = RUNS / f"benchmark-{name}"
    if KEPT:
        run = seisei.load(folder)
        told = {dial: run.recipe["dials"].get(dial, value) for dial, value in dials.items()}
        assert told == dials and run.recipe["seed"] == seed, f"{folder} is of {told}"
    else:
        run = seisei.train(
            recipe, data, output=folder, overwrite=True, seed=seed, report=False, precision=PRECISION, **dials
        )
    keep_pages()
    route_float32(True)
    return run, minutes(run)


def measure_codec(record: Record, run: Any, setting: str, goals: bool) -> float:
    """How well the codes of test images are used, and the PSNR of what comes back."""
    data, pipeline = run.data(), run.pipeline
    test = data.subset(data.splits["test"])
    codes = torch.as_tensor(pipeline.encode(test))
    levels = usage(codes, pipeline.model.segments)
    for number, told in enumerate(levels, 1):
        level = f", level {number} of {len(levels)}" if len(levels) > 1 else ""
        where = f"{setting}, {len(test):,} images{level}"
        record.add("codes used", where, told["used"], goal=USED if goals else None, better="higher")
        even = told["perplexity"] / told["codes"]
        record.add("perplexity, of all codes", where, even, goal=EVEN if goals else None, better="higher")
    record.add("collisions", setting, collisions(codes), goal=None, better="lower")
    with torch.no_grad():
        error = [
            float((pipeline.model.decode(pipeline.model.encode(b.x)) - b.x).square().mean()) * len(b)
            for b in pipeline.batches(test)
        ]
    psnr = -10 * float(np.log10(sum(error) / len(test)))
    record.add("PSNR, dB of the mean error", setting, psnr, goal=None, better="higher")
    record.add("bits of an image's codes", setting, pipeline.bits, goal=None, better="lower")
    return psnr


def measure_codebooks(record: Record, full: bool, quick: bool) -> None:
    for kind, (name, reading, small, large) in DATA.items():
        dials = {**(large if full else small), **({"steps": 20} if quick else {})}
        found = []
        for codes in SIZES[:1] if quick else SIZES:
            if KEPT and not (RUNS / f"benchmark-vq-{kind}-{codes}").exists():
                print(f"{kind}, K {codes:,}: there is no run; left out")
                continue
            run, spent = trained(
                "vqvae", shared(name), f"vq-{kind}-{codes}", record.seed, codebook_size=codes, **reading, **dials
            )
            setting = f"{kind}, K {codes:,}, {dials['steps']:,} steps"
            found.append(measure_codec(record, run, setting, goals=True))
            record.add("minutes", setting, spent, goal=None, better="lower")
        if len(found) > 1:
            rises = float(np.diff(found).min())
            record.add("least rise of PSNR from K to the next, dB", kind, rises, goal=0.0, better="higher")


def measure_levels(record: Record, full: bool, quick: bool) -> None:
    name, reading, small, large = DATA["photographs"]
    dials = {**(large if full else small), **({"steps": 20} if quick else {})}
    # A place of the finer grid for 4×4 pixels, of the coarser for 8×8, as in the paper.
    two, _ = trained("vqvae2", shared(name), "vq2", record.seed, codebook_size=512, downsample=4, **reading, **dials)
    # One grid has four fifths of the places of both: codes of 11¼ bits cost as much as theirs of 9.
    one, _ = trained(
        "vqvae",
        shared(name),
        "vq1",
        record.seed,
        codebook_size=round(2 ** (9 * 5 / 4)),
        downsample=4,
        **reading,
        **dials,
    )
    both = measure_codec(record, two, f"photographs, two grids, {dials['steps']:,} steps", goals=False)
    alone = measure_codec(record, one, f"photographs, one grid, {dials['steps']:,} steps", goals=False)
    record.add("two grids against one at equal bits, dB", "photographs", both - alone, goal=0.0, better="higher")
    if SHEETS:
        (IMAGES / "vq2-grids.png").write_bytes(png_bytes(grids_sheet(one, two)))


@torch.no_grad()
def grids_sheet(one: Any, two: Any) -> Any:
    """Rows of test photographs, of what one grid and two give back, and of what two do where one is another's."""
    data, (coarse, fine) = two.data(), two.pipeline.model.segments
    x = data.batch(data.splits["test"][:: len(data.splits["test"]) // SHOWN][:SHOWN]).x
    codes = two.pipeline.model.encode(x).split([coarse.length, fine.length], 1)
    rows = [x, one.pipeline.model.decode(one.pipeline.model.encode(x))]
    for first, second in ((0, 0), (0, 1), (1, 0)):
        given = torch.cat([codes[0].roll(first, 0), codes[1].roll(second, 0)], 1)
        rows.append(two.pipeline.model.decode(given))
    images = (torch.cat(rows).clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    return grid(list(images), SHOWN, enlarge=1)


def measure_prior(record: Record, full: bool, quick: bool) -> None:
    name, reading, small, large = DATA["clothes"]
    quickly = {"steps": 20} if quick else {}
    # The same run as that of the codebooks.
    codec, first = trained(
        "vqvae", shared(name), "vq-clothes-512", record.seed, codebook_size=512, **reading,
        **{**(large if full else small), **quickly},
    )  # fmt: skip
    dials = {**PRIOR[full], **quickly}
    run, second = trained(
        "prior", shared(name), "vq-prior", record.seed, codec=str(codec.path), condition="label", **dials
    )
    setting = f"clothes, {dials['steps']:,} steps over codes"
    made, real = classification_accuracy(
        run.pipeline, run.data(), split="test", limit=10_000, drawn=300 if quick else LESSONS[full][0],
        steps=50 if quick else LESSONS[full][1], seed=record.seed,
    )  # fmt: skip
    goal = 0.75
    record.add("classification accuracy score", setting, made.value, goal=goal, better="higher", error=made.error)
    record.add("the same, learned from real images", setting, real.value, goal=None, better="higher")
    test = run.data().subset(run.data().splits["test"][:1000])
    told = run.pipeline.predict(test)
    right = float(np.mean(told.labels == told.truth))
    record.add("kinds told by Bayes' rule, of 1,000", setting, right, goal=None, better="higher")
    bits = run.pipeline.score(test).bits
    record.add("bits per dimension, a bound", setting, float(bits.mean()), goal=None, better="lower")
    record.add("minutes of training", setting, first + second, goal=None, better="lower")


def measure_pixels(record: Record, full: bool, quick: bool) -> None:
    dials = {**PIXELS[full], **({"steps": 20} if quick else {})}
    # With its fixed parts: 50,000 to train on, 10,000 to choose by, 10,000 for the figure.
    where = shared("binarized-mnist-static/binarized_mnist.npz")
    run, spent = trained("prior", where, "vq-pixels", record.seed, **dials)
    setting = f"static MNIST, {dials['steps']:,} steps of {dials['batch']}, fixed parts"
    data = run.data()
    test = data.subset(data.splits["test"][: 50 if quick else None])
    found = run.pipeline.score(test, seed=record.seed)
    assert not found.bound
    error = float(found.nats.std() / len(found.nats) ** 0.5)
    goal = 78.0 if full else 82.0
    record.add("nats of a test image", setting, -float(found.nats.mean()), goal=goal, better="lower", error=error)
    record.add("minutes of training", setting, spent, goal=90, better="lower")


MEASURES = {
    "codebooks": measure_codebooks,
    "levels": measure_levels,
    "prior": measure_prior,
    "pixels": measure_pixels,
}


def main() -> None:
    parser = options(__doc__ or "")
    parser.add_argument("what", nargs="+", choices=[*MEASURES, "all"])
    parser.add_argument("--full", action="store_true", help="the settings for a GPU")
    parser.add_argument("--kept", action="store_true", help="measure the runs that are there")
    parser.add_argument("--sheets", action="store_true", help="keep images of what grids tell in docs/images")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    told = parser.parse_args()
    global KEPT, PRECISION, SHEETS
    KEPT, PRECISION, SHEETS = told.kept, told.precision, told.sheets
    catalog.fill()
    record = Record("quality_vq", told.seed)
    for name, measure in MEASURES.items():
        if name in told.what or "all" in told.what:
            measure(record, told.full, told.quick)
    if not told.quick:
        record.write(keep_others=True)


if __name__ == "__main__":
    main()
