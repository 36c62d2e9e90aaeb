"""Films by class.

| file     | what                                                 |
| -------- | ---------------------------------------------------- |
| `folder` | a folder of films per class                          |
| `groups` | which films were cut out of one, by their names      |
| `moving` | `moving-digits`, which are drawn                     |

A CSV file of films is read as one of images is, by `readers.table`.
"""
