"""Run folders: what a run was given and has produced."""

from .eight_bits import BlockAlone, BlocksInFloat, KeptPoint
from .kinds import FAMILY_FILE, Kind, kind_of
from .lines import Epoch, Fall, Line, Look, PairLook, epochs_of, line
from .notes import OF_DATA, OF_RESULTS, Known, best_of, notes_on, stopped_early
from .ood import Domains
from .overview import Overview, overviews
from .record import Readable, Record, loaded, parsed, read, value
from .records import Config, Data, Export, Int8, Latency, Limit, Row, Samples, Skipped, Stage, met, told_of
from .robustness import Cell, Mean, Robustness, Worst, WorstPose
from .run import RunFolder, now
from .search_records import Foil, Foils, Front, FrontRow, Ranked, Scored
from .tables import write_tables

__all__ = [
    "FAMILY_FILE", "OF_DATA", "OF_RESULTS", "BlockAlone", "BlocksInFloat", "Cell", "Config", "Data", "Domains", "Epoch",
    "Export", "Fall", "Foil", "Foils", "Front", "FrontRow", "Int8", "KeptPoint", "Kind", "Known", "Latency", "Limit",
    "Line", "Look", "Mean", "Overview", "PairLook", "Ranked", "Readable", "Record", "Robustness", "Row", "RunFolder",
    "Samples", "Scored", "Skipped", "Stage", "Worst", "WorstPose", "best_of", "epochs_of", "kind_of", "line", "loaded",
    "met", "notes_on", "now", "overviews", "parsed", "read", "stopped_early", "told_of", "value", "write_tables",
]  # fmt: skip
