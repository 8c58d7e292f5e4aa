import { describe, expect, it } from 'vitest';
import { sitesOf } from '../fixtures/proxy-stand-in.ts';

const labels = {
  'traefik.enable': 'true',
  'traefik.http.services.web_x_test.loadbalancer.server.port': '8080',
  'traefik.http.routers.web_x_test.rule': 'Host(`web.x.test`, `www.web.x.test`) || Host(`web.other.test`)',
};

const serversIn = (text: string): (string | undefined)[][] =>
  [...text.matchAll(/server_name (.*);[^}]*set \$app (.*);/g)].map(([, ...found]) => found);

describe('the stand-in for traefik', () => {
  it('routes the names of a rule in its zone to the port of the label', () => {
    expect(serversIn(sitesOf([{ name: 'web_x_test_app', labels }], 'x.test'))).toEqual([
      ['web.x.test www.web.x.test', 'http://web_x_test_app:8080'],
    ]);
  });

  it('routes nothing to what traefik is not enabled for, or to what is of another zone', () => {
    const off = { ...labels, 'traefik.enable': 'false' };
    expect(serversIn(sitesOf([{ name: 'web_x_test_app', labels: off }], 'x.test'))).toEqual([]);
    expect(serversIn(sitesOf([{ name: 'web_x_test_app', labels }], 'y.test'))).toEqual([]);
  });

  it('speaks TLS to an app whose labels say so', () => {
    const secure = { ...labels, 'traefik.http.services.web_x_test.loadbalancer.server.scheme': 'https' };
    expect(serversIn(sitesOf([{ name: 'web_x_test_app', labels: secure }], 'x.test'))[0]?.[1]).toBe(
      'https://web_x_test_app:8080',
    );
  });
});
