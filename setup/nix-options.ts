import { writeFile } from 'node:fs/promises';
import { generatedFiles } from './nix/generated.ts';

/** `npm run nix-options`: writes the configuration's keys anew for the NixOS module and its page. */

for (const { file, text } of await generatedFiles()) {
  await writeFile(file, text);
  console.log(`wrote ${file}`);
}
