"""What `deploy/dev` and `deploy/test` are made of. Python's standard library only, 3.9 or newer.

  problem    the one way to give up: one line for the person who started it
  console    what is said on the terminal and in dev.log; the wish to stop
  tools      finding, fetching and building the programs
  workdir    the data directory: lock, ports, reset, files that change whole
  processes  starting, watching, restarting and ending processes
  platform   which processes make up Natter, with their arguments and environment

Nothing in here holds data of Natter or knows what is in it.
"""
