"""What an experiment costs on a machine: measured for a few seconds, estimated before it runs.

* ``machine``: what a measurement holds for;
* ``images``: how many images of which shape each data set has;
* ``work``: what each run of a plan computes, in images and steps;
* ``measuring``: how long steps of networks and methods take;
* ``lanes``: how many images several processes train on together;
* ``bench``: what is measured of an experiment, within a time limit;
* ``rates``: what was measured, kept on disk;
* ``prediction``: from work to seconds, by what was measured or by FLOPs;
* ``disk``: from a run to bytes;
* ``estimate``: the whole plan: hours, disk, and what they are based on;
* ``text``: what people read.

Nothing here belongs to the code of a run: no key depends on it.
"""
