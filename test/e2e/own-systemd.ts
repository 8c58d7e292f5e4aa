import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { startService } from '../../host/machine/child.ts';
import { until } from './system.ts';

/**
 * A systemd that is the first process of processes of its own, over the files of this machine: what it writes is gone
 * with it, but for the folders that it shares. Network and engine are this machine's.
 */
export interface OwnSystemd {
  /** Runs a command beside its units; standard output and error as they came. */
  run(...command: string[]): Promise<{ status: number; all: string }>;
  stop(): Promise<void>;
}

/** Both are run by bash, with HERE and CLONE in their environment; the folders to share are arguments. */
const OUTER = `
set -e
mount -t tmpfs tmpfs "$HERE"
mkdir "$HERE"/cgroups "$HERE"/upper "$HERE"/work "$HERE"/root
mount -t cgroup2 cgroup2 "$HERE"/cgroups
mkdir "$HERE/cgroups/$(basename "$HERE")"
echo $$ > "$HERE/cgroups/$(basename "$HERE")/cgroup.procs"
exec unshare --cgroup --pid --ipc --uts --fork --kill-child -- bash -c "$INNER" bash "$@"
`;
const INNER = `
set -e
mount -t overlay overlay -o "lowerdir=/,upperdir=$HERE/upper,workdir=$HERE/work" "$HERE"/root
cd "$HERE"/root
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
touch run/docker.sock
mount --bind /run/docker.sock run/docker.sock
mkdir -p opt/recipe-sweep
mount --bind "$CLONE" opt/recipe-sweep
for shared in "$@"; do
  mkdir -p ".$shared"
  mount --rbind "$shared" ".$shared"
done
rm -rf etc/systemd/system
mkdir -p etc/systemd/system
for target in sysinit basic multi-user network-online shutdown; do
  echo '[Unit]' > etc/systemd/system/$target.target
done
printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=/bin/true\\n' > etc/systemd/system/docker.service
mkdir .machine
pivot_root . .machine
umount --lazy /.machine
mount --make-rshared /
exec env -i container=test SYSTEMD_UNIT_PATH=/etc/systemd/system PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
  /lib/systemd/systemd --system --unit=basic.target --log-target=console --show-status=no
`;

const START_MS = 60_000;

/** Starts it, with none of this machine's units. `here` is a folder of its own, `shared` are absolute paths. */
export async function startSystemd(here: string, shared: readonly string[]): Promise<OwnSystemd> {
  const name = `recipe-sweep-systemd-${randomBytes(3).toString('hex')}`;
  const place = path.join(here, name);
  await mkdir(place);
  const service = startService({
    file: 'unshare',
    args: ['--mount', '--propagation', 'private', '--', 'bash', '-c', OUTER, 'bash', ...shared],
    env: {
      PATH: process.env['PATH'] ?? '',
      HERE: place,
      CLONE: path.resolve(import.meta.dirname, '../..'),
      INNER,
    },
    logFile: path.join(here, 'systemd.log'),
  });
  const first = async (): Promise<string> => {
    const { pid } = service;
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
    return children.trim();
  };
  const run: OwnSystemd['run'] = async (...command) => {
    const entering = ['-t', await first(), ...['-m', '-p', '-u', '-i', '-C'], '--', ...command];
    const { exitCode, all } = await execa('nsenter', entering, { reject: false, all: true });
    return { status: exitCode ?? -1, all };
  };
  const stop = async (): Promise<void> => {
    // All others end with it; who waits for it, after it.
    const pid = await first();
    if (pid !== '') process.kill(Number(pid), 'SIGKILL');
    await service.ended;
    const groups = path.join(place, 'cgroups');
    const remove = `mkdir "$0"; mount -t cgroup2 cgroup2 "$0"; find "$0"/${name} -depth -type d -exec rmdir {} +`;
    await execa('unshare', ['--mount', '--', 'bash', '-c', remove, groups]);
    await rm(place, { recursive: true, force: true });
  };
  try {
    const isUp = async (): Promise<boolean> =>
      (await run('systemctl', 'is-active', 'basic.target')).all === 'active';
    await until(isUp, START_MS);
  } catch (error) {
    await stop();
    throw error;
  }
  return { run, stop };
}
