import { aptInstall, aptInstallBackport, aptVersion } from './apt.ts';
import { isRoot, machine, which, type Say } from './machine.ts';

/** The Go toolchain, for programs that are published as nothing else than modules. */

/** The first Go that fetches a newer toolchain by itself when a module asks for one. */
export const OLDEST_GO = '1.21';

/**
 * What Go is told beside what the person set: a newer toolchain where this one is too old for the module (a
 * distribution's Go does not by itself), and to heed no repository or workspace around the cache folder.
 */
export const GO_ENVIRONMENT = {
  GOTOOLCHAIN: process.env['GOTOOLCHAIN'] ?? 'auto',
  GOWORK: 'off',
} as const;

/** The path of Go: the one there is if it is recent enough, else one of Debian's. */
export async function ensureGo(say: Say): Promise<string> {
  for (const candidate of [await which('go'), '/usr/local/go/bin/go']) {
    if (candidate !== null && (await isRecent(candidate))) return candidate;
  }
  if (!isRoot) throw new Error(`Go ${OLDEST_GO} or newer: not installed`);
  const offered = await aptVersion('golang-go');
  const recent = offered !== null && atLeast(offered, OLDEST_GO);
  await (recent ? aptInstall : aptInstallBackport)(say, ['golang-go'], `Go ${OLDEST_GO} or newer`);
  return 'go';
}

async function isRecent(file: string): Promise<boolean> {
  const asked = await machine.run({ file, args: ['version'] }).catch(() => null);
  const version = /^go version go(\d+\.\d+)/.exec(asked?.stdout ?? '')?.[1];
  return version !== undefined && atLeast(version, OLDEST_GO);
}

/** Compares `major.minor` at the beginning of two versions. */
function atLeast(version: string, wanted: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map((part) => parseInt(part, 10));
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.').map((part) => parseInt(part, 10));
  return major !== wantedMajor ? major > wantedMajor : minor >= wantedMinor;
}
