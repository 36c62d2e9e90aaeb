"""What `import convsmith as cs` adds to the jobs for people at a prompt. Nothing is re-exported here.

| file       | what                                                                          |
| ---------- | ----------------------------------------------------------------------------- |
| `run`      | `Run`: a run folder whose files are values and whose verbs are methods         |
| `verbs`    | verbs that give a `Run`, with what one most often sets by keyword              |
| `networks` | specs and built networks by name                                               |
| `studies`  | ladders, fitted scaling rules, families                                       |
| `words`    | other packages' words for our arguments, answered by ours                      |
"""
