"""From a trained network to a file that another runtime runs, checked by running it."""

from .fold import fold_batch_norm
from .metadata import Metadata
from .onnx import Exported, ExportError, export_onnx
from .ort import ort_subject, session

__all__ = ["ExportError", "Exported", "Metadata", "export_onnx", "fold_batch_norm", "ort_subject", "session"]
