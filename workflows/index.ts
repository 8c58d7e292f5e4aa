export { canonicalWorkflow } from './canonical.ts';
export { hostWorkflow } from './host-turns.ts';
export { ledgerWorkflow } from './ledger.ts';
export { planWorkflow } from './plan.ts';
export { reapWorkflow } from './reap.ts';
export { recipeSweepWorkflow } from './recipe-sweep.ts';
export { recipeTestWorkflow } from './recipe-test.ts';
export { sweepWorkflow } from './sweep.ts';
