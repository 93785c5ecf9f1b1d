"""Drawing: new examples, what lies between two, and what is missing of one."""

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
from seisei.pipeline.artifact import Asked, Latents, Pixels
from seisei.pipeline.codes import Coding
from seisei.progress import tick
from seisei.spec import Range

Path_ = Literal["spherical", "linear"]
MOST = 100_000


class Drawing(Coding):
    """The verbs that draw: sample, interpolate, impute."""

    @torch.no_grad()
    def sample(
        self,
        n: int = 64,
        *,
        seed: int = 0,
        label: Asked = None,
        temperature: float = 1.0,
        truncation: float | None = None,
        steering: SamplingOptions | None = None,
    ) -> list[Any]:
        """New examples; the same for the same seed, whatever n. Images as pixels, rows as dictionaries, texts as str.

        Arguments:
            n: how many.
            seed: of the noise.
            label: of what kind, one or one for each example; where several things are given, in the words of
                `seisei.modalities.conditions.ClassConditional.told`. By default a conditional model goes through its
                kinds in turn, or through what is given in some of the training data, and a generative classifier
                draws them too.
            temperature: below 1 nearer to the most likely example, above 1 farther.
            truncation: latents are drawn within so many standard deviations in each dimension: fewer for more typical,
                less varied examples. With the same seed each stays what it is, and moves inwards.
            steering: of a model that draws one code after the other, which are left to draw from.

        Raises:
            UserError: the model cannot sample, or an argument is out of range.
        """
        model = self.need("sample")
        if not 1 <= n <= MOST:
            raise UserError(
                "E-SMP-08",
                "-n",
                f"{n} images, wanted 1 to {MOST}",
                "choose a number in the range",
                found=n,
                wanted=MOST,
            )
        seeds.check(seed, "E-SMP-09")
        if not 0 < temperature < math.inf:
            problem = f"{temperature} is out of range, wanted > 0"
            raise UserError(
                "E-SMP-10", "--temperature", problem, "choose a number above 0, 1 is the model's own", found=temperature
            )
        if truncation is not None:
            self._check_truncation(truncation)
        if steering is not None:
            self._check_steering(steering)
        knobs = {} if steering is None else {"steering": steering}
        y = self.labels(n, label)
        out: list[Any] = []
        for start in range(0, n, 64):
            # Noise is drawn by blocks of 64: a longer series starts with the shorter one.
            count = min(64, n - start)
            with seeds.drawing(seeds.Draws(seed, start, total=64, offset=0, device=self.device)):
                kinds = None if y is None else y[start : start + count]
                if kinds is None and isinstance(model, HasJoint):
                    kinds = model.draw_labels(count)
                if truncation is None:
                    x = model.sample(count, kinds, temperature=temperature, **knobs)
                else:
                    z = truncated(model.prior.sample(count, None, kinds), truncation)
                    x = model.decode(z * temperature, kinds)
            out += self._raw(x, kinds)
            tick(len(out), n)
        return out

    def _check_truncation(self, truncation: float) -> None:
        if not 0 < truncation < math.inf:
            problem = f"{truncation} is out of range, wanted > 0"
            remedy = "choose a number above 0, such as 1; 3 cuts off next to nothing"
            raise UserError("E-SMP-10", "--truncation", problem, remedy, found=truncation)
        if not isinstance(self.model, Decodes) or not isinstance(getattr(self.model, "prior", None), StandardNormal):
            problem = "the latents of this model are not drawn from a normal distribution"
            raise UserError("E-SMP-10", "--truncation", problem, "use --temperature instead")

    def _check_steering(self, steering: SamplingOptions) -> None:
        if not getattr(self.model, "steers", False):
            problem = "this model does not draw one code after the other"
            turned = {"--top-k": steering.top_k, "--top-p": steering.top_p, "--min-p": steering.min_p}
            option = next((name for name, value in turned.items() if value is not None), "--guidance")
            raise UserError("E-SMP-10", option, problem, "use --temperature instead")
        for option, value, limits in (
            ("--top-k", steering.top_k, Range(ge=1)),
            ("--top-p", steering.top_p, Range(gt=0, le=1)),
            ("--min-p", steering.min_p, Range(ge=0, le=1)),
            ("--guidance", steering.guidance, Range(ge=0)),
        ):
            wrong = None if value is None else limits.problem(value)
            if wrong is not None:
                raise UserError("E-SMP-10", option, wrong, "choose a number in the range", found=value)
        if steering.guidance != 1.0 and not self.classes:
            problem = "this model is told nothing that could be weighed"
            raise UserError("E-SMP-10", "--guidance", problem, "train with --condition label")

    def _raw(self, x: Tensor, y: Tensor | None) -> list[Any]:
        """Examples as a person knows them; a row has its label in the column that it came from."""
        end: Any = self.schema.x
        raw = [end.decode(each) for each in end.within(x)]
        if y is None or end.noun != "row":
            return raw
        # A row has its label, or what it was conditioned on, in the columns that these came from.
        condition: Any = self.schema.y
        return [{**row, **condition.cells(each)} for row, each in zip(raw, y, strict=True)]

    @torch.no_grad()
    def prior_latents(self, chosen: Sequence[int]) -> Tensor:
        """A latent for each seed: that of the first image which `sample` draws with it.

        Raises:
            UserError: the model has no distribution over latents, or a seed is out of range.
        """
        if "sample" not in self.verbs or not hasattr(self.model, "prior"):
            problem = "this model has no distribution to draw latents from"
            raise UserError("E-INT-19", "--from", problem, "give two images as ends")
        out = []
        for seed in chosen:
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
        label: Asked = None,
    ) -> list[list[Pixels]]:
        """Images on the way between latents: a row for each consecutive pair.

        Arguments:
            ends: latents (K, L), at least 2.
            steps: images a row, ends included.
            path: linear, or spherical: along the great circle, as suits a Gaussian latent in many dimensions.
            label: for a conditional model, of the whole walk, or one for each end: on the way from one kind to another
                the model is told of a blend of both. By default each row is of another kind.

        Raises:
            UserError: fewer than two ends, or fewer than two steps.
        """
        self.need("interpolate")
        z = torch.as_tensor(ends)
        if len(z) < 2:
            raise UserError("E-INT-19", "ends", f"{len(z)} end, wanted at least 2", "give two seeds or two images")
        if not 2 <= steps <= 1000:
            raise UserError(
                "E-INT-20", "--steps", f"{steps} is out of range, wanted 2 to 1000", "choose a number in the range"
            )
        between = spherical if path == "spherical" else torch.lerp
        kinds = self._kinds(len(z), label)
        rows = []
        for i, (a, b) in enumerate(zip(z[:-1], z[1:], strict=True)):
            ways = torch.linspace(0, 1, steps)
            walk = torch.stack([between(a, b, t) for t in ways])
            y = None
            if kinds is not None:
                here, there = kinds[i]
                one, other = kinds[i] if kinds.is_floating_point() else torch.eye(self.classes)[kinds[i]]
                # Of one kind it is told as in training, of a blend only where there are two.
                y = torch.lerp(one, other, ways.unsqueeze(1))
                if torch.equal(here, there):
                    y = here.expand(steps, *here.shape)
            rows.append(self._decoded(walk, y))
        return rows

    def _kinds(self, ends: int, label: Asked) -> Tensor | None:
        """The kinds at both ends of each row, (ends − 1, 2), or what is given there, (ends − 1, 2, K)."""
        if label is None:
            kinds = self.labels(ends - 1, None)
            return None if kinds is None else torch.stack([kinds, kinds], 1)
        kinds = self.labels(ends, label)
        return None if kinds is None else torch.stack([kinds[:-1], kinds[1:]], 1)

    @torch.no_grad()
    def impute(
        self,
        data: Dataset,
        holes: Tensor,
        n: int = 1,
        *,
        seed: int = 0,
        label: Asked = None,
        temperature: float = 1.0,
        particles: int = 8,
        steering: SamplingOptions | None = None,
    ) -> list[list[Pixels]]:
        """n completions of each image: what lies outside its hole stays as it is.

        Arguments:
            data: the images.
            holes: what is missing of them, (N, C, H, W) or fewer where one is for all.
            n: how many of each.
            seed: of the noise.
            label: of what kind they are, where the model is told; by default as the data say, or drawn.
            temperature: see `sample`.
            particles: candidates for each completion: more heed better what lies after the hole.
            steering: see `sample`.

        Raises:
            UserError: the model cannot impute, an argument is out of range, or nothing is missing of an image.
        """
        model = self.need("impute")
        for option, value, limits in (
            ("-n", n, Range(ge=1, le=MOST)),
            ("--particles", particles, Range(ge=1, le=4096)),
        ):
            wrong = limits.problem(value)
            if wrong is not None:
                raise UserError("E-IMP-25", option, wrong, "choose a number in the range", found=value)
        seeds.check(seed, "E-IMP-25")
        if steering is not None:
            self._check_steering(steering)
        holes = holes.expand(len(data), *self.image.shape)
        whole = ~holes.flatten(1).any(1)
        if bool(whole.any()):
            name = data.names[int(whole.nonzero()[0])] if data.names else "image"
            raise UserError("E-IMP-19", name, "nothing is missing of it", "paint the hole white in the mask")
        y = self.labels(len(data), label) if label is not None else self._told(data)
        knobs: dict[str, Any] = {} if steering is None else {"steering": steering}
        out = []
        for i, batch in enumerate(self.batches(data, 1)):
            with seeds.seeded(seed, "impute", i):
                told = Batch(batch.x, None if y is None else y[i : i + 1], ~holes[i : i + 1])
                made = model.impute(told, n, temperature=temperature, particles=particles, **knobs)
            out.append([self.image.decode(each) for each in made[0]])
        return out
