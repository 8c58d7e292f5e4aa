import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type Dockerode from 'dockerode';
import { startService } from '../../host/machine/child.ts';
import { which } from '../../setup/machine.ts';
import { authority } from '../fixtures/certificates.ts';
import { startProxyStandIn, type ProxyStandIn } from '../fixtures/proxy-stand-in.ts';

/**
 * What is between visitors and the apps of an operator's host: a wildcard record in the DNS, a proxy, and a
 * certificate of an authority that the host trusts. Nothing of it is this machine's; a program that is to see it
 * is started with three files of /etc in a view of its own.
 */
export interface Front extends Pick<ProxyStandIn, 'visits'> {
  /** The command that runs this one where the zone's names lead to the proxy, and its certificate is trusted. */
  before(file: string, args: readonly string[]): { file: string; args: string[] };
  stop(): Promise<void>;
}

const BUNDLE = '/etc/ssl/certs/ca-certificates.crt';
const BIND = 'mount --bind "$1" "$2"; shift 2;';

/** Needs root, dnsmasq and the network `proxy`. */
export async function startFront(docker: Dockerode, zone: string, folder: string): Promise<Front> {
  await mkdir(folder, { recursive: true });
  const { ca, issue } = authority('an authority of the tests');
  const certificate = issue(`*.${zone}`);
  const proxy = await startProxyStandIn(docker, { zone, certificate, folder });

  // Any address of loopback is this machine's, so that no two name servers meet.
  const [one = 0, two = 0] = randomBytes(2);
  const server = `127.77.${one}.${Math.max(1, two % 255)}`;
  const dns = startService({
    file: (await which('dnsmasq')) ?? 'dnsmasq',
    args: [
      '--keep-in-foreground',
      '--conf-file=/dev/null',
      '--no-hosts',
      '--no-resolv',
      '--pid-file=',
      '--user=root',
      '--bind-interfaces',
      `--listen-address=${server}`,
      `--address=/${zone}/${proxy.address}`,
    ],
    env: {},
    logFile: path.join(folder, 'dnsmasq.log'),
  });

  const views: [file: string, text: string][] = [
    ['/etc/resolv.conf', `nameserver ${server}\n`],
    ['/etc/nsswitch.conf', 'hosts: files dns\n'],
    [BUNDLE, `${await readFile(BUNDLE, 'utf8')}\n${ca}`],
  ];
  const mounts: string[] = [];
  for (const [file, text] of views) {
    const view = path.join(folder, path.basename(file));
    await writeFile(view, text);
    mounts.push(view, file);
  }
  return {
    visits: proxy.visits,
    before: (file, args) => ({
      file: 'unshare',
      args: [
        ...['--mount', '--', 'sh', '-c', `set -e; ${BIND.repeat(views.length)} exec "$@"`, 'sh'],
        ...mounts,
        file,
        ...args,
      ],
    }),
    async stop() {
      await dns.stop();
      await proxy.stop();
    },
  };
}
