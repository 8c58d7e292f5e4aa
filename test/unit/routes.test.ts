import { describe, expect, it } from 'vitest';
import type { ComposeSource } from '../../host/recipe-format/compose.ts';
import { routeFindings } from '../../host/recipe-format/routes.ts';

const APP = { stack: 'thing_example_org', domain: 'thing.example.org' };

function findings(labels: readonly string[]): string[] {
  const source = {
    name: 'compose.yml',
    compose: { services: { app: { deploy: { labels } } } },
    at: (...path) => ({ file: 'compose.yml', line: null, path }),
  } as ComposeSource;
  return routeFindings([source], APP).map(({ name }) => name);
}

describe('labels for the proxy', () => {
  it('as recipes have them are free', () => {
    const S = APP.stack;
    const labels = [
      'traefik.enable=true',
      'traefik.constraint-label=public',
      'traefik.docker.network=proxy',
      `traefik.http.services.${S}.loadbalancer.server.port=80`,
      `traefik.http.services.${S}.loadbalancer.sticky.cookie.name=s`,
      `traefik.http.routers.${S}.rule=Host(\`thing.example.org\`,\`www.thing.example.org\`)`,
      `traefik.http.routers.${S}.entrypoints=web-secure`,
      `traefik.http.routers.${S}.tls.certresolver=production`,
      `traefik.http.routers.${S}.tls.options=default@file`,
      `traefik.http.routers.${S}.middlewares=${S}-redirect,${S}_frames@docker,security@file`,
      `traefik.http.routers.${S}.service=${S}`,
      `traefik.http.middlewares.${S}-redirect.headers.SSLForceHost=true`,
      `traefik.http.middlewares.${S}-redirect.headers.SSLHost=thing.example.org`,
      `traefik.http.middlewares.${S}_frames.headers.customRequestHeaders.X-Forwarded-Proto=https`,
      `traefik.http.middlewares.${S}-auth.forwardauth.address=http://${S}_auth:4180/oauth2`,
      `traefik.http.routers.${S}-ws.rule=Host(\`thing.example.org\`) && PathPrefix(\`/ws\`)`,
      `traefik.tcp.routers.${S}-tls.rule=HostSNI(\`irc.thing.example.org\`)`,
      `coop-cloud.${S}.version=1.0.0+1`,
    ];
    expect(findings(labels)).toEqual([]);
  });

  it('are named the same whatever the stack is called, so that they can be allowed', () => {
    const S = APP.stack;
    expect(
      findings([
        `traefik.http.routers.${S}.rule=Host(\`chat.example.org\`)`,
        `traefik.http.routers.${S}-minio.rule=Host(\`minio-thing.example.org\`)`,
        `traefik.http.routers.${S}.priority=7`,
        `traefik.http.routers.${S}.middlewares=error-pages-middleware`,
        `traefik.http.services.${S}.loadbalancer.server.url=http://x`,
        `traefik.tcp.routers.${S}.rule=HostSNI(\`*\`)`,
        `traefik.tcp.routers.${S}.entrypoints=irc`,
        `traefik.udp.routers.${S}.entrypoints=voice`,
      ]).sort(),
    ).toEqual([
      'route:chat.example.org',
      'route:minio-DOMAIN',
      'router-priority',
      'tcp-entrypoint:irc',
      'traefik-label:traefik.http.services.STACK_NAME.loadbalancer.server.url',
      'traefik-name:error-pages-middleware',
      'udp-entrypoint:voice',
    ]);
  });
});
