'use strict';
const { envToCfg, envToSecrets, PDS, readEnv } = require('/app/dist/index.js');
const { version } = require('/app/package.json');

async function main() {
  const environment = { ...readEnv(), version };
  const pds = await PDS.create(envToCfg(environment), envToSecrets(environment));
  await pds.start();
  process.on('SIGTERM', () => pds.destroy());
}

void main();
