"""Generators of images: what judges them, what they make, and what is shown of it.

| file     | what                                                                                      |
| -------- | ----------------------------------------------------------------------------------------- |
| `judge`  | the network whose features made and real images are compared in                           |
| `sheets` | sheets of made images: over a training, from narrower latents, between two latents         |
| `making` | `synthesise`: images of some classes, made by a run                                        |
| `scored` | what a generator is worth on its data, now and after each epoch                            |
"""
