"""Loading a trained model and its schema from a run folder."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seisei import catalog
from seisei.batch import Batch
from seisei.capabilities import Classifies, HasJoint, HasPosterior, offers
from seisei.data.dataset import Dataset
from seisei.errors import UserError
from seisei.modalities.conditions import Said
from seisei.modalities.image import Image
from seisei.progress import tick
from seisei.schema import Schema
from seisei.spec import Spec
from seisei.training.loop import load_weights
from seisei.training.memory import check_weights, outline
from seisei.training.run import RunFolder

Pixels = NDArray[np.uint8]
# Continuous latents, or discrete codes.
Latents = NDArray[np.float32] | NDArray[np.int64]
# A label or condition: one for all examples, or one for each.
Labels = Said | Sequence[Said] | None
BATCH = 256


class Artifact:
    """A trained model with its schema.

    Arguments:
        model: trained model; it is set to evaluation mode.
        schema: modalities of x and y.
        card: provenance: recipe, data, step.
        digest: SHA-256 of the weights, stored with latents and samples to identify the model.
        notes: remarks from loading.
    """

    def __init__(
        self, model: nn.Module, schema: Schema, card: dict[str, Any], digest: str, notes: Sequence[str] = ()
    ) -> None:
        self.model, self.schema, self.card, self.digest, self.notes = model.eval(), schema, card, digest, list(notes)
        self.device = next(itertools.chain(model.parameters(), model.buffers())).device

    @classmethod
    def load(
        cls, path: str | Path, *, step: int | None = None, weights: Literal["average", "last"] = "average"
    ) -> Self:
        """The model of a run.

        Arguments:
            path: run folder.
            step: step of the checkpoint; by default the best one if the run selected it, else the newest complete one.
            weights: exponential moving average of the weights, or those of the last step.

        Raises:
            UserError: no such run, or no complete checkpoint in it.
        """
        run = RunFolder.open(path)
        catalog.fill()
        recipe, schema = run.recipe(), Schema.from_json(run.read("schema.json"), f"{path}/schema.json")
        checkpoint, notes = run.checkpoints.newest(exact=step)
        best = checkpoint.state.get("best")
        if step is None and weights == "average" and best is not None and int(best[1]) in run.checkpoints.steps():
            checkpoint, _ = run.checkpoints.newest(exact=int(best[1]))
        try:
            tree = recipe["plan"]["objective"]["arguments"]["model"]
        except (KeyError, TypeError) as error:
            raise UserError(
                "E-*-02", f"{path}/recipe.json", f"lacks {error}", "use a run folder that seisei created"
            ) from error
        spec = Spec.from_json(tree, f"{path}/recipe.json")
        name = weights if weights == "average" and "average" in checkpoint.tensors else "model"
        where = f"{checkpoint.path.name}/{name}.safetensors"
        # Check sizes in recipe.json against those of the weights before allocating memory.
        check_weights(outline(spec).state_dict(), checkpoint.tensors[name], where)
        model = spec.build()
        if isinstance(model, Classifies) and not schema.classes:
            problem = f"lacks 'y', the classes of a {type(model).__name__}"
            raise UserError("E-*-02", f"{path}/schema.json", problem, "restore the original file, or train again")
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
        if (Path(path) / "codec" / "recipe.json").is_file():
            card["codec"] = str(Path(path) / "codec")
        return cls(model, schema, {**card, "data": recipe.get("data", {})}, digest, notes)

    @property
    def image(self) -> Image:
        """The image modality of x."""
        assert isinstance(self.schema.x, Image)
        return self.schema.x

    @property
    def classes(self) -> int:
        """Number of classes the model was trained with; 0 if it was trained without labels."""
        if isinstance(self.model, Classifies):
            return len(self.schema.classes)
        return int(getattr(self.model, "classes", 0))

    @property
    def conditional(self) -> bool:
        """Whether the model needs a label or condition as input; a classifier predicts it instead."""
        return bool(self.classes) and not isinstance(self.model, Classifies)

    @property
    def verbs(self) -> list[str]:
        """Operations that the model supports."""
        return offers(self.model, images=self.schema.x.noun == "image")

    @property
    def knows(self) -> set[str]:
        """Outputs of a classifier besides a class: ``probabilities`` of classes, and the ``joint`` density."""
        capabilities = {"probabilities": HasPosterior, "joint": HasJoint}
        return {name for name, capability in capabilities.items() if isinstance(self.model, capability)}

    def need(self, verb: str) -> Any:
        """The model, if it supports the operation.

        Raises:
            UserError: it does not; the message lists what it supports.
        """
        if verb not in self.verbs:
            problem = f"this model cannot {verb}; it can: {', '.join(self.verbs)}"
            remedy = "choose one of these commands"
            if (codec := self.card.get("codec")) and verb in ("encode", "decode", "reconstruct"):
                remedy = f"use its codec: {codec}"
            raise UserError("E-*-08", self.card.get("run", "model"), problem, remedy, wanted=self.verbs)
        return self.model

    def batches(self, data: Dataset, size: int = BATCH) -> Iterator[Batch]:
        """Batches of a data set in order, with progress reports."""
        for start in range(0, len(data), size):
            stop = min(start + size, len(data))
            yield data.batch(torch.arange(start, stop))
            tick(stop, len(data))

    def labels(self, n: int, label: Labels = None) -> Tensor | None:
        """Class indices for n examples, (n,), or condition vectors, (n, K); None for an unconditional model.

        Raises:
            UserError: unknown labels, a wrong number of labels, or labels for an unconditional model.
        """
        if not self.classes:
            if label is not None:
                raise UserError(
                    "E-SMP-13", "--label", "this model was trained without labels", "train with --condition label"
                )
            return None
        if label is None and isinstance(self.model, HasJoint):
            return None
        names = [label] if isinstance(label, (str, Mapping)) or label is None else list(label)
        if len(names) not in (1, n):
            problem = f"{len(names)} labels for {n} examples"
            raise UserError(
                "E-SMP-14", "--label", problem, "give one label, or one per example", found=len(names), wanted=n
            )
        end: Any = self.schema.y
        return end.unpack(end.parse([*names] * n if len(names) == 1 else [*names], n))  # type: ignore[no-any-return]

    def _conditions(self, data: Dataset) -> Tensor | None:
        """Labels or conditions of a data set for a conditional model; None for others."""
        if not self.classes or data.y is None or not bool((data.y >= 0).all()):
            if self.conditional:
                problem = "has no labels, and this model is conditional"
                raise UserError("E-*-25", "input", problem, "give one with --label")
            return None
        return data.batch(torch.arange(len(data))).y

    def _condition(self, batch: Batch) -> Tensor | None:
        if not self.conditional:
            return None
        if batch.y is None:
            remedy = "put each class in a subfolder named as in training"
            raise UserError("E-*-25", "input", "has no labels, and this model is conditional", remedy)
        return batch.y
