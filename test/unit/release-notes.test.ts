import { expect, test } from 'vitest';
import { linesByHand } from '../../domain/release-notes.ts';

test.each([
  'This release needs a manual migration of the database.',
  'BREAKING: the volume is called data now',
  'Breaking changes, see below.',
  'Please move the files by hand.',
  'Nothing changes but the files, which you move by hand',
  'You must first dump the database',
  'You need to insert a new secret: abra app secret insert',
  'Migration required!',
  'See the migration guide.',
  'Back up everything before upgrading',
  'This change is irreversible',
  'It is not backward compatible.',
  'This cannot be rolled back',
  'Follow the manual migration below',
  'The upgrade is not possible without manual steps',
  '* manually run `abra app cmd`',
  'Intervention needed',
  'Please run `docker exec db mysql_upgrade` after the upgrade',
  'You have to generate a new secret',
  'After upgrading, run the following commands:',
  'Requires a database migration. Run: abra app cmd <domain> app migrate',
  'Set the new env variable KC_PROXY_HEADERS in your .env',
])('speaks of work by hand: %s', (line) => {
  expect(linesByHand(`Keycloak 26.1\n\n  ${line}\r\nMore text\n`)).toEqual([line]);
});

test.each([
  'Updates Keycloak to 26.1.0',
  'No breaking changes',
  'no manual migration needed',
  'Non-breaking fixes',
  'There are no manual steps.',
  'It changes the database when it first starts; nothing to do by hand.',
  'Nothing has to be done by hand',
  'No steps are needed by hand',
  'See the manual for the new options',
  'No action required',
  'Migrates the database by itself',
  'Groundbreaking performance',
  '',
])('speaks of none: %s', (line) => {
  expect(linesByHand(line)).toEqual([]);
});

test('one line that denies it does not hide another that says it', () => {
  expect(linesByHand('No breaking changes.\nNo breaking changes, but a manual migration.')).toEqual([
    'No breaking changes, but a manual migration.',
  ]);
});
