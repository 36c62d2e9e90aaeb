"""What a network is for: a task is a frozen value that joins a head, a loss and a meter. A new task is one file.

| file       | what                                                                                  |
| ---------- | ------------------------------------------------------------------------------------- |
| `task`     | `Task`: what every task answers                                                       |
| `classify` | `Classify`: one label an image                                                        |
| `multi_label` | `MultiLabel`: any number of labels an image                                        |
| `pose` | `Pose`: where the joints of a body are                                            |
| `detect` | `Detect`: where things are, what they are, and their outlines                   |
| `synthesise` | `Synthesise`: images of each class, made                       |
| `choosing` | `task_for`: the task that data asks for                                               |
| `mixing`   | mixup, CutMix and growing sides, for tasks whose answers are labels                    |
"""

from .choosing import BALANCED, refuse_task_settings, targets_for, task_for
from .classify import Classify
from .detect import Detect
from .multi_label import MultiLabel
from .pose import Pose
from .synthesise import Synthesise
from .task import Task, refuse_unread

__all__ = [
    "BALANCED", "TASKS", "Classify", "Detect", "MultiLabel", "Pose", "Synthesise", "Task", "refuse_task_settings",
    "refuse_unread", "targets_for", "task_for",
]  # fmt: skip

TASKS: tuple[type[Task], ...] = (Classify, MultiLabel, Pose, Detect, Synthesise)
