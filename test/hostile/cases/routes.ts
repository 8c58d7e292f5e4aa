import { PLAIN_RECIPE, RELEASE, type RecipeCase } from './recipe-files.ts';

/**
 * Labels by which a release would take the visitors of others at the proxy. `S` stands for the stack's name, `D` for
 * the app's domain.
 */

/** The release's compose file has these labels, on its service or on its containers. */
function labels(
  name: string,
  hostile: string,
  says: string,
  written: readonly string[],
  where = 'deploy',
): RecipeCase {
  const filled = written.map((label) =>
    label.replaceAll(/\bS\b/g, '${STACK_NAME}').replaceAll(/\bD\b/g, '${DOMAIN}'),
  );
  const version = `coop-cloud.\${STACK_NAME}.version=${RELEASE}`;
  const ofService = where === 'deploy' ? [version, ...filled] : [version];
  const compose = [
    "version: '3.8'",
    'services:',
    '  app:',
    '    image: localhost/recipe-sweep/nginx:1.22',
    '    networks: [proxy]',
    ...(where === 'deploy' ? [] : [`    labels: ${JSON.stringify(filled)}`]),
    `    deploy: {labels: ${JSON.stringify(ofService)}}`,
    'networks:',
    '  proxy: {external: true}',
    '',
  ].join('\n');
  return { name: `route-${name}`, hostile, says, files: { ...PLAIN_RECIPE, 'compose.yml': compose } };
}

const rule = (name: string, hostile: string, says: string, text: string, protocol = 'http'): RecipeCase =>
  labels(name, hostile, says, [
    `traefik.${protocol}.routers.S.entrypoints=web-secure`,
    `traefik.${protocol}.routers.S.rule=${text}`,
  ]);

const ANY = 'takes requests of any host';
const NO_RULE = 'a rule that cannot be read';
const NOT_OURS = "is not this app's";
const NAMES = 'names begin with ${STACK_NAME}';
const POINT = 'take all that comes to';

export const ROUTE_CASES: readonly RecipeCase[] = [
  // HTTP
  rule('host-regexp', 'any host by a pattern', ANY, 'HostRegexp(`.+`)'),
  rule('host-regexp-v2', 'the same in the words of traefik 2', ANY, 'HostRegexp(`{any:.+}`)'),
  rule('host-regexp-own', 'a pattern that begins with the own domain', ANY, 'HostRegexp(`D|.+`)'),
  rule('path', 'every path of every host', ANY, 'PathPrefix(`/`)'),
  rule('path-regexp', 'the same by a pattern', ANY, 'PathRegexp(`.*`)'),
  rule('method', 'every visitor who reads', ANY, 'Method(`GET`)'),
  rule('header', 'a host by the header', ANY, 'Header(`Host`, `login.example.org`)'),
  rule('headers-regexp', 'any host by the header', ANY, 'HeadersRegexp(`Host`, `.*`)'),
  rule('client', 'every visitor from anywhere', ANY, 'ClientIP(`0.0.0.0/0`)'),
  rule('or', 'the own domain, or anything', ANY, 'Host(`D`) || PathPrefix(`/`)'),
  rule(
    'or-hidden',
    'the same between parentheses',
    ANY,
    '(Host(`D`) && Path(`/a`)) || (Method(`GET`) && Path(`/b`))',
  ),
  rule('not', 'all but the own domain', ANY, '!Host(`D`)'),
  rule('not-not', 'the own domain twice denied', ANY, '!!Host(`D`)'),
  rule('neighbour', "a neighbour's domain", NOT_OURS, 'Host(`login.example.org`)'),
  rule(
    'neighbour-too',
    "a neighbour's domain beside the own",
    NOT_OURS,
    'Host(`D`) || Host(`login.example.org`)',
  ),
  rule('neighbour-list', 'the same in the list of traefik 2', NOT_OURS, 'Host(`D`,`login.example.org`)'),
  rule('neighbour-case', 'the same in other letters', NOT_OURS, 'HOST("LOGIN.example.org")'),
  rule('neighbour-header', 'the old name of Host', NOT_OURS, 'HostHeader(`login.example.org`)'),
  rule('above', 'the domain that all apps are below', NOT_OURS, 'Host(`example.org`)'),
  rule('look-alike', 'a domain that ends as the own does', NOT_OURS, 'Host(`not-D`)'),
  rule('wildcard', 'a host of an asterisk', NOT_OURS, 'Host(`*`)'),
  rule('unclosed', 'a rule that is not closed', NO_RULE, 'Host(`D`) || ('),
  rule('two', 'two rules in one text', NO_RULE, 'Host(`D`) PathPrefix(`/`)'),
  rule('deep', 'parentheses without end', NO_RULE, `${'('.repeat(5_000)}Host(\`D\`)${')'.repeat(5_000)}`),
  rule('empty', 'a rule of nothing', NO_RULE, ''),
  labels('none', 'a router without a rule', 'has no rule', ['traefik.http.routers.S.entrypoints=web-secure']),
  labels('priority', 'a router that comes first', 'a chosen priority', [
    'traefik.http.routers.S.rule=Host(`D`)',
    'traefik.http.routers.S.priority=99999',
  ]),
  labels('case', 'a label in capitals', ANY, ['TRAEFIK.HTTP.Routers.S.RULE=PathPrefix(`/`)']),
  labels('spelt-twice', 'a second rule, which traefik reads instead of the first', 'in a second way', [
    'traefik.http.routers.S.rule=PathPrefix(`/`)',
    'traefik.http.routers.S.RULE=Host(`D`)',
  ]),
  labels('spelt-twice-too', 'the same the other way round', 'in a second way', [
    'traefik.http.routers.S.Rule=Host(`D`)',
    'traefik.http.routers.S.rule=PathPrefix(`/`)',
  ]),
  labels('long-s', 'a letter that Go takes for an s', 'plain letters', [
    'traefik.http.middlewares.S-e.errors.\u017fervice=api@internal',
  ]),
  labels('kelvin', 'a sign that is a k in lower case', 'plain letters', [
    'traefi\u212a.http.routers.S.rule=Host(`D`)',
  ]),
  labels('chain-item', "a neighbour's middleware as an item", NOT_OURS, [
    'traefik.http.middlewares.S-c.chain.middlewares[0]=login-auth@swarm',
  ]),
  labels('forward-auth', "what asks traefik's own API for each visitor", 'may steer what', [
    'traefik.http.middlewares.S-f.forwardauth.address=http://127.0.0.1:8080/api',
  ]),
  labels('plugin', 'code that is not known', 'may steer what', ['traefik.http.middlewares.S-p.plugin.x.y=z']),
  labels('router-name', "a neighbour's router", NAMES, ['traefik.http.routers.warm-keycloak.rule=Host(`D`)']),
  labels('prefix-name', 'a name that only begins alike', NAMES, [
    'traefik.http.routers.${STACK_NAME}x.rule=Host(`D`)',
  ]),
  labels('service-name', "a neighbour's service", NAMES, [
    'traefik.http.services.warm-keycloak.loadbalancer.server.port=80',
  ]),
  labels('middleware-name', "a neighbour's middleware", NAMES, [
    'traefik.http.middlewares.login-auth.basicauth.users=me:x',
  ]),
  labels('transport-name', "a neighbour's transport", NAMES, [
    'traefik.http.serverstransports.login.insecureskipverify=true',
  ]),
  labels('service-url', 'a service that is somewhere else', 'may steer what', [
    'traefik.http.services.S.loadbalancer.server.url=http://172.18.0.1:8233',
  ]),
  labels('service-weighted', 'a service that sends visitors to others', 'may steer what', [
    'traefik.http.services.S.weighted.services[0].name=login@swarm',
  ]),
  labels('service-reference', "a router that shows a neighbour's service", NOT_OURS, [
    'traefik.http.routers.S.rule=Host(`D`)',
    'traefik.http.routers.S.service=login@swarm',
  ]),
  labels('dashboard', "a router that shows traefik's own API", NOT_OURS, [
    'traefik.http.routers.S.rule=Host(`D`)',
    'traefik.http.routers.S.service=api@internal',
  ]),
  labels('middleware-reference', "a neighbour's middleware, with its credentials", NOT_OURS, [
    'traefik.http.routers.S.rule=Host(`D`)',
    'traefik.http.routers.S.middlewares=S-own,login-auth@docker',
  ]),
  labels('chain', "a chain of neighbours' middlewares", NOT_OURS, [
    'traefik.http.middlewares.S-chain.chain.middlewares=login-auth',
  ]),
  labels('certificate', "a certificate for a neighbour's domain", NOT_OURS, [
    'traefik.http.routers.S.rule=Host(`D`)',
    'traefik.http.routers.S.tls.domains[0].main=login.example.org',
  ]),
  labels('certificate-names', 'the same among its other names', NOT_OURS, [
    'traefik.http.routers.S.rule=Host(`D`)',
    'traefik.http.routers.S.tls.domains[0].sans=D,*.example.org',
  ]),
  labels('tls-options', "a neighbour's TLS options", NOT_OURS, [
    'traefik.http.routers.S.rule=Host(`D`)',
    'traefik.http.routers.S.tls.options=login@docker',
  ]),
  labels('tls-store', 'the certificate that all hosts fall back to', 'may steer what', [
    'traefik.tls.stores.default.defaultcertificate.certfile=/x',
  ]),
  labels('network', "a neighbour's network", 'a network of others', [
    'traefik.docker.network=login_internal',
  ]),
  labels(
    'containers',
    'labels of the containers, which another provider reads',
    ANY,
    ['traefik.http.routers.S.rule=PathPrefix(`/`)'],
    'containers',
  ),
  // TCP and UDP
  rule('tcp-all', 'every connection', POINT, 'HostSNI(`*`)', 'tcp'),
  rule('tcp-all-or', 'the own name or every connection', POINT, 'HostSNI(`D`) || HostSNI(`*`)', 'tcp'),
  rule('tcp-regexp', 'every connection by a pattern', ANY, 'HostSNIRegexp(`.*`)', 'tcp'),
  rule('tcp-client', 'every connection by its address', ANY, 'ClientIP(`0.0.0.0/0`)', 'tcp'),
  rule('tcp-alpn', 'every connection of a protocol', ANY, 'ALPN(`h2`)', 'tcp'),
  rule('tcp-neighbour', "a neighbour's name", NOT_OURS, 'HostSNI(`login.example.org`)', 'tcp'),
  labels('tcp-anywhere', 'every connection at every entry point', 'without entry points', [
    'traefik.tcp.routers.S.rule=HostSNI(`*`)',
  ]),
  labels('tcp-service-name', "a neighbour's TCP service", NAMES, [
    'traefik.tcp.services.login.loadbalancer.server.port=22',
  ]),
  labels('udp', 'every datagram of an entry point', POINT, ['traefik.udp.routers.S.entrypoints=dns']),
  labels('udp-anywhere', 'every datagram', 'without entry points', ['traefik.udp.routers.S.service=S']),
  labels('udp-router-name', "a neighbour's UDP router", NAMES, [
    'traefik.udp.routers.mumble.entrypoints=mumble-udp',
  ]),
];
