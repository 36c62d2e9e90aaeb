"""What a user can name, read.

| file     | what                                                   |
| -------- | ------------------------------------------------------ |
| `folder` | a folder with a folder per class                       |
| `below`  | image files below a folder, and those left out         |
| `npz`    | arrays, or JPEG files joined end to end                |
| `table`  | a CSV file that says which class a file is of          |
| `clips`  | films by class; drawn ones                             |
| `points` | points in pictures: DeepLabCut, COCO, drawn animals    |
| `named`  | `digits` and torchvision's sets                        |
| `dataset`| a dataset of the user's own                            |
| `pseudo` | labels that a trained network gave                     |
| `parts`  | train, val and test, as a reader finds them            |
| `names`  | class names of one part in the numbers of another's    |
"""
