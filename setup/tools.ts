import { aptInstall } from './apt.ts';
import { which, type Say } from './machine.ts';

/** The programs a sweep needs on its host, each in a package of its own name. */
const TOOLS = ['git', 'git-lfs', 'bash', 'curl', 'jq', 'openssl', 'tar', 'zstd'] as const;

/** Installs the programs that a sweep's preflight asks for; docker has a file of its own. */
export async function ensureTools(say: Say): Promise<void> {
  const missing: string[] = [];
  for (const tool of TOOLS) if ((await which(tool)) === null) missing.push(tool);
  if (missing.length === 0) say(`tools: ${TOOLS.join(', ')} found`);
  else await aptInstall(say, [...missing, 'ca-certificates'], missing.join(', '));
}
