"""Digit scenes: handwritten digits strewn over a picture, for finding objects without a file.

| file    | what                                                              |
| ------- | ----------------------------------------------------------------- |
| `scene` | `Scene`: which digits lie where, and the picture of them          |
| `drawn` | `Scenes`: inputs that are drawn when they are asked for           |
"""
