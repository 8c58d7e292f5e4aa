import { messageOf } from '../domain/fault.ts';
import { setUpForTests } from './main.ts';

/** `npm run setup`: what `npm test` begins with, alone. */

try {
  await setUpForTests(console.log);
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
}
