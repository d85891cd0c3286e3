"""What asyncua's client finds at an OPC UA server, as one line of JSON.

    opcua_client.py URL NODE…     browses, reads, writes and subscribes; the nodes are numbers that change
"""

import asyncio
import json
import logging
import sys

from asyncua import Client, ua


class Changes:
    """Counts what a subscription brings."""

    def __init__(self):
        self.values = {}

    def datachange_notification(self, node, value, _data):
        """One value."""
        self.values.setdefault(node.nodeid.to_string(), []).append(value)


async def tree(node, depth):
    """Names below a node."""
    if depth == 0:
        return {}
    children = await node.get_children()
    return {(await child.read_browse_name()).to_string(): await tree(child, depth - 1) for child in children}


async def refusal(work):
    """The status with which something is refused."""
    try:
        await work
    except ua.UaStatusCodeError as error:
        return ua.status_codes.get_name_and_doc(error.code)[0]
    return "Good"


async def ask(url, names):
    """One round."""
    async with Client(url, timeout=5) as client:
        nodes = [client.get_node(name) for name in names]
        limit = client.get_node(ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead)
        most = await limit.read_value()
        found = {
            "namespaces": await client.get_namespace_array(),
            "state": int(await client.nodes.server_state.read_value()),
            "limit": most,
            "tree": await tree(client.nodes.objects, 3),
            "values": [await node.read_value() for node in nodes],
            "types": [(await node.read_data_type_as_variant_type()).name for node in nodes],
            "many": await refusal(client.read_attributes([nodes[0]] * (most + 1))),
            "unknown": await refusal(client.get_node("ns=2;s=nothing").read_value()),
        }
        changes = Changes()
        subscription = await client.create_subscription(100, changes)
        await subscription.subscribe_data_change(nodes, sampling_interval=100)
        await asyncio.sleep(1.2)
        found["changes"] = {name: len(values) for name, values in changes.values.items()}
        await nodes[0].write_value(ua.Variant(42.5, ua.VariantType.Double))
        await asyncio.sleep(0.4)
        found["written"] = await nodes[0].read_value()
        found["notified"] = changes.values[nodes[0].nodeid.to_string()][-1]
        found["wrong_type"] = await refusal(nodes[0].write_value(ua.Variant("x", ua.VariantType.String)))
        await subscription.delete()
        return found


def main():
    """Prints what was found."""
    logging.disable(logging.CRITICAL)
    print(json.dumps(asyncio.run(ask(sys.argv[1], sys.argv[2:]))))


if __name__ == "__main__":
    main()
