import { ALL_IMAGES, nodePart, type FixtureImage } from './catalogue.ts';
import { debian } from './file-system.ts';
import { goProgram, type GoProgram } from './go-program.ts';

/**
 * The images that docker-compose.yml and the Dockerfile name, made of what can be had where no registry is: Temporal's
 * programs from its Go modules, Debian's PostgreSQL, this machine's Node.
 */
export interface StandIn {
  image: FixtureImage;
  /** What it is called where it can be pulled. */
  standsFor: string;
}

const TEMPORAL = '1.29.1';
const TEMPORAL_UI = '2.42.1';

/** What the makers' images have of Alpine, and we use. */
const small = debian('bookworm', 'ca-certificates', 'curl', 'netcat-openbsd');

const nothingElse = { tags: [], cgo: false, files: {}, generate: [] } satisfies Partial<GoProgram>;

const temporalServer = goProgram({
  ...nothingElse,
  name: 'temporal-server',
  module: 'go.temporal.io/server',
  version: TEMPORAL,
  sum: 'h1:sgiMveg/8e51lA62pWb9VzC5WTRitKFyT6XsjonHUhE=',
  takes: '4 minutes',
  programs: { './cmd/server': 'temporal-server', './cmd/tools/sql': 'temporal-sql-tool' },
  versionVariable: null,
  folders: { schema: 'schema' },
});

const temporalUi = goProgram({
  ...nothingElse,
  name: 'temporal-ui',
  module: 'github.com/temporalio/ui-server/v2',
  version: TEMPORAL_UI,
  sum: 'h1:ajeOxqCnUiCRQQhQYLxaT7wUgF/slqZJtdW4pLjVqCs=',
  takes: 'a minute',
  programs: { './cmd/server': 'temporal-ui' },
  versionVariable: null,
  folders: { config: 'config', docker: 'docker' },
});

function postgres(): FixtureImage {
  const found = ALL_IMAGES.find(({ name }) => name === 'postgres');
  if (found === undefined) throw new Error('no image of PostgreSQL in the catalogue');
  return found;
}

function node(): FixtureImage {
  const base = debian('trixie', 'ca-certificates', 'libatomic1', 'libstdc++6');
  return {
    name: 'node',
    tag: process.versions.node,
    base,
    part: nodePart,
    versionCommand: ['node', '--version'],
  };
}

/** Needs to be started by npm. */
export function standIns(): readonly StandIn[] {
  const ofTemporal = { tag: TEMPORAL, base: small, part: temporalServer };
  return [
    { image: postgres(), standsFor: 'postgres:15.18' },
    {
      image: {
        ...ofTemporal,
        name: 'temporal-server',
        versionCommand: ['temporal-server', '--version'],
      },
      standsFor: `temporalio/server:${TEMPORAL}`,
    },
    {
      image: {
        ...ofTemporal,
        name: 'temporal-admin-tools',
        versionCommand: ['temporal-sql-tool', '--version'],
      },
      standsFor: `temporalio/admin-tools:${TEMPORAL}-tctl-1.18.4-cli-1.5.0`,
    },
    {
      image: {
        name: 'temporal-ui',
        tag: TEMPORAL_UI,
        base: small,
        part: temporalUi,
        versionCommand: ['ui-server', '--version'],
      },
      standsFor: `temporalio/ui:${TEMPORAL_UI}`,
    },
    { image: node(), standsFor: 'node:20.20.2-trixie-slim' },
  ];
}
