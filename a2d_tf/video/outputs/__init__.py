"""The files of a prediction, written frame by frame.

output_folder       the folder of a prediction: its files appear whole, at the end
prediction_writer   opens the writers of the files, and hands each frame to them
network_answers     label_maps/ and detections.json
track_writer        tracks.json and summary.csv, by `track_rows`
frame_table         frames.csv
overlay             overlay.mp4, by `video_writer`
library_part        part.json: what a library needs of a prediction
"""
