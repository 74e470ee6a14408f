"""Trainings that are decided and checked, and nothing of them written yet: the way from a request to a `Job`."""

from thresher.jobs.job import Job, Request, versions
from thresher.jobs.places import fresh_folder
from thresher.jobs.preparing import prepare, reloaded, resumed

__all__ = ["Job", "Request", "fresh_folder", "prepare", "reloaded", "resumed", "versions"]
