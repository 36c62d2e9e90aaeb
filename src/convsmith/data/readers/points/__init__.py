"""Points in pictures, read.

| file         | what                                                                |
| ------------ | ------------------------------------------------------------------- |
| `deeplabcut` | a DeepLabCut project, or one of its CSV files                       |
| `header`     | the three lines above DeepLabCut's tables, to read and to write     |
| `tables`     | DeepLabCut's labels as a table, from a .csv or an .h5               |
| `coco`       | key points of COCO's JSON                                           |
| `quads`      | `quad30` and its kin, which are drawn                               |
| `bodies`     | what names say of a body: its ruler, and what a mirror swaps        |
| `lists`      | a CSV file that says which part each frame is of, as Horse-10's     |
"""
