"""Suggested settings of a training, for records and a machine: a2d suggest-config.

A preset is a flagfile of the package, which describes a whole training, with the memory
and time that this takes. A suggestion names a preset and the flags that change it, each
with a reason.

- What is suggested for: `basis` (records, machine, time), `host`.
- Measured: how well a readout tells actions (`preset_choice`), and how long steps and
  predictions take (`durations`).
- Decided: `presets` is the table of networks to start from; `rules` goes through the
  rules, of which `starting_point`, `canvas_size`, `anchor_sizes` and `length` have the
  longer ones.
- Written: flags with their reasons (`reasoned_flags`, `record_flags`), remarks
  (`record_remarks`), and the files of both (`suggestion_file`).
"""
