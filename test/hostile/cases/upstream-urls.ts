import { CANARY, OUTSIDE, type HostileCase } from './hostile-case.ts';

/** What stands as `upstream` in a recipe.yml. */
export interface UrlCase extends HostileCase {
  url: string;
}

const NOT_A_URL = 'not a git URL';
const UNPRINTABLE = 'holds a control or an invisible character';

export const URL_CASES: readonly UrlCase[] = [
  {
    name: 'url-ext',
    hostile: 'a transport that is a command',
    url: `ext::sh -c touch% ${CANARY}`,
    says: NOT_A_URL,
  },
  { name: 'url-fd', hostile: 'a transport over open files', url: 'fd::17,18/x', says: NOT_A_URL },
  {
    name: 'url-helper',
    hostile: 'a remote helper of any name',
    url: 'transport::https://x.org/y',
    says: NOT_A_URL,
  },
  {
    name: 'url-option',
    hostile: 'an option in place of a URL',
    url: `--upload-pack=touch ${CANARY}`,
    says: NOT_A_URL,
  },
  {
    name: 'url-proxy-command',
    hostile: 'an option of ssh in place of a host',
    url: `-oProxyCommand=touch ${CANARY}`,
    says: NOT_A_URL,
  },
  {
    name: 'url-ssh-proxy-command',
    hostile: 'an option of ssh as the host of an ssh URL',
    url: `ssh://-oProxyCommand=touch\${IFS}${CANARY}/x`,
    says: NOT_A_URL,
  },
  {
    name: 'url-scp-proxy-command',
    hostile: 'an option of ssh as the host of user@host:path',
    url: `git@-oProxyCommand=touch\${IFS}x:y`,
    says: NOT_A_URL,
  },
  {
    name: 'url-scp-path-option',
    hostile: 'an option as the path of user@host:path',
    url: `git@host:--upload-pack=touch\${IFS}x`,
    says: NOT_A_URL,
  },
  { name: 'url-file-host', hostile: 'a file URL with a host', url: 'file://somewhere/etc', says: NOT_A_URL },
  { name: 'url-file-relative', hostile: 'a file URL that climbs', url: 'file://../../etc', says: NOT_A_URL },
  { name: 'url-relative', hostile: 'a relative path', url: '../../etc', says: NOT_A_URL },
  {
    name: 'url-file-climbs',
    hostile: 'an encoded climb in a file URL, to a folder that is no repository',
    url: `file://${OUTSIDE}/x/%2e%2e`,
    says: 'reading upstream',
  },
  {
    name: 'url-line-break',
    hostile: 'a line break and a second argument',
    url: `https://host.invalid/x\n--upload-pack=touch ${CANARY}`,
    says: UNPRINTABLE,
  },
  {
    name: 'url-encoded-line-break',
    hostile: 'an encoded line break, which would be a second line of a protocol',
    url: 'git://host.invalid:70/x%0d%0aHELO',
    says: UNPRINTABLE,
  },
  {
    name: 'url-right-to-left',
    hostile: 'a host written from right to left',
    url: 'https://gro.elpmaxe\u202e/x',
    says: UNPRINTABLE,
  },
  {
    name: 'url-long',
    hostile: 'a URL of ten thousand characters',
    url: `https://host.invalid/${'x'.repeat(10_000)}`,
    says: 'longer than 2000 characters',
  },
  {
    name: 'url-userinfo-trick',
    hostile: 'credentials that hold another host',
    url: 'https://good.example@evil.invalid@third.invalid/x',
    says: NOT_A_URL,
  },
  { name: 'url-javascript', hostile: 'a URL for browsers', url: 'javascript:alert(1)', says: NOT_A_URL },
  {
    name: 'url-hostile-repository',
    hostile: 'a repository on this host whose own configuration names commands',
    url: `${OUTSIDE}/../ours/upstreams/hostile-repository`,
    says: null,
  },
];
