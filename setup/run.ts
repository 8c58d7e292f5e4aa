import { messageOf } from '../domain/fault.ts';
import { ALL_IMAGES } from './images/catalogue.ts';
import { setUp } from './main.ts';

/** `npm run setup`: what `npm test` begins with, alone. */

try {
  await setUp(console.log, { images: ALL_IMAGES, tests: true });
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
}
