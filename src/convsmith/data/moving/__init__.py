"""Films of a handwritten digit that moves in one of eight ways, which are drawn.

| file    | what                                             |
| ------- | ------------------------------------------------ |
| `film`  | one film: a pure function of a seed and a number |
| `drawn` | films as inputs                                  |
"""
