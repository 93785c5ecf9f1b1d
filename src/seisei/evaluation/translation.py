"""How good images of images are: beside the truths of held-out pairs, and as images of their kind.

Distances to the truth favor the average of all answers, which is blurred and pale; so answers and truths are also
compared as two sets of images, by the Fréchet distance of features of networks that are trained on the person's own
truths, to tell them whole from corrupt (`seisei.metrics.corruptions`). It is in units of its own, and compares models
of the same data.

One such network prefers this model and the next one that: so there are several, of whose distances the mean is taken,
and each is read at several depths, by the mean and the spread of each channel over a piece.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.batch import Batch
from seisei.data.read import Dataset
from seisei.errors import ResourceError, UserError
from seisei.metrics.corruptions import CORRUPTIONS, corrupt
from seisei.metrics.estimates import Estimate
from seisei.metrics.frechet import frechet_distance
from seisei.metrics.image_similarity import checkerboard, colorfulness, l1, psnr, ssim
from seisei.metrics.likelihood import mean_and_error
from seisei.modalities.image import Image
from seisei.modalities.label import Label
from seisei.nn.style.feature_extractor import StageFeatures
from seisei.pipeline import BATCH, Pipeline
from seisei.progress import part as work
from seisei.recipes.classification import discriminative
from seisei.schema import Schema
from seisei.training.engine import Device
from seisei.training.loop import load_weights
from seisei.training.plan import Plan
from seisei.training.quick_fit import trained
from seisei.training.run import RunFolder
from seisei.training.tensors import all_finite, from_bytes, to_bytes

# How many readers there are; truths, and pieces of them, that each learns from, its width, steps, batch and depth.
READERS, LEARNED, WIDTH, STEPS, LESSON, DEPTH = 3, 1000, 16, 600, 32, 3
# The side of a piece, and how many there are along a side of an image, at most.
SIDE, ACROSS = 32, 4
RESAMPLES = 30
# Pairs, or in a validation, which compares weights on the same ones, pieces of them, that a Fréchet distance is of.
FEWEST = 20
# Of two models that with half the Fréchet distance is as good as the other while its L1 is a twentieth larger.
WORTH = math.log(1.05) / math.log(2)
# The readers of a run lie in its folder, and beside them what they are of; more bytes than this are not theirs.
KEPT, ABOUT, FORMAT, LARGEST = "judge/readers.safetensors", "judge/readers.json", 1, 64 << 20
Score = dict[str, Any]
NOTE = "in features of networks that tell truths of these data from corrupt ones; it compares models of the same data"


class Reader:
    """A network's features of pieces of images like the truths of some data; every feature is within ±1.

    Arguments:
        model: tells truths from corrupt ones.
        known: the scale of its features: their ``middle`` and ``spread``.
    """

    def __init__(self, model: nn.Module, known: Mapping[str, Tensor]) -> None:
        self.model, self.stages, self.known = model, StageFeatures(model.eval(), DEPTH), dict(known)

    @torch.no_grad()
    def raw(self, given: Tensor) -> Tensor:
        """Features of pieces before they are scaled, on the CPU."""
        device = next(self.model.parameters()).device
        maps = [[seen.flatten(2) for seen in self.stages(part.x.to(device))] for part in Batch(given).split(BATCH)]
        return torch.cat(
            [torch.cat([seen.mean(2) for seen in of] + [seen.std(2, correction=0) for seen in of], 1) for of in maps]
        ).cpu()

    def __call__(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to (N · P, F), P pieces per image."""
        return torch.tanh((self.raw(pieces(images)) - self.known["middle"]) / self.known["spread"])

    def state(self) -> dict[str, Tensor]:
        """All that it is made of."""
        return {**{f"model.{name}": value for name, value in self.model.state_dict().items()}, **self.known}


def reader(data: Dataset, seed: int = 0, steps: int = STEPS, device: Device = "cpu") -> Reader:
    """A reader of images like the truths of these data, trained on those for training.

    Arguments:
        data: whose training part it learns from.
        seed: of all that is random.
        steps: of its training.
        device: where it is trained, and reads.
    """
    image = data.schema.x
    assert isinstance(image, Image)
    rows = data.splits["train"]
    chosen = rows[torch.randperm(len(rows), generator=seeds.generator(seed, "truths"))[:LEARNED]]
    with seeds.seeded(seed, "damage"):
        some = pieces(data.batch(chosen).x)
        some = some[torch.randperm(len(some))[:LEARNED]]
        x, y = corrupt(some, seeds.generator(seed, "damage"))
    # As 256 levels, whatever the truths have: features need no more.
    stored = (x * 255).round().clamp(0, 255).to(torch.uint8)
    names = [f"{kind}:{i}" for kind in CORRUPTIONS for i in range(len(some))]
    plan, schema = _lesson(data, steps)
    lesson = Dataset(schema, stored, y, names, {"train": torch.arange(len(x))}, "", {})
    with torch.enable_grad():
        model = trained(plan, lesson, torch.arange(len(x)), seed, device)
    assert model is not None, "bounded images make finite gradients"
    # A few odd pieces have features ten times as large as all others, and would decide a distance by themselves.
    found = Reader(model, {})
    known = found.raw(some)
    found.known = {"middle": known.mean(0), "spread": known.std(0) + 0.05 * known.std()}
    return found


def _lesson(data: Dataset, steps: int) -> tuple[Plan, Schema]:
    """What a reader learns, and of what."""
    image = data.schema.x
    assert isinstance(image, Image)
    side = min(SIDE, image.height, image.width)
    schema = Schema(Image(side, side, image.channels), Label(tuple(CORRUPTIONS)))
    return discriminative(schema, network="conv", width=WIDTH, steps=steps, batch=LESSON), schema


def pieces(images: Tensor) -> Tensor:
    """Squares of at most 32 pixels that images are cut into, at most 16 of each: edges and texture are seen in them.

    Example:
        >>> pieces(torch.zeros(2, 3, 72, 70)).shape, pieces(torch.zeros(2, 1, 20, 40)).shape
        (torch.Size([8, 3, 32, 32]), torch.Size([4, 1, 20, 20]))
    """
    side = min(SIDE, *images.shape[2:])
    tops, lefts = (_spread(size, side) for size in images.shape[2:])
    return torch.cat([images[..., top : top + side, left : left + side] for top in tops for left in lefts])


def _spread(size: int, side: int) -> list[int]:
    """Where pieces begin along a side: as many as fit, at most 4, from edge to edge."""
    count = min(ACROSS, size // side)
    return [i * (size - side) // max(1, count - 1) for i in range(count)]


class Judge:
    """What is said of answers beside their truths, during training and after it.

    Arguments:
        data: what the model is trained on.
        seed: of the readers, which are trained when they are first asked.
        steps: of the model's training: readers are not trained for longer.
        device: where readers are trained, and read.
        run: keeps the readers, so that they are trained once, and judge in the same way after the run was resumed.
    """

    def __init__(
        self, data: Dataset, seed: int = 0, steps: int = STEPS, *, device: Device = "cpu", run: RunFolder | None = None
    ) -> None:
        self.data, self.seed, self.steps, self.device, self.run = data, seed, min(steps, STEPS), device, run
        self._readers: list[Reader] = []

    @property
    def readers(self) -> list[Reader]:
        """See `reader`."""
        if not self._readers:
            self._readers = self._kept() or self._trained()
        return self._readers

    def _trained(self) -> list[Reader]:
        found = []
        for i in range(READERS):
            with work("training the networks that judge outputs"), work(f"{i + 1} of {READERS}"):
                found.append(reader(self.data, seeds.derive(self.seed, "reader", i), self.steps, self.device))
        if self.run is not None:
            content = to_bytes({f"{i}.{name}": x for i, one in enumerate(found) for name, x in one.state().items()})
            about = {"steps": self.steps, "sha256": hashlib.sha256(content).hexdigest(), **self._of}
            try:
                self.run.write(KEPT, content)
                self.run.write(ABOUT, about)
            except ResourceError:
                self.run.check()  # A full disk must not end the training: they can be trained again.
        return found

    @property
    def _of(self) -> dict[str, Any]:
        """What readers that are kept must be of."""
        return {"format": FORMAT, "readers": READERS, "data": self.data.fingerprint, "seed": self.seed}

    def _kept(self) -> list[Reader]:
        """The readers that the run keeps; none where they are corrupt, or of other data."""
        if self.run is None:
            return []
        path = self.run.path / KEPT
        try:
            if not path.is_file() or path.stat().st_size > LARGEST:
                return []
            about, content = self.run.read(ABOUT), path.read_bytes()
            steps, digest = int(about["steps"]), hashlib.sha256(content).hexdigest()
            if digest != about["sha256"] or any(about.get(key) != value for key, value in self._of.items()):
                return []
            state = from_bytes(content, KEPT)
            return [] if all_finite(state) else [self._restored(state, i, steps) for i in range(READERS)]
        except (OSError, UserError, KeyError, TypeError, ValueError):
            return []

    def _restored(self, state: Mapping[str, Tensor], number: int, steps: int) -> Reader:
        own = {name.partition(".")[2]: value for name, value in state.items() if name.startswith(f"{number}.")}
        with seeds.seeded(self.seed, "restored"):
            model: Any = _lesson(self.data, steps)[0].objective.build()
        weights = {name.removeprefix("model."): value for name, value in own.items() if name.startswith("model.")}
        load_weights(model.model, weights, KEPT)
        return Reader(model.model.to(self.device), {name: own[name] for name in ("middle", "spread")})

    def distance(self, answers: Tensor, truths: Tensor, seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
        """The Fréchet distance of answers to truths, the mean over readers."""
        found = [
            frechet_distance(
                *(read(x).double().numpy() for x in (truths, answers)),
                corrected=resamples == RESAMPLES, resamples=resamples, seed=seed,
            )
            for read in self.readers
        ]  # fmt: skip
        # All are asked about the same images, whose choice is what the error is of.
        return Estimate(float(np.mean([one.value for one in found])), float(np.mean([one.error for one in found])))

    def reads(self, truths: Tensor) -> bool:
        """Whether there are enough pieces of truths for a distance in a validation, so that readers are needed."""
        return len(pieces(truths)) >= FEWEST

    def brief(self, answers: Tensor, truths: Tensor) -> dict[str, float]:
        """What the watch is told of held-out answers; how like truths they look of enough pieces of images only.

        What has the name of one of `scores` is the same quantity.
        """
        answers, truths = answers.cpu(), truths.cpu()
        measures = {"L1": l1, "PSNR": psnr, "SSIM": ssim}
        found = {name: float(measure(answers, truths).mean()) for name, measure in measures.items()}
        if self.reads(truths):
            # Of as many images each time: what few make it too large by stays the same.
            far = self.distance(answers, truths, resamples=2).value
            found["Fréchet distance, biased"] = far
            found["balance"] = found["L1"] * max(far, 1e-6) ** WORTH
        return {
            **found,
            "chequered": ratio(checkerboard(answers), checkerboard(truths)),
            "color": ratio(colorfulness(answers), colorfulness(truths)),
        }


def compared(pixels: Any, truth: Any, where: object) -> dict[str, float]:
    """How far one answer is from its truth, arrays of pixels both.

    Raises:
        UserError: they are of different sizes or channels.
    """
    if pixels.shape != truth.shape:
        one, other = ("×".join(map(str, a.shape)) for a in (pixels, truth))
        raise UserError("E-TRL-23", where, f"is {one}, and its truth {other}", "give truths of the same form")
    sides = [torch.from_numpy(np.atleast_3d(a).astype(np.float64)).permute(2, 0, 1)[None] for a in (pixels, truth)]
    scale = {"uint8": 255.0, "uint16": 65535.0}
    a, b = (side / scale.get(str(array.dtype), 1.0) for side, array in zip(sides, (pixels, truth), strict=True))
    measures = {"L1": l1, "PSNR": psnr, "SSIM": ssim}
    return {name: float(np.mean(measure(a, b))) for name, measure in measures.items()}


def ratio(made: Any, there: Any) -> float:
    """How much of something answers have, as a share of what truths have; 1 where neither has any."""
    one, other = float(np.mean(made)), float(np.mean(there))
    return (one + 1e-4) / (other + 1e-4)


@torch.no_grad()
def answered(model: Any, batches: Iterable[Batch], seed: int = 0) -> tuple[Tensor, Tensor]:
    """What a model makes of pairs, and the truths, (N, C, H, W) in [0, 1] both."""
    made, there = [], []
    for number, batch in enumerate(batches):
        given = model.view.given(batch)
        with seeds.seeded(seed, "answers", number):
            made.append(model.view.whole(given, model.answer(given)).clamp(0, 1))
        there.append(batch.x)
    return torch.cat(made), torch.cat(there)


def scores(pipeline: Pipeline, data: Dataset, part: Dataset, judge: Judge, seed: int = 0) -> list[Score]:
    """How far answers are from the truths of a part of the data, and how like truths they look.

    Of fewer than 20 pairs there is no Fréchet distance: so few points have no shape to compare. The same of answers
    that nobody had to learn stands beside it.

    Arguments:
        pipeline: the model; it translates.
        data: with the training part, whose mean color is one of those answers.
        part: the pairs that are asked for.
        judge: of the data.
        seed: of the noise.
    """
    made, truths = answered(pipeline.model, pipeline.batches(part, 32), seed)
    away = "mean distance of a value to the truth's"
    found = [
        _score("L1", _mean(l1(made, truths)), "values in 0 … 1", "lower", away),
        _score("PSNR", _mean(psnr(made, truths)), "dB", "higher", "the mean over images"),
        _score("SSIM", _mean(ssim(made, truths)), "", "higher", "how alike light, contrast and structure are, up to 1"),
    ]
    enough = len(part) >= FEWEST
    if enough:
        found.append(_score("Fréchet distance", judge.distance(made, truths, seed), "", "lower", NOTE))
    for name, other in _without_training(pipeline, data, part, truths).items():
        note = f"of {name}, for comparison"
        found.append(_score(f"L1 of {name}", _mean(l1(other, truths)), "values in 0 … 1", "", note))
        if enough:
            found.append(_score(f"Fréchet distance of {name}", judge.distance(other, truths, seed), "", "", note))
    return found


def _without_training(pipeline: Pipeline, data: Dataset, part: Dataset, truths: Tensor) -> dict[str, Tensor]:
    """Answers that nobody had to learn: the mean color of training truths, and what is given, where it can be one."""
    view: Any = pipeline.model.view
    rows = data.splits["train"]
    some = data.batch(rows[:: max(1, len(rows) // 1000)]).x
    found = {"the mean color": some.mean((0, 2, 3))[None, :, None, None].expand_as(truths)}
    given = torch.cat([view.shown(view.given(batch)) for batch in pipeline.batches(part, 32)])
    if given.shape[1] in (1, truths.shape[1]):
        found["the image given"] = given.expand_as(truths)
    return found


def _mean(values: Any) -> Estimate:
    return Estimate(*mean_and_error(np.asarray(values, np.float64)))


def _score(name: str, found: Estimate, unit: str, better: str, note: str) -> Score:
    error = None if np.isnan(found.error) else found.error
    return {"name": name, "value": found.value, "error": error, "unit": unit, "better": better, "note": note}


def sheet_of(given: Sequence[Any], made: Sequence[Any], truths: Sequence[Any], across: int) -> list[Any]:
    """Images for a grid of `across` columns: rows of what is given, what was made of it, and the truths."""
    blank = truths[0] * 0 + 255
    rows: list[Any] = []
    for start in range(0, len(given), across):
        for side in (given, made, truths):
            row = list(side[start : start + across])
            rows += row + [blank] * (across - len(row))
    return rows
