"""A spec with another norm: exact, since a style says it for the whole network."""

from __future__ import annotations

from dataclasses import replace

from ..arch import Act, ArchSpec, Block, Norm
from ..errors import UserError
from ..parts import (
    BatchNorm,
    EvoNorm,
    GroupNorm,
    NFBottleneck,
    NFRegNetBlock,
    NoNorm,
    PlainConv,
    PreActBottleneck,
    ScaledWS,
)
from .kinds import NormName, norm_of, word_of

__all__ = ["restyled"]


def restyled(spec: ArchSpec, norm: NormName | Norm, act: Act | None = None) -> ArchSpec:
    """`spec` with `norm`, by name or as a part, named `SPEC-NORM`; `act` replaces the activation, and is needed where EvoNorm had
    none. A part brings its own.

    `nf` needs blocks that know of alpha and beta: pre-activation bottlenecks become normaliser-free ones of the same
    widths, with standardised filters. The other way round a normaliser-free bottleneck becomes a pre-activation one.

    Raises `UserError` for `nf` of any other block, where the live module can be converted, and for a spec that has that
    norm, or none, already.
    """
    if act is not None and isinstance(norm, Norm):
        raise UserError(f"{word_of(norm)} says itself what follows it: there is no place for {act}")
    own = act or activation_of(spec)
    if _has(spec, norm) and own == activation_of(spec):
        raise UserError(f"{spec.name} {'is normaliser-free' if norm == 'nf' else f'has {word_of(norm)} norms'} already")
    named = replace(spec, name=f"{spec.name}-{word_of(norm)}")
    if norm == "nf":
        if own is None:
            raise UserError(f"{spec.name} has no activation of its own to go on with: say which, such as --act relu")
        stages = tuple(replace(stage, block=_free(stage.block, spec)) for stage in spec.stages)
        conv = ScaledWS(padding=spec.style.conv.padding, edges=spec.style.conv.edges)
        return replace(named, stages=stages).with_style(norm=NoNorm(act=own, gain=True), conv=conv, zero_last=False)
    chosen = norm_of(norm, own or Act.RELU)
    stages = tuple(replace(stage, block=_normed(stage.block)) for stage in spec.stages)
    changed = replace(named, stages=stages)
    own_conv = spec.style.conv
    if isinstance(own_conv, ScaledWS):
        return changed.with_style(norm=chosen, conv=PlainConv(padding=own_conv.padding, edges=own_conv.edges))
    return changed.with_style(norm=chosen)


def _has(spec: ArchSpec, norm: NormName | Norm) -> bool:
    if isinstance(norm, Norm):
        return norm == spec.style.norm
    if norm == "nf":
        free = all(isinstance(stage.block, NFBottleneck | NFRegNetBlock) for stage in spec.stages)
        return free and isinstance(spec.style.norm, NoNorm) and isinstance(spec.style.conv, ScaledWS)
    wanted, own = norm_of(norm, Act.NONE), spec.style.norm
    if isinstance(wanted, EvoNorm) and isinstance(own, EvoNorm):
        return wanted.variant is own.variant
    return type(wanted) is type(own)


def activation_of(spec: ArchSpec) -> Act | None:
    """The activation behind a spec's norm; None for EvoNorm, which is one itself."""
    norm = spec.style.norm
    return norm.act if isinstance(norm, BatchNorm | GroupNorm | NoNorm) else None


def _free(block: Block, spec: ArchSpec) -> Block:
    if isinstance(block, NFBottleneck):
        return block
    if isinstance(block, PreActBottleneck):
        return NFBottleneck(kernel=block.kernel, ratio=block.ratio, shortcut=block.shortcut, dilation=block.dilation)
    raise UserError(
        f"a {block.kind} block of {spec.name} has no normaliser-free form as a spec: only pre-activation bottlenecks have. "
        "Convert the live network, whose scales are traced: --live"
    )


def _normed(block: Block) -> Block:
    if isinstance(block, NFBottleneck):
        return PreActBottleneck(
            kernel=block.kernel, ratio=block.ratio, shortcut=block.shortcut, dilation=block.dilation
        )
    return block
