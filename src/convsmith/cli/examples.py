"""Two command lines of every verb, for the end of its help."""

from __future__ import annotations

__all__ = ["EXAMPLES", "epilogue"]

EXAMPLES: dict[str, tuple[str, ...]] = {
    "design": ("design ./photos --to 20M-macs", "design ./photos --to 5ms,2M-params --base resnet18 --epochs 60"),
    "demo": ("demo", "demo --epochs 5 --out runs/first-try"),
    "scale": ("scale resnet50 --to 5ms", "scale efficientnet_b0 --to 100M-macs --rule tiny --out small.json"),
    "pick": ("pick --to 300M-macs --counts-only", "pick 'mobilenet*' --to 5ms --top 4"),
    "search": ("search ./photos --to 2M-macs,4M-macs", "search ./photos --to 5ms+1M-params --space bignas --dry-run"),
    "family": (
        "family efficientnet_b0 ./photos --to 5M-macs,10M-macs,20M-macs",
        "family resnet18 digits --to 1M-macs,4M-macs --against tiny",
    ),
    "search norms": ("search norms digits", "search norms ./photos --layers 5000 --seeds 9 --dry-run"),
    "fit-scaling": ("fit-scaling ./photos --hours 2", "fit-scaling ./photos --rule tiny --jobs 4 --out runs/scaling"),
    "train": (
        "train resnet18 ./photos --epochs 60 --batch 32 --lr 0.1",
        "train resnet50 ./photos --weights tv:resnet50 --recipe finetune",
    ),
    "resume": ("resume runs/photos-20M", "resume runs/photos-20M --device cpu"),
    "ladder": ("ladder resnet18 ./photos --dry-run", "ladder resnet18 ./photos --seeds 5 --jobs 2"),
    "pseudo-label": (
        "pseudo-label runs/photos-20M ./unlabelled --out pseudo.json",
        "pseudo-label runs/photos-20M ./new --threshold 0.9 --balance 100",
    ),
    "recipes": ("recipes", "recipes resnet-rs"),
    "runs": ("runs", "runs ./other-runs --json"),
    "evaluate": (
        "evaluate runs/photos-20M ./more-photos",
        "evaluate runs/photos-20M --corrupt noise fog --severity 1 3",
    ),
    "passport": ("passport runs/photos-20M", "passport runs/photos-20M runs/photos-5ms --out passport.html"),
    "list": ("list", "list 'resnet*' --json"),
    "show": ("show efficientnet_b0", "show resnet18 --classes 10 --resolution 64"),
    "diagnose": ("diagnose resnet18", "diagnose mine.json --data ./photos --plot signal.svg"),
    "report": ("report runs/photos-20M", "report runs/photos-20M runs/photos-5ms", "report --index runs"),
    "predict": ("predict runs/photos-20M new.jpg", "predict model.onnx ./new-photos --top 3 --out labels.csv"),
    "export": ("export runs/photos-20M", "export runs/photos-20M --int8 --must 'drop<=1,ms<=5'"),
    "convert": (
        "convert resnet50 --norm group --out resnet50-group.json",
        "convert timm:resnet18 --norm nf --out nf.pt2",
    ),
    "doctor": ("doctor", "doctor ./photos --model resnet18 --workers 2"),
    "measure": ("measure resnet18 mobilenetv2_100", "measure runs/photos-20M model.onnx --threads 2 --rounds 50"),
    "calibrate": ("calibrate", "calibrate --from kit-pi4/result.json --device pi4"),
    "estimate": ("estimate resnet18 resnet50", "estimate efficientnet_b0 --device pi4"),
    "kit": ("kit kit-pi4 --threads 1 4 --batches 1 8", "kit winner-pi4 runs/photos-20M --device pi4 --to 5ms"),
    "confirm": ("confirm winner-pi4/result.json", "confirm winner-pi4/result.json --json"),
    "completion": ("completion bash", "completion zsh --install"),
    "help": ("help", "help design"),
}


def epilogue(verb: str) -> str:
    """The examples of a verb as the end of its help."""
    return "\n\n".join(["Examples:", "\n".join(f"  convsmith {line}" for line in EXAMPLES[verb])])
