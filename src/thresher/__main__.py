"""`python -m thresher`, the same as the command `thresher`."""

from thresher.cli import main

main()
