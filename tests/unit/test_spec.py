"""Specs: calls not yet made, checked when they are written."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisei import catalog
from seisei.errors import UserError
from seisei.models.vae import VAE
from seisei.nn.heads import BernoulliHead, GaussianHead
from seisei.nn.mlp import MLPDecoder, MLPEncoder
from seisei.nn.priors import StandardNormal
from seisei.nn.quantizers.codebooks import EMACodebook
from seisei.nn.quantizers.residual import ProductQuantizer
from seisei.objectives.elbo import ELBO
from seisei.recipes import recipe
from seisei.schema import Schema
from seisei.spec import CATALOG, Range, Spec, arguments_for, checked, listed, parameters

catalog.fill()


def model() -> Spec:
    return Spec(
        VAE,
        encoder=Spec(MLPEncoder, shape=[1, 4, 4], outputs=6, width=8),
        decoder=Spec(MLPDecoder, shape=[1, 4, 4], latent=3, width=8),
        head=Spec(BernoulliHead),
        prior=Spec(StandardNormal, latent=3),
    )


# ---- ranges ----


def test_ranges_and_their_ends() -> None:
    for limits, inside, outside in [
        ({"gt": 0}, (1e-300, 5), (0, -1)),
        ({"ge": 0}, (0, 5), (-1e-300,)),
        ({"lt": 1}, (0.999,), (1, 2)),
        ({"le": 1}, (1,), (1.0001,)),
        ({"gt": 0, "le": 1}, (0.5, 1), (0, 1.5)),
    ]:
        allowed = Range(**limits)
        assert all(allowed.problem(v) is None for v in inside) and all(allowed.problem(v) for v in outside)
        for value in (math.nan, math.inf, -math.inf):
            assert allowed.problem(value)
        with pytest.raises(ValueError, match="out of range"):
            allowed(float, outside[0])
        allowed(float, inside[0])
        allowed(float, None)
    assert Range().problem(10**400) is None and Range().problem(math.nan)
    assert Range(le=5).problem(10**400)


# ---- values ----

Size = Annotated[int, Range(ge=1, le=100)]


@pytest.mark.parametrize(
    ("given_", "annotation", "wanted"),
    [
        ("2e-4", float, 2e-4),
        (1, float, 1.0),
        ("7", int, 7),
        (7.0, int, 7),
        (" 7 ", int, 7),
        ("true", bool, True),
        ("No", bool, False),
        (False, bool, False),
        ("x", str, "x"),
        ("none", int | None, None),
        ("NULL", Annotated[float, Range(gt=0)] | None, None),
        (None, int | None, None),
        ("5", int | None, 5),
        ("mlp", Literal["auto", "mlp"], "mlp"),
        ("0.9, 0.99", tuple[float, ...], (0.9, 0.99)),
        ([1, "2"], list[int], [1, 2]),
        ("[1, 2]", list[int], [1, 2]),
        ((1, 2), list[int], [1, 2]),
        ("12", Size, 12),
        ("12", Size | None, 12),
        ("none", str, "none"),
        ("none", str | None, None),
        ({"a": 1}, Any, {"a": 1}),
    ],
)
def test_text_is_read_as_what_is_wanted(given_: Any, annotation: Any, wanted: Any) -> None:
    found = checked("x", given_, annotation)
    assert found == wanted and type(found) is type(wanted)


@pytest.mark.parametrize(
    ("given_", "annotation", "words"),
    [
        ("many", int, "'many' is text, wanted a whole number; write a whole number"),
        ("1.5", int, "a whole number"),
        (1.5, int, "1.5 is a number, wanted a whole number"),
        (True, int, "true or false, wanted a whole number"),
        (True, float, "a number"),
        (None, int, "None is nothing, wanted a whole number"),
        (math.nan, int, "a whole number"),
        (math.inf, int, "a whole number"),
        (1, bool, "1 is a whole number, wanted true or false"),
        ("maybe", bool, "true or false"),
        (3, str, "wanted text"),
        ("nan", Annotated[float, Range(ge=0)], "nan is out of range, wanted >= 0"),
        ("inf", Annotated[float, Range(ge=0)], "inf is out of range"),
        (0, Size, "0 is out of range, wanted >= 1 and <= 100; choose a value >= 1 and <= 100"),
        ("1000", Size | None, "out of range"),
        ("mpl", Literal["auto", "mlp"], "'mpl' is not a choice; did you mean 'mlp'?"),
        (10**400, float, "wanted a number"),
        (5, list[int], "wanted a list"),
        ([1, "b"], list[int], r"x\[1\]: 'b' is text"),
        ({"a": 1}, int, "wanted a whole number"),
        ("enc", VAE, "wanted a VAE"),
        ([], str, "wanted text"),
    ],
)
def test_a_misfit_is_named_with_what_was_wanted(given_: Any, annotation: Any, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        checked("x", given_, annotation)
    assert str(caught.value).startswith("x") and "\n" not in str(caught.value)
    assert caught.value.code in ("E-TRN-06", "E-TRN-07")


@given(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.binary(),
        st.lists(st.integers()),
        st.just(10**400),
    )
)
def test_whatever_is_given_there_is_an_answer_in_words(value: Any) -> None:
    for annotation in (int, float, bool, str, Size, Size | None, list[int], Literal["a"], tuple[float, ...], VAE):
        try:
            checked("x", value, annotation)
        except UserError as error:
            assert "\n" not in str(error)


# ---- arguments ----


def some(a: int, *, width: Size = 3, beta: float = 1.0) -> None: ...


def test_arguments_are_checked_and_completed() -> None:
    assert arguments_for(some, {"a": "2", "beta": "1e-3"}, "--") == {"a": 2, "width": 3, "beta": 1e-3}
    with pytest.raises(
        UserError, match=r"^--widht: no such option; did you mean 'width'\? choose from: a, beta, width$"
    ) as caught:
        arguments_for(some, {"a": 1, "widht": 2}, "--")
    assert caught.value.code == "E-TRN-02" and caught.value.wanted == ["a", "width", "beta"]
    with pytest.raises(UserError, match="--width: 0 is out of range"):
        arguments_for(some, {"a": 1, "width": 0}, "--")
    with pytest.raises(TypeError, match="missing a"):
        arguments_for(some, {}, "--")
    assert list(parameters(some)) == ["a", "width", "beta"]


@pytest.mark.parametrize(
    ("name", "near"),
    [("laten", "latent"), ("lernin_rate", "learning_rate"), ("freebits", "free_bits"), ("step", "steps")],
)
def test_mistyped_dials_get_the_nearest_name(name: str, near: str) -> None:
    with pytest.raises(UserError, match=f"did you mean '{near}'"):
        arguments_for(recipe("vae"), {"schema": Schema.__new__(Schema), name: 1}, "--")


def test_a_mistyped_recipe_gets_the_nearest_name() -> None:
    with pytest.raises(UserError, match="did you mean 'vae'") as caught:
        recipe("vea")
    assert caught.value.code == "E-TRN-01"


# ---- specs ----


def test_a_spec_is_checked_when_it_is_written() -> None:
    with pytest.raises(UserError, match=r"MLPEncoder\.widht: no such option; did you mean 'width'"):
        Spec(MLPEncoder, shape=[1], outputs=1, widht=3)
    with pytest.raises(UserError, match=r"ELBO\.beta: -1\.0 is out of range"):
        Spec(ELBO, model=model(), beta=-1)
    with pytest.raises(UserError, match=r"ELBO\.model: .*wanted a Module"):
        Spec(ELBO, model="vae")
    with pytest.raises(TypeError, match="missing shape"):
        Spec(MLPEncoder, outputs=1)
    with pytest.raises(AssertionError, match="not in the catalog"):
        Spec(dict)


def test_a_spec_knows_every_default_and_travels_as_json() -> None:
    spec = Spec(ELBO, model=model(), beta="0.5")
    data = spec.to_json()
    assert data["arguments"]["warmup"] == 0.0 and data["arguments"]["beta"] == 0.5
    assert data["arguments"]["model"]["arguments"]["encoder"]["arguments"] == {
        "shape": [1, 4, 4],
        "outputs": 6,
        "width": 8,
        "depth": 2,
        "classes": 0,
    }
    assert Spec.from_json(data) == spec != Spec(ELBO, model=model())
    assert spec != data and "ELBO" in repr(spec)
    built, again = spec.build(), Spec.from_json(data).build()
    assert isinstance(built, ELBO) and built.beta == again.beta == 0.5
    assert [tuple(p.shape) for p in built.parameters()] == [tuple(p.shape) for p in again.parameters()]


def test_overrides_by_path() -> None:
    spec = Spec(ELBO, model=model())
    new = spec.override("model.encoder.width", "32").override("beta", "0.25")
    assert (
        new.to_json()["arguments"]["model"]["arguments"]["encoder"]["arguments"]["width"] == 32
        and new.arguments["beta"] == 0.25
    )
    assert spec == Spec(ELBO, model=model())  # nothing is changed in place
    for path, value, words in [
        ("model.encoder.widht", 3, "did you mean 'width'"),
        ("modl.encoder", 3, "did you mean 'model'"),
        ("beta.x", 3, "'beta' has no parts; set beta itself"),
        ("model.encoder", 3, "'encoder' is a part; did you mean 'encoder.width'"),
        ("model.encoder.width", "x", "wanted a whole number"),
        ("beta", "nan", "out of range"),
        ("model.encoder.width", 10**9, "out of range"),
        ("", 3, "has no ''"),
    ]:
        with pytest.raises(UserError, match=words):
            spec.override(path, value)


def test_parts_of_a_list_are_overridden_by_number() -> None:
    spec = Spec(ProductQuantizer, parts=[Spec(EMACodebook, dim=2, codes=4)] * 2)
    new = spec.override("parts.1.revival", "0.5")
    assert [part.arguments["revival"] for part in new.arguments["parts"]] == [None, 0.5]
    assert [part.arguments["revival"] for part in spec.arguments["parts"]] == [None, None]
    for path, words in [
        ("parts.2.revival", "'parts' is a list of 2 parts; did you mean 'parts.[01].revival'"),
        ("parts.1", "'parts' is a list of 2 parts"),
        ("parts.1.reviva", "did you mean 'revival'"),
        ("parts", "'parts' is a list of 2 parts"),
    ]:
        with pytest.raises(UserError, match=words):
            spec.override(path, "0.5")


def test_names_in_the_catalog_are_unique_and_its_constructors_typed() -> None:
    with pytest.raises(AssertionError, match="two classes named VAE"):
        listed(type("VAE", (), {}))
    for name, cls in CATALOG.items():
        # Other tests list toys of their own.
        assert cls.__name__ == name and (cls.__module__.startswith("seisei.") or cls.__module__ == "toy"), name
        for parameter in parameters(cls).values():
            assert parameter.annotation is not Any, f"{name}.{parameter.name} has no type"
    assert CATALOG["GaussianHead"] is GaussianHead
