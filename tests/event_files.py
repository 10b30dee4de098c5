"""What is in TensorBoard's event files."""


def values(folder):
    """Yield (step, tag, tensor proto) of every value in the event files of a folder."""
    import tensorflow as tf

    for path in sorted(folder.iterdir()):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                yield event.step, value.tag, value.tensor


def points(folder):
    """{(step, tag): value} of a run's writer but for what a clock says; none may be there twice."""
    import tensorflow as tf

    found = {}
    for step, tag, tensor in values(folder):
        if not tag.endswith(("second", "_ms")):
            assert (step, tag) not in found, f"{tag} at step {step} is there twice"
            found[step, tag] = float(tf.make_ndarray(tensor))
    return found
