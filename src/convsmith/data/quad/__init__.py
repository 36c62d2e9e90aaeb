"""Quad-30: walking animals that are drawn, for pose estimation that needs no file.

| file     | what                                                         |
| -------- | ------------------------------------------------------------ |
| `draws`  | `Identity`: which individual each factor of a look is drawn for |
| `animal` | a walking animal: its points, and the shapes it is drawn of  |
| `scene`  | what stands behind it, and what a camera makes of it         |
| `drawn`  | frames: `Quads`, inputs that are drawn when they are asked for |
"""
