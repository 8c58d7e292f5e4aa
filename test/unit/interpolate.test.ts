import { describe, expect, it } from 'vitest';
import { BadTemplate, interpolate } from '../../domain/interpolate.ts';

const env: Record<string, string> = { SET: 'set', EMPTY: '', STACK_NAME: 'app_test', lower: 'low' };
const lookup = (name: string): string | undefined => env[name];

describe('a value of a compose file', () => {
  it.each([
    ['without variables stays as it is', 'plain {text}', 'plain {text}'],
    ['takes a variable by name', '$SET', 'set'],
    ['takes one in braces', '${SET}', 'set'],
    ['takes names in lower case too', '$lower', 'low'],
    ['takes several', '${STACK_NAME}_db_${SET}.$SET', 'app_test_db_set.set'],
    ['takes an unset variable as empty', 'a${UNSET}b', 'ab'],
    ['reads a doubled dollar sign as one', 'a$$b $${SET} $$SET', 'a$b ${SET} $SET'],
    ['uses the default of :- when unset', '${UNSET:-fallback}', 'fallback'],
    ['uses the default of :- when empty', '${EMPTY:-fallback}', 'fallback'],
    ['has no use for the default of :- when set', '${SET:-fallback}', 'set'],
    [
      'uses the default of - only when unset',
      '${UNSET-fallback}|${EMPTY-fallback}|${SET-x}',
      'fallback||set',
    ],
    ['takes an empty default', '${UNSET:-}|${UNSET-}', '|'],
    ['keeps odd characters of a default', '${UNSET:-a:b-c?d{e f}', 'a:b-c?d{e f'],
    ['takes a required variable that is set', '${SET:?needed}|${SET?needed}|${EMPTY?needed}', 'set|set|'],
    ['does not look into what a variable says', '$NESTED', '${SET}'],
    ['loses what follows a bare name and a hyphen, as docker does', '$SET-redirect', 'set'],
    ['takes what follows a bare unset name as its default, as docker does', '$UNSET-redirect', 'redirect'],
    ['may end a bare name with a dot or a colon', '$SET.x $SET:80', 'set.x set:80'],
  ])('%s', (_, template, expected) => {
    expect(interpolate(template, (name) => (name === 'NESTED' ? '${SET}' : lookup(name)))).toBe(expected);
  });

  it.each([
    [
      'a required variable is missing',
      '${UNSET:?set it}',
      'required variable UNSET is empty or not set: set it',
    ],
    [
      'a required variable is empty',
      '${EMPTY:?set it}',
      'required variable EMPTY is empty or not set: set it',
    ],
    ['a variable that must be set is not', '${UNSET?set it}', 'required variable UNSET is not set: set it'],
    ['a brace is not closed', '${SET', 'invalid interpolation format: "${SET"'],
    ['a nested brace is not closed', '${A:-${SET}', 'invalid interpolation format'],
    ['a name is missing', 'a ${} b', 'invalid interpolation format'],
    ['a name begins with a digit', '$1', 'invalid interpolation format: "$1" (a literal $ is written $$)'],
    ['a dollar sign stands alone', 'costs 5$', 'invalid interpolation format'],
    ['it takes another value when set, which docker refuses', '${SET:+y}', 'invalid interpolation format'],
    [
      'a default has variables, of which docker makes something else',
      '${UNSET:-${SET}}',
      'invalid interpolation format',
    ],
    ['an operator is unknown', '${SET!x}', 'invalid interpolation format'],
  ])('is refused when %s', (_, template, message) => {
    expect(() => interpolate(template, lookup)).toThrow(BadTemplate);
    expect(() => interpolate(template, lookup)).toThrow(message);
  });
});
