import { makeBadge } from 'badge-maker';
import { HIGHEST_LEVEL } from '../domain/level.ts';
import { said } from './html.ts';
import type { SiteRecipe } from './read.ts';

/** A recipe's badge, as an SVG to be shown elsewhere: the version that is proven, and to which level; or that it is red. */
export function badge({ canonical, standing }: Pick<SiteRecipe, 'canonical' | 'standing'>): string {
  const proven = canonical === null ? 'nothing proven' : said(canonical.version);
  const level = standing.verdict?.level ?? null;
  const isRed = standing.redSince !== null;
  const isProven = canonical !== null && !isRed && level !== null;
  const message = isRed
    ? `${proven}, red since ${standing.redSince?.slice(0, 10)}`
    : isProven
      ? `${proven}, level ${level} of ${HIGHEST_LEVEL}`
      : proven;
  return makeBadge({
    label: 'recipe-sweep',
    message,
    color: isRed ? 'red' : canonical === null ? 'lightgrey' : colourOf(level),
    style: 'flat',
  });
}

function colourOf(level: number | null): string {
  if (level === null) return 'green';
  return level >= 4 ? 'brightgreen' : level >= 2 ? 'green' : 'yellowgreen';
}
