"""Quality of image-to-image translation: outputs compared with targets pairwise, and as distributions.

Pairwise distances favor the average of all plausible outputs, which is blurred and desaturated. So outputs and targets
are also compared by the Fréchet distance, in features of networks trained to distinguish original targets from
corrupted ones (`seisei.metrics.corruptions`). It is comparable only between models of the same data.

Distances vary between such networks, so that several are averaged; features are the mean and standard deviation of
each channel over a patch, at several depths.
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
from seisei.data.dataset import Dataset
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

# Number of feature networks; maximum number of training targets and patches, width, steps, batch size and depth.
EXTRACTORS, EXAMPLES, WIDTH, STEPS, BATCH_SIZE, DEPTH = 3, 1000, 16, 600, 32, 3
# Patch size, and maximum number of patches along a side of an image.
SIDE, ACROSS = 32, 4
RESAMPLES = 30
# Minimum number of pairs for a Fréchet distance; in validation, minimum number of patches.
FEWEST = 20
# In the model-selection score, half the Fréchet distance outweighs a 5 % larger L1.
EXPONENT = math.log(1.05) / math.log(2)
# Files of the feature networks in a run folder, their format, and the maximum file size in bytes.
WEIGHTS, METADATA, FORMAT, LARGEST = "judge/readers.safetensors", "judge/readers.json", 1, 64 << 20
Score = dict[str, Any]
NOTE = "in features of networks trained on this data; comparable only between models of the same data"


class FeatureExtractor:
    """A feature network for image patches; every feature is within ±1.

    Arguments:
        model: classifier of corruptions.
        known: scale of its features: ``middle`` (mean) and ``spread`` (standard deviation).
    """

    def __init__(self, model: nn.Module, known: Mapping[str, Tensor]) -> None:
        self.model, self.stages, self.known = model, StageFeatures(model.eval(), DEPTH), dict(known)

    @torch.no_grad()
    def raw(self, patches: Tensor) -> Tensor:
        """Unscaled features of patches, on the CPU."""
        device = next(self.model.parameters()).device
        maps = [[stage.flatten(2) for stage in self.stages(part.x.to(device))] for part in Batch(patches).split(BATCH)]
        return torch.cat(
            [torch.cat([m.mean(2) for m in stages] + [m.std(2, correction=0) for m in stages], 1) for stages in maps]
        ).cpu()

    def __call__(self, images: Tensor) -> Tensor:
        """Features of images: (N, C, H, W) to (N · P, F), with P patches per image."""
        return torch.tanh((self.raw(pieces(images)) - self.known["middle"]) / self.known["spread"])

    def state(self) -> dict[str, Tensor]:
        """The state dict: weights and feature scale."""
        return {**{f"model.{name}": value for name, value in self.model.state_dict().items()}, **self.known}


def feature_extractor(data: Dataset, seed: int = 0, steps: int = STEPS, device: Device = "cpu") -> FeatureExtractor:
    """A feature network trained on the targets of the training split.

    Arguments:
        data: image pairs with splits.
        seed: random seed.
        steps: training steps.
        device: device of training and inference.
    """
    image = data.schema.x
    assert isinstance(image, Image)
    rows = data.splits["train"]
    chosen = rows[torch.randperm(len(rows), generator=seeds.generator(seed, "truths"))[:EXAMPLES]]
    with seeds.seeded(seed, "damage"):
        patches = pieces(data.batch(chosen).x)
        patches = patches[torch.randperm(len(patches))[:EXAMPLES]]
        x, y = corrupt(patches, seeds.generator(seed, "damage"))
    # Stored with 256 levels, which is enough for features.
    stored = (x * 255).round().clamp(0, 255).to(torch.uint8)
    names = [f"{name}:{i}" for name in CORRUPTIONS for i in range(len(patches))]
    plan, schema = _task(data, steps)
    examples = Dataset(schema, stored, y, names, {"train": torch.arange(len(x))}, "", {})
    with torch.enable_grad():
        model = trained(plan, examples, torch.arange(len(x)), seed, device)
    assert model is not None, "bounded images have finite gradients"
    # Scale the features: a few outlier patches would otherwise dominate a distance.
    found = FeatureExtractor(model, {})
    known = found.raw(patches)
    found.known = {"middle": known.mean(0), "spread": known.std(0) + 0.05 * known.std()}
    return found


def _task(data: Dataset, steps: int) -> tuple[Plan, Schema]:
    """The training plan and schema of a feature network."""
    image = data.schema.x
    assert isinstance(image, Image)
    side = min(SIDE, image.height, image.width)
    schema = Schema(Image(side, side, image.channels), Label(tuple(CORRUPTIONS)))
    return discriminative(schema, network="conv", width=WIDTH, steps=steps, batch=BATCH_SIZE), schema


def pieces(images: Tensor) -> Tensor:
    """Square patches of at most 32 pixels, at most 16 per image, for edges and texture.

    Example:
        >>> pieces(torch.zeros(2, 3, 72, 70)).shape, pieces(torch.zeros(2, 1, 20, 40)).shape
        (torch.Size([8, 3, 32, 32]), torch.Size([4, 1, 20, 20]))
    """
    side = min(SIDE, *images.shape[2:])
    tops, lefts = (_spread(size, side) for size in images.shape[2:])
    return torch.cat([images[..., top : top + side, left : left + side] for top in tops for left in lefts])


def _spread(size: int, side: int) -> list[int]:
    """Offsets of patches along a side: as many as fit, at most 4, from edge to edge."""
    count = min(ACROSS, size // side)
    return [i * (size - side) // max(1, count - 1) for i in range(count)]


class Judge:
    """Metrics of outputs against targets, during and after training.

    Arguments:
        data: training data with its splits.
        seed: seed of the feature networks, which are trained on first use.
        steps: training steps of the model, an upper bound on those of the feature networks.
        device: device of the feature networks.
        run: run folder that stores the feature networks, so that a resumed run uses the same ones.
    """

    def __init__(
        self, data: Dataset, seed: int = 0, steps: int = STEPS, *, device: Device = "cpu", run: RunFolder | None = None
    ) -> None:
        self.data, self.seed, self.steps, self.device, self.run = data, seed, min(steps, STEPS), device, run
        self._readers: list[FeatureExtractor] = []

    @property
    def extractors(self) -> list[FeatureExtractor]:
        """The feature networks, loaded or trained on first use."""
        if not self._readers:
            self._readers = self._load() or self._train()
        return self._readers

    def _train(self) -> list[FeatureExtractor]:
        found = []
        for i in range(EXTRACTORS):
            with work("training the feature networks that evaluate outputs"), work(f"{i + 1} of {EXTRACTORS}"):
                found.append(
                    feature_extractor(self.data, seeds.derive(self.seed, "reader", i), self.steps, self.device)
                )
        if self.run is not None:
            content = to_bytes({f"{i}.{name}": x for i, one in enumerate(found) for name, x in one.state().items()})
            about = {"steps": self.steps, "sha256": hashlib.sha256(content).hexdigest(), **self._metadata}
            try:
                self.run.write(WEIGHTS, content)
                self.run.write(METADATA, about)
            except ResourceError:
                self.run.check()  # A full disk must not stop the training: they can be trained again.
        return found

    @property
    def _metadata(self) -> dict[str, Any]:
        """Metadata that stored feature networks must match."""
        return {"format": FORMAT, "readers": EXTRACTORS, "data": self.data.fingerprint, "seed": self.seed}

    def _load(self) -> list[FeatureExtractor]:
        """The feature networks stored in the run; empty if they are damaged or of other data."""
        if self.run is None:
            return []
        path = self.run.path / WEIGHTS
        try:
            if not path.is_file() or path.stat().st_size > LARGEST:
                return []
            about, content = self.run.read(METADATA), path.read_bytes()
            steps, digest = int(about["steps"]), hashlib.sha256(content).hexdigest()
            if digest != about["sha256"] or any(about.get(key) != value for key, value in self._metadata.items()):
                return []
            state = from_bytes(content, WEIGHTS)
            return [] if all_finite(state) else [self._restored(state, i, steps) for i in range(EXTRACTORS)]
        except (OSError, UserError, KeyError, TypeError, ValueError):
            return []

    def _restored(self, state: Mapping[str, Tensor], number: int, steps: int) -> FeatureExtractor:
        own = {name.partition(".")[2]: value for name, value in state.items() if name.startswith(f"{number}.")}
        with seeds.seeded(self.seed, "restored"):
            model: Any = _task(self.data, steps)[0].objective.build()
        weights = {name.removeprefix("model."): value for name, value in own.items() if name.startswith("model.")}
        load_weights(model.model, weights, WEIGHTS)
        return FeatureExtractor(model.model.to(self.device), {name: own[name] for name in ("middle", "spread")})

    def distance(self, outputs: Tensor, targets: Tensor, seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
        """Fréchet distance between outputs and targets, averaged over feature networks."""
        found = [
            frechet_distance(
                *(extractor(x).double().numpy() for x in (targets, outputs)),
                corrected=resamples == RESAMPLES, resamples=resamples, seed=seed,
            )
            for extractor in self.extractors
        ]  # fmt: skip
        # All networks see the same images, so that their errors do not average out.
        return Estimate(float(np.mean([one.value for one in found])), float(np.mean([one.error for one in found])))

    def reads(self, targets: Tensor) -> bool:
        """Whether there are enough patches of targets for a Fréchet distance in validation."""
        return len(pieces(targets)) >= FEWEST

    def brief(self, outputs: Tensor, targets: Tensor) -> dict[str, float]:
        """Validation metrics of outputs; the Fréchet distance only with enough patches.

        Metrics with a name in `scores` are the same quantities.
        """
        outputs, targets = outputs.cpu(), targets.cpu()
        measures = {"L1": l1, "PSNR": psnr, "SSIM": ssim}
        found = {name: float(measure(outputs, targets).mean()) for name, measure in measures.items()}
        if self.reads(targets):
            # The number of images is constant, and therefore the bias too.
            distance = self.distance(outputs, targets, resamples=2).value
            found["Fréchet distance, biased"] = distance
            found["balance"] = found["L1"] * max(distance, 1e-6) ** EXPONENT
        return {
            **found,
            "chequered": ratio(checkerboard(outputs), checkerboard(targets)),
            "color": ratio(colorfulness(outputs), colorfulness(targets)),
        }


def compared(pixels: Any, truth: Any, where: object) -> dict[str, float]:
    """L1, PSNR and SSIM of one output and its target, as pixel arrays.

    Raises:
        UserError: different sizes or channels.
    """
    if pixels.shape != truth.shape:
        one, other = ("×".join(map(str, a.shape)) for a in (pixels, truth))
        raise UserError("E-TRL-23", where, f"has shape {one}, its target {other}", "give targets of the same shape")
    sides = [torch.from_numpy(np.atleast_3d(a).astype(np.float64)).permute(2, 0, 1)[None] for a in (pixels, truth)]
    scale = {"uint8": 255.0, "uint16": 65535.0}
    a, b = (side / scale.get(str(array.dtype), 1.0) for side, array in zip(sides, (pixels, truth), strict=True))
    measures = {"L1": l1, "PSNR": psnr, "SSIM": ssim}
    return {name: float(np.mean(measure(a, b))) for name, measure in measures.items()}


def ratio(outputs: Any, targets: Any) -> float:
    """Mean of outputs over mean of targets; 1 if both are 0."""
    output, target = float(np.mean(outputs)), float(np.mean(targets))
    return (output + 1e-4) / (target + 1e-4)


@torch.no_grad()
def answered(model: Any, batches: Iterable[Batch], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Outputs and targets of pairs, (N, C, H, W) in [0, 1]."""
    outputs, targets = [], []
    for number, batch in enumerate(batches):
        inputs = model.view.given(batch)
        with seeds.seeded(seed, "answers", number):
            outputs.append(model.view.whole(inputs, model.answer(inputs)).clamp(0, 1))
        targets.append(batch.x)
    return torch.cat(outputs), torch.cat(targets)


def scores(pipeline: Pipeline, data: Dataset, part: Dataset, judge: Judge, seed: int = 0) -> list[Score]:
    """Metrics of outputs against targets, with those of trivial baselines.

    The Fréchet distance needs at least 20 pairs. Baselines are the mean color of the training targets, and the input.

    Arguments:
        pipeline: trained image-to-image model.
        data: training data with its splits.
        part: pairs to evaluate.
        judge: judge for the data.
        seed: seed of the noise.
    """
    outputs, targets = answered(pipeline.model, pipeline.batches(part, 32), seed)
    l1_note = "mean absolute difference from the target"
    found = [
        _score("L1", _mean(l1(outputs, targets)), "values in 0 … 1", "lower", l1_note),
        _score("PSNR", _mean(psnr(outputs, targets)), "dB", "higher", "peak signal-to-noise ratio, mean over images"),
        _score(
            "SSIM",
            _mean(ssim(outputs, targets)),
            "",
            "higher",
            "structural similarity: luminance, contrast and structure; 1 means identical",
        ),
    ]
    enough = len(part) >= FEWEST
    if enough:
        found.append(_score("Fréchet distance", judge.distance(outputs, targets, seed), "", "lower", NOTE))
    for name, other in _without_training(pipeline, data, part, targets).items():
        note = f"baseline: {name} as the output"
        found.append(_score(f"L1 of {name}", _mean(l1(other, targets)), "values in 0 … 1", "", note))
        if enough:
            found.append(_score(f"Fréchet distance of {name}", judge.distance(other, targets, seed), "", "", note))
    return found


def _without_training(pipeline: Pipeline, data: Dataset, part: Dataset, targets: Tensor) -> dict[str, Tensor]:
    """Baseline outputs: the mean color of training targets, and the input if it can be an output."""
    view: Any = pipeline.model.view
    rows = data.splits["train"]
    sample = data.batch(rows[:: max(1, len(rows) // 1000)]).x
    found = {"the mean color": sample.mean((0, 2, 3))[None, :, None, None].expand_as(targets)}
    inputs = torch.cat([view.shown(view.given(batch)) for batch in pipeline.batches(part, 32)])
    if inputs.shape[1] in (1, targets.shape[1]):
        found["the image given"] = inputs.expand_as(targets)
    return found


def _mean(values: Any) -> Estimate:
    return Estimate(*mean_and_error(np.asarray(values, np.float64)))


def _score(name: str, found: Estimate, unit: str, better: str, note: str) -> Score:
    error = None if np.isnan(found.error) else found.error
    return {"name": name, "value": found.value, "error": error, "unit": unit, "better": better, "note": note}


def sheet_of(inputs: Sequence[Any], outputs: Sequence[Any], targets: Sequence[Any], across: int) -> list[Any]:
    """Images for a grid of `across` columns: rows of inputs, outputs, and targets."""
    blank = targets[0] * 0 + 255
    rows: list[Any] = []
    for start in range(0, len(inputs), across):
        for side in (inputs, outputs, targets):
            row = list(side[start : start + across])
            rows += row + [blank] * (across - len(row))
    return rows
