//! Where readings go: the list of uplinks in this build, and what an uplink has to be able to do.

