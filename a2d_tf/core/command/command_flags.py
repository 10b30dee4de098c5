"""Flags that several commands have in common; none is a setting of a run."""

from __future__ import annotations

from absl import flags

from a2d_tf.core.command.register import Register


def define_workdir(register: Register) -> flags.FlagHolder:
    """Define `--workdir`, the folder of a training, for a command that reads a run.

    Args:
      register: the register of the command's flags.

    Returns:
      the flag, whose `value` is known after parsing.
    """
    return register.define_string("workdir", None, "Run folder of a2d train.")


def define_packed_model(register: Register) -> flags.FlagHolder:
    """Define `--model` for a command that takes a packed model in place of a run.

    A packed model is a folder of weights and settings that `a2d export --pack` wrote.

    Args:
      register: the register of the command's flags.

    Returns:
      the flag, whose `value` is known after parsing.
    """
    text = "Packed model: a name, or a folder of a2d export --pack."
    return register.define_string("model", None, text)


def define_checkpoint(register: Register) -> flags.FlagHolder:
    """Define `--checkpoint`, which weights of a run a command uses: 'last' or 'best'.

    Args:
      register: the register of the command's flags.

    Returns:
      the flag, whose `value` is known after parsing.
    """
    text = "Weights of the run to use: the newest, or those of the best validation."
    return register.define_enum("checkpoint", "last", ["last", "best"], text)


def define_bout_lengths(
    register: Register,
) -> tuple[flags.FlagHolder, flags.FlagHolder]:
    """Define `--min_bout` and `--merge_gap`, which drop and join short bouts.

    A bout is a period in which an individual does one thing; both flags are in seconds.

    Args:
      register: the register of the command's flags.

    Returns:
      (the flag min_bout, the flag merge_gap).
    """
    min_bout = register.define_float(
        "min_bout",
        0.0,
        "Leave out predicted bouts shorter than so many seconds, after --merge_gap;"
        " 0: none.",
        0.0,
        1e6,
    )
    merge_gap = register.define_float(
        "merge_gap",
        0.0,
        "Join two predicted bouts of one individual and behaviour that are less than"
        " so many seconds apart; 0: none.",
        0.0,
        1e6,
    )
    return min_bout, merge_gap


def define_device(register: Register) -> flags.FlagHolder:
    """Define `--device` for a command that computes: 'auto', 'cpu' or 'gpu'.

    Args:
      register: the register of the command's flags.

    Returns:
      the flag, whose `value` is known after parsing.
    """
    text = "Device to compute on; auto: the GPU if the machine has one, else the CPU."
    return register.define_enum("device", "auto", ["auto", "cpu", "gpu"], text)
