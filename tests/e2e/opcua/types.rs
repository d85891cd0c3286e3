//! Every type, by every form of address, from two servers that we did not write, polled and subscribed to.

use tests::cases;
use tests::opcua::{Far, Server};

use crate::types::{every_value_arrives_from, folder};

fn arrives(server: Server, options: &str) {
    let folder = folder();
    let Some(far) = Far::start(server, folder.path(), &[]) else { return };
    every_value_arrives_from(&format!("{}?policy=none&{options}", far.url()), &cases::opcua::all());
}

#[test]
fn every_type_arrives_from_asyncua() {
    arrives(Server::Asyncua, "read=subscribe");
}

#[test]
fn every_type_is_polled_from_asyncua() {
    arrives(Server::Asyncua, "read=poll");
}

#[test]
fn every_type_arrives_from_node_opcua() {
    arrives(Server::NodeOpcua, "read=subscribe");
}

#[test]
fn every_type_is_polled_from_node_opcua() {
    arrives(Server::NodeOpcua, "read=poll");
}
