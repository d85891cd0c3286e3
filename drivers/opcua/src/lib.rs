//! OPC UA over opc.tcp.
