"""Labels of given tracks: fits to kept features; no network is trained.

Given tracks come from another program, which knows where each individual is, but not
what it does. Coded times are bouts that a person noted in BORIS or a table: who did
what from when to when. A coded instance is an instance of a given track in a coded
bout, so its label is known.

`labelling_network` computes the features of the instances in tracks, `track_features`
keeps them, `coded_instances` finds the coded ones, and `fit_tracks` fits labels to
these. `left_out_videos` and `smaller_fits` tell how good the labels are.
"""
