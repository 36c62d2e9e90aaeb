"""convsmith: design, scale, train, measure and ship efficient ConvNets under a budget.

>>> import convsmith as cs
>>> cs.cost(cs.spec("efficientnet_b0")).macs
385814752

Names are loaded when they are first used, so that `import convsmith` and the command line stay quick: torch is imported by
what needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .arch import (
        Act,
        ArchSpec,
        Block,
        Conv,
        Head,
        Image,
        Mixer,
        Norm,
        Padding,
        Part,
        Ramp,
        Stage,
        Stem,
        Style,
        grown,
    )
    from .calibrating import calibrate, predict
    from .checks import evaluate, export, measure, report
    from .converting import convert
    from .costs import cost, operations
    from .diagnosing import diagnose
    from .errors import UserError
    from .families import names
    from .feed import Watcher
    from .jobs import Options, design, resume, scale, train
    from .labelling import pseudo_label
    from .ledger import published
    from .machine import this_machine
    from .model import Model, build
    from .parts import (
        PARTS,
        SE,
        BasicBlock,
        BatchNorm,
        Bottleneck,
        ConvStem,
        DeepStem,
        DepthwiseSeparable,
        EvoNorm,
        EvoNormKind,
        GhostBottleneck,
        GroupNorm,
        Halving,
        Lambda,
        MBConv,
        NFBottleneck,
        NFRegNetBlock,
        NoNorm,
        PlainConv,
        PooledClassifier,
        PreActBottleneck,
        ScaledWS,
        Shortcut,
    )
    from .picking import pick
    from .plans import Node, plan
    from .policies import AutoAugment, ColourJitter, RandAugment
    from .recipe import SGD, AdamW, Augment, Recipe, RMSPropTF
    from .resolve import create, from_json, spec
    from .runs import Run
    from .scaling import Compound, Depth, InverseCompound, Regime, ResNetRS, Resolution, Rule, Tiny, Width, fit
    from .schedules import Cosine, Exponential
    from .search_options import SearchOptions
    from .searching import search
    from .signal import gain
    from .sized import BySize
    from .units import Budget, Cost, Rounding
    from .weights import to_timm

# Where each public name lives; a test holds this, the imports above and `__all__` to each other.
_HOME = {
    "arch": "Act ArchSpec Block Conv Head Image Mixer Norm Padding Part Ramp Stage Stem Style grown",
    "calibrating": "calibrate predict",
    "converting": "convert",
    "diagnosing": "diagnose",
    "signal": "gain",
    "checks": "evaluate export measure report",
    "costs": "cost operations",
    "errors": "UserError",
    "families": "names",
    "feed": "Watcher",
    "jobs": "Options design resume scale train",
    "labelling": "pseudo_label",
    "ledger": "published",
    "machine": "this_machine",
    "model": "Model build",
    "parts": "PARTS SE BasicBlock BatchNorm Bottleneck ConvStem DeepStem DepthwiseSeparable EvoNorm EvoNormKind "
    "GhostBottleneck GroupNorm Halving Lambda MBConv NFBottleneck NFRegNetBlock NoNorm PlainConv "
    "PooledClassifier PreActBottleneck ScaledWS Shortcut",
    "picking": "pick",
    "plans": "Node plan",
    "policies": "AutoAugment ColourJitter RandAugment",
    "recipe": "SGD AdamW Augment RMSPropTF Recipe",
    "resolve": "create from_json spec",
    "runs": "Run",
    "scaling": "Compound Depth InverseCompound Regime ResNetRS Resolution Rule Tiny Width fit",
    "schedules": "Cosine Exponential",
    "search_options": "SearchOptions",
    "searching": "search",
    "sized": "BySize",
    "units": "Budget Cost Rounding",
    "weights": "to_timm",
}
_MODULE_OF = {name: module for module, listed in _HOME.items() for name in listed.split()}

__all__ = [
    "PARTS",
    "SE",
    "SGD",
    "Act",
    "AdamW",
    "ArchSpec",
    "Augment",
    "AutoAugment",
    "BasicBlock",
    "BatchNorm",
    "Block",
    "Bottleneck",
    "Budget",
    "BySize",
    "ColourJitter",
    "Compound",
    "Conv",
    "ConvStem",
    "Cosine",
    "Cost",
    "DeepStem",
    "Depth",
    "DepthwiseSeparable",
    "EvoNorm",
    "EvoNormKind",
    "Exponential",
    "GhostBottleneck",
    "GroupNorm",
    "Halving",
    "Head",
    "Image",
    "InverseCompound",
    "Lambda",
    "MBConv",
    "Mixer",
    "Model",
    "NFBottleneck",
    "NFRegNetBlock",
    "NoNorm",
    "Node",
    "Norm",
    "Options",
    "Padding",
    "Part",
    "PlainConv",
    "PooledClassifier",
    "PreActBottleneck",
    "RMSPropTF",
    "Ramp",
    "RandAugment",
    "Recipe",
    "Regime",
    "ResNetRS",
    "Resolution",
    "Rounding",
    "Rule",
    "Run",
    "ScaledWS",
    "SearchOptions",
    "Shortcut",
    "Stage",
    "Stem",
    "Style",
    "Tiny",
    "UserError",
    "Watcher",
    "Width",
    "build",
    "calibrate",
    "convert",
    "cost",
    "create",
    "design",
    "diagnose",
    "evaluate",
    "export",
    "fit",
    "from_json",
    "gain",
    "grown",
    "measure",
    "names",
    "operations",
    "pick",
    "plan",
    "predict",
    "pseudo_label",
    "published",
    "report",
    "resume",
    "scale",
    "search",
    "spec",
    "this_machine",
    "to_timm",
    "train",
]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'convsmith' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(f".{module}", __name__), name)
    return value


def __dir__() -> list[str]:
    return __all__
