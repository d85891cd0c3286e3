//! The list of drivers in this build, and one API to read any of them by URL.
