import type { ProvidedDependency } from '../domain/dependency.ts';
import type { TaggedCommit } from '../domain/decide.ts';
import { runMark, stackName, warmDomain } from '../domain/names.ts';
import type { RunRef } from '../domain/run.ts';
import { compareVersions } from '../domain/version.ts';
import { passBoundary } from '../host/boundary.ts';
import type { CanonicalRecord } from '../host/canonicals.ts';
import type { Deployment, ImageSeen } from '../host/deployer.ts';
import { prepareApp, type Deployable } from './app.ts';
import { holdersOf, holdingHost } from './attempt.ts';
import type { Dependencies } from './index.ts';

export interface PromoteInput {
  run: RunRef;
  release: TaggedCommit;
  /** The images that the cold test ran the release on, by service. */
  tested: Record<string, ImageSeen>;
  /** Absent when an older workflow asks. */
  dependencies?: readonly ProvidedDependency[];
}

export type PromoteResult = { promoted: true } | { promoted: false; why: string; evidence: string | null };

/**
 * Installs the tested release at the warm domain as an operator would: over the canonical's data when there
 * is a canonical, else from nothing. Then undeploys, takes a snapshot and writes the record, which is the
 * only commit point. Whatever happens before it leaves the old record true; whoever comes next (a second
 * attempt, settle, the reaper) first puts the data back to what the record says.
 */
export function promote(deps: Dependencies) {
  return {
    async promote({ run, release, tested, dependencies = [] }: PromoteInput): Promise<PromoteResult> {
      return holdingHost(deps, holdersOf(run), `${run.workflow.id}: promote`, async (attempt) => {
        const { warm, deployer, guard, report } = attempt;
        const { recipe } = run;
        const domain = warmDomain(recipe, deps.config.zone);
        const resultFolder = await deps.results.runFolder(run.sweep.id, recipe);
        const refuse = (why: string, evidence = resultFolder): PromoteResult => ({
          promoted: false,
          why,
          evidence,
        });

        const before = await deps.canonicals.read(recipe);
        if (before && isPromotionOf(before, run, release)) {
          await warm.committed(before);
          return { promoted: true };
        }
        if (before && compareVersions(before.version, release.version) >= 0) {
          return refuse(`the canonical is at ${before.version} already`);
        }
        const listed = (await deps.ledger.read(recipe)).get(release.version);
        if (listed?.commit !== release.commit) {
          return refuse(
            `the ledger has ${release.version} at ${listed?.commit ?? 'no commit'}, tested was ${release.commit}`,
          );
        }

        const bringUp = async (step: string, deploy: Deployable, upgraded: boolean): Promise<Deployment> => {
          report(`${step} at ${domain}`);
          const where = { run, recipe, step, domain, lifetime: 'warm', dependencies, upgraded } as const;
          return deployer.deploy(await prepareApp(deps, attempt, where, deploy));
        };

        await warm.attach(recipe, run.workflow.id);
        passBoundary('promote.after-attach');
        if (before) {
          const reattached = await bringUp('promote-reattach', before, false);
          if (!reattached.ok) {
            return refuse(
              `the canonical ${before.version} does not run on its own data: ${reattached.reason}`,
              reattached.evidence,
            );
          }
          passBoundary('promote.after-reattach');
        }
        const installed = await bringUp('promote', release, before !== null);
        if (!installed.ok) {
          const how = before ? `upgrading the canonical's data from ${before.version}` : 'a fresh install';
          return refuse(`${how} at ${domain}: ${installed.reason}`, installed.evidence);
        }
        passBoundary('promote.after-upgrade');
        const changed = changedImages(tested, installed.images);
        if (changed) return refuse(changed);
        report('undeploying, keeping volumes');
        await deployer.undeploy(stackName(domain));
        passBoundary('promote.after-undeploy');
        // Of its own, also when the run was reset: never another attempt's snapshot.
        const id = `${runMark(recipe, run.workflow.runId)}-${attempt.generation}`;
        report(`taking snapshot ${id}`);
        const snapshot = await warm.snapshot(recipe, id);
        passBoundary('promote.after-snapshot');
        const record: CanonicalRecord = {
          schema: 1,
          recipe,
          version: release.version,
          commit: release.commit,
          status: 'proven',
          ts: deps.now().toISOString(),
          run: run.workflow.id,
          images: installed.images,
          snapshot,
        };
        await guard();
        passBoundary('promote.before-record');
        await deps.canonicals.write(record);
        await warm.committed(record);
        return { promoted: true };
      });
    },
  };
}

/** Whether the record was written by an earlier attempt of this very promotion. */
function isPromotionOf(record: CanonicalRecord, run: RunRef, release: TaggedCommit): boolean {
  return (
    record.run === run.workflow.id && record.version === release.version && record.commit === release.commit
  );
}

/** The record must speak of the images that were tested. Null when they are the same. */
function changedImages(
  tested: Record<string, ImageSeen>,
  installed: Record<string, ImageSeen>,
): string | null {
  const changed = Object.entries(installed).filter(
    ([service, { digest }]) => tested[service]?.digest !== digest,
  );
  return changed.length === 0
    ? null
    : `not the images that were tested: ${changed.map(([service, { image }]) => `${service} (${image})`).join(', ')}`;
}
