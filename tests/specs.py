"""Random specs for property tests: small enough to run, odd enough to break what is wrong."""

from __future__ import annotations

from hypothesis import strategies as st

from convsmith.arch import Act, ArchSpec, Block, Image, Padding, Stage, Stem, Style
from convsmith.layers import LinearInit
from convsmith.parts import (
    SE,
    BasicBlock,
    BatchNorm,
    Bottleneck,
    ConvStem,
    DeepStem,
    DepthwiseSeparable,
    EvoNorm,
    EvoNormKind,
    EvoNormLinear,
    GhostBottleneck,
    GroupNorm,
    Halving,
    Lambda,
    MBConv,
    NFBottleneck,
    NFRegNetBlock,
    PlainConv,
    PooledClassifier,
    PreActBottleneck,
    ScaledWS,
    Shortcut,
)

acts = st.sampled_from([Act.RELU, Act.RELU6, Act.SILU, Act.HARD_SWISH, Act.GELU])
kernels = st.sampled_from([1, 3, 5])
widths = st.integers(1, 12).map(lambda eighths: 4 * eighths)
norms = st.one_of(
    st.builds(BatchNorm, act=acts, eps=st.sampled_from([1e-5, 1e-3]), momentum=st.sampled_from([0.1, 0.01])),
    st.builds(GroupNorm, act=acts, groups=st.sampled_from([1, 4, 32])),
    st.builds(EvoNorm, variant=st.sampled_from([kind for kind in EvoNormKind if kind.batch])),
    st.builds(
        EvoNorm,
        variant=st.sampled_from([kind for kind in EvoNormKind if not kind.batch]),
        groups=st.sampled_from([1, 4, 32]),
        linear=st.sampled_from(EvoNormLinear),
    ),
)
convs = st.one_of(
    *(st.builds(kind, padding=st.sampled_from([Padding.SYMMETRIC, Padding.SAME])) for kind in (PlainConv, ScaledWS))
)
styles = st.builds(Style, norm=norms, conv=convs, drop_path=st.sampled_from([0.0, 0.2]), zero_last=st.booleans())
blocks: st.SearchStrategy[Block] = st.one_of(
    st.builds(
        MBConv,
        kernel=kernels,
        expand=st.sampled_from([1, 2, 4.5, 6]),
        se=st.none() | st.builds(SE, ratio=st.sampled_from([0.0625, 0.25, 1.0])),
        skips=st.booleans(),
    ),
    st.builds(
        GhostBottleneck,
        kernel=kernels,
        expand=st.sampled_from([1, 2.3, 4]),
        se=st.none() | st.builds(SE, ratio=st.just(0.25), gate=st.just(Act.HARD_SIGMOID), divisor=st.just(4)),
    ),
    st.builds(DepthwiseSeparable, kernel=kernels),
    st.builds(
        Bottleneck,
        kernel=kernels,
        ratio=st.sampled_from([0.25, 0.5]),
        groups=st.sampled_from([1, 2]),
        shortcut=st.sampled_from(Shortcut),
        se=st.none() | st.builds(SE, ratio=st.sampled_from([0.0625, 0.25])),
        mixer=st.none() | st.builds(Lambda, key=st.just(4), heads=st.just(2), scope=st.sampled_from([3, None])),
    ),
    st.builds(NFBottleneck, shortcut=st.sampled_from(Shortcut), skip_init=st.booleans()),
    st.builds(NFRegNetBlock, expand=st.sampled_from([1, 2.25]), nearest=st.booleans()),
    st.builds(PreActBottleneck, shortcut=st.sampled_from(Shortcut)),
    st.builds(BasicBlock, kernel=kernels, groups=st.sampled_from([1, 2]), shortcut=st.sampled_from(Shortcut)),
)
stems: st.SearchStrategy[Stem] = st.one_of(
    st.builds(ConvStem, width=widths, kernel=kernels, stride=st.sampled_from([1, 2]), pool=st.booleans()),
    st.builds(DeepStem, width=widths, inner=widths, stride=st.sampled_from([1, 2]), then=st.sampled_from(Halving)),
)
stages = st.builds(Stage, block=blocks, depth=st.integers(1, 3), width=widths, stride=st.sampled_from([1, 2]))
heads = st.builds(
    PooledClassifier,
    classes=st.integers(1, 12),
    width=st.just(0) | widths,
    dropout=st.sampled_from([0.0, 0.3]),
    init=st.sampled_from(LinearInit),
    hidden=st.sampled_from([0, 16]),
    activated=st.booleans(),
)
specs = st.builds(
    ArchSpec,
    name=st.just("random"),
    input=st.builds(Image, resolution=st.integers(8, 40)),
    style=styles,
    stem=stems,
    stages=st.lists(stages, min_size=1, max_size=4).map(tuple),
    head=heads,
)
