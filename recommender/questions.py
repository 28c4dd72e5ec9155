"""What may be asked of the recommender? Every key, its unit and its limits, as OpenAPI tells them.

Strict: no other keys, no number as a string, no true for 1, no NaN.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from recommender.drawing import POINTS_MAX, TEXT_MAX
from recommender.generation import STEPS
from recommender.polar import ALPHA_MAX, ALPHA_MIN, N_CRIT_MAX, N_CRIT_MIN, REYNOLDS_MAX, REYNOLDS_MIN

Reynolds = Annotated[float, Field(ge=REYNOLDS_MIN, le=REYNOLDS_MAX)]
NCrit = Annotated[float, Field(ge=N_CRIT_MIN, le=N_CRIT_MAX, description="9 in clean air, 5 in a turbulent tunnel")]
Latent = Annotated[list[Annotated[float, Field(ge=-1e3, le=1e3)]], Field(min_length=24, max_length=32)]
Point = Annotated[list[float], Field(min_length=2, max_length=2)]
SHAPES = ("dat", "points", "heights", "latent", "part")
_SAMPLE: dict[str, Any] = {"part": "naca2412"}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Shape(_Strict):
    """A section, said in exactly one way."""

    dat: Annotated[str | None, Field(max_length=TEXT_MAX, description="text of a Selig or Lednicer file")] = None
    points: Annotated[list[Point] | None, Field(max_length=POINTS_MAX, description="x and y once around, any unit")] = None
    heights: Annotated[
        list[Annotated[float, Field(ge=-10, le=10)]] | None,
        Field(min_length=130, max_length=130, description="y/c of 65 upper, then 65 lower stations, nose first"),
    ] = None
    latent: Latent | None = None
    part: Annotated[str | None, Field(max_length=200, description="an id of the catalogue")] = None
    extend: Annotated[bool, Field(description="a cut trailing edge is extended until it closes")] = False

    @model_validator(mode="after")
    def _one(self) -> Shape:
        found = [name for name in SHAPES if getattr(self, name) is not None]
        if len(found) != 1:
            raise ValueError(f"found {found or 'none'} of {', '.join(SHAPES)}, expected exactly one")
        return self


class Wishes(_Strict):
    """What is not given is taken from the section itself."""

    lift: Annotated[float | None, Field(ge=-1, le=3, description="CL; else that of the section's best L/D")] = None
    reynolds: Reynolds = 1e6
    n_crit: NCrit = 9.0
    thickness_min: Annotated[float | None, Field(ge=0, le=50, description="% chord; else the section's own less 0.5")] = None
    thickness_max: Annotated[float | None, Field(ge=0, le=50, description="% chord")] = None
    moment_min: Annotated[float | None, Field(ge=-1, le=1, description="CM; else the section's own less 0.02")] = None
    change_max: Annotated[float | None, Field(ge=0, le=100, description="RMS surface distance, % chord")] = None
    confidence_min: Annotated[float | None, Field(ge=0, le=1)] = None


def _several(value: object) -> object:
    return value if isinstance(value, list) else [value]


class Flown(_Strict):
    reynolds: Annotated[
        list[Reynolds], BeforeValidator(_several), Field(min_length=1, max_length=5, description="or one number")
    ] = [1e6]
    n_crit: NCrit = 9.0
    alphas: Annotated[
        list[Annotated[float, Field(ge=ALPHA_MIN, le=ALPHA_MAX)]] | None,
        Field(min_length=1, max_length=181, description="degrees; else -6 to 16 by halves"),
    ] = None


class Polars(Flown):
    model_config = ConfigDict(json_schema_extra={"example": {"shape": _SAMPLE, "reynolds": [1e5, 1e6], "alphas": [0, 4, 8]}})
    shape: Shape


class Encode(_Strict):
    model_config = ConfigDict(json_schema_extra={"example": {"shape": _SAMPLE}})
    shape: Shape
    similar: Annotated[int | None, Field(ge=1, le=100, description="so many nearest parts too, as /v1/similar tells")] = None
    polar: Annotated[Flown | None, Field(description="its polar there too, as /v1/polar tells")] = None


class Similar(_Strict):
    model_config = ConfigDict(json_schema_extra={"example": {"shape": _SAMPLE, "k": 5}})
    shape: Shape
    k: Annotated[int, Field(ge=1, le=100)] = 10


class Recommend(_Strict):
    model_config = ConfigDict(json_schema_extra={"example": {"shape": _SAMPLE, "requirements": {"lift": 0.8}, "k": 3}})
    shape: Shape
    requirements: Wishes = Wishes()
    k: Annotated[int, Field(ge=1, le=50)] = 8


class Generate(_Strict):
    model_config = ConfigDict(
        json_schema_extra={"example": {"shape": _SAMPLE, "requirements": {"lift": 0.8}, "k": 3, "steps": 10}}
    )
    shape: Shape
    requirements: Wishes = Wishes()
    k: Annotated[int, Field(ge=1, le=50)] = 8
    seed: Annotated[int, Field(ge=0, lt=1 << 32, description="the same seed finds the same sections")] = 0
    steps: Annotated[int, Field(ge=1, le=100, description="48 sections are looked at in each")] = STEPS


class Decode(_Strict):
    model_config = ConfigDict(json_schema_extra={"example": {"latent": [0.0] * 24}})
    latent: Latent
