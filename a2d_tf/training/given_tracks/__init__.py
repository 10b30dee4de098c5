"""Labels of given tracks: fits to kept features; no network is trained.

`labelling_network` computes the features of the instances in tracks, `track_features`
keeps them, `coded_instances` finds the coded ones, and `fit_tracks` fits labels to
these. `left_out_videos` and `smaller_fits` tell how good the labels are.
"""
