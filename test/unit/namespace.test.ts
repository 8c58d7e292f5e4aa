import type { Connection } from '@temporalio/client';
import { expect, it } from 'vitest';
import { ensureNamespaceReady } from '../../client/namespace.ts';

/** What the library throws for an answer of the server. */
function answer(code: number, details: string): Error {
  return Object.assign(new Error(details), { code, details, metadata: {} });
}

const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;

/** A server that has the namespace, and lets nobody register search attributes. */
function connectionTo(calls: { describe?: Error; add?: Error; has?: readonly string[] }): Connection {
  const customAttributes = Object.fromEntries(
    (calls.has ?? []).map((name) => [name, name === 'ServiceOutcome' ? 7 : 2]),
  );
  return {
    workflowService: {
      async describeNamespace() {
        if (calls.describe) throw calls.describe;
        return {};
      },
    },
    operatorService: {
      listSearchAttributes: async () => ({ customAttributes }),
      async addSearchAttributes() {
        if (calls.add) throw calls.add;
      },
    },
  } as unknown as Connection;
}

it('who may not register search attributes is told what to ask for', async () => {
  const add = answer(PERMISSION_DENIED, 'Request unauthorized.');
  const ready = ensureNamespaceReady(
    connectionTo({ add, has: ['Recipe', 'SweepId', 'TestMode', 'PullRequest'] }),
    'sweeps',
  );
  await expect(ready).rejects.toThrow(
    'namespace sweeps lacks the search attributes RecipeOutcome, ServiceOutcome, SweepVerdict, and this user may not change that. Whoever runs the Temporal server types:\n' +
      '  temporal operator search-attribute create --namespace sweeps --name RecipeOutcome --type Keyword\n' +
      '  temporal operator search-attribute create --namespace sweeps --name ServiceOutcome --type KeywordList\n',
  );
});

it('a namespace that is there is asked no more than that', async () => {
  const has = [
    'Recipe',
    'SweepId',
    'RecipeOutcome',
    'TestMode',
    'PullRequest',
    'ServiceOutcome',
    'SweepVerdict',
  ];
  const add = answer(PERMISSION_DENIED, 'Request unauthorized.');
  await expect(ensureNamespaceReady(connectionTo({ add, has }), 'sweeps')).resolves.toBeUndefined();
});

it('a namespace that is not there is no other failure', async () => {
  const describe = answer(NOT_FOUND, 'Namespace sweeps is not found.');
  await expect(ensureNamespaceReady(connectionTo({ describe }), 'sweeps')).rejects.toThrow(
    'Temporal has no namespace sweeps',
  );
  const forbidden = answer(PERMISSION_DENIED, 'Request unauthorized.');
  await expect(ensureNamespaceReady(connectionTo({ describe: forbidden }), 'sweeps')).rejects.toThrow(
    'Request unauthorized.',
  );
});
