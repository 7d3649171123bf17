"""Background work: the only package that starts threads.

A ``Job`` runs one of core's generators in a thread, a ``JobList`` holds the running and the queued jobs, and a
``LatestRequestWorker`` computes only the newest of many requests, for a slider. All signals arrive in the GUI thread.
"""

from app.jobs.job import Job
from app.jobs.job_list import JobList
from app.jobs.latest_request import LatestRequestWorker

__all__ = ["Job", "JobList", "LatestRequestWorker"]
