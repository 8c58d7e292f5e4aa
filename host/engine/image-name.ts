/** The names of images, in compose and on the engine. */

/** An image's name without tag and digest. */
export function nameOf(image: string): string {
  return image.replace(/@.*$/, '').replace(/:[^:/]*$/, '');
}

/** An image's name as the engine lists it: in short form, by its digest where it has one, else by its tag. */
export function shortName(image: string): string {
  const [name = '', digest] = image.split('@');
  if (digest !== undefined) return `${repositoryOf(name)}@${digest}`;
  const tag = /:([^:/]*)$/.exec(name)?.[1] ?? 'latest';
  return `${repositoryOf(name)}:${tag}`;
}

/** An image's repository in docker's short form: no tag, no digest, no default registry. */
export function repositoryOf(image: string): string {
  return nameOf(image)
    .replace(/^(index\.)?docker\.io\//, '')
    .replace(/^library\//, '');
}

/** What docker calls its own registry where it keeps logins. */
export const DOCKER_HUB = 'https://index.docker.io/v1/';

/** The registry that an image comes from, as `docker login` keeps it. */
export function registryOf(image: string): string {
  const name = nameOf(image);
  const first = name.split('/')[0] ?? '';
  // Docker's own rule: only what looks like a host is one.
  const isHost = name.includes('/') && (/[.:]/.test(first) || first === 'localhost');
  return !isHost || /^(index\.)?docker\.io$/.test(first) ? DOCKER_HUB : first;
}

/** Null where the name has none. */
export function digestOf(name: string): string | null {
  return name.split('@')[1] ?? null;
}
