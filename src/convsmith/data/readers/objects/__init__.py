"""Objects in pictures, read.

| file       | what                                                                     |
| ---------- | ------------------------------------------------------------------------ |
| `scenes`   | `digit-scenes`, which are drawn                                          |
| `coco`     | COCO's JSON: boxes, polygons, runs, crowds                               |
| `masks`    | a folder of pictures with masks: a file an object, or numbers in one     |
| `yolo`     | YOLO's text files: boxes or polygons                                     |
| `layout`   | which of them lies in a folder, and in which parts                       |
| `outlines` | polygons as masks                                                        |
| `gathered` | objects picked up picture by picture, and what is mended counted         |
"""
