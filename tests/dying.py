"""Work that dies; it imports little, since each process that does it begins with its imports."""

import os

from rcvd.batch import Job, Outcome


def die_as_told(job: Job) -> Outcome:
    """Stands in for a reconstruction whose process is killed as often as the video's text says."""
    deaths = int(job.video.read_text())
    if deaths:
        job.video.write_text(str(deaths - 1))
        os._exit(9)
    return Outcome(job.out.name, "done")
