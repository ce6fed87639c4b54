"""The bench: what calls cost and how long things take on this machine, a module for each thing measured.

`__main__.py` has the parts in their order. A part is given a `Rig` (the sandbox, made as far as the part needs it) and
what it fills (`Found`); all of it ends up in one report.
"""
