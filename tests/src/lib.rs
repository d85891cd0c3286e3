//! End-to-end, interop and fault tests over the real binary.
