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
    from .api.networks import build, cost, create, plan, spec, transform_of
    from .api.run import Run
    from .api.studies import family, fit_scaling, ladder, search_norms
    from .api.verbs import design, resume, search, train
    from .arch import (
        Act,
        ArchSpec,
        Block,
        Choices,
        Clip,
        Conv,
        Edges,
        Head,
        Image,
        Latent,
        Map,
        Mixer,
        Neck,
        Node,
        Norm,
        Padding,
        Part,
        Ramp,
        Shape,
        Stage,
        Stem,
        Style,
        Unit,
        grown,
    )
    from .corruptions import corrupted
    from .costs import operations
    from .errors import UserError
    from .families import names
    from .families.biggan import critic
    from .families.inflated import inflated
    from .graphs import Gene, NormGraph, Op, Over
    from .jobs.convert import convert
    from .jobs.diagnose import diagnose
    from .jobs.evaluate import evaluate
    from .jobs.folders import report
    from .jobs.norms.options import NormSearchOptions
    from .jobs.norms.protocol import LayerProtocol
    from .jobs.options import Options
    from .jobs.passport import passport
    from .jobs.predict import predict
    from .jobs.pseudo import pseudo_label
    from .jobs.robustness import robustness
    from .jobs.scale import scale
    from .jobs.search.options import SearchOptions
    from .jobs.ship.eight_bits import EightBits
    from .jobs.ship.export import export
    from .jobs.synthesis.making import synthesise
    from .jobs.timing.calibrate import calibrate
    from .jobs.timing.devices import estimate
    from .jobs.timing.elsewhere import calibrate_from, confirm
    from .jobs.timing.kit import write_kit
    from .jobs.timing.measure import measure
    from .jobs.timing.pick import pick
    from .ledger import published
    from .machine import this_machine
    from .model import Model
    from .parts import (
        FPN,
        PARTS,
        SE,
        Attention,
        BasicBlock,
        BatchNorm,
        Bottleneck,
        ConvStem,
        DeepStem,
        DepthwiseSeparable,
        EvoNorm,
        EvoNormKind,
        Form,
        GhostBottleneck,
        GraphNorm,
        GroupNorm,
        GrowingBlock,
        GrowingBottleneck,
        Halving,
        Keypoints,
        Lambda,
        LatentStem,
        MaskRCNN,
        MBConv,
        NFBottleneck,
        NFRegNetBlock,
        NoNorm,
        PlainConv,
        PooledClassifier,
        PreActBottleneck,
        Projection,
        ScaledWS,
        Shortcut,
        ShrinkingBlock,
        ShrinkingBottleneck,
        ShrinkingStem,
        SpectralConv,
        SpineNet,
        ToImage,
        Told,
        Top,
        detector,
        keypoints_for,
        posed,
    )
    from .progress import Progress
    from .recipe import (
        SGD,
        AdamW,
        Augment,
        AutoAugment,
        BySize,
        ColourJitter,
        Cosine,
        Exponential,
        RandAugment,
        Recipe,
        RMSPropTF,
    )
    from .registry import register
    from .resolve import from_json
    from .scaling import (
        Compound,
        CompoundClips,
        Depth,
        Frames,
        InverseCompound,
        Regime,
        ResNetRS,
        Resolution,
        Rule,
        Tiny,
        Width,
        solve,
    )
    from .scores import Metric, Scores
    from .signal import gain
    from .tasks import Classify, MultiLabel, Task
    from .training import Single
    from .units import Budget, Cost, Rounding
    from .watcher import EpochDone, RolledBack, Started, StepDone, Watched, Watcher
    from .weights import to_timm

# Where each public name lives; a test holds this, the imports above and `__all__` to each other.
_HOME = {
    "api.run": "Run",
    "api.networks": "build cost create plan spec transform_of",
    "api.studies": "family fit_scaling ladder search_norms",
    "api.verbs": "design resume search train",
    "arch": "Act ArchSpec Block Choices Clip Conv Edges Head Image Latent Map Mixer Neck Node Norm Padding Part Ramp Shape "
    "Stage Stem Style Unit grown",
    "corruptions": "corrupted",
    "costs": "operations",
    "errors": "UserError",
    "families": "names",
    "families.biggan": "critic",
    "families.inflated": "inflated",
    "graphs": "Gene NormGraph Op Over",
    "jobs.convert": "convert",
    "jobs.diagnose": "diagnose",
    "jobs.evaluate": "evaluate",
    "jobs.folders": "report",
    "jobs.norms.options": "NormSearchOptions",
    "jobs.norms.protocol": "LayerProtocol",
    "jobs.options": "Options",
    "jobs.passport": "passport",
    "jobs.predict": "predict",
    "jobs.pseudo": "pseudo_label",
    "jobs.robustness": "robustness",
    "jobs.scale": "scale",
    "jobs.search.options": "SearchOptions",
    "jobs.ship.eight_bits": "EightBits",
    "jobs.ship.export": "export",
    "jobs.synthesis.making": "synthesise",
    "jobs.timing.calibrate": "calibrate",
    "jobs.timing.devices": "estimate",
    "jobs.timing.elsewhere": "calibrate_from confirm",
    "jobs.timing.kit": "write_kit",
    "jobs.timing.measure": "measure",
    "jobs.timing.pick": "pick",
    "ledger": "published",
    "machine": "this_machine",
    "model": "Model",
    "parts": "FPN PARTS SE Attention BasicBlock BatchNorm Bottleneck ConvStem DeepStem DepthwiseSeparable EvoNorm "
    "EvoNormKind Form GhostBottleneck GraphNorm GroupNorm GrowingBlock GrowingBottleneck Halving Keypoints Lambda LatentStem "
    "MBConv MaskRCNN NFBottleneck NFRegNetBlock NoNorm PlainConv PooledClassifier PreActBottleneck Projection ScaledWS Shortcut "
    "ShrinkingBlock ShrinkingBottleneck ShrinkingStem SpectralConv SpineNet ToImage Told Top detector keypoints_for posed",
    "progress": "Progress",
    "recipe": "SGD AdamW Augment AutoAugment BySize ColourJitter Cosine Exponential RMSPropTF RandAugment Recipe",
    "registry": "register",
    "resolve": "from_json",
    "scaling": "Compound CompoundClips Depth Frames InverseCompound Regime ResNetRS Resolution Rule Tiny Width solve",
    "scores": "Metric Scores",
    "signal": "gain",
    "tasks": "Classify MultiLabel Task",
    "training": "Single",
    "units": "Budget Cost Rounding",
    "watcher": "EpochDone RolledBack Started StepDone Watched Watcher",
    "weights": "to_timm",
}
_MODULE_OF = {name: module for module, listed in _HOME.items() for name in listed.split()}

__all__ = [
    "FPN",
    "PARTS",
    "SE",
    "SGD",
    "Act",
    "AdamW",
    "ArchSpec",
    "Attention",
    "Augment",
    "AutoAugment",
    "BasicBlock",
    "BatchNorm",
    "Block",
    "Bottleneck",
    "Budget",
    "BySize",
    "Choices",
    "Classify",
    "Clip",
    "ColourJitter",
    "Compound",
    "CompoundClips",
    "Conv",
    "ConvStem",
    "Cosine",
    "Cost",
    "DeepStem",
    "Depth",
    "DepthwiseSeparable",
    "Edges",
    "EightBits",
    "EpochDone",
    "EvoNorm",
    "EvoNormKind",
    "Exponential",
    "Form",
    "Frames",
    "Gene",
    "GhostBottleneck",
    "GraphNorm",
    "GroupNorm",
    "GrowingBlock",
    "GrowingBottleneck",
    "Halving",
    "Head",
    "Image",
    "InverseCompound",
    "Keypoints",
    "Lambda",
    "Latent",
    "LatentStem",
    "LayerProtocol",
    "MBConv",
    "Map",
    "MaskRCNN",
    "Metric",
    "Mixer",
    "Model",
    "MultiLabel",
    "NFBottleneck",
    "NFRegNetBlock",
    "Neck",
    "NoNorm",
    "Node",
    "Norm",
    "NormGraph",
    "NormSearchOptions",
    "Op",
    "Options",
    "Over",
    "Padding",
    "Part",
    "PlainConv",
    "PooledClassifier",
    "PreActBottleneck",
    "Progress",
    "Projection",
    "RMSPropTF",
    "Ramp",
    "RandAugment",
    "Recipe",
    "Regime",
    "ResNetRS",
    "Resolution",
    "RolledBack",
    "Rounding",
    "Rule",
    "Run",
    "ScaledWS",
    "Scores",
    "SearchOptions",
    "Shape",
    "Shortcut",
    "ShrinkingBlock",
    "ShrinkingBottleneck",
    "ShrinkingStem",
    "Single",
    "SpectralConv",
    "SpineNet",
    "Stage",
    "Started",
    "Stem",
    "StepDone",
    "Style",
    "Task",
    "Tiny",
    "ToImage",
    "Told",
    "Top",
    "Unit",
    "UserError",
    "Watched",
    "Watcher",
    "Width",
    "build",
    "calibrate",
    "calibrate_from",
    "confirm",
    "convert",
    "corrupted",
    "cost",
    "create",
    "critic",
    "design",
    "detector",
    "diagnose",
    "estimate",
    "evaluate",
    "export",
    "family",
    "fit_scaling",
    "from_json",
    "gain",
    "grown",
    "inflated",
    "keypoints_for",
    "ladder",
    "measure",
    "names",
    "operations",
    "passport",
    "pick",
    "plan",
    "posed",
    "predict",
    "pseudo_label",
    "published",
    "register",
    "report",
    "resume",
    "robustness",
    "scale",
    "search",
    "search_norms",
    "solve",
    "spec",
    "synthesise",
    "this_machine",
    "to_timm",
    "train",
    "transform_of",
    "write_kit",
]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'convsmith' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(f".{module}", __name__), name)
    return value


def __dir__() -> list[str]:
    return __all__
