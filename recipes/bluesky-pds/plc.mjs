// A directory of identities that forgets them when it ends, in what a PDS asks of one to make an account.
import { createServer } from 'node:http';

const identities = new Map();

/** The document of an identity, as web.plc.directory has it of the operation that made it. */
function documentOf(did, { alsoKnownAs, services, verificationMethods }) {
  return {
    '@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1'],
    id: did,
    alsoKnownAs,
    verificationMethod: Object.entries(verificationMethods).map(([name, key]) => ({
      id: `${did}#${name}`,
      type: 'Multikey',
      controller: did,
      publicKeyMultibase: key.replace('did:key:', ''),
    })),
    service: Object.entries(services).map(([name, { type, endpoint }]) => ({
      id: `#${name}`,
      type,
      serviceEndpoint: endpoint,
    })),
  };
}

/** What is asked and told of one identity. */
async function answer(request) {
  const did = decodeURIComponent(request.url.slice(1));
  if (request.method === 'POST') {
    let body = '';
    for await (const chunk of request) body += chunk;
    identities.set(did, JSON.parse(body));
    return [200, {}];
  }
  const made = identities.get(did);
  return made === undefined ? [404, { message: `DID not registered: ${did}` }] : [200, documentOf(did, made)];
}

const server = createServer((request, response) => {
  answer(request)
    .catch((error) => [400, { message: error.message }])
    .then(([status, value]) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(value));
    })
    .catch(() => response.destroy());
});
server.listen(2582);
process.on('SIGTERM', () => process.exit(0));
