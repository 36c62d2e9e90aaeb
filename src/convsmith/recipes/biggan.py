"""biggan: a generator and its critic as BigGAN's code trains them; biggan-small: the same for small images on two cores.

    convsmith train biggan128 DATA --task synthesise --recipe biggan
    convsmith train biggan8 digits --task synthesise

After "Large Scale GAN Training for High Fidelity Natural Image Synthesis" (Brock et al., 2019). "code" is the first author's
ajbrock/BigGAN-PyTorch (launch_BigGAN_bs256x8.sh), "compare_gan" is google/compare_gan's biggan_imagenet128.gin.

biggan:
- Adam without first moments, betas 0 and 0.999, eps 1e-6; AdamW without decay is Adam: code.
- rate 1e-4 of the generator and four times as much of its critic, constant, without warm-up: code. Its batch is 2048 in 8 parts:
  the rate for 256 images is an eighth of it here.
- one step of the critic for each of the generator: code; compare_gan has 2: `--set critic_steps=2`.
- moving average of the whole state, 0.9999, from step 20,000 on; a copy before: code. compare_gan begins at 40,000.
- no augmentation, no mirror, no decay, no clipping, no smoothing: code, whose `--augment` is off.
- `orthogonal`, 0: code, where it is off; its strength s would be `--set orthogonal` s / 2.
- 240 epochs: some 150,000 steps of 2048 images of ImageNet, about as long as the code's run: for other data choose your own.

biggan-small, for images of 8 to 32 pixels: not evidenced: ours, after runs on 8x8 digits:
- Adam at 1e-3 for both, batch 64: at 2e-4 nothing was learnt of digits in 250 steps.
- moving average 0.99 from step 100 on: worth a factor of 3 to 5 in Fréchet distance there.
- 34 epochs, 750 steps of the digits. For 32 pixels take more: `--epochs`.
"""

from __future__ import annotations

from dataclasses import replace

from ..recipe import AdamW, Augment, Constant, Recipe

__all__ = ["BIGGAN", "BIGGAN_SMALL"]

BIGGAN = Recipe(
    name="biggan",
    epochs=240,
    batch=2048,
    optimiser=AdamW(beta1=0.0, beta2=0.999, eps=1e-6),
    rate=1e-4 / 8,
    decay=0.0,
    warmup=0,
    schedule=Constant(),
    smoothing=0.0,
    clip=0.0,
    average=0.9999,
    average_start=20_000,
    dropout=0.0,
    drop_path=0.0,
    batch_norm_momentum=0.1,
    augment=Augment(),
    accumulate=8,
    critic_rate=4.0,
)

BIGGAN_SMALL = replace(
    BIGGAN,
    name="biggan-small",
    epochs=34,
    batch=64,
    optimiser=AdamW(beta1=0.0, beta2=0.999, eps=1e-8),
    rate=4e-3,
    average=0.99,
    average_start=100,
    accumulate=1,
    critic_rate=1.0,
)
