"""Confident learning on files that may be larger than memory, by threads, processes or a Ray cluster."""

from thresher.audit.streaming.files import FilesFound, find_label_issues_in_files

__all__ = ["FilesFound", "find_label_issues_in_files"]
