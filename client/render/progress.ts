import { bold, dim, yellow } from 'yoctocolors';
import { outcomeReason, outcomeTitle } from '../../domain/outcome.ts';
import type { RecipeProgress, StepProgress, SweepProgress } from '../../workflows/protocol.ts';
import { colourOutcome } from './outcomes.ts';
import { formatDuration } from '../../domain/quantities.ts';
import { oneLine } from './terminal.ts';

/** What is known of a running sweep at one moment. */
export interface SweepView {
  sweep: string;
  /** Null until the sweep has answered once. */
  progress: SweepProgress | null;
  /** By recipe: the steps of those that run. */
  steps: ReadonlyMap<string, StepProgress>;
  /** Why there is nothing newer to see, else null. */
  note: string | null;
}

/** What is known of a running test at one moment. */
export interface TestView {
  test: string;
  /** Null until it has answered once. */
  step: StepProgress | null;
  /** Why there is nothing newer to see, else null. */
  note: string | null;
}

const NAME_WIDTH = 18;
const STEP_WIDTH = 32;

/** The screen that is redrawn while a sweep runs: one line a recipe. */
export function liveView(view: SweepView, now: number): string {
  const lines = [`${bold(view.sweep)}  ${summary(view)}`];
  for (const recipe of view.progress?.recipes ?? []) lines.push(`  ${recipeLine(recipe, view, now)}`);
  if (view.note !== null) lines.push(yellow(view.note));
  return lines.join('\n');
}

function summary({ progress }: SweepView): string {
  if (progress === null) return 'started';
  const done = progress.recipes.filter(({ state }) => state === 'done').length;
  return `${progress.state}  ${done} of ${progress.recipes.length} done`;
}

function recipeLine(recipe: RecipeProgress, view: SweepView, now: number): string {
  const name = recipe.recipe.padEnd(NAME_WIDTH);
  const elapsed = recipe.startedMs === null ? '' : formatDuration((recipe.endedMs ?? now) - recipe.startedMs);
  if (recipe.state === 'waiting') return dim(`${name} waiting`);
  if (recipe.outcome) {
    const title = oneLine(outcomeTitle(recipe.outcome));
    return `${name} ${colourOutcome(title.padEnd(STEP_WIDTH))} ${dim(elapsed)}`;
  }
  const step = view.steps.get(recipe.recipe);
  const since = step ? ` ${dim(`this step ${formatDuration(now - step.sinceMs)}`)}` : '';
  return `${name} ${(step?.step ?? recipe.state).padEnd(STEP_WIDTH)} ${elapsed}${since}`;
}

type Fact = [about: string, text: string];

/**
 * The same for where nothing can be redrawn: what is new since the last call, one line per step begun, per
 * outcome and per change of the sweep itself.
 */
export function stepLog(): (view: SweepView, now: number) => string[] {
  const said = new Map<string, string>();
  return (view, now) => {
    const recipes = (view.progress?.recipes ?? []).flatMap((recipe): Fact[] => {
      const text = recipeFact(recipe, view.steps.get(recipe.recipe));
      return text === null ? [] : [[recipe.recipe, `${recipe.recipe}: ${text}`]];
    });
    const sweep: Fact[] = view.progress ? [['', `${view.sweep}: ${view.progress.state}`]] : [];
    const ending = view.progress?.state === 'reporting' || view.progress?.state === 'done';
    const facts: Fact[] = ending ? [...recipes, ...sweep] : [...sweep, ...recipes];
    facts.push(['(note)', view.note ?? '']);
    const fresh = facts.filter(([about, text]) => (said.get(about) ?? '') !== text);
    for (const [about, text] of fresh) said.set(about, text);
    const time = new Date(now).toISOString().slice(11, 19);
    return fresh.filter(([, text]) => text !== '').map(([, text]) => `${time}Z ${text}`);
  };
}

function recipeFact(recipe: RecipeProgress, step: StepProgress | undefined): string | null {
  if (recipe.outcome) {
    const took =
      recipe.startedMs === null || recipe.endedMs === null
        ? ''
        : ` after ${formatDuration(recipe.endedMs - recipe.startedMs)}`;
    return `${oneLine(outcomeTitle(recipe.outcome))}${took}: ${oneLine(outcomeReason(recipe.outcome))}`;
  }
  return step?.step ?? null;
}

/** A step as it is told: at its turn a test only waits. */
function stepText({ step }: StepProgress): string {
  return step === 'turn' ? 'waiting for its turn' : step;
}

/** The line that is redrawn while a test runs. */
export function liveTestView({ test, step, note }: TestView, now: number): string {
  const at = step === null ? 'started' : `${stepText(step)} ${dim(formatDuration(now - step.sinceMs))}`;
  return [`${bold(test)}  ${at}`, ...(note === null ? [] : [yellow(note)])].join('\n');
}

/** The same for where nothing can be redrawn: a line per step begun. */
export function testStepLog(): (view: TestView, now: number) => string[] {
  let [saidStep, saidNote] = ['', ''];
  return ({ test, step, note }, now) => {
    const time = new Date(now).toISOString().slice(11, 19);
    const [newStep, newNote] = [step === null ? '' : stepText(step), note ?? ''];
    const fresh = [
      ...(newStep === saidStep ? [] : [`${test}: ${newStep}`]),
      ...(newNote === saidNote || newNote === '' ? [] : [newNote]),
    ];
    [saidStep, saidNote] = [newStep, newNote];
    return fresh.map((line) => `${time}Z ${line}`);
  };
}
