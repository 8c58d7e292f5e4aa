import type { ProvidedDependency } from '../../domain/dependency.ts';
import { createSsoHost, type SsoHost } from '../e2e/sso-host.ts';
import { median, timed, type Figure, type Form } from './figure.ts';
import { interruption } from './interruption.ts';

/**
 * Time until a run has single sign-on: a realm at the live Keycloak, which is asked first whether it serves, over a
 * Keycloak that is deployed for the run and given the same realm. Beside it what taking each back takes.
 */
export async function singleSignOn(_temporalBinary: string, form: Form): Promise<Figure[]> {
  const { stableMs, rounds } =
    form === 'short' ? { stableMs: 3_500, rounds: 1 } : { stableMs: 15_000, rounds: 3 };
  const host = await createSsoHost({ stable: stableMs });
  try {
    const cold = await measure(host, 'cold', rounds);
    await host.goLive();
    // The first realm that a Keycloak makes finds nothing compiled.
    await measure(host, 'first', 1);
    const live = await measure(host, 'live', rounds);
    const [coldMs, liveMs] = [cold, live].map((times) => median(times.map(({ given }) => given)));
    const seconds = (times: Times[], what: keyof Times): string =>
      (median(times.map((one) => one[what])) / 1000).toFixed(1);
    return [
      {
        name: 'single sign-on for a run from the live service over a cold keycloak',
        unit: 'ratio',
        aim: { atMost: 0.05 },
        samples: live.map(({ given }) => given / (coldMs ?? NaN)),
        notes: [
          `with a window of ${stableMs / 1000} s: live ${((liveMs ?? NaN) / 1000).toFixed(1)} s, cold ${seconds(cold, 'given')} s; taken back in ${seconds(live, 'taken')} s and ${seconds(cold, 'taken')} s`,
        ],
      },
    ];
  } finally {
    await host.remove();
  }
}

interface Times {
  given: number;
  taken: number;
}

async function measure(host: SsoHost, name: string, rounds: number): Promise<Times[]> {
  const times: Times[] = [];
  for (let round = 1; round <= rounds; round++) {
    interruption.throwIfAborted();
    const run = host.begin(`${name}-${round}`);
    let provided: ProvidedDependency | undefined;
    const given = await timed(async () => {
      provided = await run.provide();
    });
    if (provided?.realm === undefined) throw new Error(`${name}: no realm`);
    times.push({ given, taken: await timed(() => run.end()) });
  }
  return times;
}
