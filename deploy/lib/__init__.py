"""What `deploy/dev`, `deploy/test` and `deploy/services` are made of. Python's standard library
only, 3.9 or newer.

  problem     the one way to give up: one line for the person who started it
  console     what is said on the terminal and in dev.log; the wish to stop
  tools       finding, fetching and building the programs
  workdir     the data directory: lock, ports, reset, files that change whole
  processes   starting, watching, restarting and ending processes
  platform    which processes make up Natter, with their arguments and environment
  ask         whether a server serves, in its own protocol
  servertools finding and fetching the servers that hold data, as `tools` does the programs
  servers     how each of them is started, and which settings lead to it
  services    those of one directory, running by themselves

Nothing in here holds data of Natter or knows what is in it.
"""
