"""The artifact: schema, model and card. Raw things in, raw things out: every verb a person uses."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seisei import catalog, seeds
from seisei.batch import Batch
from seisei.capabilities import Believes, Codifies, Decides, Decodes, Joins, offers
from seisei.data.dataset import Dataset
from seisei.data.inputs import is_grey
from seisei.errors import UserError
from seisei.evaluation.classification import Predictions
from seisei.evaluation.likelihood import Likelihood, bits_per_dimension, likelihoods
from seisei.modalities.files import Picture
from seisei.modalities.given import Given, Said
from seisei.modalities.image import DEEP, Image
from seisei.modalities.label import Label
from seisei.modalities.table import Table
from seisei.modalities.text import Text
from seisei.nn.priors import StandardNormal
from seisei.nn.steering import Steering
from seisei.nn.tiles import Tiling, disagreement
from seisei.schema import Schema, Stated
from seisei.spec import Range, Spec
from seisei.training.loop import load_weights
from seisei.training.run import RunFolder
from seisei.training.size import check_weights, outline

Pixels = NDArray[np.uint8]
# Latents are numbers, codes whole numbers.
Latents = NDArray[np.float32] | NDArray[np.int64]
Path_ = Literal["spherical", "linear"]
# The kind that is wanted: of all, or of each.
Asked = Said | Sequence[Said] | None
MOST, BATCH, TILE = 100_000, 256, 512


@dataclass(frozen=True)
class Translated:
    """What was made of a picture.

    Arguments:
        pixels: of the picture's size.
        disagreement: how far neighbouring tiles were apart where both gave an answer, in units of the range of values;
            0 where there was one.
    """

    pixels: NDArray[Any]
    disagreement: float


class Pipeline:
    """A trained model with both its ends.

    Arguments:
        model: with its weights, in evaluation mode.
        schema: what x and y are.
        card: where it comes from: recipe, data, step.
        digest: SHA-256 of the weights, which latents and samples carry so that one knows what made them.
        notes: what was noticed on loading.
    """

    def __init__(
        self, model: nn.Module, schema: Schema, card: dict[str, Any], digest: str, notes: Sequence[str] = ()
    ) -> None:
        self.model, self.schema, self.card, self.digest, self.notes = model.eval(), schema, card, digest, list(notes)
        self.device = next(itertools.chain(model.parameters(), model.buffers())).device

    @classmethod
    def load(
        cls, path: str | Path, *, step: int | None = None, weights: Literal["average", "last"] = "average"
    ) -> Pipeline:
        """The model of a run.

        Arguments:
            path: of the run's folder.
            step: of the checkpoint; by default the newest whole one, or that of the best weights where the training
                decided which those are.
            weights: the moving average, or those of the last step.

        Raises:
            UserError: no such run, or no whole checkpoint in it.
        """
        run = RunFolder.open(path)
        catalog.fill()
        recipe, schema = run.read("recipe.json"), Schema.from_json(run.read("schema.json"), f"{path}/schema.json")
        checkpoint, notes = run.checkpoints.newest(exact=step)
        best = checkpoint.state.get("best")
        if step is None and weights == "average" and best is not None and int(best[1]) in run.checkpoints.steps():
            checkpoint, _ = run.checkpoints.newest(exact=int(best[1]))
        try:
            tree = recipe["plan"]["objective"]["arguments"]["model"]
        except (KeyError, TypeError) as error:
            raise UserError(
                "E-*-02", f"{path}/recipe.json", f"lacks {error}", "use a run folder that seisei wrote"
            ) from error
        spec = Spec.from_json(tree, f"{path}/recipe.json")
        name = weights if weights == "average" and "average" in checkpoint.tensors else "model"
        where = f"{checkpoint.path.name}/{name}.safetensors"
        # The sizes in recipe.json are believed only when the weights have them: they are as large as they are.
        check_weights(outline(spec).state_dict(), checkpoint.tensors[name], where)
        model = spec.build()
        load_weights(model, checkpoint.tensors[name], where)
        if recipe["plan"].get("format") == "channels_last":
            model = model.to(memory_format=torch.channels_last)
        digest = hashlib.sha256((checkpoint.path / f"{name}.safetensors").read_bytes()).hexdigest()
        card = {
            "run": str(path),
            "recipe": recipe.get("recipe"),
            "step": checkpoint.step,
            "weights": name,
            "plan": recipe["plan"],
        }
        return cls(model, schema, {**card, "data": recipe.get("data", {})}, digest, notes)

    @property
    def image(self) -> Image:
        """The picture end."""
        assert isinstance(self.schema.x, Image)
        return self.schema.x

    @property
    def classes(self) -> int:
        """How many kinds the model was told apart in training, 0 where it was told of none."""
        if isinstance(self.model, Decides) and isinstance(self.schema.y, Label):
            return self.schema.y.classes
        return int(getattr(self.model, "classes", 0))

    @property
    def conditional(self) -> bool:
        """Whether the model must be told the kind of everything it works on; a classifier finds it out."""
        return bool(self.classes) and not isinstance(self.model, Decides)

    @property
    def verbs(self) -> list[str]:
        """What this model can do."""
        return offers(self.model, pictures=isinstance(self.schema.x, Image))

    @property
    def knows(self) -> set[str]:
        """What a classifier can tell beside a class: ``probabilities`` of classes, and the ``joint`` of all."""
        told = {"probabilities": Believes, "joint": Joins}
        return {what for what, capability in told.items() if isinstance(self.model, capability)}

    def need(self, verb: str) -> Any:
        """The model, when it offers the verb.

        Raises:
            UserError: it does not; what it can do instead.
        """
        if verb not in self.verbs:
            problem = f"this model cannot {verb}; it can: {', '.join(self.verbs)}"
            raise UserError(
                "E-*-08", self.card.get("run", "model"), problem, "choose one of these verbs", wanted=self.verbs
            )
        return self.model

    # ---- sampling

    @torch.no_grad()
    def sample(
        self,
        n: int = 64,
        *,
        seed: int = 0,
        label: Asked = None,
        temperature: float = 1.0,
        truncation: float | None = None,
        steering: Steering | None = None,
    ) -> list[Any]:
        """New examples; the same for the same seed, whatever n. Pictures as pixels, rows as dictionaries, texts as str.

        Arguments:
            n: how many.
            seed: of the noise.
            label: of what kind, one or one for each example; where several things are given, in the words of
                `seisei.modalities.given.Given.told`. By default a conditional model goes through its kinds in turn, or
                through what is given in some of the training data, and a generative classifier draws them too.
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
                f"{n} pictures, wanted 1 to {MOST}",
                "choose a number in the range",
                found=n,
                wanted=MOST,
            )
        check_seed(seed, "E-SMP-09")
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
                if kinds is None and isinstance(model, Joins):
                    kinds = model.draw_labels(count)
                if truncation is None:
                    x = model.sample(count, kinds, temperature=temperature, **knobs)
                else:
                    z = truncated(model.prior.sample(count, None, kinds), truncation)
                    x = model.decode(z * temperature, kinds)
            out += self._raw(x, kinds)
        return out

    def _check_truncation(self, truncation: float) -> None:
        if not 0 < truncation < math.inf:
            problem = f"{truncation} is out of range, wanted > 0"
            remedy = "choose a number above 0, such as 1; 3 cuts off next to nothing"
            raise UserError("E-SMP-10", "--truncation", problem, remedy, found=truncation)
        if not isinstance(self.model, Decodes) or not isinstance(getattr(self.model, "prior", None), StandardNormal):
            problem = "the latents of this model are not drawn from a normal distribution"
            raise UserError("E-SMP-10", "--truncation", problem, "use --temperature instead")

    def _check_steering(self, steering: Steering) -> None:
        if not getattr(self.model, "steers", False):
            problem = "this model does not draw one code after the other"
            raise UserError("E-SMP-10", "--top-k, --top-p, --min-p, --guidance", problem, "use --temperature instead")
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
        end = self.schema.y
        x = self.schema.x.within(x) if isinstance(self.schema.x, Table) else x
        raw = [self.schema.x.decode(each) for each in x]
        if y is None or not isinstance(self.schema.x, Table):
            return raw
        if isinstance(end, Given):
            return [{**row, **end.decode(told)} for row, told in zip(raw, y, strict=True)]
        if isinstance(end, Label):
            return [{**row, (end.column or "label"): end.decode(kind)} for row, kind in zip(raw, y, strict=True)]
        return raw

    def labels(self, n: int, label: Asked = None) -> Tensor | None:
        """Class numbers for n examples, (n,), or what is given of them, (n, K); None for an unconditional model.

        Raises:
            UserError: unknown labels, a wrong number of them, or labels for a model that knows none.
        """
        if not self.classes:
            if label is not None:
                raise UserError(
                    "E-SMP-13", "--label", "this model was trained without labels", "train with --condition label"
                )
            return None
        end = self.schema.y
        if label is None and not isinstance(end, Stated):
            return None if isinstance(self.model, Joins) else torch.arange(n) % self.classes
        names = [label] if isinstance(label, (str, Mapping)) or label is None else list(label)
        if len(names) not in (1, n):
            problem = f"{len(names)} labels for {n} pictures"
            raise UserError(
                "E-SMP-14", "--label", problem, "give one label, or one for each picture", found=len(names), wanted=n
            )
        if isinstance(end, Stated):
            return end.unpack(end.told([*names] * n if len(names) == 1 else [*names], n))
        assert isinstance(end, Label)
        numbers = torch.stack([end.pack(name) for name in names])
        return numbers.expand(n) if len(names) == 1 else numbers

    # ---- codes

    @torch.no_grad()
    def encode(self, data: Dataset) -> Latents:
        """The latent of every picture, (N, L), or its codes, (N, T) whole numbers."""
        model = self.need("encode")
        parts = [model.encode(b.visible, self._condition(b)) for b in self.batches(data)]
        return torch.cat(parts).numpy()

    @torch.no_grad()
    def decode(self, latents: Latents, *, label: Asked = None) -> list[Pixels]:
        """The picture of every latent, or of every row of codes.

        Raises:
            UserError: latents of another width, or that are not finite; codes that the model does not have.
        """
        self.need("decode")
        if isinstance(self.model, Codifies):
            return self._decoded(self._codes(np.asarray(latents), self.model), None)
        z = torch.as_tensor(np.asarray(latents, np.float32))
        width = self.latent_size
        if z.dim() != 2 or (width is not None and z.shape[1] != width):
            found = "×".join(map(str, z.shape))
            raise UserError(
                "E-DEC-22", "latents", f"shape {found}, wanted N×{width}", "give latents that this model made"
            )
        if not bool(torch.isfinite(z).all()):
            row = int((~torch.isfinite(z)).any(1).nonzero()[0])
            raise UserError("E-DEC-24", "latents", f"row {row} holds NaN or infinity", "remove that row")
        return self._decoded(z, self.labels(len(z), label))

    @staticmethod
    def _codes(given: NDArray[Any], model: Codifies) -> Tensor:
        """Codes that a person gives, checked against those that the model has."""
        segments = model.segments
        length = sum(segment.length for segment in segments)
        if given.ndim != 2 or given.shape[1] != length:
            found = "×".join(map(str, given.shape))
            raise UserError("E-DEC-22", "codes", f"shape {found}, wanted N×{length}", "give codes that this model made")
        most = np.concatenate([np.full(segment.length, segment.codes) for segment in segments])
        for code, right in (
            ("E-DEC-23", np.isfinite(given) & (given == np.floor(given))),
            ("E-DEC-21", (given >= 0) & (given < most)),
        ):
            if not right.all():
                row, place = (int(i) for i in np.argwhere(~right)[0])
                wanted = f"wanted a whole number from 0 to {most[place] - 1}"
                problem = f"row {row} holds {given[row, place]} at {place}, {wanted}"
                raise UserError(code, "codes", problem, "give codes that this model made")
        return torch.as_tensor(given.astype(np.int64))

    def _decoded(self, z: Tensor, y: Tensor | None) -> list[Pixels]:
        out: list[Pixels] = []
        for start in range(0, len(z), BATCH):
            part = slice(start, start + BATCH)
            x = self.model.decode(z[part], None if y is None else y[part])  # type: ignore[operator]
            out += [self.image.decode(p) for p in x]
        return out

    @property
    def bits(self) -> float | None:
        """What the codes of a picture cost, None for a model that has none."""
        return float(self.model.bits) if isinstance(self.model, Codifies) else None

    @property
    def latent_size(self) -> int | None:
        """L, where the model says so."""
        size = getattr(self.model, "latent", None)
        if size is None and hasattr(self.model, "encoder"):
            model: Any = self.model
            size = model.encode(torch.zeros(1, *self.image.shape), torch.zeros(1, dtype=torch.long)).shape[1]
        return size

    @torch.no_grad()
    def reconstruct(self, data: Dataset) -> list[Pixels]:
        """Every picture, through the model and back."""
        model = self.need("reconstruct")
        out: list[Pixels] = []
        for batch in self.batches(data):
            y = self._condition(batch)
            out += [self.image.decode(p) for p in model.decode(model.encode(batch.visible, y), y)]
        return out

    @torch.no_grad()
    def interpolate(
        self,
        ends: Latents | Tensor,
        *,
        steps: int = 8,
        path: Path_ = "linear",
        label: Asked = None,
    ) -> list[list[Pixels]]:
        """Pictures on the way between latents: a row for each consecutive pair.

        Arguments:
            ends: latents (K, L), at least 2.
            steps: pictures a row, ends included.
            path: linear, or spherical: along the great circle, as suits a Gaussian latent in many dimensions.
            label: for a conditional model, of the whole walk, or one for each end: on the way from one kind to another
                the model is told of a blend of both. By default each row is of another kind.

        Raises:
            UserError: fewer than two ends, or fewer than two steps.
        """
        self.need("interpolate")
        z = torch.as_tensor(ends)
        if len(z) < 2:
            raise UserError("E-INT-19", "ends", f"{len(z)} end, wanted at least 2", "give two seeds or two pictures")
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
    def prior_latents(self, chosen: Sequence[int]) -> Tensor:
        """A latent for each seed: that of the first picture which `sample` draws with it.

        Raises:
            UserError: the model has no distribution over latents, or a seed is out of range.
        """
        if "sample" not in self.verbs or not hasattr(self.model, "prior"):
            problem = "this model has no distribution to draw latents from"
            raise UserError("E-INT-19", "--from", problem, "give two pictures as ends")
        out = []
        for seed in chosen:
            check_seed(seed, "E-INT-25")
            y = None if not self.classes else torch.zeros(1, dtype=torch.long)
            with seeds.drawing(seeds.Draws(seed, 0, total=64, offset=0, device=self.device)):
                posterior = getattr(self.model, "posterior", None)
                out.append(self.model.prior.sample(1, posterior, y)[0])  # type: ignore[operator, union-attr]
        return torch.stack(out)

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
        steering: Steering | None = None,
    ) -> list[list[Pixels]]:
        """n completions of each picture: what lies outside its hole stays as it is.

        Arguments:
            data: the pictures.
            holes: what is missing of them, (N, C, H, W) or fewer where one is for all.
            n: how many of each.
            seed: of the noise.
            label: of what kind they are, where the model is told; by default as the data say, or drawn.
            temperature: see `sample`.
            particles: candidates for each completion: more heed better what lies after the hole.
            steering: see `sample`.

        Raises:
            UserError: the model cannot impute, an argument is out of range, or nothing is missing of a picture.
        """
        model = self.need("impute")
        for option, value, limits in (
            ("-n", n, Range(ge=1, le=MOST)),
            ("--particles", particles, Range(ge=1, le=4096)),
        ):
            wrong = limits.problem(value)
            if wrong is not None:
                raise UserError("E-IMP-25", option, wrong, "choose a number in the range", found=value)
        check_seed(seed, "E-IMP-25")
        if steering is not None:
            self._check_steering(steering)
        holes = holes.expand(len(data), *self.image.shape)
        whole = ~holes.flatten(1).any(1)
        if bool(whole.any()):
            name = data.names[int(whole.nonzero()[0])] if data.names else "picture"
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

    # ---- translation

    @property
    def given(self) -> Any:
        """The end of the pictures that are translated; that of x where a model makes both of one picture."""
        model: Any = self.model
        return getattr(self.schema, model.side)

    @torch.no_grad()
    def translate(
        self, picture: Picture, where: object = "picture", *, seed: int = 0, number: int = 0, convert: bool = False,
        tile: int | None = None, overlap: int | None = None,
    ) -> Translated:  # fmt: skip
        """What the model makes of a picture of any size: of the same size, and as deep at least.

        A large one is made tile by tile, see `seisei.nn.tiles`.

        Arguments:
            picture: what is given.
            where: what an error calls it.
            seed: of the noise, for a model with several answers.
            number: of the answer: each has noise of its own.
            convert: turn colour into grey where the model knows grey only.
            tile: side of a tile, in pixels; by default 512, or the next multiple of the network's stride.
            overlap: pixels that tiles share; a quarter of a tile by default.

        Raises:
            UserError: the model does not translate, an argument is out of range, or the picture does not fit.
        """
        model = self.need("translate")
        check_seed(seed, "E-TRL-25")
        height, width = picture.size
        sides: tuple[Any, Any] = self.given, self.schema.x
        end, made = (replace(side, height=height, width=width) for side in sides)
        channels = picture.pixels.shape[2] if picture.pixels.ndim == 3 else 1
        if isinstance(end, Image) and channels > end.channels and not convert and not is_grey(picture):
            problem = f"has {channels} channels, wanted {end.channels}"
            raise UserError("E-TRL-21", where, problem, "pass --convert", found=channels, wanted=end.channels)
        if picture.bits == 16:
            # As deep as it is, also where the model learned from shallower ones: its values are the same numbers.
            end, made = (
                replace(side, levels=DEEP) if isinstance(side, Image) and side.levels == 256 else side
                for side in (end, made)
            )
        x = end.unpack(end.pack_picture(picture, where)).to(self.device)
        tiling = self._tiling(model.stride, tile, overlap)
        noise = None
        if model.noise:
            with seeds.seeded(seed, "translate", number):
                noise = torch.randn(1, model.noise).to(self.device)
        bands, rows = [], []
        for band in tiling.bands(lambda part: model.translate(part, noise), x):
            # Rows are made pixels at once: of a large picture all of them as numbers would take most of the memory.
            rows.append(made.decode(band.rows))
            bands.append(band._replace(rows=band.rows[:, :0]))
        return Translated(np.concatenate(rows), disagreement(bands))

    def _tiling(self, stride: int, tile: int | None, overlap: int | None) -> Tiling:
        side = -(-TILE // stride) * stride if tile is None else tile
        shared = side // 4 // stride * stride if overlap is None else overlap
        if side % stride or side < 2 * stride:
            below = max(2, side // stride) * stride
            problem = f"{side} is no multiple of {stride}, the network's stride, from {2 * stride} on"
            raise UserError("E-TRL-20", "--tile", problem, f"use {below} or {below + stride}", found=side)
        if not 0 <= shared <= side // 2:
            problem = f"{shared} is out of range, wanted 0 to {side // 2}, half a tile"
            raise UserError("E-TRL-20", "--overlap", problem, "choose a number in the range", found=shared)
        return Tiling(side, shared, stride)

    def _told(self, data: Dataset) -> Tensor | None:
        """What a model is told of examples: of all of them, or nothing."""
        if not self.classes or data.y is None or not bool((data.y >= 0).all()):
            if self.conditional:
                problem = "has no labels, and this model is conditional"
                raise UserError("E-*-25", "input", problem, "name it with --label")
            return None
        return data.batch(torch.arange(len(data))).y

    # ---- numbers

    @torch.no_grad()
    def predict(self, data: Dataset, *, seed: int = 0, keep: Tensor | None = None) -> Predictions:
        """The class of every example, and how likely each class is where the model says so.

        Arguments:
            data: the examples.
            seed: of the noise of a density that is only bounded.
            keep: which values of x may be looked at, broadcastable to all of x; the others count as missing.

        Raises:
            UserError: the model tells no classes.
        """
        model = self.need("predict")
        assert isinstance(self.schema.y, Label)
        believes = isinstance(model, Believes)
        labels, posterior = [], []
        for number, batch in enumerate(self.batches(data)):
            if keep is not None:
                seen = keep[number * BATCH : number * BATCH + len(batch)]
                batch = Batch(batch.x, batch.y, seen if batch.mask is None else seen & batch.mask)
            with seeds.seeded(seed, "predict", number):
                if believes:
                    posterior.append(model.log_posterior(batch).double())
                    labels.append(posterior[-1].argmax(1))
                else:
                    labels.append(model.decide(batch))
        return Predictions(
            self.schema.y.names,
            torch.cat(labels).numpy(),
            torch.cat(posterior).numpy() if believes else None,
            None if data.y is None else data.y.numpy(),
        )

    @torch.no_grad()
    def score(self, data: Dataset, *, samples: int = 100, seed: int = 0) -> Likelihood:
        """The log-likelihood of every example (or a bound on it, and says so).

        Raises:
            UserError: the model gives no likelihood, or fewer than one importance sample is asked for.
        """
        model = self.need("score")
        if not 1 <= samples <= 1_000_000:
            raise UserError(
                "E-SCO-20",
                "--samples",
                f"{samples} is out of range, wanted 1 to 1000000",
                "choose a number in the range",
            )
        check_seed(seed, "E-SCO-20")
        bound = bool(model.log_prob_is_bound)
        # A bound by codes has nothing drawn in it that more samples would tighten.
        samples = 0 if getattr(model, "by_codes", False) else samples
        if isinstance(model, Joins):
            return self._joint(model, data, samples, seed, bound)
        batches = (Batch(b.x, self._condition(b), b.mask) for b in self.batches(data, 64))
        values = likelihoods(model, batches, samples=samples, seed=seed)
        if isinstance(self.schema.x, Text):
            # What ends a text is told like its bytes; where none does, the text goes on.
            told = (data.x != self.schema.x.end).sum(1) + (data.x == self.schema.x.end).any(1)
            return Likelihood(values, bits_per_dimension(values, told.numpy()), samples, bound, per="byte")
        return Likelihood(values, bits_per_dimension(values, self.image.values), samples, bound)

    def _joint(self, model: Joins, data: Dataset, samples: int, seed: int, bound: bool) -> Likelihood:
        """log p(x), and log p(x, y) of the examples' own labels."""
        parts = []
        for number, batch in enumerate(self.batches(data)):
            with seeds.seeded(seed, "likelihood", number):
                parts.append(model.log_joint(batch, samples=samples).double())
        each = torch.cat(parts)
        joint = None
        if data.y is not None and bool((data.y >= 0).any()):
            own = each.gather(1, data.y.clamp_min(0).unsqueeze(1)).squeeze(1)
            joint = torch.where(data.y >= 0, own, torch.nan)
        nats = torch.logsumexp(each, 1)
        if isinstance(self.schema.x, Table):
            # The model sees standardised numbers: a density in the data's own units is smaller by their scales.
            nats, joint = nats - self._volumes(data), None if joint is None else joint - self._volumes(data)
        stored = (bound or getattr(model, "of_levels", False)) and isinstance(self.schema.x, Image)
        bits = bits_per_dimension(nats.numpy(), self.image.values) if stored else None
        units = "the data's own units" if isinstance(self.schema.x, Table) else "values from 0 to 1"
        return Likelihood(nats.numpy(), bits, samples, bound, None if joint is None else joint.numpy(), units)

    def _volumes(self, data: Dataset) -> Tensor:
        """Of every row, the sum of the log scales of its numbers that are there, (N,)."""
        assert isinstance(self.schema.x, Table)
        scales = torch.tensor([c.scale if c.kind in ("number", "date") else 1.0 for c in self.schema.x.columns])
        return self.schema.x.observed(data.x).double() @ scales.double().log()

    def batches(self, data: Dataset, size: int = BATCH) -> list[Batch]:
        """The examples of a data set in order."""
        return [data.batch(torch.arange(i, min(i + size, len(data)))) for i in range(0, len(data), size)]

    def _condition(self, batch: Batch) -> Tensor | None:
        if not self.conditional:
            return None
        if batch.y is None:
            remedy = "put each kind in a sub-folder named as in training"
            raise UserError("E-*-25", "input", "has no labels, and this model is conditional", remedy)
        return batch.y


def check_seed(seed: int, code: str) -> None:
    """Refuse a seed that is out of range.

    Raises:
        UserError: with the range.
    """
    if not 0 <= seed < seeds.SEED_LIMIT:
        raise UserError(
            code, "--seed", f"{seed} is out of range, wanted 0 to 2^63 - 1", "choose a seed in the range", found=seed
        )


def truncated(z: Tensor, most: float) -> Tensor:
    """Normal draws as draws of the normal distribution within ±most: at the same quantiles.

    Example:
        >>> truncated(torch.tensor([-9.0, 0.0, 9.0]), 2.0).tolist()
        [-2.0, 0.0, 2.0]
    """
    low = torch.special.ndtr(torch.tensor(-most, dtype=torch.float64, device=z.device))
    inside = torch.lerp(low, 1 - low, torch.special.ndtr(z.double()))
    moved: Tensor = torch.special.ndtri(inside)
    return moved.to(z.dtype)


def spherical(a: Tensor, b: Tensor, t: Tensor | float) -> Tensor:
    """The point at t on the great circle from a to b; their lengths are interpolated too.

    Example:
        >>> spherical(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 0.5).tolist()
        [0.7071067690849304, 0.7071067690849304]
    """
    length_a, length_b = a.norm(), b.norm()
    if length_a < 1e-6 or length_b < 1e-6:
        return torch.lerp(a, b, torch.as_tensor(t))
    u, v = a / length_a, b / length_b
    angle = torch.acos((u * v).sum().clamp(-1, 1))
    if angle < 1e-4:
        return torch.lerp(a, b, torch.as_tensor(t))
    direction: Tensor = (torch.sin((1 - t) * angle) * u + torch.sin(t * angle) * v) / torch.sin(angle)
    length: Tensor = torch.lerp(length_a, length_b, torch.as_tensor(t))
    return direction * length
