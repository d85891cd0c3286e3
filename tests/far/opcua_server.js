// An OPC UA server that holds the values of cases/opcua-types.json in the folder 2:Far: node-opcua's own.
//
//     opcua_server.js --ready FILE [--port N] [--items N] [--structures] [--alarms] [--limit N] [--sampled FILE] [--pki FOLDER]
//
// Listens on a free port of the loopback, or on N, and writes the port to FILE once it serves. `ns=2;s=counter` counts ten
// times a second, `ns=2;s=item_0` and so on once a second. With --structures
// there is `ns=2;s=scale`, an AxisInformation of the standard. With --alarms an alarm watches
// `ns=2;s=level` below `ns=2;s=Tank`: it is too high above 80. --limit is the most operations of one call. With
// --sampled each count that is queued for a subscriber of `counter` is a line of FILE: on a busy machine not each is
// sampled. SIGHUP adds a node whose name begins with `grown_`, which counts too, and says that the model has changed. With
// --pki the server shows FOLDER/server.pem, offers every policy that is still secure beside None, trusts any client, and takes the
// user operator with the password secret. node-opcua is found through NODE_PATH.
"use strict";

const fs = require("fs");
const net = require("net");
const os = require("os");
const path = require("path");
const opcua = require("node-opcua");
const { MonitoredItem } = require("node-opcua-server");
const { AxisInformation } = require("node-opcua-types");

const CASES = path.join(__dirname, "..", "cases", "opcua-types.json");

function argument(name, otherwise) {
  const at = process.argv.indexOf(name);
  return at < 0 ? otherwise : process.argv[at + 1];
}

function freePort() {
  return new Promise((resolve) => {
    const probe = net.createServer().listen(0, "127.0.0.1", () => {
      const port = probe.address().port;
      probe.close(() => resolve(port));
    });
  });
}

// 64 bits are two halves there, the high one first.
function halves(text) {
  const bits = BigInt.asUintN(64, BigInt(text));
  return [Number(bits >> 32n), Number(bits & 0xffffffffn)];
}

function plain(type, value) {
  switch (type) {
    case "Int64":
    case "UInt64":
      return halves(value);
    case "DateTime":
      return new Date(value + "Z");
    case "ByteString":
      return Buffer.from(value, "base64");
    case "LocalizedText":
      return new opcua.LocalizedText({ text: value, locale: "de" });
    case "StatusCode":
      return opcua.getStatusCodeFromCode(value);
    case "NodeId":
      return opcua.resolveNodeId(value);
    default:
      return value;
  }
}

function variant(entry) {
  const dataType = opcua.DataType[entry.type];
  if (!Array.isArray(entry.value)) {
    return { dataType, arrayType: opcua.VariantArrayType.Scalar, value: plain(entry.type, entry.value) };
  }
  const rows = Array.isArray(entry.value[0]);
  const flat = (rows ? entry.value.flat() : entry.value).map((one) => plain(entry.type, one));
  const typed = { Byte: Uint8Array, Int16: Int16Array, Float: Float32Array, Double: Float64Array }[entry.type];
  const value = typed ? new typed(flat) : flat;
  if (!rows) return { dataType, arrayType: opcua.VariantArrayType.Array, value };
  const dimensions = [entry.value.length, entry.value[0].length];
  return { dataType, arrayType: opcua.VariantArrayType.Matrix, dimensions, value };
}

// Numbers beyond 53 bits would lose their last figures.
function cases() {
  const text = fs.readFileSync(CASES, "utf8").replace(/(-?\d{17,})/g, '"$1"');
  return JSON.parse(text).filter((entry) => !entry.of);
}

// Each count that is taken for a subscriber, as it is queued.
function tellWhatIsSampled(file) {
  const enqueue = MonitoredItem.prototype._enqueue_notification;
  MonitoredItem.prototype._enqueue_notification = function (notification) {
    if (this.node.browseName.name === "counter") fs.appendFileSync(file, notification.value.value.value + "\n");
    enqueue.call(this, notification);
  };
}

async function main() {
  if (argument("--sampled")) tellWhatIsSampled(argument("--sampled"));
  const port = Number(argument("--port", 0)) || (await freePort());
  const pki = argument("--pki");
  const own = fs.mkdtempSync(path.join(os.tmpdir(), "opcua-far-"));
  process.on("exit", () => fs.rmSync(own, { recursive: true, force: true }));
  const trusting = new opcua.OPCUACertificateManager({ rootFolder: path.join(own, "pki"), automaticallyAcceptUnknownCertificate: true });
  await trusting.initialize();
  const options = {
    port,
    hostname: "127.0.0.1",
    host: "127.0.0.1",
    serverCertificateManager: trusting,
    serverInfo: { applicationUri: "urn:forebay:far:server" },
    securityPolicies: [opcua.SecurityPolicy.None],
    securityModes: [opcua.MessageSecurityMode.None],
    allowAnonymous: true,
    disableDiscovery: true,
    userManager: { isValidUser: (name, password) => name === "operator" && password === "secret" },
  };
  if (pki) {
    options.certificateFile = path.join(pki, "server.pem");
    options.privateKeyFile = path.join(pki, "server.key");
    const { None, Basic256Sha256, Aes128_Sha256_RsaOaep, Aes256_Sha256_RsaPss } = opcua.SecurityPolicy;
    options.securityPolicies = [None, Basic256Sha256, Aes128_Sha256_RsaOaep, Aes256_Sha256_RsaPss];
    options.securityModes = [opcua.MessageSecurityMode.None, opcua.MessageSecurityMode.Sign, opcua.MessageSecurityMode.SignAndEncrypt];
  }
  const limit = Number(argument("--limit", 0));
  if (limit) {
    const operationLimits = {};
    for (const name of ["maxNodesPerRead", "maxNodesPerWrite", "maxNodesPerBrowse", "maxNodesPerRegisterNodes", "maxNodesPerTranslateBrowsePathsToNodeIds", "maxMonitoredItemsPerCall"]) {
      operationLimits[name] = limit;
    }
    options.serverCapabilities = { operationLimits };
  }
  const server = new opcua.OPCUAServer(options);
  await server.initialize();
  const space = server.engine.addressSpace;
  const far = space.registerNamespace("urn:forebay:far");
  if (far.index !== 2) throw new Error("the namespace has index " + far.index);
  const folder = far.addObject({ organizedBy: space.rootFolder.objects, browseName: "Far", nodeId: "s=Far" });
  for (const entry of cases()) {
    const value = variant(entry);
    const matrix = value.arrayType === opcua.VariantArrayType.Matrix;
    far.addVariable({
      componentOf: folder,
      browseName: entry.tag,
      nodeId: entry.address,
      dataType: entry.enumeration ? opcua.coerceNodeId("i=" + entry.enumeration) : entry.type,
      valueRank: matrix ? 2 : Array.isArray(entry.value) ? 1 : -1,
      arrayDimensions: matrix ? value.dimensions : undefined,
      accessLevel: "CurrentRead | CurrentWrite",
      userAccessLevel: "CurrentRead | CurrentWrite",
      value,
    });
  }
  const counting = (name) => far.addVariable({ componentOf: folder, browseName: name, nodeId: "s=" + name, dataType: "UInt32", value: { dataType: "UInt32", value: 0 } });
  const counter = counting("counter");
  const items = Array.from({ length: Number(argument("--items", 0)) }, (_, number) => counting("item_" + number));
  const count = (nodes) => {
    let number = 0;
    return () => {
      number += 1;
      nodes.forEach((node) => node.setValueFromSource({ dataType: "UInt32", value: number }));
    };
  };
  if (process.argv.includes("--structures")) {
    const value = new AxisInformation({
      engineeringUnits: { namespaceUri: "http://www.opcfoundation.org/UA/units/un/cefact", unitId: 4408652, displayName: { text: "°C" }, description: { text: "degree Celsius" } },
      euRange: { low: -40, high: 120.5 },
      title: { text: "Temperatur", locale: "de" },
      axisScaleType: 1, // Log
      axisSteps: [0.5, 1, 2],
    });
    far.addVariable({ componentOf: folder, browseName: "scale", nodeId: "s=scale", dataType: "AxisInformation", value: { dataType: opcua.DataType.ExtensionObject, value } });
  }
  if (process.argv.includes("--alarms")) {
    space.installAlarmsAndConditionsService();
    const tank = far.addObject({ componentOf: folder, browseName: "Tank", nodeId: "s=Tank", eventNotifier: 1, notifierOf: space.rootFolder.objects.server });
    const level = far.addVariable({ componentOf: tank, browseName: "Level", nodeId: "s=level", eventSourceOf: tank, dataType: "Double", accessLevel: "CurrentRead | CurrentWrite", userAccessLevel: "CurrentRead | CurrentWrite", value: { dataType: "Double", value: 50 } });
    far.instantiateExclusiveLimitAlarm("ExclusiveLimitAlarmType", { browseName: "LevelAlarm", conditionName: "LevelAlarm", componentOf: tank, conditionSource: level, inputNode: level, highHighLimit: 95, highLimit: 80, lowLimit: 10, lowLowLimit: 5 });
  }
  far.addVariable({ propertyOf: folder, browseName: { name: "NodeVersion", namespaceIndex: 0 }, dataType: "String", value: { dataType: "String", value: "0" } });
  process.on("SIGHUP", () => space.modelChangeTransaction(() => items.push(counting("grown_" + (items.length + 1)))));
  setInterval(count([counter]), 100);
  setInterval(count(items), 1000);
  await server.start();
  fs.writeFileSync(argument("--ready"), port + "\n");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
