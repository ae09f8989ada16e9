// Calls the APIs with the AWS SDK for JavaScript: the first argument is a name for what
// is made, the second a service.
//
// Prints a JSON object: what went wrong with each call, or nothing.
const { AppMeshClient, CreateMeshCommand } = require("@aws-sdk/client-app-mesh");
const { IAMClient, CreateUserCommand } = require("@aws-sdk/client-iam");
const { STSClient, GetCallerIdentityCommand } = require("@aws-sdk/client-sts");
const lattice = require("@aws-sdk/client-vpc-lattice");
require("@smithy/signature-v4a"); // Signs for clients that prefer sigv4a.

const [name, arn] = process.argv.slice(2);
const both = { authSchemePreference: ["sigv4a"], sigv4aSigningRegionSet: ["*"] };
const calls = {
  "iam": () => new IAMClient().send(new CreateUserCommand({ UserName: name, Tags: [{ Key: "x", Value: "é +y" }] })),
  "sts": () => new STSClient().send(new GetCallerIdentityCommand()),
  "sts-a": () => new STSClient(both).send(new GetCallerIdentityCommand()),
  "lattice": () => new lattice.VPCLatticeClient().send(new lattice.CreateServiceCommand({ name: "s-" + name, tags: { x: "é" } })),
  "path-arn": () => new lattice.VPCLatticeClient().send(new lattice.GetServiceCommand({ serviceIdentifier: arn })),
  "query-arn": () => new lattice.VPCLatticeClient().send(new lattice.ListServiceNetworkServiceAssociationsCommand({ serviceIdentifier: arn, maxResults: 5 })),
  "appmesh": () => new AppMeshClient().send(new CreateMeshCommand({ meshName: name })),
};

(async () => {
  const wrong = {};
  for (const [call, send] of Object.entries(calls)) wrong[call] = await send().then(() => "", String);
  console.log(JSON.stringify(wrong));
})();
