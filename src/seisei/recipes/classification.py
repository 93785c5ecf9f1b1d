"""Three ways to a label: discriminant function, discriminative model, generative model."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from seisei.errors import UserError
from seisei.modalities.image import Image
from seisei.modalities.label import Label
from seisei.modalities.table import Table
from seisei.models.classifier import DiscriminantClassifier, DiscriminativeClassifier, GenerativeClassifier, Network
from seisei.models.kde import KernelDensity
from seisei.models.linear import Landmarks, Planes
from seisei.models.mixture import Mixture
from seisei.models.vae import VAE
from seisei.nn.conv import ConvEncoder
from seisei.nn.densities.full_covariance import Full, Tied
from seisei.nn.densities.gaussian import Diagonal
from seisei.nn.densities.ppca import LowRank
from seisei.nn.masking import ImageReader
from seisei.nn.mlp import MLPDecoder, MLPEncoder
from seisei.nn.priors import StandardNormal
from seisei.nn.tabular.features import Columns, RowFeatures, Sizes
from seisei.nn.tabular.head import RowHead
from seisei.objectives.likelihood import Fitting, JointBound, MaximumLikelihood
from seisei.recipes.vaes import BatchSize, Decay, Depth, Head, Rate, Width, ends, image_of, naming_classes
from seisei.schema import Schema
from seisei.spec import Range, Spec
from seisei.training.plan import Optim, Plan

Strength = Annotated[float, Range(gt=0, le=1e9)]
Rounds = Annotated[int, Range(ge=1, le=10**9)] | None
Density = Literal["auto", "gaussian", "linear", "naive", "mixture", "ppca-mixture", "kde", "vae"]
# Components, and rounds of fitting at most, where a person says nothing: it ends when it has converged.
ROUNDS = 200
DEFAULTS: dict[str, tuple[int, int]] = {
    "gaussian": (1, 1),
    "linear": (1, 1),
    "naive": (1, 1),
    "mixture": (3, ROUNDS),
    "ppca-mixture": (5, 20),
}
# From so many numbers on single precision is chosen: it is twice as fast, and shrinkage covers its rounding.
LARGE = 256


def discriminant(
    schema: Schema,
    *,
    method: Literal["perceptron", "linear", "kernel"] = "linear",
    strength: Strength = 1.0,
    landmarks: Annotated[int, Range(ge=1, le=20_000)] = 1000,
    gamma: Annotated[float, Range(ge=0, le=1e9)] = 0.0,
) -> Plan:
    """Draw a surface between classes: a class number, and no probability.

    Paper: *Support-Vector Networks (Cortes, Vapnik, 1995)*.
    Command: seisei train discriminant digits --method kernel
    Duration: a second on two cores. Expected: 96 % of held-out digits right with planes, 99 % with a kernel.

    Arguments:
        method: perceptron, linear for the widest margin between planes, kernel for the widest margin of a curved
            surface.
        strength: Of the regularization: larger for wider margins that let more rows lie on the wrong side; the
            perceptron has none.
        landmarks: Training rows that the kernel compares with; all of them where there are fewer.
        gamma: How fast the kernel falls with the squared distance; 0 takes one over the data's spread.
    """
    classes, sizes, features = _reading(schema)
    inputs = features.build().outputs
    if method == "kernel":
        features, inputs = Spec(Landmarks, features=features, inputs=inputs, count=landmarks, gamma=gamma), landmarks
    if method == "perceptron":
        surface = Spec(Planes, features=features, inputs=inputs, classes=classes, method="perceptron")
    else:
        surface = Spec(Planes, features=features, inputs=inputs, classes=classes, method="margin", strength=strength)
    return _fitted(Spec(DiscriminantClassifier, surface=surface), 1)


def discriminative(
    schema: Schema,
    *,
    network: Literal["auto", "linear", "mlp", "conv"] = "auto",
    strength: Strength = 1.0,
    width: Width = None,
    depth: Depth = None,
    steps: Rounds = None,
    batch: BatchSize = 64,
    learning_rate: Rate = 1e-3,
    weight_decay: Annotated[float, Range(ge=0, le=10)] = 0.01,
    average: Decay = 0.99,
) -> Plan:
    """Learn p(y | x): which class, and how sure.

    Paper: *On Discriminative vs. Generative Classifiers (Ng, Jordan, 2001)*.
    Command: seisei train discriminative digits
    Duration: about five seconds on two cores. Expected: 97 % of held-out digits right.

    Arguments:
        network: linear is logistic regression; mlp for tables and small images, conv for larger images; auto
            decides.
        strength: Of the regularization of logistic regression.
        width: Units of a hidden layer (mlp), channels of the first feature map (conv).
        depth: Hidden layers (mlp), residual blocks at each size (conv).
        steps: Updates of the weights; 1 for logistic regression, else 2000 by default.
        batch: Examples an update.
        learning_rate: Of Adam, at its highest.
        weight_decay: Pull of the weights towards 0.
        average: Decay of the moving average of the weights that is used afterwards.
    """
    classes, sizes, features = _reading(schema)
    image = schema.x if isinstance(schema.x, Image) else None
    if network == "auto":
        network = "conv" if image is not None and min(image.height, image.width) >= 16 else "mlp"
    inputs = features.build().outputs
    if network == "linear":
        planes = Spec(Planes, features=features, inputs=inputs, classes=classes, method="logistic", strength=strength)
        return _fitted(Spec(DiscriminativeClassifier, trunk=planes), 1)
    if network == "conv":
        shape = list(image_of(schema).shape)
        layers = Spec(ConvEncoder, shape=shape, outputs=classes, width=width or 32, depth=1 if depth is None else depth)
        trunk = Spec(Network, layers=layers)
    else:
        layers = Spec(
            MLPEncoder, shape=[inputs], outputs=classes, width=width or 256, depth=2 if depth is None else depth
        )
        trunk = Spec(Network, layers=layers, features=features)
    model = Spec(DiscriminativeClassifier, trunk=trunk)
    optim = Optim(learning_rate=learning_rate, weight_decay=weight_decay, clip=10.0)
    format: Any = "channels_last" if network == "conv" else "contiguous"
    plan = Spec(MaximumLikelihood, model=model)
    return Plan(plan, steps or 2000, batch, optim, average=average, format=format)


def generative(
    schema: Schema,
    *,
    density: Density = "auto",
    components: Annotated[int, Range(ge=1, le=10_000)] | None = None,
    rank: Annotated[int, Range(ge=1, le=4096)] = 25,
    borrowed: Annotated[float, Range(ge=0, le=1e9)] = 3.0,
    prior: Literal["data", "uniform"] = "data",
    kernels: Annotated[int, Range(ge=1, le=10**7)] = 10_000,
    bandwidth: Annotated[float, Range(ge=0)] = 0.0,
    latent: Annotated[int, Range(ge=1, le=4096)] = 32,
    width: Width = None,
    depth: Depth = None,
    head: Head = "auto",
    reach: Annotated[int, Range(ge=0, le=8)] = 0,
    gaps: Annotated[float, Range(ge=0, le=1)] = 0.0,
    steps: Rounds = None,
    batch: BatchSize = 64,
    learning_rate: Rate = 1e-3,
    average: Decay = 0.999,
) -> Plan:
    """Learn p(x | y) and p(y): labels by Bayes' rule, examples of a class, how likely an example is, gaps allowed.

    Paper: *Mixtures of Probabilistic Principal Component Analysers (Tipping, Bishop, 1999)*.
    Command: seisei train generative digits --density ppca-mixture
    Duration: a second or two on two cores. Expected: 98 % of held-out digits right.

    Arguments:
        density: Of x given its class. gaussian: one Gaussian each. linear: one covariance for all. naive: independent
            values. mixture: several Gaussians each. ppca-mixture: several of low rank each, for images. kde: a bump
            for every training row. vae: a conditional variational autoencoder. auto: gaussian for tables, ppca-mixture
            for images.
        components: Gaussians a class.
        rank: Directions in which a Gaussian of low rank varies.
        borrowed: Rows of a round cloud that are added to each Gaussian: more of them where there are few examples.
        prior: Of the classes: as in the data, or all the same.
        kernels: Training rows that kde keeps.
        bandwidth: Width of kde's bumps; 0 chooses it by the likelihood of each row under the others.
        latent: Numbers in the latent of vae.
        width: Units of a hidden layer of vae, or channels.
        depth: Hidden layers of vae, or residual blocks at each size.
        head: What a pixel's likelihood is in vae; auto is bernoulli, which tells classes apart best.
        reach: Pixels by which an image may lie elsewhere: all places are summed over.
        gaps: Share of training examples of which vae sees a part only, so that it answers better when some is missing.
        steps: Rounds of fitting at most, which end when it has converged, or updates of the weights of vae; by default
            what the density needs.
        batch: Examples an update of vae.
        learning_rate: Of vae, at its highest.
        average: Decay of the moving average of vae's weights.
    """
    classes, sizes, _ = _reading(schema)
    reach = 0 if isinstance(schema.x, Table) else reach
    if density == "auto":
        density = "gaussian" if isinstance(schema.x, Table) else "ppca-mixture"
    if density == "vae":
        head = "bernoulli" if head == "auto" else head
        inner, format = _vae(schema, latent, width, depth, head, classes, sees_gaps=gaps > 0)
        model = Spec(GenerativeClassifier, density=inner, classes=classes, prior=prior, reach=reach)
        optim = Optim(learning_rate=learning_rate, clip=1000.0)
        objective = Spec(JointBound, model=model, warmup=0.1, gaps=gaps)
        return Plan(objective, steps or 3000, batch, optim, average=average, format=format)
    if density == "kde":
        inner = Spec(KernelDensity, classes=classes, sizes=sizes, rows=kernels, bandwidth=bandwidth)
        # Its rounds, where rows lack a label, are its own.
        return _fitted(_bayes(schema, inner, prior, reach), 1)
    k, rounds = DEFAULTS[density]
    k = components or k
    numbers = _gaussians(density, classes * k, len(Columns(sizes).numbers), rank, borrowed)
    inner = Spec(Mixture, classes=classes, components=k, sizes=sizes, numbers=numbers)
    # One Gaussian each of complete rows with labels is fitted in one round; what is missing takes more.
    rounds = ROUNDS if rounds == 1 else rounds
    return _fitted(_bayes(schema, inner, prior, reach), steps or rounds)


def _bayes(schema: Schema, density: Spec, prior: str, reach: int) -> Spec:
    """Bayes' rule over a density of flat rows."""
    assert isinstance(schema.y, Label)
    shape = list(schema.x.shape) if isinstance(schema.x, Image) else None
    return Spec(GenerativeClassifier, density=density, classes=schema.y.classes, prior=prior, shape=shape, reach=reach)


def _vae(
    schema: Schema, latent: int, width: int | None, depth: int | None, head: str, classes: int, sees_gaps: bool
) -> tuple[Spec, Any]:
    """A class-conditional VAE of images or rows, and its memory format."""
    prior = Spec(StandardNormal, latent=latent)
    if not isinstance(schema.x, Table):
        encoder, decoder, pixels, format = ends(schema, 2 * latent, latent, "auto", width, depth, head, classes)
        reader = None
        if sees_gaps:
            channels, *plane = encoder.arguments["shape"]
            encoder, reader = encoder.override("shape", [channels + 1, *plane]), Spec(ImageReader)
        return Spec(VAE, encoder=encoder, decoder=decoder, head=pixels, prior=prior, reader=reader), format
    sizes = list(schema.x.sizes)
    reader, cells = Spec(RowFeatures, sizes=sizes, missing=True), Spec(RowHead, sizes=sizes)
    dims = {"width": width or 128, "depth": 2 if depth is None else depth, "classes": classes}
    encoder = Spec(MLPEncoder, shape=[reader.build().outputs], outputs=2 * latent, **dims)
    decoder = Spec(MLPDecoder, shape=[cells.build().outputs], latent=latent, **dims)
    return Spec(VAE, encoder=encoder, decoder=decoder, head=cells, prior=prior, reader=reader), "contiguous"


def _gaussians(density: str, count: int, dim: int, rank: int, borrowed: float) -> Spec:
    precision = "single" if dim >= LARGE else "double"
    shared = {"count": count, "dim": dim, "shrinkage": 1e-6, "borrowed": borrowed, "precision": precision}
    if density == "naive":
        return Spec(Diagonal, **shared)
    if density == "ppca-mixture":
        return Spec(LowRank, rank=min(rank, max(1, dim - 1)), **shared)
    return Spec(Tied if density == "linear" else Full, **shared)


def _fitted(model: Spec, rounds: int) -> Plan:
    """A plan of sweeps: an update sees all examples, so there is no batch to choose, and nothing to average."""
    return Plan(Spec(Fitting, model=model), rounds, 1, average=0.0)


def _reading(schema: Schema) -> tuple[int, Sizes, Spec]:
    """How many classes there are, what x holds, and what a network reads of it.

    Raises:
        UserError: x is neither an image nor a row, or there are no classes.
    """
    if not isinstance(schema.y, Label) or schema.y.classes < 2:
        raise UserError("E-TRN-12", "data", "no classes to tell apart, wanted at least 2", naming_classes(schema))
    if isinstance(schema.x, Table):
        sizes: Sizes = list(schema.x.sizes)
        return schema.y.classes, sizes, Spec(RowFeatures, sizes=sizes, missing=True)
    return schema.y.classes, image_of(schema).values, Spec(RowFeatures, sizes=image_of(schema).values)
