import { isMapping, type ComposeSource } from './compose.ts';
import { RecipeProblem } from './problem.ts';

/**
 * Throws RecipeProblem when a service joins a network that no file declares. docker refuses such a release too, with
 * these words, but only after it has made that network, without the labels by which we know what is ours
 * (docker/cli, deployCompose: networks are created before services are converted).
 */
export function checkNetworksDeclared(files: readonly ComposeSource[]): void {
  const declared = new Set(['default', ...files.flatMap(({ compose }) => keysOf(compose['networks']))]);
  for (const file of files) {
    const { services } = file.compose;
    for (const [name, service] of Object.entries(isMapping(services) ? services : {})) {
      const joined = isMapping(service) ? service['networks'] : undefined;
      const networks = Array.isArray(joined) ? joined.map(String) : keysOf(joined);
      const lost = networks.findIndex((network) => !declared.has(network));
      if (lost < 0) continue;
      const key = Array.isArray(joined) ? lost : (networks[lost] ?? '');
      const place = file.at('services', name, 'networks', key);
      throw new RecipeProblem(place, `service ${name}: undefined network ${JSON.stringify(networks[lost])}`);
    }
  }
}

function keysOf(section: unknown): string[] {
  return isMapping(section) ? Object.keys(section) : [];
}
