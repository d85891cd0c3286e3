//! Simulated PLCs, a broker, and a network that fails on request.
