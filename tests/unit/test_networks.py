"""Encoders and decoders: shapes at every size, conditions, independence of companions, goldens."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.batch import Batch
from seisei.models.vae import VAE, Autoencoder
from seisei.nn.conv import ConvDecoder, ConvEncoder, ResidualBlock, sizes_of, widths_of
from seisei.nn.heads import BernoulliHead, GaussianHead, LogisticMixtureHead
from seisei.nn.mlp import MLPDecoder, MLPEncoder
from seisei.nn.priors import StandardNormal, VampPrior

GOLDENS = Path(__file__).parents[1] / "goldens" / "networks.json"
SIZES = [(8, 8), (9, 15), (13, 19), (16, 8), (28, 28), (31, 33), (64, 48), (255, 9), (256, 256)]


@pytest.mark.parametrize("patch", [1, 2, 4])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_conv_networks_fit_every_size(height: int, width: int, patch: int) -> None:
    shape, size = [1, height, width], {"width": 4, "depth": 0, "hidden": 4, "patch": patch}
    encoder, decoder = ConvEncoder(shape, 5, **size), ConvDecoder([2, height, width], 5, **size)
    x = torch.rand(2, *shape)
    z = encoder(x)
    assert z.shape == (2, 5) and decoder(z).shape == (2, 2, height, width)
    sizes = sizes_of(height, width, patch=patch)
    assert sizes[0] == (math.ceil(height / patch), math.ceil(width / patch)) and max(sizes[-1]) <= 7
    assert all(b == (math.ceil(a[0] / 2), math.ceil(a[1] / 2)) for a, b in zip(sizes, sizes[1:], strict=False))


def test_channels_double_up_to_a_limit() -> None:
    assert widths_of(4, 6) == [4, 8, 16, 32, 32, 32]


def test_a_residual_block_starts_as_the_identity() -> None:
    x = torch.randn(2, 4, 5, 5)
    assert torch.equal(ResidualBlock(4)(x), x)


@pytest.mark.parametrize("options", [{}, {"patch": 4, "hidden": 0}])
@pytest.mark.parametrize("size", [(8, 8), (13, 19)])
def test_every_pixel_is_seen_and_every_pixel_is_made(size: tuple[int, int], options: dict[str, int]) -> None:
    """No edge is lost to strides: each pixel moves the code, the code moves each pixel."""
    with seeds.seeded("pixels"):
        encoder = ConvEncoder([1, *size], 6, width=8, depth=1, **options)
        decoder = ConvDecoder([1, *size], 6, width=8, depth=1, **options)
        x, z = torch.rand(1, 1, *size, requires_grad=True), torch.randn(1, 6)
    encoder(x).square().sum().backward()
    assert x.grad is not None and bool((x.grad != 0).all())
    with torch.no_grad():
        assert bool((decoder(z) != decoder(z + 0.5)).all())


def pairs(classes: int) -> list[tuple[nn.Module, nn.Module]]:
    with seeds.seeded("pairs"):
        return [
            (MLPEncoder([1, 8, 9], 6, 16, 2, classes), MLPDecoder([1, 8, 9], 6, 16, 2, classes)),
            (
                ConvEncoder([1, 8, 9], 6, 8, 1, 12, classes=classes),
                ConvDecoder([1, 8, 9], 6, 8, 1, 12, classes=classes),
            ),
        ]


@pytest.mark.parametrize("which", [0, 1])
def test_conditions_matter_and_only_where_there_are_some(which: int) -> None:
    x, z, y = torch.rand(3, 1, 8, 9), torch.randn(3, 6), torch.tensor([0, 1, 2])
    for module, given in zip(pairs(3)[which], (x, z), strict=True):
        there, moved = module(given, y), module(given, y.flip(0))
        assert torch.allclose(there[1], moved[1]) and not torch.allclose(there[0], moved[0])
        with pytest.raises((TypeError, IndexError)):
            module(given)
    for module, given in zip(pairs(0)[which], (x, z), strict=True):
        assert torch.equal(module(given), module(given, y))


@pytest.mark.parametrize("which", [0, 1])
def test_an_example_does_not_depend_on_its_companions_or_their_order(which: int) -> None:
    encoder, decoder = (m.double() for m in pairs(0)[which])
    x, z = torch.rand(6, 1, 8, 9).double(), torch.randn(6, 6).double()
    for module, given in ((encoder, x), (decoder, z)):
        with torch.no_grad():
            whole = module(given)
            alone = torch.cat([module(row[None]) for row in given])
            turned = module(given.flip(0)).flip(0)
            again = module(given)
        assert float((whole - alone).abs().max()) < 1e-12 and float((whole - turned).abs().max()) < 1e-12
        assert torch.equal(whole, again)
        with torch.no_grad():  # NaN in one example stays there
            poisoned = given.clone()
            poisoned[2] = math.nan
            out = module(poisoned)
        assert bool(torch.isfinite(out[[0, 1, 3, 4, 5]]).all()) and bool(torch.isnan(out[2]).any())


def test_channels_last_changes_nothing_but_rounding() -> None:
    with seeds.seeded("layout"):
        encoder, decoder = ConvEncoder([3, 16, 16], 6, 8, 1).double(), ConvDecoder([3, 16, 16], 6, 8, 1).double()
        x = torch.rand(4, 3, 16, 16).double()
    with torch.no_grad():
        plain = decoder(encoder(x))
        encoder.to(memory_format=torch.channels_last), decoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        other = decoder(encoder(x.contiguous(memory_format=torch.channels_last)))
    assert float((plain - other).abs().max()) < 1e-12


# ---- goldens ----


def wave(*shape: int) -> Tensor:
    """Weights that no version of torch's random numbers can change."""
    return torch.sin(torch.arange(math.prod(shape), dtype=torch.float64) * 0.7 + 0.3).float().reshape(shape)


def fixed(module: nn.Module) -> nn.Module:
    """Every parameter a wave, sized as a fresh one would be; also those that start at zero."""
    with torch.no_grad():
        for parameter in module.parameters():
            fan = max(1, parameter[0].numel() if parameter.dim() > 1 else 1)
            parameter.copy_(wave(*parameter.shape) * (1.5 / math.sqrt(fan) if parameter.dim() > 1 else 0.1))
    return module


def goldens() -> dict[str, list[float]]:
    """A few numbers of every path through encoders, decoders, heads and priors."""
    out: dict[str, list[float]] = {}
    networks: dict[str, tuple[type, type, dict[str, int], list[int]]] = {
        "mlp": (MLPEncoder, MLPDecoder, {"width": 12, "depth": 2}, [1, 5, 6]),
        "conv": (ConvEncoder, ConvDecoder, {"width": 4, "depth": 1, "hidden": 8}, [2, 11, 16]),
        "conv of patches": (ConvEncoder, ConvDecoder, {"width": 4, "depth": 0, "hidden": 0, "patch": 4}, [1, 10, 30]),
    }
    for name, (encode, decode, size, shape) in networks.items():
        for classes in (0, 3):
            for head in (BernoulliHead(2), GaussianHead(17), LogisticMixtureHead(17, 2)):
                wide = [shape[0] * head.parameters_per_value, *shape[1:]]
                prior = VampPrior(3, shape, 4) if classes else StandardNormal(3)
                model: Any = VAE(
                    encode(shape, 6, **size, classes=classes), decode(wide, 3, **size, classes=classes), head, prior
                )
                fixed(model)
                x, y = (wave(4, *shape) * 8 + 8).round() / 16, torch.tensor([0, 2, 1, 2]) if classes else None
                if isinstance(head, BernoulliHead):
                    x = x.round()
                with torch.no_grad():
                    q = model.posterior(x, y)
                    z = q.mean + 0.5 * torch.exp(q.log_std) * wave(4, 3)
                    found = {
                        "mean": q.mean,
                        "log_std": q.log_std,
                        "decoded": model.decode(z, y),
                        "log_likelihood": model.reconstruction(Batch(x, y), z),
                        "log_prior": model.log_prior(z, y),
                    }
                for key, value in found.items():
                    flat = value.flatten()
                    out[f"{name} classes={classes} {type(head).__name__} {key}"] = [
                        float(v) for v in flat[torch.linspace(0, len(flat) - 1, 6).long()]
                    ]
    model = fixed(Autoencoder(MLPEncoder([1, 5, 6], 3, 12, 1), MLPDecoder([1, 5, 6], 3, 12, 1), BernoulliHead(2)))
    with torch.no_grad():
        z = model.encode((wave(4, 1, 5, 6) * 8 + 8).round() / 16)
        out["autoencoder"] = [float(v) for v in torch.cat([z.flatten()[:3], model.decode(z).flatten()[:3]])]
    return out


def test_outputs_for_fixed_weights_have_not_changed() -> None:
    """After a change that is meant, ``PYTHONPATH=src python tests/unit/test_networks.py`` writes them anew."""
    wanted, found = json.loads(GOLDENS.read_text("utf-8")), goldens()
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        assert np.allclose(found[name], values, rtol=1e-5, atol=1e-5), name
    assert not np.allclose(
        found["mlp classes=0 BernoulliHead decoded"], np.array(wanted["mlp classes=0 BernoulliHead decoded"]) + 1e-4
    )


def test_goldens_notice_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.nn.functional, "silu", lambda x, inplace=False: torch.relu(x))
    wanted, found = json.loads(GOLDENS.read_text("utf-8")), goldens()
    changed = [name for name in wanted if not np.allclose(found[name], wanted[name], rtol=1e-5, atol=1e-5)]
    assert any(n.startswith("conv") for n in changed) and not any(n.startswith("mlp") for n in changed)


if __name__ == "__main__":
    GOLDENS.write_text(json.dumps(goldens(), indent=1) + "\n", "utf-8")
