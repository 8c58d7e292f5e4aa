import { Fault } from '../domain/fault.ts';
import { outcomeReason, outcomeTitle } from '../domain/outcome.ts';
import { sweepOrder, sweepVerdict, type SweepVerdict } from '../domain/report.ts';
import type { SweepSettings } from '../domain/run.ts';
import { passBoundary } from '../host/boundary.ts';
import type { Holder } from '../host/host-lock.ts';
import { checkPrerequisites } from '../host/prerequisites.ts';
import { holdingHost, inAttempt } from './attempt.ts';
import type { Dependencies } from './index.ts';
import { reapLeftovers } from './reap.ts';

export interface Opening {
  /** What to sweep, in order. */
  recipes: string[];
  settings: SweepSettings;
}

export interface Closing {
  verdict: SweepVerdict;
  report: string;
  recipes: { recipe: string; outcome: string; why: string }[];
}

/** Names the first ones; whoever asked for a thousand reads no thousand. */
function first(count: number, texts: readonly string[], separator: string): string {
  const more = texts.length > count ? [`and ${texts.length - count} more`] : [];
  return [...texts.slice(0, count), ...more].join(separator);
}

export function sweep(deps: Dependencies) {
  async function enrolled(wanted: readonly string[] | null): Promise<string[]> {
    const all = await deps.recipes.all();
    const names = all.filter(({ exception }) => exception === null).map(({ recipe }) => recipe);
    if (names.length === 0) {
      throw new Fault('BadConfig', `${deps.config.recipes}: no recipe is enrolled; add <name>/recipe.yml`);
    }
    if (wanted === null) return names;
    const wrong = [...new Set(wanted)].flatMap((name) => {
      if (names.includes(name)) return [];
      const exception = all.find(({ recipe }) => recipe === name)?.exception;
      return [exception ? `${name} is an exception (${exception})` : `${JSON.stringify(name)} has no folder`];
    });
    if (wrong.length > 0) {
      throw new Fault(
        'BadInput',
        `not enrolled: ${first(10, wrong, '; ')}. Enrolled in ${deps.config.recipes}: ${first(30, names, ', ')}`,
      );
    }
    return [...new Set(wanted)];
  }

  return {
    /** The enrolled recipes among those wanted (all when none is named). Throws BadInput or BadConfig. */
    async enrolled({ wanted }: { wanted: string[] | null }): Promise<string[]> {
      return inAttempt(deps, async () => enrolled(wanted));
    },

    /**
     * Takes the host, checks what it must have, reaps what crashes left, and puts the recipes in order.
     * Throws HostBusy or Preflight; the host is held only if it returns.
     */
    async openSweep({ recipes, holder }: { recipes: string[]; holder: Holder }): Promise<Opening> {
      const { config, results, lock } = deps;
      return holdingHost(deps, [holder], 'preflight', async (attempt) => {
        const missing = (await checkPrerequisites(config)).filter(({ ok }) => !ok);
        if (missing.length > 0) {
          await lock.release(holder);
          const list = missing.map(({ name, found, how }) => `${name}: ${found}; ${how}`).join('\n');
          throw new Fault('Preflight', `this host is not ready (recipe-sweep doctor shows all):\n${list}`);
        }
        passBoundary('open.after-preflight');
        await reapLeftovers(deps, attempt, holder.workflowId);
        passBoundary('open.after-reap');
        const last = (await results.reports())[0];
        const outOfTime = (last?.recipes ?? []).filter(
          ({ outcome }) => outcome.kind === 'ERROR' && outcome.cause === 'out-of-time',
        );
        const { attempts, tier, promote, sweep: budget } = config.limits;
        return {
          recipes: sweepOrder(recipes, new Set(outOfTime.map(({ recipe }) => recipe))),
          settings: { attempts, tierMs: tier, promoteMs: promote, sweepMs: budget },
        };
      });
    },

    /** Writes report.json from the results on disk, and gives the host back. */
    async closeSweep(input: {
      holder: Holder;
      recipes: string[];
      startedMs: number;
      note: string | null;
    }): Promise<Closing> {
      const { holder, recipes, startedMs, note } = input;
      const { results, config, lock, now } = deps;
      return inAttempt(deps, async () => {
        const read = await Promise.all(
          recipes.map((recipe) => results.readResult(holder.workflowId, recipe)),
        );
        const found = read.filter((result) => result !== null);
        const verdict = sweepVerdict(found.map(({ outcome }) => outcome));
        passBoundary('close.before-report');
        await results.writeReport({
          schema: 2,
          sweep: holder.workflowId,
          host: config.host,
          zone: config.zone,
          verdict,
          note,
          started: new Date(startedMs).toISOString(),
          ended: now().toISOString(),
          recipes: found,
        });
        passBoundary('close.after-report');
        await lock.release(holder);
        return {
          verdict,
          report: results.reportFile(holder.workflowId),
          recipes: found.map(({ recipe, outcome }) => ({
            recipe,
            outcome: outcomeTitle(outcome),
            why: outcomeReason(outcome),
          })),
        };
      });
    },
  };
}
