import { ensureGoProgramFile, type GoProgram } from './images/go-program.ts';
import { machine, type Say } from './machine.ts';

/** The version that docker-compose.yml is tried with. */
const COMPOSE: GoProgram = {
  name: 'docker-compose',
  module: 'github.com/docker/compose/v2',
  version: '2.40.3',
  sum: 'h1:XeYkQu1svDtyfZPv5nTwFryQ25ZJMkIlc4pz9HalMPI=',
  takes: '2 minutes',
  programs: { './cmd': 'docker-compose' },
  versionVariable: 'github.com/docker/compose/v2/internal.Version',
  tags: [],
  cgo: false,
  files: {},
  generate: [],
  folders: {},
};

/** Its 2.24 is the first that merges what docker-compose.yml merges. */
const OLDEST = { major: 2, minor: 24 };

/** The words that docker compose is typed with: the docker client's plugin if it is recent enough, else one built with Go. */
export async function ensureCompose(say: Say): Promise<[file: string, ...args: string[]]> {
  const { stdout } = await machine.run({ file: 'docker', args: ['compose', 'version', '--short'] });
  const [, major = 0, minor = 0] = (/^v?(\d+)\.(\d+)\./.exec(stdout) ?? []).map(Number);
  if (major > OLDEST.major || (major === OLDEST.major && minor >= OLDEST.minor)) {
    say(`docker compose: found ${stdout.trim()}`);
    return ['docker', 'compose'];
  }
  return [await ensureGoProgramFile(say, 'docker compose', COMPOSE, 'docker-compose')];
}
