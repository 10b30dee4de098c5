"""The served network, and its export: a SavedModel with `a2d_tf.json`.

- What is served: `served_network` has a `tf.function` for each signature, made of
  `frame_graphs`, `motion_graphs` and `clip_motion`; `folding` takes batch norms out of
  the network. `signatures` has the names; `descriptions` says what each takes and
  answers.
- An export is written by `exporter`, for `a2d export`, `a2d start --tracks` and
  `export_cache`. `model_info` is its `a2d_tf.json`.
- `export_folder` reads an export for `a2d predict` and its like: it loads functions
  by `saved_model_loader` and `function_library`, faster than TensorFlow does. Other
  programs, such as `tools/client.py`, read it by `tf.saved_model.load`.
- `export_cache` keeps exports of runs for predictions, so that the network is not built
  again.
"""
