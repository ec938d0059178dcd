// A third-party OPC UA server for the tests and the benchmark: doubles that change on a timer.
//
// usage: node node_server.js PACKAGE COUNT PERIOD_MS PORT
// PACKAGE is the folder of node-opcua-server. Writes one line of JSON with its port when it is
// ready, then one line with the number of changes made for each line on stdin; "stop" ends them.
"use strict";

const fs = require("fs");
const os = require("os");
const path = require("path");
const readline = require("readline");
const { createRequire } = require("module");

const [folder, ...numbers] = process.argv.slice(2);
const [count, periodMs, port] = numbers.map(Number);
const beside = createRequire(path.join(folder, "package.json"));
const { OPCUAServer } = require(folder);
const { Variant, DataType } = beside("node-opcua-variant");
const { StatusCodes } = beside("node-opcua-status-code");
const { SecurityPolicy, MessageSecurityMode } = beside("node-opcua-secure-channel");
const { OPCUACertificateManager } = beside("node-opcua-certificate-manager");

async function main() {
  const keys = fs.mkdtempSync(path.join(os.tmpdir(), "node-opcua-"));
  const certificates = new OPCUACertificateManager({
    rootFolder: keys,
    automaticallyAcceptUnknownCertificate: true,
  });
  await certificates.initialize();
  const server = new OPCUAServer({
    port,
    hostname: "127.0.0.1",
    serverCertificateManager: certificates,
    userCertificateManager: certificates,
    securityPolicies: [SecurityPolicy.None, SecurityPolicy.Basic256Sha256],
    securityModes: [
      MessageSecurityMode.None,
      MessageSecurityMode.Sign,
      MessageSecurityMode.SignAndEncrypt,
    ],
    serverInfo: { applicationUri: "urn:127.0.0.1:node-opcua" },
  });
  await server.initialize();
  const space = server.engine.addressSpace;
  const own = space.registerNamespace("urn:third-party");
  const variables = [];
  for (let index = 0; index < count; index++) {
    const variable = own.addVariable({
      organizedBy: space.rootFolder.objects,
      browseName: `V${index}`,
      nodeId: `s=V${index}`,
      dataType: DataType.Double,
      minimumSamplingInterval: 0,
    });
    variable.setValueFromSource(new Variant({ dataType: DataType.Double, value: 0 }));
    variables.push(variable);
  }
  own.addVariable({
    organizedBy: space.rootFolder.objects,
    browseName: "Grade",
    nodeId: "s=Grade",
    dataType: DataType.String,
  }).setValueFromSource(new Variant({ dataType: DataType.String, value: "PX-2 对二甲苯" }));
  own.addVariable({
    organizedBy: space.rootFolder.objects,
    browseName: "Broken",
    nodeId: "s=Broken",
    dataType: DataType.Double,
  }).setValueFromSource(
    new Variant({ dataType: DataType.Double, value: 0 }), StatusCodes.BadSensorFailure);
  await server.start();

  let changes = 0;
  let round = 0;
  const timer = setInterval(() => {
    round += 1;
    for (const variable of variables) {
      variable.setValueFromSource(new Variant({ dataType: DataType.Double, value: round }));
    }
    changes += variables.length;
  }, periodMs);

  console.log(JSON.stringify({ port: server.endpoints[0].port }));
  const lines = readline.createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    if (line === "stop") clearInterval(timer);
    console.log(JSON.stringify({ changes, round, sessions: server.engine.currentSessionCount }));
  });
  lines.on("close", async () => {
    await server.shutdown(0);
    fs.rmSync(keys, { recursive: true, force: true });
    process.exit(0);
  });
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
