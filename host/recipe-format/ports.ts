import { isMapping, scalarText, type ComposeSource } from './compose.ts';

/** A port of the host that a service publishes. */
export interface PublishedPort {
  port: number;
  protocol: string;
}

const HIGHEST_PORT = 65_535;

/**
 * The ports of the host that the services publish, in either of compose's forms. Where the engine chooses one
 * there is none to name. What is no port is left for docker to refuse.
 */
export function publishedPorts(files: readonly ComposeSource[]): PublishedPort[] {
  const found = files.flatMap(({ compose }) => {
    const { services } = compose;
    return Object.values(isMapping(services) ? services : {}).flatMap((service) => {
      const written = isMapping(service) ? service['ports'] : undefined;
      return Array.isArray(written) ? written.flatMap(portsOf) : [];
    });
  });
  return [...new Map(found.map((one) => [portName(one), one])).values()];
}

/** As docker writes it: `64738/udp`. */
export function portName({ port, protocol }: PublishedPort): string {
  return `${port}/${protocol}`;
}

function portsOf(written: unknown): PublishedPort[] {
  if (isMapping(written)) {
    return range(scalarText(written['published']), scalarText(written['protocol']) || 'tcp');
  }
  // [address:][published:]target[/protocol], ports or ranges of them; an IPv6 address stands in brackets.
  const [, published = '', protocol = 'tcp'] =
    /^(?:.*:)?([\d-]+):[\d-]+(?:\/(\w+))?$/.exec(scalarText(written)) ?? [];
  return range(published, protocol.toLowerCase());
}

function range(written: string, protocol: string): PublishedPort[] {
  const [, first, last] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(written) ?? [];
  if (first === undefined || Number(first) === 0) return [];
  const end = Math.min(Number(last ?? first), HIGHEST_PORT);
  return Array.from({ length: Math.max(0, end - Number(first) + 1) }, (_, index) => ({
    port: Number(first) + index,
    protocol,
  }));
}
