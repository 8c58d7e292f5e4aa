// oxlint-disable-next-line no-restricted-imports -- the command is the person's, on the person's own terminal
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../domain/fault.ts';
import { debianMirror, ensureProgram } from './apt.ts';
import { isRoot, logged, machine, which } from './machine.ts';
import { copyNode } from './node.ts';

/**
 * `npm run bare -- <command>`: runs a command of this clone on what is as good as a fresh machine. That is a new
 * Debian root with this Node and git and nothing else, with mounts, processes and network of its own, so that the
 * engine which set-up installs and starts in there is its own as well. What is not committed is not in it. Nothing of
 * it is left when the command has ended, and its exit status is the command's.
 */

const SUITE = 'bookworm';
/** What makes `git`, HTTPS and the node that runs this work on a minimal Debian. */
const PACKAGES = ['bash', 'ca-certificates', 'git', 'libstdc++6', 'libatomic1'];
const CLONE = fileURLToPath(new URL('..', import.meta.url));
const INSIDE = '/root/recipe-sweep';

/** How a person reaches the network is no part of the machine: proxies, mirrors, certificate authorities. */
const PASSED =
  /^(\w+_proxy|npm_config_(registry|cafile)|GOPROXY|GOSUMDB|GONOSUMDB|GOFLAGS|NODE_EXTRA_CA_CERTS|SSL_CERT_(FILE|DIR)|CURL_CA_BUNDLE|GIT_SSL_CAINFO|TERM)$/i;

/**
 * Process 1 of the bare machine, whose root becomes that of its mounts: engines do not work in a mere chroot. bash,
 * since it also waits for orphans; the engine is asked to end first, so that its containers leave no control groups
 * behind. The rest ends with process 1.
 */
const FIRST_PROCESS = `
set -e
mount --make-rprivate /
mount --bind "$ROOT" "$ROOT"
cd "$ROOT"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mkdir .machine
pivot_root . .machine
umount --lazy /.machine
rmdir /.machine
set +e
trap : INT TERM
/usr/bin/env -i "$@"
status=$?
engine=$(cat /run/docker.pid 2>/dev/null) && kill "$engine" 2>/dev/null &&
  for _ in {1..60}; do [ -e "/proc/$engine" ] || break; sleep 0.5; done
exit $status
`;

function say(line: string): void {
  console.log(`bare: ${line}`);
}

/** Undone in the opposite order, whatever came in between. */
type Undo = () => Promise<unknown>;

async function makeRoot(root: string): Promise<void> {
  const mirror = await debianMirror();
  say(`installing a minimal Debian ${SUITE} in ${root} (a minute)`);
  const args = ['--variant=minbase', `--include=${PACKAGES.join(',')}`, SUITE, root];
  await logged('bare-debootstrap', { file: 'debootstrap', args: mirror === null ? args : [...args, mirror] });

  await copyNode(root);
  await logged('bare-certificates', { file: 'chroot', args: [root, 'update-ca-certificates'] });
  await writeFile(path.join(root, 'etc/resolv.conf'), await nameServers());
  const clone = path.join(root, INSIDE);
  await machine.output({ file: 'git', args: ['clone', '--quiet', '--no-local', '--', CLONE, clone] });
  const { stdout } = await machine.run({ file: 'git', args: ['-C', CLONE, 'status', '--porcelain'] });
  if (stdout !== '') say('this clone has changes that are not committed; they are not in there');
}

/** One that listens on this machine alone cannot be reached from another network namespace. */
async function nameServers(): Promise<string> {
  for (const file of ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf']) {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (/^nameserver (?!127\.)/m.test(text)) return text;
  }
  throw new Error('/etc/resolv.conf names no server that is reached over the network');
}

/** A network namespace of this name that reaches what this machine reaches, through it. */
async function makeNetwork(name: string, undo: Undo[]): Promise<void> {
  const run = async (file: string, ...args: string[]): Promise<void> => {
    await machine.output({ file, args });
  };
  const third = randomBytes(1).readUInt8();
  // of the range for tests of networks between networks, RFC 2544
  const [here, there, net] = [`198.18.${third}.1`, `198.18.${third}.2`, `198.18.${third}.0/24`];
  const [outer, inner] = [`${name}h`, `${name}g`];
  await run('ip', 'netns', 'add', name);
  undo.push(() => run('ip', 'netns', 'delete', name));
  await run('ip', 'link', 'add', outer, 'type', 'veth', 'peer', 'name', inner, 'netns', name);
  undo.push(() => machine.run({ file: 'ip', args: ['link', 'delete', outer] }));
  await run('ip', 'address', 'add', `${here}/24`, 'dev', outer);
  await run('ip', 'link', 'set', outer, 'up');
  await run('ip', '-n', name, 'address', 'add', `${there}/24`, 'dev', inner);
  for (const link of ['lo', inner]) await run('ip', '-n', name, 'link', 'set', link, 'up');
  await run('ip', '-n', name, 'route', 'add', 'default', 'via', here);
  const forwarding = '/proc/sys/net/ipv4/ip_forward';
  const before = await readFile(forwarding, 'utf8');
  await writeFile(forwarding, '1');
  if (before.trim() === '0') undo.push(() => writeFile(forwarding, before));
  const rules = [
    ['nat', 'POSTROUTING', '-s', net, '!', '-o', outer, '-j', 'MASQUERADE'],
    ['filter', 'FORWARD', '-i', outer, '-j', 'ACCEPT'],
    ['filter', 'FORWARD', '-o', outer, '-j', 'ACCEPT'],
  ];
  for (const [table = '', ...rule] of rules) {
    await run('iptables', '-w', '-t', table, '-I', ...rule);
    undo.push(() => run('iptables', '-w', '-t', table, '-D', ...rule));
  }
}

/**
 * Answers the exit status of the command. A terminal's Ctrl-C reaches it by itself; when we alone are asked to stop
 * (`told`), it is ended.
 */
function runIn(
  root: string,
  network: string,
  command: readonly string[],
  told: AbortSignal,
): Promise<number> {
  const passed = Object.entries(process.env).filter(([name]) => PASSED.test(name));
  const environment = {
    ...Object.fromEntries(passed),
    HOME: '/root',
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    LANG: 'C.UTF-8',
  };
  const inside = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  const child = spawn(
    'nsenter',
    [
      `--net=/run/netns/${network}`,
      ...['unshare', '--mount', '--pid', '--ipc', '--uts', '--fork', '--kill-child', '--'],
      ...['bash', '-c', FIRST_PROCESS, 'bare'],
      ...inside,
      ...['sh', '-c', `cd ${INSIDE} && exec "$@"`, 'sh', ...command],
    ],
    { stdio: 'inherit', env: { PATH: process.env['PATH'], ROOT: root } },
  );
  told.addEventListener('abort', () => child.kill('SIGKILL'));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (status) => resolve(status ?? 1));
  });
}

async function bare(command: readonly string[]): Promise<number> {
  if (command.length === 0) throw new Error('which command? npm run bare -- npm test');
  const typed = `sudo npm run bare -- ${command.join(' ')}`;
  if (!isRoot) throw new Error(`a root of its own wants root: ${typed}`);
  for (const [program, packages] of [
    ['debootstrap', ['debootstrap', 'debian-archive-keyring']],
    ['ip', ['iproute2']],
    ['iptables', ['iptables']],
  ] as const) {
    await ensureProgram(say, program, packages);
  }
  // From here on there is something to remove, so nothing but the end of what is under way ends us.
  const [asked, told] = [new AbortController(), new AbortController()];
  const stop = (): void => {
    if (!asked.signal.aborted) say('ending, once what is under way has ended');
    asked.abort(new Error('asked to stop'));
  };
  process.on('SIGINT', stop);
  for (const name of ['SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      stop();
      told.abort();
    });
  }
  const undo: Undo[] = [];
  try {
    const folder = await mkdtemp(path.join('/var/tmp', 'recipe-sweep-bare-'));
    // its mounts are in a namespace that has ended by then
    undo.push(() => machine.output({ file: 'rm', args: ['-rf', '--one-file-system', '--', folder] }));
    const root = path.join(folder, 'root');
    await makeRoot(root);
    asked.signal.throwIfAborted();
    const network = `rsb${randomBytes(3).toString('hex')}`;
    await makeNetwork(network, undo);
    asked.signal.throwIfAborted();
    say(`${command.join(' ')}, with ${(await which('node')) ?? 'node'} ${process.version} and git alone`);
    return await runIn(root, network, command, told.signal);
  } finally {
    say('removing it');
    for (const back of undo.toReversed()) {
      await back().catch((error: unknown) => say(`left behind: ${messageOf(error)}`));
    }
  }
}

process.exitCode = await bare(process.argv.slice(2)).catch((error: unknown) => {
  console.error(`bare: ${messageOf(error)}`);
  return 1;
});
