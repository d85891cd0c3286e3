"""An OPC UA server that holds the values of cases/opcua-types.json in the folder 2:Far: asyncua's own.

    opcua_server.py --ready FILE [--port N] [--items N] [--history] [--structures] [--dictionary] [--lossy] [--known-as URL] [--events] [--pki FOLDER] [--only-secure] [--legacy]

Listens on a free port of the loopback, or on N, and writes the port to FILE once it serves. `ns=2;s=counter` counts ten
times a second; `ns=2;s=item_0` and so on are further counters. With --history the server keeps the
history of all that count. With --structures there are types of the server's own:
`ns=2;s=machine`, whose `id` counts, `ns=2;s=axes`, `ns=2;s=either`. With
--dictionary there are types as before OPC UA 1.04, told by a dictionary alone: `ns=2;s=pump`. With --events the server has ten
events a second, whose messages count. With --pki the server shows FOLDER/server.der, offers
Basic256Sha256 Sign and SignAndEncrypt beside None, and takes users: operator with the password secret, and
any certificate but FOLDER/stranger.der. It trusts client certificates in FOLDER/trusted alone, where that folder is. With
--legacy it offers Basic256 and Basic128Rsa15 instead of Basic256Sha256.
With --lossy every fifth message of a subscription is
lost on its way, as its number shows. With --known-as the server calls itself by that URL, whatever it listens on.
SIGUSR1 closes all sessions, SIGUSR2 all connections; SIGHUP adds a node whose name begins with `grown_`, which counts too.
"""

import argparse
import asyncio
import base64
import datetime
import json
import logging
import pathlib
import signal
import socket
import uuid

from asyncua import Server, ua
from asyncua.common.structures104 import new_enum, new_struct, new_struct_field
from asyncua.common.type_dictionary_builder import DataTypeDictionaryBuilder
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.crypto.truststore import TrustStore
from asyncua.crypto.validator import CertificateValidator, CertificateValidatorOptions
from asyncua.server.internal_subscription import InternalSubscription
from cryptography.hazmat.primitives.serialization import Encoding

CASES = pathlib.Path(__file__).parent.parent / "cases" / "opcua-types.json"
NAMESPACE = "urn:forebay:far"
APPLICATION = "urn:forebay:far:server"


class Users:
    """A name needs its password. Who shows a certificate may come, but for the stranger: of whoever comes anonymously
    asyncua gives the certificate of the application here.
    """

    def __init__(self, pki):
        stranger = pki / "stranger.der" if pki else None
        self.stranger = stranger.read_bytes() if stranger and stranger.exists() else None

    def get_user(self, iserver, username=None, password=None, certificate=None):
        """The user, or none."""
        if username is not None:
            return User(role=UserRole.Admin) if (username, password) == ("operator", "secret") else None
        if certificate is not None and not isinstance(certificate, bytes):
            certificate = certificate.public_bytes(Encoding.DER)
        return None if certificate is not None and certificate == self.stranger else User(role=UserRole.Admin)


def plain(kind, value):
    """One value as asyncua has it."""
    if isinstance(value, list):
        return [plain(kind, one) for one in value]
    return {
        "DateTime": lambda text: datetime.datetime.fromisoformat(text + "+00:00"),
        "Guid": uuid.UUID,
        "ByteString": base64.b64decode,
        "LocalizedText": lambda text: ua.LocalizedText(text, "de"),
        "StatusCode": ua.StatusCode,
        "NodeId": ua.NodeId.from_string,
    }.get(kind, lambda same: same)(value)


async def fill(server, namespace, items):
    """Makes all nodes and gives those that count."""
    folder = await server.nodes.objects.add_folder(ua.NodeId("Far", namespace), ua.QualifiedName("Far", namespace))
    for case in json.loads(CASES.read_text()):
        if "of" in case:
            continue
        kind = ua.VariantType[case["type"]]
        value = ua.Variant(plain(case["type"], case["value"]), kind)
        data_type = ua.NodeId(case["enumeration"], 0) if "enumeration" in case else None
        name = ua.QualifiedName(case["tag"], namespace)
        node_id = ua.NodeId.from_string(case["address"])
        if node_id.NodeIdType == ua.NodeIdType.ByteString:
            node_id = ua.NodeId(base64.b64decode(case["address"].split("b=")[1]), namespace)
        node = await folder.add_variable(node_id, name, value, datatype=data_type)
        await node.set_writable()
        if isinstance(case["value"], list):
            rank = 2 if isinstance(case["value"][0], list) else 1
            await node.write_attribute(ua.AttributeIds.ValueRank, ua.DataValue(ua.Variant(rank, ua.VariantType.Int32)))
    counters = []
    for name in ["counter"] + [f"item_{number}" for number in range(items)]:
        value = ua.Variant(0, ua.VariantType.UInt32)
        counters.append(await folder.add_variable(ua.NodeId(name, namespace), ua.QualifiedName(name, namespace), value))
    return counters


async def add_structures(server, namespace):
    """Types of its own, values of them, and what makes the machine count."""
    folder = server.get_node(ua.NodeId("Far", namespace))
    mode = await new_enum(server, namespace, "Mode", ["Off", "Run"])
    axis = [new_struct_field("name", ua.VariantType.String), new_struct_field("position", ua.VariantType.Double)]
    axis_type, _ = await new_struct(server, namespace, "Axis", axis + [new_struct_field("mode", mode)])
    machine = [
        new_struct_field("id", ua.VariantType.UInt32),
        new_struct_field("main", axis_type),
        new_struct_field("axes", axis_type, array=True),
        new_struct_field("since", ua.VariantType.DateTime),
        new_struct_field("speeds", ua.VariantType.Float, array=True),
        new_struct_field("note", ua.VariantType.String, optional=True),
        new_struct_field("any", ua.VariantType.Variant, optional=True),
    ]
    await new_struct(server, namespace, "Machine", machine)
    choices = [new_struct_field("number", ua.VariantType.Int32), new_struct_field("text", ua.VariantType.String)]
    await new_struct(server, namespace, "Either", choices, is_union=True)
    await server.load_data_type_definitions()
    left, right = ua.Axis("left", 1.5, ua.Mode.Run), ua.Axis("rechts", float("nan"), ua.Mode.Off)
    since = datetime.datetime(2026, 11, 23, 2, 28, 33, 123000, tzinfo=datetime.timezone.utc)

    def machine_of(number):
        return ua.Machine(id=number, main=left, axes=[left, right], since=since, speeds=[0.1, -2.5], any=ua.Variant(7))

    either = ua.Either()
    either.text = "this one"
    nodes = {}
    for name, value in {"machine": machine_of(0), "axes": [left, right], "either": either}.items():
        node_id, browse_name = ua.NodeId(name, namespace), ua.QualifiedName(name, namespace)
        nodes[name] = await folder.add_variable(node_id, browse_name, ua.Variant(value, ua.VariantType.ExtensionObject))

    async def count(number):
        value = ua.Variant(machine_of(number), ua.VariantType.ExtensionObject)
        await server.write_attribute_value(nodes["machine"].nodeid, ua.DataValue(value))

    return count


async def add_dictionary(server, namespace):
    """Types that only a dictionary tells of, and a value."""
    builder = DataTypeDictionaryBuilder(server, namespace, "urn:forebay:old", "Old")
    await builder.init()
    bearing = await builder.create_data_type("Bearing")
    bearing.add_field("name", ua.VariantType.String)
    bearing.add_field("wear", ua.VariantType.Double)
    pump = await builder.create_data_type("Pump")
    pump.add_field("id", ua.VariantType.UInt32)
    pump.add_field("main", "Bearing")
    pump.add_field("bearings", "Bearing", is_array=True)
    pump.add_field("since", ua.VariantType.DateTime)
    pump.add_field("speeds", ua.VariantType.Float, is_array=True)
    await builder.set_dict_byte_string()
    await server.load_type_definitions()
    value, front, back = ua.Pump(), ua.Bearing(), ua.Bearing()
    front.name, front.wear, back.name, back.wear = "front", 0.25, "hinten", float("nan")
    value.id, value.main, value.bearings, value.speeds = 7, front, [front, back], [0.1, -2.5]
    value.since = datetime.datetime(2026, 11, 23, 2, 28, 33, 123000, tzinfo=datetime.timezone.utc)
    folder = server.get_node(ua.NodeId("Far", namespace))
    node_id, name = ua.NodeId("pump", namespace), ua.QualifiedName("pump", namespace)
    await folder.add_variable(node_id, name, ua.Variant(value, ua.VariantType.ExtensionObject), datatype=pump.data_type)


async def secure(server, pki, only_secure, legacy):
    """Certificate, policies, and whom it trusts."""
    await server.load_certificate(str(pki / "server.der"))
    await server.load_private_key(str(pki / "server.key"), format="PEM")
    names = ["Basic256", "Basic128Rsa15"] if legacy else ["Basic256Sha256"]
    policies = [ua.SecurityPolicyType[f"{name}_{mode}"] for name in names for mode in ["SignAndEncrypt", "Sign"]]
    if not only_secure:
        policies.insert(0, ua.SecurityPolicyType.NoSecurity)
    server.set_security_policy(policies)
    server.set_identity_tokens([ua.AnonymousIdentityToken, ua.UserNameIdentityToken, ua.X509IdentityToken])
    if (pki / "trusted").is_dir():
        store = TrustStore([pki / "trusted"], [])
        await store.load()
        options = CertificateValidatorOptions.TRUSTED | CertificateValidatorOptions.URI
        server.set_certificate_validator(CertificateValidator(options, store))


def counted(number, has_source):
    """A count, with the time at its source where that is wanted: without one asyncua's history cannot be read."""
    source = datetime.datetime.now(datetime.timezone.utc) if has_source else None
    return ua.DataValue(ua.Variant(number, ua.VariantType.UInt32), SourceTimestamp=source)


async def grow(server, namespace, counters):
    """One more node that counts."""
    folder = server.get_node(ua.NodeId("Far", namespace))
    name = f"grown_{len(counters)}"
    value = ua.Variant(0, ua.VariantType.UInt32)
    counters.append(await folder.add_variable(ua.NodeId(name, namespace), ua.QualifiedName(name, namespace), value))


async def close_sessions(server):
    """As a server does that has had enough of them."""
    for protocol in list(server.bserver.clients):
        session = protocol.processor.session
        if session is not None:
            await session.close_session(True)


def lose_messages():
    """Every fifth message is kept to be asked for again, and only a sign of life comes in its place."""
    pop = InternalSubscription._pop_publish_result

    def pop_or_lose(self):
        result = pop(self)
        number = result.NotificationMessage.SequenceNumber
        if result.NotificationMessage.NotificationData and self.pub_request_callback and number % 5 == 0:
            result = ua.PublishResult(SubscriptionId=result.SubscriptionId)
            result.NotificationMessage.SequenceNumber = number + 1
        return result

    InternalSubscription._pop_publish_result = pop_or_lose


def note_published(path):
    """A line for each message that is sent, and for each that a client acknowledges: `sent 7`, `acknowledged 7`."""
    pop, publish = InternalSubscription._pop_publish_result, InternalSubscription.publish
    notes = open(path, "w", buffering=1)

    def pop_and_note(self):
        result = pop(self)
        if result.NotificationMessage.NotificationData and self.pub_request_callback:
            notes.write(f"sent {result.NotificationMessage.SequenceNumber}\n")
        return result

    def publish_and_note(self, acks):
        for number in acks:
            notes.write(f"acknowledged {number}\n")
        publish(self, acks)

    InternalSubscription._pop_publish_result = pop_and_note
    InternalSubscription.publish = publish_and_note


def close_connections(server):
    """Without a word."""
    for protocol in list(server.bserver.clients):
        protocol.transport.abort()


def free_port():
    """A port that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def serve(arguments):
    """Serves until killed."""
    pki = pathlib.Path(arguments.pki) if arguments.pki else None
    server = Server(user_manager=Users(pki))
    await server.init()
    await server.set_application_uri(APPLICATION)
    port = arguments.port or free_port()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/")
    if pki:
        await secure(server, pki, arguments.only_secure, arguments.legacy)
    else:
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    if arguments.lossy:
        lose_messages()
    if arguments.published:
        note_published(arguments.published)
    namespace = await server.register_namespace(NAMESPACE)
    assert namespace == 2, namespace
    counters = await fill(server, namespace, arguments.items)
    historized = counters[:] if arguments.history else []
    count = await add_structures(server, namespace) if arguments.structures else None
    if arguments.dictionary:
        await add_dictionary(server, namespace)
    generator = await server.get_event_generator() if arguments.events else None
    if arguments.known_as:
        # What it listens on is bound by then.
        find = server.iserver.get_endpoints

        async def known_as(*args, **kwargs):
            offered = await find(*args, **kwargs)
            for endpoint in offered:
                endpoint.EndpointUrl = arguments.known_as
            return offered

        server.iserver.get_endpoints = known_as
    async with server:
        for counter in historized:
            await server.write_attribute_value(counter.nodeid, counted(0, True))
            await server.historize_node_data_change(counter, period=datetime.timedelta(minutes=10))
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, lambda: asyncio.ensure_future(close_sessions(server)))
        loop.add_signal_handler(signal.SIGHUP, lambda: asyncio.ensure_future(grow(server, namespace, counters)))
        loop.add_signal_handler(signal.SIGUSR2, lambda: close_connections(server))
        pathlib.Path(arguments.ready).write_text(f"{port}\n")
        number = 0
        while True:
            number += 1
            for counter in counters:
                await server.write_attribute_value(counter.nodeid, counted(number, arguments.history))
            if count:
                await count(number)
            if generator:
                generator.event.Severity = 300
                await generator.trigger(message=f"event {number}")
            await asyncio.sleep(0.1)


def main():
    """Reads the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ready", required=True)
    parser.add_argument("--port", type=int)
    parser.add_argument("--items", type=int, default=0)
    parser.add_argument("--history", action="store_true")
    parser.add_argument("--structures", action="store_true")
    parser.add_argument("--dictionary", action="store_true")
    parser.add_argument("--lossy", action="store_true")
    parser.add_argument("--published")
    parser.add_argument("--known-as")
    parser.add_argument("--events", action="store_true")
    parser.add_argument("--pki")
    parser.add_argument("--only-secure", action="store_true")
    parser.add_argument("--legacy", action="store_true")
    logging.disable(logging.WARNING)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
