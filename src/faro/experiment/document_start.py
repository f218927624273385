"""The file to begin with: it runs as it is, on the simulated microscope."""

from __future__ import annotations

START = """\
# One experiment as one file. Look at it:  faro show FILE
# Check it, without any light:             faro check FILE
# Run it:                                  faro run FILE
# Everything that can be said here:        faro schema

name = "my first feedback experiment"

# "current": image, wait for the mask of this timepoint, then light.
# "previous": light by the mask of the timepoint before, then image.
# "interleaved": image all positions, then light by the masks of this timepoint.
stim_mode = "current"

[microscope]
rig = "simulated"  # or the name of an installed rig, or "module:Class"

[microscope.parameters]  # what the constructor of the rig takes
seed = 1
image_shape = [256, 256]  # (Y, X) in pixels

# What to do: [sequence], or [[phases]] one after the other, or [[arms]] side by side.
[sequence]
# start_at = "18:30"              # waits for the time, in the dark
# pause_before = "Add the drug."  # waits for Enter, in the dark
stage_positions = [  # or { file = "positions.pos" }
  { x = 0, y = 0, name = "left" },  # um
  { x = 1000, y = 0, name = "right" },
]
channels = [
  { config = "miRFP", exposure = 50 },  # ms
  { config = "mScarlet3", exposure = 50 },
]
time_plan = { interval = 1.0, loops = 10 }  # s

# Where the stimulator says so, light is given at these timepoints.
stim_channels = [{ config = "CyanStim", exposure = 100, power = 10 }]
stim_frames = { start = 3, stop = 10 }  # or a list; -1 is the last timepoint

# Which positions get what; leave it out to treat all alike.
[treatments.groups.light]

[treatments.groups.dark]
stim_frames = []

[treatments.layout]  # or:  seed = 1  under [treatments] draws by lot
left = "light"
right = "dark"

# What is done with every frame. A component is named, or given as "module:Name"; the
# module may lie beside this file. Without [pipeline], frames are only recorded.
[[pipeline.segmenters]]
component = "LocalThresholdSegmenter"
name = "nuclei"
use_channel = "miRFP"

[[pipeline.features]]
component = "ErkKtrFeatures"
parameters = { channel = "mScarlet3" }

[pipeline.tracker]
component = "StreamingTracker"

[pipeline.stimulator]
component = "PercentageOfCell"
parameters = { fraction = 0.3, direction = [-1, 0] }  # the upper third of each cell

[storage]
layout = "collection"  # OME-Zarr; or "plate" (wells), or "tiff"
path = "my-first-run"  # from the folder of this file; a number is added if it is taken
"""
