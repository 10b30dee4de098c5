"""Tracks that a user has: who is where in each frame of a video, from any tool.

What each one does is for a network to say. A label that is an actor of the network is
kept; without any label the network names the actor, too.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection, Mapping, Sequence

from a2d_tf.annotations.documents.read_options import DEFAULTS, ReadOptions
from a2d_tf.annotations.labels.names import NO_NAMES, Names
from a2d_tf.annotations.matching.find_videos import find_videos
from a2d_tf.annotations.matching.video_annotations import VideoAnnotations
from a2d_tf.annotations.matching.video_folder import VideoFolder
from a2d_tf.annotations.readers.exports import Export, read_exports
from a2d_tf.annotations.tracks.video_tracks import FLAG, VideoTracks
from a2d_tf.core.errors import InputError, join_names
from a2d_tf.core.labels import LabelSpace


@dataclasses.dataclass(frozen=True)
class Reading:
    """Which exports of tracks the user gives, and how they are read.

    Attributes:
      exports: the files, folders and zips with the tracks.
      names: maps labels of the tool to actors.
      options: how files are read.
    """

    exports: Sequence[Export]
    names: Names = NO_NAMES
    options: ReadOptions = DEFAULTS


@dataclasses.dataclass(frozen=True)
class GivenTracks:
    """Tracks in videos that a user or a detector gives, to be labelled by a network.

    Attributes:
      videos: {name of a video: its tracks}.
      annotations: {name of a video: its frames as the exports annotate them}.
      left_out: {actor of a detector that the network's labels lack: the number of its
        instances, which are left out}.
    """

    videos: Mapping[str, VideoTracks]
    annotations: Mapping[str, VideoAnnotations]
    left_out: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @classmethod
    def read(
        cls,
        reading: Reading,
        folder: VideoFolder,
        labels: LabelSpace,
        wanted: Collection[str],
        *,
        of_detector: bool = False,
    ) -> GivenTracks:
        """Read exports of tracks, and match them to videos.

        Args:
          reading: the exports, and how they are read.
          folder: the folder of the user's videos.
          labels: the label space of the network. If it has a single actor, and the user
            states none, that is the actor of tracks whose export names none.
          wanted: names of videos, all of which must have tracks; tracks of other videos
            are left out.
          of_detector: whether a detector found the tracks. Then a video may have no
            tracks, and tracks of actors that `labels` lacks are left out.

        Raises:
          InputError: a file cannot be read, a wanted video has no tracks, a track is in
            a frame twice, a shape belongs to no track, or a label is no actor.
        """
        options = reading.options
        if not options.actor and len(labels.actors) == 1:
            options = dataclasses.replace(options, actor=labels.actors[0])
        annotations = find_videos(
            read_exports(reading.exports, options),
            folder,
            options.first_frame,
            flag=FLAG,
            wanted=wanted,
        )
        missing = [name for name in wanted if name not in annotations]
        if of_detector:
            for name in missing:
                annotations[name] = VideoAnnotations()
        elif missing:
            paths = [str(export.path) for export in reading.exports]
            others = sorted(set(annotations) - set(wanted))
            instead = f", but those of {join_names(others)}" if others else ""
            raise InputError(
                f"{join_names(paths)}: no tracks of {join_names(missing)}{instead}; add"
                f" them, or name the video of a file, as in --{FLAG}=VIDEO=FILE"
            )
        left_out = collections.Counter[str]()
        if of_detector:
            names = dataclasses.replace(reading.names, label_space=labels)
            for name in wanted:
                known = _of_actors(annotations[name], labels.actors, names, left_out)
                annotations[name] = known
        videos = {}
        for name in wanted:
            videos[name] = VideoTracks(name, annotations[name], labels, reading.names)
        return cls(videos, annotations, left_out)


def _of_actors(
    annotations: VideoAnnotations,
    actors: Collection[str],
    names: Names,
    left_out: collections.Counter[str],
) -> VideoAnnotations:
    """Return a video's annotations without instances of unknown actors.

    Args:
      annotations: the annotations of the video.
      actors: the actors that the network knows.
      names: maps labels of the detector to actors.
      left_out: {actor: the number of instances that are left out}; it is changed.
    """
    frames = {}
    for number, frame in annotations.frames.items():
        instances = []
        for instance in frame.instances:
            actor, _ = names.annotated_names(instance)
            if not actor or actor in actors:
                instances.append(instance)
            else:
                left_out[actor] += 1
        if instances:
            frames[number] = dataclasses.replace(frame, instances=tuple(instances))
    return dataclasses.replace(annotations, frames=frames)
