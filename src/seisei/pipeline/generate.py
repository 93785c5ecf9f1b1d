"""Sampling, interpolation, and imputation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from seisei import seeds
from seisei.batch import Batch
from seisei.capabilities import Decodes, HasJoint
from seisei.data.dataset import Dataset
from seisei.errors import UserError
from seisei.nn.latents import spherical, truncated
from seisei.nn.priors import StandardNormal
from seisei.nn.transformer.sampling import SamplingOptions
from seisei.pipeline.artifact import Labels, Latents, Pixels
from seisei.pipeline.codes import Encoding
from seisei.progress import tick
from seisei.spec import Range

Path_ = Literal["spherical", "linear"]
MOST = 100_000


class Generation(Encoding):
    """The operations sample, interpolate, and impute."""

    @torch.no_grad()
    def sample(
        self,
        n: int = 64,
        *,
        seed: int = 0,
        label: Labels = None,
        temperature: float = 1.0,
        truncation: float | None = None,
        steering: SamplingOptions | None = None,
    ) -> list[Any]:
        """Generate samples: images as pixels, rows as dictionaries, texts as str.

        The first samples of a seed are the same for every n.

        Arguments:
            n: number of samples.
            seed: sampling seed.
            label: label or condition, one for all samples or one for each. By default a conditional model cycles
                through its classes, or through conditions of training examples, and a generative classifier samples
                classes too.
            temperature: sampling temperature: below 1 for more typical samples, above 1 for more varied ones.
            truncation: truncation of the latent prior in standard deviations per dimension: smaller values give more
                typical, less varied samples.
            steering: decoding options (top-k, top-p, min-p, guidance) of an autoregressive model.

        Raises:
            UserError: the model cannot sample, or an argument is out of range.
        """
        model = self.need("sample")
        if not 1 <= n <= MOST:
            raise UserError(
                "E-SMP-08",
                "-n",
                f"{n} is out of range, wanted 1 to {MOST}",
                "choose a number in the range",
                found=n,
                wanted=MOST,
            )
        seeds.check(seed, "E-SMP-09")
        if not 0 < temperature < math.inf:
            problem = f"{temperature} is out of range, wanted > 0"
            raise UserError(
                "E-SMP-10",
                "--temperature",
                problem,
                "choose a number above 0; 1 samples from the model unchanged",
                found=temperature,
            )
        if truncation is not None:
            self._check_truncation(truncation)
        if steering is not None:
            self._check_steering(steering)
        options = {} if steering is None else {"steering": steering}
        y = self.labels(n, label)
        out: list[Any] = []
        for start in range(0, n, 64):
            # Noise is generated in blocks of 64, so that the first samples do not depend on n.
            count = min(64, n - start)
            with seeds.drawing(seeds.Draws(seed, start, total=64, offset=0, device=self.device)):
                labels = None if y is None else y[start : start + count]
                if labels is None and isinstance(model, HasJoint):
                    labels = model.draw_labels(count)
                if truncation is None:
                    x = model.sample(count, labels, temperature=temperature, **options)
                else:
                    z = truncated(model.prior.sample(count, None, labels), truncation)
                    x = model.decode(z * temperature, labels)
            out += self._raw(x, labels)
            tick(len(out), n)
        return out

    def _check_truncation(self, truncation: float) -> None:
        if not 0 < truncation < math.inf:
            problem = f"{truncation} is out of range, wanted > 0"
            remedy = "choose a number above 0, such as 1; 3 has almost no effect"
            raise UserError("E-SMP-10", "--truncation", problem, remedy, found=truncation)
        if not isinstance(self.model, Decodes) or not isinstance(getattr(self.model, "prior", None), StandardNormal):
            problem = "the latent prior of this model is not a standard normal distribution"
            raise UserError("E-SMP-10", "--truncation", problem, "use --temperature instead")

    def _check_steering(self, steering: SamplingOptions) -> None:
        if not getattr(self.model, "steers", False):
            problem = "this model is not autoregressive"
            values = {"--top-k": steering.top_k, "--top-p": steering.top_p, "--min-p": steering.min_p}
            option = next((name for name, value in values.items() if value is not None), "--guidance")
            raise UserError("E-SMP-10", option, problem, "use --temperature instead")
        for option, value, limits in (
            ("--top-k", steering.top_k, Range(ge=1)),
            ("--top-p", steering.top_p, Range(gt=0, le=1)),
            ("--min-p", steering.min_p, Range(ge=0, le=1)),
            ("--guidance", steering.guidance, Range(ge=0)),
        ):
            message = None if value is None else limits.problem(value)
            if message is not None:
                raise UserError("E-SMP-10", option, message, "choose a number in the range", found=value)
        if steering.guidance != 1.0 and not self.classes:
            problem = "this model is unconditional, so that guidance has no effect"
            raise UserError("E-SMP-10", "--guidance", problem, "train with --condition label")

    def _raw(self, x: Tensor, y: Tensor | None) -> list[Any]:
        """Decoded examples; a row includes its label in the label column."""
        end: Any = self.schema.x
        raw = [end.decode(each) for each in end.within(x)]
        if y is None or end.noun != "row":
            return raw
        # A row has its label, or what it was conditioned on, in the columns that these came from.
        condition: Any = self.schema.y
        return [{**row, **condition.cells(each)} for row, each in zip(raw, y, strict=True)]

    @torch.no_grad()
    def prior_latents(self, sampling_seeds: Sequence[int]) -> Tensor:
        """The latent of the first sample of each seed.

        Raises:
            UserError: the model has no latent prior, or a seed is out of range.
        """
        if "sample" not in self.verbs or not hasattr(self.model, "prior"):
            problem = "this model has no latent prior to sample from"
            raise UserError("E-INT-19", "--from", problem, "give two images as endpoints")
        out = []
        for seed in sampling_seeds:
            seeds.check(seed, "E-INT-25")
            y = None if not self.classes else torch.zeros(1, dtype=torch.long)
            with seeds.drawing(seeds.Draws(seed, 0, total=64, offset=0, device=self.device)):
                posterior = getattr(self.model, "posterior", None)
                out.append(self.model.prior.sample(1, posterior, y)[0])  # type: ignore[operator, union-attr]
        return torch.stack(out)

    @torch.no_grad()
    def interpolate(
        self,
        ends: Latents | Tensor,
        *,
        steps: int = 8,
        path: Path_ = "linear",
        label: Labels = None,
    ) -> list[list[Pixels]]:
        """Interpolate between latents: a row of images for each consecutive pair.

        Arguments:
            ends: latents, (K, L), K ≥ 2.
            steps: images per row, including both ends.
            path: linear, or spherical along a great circle, which suits high-dimensional Gaussian latents.
            label: label of a conditional model, for all ends or one for each: between two classes, conditions are
                interpolated. By default each row has another class.

        Raises:
            UserError: fewer than two ends, or fewer than two steps.
        """
        self.need("interpolate")
        z = torch.as_tensor(ends)
        if len(z) < 2:
            raise UserError("E-INT-19", "ends", f"{len(z)} endpoint, wanted at least 2", "give two seeds or two images")
        if not 2 <= steps <= 1000:
            raise UserError(
                "E-INT-20", "--steps", f"{steps} is out of range, wanted 2 to 1000", "choose a number in the range"
            )
        interpolate = spherical if path == "spherical" else torch.lerp
        labels = self._end_labels(len(z), label)
        rows = []
        for i, (a, b) in enumerate(zip(z[:-1], z[1:], strict=True)):
            weights = torch.linspace(0, 1, steps)
            latents = torch.stack([interpolate(a, b, t) for t in weights])
            y = None
            if labels is not None:
                first, last = labels[i]
                start, end = labels[i] if labels.is_floating_point() else torch.eye(self.classes)[labels[i]]
                # A single class is passed as in training; conditions are interpolated only between two classes.
                y = torch.lerp(start, end, weights.unsqueeze(1))
                if torch.equal(first, last):
                    y = first.expand(steps, *first.shape)
            rows.append(self._decoded(latents, y))
        return rows

    def _end_labels(self, ends: int, label: Labels) -> Tensor | None:
        """Class indices at both ends of each row, (ends − 1, 2), or condition vectors, (ends − 1, 2, K)."""
        if label is None:
            labels = self.labels(ends - 1, None)
            return None if labels is None else torch.stack([labels, labels], 1)
        labels = self.labels(ends, label)
        return None if labels is None else torch.stack([labels[:-1], labels[1:]], 1)

    @torch.no_grad()
    def impute(
        self,
        data: Dataset,
        holes: Tensor,
        n: int = 1,
        *,
        seed: int = 0,
        label: Labels = None,
        temperature: float = 1.0,
        particles: int = 8,
        steering: SamplingOptions | None = None,
    ) -> list[list[Pixels]]:
        """Inpaint images: n completions of each, with the pixels outside the hole unchanged.

        Arguments:
            data: images.
            holes: masks of the missing pixels, broadcastable to (N, C, H, W).
            n: number of completions per image.
            seed: sampling seed.
            label: label for a conditional model; by default that of the data.
            temperature: sampling temperature.
            particles: candidates per completion: more particles use the pixels after the hole better.
            steering: decoding options of an autoregressive model.

        Raises:
            UserError: the model cannot inpaint, an argument is out of range, or an image has no missing pixels.
        """
        model = self.need("impute")
        for option, value, limits in (
            ("-n", n, Range(ge=1, le=MOST)),
            ("--particles", particles, Range(ge=1, le=4096)),
        ):
            problem = limits.problem(value)
            if problem is not None:
                raise UserError("E-IMP-25", option, problem, "choose a number in the range", found=value)
        seeds.check(seed, "E-IMP-25")
        if steering is not None:
            self._check_steering(steering)
        holes = holes.expand(len(data), *self.image.shape)
        complete = ~holes.flatten(1).any(1)
        if bool(complete.any()):
            name = data.names[int(complete.nonzero()[0])] if data.names else "image"
            raise UserError("E-IMP-19", name, "the mask has no missing pixels", "paint the hole white in the mask")
        y = self.labels(len(data), label) if label is not None else self._conditions(data)
        options: dict[str, Any] = {} if steering is None else {"steering": steering}
        out = []
        for i, batch in enumerate(self.batches(data, 1)):
            with seeds.seeded(seed, "impute", i):
                masked = Batch(batch.x, None if y is None else y[i : i + 1], ~holes[i : i + 1])
                completions = model.impute(masked, n, temperature=temperature, particles=particles, **options)
            out.append([self.image.decode(each) for each in completions[0]])
        return out
