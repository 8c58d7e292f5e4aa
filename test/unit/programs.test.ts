import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { SWEEP_PROGRAMS, TEST_PROGRAMS } from '../../setup/tools.ts';

const CLONE = fileURLToPath(new URL('../../', import.meta.url));
const FOLDERS = [
  'activities',
  'client',
  'demo',
  'fixtures',
  'forge',
  'host',
  'metrics',
  'serve',
  'setup',
  'test',
  'worker',
  'workflows',
];

/** In every Debian that debootstrap makes (`--variant=minbase`). */
const ALWAYS_THERE = [
  ...[
    'apt-cache',
    'apt-get',
    'bash',
    'chmod',
    'chown',
    'chroot',
    'cp',
    'dd',
    'diff',
    'du',
    'find',
    'flock',
    'grep',
  ],
  ...[
    'ldd',
    'mkdir',
    'mkfifo',
    'nsenter',
    'prlimit',
    'rm',
    'setpriv',
    'script',
    'setsid',
    'sh',
    'sync',
    'umount',
    'unshare',
  ],
];
/** What a person has who runs any of this. */
const BEFORE_US = ['node', 'npm', 'temporal'];
/** Asked where it is there; where it is not, what it would have said is missing, and that is told. */
const NOT_NEEDED = ['journalctl'];
/** Each is installed by the file of the set-up that is named. */
const ELSEWHERE = {
  docker: 'setup/docker.ts',
  // a stand-in
  abra: 'fixtures/abra-stand-in.ts',
  systemctl: 'setup/docker.ts',
  pip3: 'setup/images/python-packages.ts',
  unzip: 'setup/images/keycloak.ts',
  debootstrap: 'setup/images/file-system.ts',
  ip: 'setup/bare.ts',
  iptables: 'setup/bare.ts',
};

/** What runs in a container, whose image has its programs. */
const IN_CONTAINERS = /^(fixtures\/catalogue|setup\/images\/stand-in)\//;

/** The programs that the code starts by a literal name, each with a file that does. */
async function startedPrograms(): Promise<Map<string, string>> {
  const started = new Map<string, string>();
  for (const folder of FOLDERS) {
    const names = await readdir(path.join(CLONE, folder), { recursive: true });
    for (const name of names.filter(
      (one) => /\.(ts|mjs)$/.test(one) && !IN_CONTAINERS.test(`${folder}/${one}`),
    )) {
      const text = await readFile(path.join(CLONE, folder, name), 'utf8');
      const calls = /(?:\bexeca|\bexecFile|\bspawn)(?:Sync)?\(\s*'([a-z][a-z0-9.-]*)'/g;
      const commands = /\bfile: '([a-z][a-z0-9-]*)',?\s*(?:args|\})/g;
      for (const pattern of [calls, commands]) {
        for (const [, program = ''] of text.matchAll(pattern)) started.set(program, `${folder}/${name}`);
      }
    }
  }
  return started;
}

describe('the programs that are started', () => {
  it('are declared where set-up installs them', async () => {
    const known = new Set([
      ...ALWAYS_THERE,
      ...BEFORE_US,
      ...NOT_NEEDED,
      ...Object.keys({ ...SWEEP_PROGRAMS, ...TEST_PROGRAMS, ...ELSEWHERE }),
    ]);
    const started = await startedPrograms();
    expect(started.size).toBeGreaterThan(10);
    expect([...started].filter(([program]) => !known.has(program))).toEqual([]);
  });

  it('beside the tools are named in the files that install them', async () => {
    for (const [program, file] of Object.entries(ELSEWHERE)) {
      expect([program, await readFile(path.join(CLONE, file), 'utf8')]).toEqual([
        program,
        expect.stringContaining(program),
      ]);
    }
  });
});
