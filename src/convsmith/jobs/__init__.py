"""The verbs in Python. Nothing is re-exported here, so that no module hides a function of its name.

| floor | holds      | what                                                                    |
| ----- | ---------- | ----------------------------------------------------------------------- |
| 6     | `folders`  | a folder goes on, or is shown, by what made it                          |
| 5     | `search`   | a supernet, its children, the winners                                    |
| 4     | `studies`  | many trainings: ladders, fitted rules, families; processes or a Ray cluster |
| 3     | `train`    | one training from its options to its report                              |
| 2     | `ship`, `scale`, `evaluate`, `predict`, `pseudo` | what is done with a network or a run |
| 1     | `timing`, `diagnose`, `convert`, `options` | clocks, calibration, signal, surgery     |
| 0     | `source`, `feed` | where data comes from, and how a network is fed with it             |
"""
