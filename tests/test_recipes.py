"""Conformance: every recipe is put to every check that its model's capabilities call for.

A new family adds rows to CASES, no code.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import inspect
import json
import math
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, get_args, get_origin

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import seisei
import seisei.data.types
from seisei import capabilities, catalog, seeds
from seisei.batch import Batch
from seisei.capabilities import (
    VERBS,
    ClassConditional,
    Classifies,
    Decodes,
    Encodes,
    HasEncoderPosterior,
    HasJoint,
    HasPosterior,
    Imputes,
    Interpolates,
    Quantizes,
    Samples,
    Scores,
    Stylizes,
    Translates,
    offers,
)
from seisei.data.dataset import Dataset
from seisei.data.loader import Loader, Order
from seisei.errors import UserError
from seisei.modalities.conditions import Conditions
from seisei.modalities.image import Image
from seisei.modalities.label import Label
from seisei.modalities.label_map import LabelMap
from seisei.modalities.table import Column, Table
from seisei.modalities.text import Text
from seisei.nn.style.vgg import VGG
from seisei.objectives.base import Loss, Objective, Turn
from seisei.objectives.vq import Coding
from seisei.recipes import RECIPES, recipe
from seisei.schema import Describable, Schema
from seisei.spec import CATALOG, Range, Spec, parameters
from seisei.training.backend import float32_is_routed, route_float32
from seisei.training.checkpoint import Checkpoint
from seisei.training.engine import Engine, Execution
from seisei.training.loop import Training
from seisei.training.memory import outline
from seisei.training.plan import Plan
from seisei.training.run import FORMAT
from seisei.training.step import GradientStep
from seisei.training.tensors import from_bytes, to_bytes

catalog.fill()
KINDS = Label(("cat", "dog", "owl"))
SEVERAL = Conditions(
    (
        Column("age", "number", mean=4.0, scale=2.0),
        Column("pet", "category", ("ant", "bee", "cow")),
        Column("wet", "boolean", ("0", "1")),
    ),
    ((1.0, 0.0, 1.0), (4.0, 2.0, 0.0), (7.0, 1.0, 0.0)),
)
ROWS = Table(
    (
        Column("age", "number", mean=40.0, scale=10.0),
        Column("pet", "category", ("ant", "bee", "cow")),
        Column("height", "number", mean=1.7, scale=0.1, decimals=2),
        Column("member", "boolean", ("no", "yes")),
        Column("since", "date", mean=15_000.0, scale=900.0, form="%Y-%m-%d"),
    )
)
SCHEMAS = {
    "gray 8×8": Schema(Image(8, 8, 1, 17), KINDS),
    "color 16×16": Schema(Image(16, 16, 3, 256)),
    "told color 13×16": Schema(Image(13, 16, 3, 256), SEVERAL),
    "captioned 12×16": Schema(Image(12, 16, 3, 256), Text(6, ("a cat", "an ox", "é"))),
    "texts": Schema(Text(6, ("a cat", "an ox", "é"))),
    "told rows": Schema(
        Table(
            (Column("height", "number", mean=1.7, scale=0.1, decimals=2), Column("member", "boolean", ("no", "yes")))
        ),
        SEVERAL,
    ),
    "binary 28×28": Schema(Image(28, 28, 1, 2), KINDS),
    "odd 13×19": Schema(Image(13, 19, 1, 256), KINDS),
    "maps 20×24": Schema(Image(20, 24, 3, 256), LabelMap(20, 24, ((0, 0, 0), (255, 0, 0), (9, 9, 9)))),
    "pairs 13×16": Schema(Image(13, 16, 3, 256), Image(13, 16, 1, 256)),
    "mixed rows": Schema(ROWS, KINDS),
    "plain rows": Schema(ROWS),
}


@dataclass(frozen=True)
class Case:
    """A recipe with small dials on a schema."""

    recipe: str
    schema: str
    dials: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        told = {k: Path(v).name if k == "features" else v for k, v in self.dials.items() if k not in SMALL}
        return f"{self.recipe}, {self.schema}" + "".join(f", {k}={v}" for k, v in told.items())


def codec() -> str:
    """The recipe of a codec, in a folder: weights are by chance in these checks."""
    home = Path(tempfile.mkdtemp(prefix="seisei-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    # The name of a case, the same in every process.
    (folder := home / "codec").mkdir()
    schema = Schema(Image(16, 16))
    plan = recipe("vqvae")(schema, codebook_size=16, width=8, depth=1, downsample=4)
    for name, told in (("recipe", {"format": FORMAT, "plan": plan.to_json()}), ("schema", schema.to_json())):
        (folder / f"{name}.json").write_text(json.dumps(told))
    return str(folder)


SMALL = {"latent": 3, "width": 16, "depth": 1, "steps": 20, "iterations": 20, "batch": 8}
PRIOR = {"layers": 1, "heads": 2}
CONV = {"network": "conv", "width": 6, "depth": 1}


def vgg() -> str:
    """A file with the names and shapes of VGG-19, zeros all of them: weights are by chance in these checks."""
    folder = Path(tempfile.mkdtemp(prefix="seisei-vgg-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    zeros = {name: torch.zeros(value.shape) for name, value in outline(Spec(VGG)).state_dict().items()}
    (folder / "vgg19.safetensors").write_bytes(to_bytes(zeros))
    return str(folder / "vgg19.safetensors")


SMALL = {"latent": 3, "width": 16, "depth": 1, "steps": 20, "iterations": 20, "batch": 8}
PRIOR = {"layers": 1, "heads": 2}
CONV = {"network": "conv", "width": 6, "depth": 1}
CASES = [
    Case(name, schema, {**{k: v for k, v in SMALL.items() if k in parameters(recipe(name))}, **dials})
    for name, schema, dials in [
        ("vae", "gray 8×8", {"network": "mlp"}),
        ("vae", "gray 8×8", {"head": "bernoulli", "free_bits": 0.1, "beta": 0.5}),
        ("vae", "gray 8×8", {"prior": "vamp", "components": 5}),
        ("vae", "gray 8×8", {"prior": "vamp", "components": 5, "condition": "label", "importance_samples": 3}),
        ("vae", "gray 8×8", {"condition": "label"}),
        ("vae", "gray 8×8", {"importance_samples": 3, "depth": 2}),
        ("vae", "color 16×16", {**CONV}),
        ("vae", "color 16×16", {**CONV, "head": "logistic"}),
        ("vae", "binary 28×28", {"network": "mlp"}),
        ("vae", "binary 28×28", {**CONV, "condition": "label"}),
        ("vae", "odd 13×19", {**CONV, "head": "logistic", "importance_samples": 3}),
        ("vae", "odd 13×19", {"network": "mlp", "warmup": 0.0}),
        ("gan", "gray 8×8", {}),
        ("gan", "odd 13×19", {**CONV, "loss": "non-saturating"}),
        ("gan", "mixed rows", {"loss": "wasserstein"}),
        ("gan", "color 16×16", {**CONV, "loss": "hinge"}),
        ("cgan", "gray 8×8", {"loss": "minimax"}),
        ("cgan", "binary 28×28", {**CONV}),
        ("cgan", "mixed rows", {}),
        ("cgan", "told color 13×16", {**CONV, "loss": "hinge"}),
        ("cgan", "told rows", {}),
        ("autoencoder", "gray 8×8", {}),
        ("autoencoder", "color 16×16", {**CONV, "head": "logistic"}),
        ("autoencoder", "binary 28×28", {**CONV}),
        ("autoencoder", "odd 13×19", {"network": "mlp"}),
        ("discriminant", "gray 8×8", {"method": "perceptron"}),
        ("discriminant", "mixed rows", {"method": "linear"}),
        ("discriminant", "mixed rows", {"method": "kernel", "landmarks": 20}),
        ("discriminative", "gray 8×8", {"network": "linear"}),
        ("discriminative", "mixed rows", {"network": "linear"}),
        ("discriminative", "mixed rows", {"network": "mlp"}),
        ("discriminative", "binary 28×28", {**CONV}),
        ("generative", "gray 8×8", {"density": "gaussian", "iterations": 1}),
        ("generative", "odd 13×19", {"density": "linear", "iterations": 1, "prior": "uniform"}),
        ("generative", "gray 8×8", {"density": "ppca-mixture", "components": 2, "rank": 3, "iterations": 3}),
        ("generative", "gray 8×8", {"density": "kde", "max_points": 50, "iterations": 1}),
        ("generative", "gray 8×8", {"density": "vae"}),
        ("generative", "odd 13×19", {"density": "vae", "head": "logistic", "max_shift": 1}),
        ("generative", "gray 8×8", {"density": "vae", "mask_prob": 0.5}),
        ("generative", "mixed rows", {"density": "vae", "mask_prob": 0.5}),
        (
            "generative",
            "gray 8×8",
            {"density": "ppca-mixture", "components": 2, "rank": 3, "iterations": 3, "max_shift": 1},
        ),
        ("generative", "mixed rows", {"density": "gaussian", "iterations": 3}),
        ("generative", "mixed rows", {"density": "linear", "iterations": 3}),
        ("generative", "mixed rows", {"density": "naive", "iterations": 3}),
        ("generative", "mixed rows", {"density": "mixture", "components": 2, "iterations": 3}),
        ("generative", "mixed rows", {"density": "ppca-mixture", "components": 2, "rank": 2, "iterations": 3}),
        ("generative", "mixed rows", {"density": "kde", "max_points": 50, "iterations": 1}),
        ("generative", "mixed rows", {"density": "vae"}),
        ("density", "gray 8×8", {"components": 2, "rank": 3, "iterations": 3}),
        ("density", "gray 8×8", {"method": "kde", "max_points": 50}),
        ("density", "plain rows", {"method": "gaussian", "iterations": 3}),
        ("density", "plain rows", {"method": "mixture", "components": 2, "iterations": 3}),
        ("density", "plain rows", {"method": "naive", "iterations": 3}),
        ("density", "plain rows", {"method": "kde", "max_points": 50}),
        ("density", "plain rows", {"method": "vae"}),
        ("vqvae", "gray 8×8", {"codebook_size": 8, "code_dim": 4}),
        ("vqvae", "color 16×16", {"codebook_size": 8, "quantizers": 2, "gradient": "rotation"}),
        (
            "vqvae",
            "binary 28×28",
            {"codebook_size": 8, "quantizers": 2, "quantizer_mode": "product", "quantizer": "cosine"},
        ),
        ("vqvae", "odd 13×19", {"codebook_size": 8, "quantizer": "gradient", "downsample": 4}),
        ("vqvae", "gray 8×8", {"codebook_size": 8, "quantizer": "simvq"}),
        ("vqvae", "gray 8×8", {"codebook_size": 60, "quantizer": "fsq"}),
        ("vqvae", "gray 8×8", {"codebook_size": 64, "quantizer": "lfq"}),
        ("vqvae", "color 16×16", {"codebook_size": 8, "gan_weight": 0.5, "downsample": 4}),
        ("vqvae2", "odd 13×19", {"codebook_size": 8, "downsample": 2, "head": "logistic"}),
        ("vqvae+prior", "gray 8×8", {**PRIOR, "codebook_size": 8, "condition": "label"}),
        ("prior", "gray 8×8", {**PRIOR}),
        ("prior", "binary 28×28", {**PRIOR}),
        ("prior", "texts", {**PRIOR}),
        ("prior", "gray 8×8", {**PRIOR, "condition": "label"}),
        ("prior", "told color 13×16", {**PRIOR, "condition": "label"}),
        ("vqvae+prior", "captioned 12×16", {**PRIOR, "codebook_size": 8, "condition": "label"}),
        ("pix2pix", "pairs 13×16", {"width": 8, "downsample": 4}),
        (
            "pix2pix",
            "pairs 13×16",
            {"width": 8, "downsample": 4, "noise": "latent", "l1_baseline": True, "loss": "relativistic"},
        ),
        (
            "pix2pix",
            "pairs 13×16",
            {
                "width": 8,
                "downsample": 4,
                "noise": "dropout",
                "loss": "hinge",
                "r1_gamma": 0.0,
                "feature_matching": 10.0,
            },
        ),
        (
            "pix2pix",
            "pairs 13×16",
            {"width": 8, "downsample": 2, "network": "residual", "gan_weight": 0.0, "feature_matching": 0.0},
        ),
        ("pix2pix", "maps 20×24", {"width": 8, "downsample": 2, "discriminator": "oasis"}),
        ("stylize", "pairs 13×16", {"width": 8}),
        ("stylize", "pairs 13×16", {"width": 4, "features": vgg()}),
        ("stylize", "pairs 13×16", {"features": codec()}),
        ("colorize", "color 16×16", {"width": 8, "downsample": 4, "loss": "least-squares"}),
    ]
]
every_case = pytest.mark.parametrize("case", CASES, ids=str)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small are slower on several threads, above all when the machine is busy."""
    before, routed = torch.get_num_threads(), float32_is_routed()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    # Engines that nobody leaves would hand their levers on to the tests that follow.
    route_float32(routed)


def plan_of(case: Case) -> Plan:
    return recipe(case.recipe)(SCHEMAS[case.schema], **case.dials)


def objective_of(case: Case) -> Objective:
    with seeds.seeded("conformance"):
        objective: Objective = plan_of(case).objective.build()
    return objective


def sweeps(case: Case) -> bool:
    """Whether the model is fitted without gradients."""
    return objective_of(case).turns()[-1].sweep is not None


DESCENDING = [case for case in CASES if not sweeps(case)]
every_descent = pytest.mark.parametrize("case", DESCENDING, ids=str)
every_sweep = pytest.mark.parametrize("case", [case for case in CASES if sweeps(case)], ids=str)


def mixed_rows(count: int) -> Tensor:
    """Rows of `mixed rows`, their classes told by every column, a tenth of the cells empty."""
    random = np.random.default_rng(0)
    kind = np.arange(count) % 3
    age, height = 30 + 10 * kind + random.normal(0, 4, count), 1.6 + 0.1 * kind + random.normal(0, 0.05, count)
    pet, member = (kind + (random.random(count) < 0.2)) % 3, (kind == 1) ^ (random.random(count) < 0.1)
    since = 14_000 + 900 * kind + random.normal(0, 300, count)
    values = np.stack([age.round(), pet, height.round(2), member, since.round()], 1)
    values[random.random(values.shape) < 0.1] = np.nan
    return torch.from_numpy(values)


@functools.cache
def stored(schema: str, count: int = 8) -> Tensor:
    """Images with something to learn: blobs, on the schema's levels; or rows, or texts."""
    image = SCHEMAS[schema].x
    if isinstance(image, Text):
        return image.parse(["a cat", "an ox", "é", ""] * (count // 4 + 1), count // 4 * 4 + 4)[:count].to(torch.int16)
    if isinstance(image, Table):
        return mixed_rows(count)[:, [2, 3] if len(image.columns) == 2 else [0, 1, 2, 3, 4]]
    assert isinstance(image, Image)
    random = np.random.default_rng(0)
    down, right = np.mgrid[: image.height, : image.width]
    rows = []
    for _ in range(count * image.channels):
        y, x, r = random.uniform(0, image.height), random.uniform(0, image.width), random.uniform(2, image.height / 2)
        rows.append(np.exp(-((down - y) ** 2 + (right - x) ** 2) / r**2))
    values = np.array(rows).reshape(count, *image.shape)
    return torch.from_numpy(np.rint(values * (image.levels - 1)).astype(np.uint8))


def packed_y(case: Case, count: int) -> Tensor | None:
    """What goes with the examples of `stored`, as data sets hold it."""
    y = SCHEMAS[case.schema].y
    if y is None or isinstance(y, Label):
        return None if y is None else torch.arange(count) % 3
    if isinstance(y, Describable):
        return y.parse(None, count)
    seen = stored(case.schema, max(8, count))[:count].amax(1, keepdim=True)
    return (seen > 80).to(torch.uint8) + (seen > 160).to(torch.uint8) if isinstance(y, LabelMap) else seen


def batch_of(case: Case, count: int = 8) -> Batch:
    schema = SCHEMAS[case.schema]
    y = packed_y(case, count)
    packed = stored(case.schema, max(8, count))[:count]
    return Batch(
        schema.x.unpack(packed),
        None if y is None or schema.y is None else schema.y.unpack(y),
        schema.x.observed(packed),
    )


def fitted(case: Case, count: int = 60) -> nn.Module:
    """The model, after the sweeps of its plan where it is fitted by those."""
    objective = objective_of(case)
    batch = batch_of(case, count)
    objective.initialize(batch)
    for turn in objective.turns():
        for _ in range(plan_of(case).steps if turn.sweep else 0):
            assert turn.sweep is not None
            turn.sweep(lambda: batch.split(25))
    return objective.model.eval()


def condition(model: nn.Module, n: int) -> Tensor | None:
    if text := getattr(model, "text", 0):
        return Text(text, ("a cat", "an ox", "é")).parse(None, n)
    return torch.arange(n) % model.classes if isinstance(model, ClassConditional) and model.classes else None


def play(objective: Objective, batch: Batch, t: float = 0.5, step: int = 0) -> dict[str, Tensor]:
    losses = {}
    for turn in gradient_turns(objective) or objective.turns():
        with seeds.drawing(seeds.Draws(0, step, total=len(batch), offset=0)):
            losses[turn.name] = turn.loss(batch, t).total
    return losses


def gradient_turns(objective: Objective) -> list[Turn]:
    return [turn for turn in objective.turns() if turn.sweep is None]


# ---- coverage: nothing escapes ----


def test_every_recipe_has_cases() -> None:
    assert {c.recipe for c in CASES} == set(RECIPES)


def named(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        yield from [tree[k] for k in ("class", "modality") if k in tree]
        for value in tree.values():
            yield from named(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from named(value)


def test_every_listed_class_is_in_some_case() -> None:
    """A class without a case would be offered untested: add a row to CASES."""
    used = {
        name
        for case in CASES
        for tree in (plan_of(case).to_json(), SCHEMAS[case.schema].to_json())
        for name in named(tree)
    }
    # Other tests list toys of their own.
    assert used == {name for name, cls in CATALOG.items() if cls.__module__.startswith("seisei.")}


def test_every_module_that_lists_a_class_is_in_the_catalog() -> None:
    source = Path(seisei.__file__).parent
    listing = {
        "seisei." + ".".join(p.relative_to(source).with_suffix("").parts)
        for p in source.rglob("*.py")
        if re.search(r"^@listed$", p.read_text("utf-8"), re.M)
    }
    assert listing == set(catalog.MODULES)


# ---- the plan ----


@every_case
def test_a_plan_survives_json_and_builds_the_same(case: Case) -> None:
    plan = plan_of(case)
    again = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again == plan and again.to_json() == plan.to_json()
    with seeds.seeded("conformance"):
        other = again.objective.build()
    one = objective_of(case)
    assert type(one) is type(other) and one.state_dict().keys() == other.state_dict().keys()
    assert all(torch.equal(v, other.state_dict()[k]) for k, v in one.state_dict().items())
    assert play(one, batch_of(case)) == play(other, batch_of(case))


@every_case
def test_every_default_is_written_down(case: Case) -> None:
    def resolved(tree: Any) -> None:
        if isinstance(tree, dict) and "class" in tree:
            assert set(tree["arguments"]) == set(parameters(CATALOG[tree["class"]])), tree["class"]
            for value in tree["arguments"].values():
                resolved(value)

    resolved(plan_of(case).to_json()["objective"])


# ---- the loss ----


@every_descent
def test_losses_are_finite_and_every_parameter_of_a_player_and_no_other_gets_a_gradient(case: Case) -> None:
    objective, batch = objective_of(case), batch_of(case)
    for t in (0.0, 0.5, 1.0):
        assert all(bool(torch.isfinite(loss)) for loss in play(objective, batch, t).values())
    # Two steps first: what starts at zero hides what stands before it, which may have a part that starts at zero too.
    optimizer = torch.optim.SGD(objective.parameters(), lr=1e-5)
    for _ in range(2):
        optimizer.zero_grad()
        sum(play(objective, batch).values()).backward()  # type: ignore[union-attr]
        optimizer.step()
    players = {turn.name: set(turn.player.parameters()) for turn in gradient_turns(objective)}
    learned = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    assert set().union(*players.values()) == set(learned)
    names = {p: n for n, p in objective.named_parameters()}
    for turn in gradient_turns(objective):
        objective.zero_grad(set_to_none=True)
        for player in gradient_turns(objective):
            player.player.requires_grad_(player.name == turn.name)
        play(objective, batch)[turn.name].backward()
        for parameter, name in names.items():
            if parameter in players[turn.name]:
                assert parameter.grad is not None and bool(torch.isfinite(parameter.grad).all()), name
                assert float(parameter.grad.abs().sum()) > 0, f"{name} has no part in the loss"
            else:
                assert parameter.grad is None, f"{name} belongs to another player than {turn.name}"


@every_descent
def test_the_loss_falls_on_one_batch(case: Case) -> None:
    """Of a game, each player's against another that stands still."""
    for number in range(len(gradient_turns(objective_of(case)))):
        objective, batch = objective_of(case), batch_of(case)
        if not isinstance(objective, Coding):  # which would start where noise leaves nothing to learn
            objective.initialize(batch)
        turn = gradient_turns(objective)[number]

        def measured(objective: Objective = objective, batch: Batch = batch, turn: Turn = turn) -> float:
            losses = [float(play(objective, batch, 1.0, 1000 + i)[turn.name].detach()) for i in range(5)]
            return float(np.mean(losses))

        before = measured()
        optimizer = torch.optim.Adam(turn.player.parameters(), lr=5e-3)
        for step in range(60):
            optimizer.param_groups[0]["lr"] = 5e-3 * (1 - step / 60)  # a large last step may miss
            optimizer.zero_grad()
            play(objective, batch, 1.0, step)[turn.name].backward()
            optimizer.step()
            if turn.settle is not None:
                turn.settle(lambda counted: counted)
        after = measured()
        # A game's cost is of the order of 1, a bound's of the pixels; what begins near its end has a tenth to go.
        least = min(0.5, 0.1 * abs(before)) if turn.name == "model" else 0.0
        assert after < before - 0.02 * abs(before) - least, (turn.name, before, after)


# Free bits are a floor under the batch's mean, so parts differ from the whole by definition: no other term may.
@pytest.mark.parametrize("case", [c for c in DESCENDING if not c.dials.get("free_bits")], ids=str)
def test_the_loss_is_a_mean_over_examples(case: Case) -> None:
    """In float64: losses of equal parts, each with its slice of the noise, average to the whole's; so do gradients."""
    objective, batch = objective_of(case).double(), batch_of(case)
    batch = Batch(batch.x.double(), batch.y, batch.mask)
    for turn in gradient_turns(objective):
        parameters_ = list(turn.player.parameters())
        whole = play(objective, batch)[turn.name]
        gradients = torch.autograd.grad(whole, parameters_)
        sums, losses = [torch.zeros_like(p) for p in parameters_], []
        for i, part in enumerate(batch.split(2)):
            with seeds.drawing(seeds.Draws(0, 0, total=8, offset=2 * i)):
                loss = turn.loss(part, 0.5).total / 4
            losses.append(float(loss.detach()))
            sums = [a + g for a, g in zip(sums, torch.autograd.grad(loss, parameters_), strict=True)]
        assert abs(sum(losses) - float(whole.detach())) < 1e-9 * abs(float(whole.detach()))
        assert all(
            float((a - b).abs().max()) <= 1e-9 * max(1.0, float(b.abs().max()))
            for a, b in zip(sums, gradients, strict=True)
        )


@pytest.mark.parametrize("case", DESCENDING[::3], ids=str)
def test_micro_batches_move_the_weights_as_the_batch_does(case: Case) -> None:
    results = []
    for micro in (1, 2, 4):
        plan = plan_of(case).override("micro", micro)
        objective = objective_of(case)
        engine, batch = Engine(Execution(backend_tuning=False)), batch_of(case)
        moves = [GradientStep(engine, objective, turn, plan, seed=0) for turn in gradient_turns(objective)]
        moved = [m(batch, 0.5, 1e-3, step) for step in range(2) for m in moves]
        assert all(m.taken for m in moved)
        results.append((moved[-1].parts["loss"], objective.state_dict()))
    for loss, state in results[1:]:
        assert float(loss) == pytest.approx(float(results[0][0]), rel=1e-4)
        # Adam divides by the gradient's own size: where that is rounding alone, so is the step.
        assert np.mean([bool(torch.allclose(v, results[0][1][k], atol=1e-4)) for k, v in state.items()]) > 0.9


# ---- stopping and going back ----


def formats(case: Case) -> list[str]:
    """The memory formats that make a difference to a model: four-dimensional weights have several."""
    weights = outline(plan_of(case).objective).state_dict().values()
    return ["contiguous", "channels_last"] if any(weight.dim() == 4 for weight in weights) else ["contiguous"]


EVERY_FORMAT = [(case, layout) for case in CASES for layout in formats(case)]
every_format = pytest.mark.parametrize(("case", "layout"), EVERY_FORMAT, ids=str)


def training_of(case: Case, layout: str) -> Training:
    """A training of the case, in batches of 4 of 12 examples."""
    plan = replace(plan_of(case), format=layout, batch=4, steps=8)  # type: ignore[arg-type]
    x, indices = stored(case.schema, 12)[:12], torch.arange(12)
    data = Dataset(SCHEMAS[case.schema], x, packed_y(case, 12), [], {"train": indices}, "", {})
    return Training(plan, Loader(data, Order(indices, batch=4, seed=0)), Engine(Execution()), 0)


def advanced(training: Training, steps: int) -> Checkpoint:
    """What a checkpoint holds after so many steps more, as it is read from disk."""
    for _ in range(steps):
        training.advance()
    tensors, state = training.state()
    read = {name: from_bytes(to_bytes(values), name) for name, values in tensors.items()}
    return Checkpoint(training.step, Path("step"), read, json.loads(json.dumps(state)))


def same_bits(one: Checkpoint, other: Checkpoint) -> bool:
    # How long it took so far differs from run to run.
    told = [{k: v for k, v in each.state.items() if k != "seconds"} for each in (one, other)]
    return told[0] == told[1] and all(
        to_bytes(values) == to_bytes(other.tensors[name]) for name, values in one.tensors.items()
    )


@every_format
def test_resumed_or_rolled_back_it_comes_to_the_same_bits(case: Case, layout: str) -> None:
    whole = training_of(case, layout)
    early, end = advanced(whole, 2), advanced(whole, 3)
    whole.restore(early)  # a roll-back: the same training goes back to a checkpoint
    assert same_bits(advanced(whole, 3), end)
    resumed = training_of(case, layout)
    resumed.restore(early)
    assert same_bits(advanced(resumed, 0), early)
    assert same_bits(advanced(resumed, 3), end)


def test_moments_in_another_memory_format_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The power of the test above: what is restored is contiguous, as it is on disk."""
    monkeypatch.setattr("seisei.training.step.like", lambda target, value: value.clone())
    case = next(c for c in CASES if c.recipe == "vae" and c.dials.get("network") == "conv")
    with pytest.raises(AssertionError):
        test_resumed_or_rolled_back_it_comes_to_the_same_bits(case, "channels_last")


# ---- capabilities ----


MODELS = [objective_of(case).model for case in CASES]


def having(capability: type) -> Any:
    able = [case for case, model in zip(CASES, MODELS, strict=True) if isinstance(model, capability)]
    return pytest.mark.parametrize("case", able, ids=str)


@having(Samples)
def test_samples(case: Case) -> None:
    model, modality = fitted(case), SCHEMAS[case.schema].x

    @torch.no_grad()
    def draw(seed: int, n: int = 6, temperature: float = 1.0) -> Tensor:
        with seeds.seeded(seed):
            return model.sample(n, condition(model, n), temperature=temperature)  # type: ignore[no-any-return]

    x = draw(0)
    gaps = x.isnan() if isinstance(modality, Table) else torch.zeros_like(x, dtype=torch.bool)
    assert x.shape == (6, *batch_of(case).x.shape[1:]) and x.dtype == batch_of(case).x.dtype
    assert bool((torch.isfinite(x) | gaps).all())
    x = x.nan_to_num(-99.0)
    for each in x:  # what is drawn is a thing that could have been read, whatever the model's own range
        assert bool(torch.isfinite(modality.encode(modality.decode(each))).all())
    assert torch.equal(draw(0).nan_to_num(-99.0), x) and not torch.equal(draw(1).nan_to_num(-99.0), x)
    for n in (1, 3):  # companions do not matter: in a step's noise an example has its own
        with seeds.drawing(seeds.Draws(0, 0, total=8, offset=0)), torch.no_grad():
            few = model.sample(n, condition(model, n))
        with seeds.drawing(seeds.Draws(0, 0, total=8, offset=0)), torch.no_grad():
            many = model.sample(8, condition(model, 8))
        assert torch.allclose(few, many[:n], atol=1e-5, equal_nan=True)
    assert not torch.equal(draw(0, temperature=0.1).nan_to_num(-99.0), x)


@having(Encodes)
def test_codes(case: Case) -> None:
    model, batch = objective_of(case).model.eval(), batch_of(case)
    y = condition(model, 8)
    length = sum(s.length for s in model.segments) if isinstance(model, Quantizes) else 3
    with torch.no_grad():
        z = model.encode(batch.visible, y)
        x = model.decode(z, y)
        assert z.shape == (8, length) and x.shape == batch.x.shape and bool(torch.isfinite(x).all())
        assert SCHEMAS[case.schema].x.noun != "image" or (0 <= float(x.min()) and float(x.max()) <= 1)
        assert torch.equal(model.encode(batch.visible, y), z) and torch.equal(model.decode(z, y), x)
        alone = model.decode(
            model.encode(batch.visible[2:3], None if y is None else y[2:3]), None if y is None else y[2:3]
        )
    assert torch.allclose(alone, x[2:3], atol=1e-5)


@having(Quantizes)
def test_whole_numbers(case: Case) -> None:
    """Codes are below K, each is worth its bits, and every code can be read: also those that no image has."""
    model, batch = objective_of(case).model.eval(), batch_of(case)
    most = torch.cat([torch.full((s.length,), s.codes) for s in model.segments])
    with torch.no_grad():
        codes = model.encode(batch.visible)
        assert codes.dtype == torch.int64 and 0 <= int(codes.min()) and bool((codes < most).all())
        assert model.bits == pytest.approx(float(most.double().log2().sum()))
        any_ = (torch.rand(5, len(most), generator=seeds.generator("codes")) * most).long()
        assert bool(torch.isfinite(model.decode(any_)).all())
        for level, quantizer in enumerate(model.quantizers):
            own = torch.arange(min(quantizer.codes, 64)).unsqueeze(1).expand(-1, quantizer.slots)
            assert quantizer.look_up(own).shape == (len(own), quantizer.dim), level
            if hasattr(quantizer, "vectors") and quantizer.slots == 1:
                assert torch.equal(quantizer(quantizer.look_up(own)).codes, own)


@having(Interpolates)
def test_what_a_latent_stands_for(case: Case) -> None:
    model, batch = objective_of(case).model.eval(), batch_of(case)
    y = condition(model, 8)
    z = torch.randn(8, 3, generator=seeds.generator("latents"))

    @torch.no_grad()
    def decoded(z: Tensor, y: Tensor | None) -> Tensor:
        with seeds.drawing(seeds.Draws(0, 0, total=8, offset=0)):
            return model.decode(z, y)  # type: ignore[no-any-return]

    x = decoded(z, y)
    assert x.shape == batch.x.shape and torch.allclose(decoded(z[:3], None if y is None else y[:3]), x[:3], atol=1e-5)
    if y is not None and isinstance(SCHEMAS[case.schema].x, Image):
        # A kind is a blend of itself alone; half of one and half of another is neither.
        kinds = torch.nn.functional.one_hot(y, model.classes).float()
        assert torch.allclose(decoded(z, kinds), x, atol=1e-5)


@having(Imputes)
def test_holes(case: Case) -> None:
    model, batch = fitted(case), batch_of(case, 3)
    mask = torch.rand(batch.x.shape, generator=seeds.generator("holes")) < 0.7
    y = None if batch.y is None or not getattr(model, "classes", 0) else batch.y

    @torch.no_grad()
    def filled(seed: int) -> Tensor:
        with seeds.seeded(seed):
            return model.impute(Batch(batch.x, y, mask), 4, particles=2)  # type: ignore[no-any-return]

    found = filled(0)
    assert found.shape == (3, 4, *batch.x.shape[1:]) and bool(torch.isfinite(found).all())
    assert torch.equal(found, filled(0)) and not torch.equal(found, filled(1))
    assert bool((found == batch.x.unsqueeze(1))[mask.unsqueeze(1).expand_as(found)].all())


@having(Scores)
def test_scores(case: Case) -> None:
    model, batch = fitted(case), batch_of(case)
    batch = Batch(batch.x, condition(model, 8), batch.mask)

    @torch.no_grad()
    def score(of: Batch, total: int = 8, samples: int = 7) -> Tensor:
        with seeds.drawing(seeds.Draws(0, 0, total=total, offset=0)):
            return model.log_prob(of, samples=samples)  # type: ignore[no-any-return]

    whole = score(batch)
    assert whole.shape == (8,) and bool(torch.isfinite(whole).all()) and not whole.requires_grad
    # With the noise of an example held fixed its companions do not matter.
    part = score(next(batch.split(3)))
    assert torch.allclose(part, whole[:3], rtol=1e-4, atol=1e-3)
    assert isinstance(model.log_prob_is_bound, bool)
    # Probabilities of stored values: at most 1 each (or a cross-entropy, for gray values under a Bernoulli head). A
    # density, of rows or of images, may be anything.
    if isinstance(SCHEMAS[case.schema].x, Image) and model.log_prob_is_bound:
        assert float(whole.max()) <= 0
    if model.log_prob_is_bound:
        assert float(score(batch, samples=60).mean()) >= float(score(batch, samples=1).mean())


@having(HasEncoderPosterior)
def test_posteriors(case: Case) -> None:
    model, batch = objective_of(case).model.eval(), batch_of(case)
    with torch.no_grad():
        q = model.posterior(batch.visible, condition(model, 8))
        kl = q.kl_to_standard()
    assert (
        q.mean.shape == kl.shape == (8, model.latent) and bool((kl >= -1e-6).all()) and bool(torch.isfinite(kl).all())
    )


@having(Classifies)
def test_labels(case: Case) -> None:
    model, batch = fitted(case), batch_of(case, 60)
    with torch.no_grad():
        label = model.decide(batch)
        alone = torch.cat([model.decide(part) for part in batch.split(7)])
    assert label.shape == (60,) and label.dtype == torch.int64 and 0 <= int(label.min()) <= int(label.max()) <= 2
    if not getattr(model, "log_prob_is_bound", False):  # a bound has noise of its own
        assert torch.equal(alone, label)
    if sweeps(case) and isinstance(SCHEMAS[case.schema].x, Table):
        assert float((label == batch.y).float().mean()) > 0.8  # every column tells the class


@having(HasPosterior)
def test_posteriors_over_classes(case: Case) -> None:
    model, batch = fitted(case), batch_of(case)

    @torch.no_grad()
    def posterior(of: Batch) -> Tensor:
        with seeds.drawing(seeds.Draws(0, 0, total=8, offset=0)):
            return model.log_posterior(of)  # type: ignore[no-any-return]

    log_p = posterior(batch)
    assert log_p.shape == (8, 3) and torch.allclose(log_p.logsumexp(1), torch.zeros_like(log_p[:, 0]), atol=1e-5)
    assert torch.allclose(posterior(next(batch.split(3))), log_p[:3], rtol=1e-3, atol=1e-3)


@having(HasJoint)
def test_bayes_rule(case: Case) -> None:
    """The joint sums to p(x), divided by it gives p(y | x), and p(x) does not move the argmax."""
    model, batch = fitted(case), batch_of(case)

    def under_one_noise(ask: Callable[[Batch], Tensor]) -> Tensor:
        with seeds.drawing(seeds.Draws(0, 0, total=8, offset=0)), torch.no_grad():
            return ask(batch)

    joint = under_one_noise(model.log_joint)
    assert torch.allclose(under_one_noise(model.log_prob), joint.logsumexp(1))
    assert torch.allclose(under_one_noise(model.log_posterior), joint - joint.logsumexp(1, keepdim=True))
    if not model.log_prob_is_bound:
        assert torch.equal(under_one_noise(model.decide), joint.argmax(1))
    with seeds.seeded(0):
        drawn = model.draw_labels(3000)
    assert torch.allclose(torch.bincount(drawn, minlength=3) / 3000, model.log_prior.exp().float(), atol=0.05)


@pytest.mark.parametrize("case", [c for c in CASES if c.recipe == "generative"], ids=str)
def test_what_is_missing_is_as_if_it_had_never_been(case: Case) -> None:
    """Nothing behind the mask is looked at, and a row of which nothing is known has the density 1 in every class."""
    model, batch = fitted(case), batch_of(case)
    mask = torch.rand(batch.x.shape, generator=seeds.generator("holes")) < 0.6
    mask = mask if batch.mask is None else mask & batch.mask

    @torch.no_grad()
    def joint(x: Tensor, observed: Tensor) -> Tensor:
        with seeds.drawing(seeds.Draws(0, 0, total=8, offset=0)):
            return model.log_joint(Batch(x, None, observed))  # type: ignore[no-any-return]

    here = joint(batch.x, mask)
    assert torch.allclose(joint(torch.where(mask, batch.x, 1.0), mask), here, rtol=1e-5, atol=1e-4)
    if not model.log_prob_is_bound:
        nothing = joint(batch.x, torch.zeros_like(mask))
        assert torch.allclose(nothing, model.log_prior.expand(8, 3).to(nothing), atol=1e-4)


@every_sweep
def test_a_sweep_does_not_depend_on_how_it_is_fed_and_fits(case: Case) -> None:
    batch = batch_of(case, 60)
    states = []
    for size in (60, 7):
        objective = objective_of(case)
        (turn,) = objective.turns()
        assert turn.sweep is not None
        loss = turn.sweep(lambda size=size: batch.split(size))  # type: ignore[misc]
        assert bool(torch.isfinite(loss.total))
        states.append(objective.state_dict())
    for name, value in states[0].items():
        assert torch.allclose(value.double(), states[1][name].double(), rtol=1e-3, atol=1e-4), name
        assert bool(torch.isfinite(value.double()).all()), name
    with torch.no_grad():
        before = objective_of(case).turns()[0].loss(batch, 1.0)
        after = objective.turns()[0].loss(batch, 1.0)
    assert float(after.total) < float(before.total)


@having(Decodes)
def test_what_is_decoded_depends_on_the_latent(case: Case) -> None:
    model, batch = fitted(case), batch_of(case)
    y = condition(model, 8)
    z = torch.randn(8, 3, generator=seeds.generator("latents"))
    if isinstance(model, Quantizes):
        most = torch.cat([torch.full((s.length,), s.codes) for s in model.segments])
        z = (torch.rand(8, len(most), generator=seeds.generator("codes")) * most).long()

    @torch.no_grad()
    def decoded(z: Tensor) -> Tensor:
        with seeds.drawing(seeds.Draws(0, 0, total=8, offset=0)):
            return model.decode(z, y)  # type: ignore[no-any-return]

    x = decoded(z)
    assert x.shape == batch.x.shape and torch.equal(decoded(z).nan_to_num(), x.nan_to_num())
    # Some rows of a table may be the same all the same.
    assert not torch.equal(decoded(z.roll(1, 0)).nan_to_num(), x.nan_to_num())


def pair_of(case: Case, count: int = 6) -> tuple[nn.Module, Tensor, Tensor]:
    """A translator, its inputs and their targets."""
    objective, batch = objective_of(case), batch_of(case, count)
    objective.initialize(batch)
    given = batch.x if objective.model.side == "x" else batch.y
    assert given is not None
    return objective.model.eval(), given, batch.x


@having(Translates)
def test_translations(case: Case) -> None:
    model, given, target = pair_of(case)
    noise = torch.randn(len(given), model.noise, generator=seeds.generator("noise")) if model.noise else None
    # Weights that start at zero would hide what depends on what.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=seeds.generator("away")))

    @torch.no_grad()
    def made(given: Tensor, noise: Tensor | None) -> Tensor:
        return model.translate(given, noise)  # type: ignore[no-any-return]

    out = made(given, noise)
    assert out.shape == target.shape and bool(torch.isfinite(out).all()) and 0 <= out.min() and out.max() <= 1
    assert torch.equal(made(given, noise), out)
    alone = made(given[2:3], None if noise is None else noise[2:3])
    assert torch.allclose(alone, out[2:3], atol=1e-4)
    changed = made(given.roll(1, 0), noise)
    assert all(not torch.allclose(one, two, atol=1e-5) for one, two in zip(out, changed, strict=True))
    if noise is not None:
        assert not torch.allclose(made(given, -noise), out, atol=1e-6)
    # Of any size: a larger input has a larger output.
    wide = torch.cat([given, given], 3)
    assert made(wide, noise).shape == (*target.shape[:3], 2 * target.shape[3])


@having(Translates)
def test_a_translator_learns_what_no_single_image_gives(case: Case) -> None:
    """Trained on its pairs it comes nearer to their targets than black, or any other one image for all, does."""
    model, given, target = pair_of(case)
    optimizer = torch.optim.Adam(model.train().parameters(), 1e-2)
    for _ in range(60):
        noise = torch.zeros(len(given), model.noise) if model.noise else None
        loss = (model.translate(given, noise) - target).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    one_for_all = min(float((target - one).abs().mean()) for one in (torch.zeros(()), target.median(0).values))
    assert float(loss.detach()) < 0.9 * one_for_all


@having(Stylizes)
def test_styles(case: Case) -> None:
    objective, batch = objective_of(case), batch_of(case, 4)
    objective.initialize(batch)
    model, content, style = objective.model.eval(), batch.x, batch.y
    assert style is not None

    @torch.no_grad()
    def painted(content: Tensor, style: Tensor, strength: float = 1.0) -> Tensor:
        return model.stylize(content, style, strength)  # type: ignore[no-any-return]

    out = painted(content, style)
    assert out.shape == content.shape and bool(torch.isfinite(out).all()) and torch.equal(painted(content, style), out)
    assert torch.allclose(painted(content[1:2], style[1:2]), out[1:2], atol=1e-4)
    for changed in (painted(content, 1 - style), painted(content.roll(1, 0), style), painted(content, style, 0.0)):
        assert all(not torch.allclose(one, two, atol=1e-5) for one, two in zip(out, changed, strict=True))
    assert painted(torch.cat([content, content], 2), style).shape[2] == 2 * content.shape[2]


@pytest.mark.parametrize(
    "case",
    [c for c in CASES if c.dials.get("condition") == "label" and SCHEMAS[c.schema].y == KINDS],
    ids=str,
)
def test_conditions_reach_the_samples(case: Case) -> None:
    model = objective_of(case).model.eval()
    assert isinstance(model, ClassConditional) and model.classes == 3
    with torch.no_grad():
        for parameter in model.parameters():  # past what starts at zero
            parameter.add_(0.01)
        drawn = []
        for kind in range(3):
            with seeds.seeded(0):
                drawn.append(model.sample(2, torch.full((2,), kind)))
    assert not torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[1], drawn[2])


# What a model of each capability is put to: a new one has to have a line, and cases.
CHECKS: dict[type, tuple[Callable[..., None], ...]] = {
    Samples: (test_samples,),
    Scores: (test_scores,),
    Decodes: (test_what_is_decoded_depends_on_the_latent,),
    Encodes: (test_codes,),
    Interpolates: (test_what_a_latent_stands_for,),
    Quantizes: (test_whole_numbers,),
    Imputes: (test_holes,),
    Translates: (test_translations, test_a_translator_learns_what_no_single_image_gives),
    Stylizes: (test_styles,),
    ClassConditional: (test_conditions_reach_the_samples,),
    Classifies: (test_labels,),
    HasPosterior: (test_posteriors_over_classes,),
    HasJoint: (test_bayes_rule,),
    HasEncoderPosterior: (test_posteriors,),
}


def test_every_capability_is_checked_on_some_model() -> None:
    protocols = {p for p in vars(capabilities).values() if getattr(p, "_is_protocol", False) and p is not Protocol}
    assert set(CHECKS) == protocols, "a capability without a check: add one"
    assert set(VERBS.values()) <= protocols
    for capability, checks in CHECKS.items():
        for check in checks:
            (mark,) = [m for m in check.pytestmark if m.name == "parametrize"]  # type: ignore[attr-defined]
            cases = mark.args[1]
            assert cases and all(isinstance(objective_of(case).model, capability) for case in cases), check


@every_case
def test_capabilities_are_the_models_and_verbs_follow(case: Case) -> None:
    model = objective_of(case).model
    assert offers(model) == [v for v, c in VERBS.items() if isinstance(model, c)] + ["evaluate"]
    assert len(offers(model)) > 1, "a model that can do nothing"


@pytest.mark.parametrize("name", SCHEMAS)
def test_modalities_go_both_ways(name: str) -> None:
    schema = SCHEMAS[name]
    modality: Any = schema.x
    for packed in stored(name):
        seen = modality.observed(packed)
        raw = modality.decode(modality.unpack(packed), *(() if seen is None else (seen,)))
        assert torch.equal(modality.pack(raw).nan_to_num(-1), packed.nan_to_num(-1))
        assert torch.equal(modality.encode(raw), modality.unpack(modality.pack(raw)))
        if seen is None:
            assert np.array_equal(modality.decode(modality.encode(raw)), raw)
    for kind in schema.y.names if isinstance(schema.y, Label) else ():
        assert KINDS.decode(KINDS.encode(kind)) == kind
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema
    again = Schema.from_json(schema.to_json()).x
    assert all(getattr(modality, f.name) == getattr(again, f.name) for f in fields(modality))


# ---- the recipe as a page and a command line ----


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipes_docstring_is_its_help(name: str) -> None:
    function = recipe(name)
    text = inspect.getdoc(function) or ""
    for word in ("Paper:", "Command:", "Duration:", "Expected:"):
        assert word in text, f"{name}: no {word}"
    assert re.search(rf"^Command: seisei train {re.escape(name)} \S+", text, re.M)
    told = dict(re.findall(r"^ {4}(\w+): (.+)$", text.partition("Arguments:")[2], re.M))
    dials = [n for n in inspect.signature(function).parameters if n != "schema"]
    assert list(told) == dials, f"{name}: the docstring tells of {list(told)}, the signature has {dials}"
    assert all(len(what) > 8 for what in told.values())


@pytest.mark.parametrize("name", RECIPES)
def test_every_dial_has_a_type_and_its_limits(name: str) -> None:
    known = parameters(recipe(name))
    first, *dials = known.values()
    assert first.name == "schema" and first.annotation is Schema
    for dial in dials:
        assert dial.kind is inspect.Parameter.KEYWORD_ONLY and dial.default is not inspect.Parameter.empty, dial.name
        plain = (
            next((a for a in get_args(dial.annotation) if a is not type(None)), None)
            if type(None) in get_args(dial.annotation)
            else dial.annotation
        )
        if get_origin(plain) is Literal:
            assert dial.default is None or dial.default in get_args(plain)
            continue
        if plain is bool:
            continue
        if plain is str:  # a path, which is checked when it is opened
            continue
        assert get_origin(plain) is Annotated, f"{name}: {dial.name} has no limits"
        kind, *extra = get_args(plain)
        assert kind in (int, float) and any(isinstance(e, Range) for e in extra), dial.name
        if dial.default is not None:
            assert all(e.problem(dial.default) is None for e in extra if isinstance(e, Range)), dial.name
    descends = any(not sweeps(case) for case in CASES if case.recipe == name)
    assert not descends or {"steps", "batch", "learning_rate", "ema_decay"} <= set(known)


@pytest.mark.parametrize("name", RECIPES)
def test_every_dial_turns_something(name: str) -> None:
    """A dial that changes nothing in the plan is a lie: each is turned, with what it needs beside it."""
    beside = {  # by recipe and dial: what the dial needs beside it
        "vae": {"components": {"prior": "vamp"}},
        "vqvae": {"quantizer_mode": {"quantizers": 2}},
        "vqvae2": {"quantizer_mode": {"quantizers": 2}},
        "vqvae+prior": {"cond_dropout": {"condition": "label"}, "heads": {"width": 24}},
        "prior": {
            "cond_dropout": {"condition": "label"},
            "heads": {"width": 24},
            "pixels_per_token": {"pixels_per_token": 1},
        },
        "discriminant": {"landmarks": {"method": "kernel"}, "gamma": {"method": "kernel"}},
        "discriminative": {"l2": {"network": "linear"}},
        "density": {
            **{dial: {"method": "kde"} for dial in ("max_points", "bandwidth")},
            **{
                d: {"method": "vae"}
                for d in ("latent", "width", "depth", "head", "steps", "batch", "learning_rate", "ema_decay")
            },
        },
        "generative": {
            **{dial: {"density": "kde"} for dial in ("max_points", "bandwidth")},
            **{
                d: {"density": "vae"}
                for d in (
                    "latent",
                    "width",
                    "depth",
                    "head",
                    "mask_prob",
                    "steps",
                    "batch",
                    "learning_rate",
                    "ema_decay",
                )
            },
        },
    }.get(name, {})
    start = {k: v for k, v in SMALL.items() if k in parameters(recipe(name))}
    start |= {"heads": 2} if "heads" in parameters(recipe(name)) else {}
    other = {"pix2pix": "maps 20×24", "colorize": "color 16×16", "stylize": "pairs 13×16"}
    schema = SCHEMAS[other.get(name, "gray 8×8")]
    for dial in parameters(recipe(name)).values():
        # What is told by runs has tests of its own: a codec, features, and priors, for codecs of several grids.
        if dial.name in ("schema", "codec", "features", "per_level_priors"):
            continue
        now = {**start, **beside.get(dial.name, {})}
        others: list[Any] = []
        args = get_args(dial.annotation)
        literal = next((a for a in (dial.annotation, *args) if get_origin(a) is Literal), None)
        if dial.annotation is bool:
            others = [not dial.default]
        elif literal is not None:
            others = [a for a in get_args(literal) if a != dial.default]
        else:
            kind = int if int in (args[0], *get_args(args[0])) else float
            present = now.get(dial.name, dial.default)
            others = [(present or 0) + 4, (present or 0) + 1] if kind is int else [0.5 if present != 0.5 else 0.25]
        base = recipe(name)(schema, **now).to_json()
        changed = []
        for value in others:
            try:
                changed.append(recipe(name)(schema, **{**now, dial.name: value}).to_json())
            except UserError:  # more than such small images, or another dial, allow
                continue
        assert any(plan != base for plan in changed), f"{name}: {dial.name} changes nothing"


@pytest.mark.parametrize(
    ("name", "schema", "dials", "code"),
    [
        ("vae", "color 16×16", {"condition": "label"}, "E-TRN-12"),
        ("vae", Schema(Image(300, 300, 1)), {"network": "conv"}, "E-TRN-08"),
        ("vae", Schema(Image(7, 20, 1)), {"network": "conv"}, "E-TRN-08"),
        ("vae", Schema(Image(8, 8, 1), Label(("one",))), {"condition": "label"}, "E-TRN-12"),
        ("vae", Schema(KINDS), {}, "E-TRN-13"),
        ("autoencoder", Schema(KINDS), {}, "E-TRN-13"),
        ("gan", "mixed rows", {"augment": 0.2}, "E-TRN-08"),
        ("cgan", "told rows", {"class_balance": 0.5}, "E-TRN-08"),
        ("prior", "gray 8×8", {"pixels_per_token": 4}, "E-TRN-08"),
        ("prior", "binary 28×28", {"pixels_per_token": 5}, "E-TRN-08"),
        ("prior", "binary 28×28", {"pixels_per_token": 2, "codec": "runs/codec"}, "E-TRN-08"),
        ("prior", Schema(Image(64, 66, 3, 256)), {}, "E-TRN-08"),
    ],
)
def test_what_a_recipe_cannot_do_is_refused_in_a_line(name: str, schema: Any, dials: dict[str, Any], code: str) -> None:
    with pytest.raises(UserError) as caught:
        recipe(name)(SCHEMAS.get(schema, schema) if isinstance(schema, str) else schema, **dials)
    assert caught.value.code == code and "\n" not in str(caught.value)


# ---- the checks can fail ----


def _dead(objective: Objective) -> None:
    objective.model.unused = nn.Parameter(torch.zeros(3))


def _stuck(objective: Objective) -> None:
    objective.turns = lambda: [  # type: ignore[method-assign]
        Turn("model", objective.model, lambda b, t: Loss(objective.loss(b, t).total * 1e-9 + 1, {}))
    ]


def _summed(objective: Objective) -> None:
    objective.turns = lambda: [  # type: ignore[method-assign]
        Turn("model", objective.model, lambda b, t: Loss(objective.loss(b, t).total * len(b), {}))
    ]


def _unseeded(objective: Objective) -> None:
    generator = torch.Generator().manual_seed(1)
    objective.model.sample = lambda n, y=None, temperature=1.0: torch.rand(n, 1, 8, 8, generator=generator)


def _too_bright(objective: Objective) -> None:
    objective.model.sample = lambda n, y=None, temperature=1.0: torch.rand(n, 1, 8, 8) * 1.1


def _mixing(objective: Objective) -> None:
    """As batch normalization in training mode would."""
    decoder, was = objective.model.decoder, objective.model.decoder.forward
    decoder.forward = lambda z, y=None: was(z - z.mean(0), y)


def _black(objective: Objective) -> None:
    objective.model.translate = lambda image, noise=None: torch.zeros(len(image), 3, *image.shape[2:])


def _gray(objective: Objective) -> None:
    """A translator that heeds its input, and nothing of what it should learn."""
    shift = nn.Parameter(torch.zeros(()))
    objective.model.register_parameter("shift", shift)
    objective.model.translate = lambda image, noise=None: (
        0.5 + 0.1 * image.mean(1, keepdim=True).expand(-1, 3, -1, -1) + 0 * shift
    )


def _styleless(objective: Objective) -> None:
    was = objective.model.stylize
    objective.model.stylize = lambda content, style, strength=1.0: was(content, torch.zeros_like(style), strength)


def _deaf(objective: Objective) -> None:
    was = objective.model.decode
    objective.model.decode = lambda z, y=None: was(torch.zeros_like(z), y)


@pytest.mark.parametrize(
    ("mutate", "check"),
    [
        (_dead, test_losses_are_finite_and_every_parameter_of_a_player_and_no_other_gets_a_gradient),
        (_stuck, test_the_loss_falls_on_one_batch),
        (_summed, test_the_loss_is_a_mean_over_examples),
        (_mixing, test_the_loss_is_a_mean_over_examples),
        (_unseeded, test_samples),
        (_too_bright, test_samples),
        (_mixing, test_samples),
        (_mixing, test_codes),
        (_mixing, test_scores),
        (_black, test_translations),
        (_gray, test_a_translator_learns_what_no_single_image_gives),
        (_styleless, test_styles),
        (_deaf, test_what_is_decoded_depends_on_the_latent),
    ],
)
def test_a_broken_model_does_not_conform(mutate: Any, check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    able = [case for capability, checks in CHECKS.items() if check in checks for case in having(capability).args[1]]
    case = able[0] if able else CASES[0]
    check(case)
    sound = objective_of

    def broken(case: Case) -> Objective:
        objective = sound(case)
        mutate(objective)
        return objective

    monkeypatch.setitem(globals(), "objective_of", broken)
    with pytest.raises(AssertionError):
        check(case)


def test_micro_batches_with_the_wrong_noise_do_not_conform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds.Draws, "_slice", lambda self, whole, count: whole[:count])
    for check in (test_the_loss_is_a_mean_over_examples, test_micro_batches_move_the_weights_as_the_batch_does):
        with pytest.raises(AssertionError):
            check(CASES[0])


# ---- from data to samples ----


@functools.cache
def data_for(name: str, folder: Path) -> str:
    """Digits; in color, or in pairs with their negatives, where a recipe wants these."""
    if name not in ("pix2pix", "colorize"):
        return "digits"
    digits = np.rint(seisei.data.types.read_dataset("digits").x.numpy()[:300, 0] * (255 / 16)).astype(np.uint8)
    colors = np.stack([digits, digits // 2, 255 - digits], -1)
    # Images to be colored may have labels, of which nothing is made.
    kinds = np.arange(len(digits)) % 3
    arrays = {"x": colors, "y": kinds} if name == "colorize" else {"a": digits, "b": 255 - digits}
    np.savez(folder / f"{name}.npz", **arrays)
    return str(folder / f"{name}.npz")


@functools.cache
def trained(name: str, folder: Path, number: int = 0, seed: int = 0) -> Any:
    small: dict[str, Any] = {**SMALL, "batch": 32, "codec_steps": 20, "patience": 1.0}
    dials = {k: v for k, v in small.items() if k in parameters(recipe(name))}
    # The default density of images has no network, and refuses a network's options.
    dials = {"iterations": small["iterations"]} if name in ("generative", "density") else dials
    dials |= {"style": "digits"} if name == "stylize" else {}
    return seisei.train(
        name, data_for(name, folder), output=folder / f"{name}-{number}", seed=seed, report=False, **dials
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


def weights_of(path: Path, name: str = "average", step: int | None = None) -> str:
    (newest, *_) = sorted((path / "checkpoints").iterdir(), reverse=True)
    newest = newest if step is None else path / "checkpoints" / f"step-{step:08d}"
    return hashlib.sha256((newest / f"{name}.safetensors").read_bytes()).hexdigest()


def trained_steps(name: str) -> int:
    return 20 if "steps" in parameters(recipe(name)) else 1


def samples_of(run: seisei.Run) -> dict[str, int]:
    """A few importance samples, where the model takes some."""
    try:
        run.check_importance_samples(3)
    except UserError:
        return {}
    return {"importance_samples": 3}


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_from_data_to_verbs(name: str, runs: Path) -> None:
    run = trained(name, runs)
    digits = np.rint(stored("gray 8×8").numpy()[:, 0] * (255 / 16)).astype(np.uint8)
    pipeline, twin = run.pipeline, seisei.load(run.path).pipeline
    assert all(torch.equal(v, twin.model.state_dict()[k]) for k, v in pipeline.model.state_dict().items())
    averaged = bool(run.recipe["plan"]["ema_decay"])
    shown = weights_of(run.path, "average" if averaged else "model", pipeline.card["step"])
    assert pipeline.digest == twin.digest == shown
    best = run.folder.checkpoints.newest()[0].state["best"]
    assert pipeline.card["step"] == (trained_steps(name) if best is None else best[1])
    loaded = Plan.from_json(run.recipe["plan"])
    assert (
        loaded.steps == trained_steps(name)
        and run.recipe["recipe"] == name
        and set(run.recipe["dials"]) == set(parameters(recipe(name))) - {"schema"}
    )
    assert (
        Spec.from_json(run.recipe["plan"]["objective"]).build().model.state_dict().keys()
        == pipeline.model.state_dict().keys()
    )
    assert run.verbs == offers(pipeline.model)

    hole = np.zeros((8, 8), np.uint8)
    hole[2:5, 3:] = 255

    def width_of(r: Any) -> int:
        return int(r.encode(digits[:1]).shape[1]) if "encode" in r.verbs else 3

    calls: dict[str, Any] = {
        "sample": lambda r: r.sample(5, seed=3),
        "reconstruct": lambda r: r.reconstruct(digits),
        "interpolate": lambda r: r.interpolate([3, 7] if "sample" in r.verbs else digits[:2], steps=3)[0],
        "encode": lambda r: r.encode(digits),
        "decode": lambda r: r.decode(
            np.zeros((2, r.encode(digits).shape[1] if "encode" in r.verbs else 3), np.float32)
        ),
        "score": lambda r: r.score(digits, **samples_of(r)).nats,
        "predict": lambda r: r.predict(digits).labels,
        "impute": lambda r: r.impute(digits[:2], hole[None], 3)[1],
        "translate": lambda r: r.translate(digits[:5]),
        "stylize": lambda r: r.stylize(digits[0], digits[1]),
    }
    assert set(calls) == set(VERBS), "give a new verb a call here"
    for verb, call in calls.items():
        if verb in run.verbs:
            first, second = (np.asarray(call(r)) for r in (run, seisei.load(run.path)))
            assert first.tobytes() == second.tobytes(), verb
            if verb in ("sample", "reconstruct", "interpolate", "decode", "impute"):
                assert first.dtype == np.uint8 and first.shape[1:] == (8, 8)
        else:
            with pytest.raises(UserError, match=f"cannot {verb}; it can: ") as caught:
                call(run)
            assert "\n" not in str(caught.value) and caught.value.code_for(verb).startswith("E-")
    scores = run.evaluate(**samples_of(run), limit=20)["scores"]
    assert scores and all(math.isfinite(s["value"]) for s in scores)
    events = list(run.folder.events())
    steps = [e["step"] for e in events if e["event"] == "train"]
    assert steps == sorted(steps) and steps[-1] == loaded.steps


def test_the_same_command_gives_the_same_bits_and_another_seed_others(runs: Path) -> None:
    first, second, other = trained("vae", runs), trained("vae", runs, 1), trained("vae", runs, 2, seed=1)
    assert weights_of(first.path) == weights_of(second.path) and weights_of(
        first.path, "optimizer-model"
    ) == weights_of(second.path, "optimizer-model")
    assert weights_of(first.path) != weights_of(other.path)
    assert np.array_equal(first.sample(3), second.sample(3)) and not np.array_equal(first.sample(3), other.sample(3))
    assert first.evaluate(limit=20) == second.evaluate(limit=20)
