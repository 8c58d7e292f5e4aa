import { isMapping, scalarText } from './compose.ts';

/** Labels in either of compose's two forms, `- name=value` or `name: value`. */
export function labelsOf(written: unknown): Map<string, string> {
  if (Array.isArray(written)) {
    return new Map(
      written
        .filter((item) => typeof item === 'string')
        .map((item) => {
          const equals = item.indexOf('=');
          return equals < 0 ? [item, ''] : [item.slice(0, equals), item.slice(equals + 1)];
        }),
    );
  }
  return new Map(
    Object.entries(isMapping(written) ? written : {}).map(([key, value]) => [key, scalarText(value)]),
  );
}

/** The same labels and ours in place of any of those names, in the form they were written in. */
export function withLabels(written: unknown, ours: Readonly<Record<string, string>>): unknown {
  if (Array.isArray(written)) {
    const theirs = (written as unknown[]).filter(
      (item) => typeof item !== 'string' || !Object.hasOwn(ours, item.replace(/=.*$/s, '')),
    );
    return [...theirs, ...Object.entries(ours).map(([name, value]) => `${name}=${value}`)];
  }
  return { ...(isMapping(written) ? written : {}), ...ours };
}
