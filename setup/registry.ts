import { ensureGoProgramFile, type GoProgram } from './images/go-program.ts';
import type { Say } from './machine.ts';

/** The registry that most registries are: the program of Docker's `registry` image, here on the host itself. */
const REGISTRY: GoProgram = {
  name: 'registry',
  module: 'github.com/distribution/distribution/v3',
  version: '3.0.0',
  sum: 'h1:q4R8wemdRQDClzoNNStftB2ZAfqOiN6UX90KJc4HjyM=',
  takes: '2 minutes',
  programs: { './cmd/registry': 'registry' },
  versionVariable: 'github.com/distribution/distribution/v3/version.version',
  tags: [],
  cgo: false,
  files: {},
  generate: [],
  folders: {},
};

/** The path of an image registry's program, which is built unless it is cached. */
export function ensureRegistry(say: Say): Promise<string> {
  return ensureGoProgramFile(say, 'image registry', REGISTRY, 'registry');
}
