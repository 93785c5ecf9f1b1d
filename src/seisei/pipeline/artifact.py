"""What a training leaves: a model with both its ends, read from its run folder, before it is asked anything."""

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
# Latents are numbers, codes whole numbers.
Latents = NDArray[np.float32] | NDArray[np.int64]
# The kind that is wanted: of all, or of each.
Asked = Said | Sequence[Said] | None
BATCH = 256


class Artifact:
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
    ) -> Self:
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
        recipe, schema = run.recipe(), Schema.from_json(run.read("schema.json"), f"{path}/schema.json")
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
        if isinstance(model, Classifies) and not schema.classes:
            problem = f"lacks 'y', the classes of a {type(model).__name__}"
            raise UserError("E-*-02", f"{path}/schema.json", problem, "put back the file of this run, or train again")
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
        """The image end."""
        assert isinstance(self.schema.x, Image)
        return self.schema.x

    @property
    def classes(self) -> int:
        """How many kinds the model was told apart in training, 0 where it was told of none."""
        if isinstance(self.model, Classifies):
            return len(self.schema.classes)
        return int(getattr(self.model, "classes", 0))

    @property
    def conditional(self) -> bool:
        """Whether the model must be told the kind of everything it works on; a classifier finds it out."""
        return bool(self.classes) and not isinstance(self.model, Classifies)

    @property
    def verbs(self) -> list[str]:
        """What this model can do."""
        return offers(self.model, images=self.schema.x.noun == "image")

    @property
    def knows(self) -> set[str]:
        """What a classifier can tell beside a class: ``probabilities`` of classes, and the ``joint`` of all."""
        told = {"probabilities": HasPosterior, "joint": HasJoint}
        return {what for what, capability in told.items() if isinstance(self.model, capability)}

    def need(self, verb: str) -> Any:
        """The model, when it offers the verb.

        Raises:
            UserError: it does not; what it can do instead.
        """
        if verb not in self.verbs:
            problem = f"this model cannot {verb}; it can: {', '.join(self.verbs)}"
            remedy = "choose one of these verbs"
            if (codec := self.card.get("codec")) and verb in ("encode", "decode", "reconstruct"):
                remedy = f"give its codec: {codec}"
            raise UserError("E-*-08", self.card.get("run", "model"), problem, remedy, wanted=self.verbs)
        return self.model

    def batches(self, data: Dataset, size: int = BATCH) -> Iterator[Batch]:
        """The examples of a data set in order; whoever listens is told how many were taken."""
        for start in range(0, len(data), size):
            stop = min(start + size, len(data))
            yield data.batch(torch.arange(start, stop))
            tick(stop, len(data))

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
        if label is None and isinstance(self.model, HasJoint):
            return None
        names = [label] if isinstance(label, (str, Mapping)) or label is None else list(label)
        if len(names) not in (1, n):
            problem = f"{len(names)} labels for {n} images"
            raise UserError(
                "E-SMP-14", "--label", problem, "give one label, or one for each image", found=len(names), wanted=n
            )
        end: Any = self.schema.y
        return end.unpack(end.parse([*names] * n if len(names) == 1 else [*names], n))  # type: ignore[no-any-return]

    def _told(self, data: Dataset) -> Tensor | None:
        """What a model is told of examples: of all of them, or nothing."""
        if not self.classes or data.y is None or not bool((data.y >= 0).all()):
            if self.conditional:
                problem = "has no labels, and this model is conditional"
                raise UserError("E-*-25", "input", problem, "name it with --label")
            return None
        return data.batch(torch.arange(len(data))).y

    def _condition(self, batch: Batch) -> Tensor | None:
        if not self.conditional:
            return None
        if batch.y is None:
            remedy = "put each kind in a sub-folder named as in training"
            raise UserError("E-*-25", "input", "has no labels, and this model is conditional", remedy)
        return batch.y
