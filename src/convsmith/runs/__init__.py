"""Run folders: what a run was given and earned."""

from .kinds import Kind, kind_of
from .lines import Epoch, Fall, Line, Look, epochs_of, line
from .record import Readable, Record, loaded, parsed, read, value
from .records import Config, Data, Export, Int8, Latency, Limit, Row, Samples, Skipped, Stage, met
from .run import RunFolder, now
from .search_records import Foil, Foils, Front, FrontRow, Scored

__all__ = [
    "Config", "Data", "Epoch", "Export", "Fall", "Foil", "Foils", "Front", "FrontRow", "Int8", "Kind", "Latency", "Limit",
    "Line", "Look", "Readable", "Record", "Row", "RunFolder", "Samples", "Scored", "Skipped", "Stage", "epochs_of",
    "kind_of", "line", "loaded",
    "met", "now", "parsed", "read", "value",
]  # fmt: skip
